# amaranth: UnusedElaboratable=no
"""Bit heaps: what counters leave adds up to what was put in."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal, Value, signed
from circuits import Circuit, Integers, machines, modulo, random_bits, run, total
from helpers import random_generator

from pe.heap import COUNTERS, DADDA, SCHEDULES, THREE_TWO, WALLACE, BitHeap
from scripts.ppa.aig import Bits

STYLES = list(product(SCHEDULES, COUNTERS))


@dataclass
class Heap:
    """A heap of free bits, what they weigh, and the hardware that adds them."""

    heights: tuple[int, ...]
    constant: int = 0
    period: int = 0

    def __post_init__(self) -> None:
        self.module = Module()
        self.bits = Signal(max(1, sum(self.heights)), name="bits")
        self.heap = BitHeap.unflatten(self.bits, self.heights, self.constant, self.period)

    @property
    def weights(self) -> list[int]:
        return [w for w, height in enumerate(self.heights) for _ in range(height)]

    def value(self, bits: list[Bits]) -> Integers:
        """Return what was put in, modulo 2**64."""
        put_in = total(bits[: len(self.weights)], self.weights) if self.weights else 0
        return put_in + np.full(64 * len(bits[0]), self.constant & ((1 << 64) - 1), np.uint64)

    def circuit(self, *extra: Value) -> Circuit:
        """Return it with its two rows, and other values, as outputs."""
        words = {f"row_{i}": row for i, row in enumerate(self.heap.rows())}
        words |= {f"extra_{i}": value for i, value in enumerate(extra)}
        outputs = [Signal(len(word), name=name) for name, word in words.items()]
        self.module.d.comb += [o.eq(word) for o, word in zip(outputs, words.values(), strict=True)]
        return Circuit(self.module, [self.bits], outputs)


def random_heap(rng: np.random.Generator, width: int) -> Heap:
    heights = rng.integers(0, rng.integers(1, 14), width, endpoint=True)
    constant = int(rng.integers(0, 1 << 63)) * int(rng.integers(-2, 3))
    return Heap(tuple(map(int, heights)), constant)


@pytest.mark.parametrize(("schedule", "counters"), STYLES)
def test_rows_add_up_to_the_bits_and_the_constant(
    schedule: str, counters: str, tmp_path: Path
) -> None:
    rng = random_generator()
    widths = [1, 2, 64, *map(int, rng.integers(3, 64, 9))]
    heaps = [random_heap(rng, width) for width in widths]
    for heap in heaps:
        heap.heap.reduce(heap.module, schedule, counters)
        assert all(len(column) <= 2 for column in heap.heap.columns)
    circuits = [heap.circuit() for heap in heaps]
    for heap, machine in zip(heaps, machines(circuits, tmp_path), strict=True):
        bits = random_bits(rng, len(heap.bits))
        (found,) = run(machine, [{"bits": bits}])
        width = heap.heap.width
        rows = total(found["row_0"], range(width)) + total(found["row_1"], range(width))
        assert np.array_equal(modulo(rows, width), modulo(heap.value(bits), width)), heap


@pytest.mark.parametrize(("schedule", "counters"), STYLES)
def test_overflow_is_what_leaves_the_last_column(
    schedule: str, counters: str, tmp_path: Path
) -> None:
    rng = random_generator()
    heaps = []
    for width in map(int, rng.integers(1, 40, 6)):
        heights = rng.integers(0, 9, width)
        heaps.append(Heap(tuple(map(int, heights)), int(rng.integers(0, 1 << width))))
    circuits = []
    for heap in heaps:
        heap.heap.reduce(heap.module, schedule, counters)
        circuits.append(heap.circuit(Cat(bit.value for bit in heap.heap.overflow)))
    for heap, machine in zip(heaps, machines(circuits, tmp_path), strict=True):
        bits = random_bits(rng, len(heap.bits))
        (found,) = run(machine, [{"bits": bits}])
        width, out = heap.heap.width, found.get("extra_0", [])
        sums = total(found["row_0"], range(width)) + total(found["row_1"], range(width))
        if out:
            sums = sums + total(out, [width] * len(out))
        assert np.array_equal(sums, heap.value(bits)), heap


def test_constants_become_one(tmp_path: Path) -> None:
    """Signs and constants of many words cost no more counters than one constant."""
    words = [Signal(signed(6), name=f"word_{i}") for i in range(9)]
    one, several = BitHeap(16), BitHeap(16)
    for i, word in enumerate(words):
        several.add(word, i % 4)
        several.constant += 77
        for place, bit in enumerate([*word[:-1], ~word[-1]]):
            one.add_bit(bit, i % 4 + place)
    one.constant = sum(77 - (1 << (i % 4 + 5)) for i in range(9))
    modules = [Module(), Module()]
    for heap, m in zip((one, several), modules, strict=True):
        heap.reduce(m)
    assert one.cells == several.cells and one.heights == several.heights
    rows = [Signal(16, name="row_0"), Signal(16, name="row_1")]
    modules[1].d.comb += [o.eq(row) for o, row in zip(rows, several.rows(), strict=True)]
    (machine,) = machines([Circuit(modules[1], words, rows)], tmp_path)
    bits = {word.name: random_bits(random_generator(), 6) for word in words}
    (found,) = run(machine, [bits])
    wanted = np.full(256, 9 * 77, np.uint64)
    for i, word in enumerate(words):
        weights = [place + i % 4 for place in range(6)]
        value = total(bits[word.name], weights)
        sign = total(bits[word.name][-1:], [weights[-1] + 1])
        wanted = wanted + value - sign
    sums = total(found["row_0"], range(16)) + total(found["row_1"], range(16))
    assert np.array_equal(modulo(sums, 16), modulo(wanted, 16))


def test_a_constant_costs_no_counter_where_it_need_not() -> None:
    heap = Heap((1, 0, 2, 1, 1, 0), constant=0b101011)
    # Column 2 has two bits and no constant, column 3 a bit and the constant.
    assert heap.heap.reduce(heap.module) == 0 and not heap.heap.cells
    alone = BitHeap(8, constant=0xFF)
    assert alone.reduce(Module()) == 0 and not alone.cells


@pytest.mark.parametrize(("schedule", "counters"), STYLES)
def test_absorbed_constants(schedule: str, counters: str, tmp_path: Path) -> None:
    rng = random_generator()
    heap = random_heap(rng, 20)
    heap.heap.constant = 0xFFFFF
    heap.heap.reduce(heap.module, schedule, counters, absorb=True)
    assert heap.heap.height <= 2
    for column in heap.heap.columns:
        assert len(column) < 2 or all(bit.value is not None for bit in column)
    (machine,) = machines([heap.circuit()], tmp_path)
    bits = random_bits(rng, len(heap.bits))
    (found,) = run(machine, [{"bits": bits}])
    sums = total(found["row_0"], range(20)) + total(found["row_1"], range(20))
    wanted = total(bits[: len(heap.weights)], heap.weights) + np.uint64(0xFFFFF)
    assert np.array_equal(modulo(sums, 20), modulo(wanted, 20))


@pytest.mark.parametrize("height", range(3, 30))
def test_levels_are_the_fewest(height: int) -> None:
    """Three bits become two: 3, 4, 6, 9, 13, 19 and 28 are the most for 1, 2, 3, ... levels."""
    most = [2, 3, 4, 6, 9, 13, 19, 28, 42]
    fewest = next(levels for levels, bits in enumerate(most) if bits >= height)
    heap = Heap((height,) * 8)
    assert heap.heap.reduce(heap.module, DADDA) == fewest
    # The lowest column has no carries, so that all but two of its bits take a counter's place.
    assert heap.heap.cells["3:2"] + heap.heap.cells["2:2"] > (height - 2) // 2
    quick = Heap((height,) * 8)
    assert quick.heap.reduce(quick.module, WALLACE) >= fewest


def test_dadda_takes_fewer_counters_than_wallace() -> None:
    cells = {}
    for schedule in SCHEDULES:
        heap = Heap(tuple(range(1, 9)) + tuple(range(7, 0, -1)) + (0,))
        heap.heap.reduce(heap.module, schedule)
        cells[schedule] = heap.heap.cells
    # Dadda's 8 x 8 bit multiplier: 35 full adders and 7 half adders.
    assert cells[DADDA] == {"3:2": 35, "2:2": 7}
    assert sum(cells[WALLACE].values()) > 42


@pytest.mark.parametrize(("schedule", "counters"), STYLES)
def test_a_level_at_a_time(schedule: str, counters: str, tmp_path: Path) -> None:
    """A heap that is cut between levels, where registers may stand, is the same hardware."""
    rng = random_generator()
    heights = tuple(map(int, rng.integers(4, 9, 12)))
    whole, cut = (Heap(heights, constant=1234) for _ in range(2))
    levels = whole.heap.reduce(whole.module, schedule, counters)
    constants = []
    for _ in range(levels):
        assert cut.heap.height > 2
        assert cut.heap.reduce(cut.module, schedule, counters, levels=1) == 1
        values = cut.heap.flatten()
        constants.append(cut.heap.constant)
        assert len(values) == sum(cut.heap.heights)
        held = Signal(len(values), name=f"level_{len(constants)}")
        cut.module.d.comb += held.eq(Cat(values))
        cut.heap = BitHeap.unflatten(held, cut.heap.heights, cut.heap.constant)
    assert cut.heap.reduce(cut.module, schedule, counters, levels=3) == 0
    assert cut.heap.height <= 2 and constants[-1] < 1 << 12
    (machine,) = machines([cut.circuit()], tmp_path)
    bits = random_bits(rng, len(cut.bits))
    (found,) = run(machine, [{"bits": bits}])
    sums = total(found["row_0"], range(12)) + total(found["row_1"], range(12))
    wanted = total(bits, cut.weights) + np.uint64(1234)
    assert np.array_equal(modulo(sums, 12), modulo(wanted, 12))


@pytest.mark.parametrize(("schedule", "counters"), STYLES)
def test_carries_stop_at_a_period(schedule: str, counters: str, tmp_path: Path) -> None:
    rng = random_generator()
    # Seven bits of each weight 1, 2 and 4 add up to 49, which takes six columns.
    heap = Heap((7, 7, 7, 0, 0, 0) * 3, period=6)
    heap.heap.reduce(heap.module, schedule, counters)
    (machine,) = machines([heap.circuit()], tmp_path)
    bits = random_bits(rng, len(heap.bits))
    bits[:21] = [np.full_like(bit, ~np.uint64(0)) for bit in bits[:21]]
    (found,) = run(machine, [{"bits": bits}])
    for part in range(3):
        place = slice(6 * part, 6 * part + 6)
        sums = total(found["row_0"][place], range(6)) + total(found["row_1"][place], range(6))
        wanted = total(bits[21 * part : 21 * part + 21], heap.weights[:21])
        assert np.array_equal(sums, wanted)


def test_bits_beyond_the_width_count_for_nothing() -> None:
    heap = BitHeap(4)
    heap.add_bit(Signal(), 4)
    heap.add(Signal(6), 1)
    assert heap.heights == (0, 1, 1, 1)


def test_early_bits_are_counted_first() -> None:
    m, heap = Module(), BitHeap(2)
    late, early = Signal(name="late"), [Signal(name=f"early_{i}") for i in range(3)]
    heap.add_bit(late, 0, arrival=9)
    for bit in early:
        heap.add_bit(bit, 0)
    heap.reduce(m, levels=1)
    assert any(bit.value is late for bit in heap.columns[0])


def test_counters_take_three_two_and_four() -> None:
    four = Heap((8,) * 16)
    assert four.heap.reduce(four.module, counters="4:2") == 2
    three = Heap((8,) * 16)
    assert three.heap.reduce(three.module, counters=THREE_TWO) == 4
