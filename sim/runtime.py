"""Verilator's run-time library and our main loop, compiled once and linked into each simulator."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from sim.cache import cached, content_key
from sim.results import SimulationError, first_error, keep_log
from sim.tools import (
    MissingTool,
    find_compiler,
    find_fst_libraries,
    find_verilator,
    verilator_root,
)

Waves = Literal["fst", "vcd"]

CPP_FOLDER = Path(__file__).resolve().parent / "cpp"
MODEL_FLAGS = ("-DVERILATOR=1", "-DVL_TIME_CONTEXT", "-DVM_SC=0", "-DVM_COVERAGE=0")
"""What the compiler is told of each model, and the parts that are compiled beforehand."""

RUNTIME_FLAGS = ("-O2", *MODEL_FLAGS)

# The slowest to compile come first.
_LIBRARY = ("verilated", "verilated_vpi", "verilated_threads", "verilated_dpi")
_HEADER = '#include "verilated.h"\n#include "verilated_dpi.h"\n'
_MAIN_LOOP = ("main", "memory_access")


def waves_format() -> Waves:
    """Return the waveform format that can be built here."""
    try:
        find_fst_libraries()
    except MissingTool:
        return "vcd"
    return "fst"


def own_sources() -> list[bytes]:
    """Return the contents of our C++ files."""
    return [path.read_bytes() for path in sorted(CPP_FOLDER.iterdir())]


def tool_versions() -> list[str]:
    """Return what identifies Verilator and the compiler."""
    tools = (find_verilator(), find_compiler())
    return [f"{tool.name} {tool.version} {tool.path}" for tool in tools]


def runtime_objects(waves: Waves | None, main_loop: bool) -> list[Path]:
    """Return object files to link with a model, compiled when they are not there yet.

    Parameters
    ----------
    waves
        Waveform writer to include, if any.
    main_loop
        Include the main loop for cocotb.

    Raises
    ------
    SimulationError
        When the compiler fails.
    """
    include = verilator_root() / "include"
    sources = [include / f"{name}.cpp" for name in _LIBRARY]
    own = [CPP_FOLDER / f"{name}.cpp" for name in _MAIN_LOOP]
    objects = _compiled([*sources, *own])
    if not main_loop:
        objects = objects[: len(sources)]
    if waves:
        objects += _compiled([include / f"verilated_{waves}_c.cpp"])
    return objects


def precompiled_header(optimize: str) -> Path:
    """Return a header to include first in a model without waves, compiled when it is not there yet.

    A small model spends most of its compile time in these headers of Verilator.

    Parameters
    ----------
    optimize
        Compiler flag of the model, for instance ``"-O1"``.

    Raises
    ------
    SimulationError
        When the compiler fails.
    """
    traces = [f"-DVM_TRACE{writer}=0" for writer in ("", "_FST", "_VCD", "_SAIF")]
    flags = [optimize, *MODEL_FLAGS, *traces, *_include_flags()]
    key = "header-" + content_key([*tool_versions(), *flags, _HEADER])

    def build_into(folder: Path) -> None:
        header = folder / "first.h"
        header.write_text(_HEADER)
        _compile(["-x", "c++-header", *flags, str(header), "-o", f"{header}.gch"], key)

    folder, _ = cached(key, build_into)
    return folder / "first.h"


def _include_flags() -> list[str]:
    include = verilator_root() / "include"
    return [f"-I{include}", f"-I{include / 'vltstd'}"]


def _compile(arguments: list[str], log_name: str) -> None:
    command = [str(find_compiler().path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        log = keep_log(log_name, done.stderr)
        raise SimulationError(f"compiling {log_name}", first_error(done.stderr), log)


def _compiled(sources: list[Path]) -> list[Path]:
    flags = [*RUNTIME_FLAGS, *_include_flags()]
    names = [source.name for source in sources]
    key = "runtime-" + content_key([*tool_versions(), *flags, *names, *own_sources()])

    def build_into(folder: Path) -> None:
        def compile_one(source: Path) -> None:
            target = folder / f"{source.stem}.o"
            _compile([*flags, "-c", str(source), "-o", str(target)], f"{key}-{source.stem}")

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, sources))

    folder, _ = cached(key, build_into)
    return [folder / f"{source.stem}.o" for source in sources]
