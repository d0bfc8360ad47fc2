"""What a simulation run gave, and errors that name their cause in one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from sim.cache import cache_root

_BUILD_ERRORS = (
    r"^%Error(?!: Exiting due to)(?!.*Command Failed).*",
    r"^.*\b(?:fatal )?error: .*",
    r"^.*undefined reference to .*",
    r"^.*\*\*\* .*",
)
_RUN_ERRORS = (r"^.*%Error.*", r"^.*Error: .*", r"^.*\b(?:ERROR|CRITICAL)\b.*")


class SimulationError(RuntimeError):
    """A simulator could not be built, or a simulation failed.

    Attributes
    ----------
    cause
        One line.
    log
        File of the full output.
    """

    def __init__(self, what: str, cause: str, log: Path) -> None:
        super().__init__(f"{what}: {cause}\nfull log: {log}")
        self.cause = cause
        self.log = log


@dataclass(frozen=True)
class TestResult:
    """One cocotb test: its name, wall time in seconds, and why it failed (``""`` if it passed)."""

    __test__ = False  # not for pytest to collect

    name: str
    seconds: float
    failure: str


@dataclass(frozen=True)
class RunResult:
    """A simulation whose tests all passed.

    Attributes
    ----------
    tests
        In the order in which they ran, at least one.
    seconds
        Wall time of the whole process.
    log
        File of the full output.
    waveform
        FST or VCD file, when waves were asked for.
    """

    tests: tuple[TestResult, ...]
    seconds: float
    log: Path
    waveform: Path | None


def keep_log(name: str, text: str) -> Path:
    """Write the log of a failed build where it stays; return the file."""
    file = cache_root() / "failed" / f"{name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def first_error(log: str, patterns: tuple[str, ...] = _BUILD_ERRORS) -> str:
    """Return the line of a build's log that gives the cause of its failure."""
    for pattern in patterns:
        match = re.search(pattern, log, re.MULTILINE)
        if match:
            return one_line(match.group())
    lines = [line for line in log.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else "no output"


def first_run_error(log: Path) -> str:
    """Return the line of a simulation's log that says why no test finished."""
    return first_error(log.read_text(errors="replace"), _RUN_ERRORS)


def one_line(text: str, limit: int = 300) -> str:
    """Return the first non-empty line of `text`, shortened to `limit` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 3] + "..."


def read_results(file: Path) -> tuple[TestResult, ...]:
    """Read cocotb's ``results.xml``; empty when the simulation left none."""
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError):
        return ()
    results = []
    for case in root.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        failure = ""
        for tag in ("failure", "error"):
            element = case.find(tag)
            if element is not None:
                message = one_line(element.get("message", ""))
                failure = ": ".join(filter(None, [element.get("type", ""), message])) or tag
        results.append(TestResult(case.get("name", "?"), float(case.get("time", 0)), failure))
    return tuple(results)
