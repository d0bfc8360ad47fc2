"""Test vectors of modules inside a design, from the waveform of its bench."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.ppa.flat import FlatNetlist
from scripts.ppa.testbench import CLOCK
from scripts.ppa.vectors import Bits, Vectors

Path_ = tuple[str, ...]


class BenchWaveform:
    """Values of the nets of a bench's waveform in VCD, right before each rising clock edge.

    Parameters
    ----------
    file
        As the simulator wrote it, the top module directly below the root.
    top
        Name of the top module.
    wanted
        Hierarchical names below the top module, ``.`` between levels, of the nets to keep.

    Raises
    ------
    ValueError
        When the waveform lacks one of them.
    """

    def __init__(self, file: Path, top: str, wanted: Sequence[str]) -> None:
        codes: dict[str, str] = {}
        widths: dict[str, int] = {}
        scope: list[str] = []
        wanted_names = {*wanted, CLOCK}
        changes: dict[str, list[tuple[int, str]]] = {}
        cycle = 0
        with file.open() as lines:
            for line in lines:
                words = line.split()
                if words and words[0] == "$scope":
                    scope.append(words[2])
                elif words and words[0] == "$upscope":
                    scope.pop()
                elif words and words[0] == "$var" and scope[:1] == [top]:
                    name = ".".join([*scope[1:], words[4]])
                    if name in wanted_names:
                        codes[name] = words[3]
                        widths[words[3]] = int(words[2])
                        changes[words[3]] = []
                elif words and words[0] == "$enddefinitions":
                    break
            missing = wanted_names - set(codes)
            if missing:
                raise ValueError(f"waveform: {file} has no {min(missing)}")
            clock = codes[CLOCK]
            pending: list[tuple[str, str]] = []
            risen, was_high = False, True
            for line in lines:
                kind = line[0]
                if kind == "b":
                    value, _, code = line[1:-1].partition(" ")
                elif kind in "01xz":
                    value, code = kind, line[1:-1]
                    if code == clock:
                        risen, was_high = value == "1" and not was_high, value == "1"
                else:
                    # A time: what changed at an edge belongs to the cycle that it begins.
                    cycle += risen
                    for changed, text in pending:
                        changes[changed].append((cycle, text))
                    pending, risen = [], False
                    continue
                if code in changes:
                    pending.append((code, value))
            cycle += risen
            for changed, text in pending:
                changes[changed].append((cycle, text))
        self.cycles = cycle
        """Rising edges in the waveform; cycle i ends with the edge number i from 0."""
        self._codes, self._widths, self._changes = codes, widths, changes

    def bits(self, name: str) -> Bits:
        """Return the bits [cycles, width] of a net, the low one first."""
        code = self._codes[name]
        width = self._widths[code]
        values = np.zeros((self.cycles, width), np.uint8)
        changes = self._changes[code]
        ends = [cycle for cycle, _ in changes[1:]] + [self.cycles]
        for (cycle, text), end in zip(changes, ends, strict=True):
            if end > cycle:
                row = np.frombuffer(text.encode(), np.uint8)[::-1] == ord("1")
                values[cycle:end] = 0
                values[cycle:end, : len(row)] = row
        return values


def signal_names(flat: FlatNetlist, path: Path_) -> dict[str, str]:
    """Return by port of a module the hierarchical name of its net for one instance."""
    return {
        port.name: ".".join([*path, port.name])
        for port in flat.ports
        if port.name.rpartition(".")[2] != CLOCK
    }


def instance_vectors(
    waveform: BenchWaveform, flat: FlatNetlist, path: Path_, window: range
) -> Vectors:
    """Return the vectors of one instance of a module.

    Parameters
    ----------
    window
        Cycles that are measured.
    """
    names = signal_names(flat, path)
    inputs: dict[str, Bits] = {}
    outputs: dict[str, Bits] = {}
    for port in flat.ports:
        if port.name in names:
            side = inputs if port.is_input else outputs
            side[port.name] = waveform.bits(names[port.name])[: window.stop, : len(port.nets)]
    return Vectors(inputs, outputs, window.start)


def all_names(modules: Mapping[Path_, FlatNetlist]) -> list[str]:
    """Return every net that `instance_vectors` needs of the given instances."""
    return [name for path, flat in modules.items() for name in signal_names(flat, path).values()]
