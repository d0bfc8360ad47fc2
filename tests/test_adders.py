# amaranth: UnusedElaboratable=no
"""Carry-propagate adders: all operands of small words, corners and random ones of large words."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from circuits import Circuit, machines, modulo, random_bits, run, total
from helpers import random_generator

from pe.adders import ADDERS, BRENT_KUNG, KOGGE_STONE, RIPPLE, SKLANSKY, add, prefix_network
from scripts.ppa.aig import Bits, pack


def adder(kind: str, width: int) -> Circuit:
    m = Module()
    a, b, s = (Signal(width, name=name) for name in ("a", "b", "s"))
    m.d.comb += s.eq(add(m, kind, a, b))
    return Circuit(m, [a, b], [s])


@pytest.mark.parametrize("kind", ADDERS)
def test_all_operands_of_small_words(kind: str, tmp_path: Path) -> None:
    widths = range(1, 9)
    for width, machine in zip(
        widths, machines([adder(kind, width) for width in widths], tmp_path), strict=True
    ):
        codes = np.arange(max(64, 1 << 2 * width))
        a, b = codes % (1 << width), codes >> width
        (found,) = run(machine, [{"a": pack(a, width), "b": pack(b, width)}])
        wanted = pack(a + b, width)
        assert all(map(np.array_equal, found["s"], wanted)), width


def corners(width: int) -> list[int]:
    """Zero, ones, runs of ones from either end, alternating bits: the longest carries."""
    ones = (1 << width) - 1
    runs = [(1 << i) - 1 for i in range(0, width + 1, 7)]
    return [0, 1, ones, *runs, *(ones ^ run for run in runs), ones // 3, ones // 3 * 2 & ones]


@pytest.mark.parametrize("kind", ADDERS)
def test_large_words(kind: str, tmp_path: Path) -> None:
    rng = random_generator()
    widths = [64, 63, 33, 32, *map(int, rng.integers(9, 64, 3))]
    built = machines([adder(kind, width) for width in widths], tmp_path)
    for width, machine in zip(widths, built, strict=True):
        a, b = random_bits(rng, width, 4096), random_bits(rng, width, 4096)
        pairs = np.array(list(product(corners(width), repeat=2)), np.uint64)
        for place, operand in zip(range(2), (a, b), strict=True):
            for i in range(width):
                column = operand[i].view(np.uint8)
                bits = (pairs[:, place] >> np.uint64(i) & np.uint64(1)).astype(np.uint8)
                bits = bits[: len(bits) // 8 * 8]
                column[: len(bits) // 8] = np.packbits(bits, bitorder="little")
        (found,) = run(machine, [{"a": a, "b": b}])
        places = range(width)
        wanted = modulo(total(a, places) + total(b, places), width)
        assert np.array_equal(total(found["s"], places), wanted), width


@pytest.mark.parametrize("kind", ADDERS)
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 13, 16, 31, 63, 64])
def test_networks_end_at_position_zero(kind: str, width: int) -> None:
    """Groups that are combined adjoin, and none is used before it is there."""
    begins = list(range(width))
    for level in prefix_network(kind, width):
        before = list(begins)
        assert len({i for i, _ in level}) == len(level)
        for i, j in level:
            assert j == before[i] - 1, "groups adjoin"
            begins[i] = before[j]
    assert begins == [0] * width


def test_depths_and_sizes() -> None:
    """Of 64 positions, as the literature has them."""

    def depth_and_size(kind: str) -> tuple[int, int]:
        levels = [level for level in prefix_network(kind, 64) if level]
        return len(levels), sum(map(len, levels))

    assert depth_and_size(RIPPLE) == (63, 63)
    assert depth_and_size(BRENT_KUNG) == (11, 2 * 63 - 6)
    assert depth_and_size(KOGGE_STONE) == (6, 64 * 6 - 63)
    assert depth_and_size(SKLANSKY) == (6, 32 * 6)


def test_a_carry_that_is_lost_is_found(tmp_path: Path) -> None:
    """The comparison above sees one wrong bit in one set."""
    (machine,) = machines([adder(RIPPLE, 64)], tmp_path)
    zeros: list[Bits] = [np.zeros(1, np.uint64) for _ in range(64)]
    ones = [np.ones(1, np.uint64) for _ in range(64)]
    (found,) = run(machine, [{"a": ones, "b": [np.ones(1, np.uint64), *zeros[1:]]}])
    assert not total(found["s"], range(64)).any()
