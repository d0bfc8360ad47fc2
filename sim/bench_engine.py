# amaranth: UnusedElaboratable=no
"""Bench of every GEMM engine: products through its streams, beat by beat.

All products of the job are streamed without a pause between them. Checked are every element of C
against the golden model, the number and the flags of the rows, that an offered row stays until it
is taken, and, where nothing stalls, the cycles of each product against the engine's
formula, or the golden model of its cycles.
"""

import random
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from hw.catalog import find
from hw.engine import GemmEngine
from hw.grouped import SystolicGrouped
from sim.clock import start_clock
from sim.gemm_golden import check_product, golden_cycles, golden_product
from sim.grouping import group_beats
from sim.job import load, save_result
from sim.memory import pack, unpack
from sim.packing import Beats, Matrix, from_rows, to_beats
from sim.streams import Sink, Source, Steady

RESET_CYCLES = 3


def words(matrix: np.ndarray[Any, Any], width: int) -> list[int]:
    """Integers whose bits are the lanes of each row."""
    return [int.from_bytes(row.tobytes(), "little") for row in pack(matrix, width)]


def stream_beats(
    engine: GemmEngine, beats: Beats, groups: Sequence[Matrix] = ()
) -> dict[str, list[dict[str, int]]]:
    """Fields of each beat as port values, by the letter of the stream.

    Parameters
    ----------
    groups
        Scales and zero points of the product, of engines that take them.
    """
    flags = [f for f in ("first", "last", "end") if f"i_a_{f}" in _port_names(engine)]
    data_a = words(beats.a, engine.config.width_a)
    data_b = words(beats.b, engine.config.width_b)
    columns = {flag: getattr(beats, flag) for flag in flags}
    a = [
        {"data": data, **{flag: int(column[i]) for flag, column in columns.items()}}
        for i, data in enumerate(data_a)
    ]
    streams = {"a": a, "b": [{"data": data} for data in data_b]}
    if isinstance(engine, SystolicGrouped):
        scales, zeros = group_beats(engine, beats, *groups)
        fields = words(scales, engine.config.width_scale), words(zeros, engine.config.width_zero)
        streams["s"] = [{"scale": s, "zero": z} for s, z in zip(*fields, strict=True)]
    return streams


def _port_names(engine: GemmEngine) -> set[str]:
    return {f"i_a_{field}" for field, _ in engine.i_a.payload.shape()}


async def run_product(
    dut: Any, streams: dict[str, list[dict[str, int]]], expected: int, stall: float, limit: int
) -> tuple[Sink, int]:
    """Stream one product; return the sink and the cycles from its first to its last beat.

    Parameters
    ----------
    streams
        As `stream_beats` returns them.
    expected
        Rows of C.
    """
    sources = {
        x: Source(dut, f"i_{x}", beats[0], beats, Steady(stall)) for x, beats in streams.items()
    }
    sink = Sink(dut, "o_c", ("data", "last"), Steady(stall))
    cycle, first = 0, None
    while len(sink.beats) < expected:
        await RisingEdge(dut.clk)
        taken = [source.edge() for source in sources.values()]
        if first is None and any(taken):
            first = cycle
        sink.edge()
        cycle += 1
        if cycle >= limit:
            done = (
                f"{s.taken} of {len(streams[x])} beats of {x.upper()}" for x, s in sources.items()
            )
            raise AssertionError(
                f"stopped after {limit} cycles: {', '.join(done)} taken, "
                f"{len(sink.beats)} of {expected} rows given"
            )
    left = [x.upper() for x, source in sources.items() if source.taken < len(streams[x])]
    assert not left, f"o_c: C is complete before {' and '.join(left)}"
    return sink, cycle - (first or 0)


@cocotb.test()
async def products(dut: Any) -> None:
    """Run every product of the job."""
    job, arrays = load()
    random.seed(job.seed)
    design = find(job.design)
    engine: GemmEngine = job.component()
    config = engine.config
    stall = job.options["stall"]
    clock = start_clock(dut)
    dut.rst.value = 1
    grouped = isinstance(engine, SystolicGrouped)
    for stream in "abs" if grouped else "ab":
        getattr(dut, f"i_{stream}_valid").value = 0
    dut.o_c_ready.value = 0
    for _ in range(RESET_CYCLES):
        await RisingEdge(dut.clk)
    dut.rst.value = 0

    report, outputs = [], {}
    for index in range(sum(name.startswith("a") for name in arrays)):
        a, b = arrays[f"a{index}"], arrays[f"b{index}"]
        groups = [arrays[f"{x}{index}"] for x in "sz"] if grouped else []
        (m, k), n = a.shape, b.shape[1]
        # First, because it says what is wrong with operands.
        golden = golden_product(config, a, b, *groups)
        beats = to_beats(engine, a, b)
        formula = golden_cycles(design, engine, a, b)
        limit = int(4 * formula / (1 - stall) ** 2) + 1000
        streams = stream_beats(engine, beats, groups)
        expected = sum(height for _, _, height in beats.tiles)
        sink, cycles = await run_product(dut, streams, expected, stall, limit)
        packed = b"".join(
            row["data"].to_bytes(4 * -(-engine.tile_n * config.width_acc // 32), "little")
            for row in sink.beats
        )
        raw = np.frombuffer(packed, np.uint8).reshape(len(sink.beats), -1)
        rows = unpack(raw, config.width_acc, engine.tile_n, engine.c_shape.signed).astype(np.int64)
        c = from_rows(beats, rows, m, n)
        check_product(c, golden, f"{m} x {k} x {n}")
        ends = np.cumsum([height for _, _, height in beats.tiles]) - 1
        lasts = np.flatnonzero([row["last"] for row in sink.beats])
        assert np.array_equal(lasts, ends), f"o_c.last: set in rows {lasts}, tiles end in {ends}"
        if stall == 0:
            assert cycles == formula, f"{m} x {k} x {n}: {cycles} cycles, formula says {formula}"
        sizes = {"m": m, "k": k, "n": n}
        report.append(sizes | {"cycles": cycles, "formula": formula, "end": clock.count})
        outputs[f"c{index}"] = c
    save_result({"products": report}, outputs)
