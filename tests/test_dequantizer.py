# amaranth: UnusedElaboratable=no
"""What dequantises groups at the edge of an array, by itself, for W4A8 with groups of 128.

The modules are evaluated as and-inverter graphs, many groups side by side.
"""

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape
from circuits import Circuit, Words, machines, random_bits, run
from evaluation import CHUNK, Column
from helpers import random_generator

from golden.float_operands import codes
from hw.dequantizer import FLOAT_SCALE, INTEGER_SCALE, MODES, Dequantizer, DequantizerShape
from hw.grouped import GroupedConfig
from hw.row_sum import RowSum, RowSumShape
from pe.element import extremes
from scripts.ppa.aig import Machine, pack
from sim.grouping import FLOAT_SCALES

GROUP, GROUPS, SETS = 128, 10_048, 8 * CHUNK
CASES = [(mode, signed_zero) for mode in MODES for signed_zero in (False, True)]


def integers(rng: np.random.Generator, shape: Shape, size: int | tuple[int, ...]) -> Column:
    """Integers of a shape, its ends well represented."""
    low, high = extremes(shape.width, shape.signed)
    values = rng.integers(low, high, size, endpoint=True)
    return np.where(rng.random(size) < 0.2, rng.choice([low, 0, 1, high], size), values)


def floats(rng: np.random.Generator, usual: float) -> Column:
    """Codes of float32: numbers of that size, unusual ones, any."""
    normal = (rng.standard_normal(SETS) * usual).astype("<f4").view("<u4").astype(np.int64)
    kinds = [normal, rng.choice(np.array(FLOAT_SCALES), SETS), codes(rng, SETS, "fp32")]
    return np.choose(rng.choice(3, SETS, p=[0.6, 0.1, 0.3]), kinds)


def operands(rng: np.random.Generator, shape: DequantizerShape) -> dict[str, Column]:
    """Sums, zero points, scales and totals; sums less zero points are those that can be."""
    given = {
        "i_row_sum": rng.choice(
            integers(rng, shape.row_sum, SETS) >> rng.integers(0, 9, SETS), SETS
        ),
        "i_zero": integers(rng, shape.zero, SETS),
        "first": rng.integers(0, 2, SETS),
    }
    low, high = extremes(shape.sum.width, True)
    least, most = extremes(shape.difference.width, True)
    offset = given["i_zero"] * given["i_row_sum"]
    wanted = np.clip(integers(rng, shape.difference, SETS), low - offset, high - offset)
    given["i_sum"] = np.clip(wanted, least, most) + offset
    if shape.mode == FLOAT_SCALE:
        return given | {"i_scale": floats(rng, 0.01), "i_total": floats(rng, 10.0)}
    total = Shape(shape.total.width - 1, True)
    return given | {
        "i_scale": integers(rng, shape.scale, SETS),
        "i_total": integers(rng, total, SETS),
    }


def dequantised(shape: DequantizerShape, given: dict[str, Column]) -> Column:
    """Totals, by NumPy's float32 where they are floats."""
    difference = given["i_sum"] - given["i_zero"] * given["i_row_sum"]
    scale = given["i_scale"]
    if shape.mode != FLOAT_SCALE:
        factor = scale if shape.mode == INTEGER_SCALE else 1 << scale
        return np.where(given["first"] == 1, 0, given["i_total"]) + difference * factor
    so_far = np.where(given["first"] == 1, 0, given["i_total"]).astype("<u4").view("<f4")
    with np.errstate(all="ignore"):
        total = so_far + difference.astype("<f4") * scale.astype("<u4").view("<f4")
    return np.where(np.isnan(total), 0x7FC00000, total.view("<u4").astype(np.int64))


def machine_of(unit: Dequantizer | RowSum, folder: Path) -> Machine:
    ports = {name: getattr(unit, name) for name in unit.signature.members}
    outputs = [ports.pop(name) for name in list(ports) if name.startswith("o_")]
    (machine,) = machines([Circuit(unit, list(ports.values()), outputs)], folder)
    return machine


@pytest.mark.parametrize(("mode", "signed_zero"), CASES)
def test_dequantizer(mode: str, signed_zero: bool, tmp_path: Path) -> None:
    """Each step takes its own operands, and waits where it is told to."""
    rng = random_generator()
    shape = GroupedConfig(mode=mode, group=GROUP, k_max=4096, signed_zero=signed_zero).dequantizer
    machine = machine_of(Dequantizer(shape), tmp_path)
    given = operands(rng, shape)
    expected = dequantised(shape, given)
    widths = {name: len(word) for name, word in machine.inputs.items()}
    early, late = ("i_sum", "i_row_sum", "i_zero", "i_scale"), ("first", "i_total")
    for start in range(0, SETS, CHUNK):
        part = {n: pack(x[start : start + CHUNK], widths[n]) for n, x in given.items()}
        cycles: list[Words] = []
        for advance, taken in ((1, early), (0, ()), (1, ()), (0, ()), (1, late), (0, ())):
            words = {n: random_bits(rng, width, CHUNK) for n, width in widths.items()}
            words |= {n: part[n] for n in taken}
            words["advance"] = pack(np.full(CHUNK, advance), 1)
            cycles.append(words)
        held = random_bits(rng, len(machine.state), CHUNK)
        found = run(machine, cycles, held)[-1]["o_total"]
        wanted = pack(expected[start : start + CHUNK], len(found))
        assert all(np.array_equal(x, y) for x, y in zip(found, wanted, strict=True))


def test_row_sums(tmp_path: Path) -> None:
    """Groups with bubbles, the least and the greatest among them; then the sum of another row."""
    rng = random_generator()
    config = GroupedConfig(group=GROUP, k_max=4096)
    element, total = config.pe_config.a_shape, config.row_sum_shape
    machine = machine_of(RowSum(RowSumShape(element, total)), tmp_path)
    a = integers(rng, element, (GROUP, GROUPS))
    a[:, 0], a[:, 1] = extremes(element.width, True)
    expected = [a.sum(axis=0), integers(rng, total, GROUPS)]
    cycles: list[Words] = []

    def step(element: Column, other: Column, **flags: int) -> None:
        words = {name: pack(np.full(GROUPS, flag), 1) for name, flag in flags.items()}
        drain = {"i_drain": pack(other, total.width)}
        cycles.append({"i_a": pack(element, 8), **drain, **words})

    for i in range(GROUP):
        if rng.random() < 0.2:
            step(a[i - 1], expected[1], first=1, last=1)
        step(a[i], expected[0], enable=1, first=int(i == 0), last=int(i == GROUP - 1))
    step(a[0], expected[1], shift=1)
    # Without `enable` the end of a group is none.
    step(a[0], expected[0], first=1, last=1)
    step(a[0], expected[0], first=1, last=1)
    expected.append(expected[1])
    held = random_bits(rng, len(machine.state), GROUPS)
    shown = run(machine, cycles, held)
    for found, sums in zip(shown[-3:], expected, strict=True):
        wanted = pack(sums, total.width)
        assert all(np.array_equal(x, y) for x, y in zip(found["o_drain"], wanted, strict=True))
