"""Random beats for stream units."""

import importlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib import data
from amaranth.lib.wiring import In

from hw.catalog import Design
from hw.stream_unit import StreamUnit, column
from pe.element import extremes
from sim.job import Arrays

Column = npt.NDArray[np.int64]
Generator = np.random.Generator

LAST = "last"
"""Field that ends a packet."""


class Field(NamedTuple):
    """A field of a payload: a number, or an array of numbers.

    Attributes
    ----------
    name
        Of its column.
    width, signed
        Of a number.
    lanes
        Numbers side by side; `None` where it is a number and no array.
    """

    name: str
    width: int
    signed: bool
    lanes: int | None

    @property
    def bits(self) -> int:
        """Width of the field."""
        return self.width * (self.lanes or 1)


class Stream(NamedTuple):
    """A stream of a unit.

    Attributes
    ----------
    name
        Member of the unit.
    is_input
        The unit takes its beats.
    fields
        By name in the payload.
    """

    name: str
    is_input: bool
    fields: dict[str, Field]


def streams_of(unit: StreamUnit) -> list[Stream]:
    """Return the streams of a unit, in the order of its signature."""
    found = []
    for name, member in unit.signature.members.items():
        fields = {}
        for field, part in getattr(unit, name).payload.shape():
            shape, lanes = part.shape, None
            if isinstance(shape, data.ArrayLayout):
                shape, lanes = shape.elem_shape, shape.length
            shape = Shape.cast(shape)
            fields[field] = Field(column(name, field), shape.width, shape.signed, lanes)
        found.append(Stream(name, member.flow == In, fields))
    return found


def random_beats(design: Design, unit: StreamUnit, count: int, seed: int) -> Arrays:
    """Return columns of `count` beats, or a few more, for the input streams of a unit.

    Streams of packets have equally many of them, short and long ones mixed.
    """
    rng = np.random.default_rng(seed)
    if design.stimuli:
        module, _, function = design.stimuli.partition(":")
        made: Arrays = getattr(importlib.import_module(module), function)(rng, unit, count)
        return made
    inputs = [stream for stream in streams_of(unit) if stream.is_input]
    packets = max(1, 2 * count // (unit.longest + 1))
    columns: Arrays = {}
    for stream in inputs:
        last = _lasts(rng, packets, unit.longest) if LAST in stream.fields else np.zeros(count)
        for field, port in stream.fields.items():
            columns[port.name] = last if field == LAST else random_column(rng, port, len(last))
    return columns


def _lasts(rng: Generator, packets: int, longest: int) -> Column:
    """Return the flags of packets of all lengths, the shortest and the longest among them."""
    lengths = rng.integers(1, longest, packets, endpoint=True)
    which = rng.random(packets)
    lengths[which < 0.2] = 1
    lengths[which > 0.8] = longest
    last = np.zeros(int(lengths.sum()), np.int64)
    last[np.cumsum(lengths) - 1] = 1
    return last


def random_column(rng: Generator, port: Field, count: int) -> Column:
    """Return integers of a port, [count] or [count, lanes].

    Extremes are well represented, also in all lanes of a beat and in runs of beats.
    """
    low, high = extremes(port.width, port.signed)
    shape = (count, port.lanes or 1)
    values = rng.integers(low, high, shape, endpoint=True, dtype=np.int64)
    ends = rng.choice([low, high], shape)
    values = np.where(rng.random(shape) < 0.1, ends, values)
    start = 0
    while start < count:
        stop = start + int(rng.integers(1, 40))
        kind = rng.random()
        if kind < 0.1:
            values[start:stop] = rng.choice([low, high])
        elif kind < 0.2:
            values[start:stop] = values[start]
        elif kind < 0.3:
            values[start:stop] = rng.choice([low, high], (len(values[start:stop]), 1))
        start = stop
    return values[:, 0] if port.lanes is None else values


def check_beats(unit: StreamUnit, columns: Arrays) -> dict[str, Any]:
    """Return the beats of each input stream.

    Raises
    ------
    ValueError
        When a column is absent, or those of a stream are not equally long.
    """
    counts: dict[str, Any] = {}
    for stream in streams_of(unit):
        if not stream.is_input:
            continue
        for port in stream.fields.values():
            if port.name not in columns:
                raise ValueError(f"{port.name}: a column of {stream.name} is not given")
            length = len(columns[port.name])
            if counts.setdefault(stream.name, length) != length:
                raise ValueError(f"{port.name}: {length} beats are not {counts[stream.name]}")
    return counts
