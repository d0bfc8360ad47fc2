"""The runner class that stands between cocotb and simulators built by `sim.runner`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import cocotb_tools.runner
from cocotb_tools.runner import VerilatorControlFile

from sim.cache import SOURCE_ROOT
from sim.runtime import waves_format
from sim.tools import verilator_environment
from sim.verilator import PROGRAM, Model


class RtloomVerilator(cocotb_tools.runner.Verilator):
    """Runs simulators that `build` made; registered in cocotb as ``rtloom-verilator``.

    Unlike cocotb's own runner it makes public only what control files name, randomises what
    Verilog leaves undefined, and stops a simulation that takes too long.
    """

    timeout_s: float | None = None
    chosen_env: Mapping[str, str] = {}

    def _build_command(self) -> list[list[str]]:
        *controls, verilog = self._sources
        if any(source.tag is not VerilatorControlFile for source in controls):
            raise ValueError("sources: control files, then one Verilog file")
        if self.hdl_toplevel is None:
            raise ValueError("hdl_toplevel: None is not the name of a module")
        self.env |= verilator_environment()
        control = "".join(source.value.read_text() for source in controls)
        waves = waves_format() if self.waves else None
        model = Model(verilog.value, self.hdl_toplevel, control, waves, "build")
        return model.commands(self.build_dir, os.cpu_count() or 1)

    def _test_command(self) -> list[list[str]]:
        return [[str(self.build_dir / PROGRAM), *self.test_args, *self.plusargs]]

    def _set_env_test(self) -> None:
        super()._set_env_test()
        own = [str(SOURCE_ROOT), *(str(Path(entry).resolve()) for entry in sys.path)]
        self.env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(own))
        self.env |= self.chosen_env

    def _execute_cmds(
        self,
        cmds: Sequence[list[str]],
        cwd: os.PathLike[str] | str,
        stdout: TextIO | None = None,
    ) -> None:
        for command in cmds:
            # A session of its own, so that a timeout also ends what the simulator started.
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT if stdout else None,
                start_new_session=True,
            )
            try:
                status = process.wait(self.timeout_s)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            if status:
                raise RuntimeError(f"exit status {status}")


cocotb_tools.runner.SUPPORTED_RUNNERS["rtloom-verilator"] = RtloomVerilator
