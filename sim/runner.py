"""Build and run simulators: cocotb on Verilator, with a cache of what was built."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.cache import cached
from sim.cocotb_runner import RtloomVerilator
from sim.results import (
    RunResult,
    SimulationError,
    first_error,
    first_run_error,
    keep_log,
    read_results,
)
from sim.runtime import Waves, waves_format
from sim.tools import find_libpython, find_verilator, verilator_environment
from sim.verilator import PROGRAM, Model, Optimize, control_file

__all__ = ["RunResult", "SimulationError", "Simulator", "build", "build_harness", "lint"]

LARGEST_SEED = 2**31 - 1
"""Verilator's random generator takes 1 to this; 0 means a seed of its own choice."""


@dataclass(frozen=True)
class Simulator:
    """A built simulator.

    Attributes
    ----------
    folder
        Its folder in the cache.
    top
        Name of the design's top module.
    waves
        Waveform format it can write, if any.
    cache_hit
        Whether it was there already.
    build_seconds
        Wall time of getting it.
    """

    folder: Path
    top: str
    waves: Waves | None
    cache_hit: bool
    build_seconds: float

    def run(
        self,
        test_module: str,
        workdir: Path,
        seed: int = 1,
        testcase: str | None = None,
        env: Mapping[str, str] | None = None,
        waves: bool = False,
        timeout_s: float | None = None,
    ) -> RunResult:
        """Run the cocotb tests of a module.

        Parameters
        ----------
        test_module
            Import path, for instance ``"sim.bench_gemm"``.
        workdir
            Folder of the log, the results and the waveform; made when absent.
        seed
            Seeds Python's `random` in the tests and the values of uninitialised state,
            0 to 2**31 - 1.
        testcase
            Name of one test; by default all run.
        env
            Environment variables for the tests.
        waves
            Write a waveform file; the simulator must have been built with `waves`.
        timeout_s
            Wall time limit in seconds.

        Raises
        ------
        ValueError
            When `seed` is out of range, or `waves` is asked of a simulator that has none.
        SimulationError
            When a test fails, none runs, or the time limit passes.
        """
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"seed: {seed} is not in 0..{LARGEST_SEED}")
        if waves and self.waves is None:
            raise ValueError("waves: True needs a simulator built with waves=True")
        libpython = find_libpython()
        workdir = workdir.resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        log = workdir / "simulation.log"
        results_file = workdir / "results.xml"
        waveform = workdir / f"{self.top}.{self.waves}" if waves else None
        what = f"simulation of {self.top} by {test_module}"

        runner = RtloomVerilator()
        runner.log.disabled = True  # SimulationError says it
        runner.timeout_s = timeout_s
        runner.chosen_env = dict(env or {})
        started = time.monotonic()
        completed = False
        try:
            runner.test(
                test_module,
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                testcase=testcase,
                seed=seed,
                test_args=["--trace-file", str(waveform)] if waveform else [],
                plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{max(seed, 1)}"],
                extra_env={
                    "LIBPYTHON_LOC": str(libpython.path),
                    # Else every module that is imported is compiled anew, at twice the time of
                    # most simulations.
                    "COCOTB_REWRITE_ASSERTION_FILES": "",
                },
                build_dir=self.folder,
                test_dir=workdir,
                results_xml=str(results_file),
                log_file=log,
            )
            completed = True
        except subprocess.TimeoutExpired:
            raise SimulationError(what, f"stopped after {timeout_s:g} s", log) from None
        except (RuntimeError, SystemExit):
            pass  # the results and the log say why
        seconds = time.monotonic() - started

        tests = read_results(results_file)
        failed = [test for test in tests if test.failure]
        if failed:
            raise SimulationError(what, f"{failed[0].name}: {failed[0].failure}", log)
        if not tests or not completed:
            raise SimulationError(what, first_run_error(log), log)
        return RunResult(tests, seconds, log, waveform)


def _compile(model: Model) -> tuple[Path, bool]:
    """Build a simulator, or find it in the cache."""
    key = model.key()

    def build_into(folder: Path) -> None:
        log = folder / "build.log"
        with log.open("w") as output:
            for command in model.commands(folder, os.cpu_count() or 1):
                status = subprocess.run(
                    command, env=verilator_environment(), stdout=output, stderr=output
                ).returncode
                if status:
                    text = log.read_text(errors="replace")
                    what = f"building a simulator of {model.top}"
                    raise SimulationError(what, first_error(text), keep_log(key, text))
        for path in folder.iterdir():
            if path.name not in (PROGRAM, log.name):
                path.unlink()

    return cached(key, build_into)


def build(
    verilog: Path,
    top: str,
    ports: Sequence[str],
    memories: Sequence[tuple[str, str]] = (),
    waves: bool | Waves = False,
    optimize: Optimize = "build",
) -> Simulator:
    """Build a simulator for cocotb, or find it in the cache.

    Parameters
    ----------
    verilog
        File with the whole design.
    top
        Name of its top module.
    ports
        Names of the top module's ports, visible to cocotb.
    memories
        (module, memory) names, visible to `sim.memory.memory_view`.
    waves
        Be able to write a waveform file, of a given format or of the best that can be built here:
        FST where its compression libraries are, else VCD.
    optimize
        ``"build"`` for short tests, ``"speed"`` for long simulations.

    Raises
    ------
    SimulationError
        When Verilator or the compiler refuses the design.
    sim.tools.MissingTool
        When one of them is not installed.
    """
    started = time.monotonic()
    find_libpython()  # the simulation will need it: say so before the build
    control = control_file(top, ports, memories)
    chosen = waves_format() if waves is True else waves or None
    folder, hit = _compile(Model(verilog.resolve(), top, control, chosen, optimize))
    return Simulator(folder, top, chosen, hit, time.monotonic() - started)


def build_harness(verilog: Path, top: str, main: Path, optimize: Optimize = "speed") -> Path:
    """Build the same model with a C++ main program of its own, without cocotb and VPI.

    Parameters
    ----------
    verilog, top, optimize
        As for `build`.
    main
        C++ file with ``main``, which includes ``"Vtop.h"``.

    Returns
    -------
    Path
        The executable.
    """
    model = Model(verilog.resolve(), top, control_file(top, (), ()), None, optimize, main.resolve())
    folder, _ = _compile(model)
    return folder / PROGRAM


def lint(verilog: Path, top: str) -> list[str]:
    """Return Verilator's warnings and errors with ``-Wall``, one line each; empty when clean.

    Two rules are waived: DECLFILENAME, because an emitted file holds all modules of a design, and
    WIDTHEXPAND, because emitted expressions mean Verilog's own extension of a narrower operand.
    """
    waived = ["-Wno-DECLFILENAME", "-Wno-WIDTHEXPAND"]
    command = [str(find_verilator().path), "--lint-only", "-Wall", *waived]
    command += ["--top-module", top, str(verilog)]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=verilator_environment()
    )
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.startswith(("%Warning", "%Error"))]
    if done.returncode and not found:
        raise RuntimeError(f"{verilog}: Verilator ended with status {done.returncode}")
    return [line for line in found if not line.startswith("%Error: Exiting")]
