"""Products of binary-coded weights: dense, by tables, plain integers, and codes of scales."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers import SEED, random_generator

from golden.lut import (
    SIZES,
    build,
    engine,
    half_table,
    of_integers,
    product,
    quantize,
    read_accumulate,
    round_scales,
    scale_codes,
)


def all_keys(mu: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Signs [keys, mu] of every key."""
    return 2 * (np.arange(1 << mu)[:, None] >> np.arange(mu) & 1) - 1


@pytest.mark.parametrize("mu", SIZES)
def test_half_a_table_tells_all(mu: int) -> None:
    x = random_generator().integers(-128, 128, (50, mu))
    x[0] = -128
    table = half_table(x)
    assert np.array_equal(table, x @ all_keys(mu)[: 1 << mu - 1].T)
    # 0x00 and 0xFF, 0x7F and 0x80 are among them.
    keys = np.arange(1 << mu)
    one = {"clear": np.ones_like(keys), "i_valid": np.ones_like(keys)}
    for i in range(len(x)):
        entries = np.tile(table[i], (len(keys), 1))
        found = read_accumulate(
            entries, keys, **one, mu=mu, terms=0, width_exponent=1, width_acc=20
        )["sum"]
        assert np.array_equal(found, all_keys(mu) @ x[i])


def test_dense_product_is_that_of_fractions() -> None:
    rng = random_generator()
    bits, x = rng.integers(0, 2, (3, 4, 6)), rng.integers(-128, 128, (6, 2))
    exponents, signs = rng.integers(-5, 3, (3, 4, 6, 2)), rng.integers(-1, 2, (3, 4, 6, 2))
    scales = (signs << exponents + 5).sum(axis=-1)
    found = product(bits, scales, x)
    for n in range(4):
        for m in range(2):
            exact = Fraction(0)
            for i in range(3):
                for k in range(6):
                    powers = zip(signs[i, n, k], exponents[i, n, k], strict=True)
                    alpha = sum(int(s) * Fraction(2) ** int(e) for s, e in powers)
                    exact += alpha * int(2 * bits[i, n, k] - 1) * int(x[k, m])
            assert found[n, m] == exact * 2**5


@pytest.mark.parametrize("bits", range(1, 9))
def test_integers_are_planes(bits: int) -> None:
    rng = random_generator()
    codes, x = rng.integers(0, 1 << bits, (5, 9)), rng.integers(-128, 128, (9, 3))
    zeros = rng.integers(0, 1 << bits, 5)
    for zero in (0, (1 << bits) - 1, 1 << bits - 1, zeros):
        planes = of_integers(codes, bits, zero)
        expected = 2 * (codes - np.reshape(zero, (-1, 1))) @ x
        assert np.array_equal(product(planes.bits, planes.scales, x), expected)
        scale_codes(planes.scales, width_exponent=4, terms=1)
    assert len(of_integers(codes, bits, 1 << bits - 1).bits) == bits + 1


@pytest.mark.parametrize("width_exponent", range(1, 5))
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_codes_of_scales(width_exponent: int, terms: int) -> None:
    codes = random_generator().integers(0, 4 << width_exponent, (500, terms))
    there = codes >> width_exponent & 1
    powers = (1 - 2 * (codes >> width_exponent + 1)) * there << codes % (1 << width_exponent)
    sums = powers.sum(axis=1)
    form = {"width_exponent": width_exponent, "terms": terms}
    rounded = round_scales(sums, **form)
    # One term is always found again, and sums of some that do not lie close together.
    exact = rounded == sums
    assert exact.all() if terms == 1 else exact.mean() > 0.5
    assert np.array_equal(round_scales(rounded, **form), rounded)
    assert scale_codes(rounded, **form).shape == (500, terms)
    assert not scale_codes([0], **form).any()


def test_errors_of_rounded_scales() -> None:
    """17.6, 2.9 and 0.5 % of a scale are published for 1, 2 and 3 terms rounded by logarithm."""
    scales = np.exp2(random_generator().uniform(9, 13, 20_000))
    means = [
        np.mean(np.abs(round_scales(scales, width_exponent=4, terms=t) / scales - 1))
        for t in (1, 2, 3)
    ]
    assert means == pytest.approx([0.176, 0.029, 0.005], rel=0.15)


def test_a_term_of_zero_is_no_power() -> None:
    """And an engine's table is that of activations two cycles before, or of the last loaded."""
    series: dict[str, Any] = {
        "x": [[1, 2, 3, 4], [9, 9, 9, 9], [5, 6, 7, 8], [0, 0, 0, 0], [0, 0, 0, 0]],
        "load": [1, 0, 1, 0, 0],
        "key": [[15], [15], [15], [15], [0]],
        "clear": [0, 1, 1, 1, 0],
        "i_valid": [1, 1, 1, 1, 1],
    }
    settings: dict[str, Any] = {
        "mu": 4,
        "rows": 1,
        "rows_per_scale": 1,
        "terms": 2,
        "width_exponent": 2,
        "width_acc": 12,
    }
    scale = np.tile([0b0111, 0b0000], (5, 1))
    found = engine(**series, scale=scale, layout="block", **settings)["sum"]
    assert found.tolist() == [0, 0, 80, 80, 80 - 8 * 26]
    scale = np.tile([0b1101, 0b0100] * 4, (5, 1))
    found = engine(**series, scale=scale, layout="column", **settings)["sum"]
    assert found.tolist() == [0, 0, -10, -10, 16]


def test_a_table_stays() -> None:
    x = np.arange(12).reshape(3, 4)
    entries = build(x, [0, 1, 0], mu=4)["entries"]
    assert not entries[0].any() and np.array_equal(entries[1], entries[2])
    assert entries[1].tolist() == half_table(x[1]).tolist()


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^mu: 5 is not one of 4, 8$"):
        half_table(np.zeros((2, 5), int))
    with pytest.raises(ValueError, match=r"^bits: 9 is not in 1\.\.8$"):
        of_integers([[0]], 9)
    with pytest.raises(ValueError, match=r"^codes: a code is not in 0\.\.3$"):
        of_integers([[4]], 2)
    with pytest.raises(ValueError, match=r"^zeros: there are 3, codes have 2 rows$"):
        of_integers([[1], [2]], 2, [1, 2, 3])
    with pytest.raises(ValueError, match=r"^scales: 16 is no sum of 1 signed powers .* to 2\*\*3$"):
        scale_codes([1, 16], width_exponent=2, terms=1)
    with pytest.raises(ValueError, match=r"^width_exponent: 5 is not in 1\.\.4$"):
        scale_codes([1], width_exponent=5, terms=1)
    with pytest.raises(ValueError, match=r"^terms: 0 is not in 1\.\.3$"):
        round_scales([1.0], width_exponent=2, terms=0)
    with pytest.raises(ValueError, match=r"^scales: one of them is not finite$"):
        round_scales([np.inf], width_exponent=2, terms=1)
    with pytest.raises(ValueError, match=r"^x: shape \(3, 1\) does not fit bits of shape"):
        product(np.zeros((1, 2, 4), int), 1, np.zeros((3, 1), int))
    with pytest.raises(ValueError, match=r"^scales: sums of up to 65 bits are not in 63 bits$"):
        product(np.ones((1, 1, 4), int), 1 << 50, np.full((4, 1), 1 << 12))


@pytest.mark.parametrize(("rows", "columns"), [(18, 1), (4, 4), (5, 8)])
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_quantized_weights(rows: int, columns: int, terms: int) -> None:
    """Groups that do not divide the matrix; bits are the nearest ones, scales have codes."""
    rng = np.random.default_rng(SEED)
    weights = rng.normal(size=(18, 22)) * np.exp2(rng.integers(-3, 3, 22))
    errors = []
    for count in (1, 2, 3):
        form = {"width_exponent": 4, "terms": terms}
        planes, unit = quantize(weights, count, rows=rows, columns=columns, **form)
        assert np.log2(unit) % 1 == 0 and planes.bits.shape == (count, 18, 22)
        scale_codes(planes.scales, **form)
        for top in range(0, 18, rows):
            for left in range(0, 22, columns):
                part = planes.scales[:, top : top + rows, left : left + columns]
                assert (part == part[:, :1, :1]).all()
        signs = 2 * np.array(list(itertools.product((0, 1), repeat=count))) - 1
        levels = np.tensordot(signs, planes.scales, 1) * unit
        found = ((2 * planes.bits - 1) * planes.scales).sum(axis=0) * unit
        least = np.abs(levels - weights).min(axis=0)
        assert np.allclose(np.abs(found - weights), least)
        errors.append(np.linalg.norm(found - weights) / np.linalg.norm(weights))
    assert errors == sorted(errors, reverse=True) and errors[2] < 0.4


def test_zeros_are_quantized_to_no_scale_at_all() -> None:
    planes, unit = quantize(np.zeros((2, 3)), 2, rows=1, columns=2, width_exponent=2, terms=1)
    assert not planes.scales.any() and unit == 0.125


@pytest.mark.parametrize(
    ("matrix", "settings", "message"),
    [
        ([[1.0, np.nan]], {}, r"matrix\[0, 1\]: nan is not finite"),
        ([1.0], {}, r"matrix: shape \(1,\) is not two-dimensional with elements"),
        ([[1.0]], {"rows": 0}, "rows: 0 is "),
        ([[1.0]], {"planes": 9}, r"planes: 9 is not in 1\.\.8"),
        ([[1.0]], {"terms": 4}, r"terms: 4 is not in 1\.\.3"),
    ],
)
def test_weights_that_are_not_quantized(
    matrix: object, settings: dict[str, int], message: str
) -> None:
    default = {"planes": 2, "rows": 1, "columns": 1, "width_exponent": 2, "terms": 1}
    with pytest.raises(ValueError, match=f"^{message}"):
        quantize(matrix, **(default | settings))  # type: ignore[arg-type]
