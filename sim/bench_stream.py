# amaranth: UnusedElaboratable=no
"""Bench of every stream unit: beats through its streams, each with pauses of its own.

Checked are every beat of every output stream against the golden model, that no beat is missing and
none too many, that an offered beat stays until it is taken, and, where nothing pauses, the cycles
against the unit's formula.
"""

import random
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from hw.catalog import find
from hw.stream_unit import StreamUnit
from sim.bench_engine import words
from sim.bench_function import golden
from sim.clock import start_clock
from sim.job import Arrays, load, save_result
from sim.memory import entry_bytes, unpack
from sim.stimuli import Column, Field, Stream, check_beats, random_beats, streams_of
from sim.streams import Beat, Bursts, Sink, Source

RESET_CYCLES = 3

IDLE_CYCLES = 64
"""Cycles for which a unit must stay silent after its last beat."""

PATIENCE = 5000
"""Cycles without a beat anywhere after which a unit is given up, or all its formula's if more."""


def number_type(port: Field) -> type[np.integer[Any]]:
    """Return what holds the numbers of a field."""
    return np.int64 if port.signed or port.width < 64 else np.uint64


def to_beats(stream: Stream, columns: Arrays) -> list[Beat]:
    """Return port values of the beats of an input stream."""
    ports = {}
    for field, port in stream.fields.items():
        numbers = np.reshape(columns[port.name], (-1, port.lanes or 1)).astype(number_type(port))
        ports[field] = words(numbers, port.width)
    return [dict(zip(ports, beat, strict=True)) for beat in zip(*ports.values(), strict=True)]


def to_column(beats: Sequence[Beat], field: str, port: Field) -> Column:
    """Return the numbers of a field of the beats of an output stream."""
    if not beats:
        return np.zeros((0,) if port.lanes is None else (0, port.lanes), number_type(port))
    size = entry_bytes(port.bits)
    packed = b"".join(beat[field].to_bytes(size, "little") for beat in beats)
    rows = np.frombuffer(packed, np.uint8).reshape(len(beats), size)
    numbers = unpack(rows, port.width, port.lanes or 1, port.signed).astype(number_type(port))
    return numbers[:, 0] if port.lanes is None else numbers


def check_column(port: Field, found: Column, expected: Column) -> None:
    """Hold a field of all beats to the golden one.

    Raises
    ------
    AssertionError
        Counting the wrong beats and showing the first.
    """
    wrong = np.unique(np.nonzero(found != expected)[0])
    if len(wrong):
        first = wrong[0]
        raise AssertionError(
            f"{port.name}: {len(wrong)} of {len(found)} beats differ; beat {first} is "
            f"{found[first].tolist()}, the golden model says {expected[first].tolist()}"
        )


@cocotb.test()
async def beats(dut: Any) -> None:
    """Stream beats, those of the job if it has any, and compare every beat that leaves."""
    job, given = load()
    random.seed(job.seed)
    design = find(job.design)
    unit: StreamUnit = job.component()
    stall = job.options["stall"]
    columns = given or random_beats(design, unit, job.options["count"], job.seed)
    taken = check_beats(unit, columns)
    expected = golden(design.golden, columns, unit.config)
    formula = unit.cycles({name: list(column) for name, column in columns.items()})
    patience = max(PATIENCE, formula)

    clock = start_clock(dut)
    dut.rst.value = 1
    streams = streams_of(unit)
    sources = {
        s.name: Source(dut, s.name, s.fields, to_beats(s, columns), Bursts(stall))
        for s in streams
        if s.is_input
    }
    sinks = {s.name: Sink(dut, s.name, s.fields, Bursts(stall)) for s in streams if not s.is_input}
    given_of = {
        s.name: len(expected[port.name])
        for s in streams
        if not s.is_input
        for port in list(s.fields.values())[:1]
    }
    for _ in range(RESET_CYCLES):
        await RisingEdge(dut.clk)
    dut.rst.value = 0

    def complete() -> bool:
        return all(s.taken == taken[name] for name, s in sources.items()) and all(
            len(s.beats) == given_of[name] for name, s in sinks.items()
        )

    def too_many() -> bool:
        return any(len(s.beats) > given_of[name] for name, s in sinks.items())

    first = last = cycle = 0
    while not complete() and not too_many() and cycle - last < patience:
        await RisingEdge(dut.clk)
        cycle += 1
        came = [source.edge() for source in sources.values()]
        if any(came):
            first = first or cycle
            last = cycle
        gone = [sink.edge() for sink in sinks.values()]
        if any(gone):
            last = cycle
    end = clock.count
    for _ in range(IDLE_CYCLES):
        await RisingEdge(dut.clk)
        for sink in sinks.values():
            sink.edge()
    counts = [f"{s.taken} of {taken[name]} beats of {name} taken" for name, s in sources.items()]
    counts += [f"{len(s.beats)} of {given_of[name]} of {name} given" for name, s in sinks.items()]
    assert complete(), f"stopped after {cycle} cycles: {', '.join(counts)}"

    outputs: Arrays = {}
    for stream in streams:
        if not stream.is_input:
            for field, port in stream.fields.items():
                column = to_column(sinks[stream.name].beats, field, port)
                check_column(port, column, expected[port.name])
                outputs[port.name] = column
    cycles = last - first + 1
    if stall == 0:
        assert cycles == formula, f"{cycles} cycles, formula says {formula}"
    save_result(
        {
            "taken": taken,
            "given": given_of,
            "cycles": cycles,
            "formula": formula,
            "end": end,
        },
        outputs,
    )
