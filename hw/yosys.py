"""Yosys, in a process of its own: an error of a pass ends the process that runs it."""

import json
import subprocess
import sys
from collections.abc import Sequence

_CHILD = """
import json, sys
from pyosys import libyosys
design = libyosys.Design()
for command in json.load(sys.stdin):
    libyosys.run_pass(command, design)
"""


class YosysError(RuntimeError):
    """A Yosys pass failed; the message is the last error line of its log."""


def run_yosys(commands: Sequence[str]) -> str:
    """Run Yosys commands in order on one design and return the log.

    Raises
    ------
    YosysError
        When a pass fails.
    """
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(list(commands)),
        capture_output=True,
        text=True,
    )
    log = child.stdout + child.stderr
    if child.returncode != 0:
        errors = [line for line in log.splitlines() if "ERROR" in line or "Error" in line]
        last = errors[-1] if errors else (log.strip().splitlines() or ["no output"])[-1]
        raise YosysError(f"yosys: {last.strip()}")
    return log
