# amaranth: UnusedElaboratable=no
"""Bench of every function unit: operands back to back, each result and its cycle checked.

Units with up to 2**20 combinations of operands are tried on all of them; others, and units that
remember operands, on random sets in which the extremes of each operand are well represented.
"""

import importlib
import inspect
import itertools
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt

from hw.catalog import find
from hw.memory import Memory
from sim.clock import start_clock
from sim.job import load, save_result
from sim.memory import entry_bytes, memory_view
from sim.player import PlayerConfig, PortField, fields, is_exhaustive, sets

RESET_CYCLES = 3

Column = npt.NDArray[np.int64]


def bounds(field: PortField) -> tuple[int, int]:
    """Least and greatest value of a port."""
    if field.signed:
        return -(1 << (field.width - 1)), (1 << (field.width - 1)) - 1
    return 0, (1 << field.width) - 1


def stimuli(inputs: list[PortField], count: int, seed: int) -> tuple[dict[str, Column], bool]:
    """Return the columns of operands, and whether they are all there are."""
    if is_exhaustive(inputs):
        code = np.arange(sets(inputs, count), dtype=np.int64)
        columns = {}
        for f in inputs:
            value = code & ((1 << f.width) - 1)
            columns[f.name] = np.where(
                f.signed & (value > bounds(f)[1]), value - (1 << f.width), value
            )
            code = code >> f.width
        return columns, True
    rng = np.random.default_rng(seed)
    columns = {}
    for f in inputs:
        low, high = bounds(f)
        columns[f.name] = rng.integers(low, high, count, endpoint=True, dtype=np.int64)
        if f.width > 1:
            chosen = rng.random(count) < 0.2
            corners = np.array([low, low + 1, 0, 1, high - 1, high], np.int64)
            columns[f.name][chosen] = rng.choice(corners, int(chosen.sum()))
    operands = [f for f in inputs if f.width > 1]
    extremes = np.array(list(itertools.product(*(bounds(f) for f in operands))), np.int64)
    for f, column in zip(operands, extremes.T, strict=True):
        columns[f.name][: len(column)] = column
    return columns, False


def to_words(columns: dict[str, Column], ports: list[PortField]) -> npt.NDArray[np.uint8]:
    """Lay the columns side by side in memory words."""
    bits = [
        np.unpackbits(
            np.ascontiguousarray(columns[f.name]).astype("<i8").view(np.uint8).reshape(-1, 8),
            axis=1,
            count=f.width,
            bitorder="little",
        )
        for f in ports
    ]
    packed = np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")
    words = np.zeros((len(packed), entry_bytes(sum(f.width for f in ports))), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words


def from_words(words: npt.NDArray[np.uint8], ports: list[PortField]) -> dict[str, Column]:
    """Take the columns out of memory words."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    columns: dict[str, Column] = {}
    start = 0
    for f in ports:
        field_bits = bits[:, start : start + f.width]
        sign = field_bits[:, -1:] if f.signed else np.zeros((len(bits), 1), np.uint8)
        extended = np.concatenate([field_bits, np.repeat(sign, 64 - f.width, axis=1)], axis=1)
        columns[f.name] = np.packbits(extended, axis=1, bitorder="little").view("<i8")[:, 0]
        start += f.width
    return columns


def golden(path: str, operands: dict[str, Column], config: Any) -> dict[str, Column]:
    """Call a golden model with the operands and the parameters that it asks for."""
    module, _, name = path.partition(":")
    function = getattr(importlib.import_module(module), name)
    wanted = inspect.signature(function).parameters.values()
    keywords = {p.name: getattr(config, p.name) for p in wanted if p.kind is p.KEYWORD_ONLY}
    result: dict[str, Column] = function(**operands, **keywords)
    return result


@cocotb.test()
async def operands(dut: Any) -> None:
    """Play the operands of the job and compare every result."""
    job, _ = load()
    design = find(job.design)
    config = design.config.from_settings(job.settings)
    depth: int = job.options["depth"]
    inputs, outputs = fields(PlayerConfig(design.component, config, depth))
    columns, exhaustive = stimuli(inputs, depth, job.seed)
    count = len(next(iter(columns.values())))

    clock = start_clock(dut)
    dut.start.value = 0
    dut.count.value = count
    dut.rst.value = 1
    await clock.cycles(RESET_CYCLES)
    dut.rst.value = 0
    memory_view(f"stimulus.{Memory.STORAGE}")[:count] = to_words(columns, inputs)
    dut.start.value = 1
    await clock.cycles(1)
    dut.start.value = 0
    await clock.cycles(2)
    await clock.until(dut.done, 1, limit=count + design.component.latency + 100)

    results = from_words(memory_view(f"response.{Memory.STORAGE}")[:count], outputs)
    expected = golden(design.golden, columns, config)
    valid = columns["i_valid"] != 0 if "i_valid" in columns else np.ones(count, np.bool_)
    if "o_valid" in results:
        late = np.flatnonzero((results["o_valid"] != 0) != valid)
        assert not len(late), (
            f"o_valid: set {late[0]} of {count} is not answered after exactly "
            f"{design.component.latency} cycles"
        )
    for name, column in expected.items():
        wrong = np.flatnonzero((results[name] != column) & valid)
        if len(wrong):
            first = int(wrong[0])
            shown = ", ".join(f"{port}={int(values[first])}" for port, values in columns.items())
            raise AssertionError(
                f"{name}: {len(wrong)} of {count} results differ; set {first}, {shown}: "
                f"{int(results[name][first])}, the golden model says {int(column[first])}"
            )
    save_result({"sets": count, "exhaustive": exhaustive}, {})
