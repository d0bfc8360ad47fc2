"""Switching activity of a mapped netlist on real operands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.ppa.flat import FlatNetlist

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Wave:
    """A net over time: its first value, and the times in simulator steps when it toggles."""

    initial: int
    times: Times

    def before(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the values, 0 or 1, right before each of `times`."""
        return (self.initial + np.searchsorted(self.times, times, "left")) & 1

    def after(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the values, 0 or 1, right after each of `times`."""
        return (self.initial + np.searchsorted(self.times, times, "right")) & 1


CONSTANTS = {value: Wave(value, np.zeros(0, np.int64)) for value in (0, 1)}


@dataclass(frozen=True)
class Activity:
    """What switches in a module, and when.

    Attributes
    ----------
    flat
        The module.
    waves
        By net; nets 0 and 1 are the constants. A net that is missing never switched and was 0.
    start, end
        Measured time, in steps of the simulator.
    """

    flat: FlatNetlist
    waves: Mapping[int, Wave]
    start: int
    end: int

    def wave(self, net: int) -> Wave:
        """Return the waveform of a net."""
        return self.waves.get(net, CONSTANTS[0])


def read_activity(flat: FlatNetlist, path: Path, begin: int = 0) -> Activity:
    """Read the nets ``n5``, ``n6``, ... of a waveform in VCD.

    A value that is not 0 or 1 counts as the last one that was.

    Parameters
    ----------
    begin
        Time from which on is measured, changes at that very time included.
    """
    # A simulator may give one code to nets that are always equal.
    nets: dict[str, list[int]] = {}
    value: dict[str, str] = {}
    initial: dict[str, int] = {}
    times: dict[str, list[int]] = {}
    now = 0
    first = None
    with path.open() as file:
        for line in file:
            words = line.split()
            if words[:1] == ["$var"]:
                code, name = words[3:5]
                if name[0] == "n" and name[1:].isdigit():
                    nets.setdefault(code, []).append(int(name[1:]))
            elif words[:1] == ["$enddefinitions"]:
                break
        for line in file:
            kind = line[0]
            if kind == "#":
                now = int(line[1:])
                first = now if first is None else first
            elif kind in "01":
                code = line[1:-1]
                last = value.get(code)
                if last is None or now < begin:
                    initial[code] = int(kind)
                    times[code] = []
                elif last != kind:
                    times[code].append(now)
                value[code] = kind
    waves = {
        net: Wave(initial[code], np.array(times[code], np.int64))
        for code, equal in nets.items()
        if code in initial
        for net in equal
    }
    return Activity(flat, waves, max(begin, first or 0), now)
