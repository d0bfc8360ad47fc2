"""Equality of words by ABC's SAT sweeping, and how proofs end that find none."""

import subprocess
import tempfile
from pathlib import Path

from scripts.ppa.aig import Graph, Word, write
from sim.tools import find_package


class Refuted(Exception):
    """Two things that should be equal are not; the message says where."""


class Undecided(Exception):
    """A proof did not end; the message says which part."""


def same(graph: Graph, left: Word, right: Word, what: str, seconds: float) -> None:
    """Prove two words equal for all inputs of the graph, by ABC's SAT sweeping.

    Raises
    ------
    Refuted
        When they differ.
    Undecided
        When the time, in seconds of wall clock, is over.
    """
    if left == right:
        return
    abc = find_package("pyosys").path / "yosys-abc"
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        files = [Path(scratch, name) for name in ("left.aig", "right.aig")]
        for word, file in zip((left, right), files, strict=True):
            write(graph, word, file)
        command = [str(abc), "-c", f"&cec {files[0]} {files[1]}"]
        try:
            # ABC looks at no clock of its own in this command.
            log = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=seconds
            ).stdout
        except subprocess.TimeoutExpired:
            raise Undecided(f"{what}: SAT sweeping did not end in {seconds:.0f} s") from None
    if "NOT EQUIVALENT" in log:
        raise Refuted(f"{what} differs")
    if "Networks are equivalent" not in log:
        raise Undecided(f"{what}: ABC says neither equal nor different")
