"""The cycle model of bit-slice engines against counts made digit by digit."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.bit_slice import beat_cycles, cycles, radix4_digits
from golden.gemm import integer_range

DIGITS = ("booth", "ent", "csd")
size = st.integers(1, 7)


def naf(value: int) -> list[int]:
    """Canonical signed digits by the textbook: an odd number loses what makes it 0 modulo 4."""
    found = []
    while value:
        digit = 2 - value % 4 if value % 2 else 0
        found.append(digit)
        value = (value - digit) // 2
    return found


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("width", [2, 5, 8])
def test_radix4_digits_add_up(digits: str, signed: bool, width: int) -> None:
    low, high = integer_range(width, signed)
    values = np.arange(low, high + 1)
    found = radix4_digits(values, digits=digits, width=width, signed=signed)
    assert np.abs(found).max() == 2 or width == 2
    assert (np.abs(found) <= 2).all()
    assert np.array_equal((found * 4 ** np.arange(found.shape[-1])).sum(axis=-1), values)


@given(rows=size, lanes=size, m=size, k=size, n=size, seed=st.integers(0, 99))
def test_beats(rows: int, lanes: int, m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (m, k)), rng.integers(-128, 128, (k, n))
    a[rng.random((m, k)) < 0.3] = 0
    b[rng.random((k, n)) < 0.3] = 0
    sizes: dict[str, Any] = {"rows": rows, "lanes": lanes}
    weights = {pe: beat_cycles(a, b, pe=pe, **sizes) for pe in ("opt4c", "opt4e", "laconic")}
    tile = 0
    for top in range(0, m, rows):
        for column in range(n):
            for beat, start in enumerate(range(0, k, lanes)):
                ks = range(start, min(start + lanes, k))
                of_b = [naf(int(b[j, column])) for j in ks]
                counts = [0] * 8
                for number in of_b:
                    for place, digit in enumerate(number):
                        counts[place // 2] += digit != 0
                assert weights["opt4c"][tile, beat] == max(1, sum(counts))
                assert weights["opt4e"][tile, beat] == max(1, *counts)
                pairs = [
                    np.count_nonzero(naf(int(a[i, j]))) * np.count_nonzero(number)
                    for i in range(top, min(top + rows, m))
                    for j, number in zip(ks, of_b, strict=True)
                ]
                assert weights["laconic"][tile, beat] == max(1, *pairs)
            tile += 1
    assert all(len(found) == tile for found in weights.values())


def test_known_beats() -> None:
    zeros, ones = np.zeros((1, 4), np.int64), np.ones((4, 1), np.int64)
    assert beat_cycles(zeros, 0 * ones, pe="opt4c", rows=1, lanes=1).tolist() == [[1] * 4]
    assert beat_cycles(zeros, 85 * ones, pe="opt3", rows=1, lanes=1).tolist() == [[4] * 4]
    assert beat_cycles(zeros, 85 * ones, pe="opt4e", rows=1, lanes=4).tolist() == [[4]]
    assert beat_cycles(zeros, 85 * ones, pe="opt4e", rows=1, lanes=3).tolist() == [[3, 1]]
    assert beat_cycles(zeros, 85 * ones, pe="laconic", rows=1, lanes=3).tolist() == [[1, 1]]
    assert beat_cycles(zeros + 85, 85 * ones, pe="laconic", rows=1, lanes=4).tolist() == [[16]]


def test_a_product_is_its_beats_gaps_and_latency() -> None:
    a, b = np.ones((3, 2), np.int64), np.full((2, 2), 5)
    engine: dict[str, Any] = {"pe": "opt4c", "rows": 2, "lanes": 1}
    assert cycles(a, b, latency=7, gap=10, **engine) == 4 * 2 * 2 + 3 * 10 + 7
    assert cycles(a, b, latency=7, gap=10, least=3, **engine) == 4 * (3 + 2) + 3 * 10 + 7
    assert cycles(a, b, latency=7, gap=0, least=3, **engine) == 7 * 3 + 2 + 7


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pe": "opt5"}, "pe: 'opt5' is not one of opt3, opt4c, opt4e, laconic"),
        ({"rows": 0}, "rows: 0 is not at least 1"),
        ({"lanes": 0}, "lanes: 0 is not at least 1"),
        ({"digits": "bits"}, "digits: 'bits' is not one of booth, ent, csd"),
        ({"width_b": 2}, "b[0, 0]: 5 is not in -2..1"),
    ],
)
def test_bad_input(settings: dict[str, Any], says: str) -> None:
    engine: dict[str, Any] = {"pe": "opt4c", "rows": 1, "lanes": 1} | settings
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        beat_cycles([[1]], [[5]], **engine)
