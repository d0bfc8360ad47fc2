"""Switching activity of a mapped netlist on real operands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from scripts.ppa.flat import FlatNetlist

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Wave:
    """A net over time: its first value, and the times in simulator steps when it toggles."""

    initial: int
    times: Integers


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

    def toggles(self, nets: Integers) -> tuple[Integers, Integers]:
        """Return all toggles of `nets`: the place in `nets`, and the time, in this order."""
        merged = self._merged
        counts = merged.first[nets + 1] - merged.first[nets]
        place = np.repeat(np.arange(len(nets)), counts)
        within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, merged.keys[merged.first[nets][place] + within] - nets[place] * merged.span

    def before(self, nets: Integers, times: Integers) -> Integers:
        """Return the value, 0 or 1, of each of `nets` right before the time of the same place."""
        return self._merged.values(nets, self._merged.search(nets, times, "left"))

    def after(self, nets: Integers, times: Integers) -> Integers:
        """Return the value, 0 or 1, of each of `nets` right after the time of the same place."""
        return self._merged.values(nets, self._merged.search(nets, times, "right"))

    def latest(self, nets: Integers, times: Integers) -> Integers:
        """Return when each of `nets` last toggled, up to the time of the same place, or -1."""
        merged = self._merged
        if not len(merged.keys):
            return np.full(len(nets), -1)
        index = merged.search(nets, times, "right") - 1
        found = merged.keys[np.maximum(index, 0)] - nets * merged.span
        return np.where(index >= merged.first[nets], found, -1)

    @cached_property
    def _merged(self) -> "_Merged":
        return _Merged(self.waves, self.flat.nets, self.end)


class _Merged:
    """All waves in one sorted array, so that nets are looked up many at a time.

    Attributes
    ----------
    span
        More than any time.
    keys
        net x `span` + time of all toggles, in ascending order.
    first
        [nets + 1] of each net the first of its toggles in `keys`.
    initial
        [nets] of each net the first value.
    """

    def __init__(self, waves: Mapping[int, Wave], nets: Sequence[int], end: int) -> None:
        size = 2 + max(nets, default=0)
        self.span = end + 1
        self.initial = np.zeros(size, np.int64)
        counts = np.zeros(size, np.int64)
        self.initial[1] = 1
        parts = [np.zeros(0, np.int64)]
        for net in nets:
            wave = waves.get(net, CONSTANTS[0])
            self.initial[net], counts[net] = wave.initial, len(wave.times)
            parts.append(wave.times + net * self.span)
        self.keys = np.concatenate(parts)
        self.first = np.concatenate([[0], np.cumsum(counts)])

    def search(self, nets: Integers, times: Integers, side: Literal["left", "right"]) -> Integers:
        """Return where in `keys` the time of the same place belongs."""
        found: Integers = np.searchsorted(self.keys, nets * self.span + times, side)
        return found

    def values(self, nets: Integers, index: Integers) -> Integers:
        """Return the value of each of `nets` after the toggles up to an index of `search`."""
        found: Integers = (self.initial[nets] + index - self.first[nets]) & 1
        return found


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
