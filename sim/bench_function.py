# amaranth: UnusedElaboratable=no
"""Bench of every function unit: operands back to back, each result and its cycle checked.

Units with up to 2**20 combinations of operands are tried on all of them; others, and units that
remember operands, on random sets in which the extremes of each operand are well represented. A
unit that does not take every word at its ports, or has special cases that such sets seldom hit, has
a function that draws its operands. Where no operands are present outputs are checked as well: sums
hold, and nothing else is told.
"""

import importlib
import inspect
import itertools
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt

from golden.gemm import wrap
from hw.catalog import find
from hw.memory import Memory
from sim.clock import start_clock
from sim.job import load, save_result
from sim.memory import entry_bytes, memory_view
from sim.player import VALID, PlayerConfig, PortField, fields, is_exhaustive, sets

RESET_CYCLES = 3

Column = npt.NDArray[Any]
"""Numbers of a port: int64, or Python integers where those are too narrow."""

WIDE = 64
"""Ports of so many bits hold Python integers."""


def bounds(field: PortField) -> tuple[int, int]:
    """Least and greatest number at a port."""
    if field.signed:
        return -(1 << (field.width - 1)), (1 << (field.width - 1)) - 1
    return 0, (1 << field.width) - 1


def stimuli(inputs: list[PortField], count: int, seed: int) -> tuple[dict[str, Column], bool]:
    """Return the columns of operands, [sets] or [sets, lanes], and whether they are all."""
    columns: dict[str, Column] = {}
    if is_exhaustive(inputs):
        code = np.arange(sets(inputs, count), dtype=np.int64)
        for f in inputs:
            values = code[:, None] >> np.arange(f.lanes) * f.width
            columns[f.name] = _column(wrap(values, f.width, f.signed), f)
            code = code >> f.bits
        return columns, True
    rng = np.random.default_rng(seed)
    for f in inputs:
        low, high = bounds(f)
        if f.width >= WIDE:
            columns[f.name] = _column(_wide(rng, count, f), f)
            continue
        values = rng.integers(low, high, (count, f.lanes), endpoint=True, dtype=np.int64)
        if f.width > 1:
            chosen = rng.random(values.shape) < 0.2
            corners = np.array([low, low + 1, 0, 1, high - 1, high], np.int64)
            values[chosen] = rng.choice(corners, int(chosen.sum()))
        columns[f.name] = _column(values, f)
    operands = [f for f in inputs if f.width > 1]
    extremes = np.array(list(itertools.product(*(bounds(f) for f in operands))), object)
    for f, column in zip(operands, extremes.T, strict=True):
        columns[f.name][: len(column)].T[:] = column
    return columns, False


def drawn(
    path: str, config: Any, inputs: list[PortField], count: int, seed: int
) -> dict[str, Column]:
    """Return the columns that a unit's own function draws, the others as `stimuli` does."""
    chosen: dict[str, Column] = _call(path, config, count, seed)
    others = [f for f in inputs if f.name not in chosen]
    rng = np.random.default_rng(seed)
    for f in others:
        chosen[f.name] = _column(_wide(rng, count, f), f)
    return {f.name: chosen[f.name] for f in inputs}


def _wide(rng: np.random.Generator, count: int, field: PortField) -> Column:
    """Return uniform numbers [count, lanes] of any width."""
    bits = rng.integers(0, 2, (count * field.lanes, field.width), dtype=np.uint8)
    return to_numbers(bits, field._replace(lanes=1, weights=())).reshape(count, field.lanes)


def _column(values: Column, field: PortField) -> Column:
    return values if field.lanes > 1 else values[:, 0]


def to_bits(column: Column, field: PortField) -> npt.NDArray[np.uint8]:
    """Return the bits [sets, bits] of the numbers at a port, the low one first."""
    if field.width >= WIDE:
        size, low = -(-field.width // 8), (1 << field.width) - 1
        texts = (int(number) & low for number in column.ravel())
        packed = b"".join(number.to_bytes(size, "little") for number in texts)
        octets = np.frombuffer(packed, np.uint8).reshape(-1, size)
    else:
        octets = np.ascontiguousarray(column).astype("<i8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(octets, axis=1, count=field.width, bitorder="little")
    return bits.reshape(len(column), field.bits)


def to_words(columns: dict[str, Column], ports: list[PortField]) -> npt.NDArray[np.uint8]:
    """Lay the columns side by side in memory words."""
    bits = np.concatenate([to_bits(columns[f.name], f) for f in ports], axis=1)
    packed = np.packbits(bits, axis=1, bitorder="little")
    words = np.zeros((len(packed), entry_bytes(bits.shape[1])), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words


def from_words(
    words: npt.NDArray[np.uint8], ports: list[PortField]
) -> dict[str, npt.NDArray[np.uint8]]:
    """Take the bits [sets, bits] of each port out of memory words."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    ends = np.cumsum([f.bits for f in ports])
    parts = np.split(bits, ends, axis=1)
    return {f.name: part for f, part in zip(ports, parts, strict=False)}


def to_numbers(bits: npt.NDArray[np.uint8], field: PortField) -> Column:
    """Return what the bits of an output add up to, [sets] or [sets, lanes]."""
    if field.width >= WIDE and not field.weights:
        octets = np.packbits(bits.reshape(-1, field.width), axis=1, bitorder="little")
        sign = 1 << field.width
        numbers = [int.from_bytes(row.tobytes(), "little") for row in octets]
        signs = [sign if field.signed and 2 * n >= sign else 0 for n in numbers]
        wide = np.array(numbers, object) - np.array(signs, object)
        return _column(wide.reshape(len(bits), field.lanes), field)
    weights = np.array(field.weights or range(field.width), np.int64)
    lanes = bits.astype(np.int64).reshape(len(bits), field.lanes, len(weights))
    return _column(wrap((lanes << weights).sum(axis=2), field.width, field.signed), field)


def golden(path: str, operands: dict[str, Column], config: Any) -> dict[str, Column]:
    """Call a golden model with the operands and the parameters that it asks for."""
    result: dict[str, Column] = _call(path, config, **operands)
    return result


def _call(path: str, config: Any, *arguments: Any, **operands: Any) -> Any:
    """Call a function by its import path; parameters of the config go by keyword."""
    module, _, name = path.partition(":")
    function = getattr(importlib.import_module(module), name)
    wanted = inspect.signature(function).parameters.values()
    keywords = {p.name: getattr(config, p.name) for p in wanted if p.kind is p.KEYWORD_ONLY}
    return function(*arguments, **operands, **keywords)


def _text(value: Any) -> str:
    """Show a number, or the numbers of all lanes."""
    return str(np.asarray(value).tolist())


@cocotb.test()
async def operands(dut: Any) -> None:
    """Play operands, those of the job if it has any, and compare every result."""
    job, given = load()
    design = find(job.design)
    config = design.config.from_settings(job.settings)
    unit = design.component(config)
    latency = unit.latency
    depth: int = job.options["depth"]
    inputs, outputs = fields(PlayerConfig(design.component, config, depth))
    columns: dict[str, Column] = given
    exhaustive = False
    path = design.operands or ("" if is_exhaustive(inputs) else design.stimuli)
    if not given and path:
        columns = drawn(path, config, inputs, depth, job.seed)
    elif not given:
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
    await clock.until(dut.done, 1, limit=count * unit.initiation_interval + latency + 100)

    bits = from_words(memory_view(f"response.{Memory.STORAGE}")[:count], outputs)
    results = {f.name: to_numbers(bits[f.name], f) for f in outputs}
    expected = golden(design.golden, columns, config)
    valid = columns["i_valid"] != 0 if "i_valid" in columns else np.ones(count, np.bool_)
    if VALID in results:
        late = np.flatnonzero((results[VALID] != 0) != valid)
        assert not len(late), (
            f"o_valid: set {late[0]} of {count} is not answered after exactly {latency} cycles"
        )
        assert not int(dut.unasked.value), "o_valid: a result is given that nothing was asked for"
    for name, column in expected.items():
        wrong = np.flatnonzero((results[name] != column).reshape(count, -1).any(axis=1))
        if len(wrong):
            first = int(wrong[0])
            shown = ", ".join(f"{p}={_text(values[first])}" for p, values in columns.items())
            raise AssertionError(
                f"{name}: {len(wrong)} of {count} results differ; set {first}, {shown}: "
                f"{_text(results[name][first])}, the golden model says {_text(column[first])}"
            )
    save_result({"sets": count, "exhaustive": exhaustive}, bits if given else {})
