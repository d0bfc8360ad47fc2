"""What to ask of Verilator and of the C++ compiler for one simulator."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cocotb_tools.config

from sim.cache import content_key
from sim.runtime import (
    CPP_FOLDER,
    RUNTIME_FLAGS,
    Waves,
    own_sources,
    precompiled_header,
    runtime_objects,
    tool_versions,
)
from sim.tools import (
    find_make,
    find_perl,
    find_verilator,
    verilator_make_variables,
    verilator_root,
)

Optimize = Literal["build", "speed"]

PROGRAM = "simulator"
"""File name of a built simulator, in its folder of the cache."""

_HOT_CODE: dict[Optimize, str] = {"build": "-O1", "speed": "-O2"}
"""Compiler flag of code that runs each cycle. On a 16 x 16 array -O3 ran no faster than -O2."""

_COLD_CODE = "-O0"

_FUNCTION_SIZE = 250
"""Size, as Verilator counts it, of the functions of a model that shall compile fast.

Large functions cost the compiler more than their share of time.
"""


def control_file(top: str, ports: Sequence[str], memories: Sequence[tuple[str, str]]) -> str:
    """Return a Verilator control file that makes only the named variables public."""
    public = [(top, port) for port in ports] + list(memories)
    lines = [f'public_flat_rw -module "{module}" -var "{name}"' for module, name in public]
    return "\n".join(["`verilator_config", *lines, ""])


@dataclass(frozen=True)
class Model:
    """One simulator to build.

    Attributes
    ----------
    verilog
        Source file, whole design.
    top
        Name of its top module.
    control
        Text of the control file, see `control_file`.
    waves
        Waveform format it can write, if any.
    optimize
        ``"build"`` compiles fast, ``"speed"`` simulates fast.
    main
        A C++ main program that drives ``Vtop`` itself; by default the main loop for cocotb.
    """

    verilog: Path
    top: str
    control: str
    waves: Waves | None
    optimize: Optimize
    main: Path | None = None

    @property
    def _compiles_fast(self) -> bool:
        return self.optimize == "build" and self.waves is None

    def _verilate_flags(self) -> list[str]:
        flags = ["--cc", "--exe", "--prefix", "Vtop", "--top-module", self.top, "-o", PROGRAM]
        flags += ["--no-timing", "--x-initial", "unique", "--x-assign", "unique"]
        flags.append("-Wno-fatal")
        if self.main is None:
            flags.append("--vpi")
        if self.waves:
            # Buses of large arrays are wider than what it traces by default.
            flags += [f"--trace-{self.waves}", "--trace-max-width", "0"]
        if self._compiles_fast:
            flags += ["--output-split", "0", "--output-split-cfuncs", str(_FUNCTION_SIZE)]
        return flags

    def key(self) -> str:
        """Return the content key of this simulator."""
        main = self.main.read_bytes() if self.main else b""
        texts: list[str | bytes] = [self.verilog.read_bytes(), self.control, main]
        texts += own_sources()
        flags = [*self._verilate_flags(), _HOT_CODE[self.optimize], _COLD_CODE, *RUNTIME_FLAGS]
        cocotb = [importlib.metadata.version("cocotb"), str(cocotb_tools.config.libs_dir)]
        return content_key([*texts, *flags, *tool_versions(), *cocotb])

    def commands(self, folder: Path, jobs: int) -> list[list[str]]:
        """Return the commands that build the simulator in `folder`."""
        find_perl()
        main = self.main or CPP_FOLDER / "model.cpp"
        for path in (folder, main, verilator_root()):
            if any(character.isspace() for character in str(path)):
                raise ValueError(f"path: '{path}' contains a space, which make does not allow")
        control = folder / "public.vlt"
        control.write_text(self.control)
        verilate = [str(find_verilator().path), *self._verilate_flags(), "-Mdir", str(folder)]
        verilate += ["-CFLAGS", "-DVL_TIME_CONTEXT"]
        verilate += [str(main), str(control), str(self.verilog)]

        libraries = [str(path) for path in runtime_objects(self.waves, self.main is None)]
        if self.main is None:
            cocotb_libraries = cocotb_tools.config.libs_dir
            libraries += [f"-L{cocotb_libraries}", f"-Wl,-rpath,{cocotb_libraries}"]
            libraries += ["-lcocotbvpi_verilator", "-rdynamic"]
        variables = verilator_make_variables() | {
            "OPT_FAST": _HOT_CODE[self.optimize],
            "OPT_SLOW": _COLD_CODE,
            # The run-time library is linked as objects compiled beforehand.
            "VM_GLOBAL_FAST": "",
            "VM_GLOBAL_SLOW": "",
            "USER_LDLIBS": " ".join(libraries),
        }
        if self._compiles_fast:
            header = precompiled_header(_HOT_CODE[self.optimize])
            variables["OPT_FAST"] += f" -Winvalid-pch -include {header}"
            # One file: several would have precompiled headers of their own.
            variables["VM_PARALLEL_BUILDS"] = "0"
        settings = [f"{name}={value}" for name, value in variables.items()]
        make = [str(find_make().path), "-C", str(folder), "-f", "Vtop.mk", f"-j{jobs}", PROGRAM]
        return [verilate, make + settings]
