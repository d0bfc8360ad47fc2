"""The golden product of group-quantised weights against dequantised ones, and NumPy's float32."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.group import MODES, group_count, group_differences, group_matmul

Matrix = np.ndarray

UNSIGNED: dict[str, Any] = {"signed_b": False, "signed_zero": False}


@st.composite
def problems(draw: st.DrawFn) -> tuple[Matrix, Matrix, Matrix, Matrix, int]:
    m, k, n = draw(st.integers(1, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 4))
    group = draw(st.integers(1, 22))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = group_count(k, group)
    a = rng.choice([-128, 127, 0, 3, -5], (m, k))
    b, zeros = rng.integers(0, 16, (k, n)), rng.choice([0, 15, 8, 7], (groups, n))
    return a, b, rng.integers(0, 256, (groups, n)), zeros, group


@settings(max_examples=200, deadline=None)
@given(problems())
def test_exact_modes_are_products_of_dequantised_weights(
    problem: tuple[Matrix, Matrix, Matrix, Matrix, int],
) -> None:
    a, b, scales, zeros, group = problem
    of = np.arange(a.shape[1]) // group
    product = a @ (scales[of] * (b - zeros[of]))
    assert np.array_equal(group_matmul(a, b, scales, zeros, group=group, **UNSIGNED), product)
    shifts = scales % 8
    product = a @ ((b - zeros[of]) << shifts[of])
    options: dict[str, Any] = {"mode": "power_of_two", "width_scale": 3}
    assert np.array_equal(
        group_matmul(a, b, shifts, zeros, group=group, **UNSIGNED, **options), product
    )


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1))
def test_float_mode_is_numpy_in_float32(
    problem: tuple[Matrix, Matrix, Matrix, Matrix, int], seed: int
) -> None:
    a, b, scales, zeros, group = problem
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**32, scales.shape, dtype=np.uint32)
    near = (rng.standard_normal(scales.shape) * 0.01).astype(np.float32)
    codes = np.where(rng.random(scales.shape) < 0.3, codes, near.view(np.uint32))
    floats = codes.view(np.float32)
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for d, s in zip(
            group_differences(a, b, zeros, group=group, **UNSIGNED), floats, strict=True
        ):
            total = total + d.astype(np.float32) * s
    found = group_matmul(a, b, codes, zeros, group=group, **UNSIGNED, mode="float", width_scale=32)
    expected = np.where(np.isnan(total), 0x7FC00000, total.view(np.uint32))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("group", [1, 3, 8, 9])
def test_the_last_group_is_as_if_filled_up_with_zeros_of_a(group: int) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(-128, 128, (3, 7)), rng.integers(0, 16, (7, 2))
    groups = group_count(7, group)
    scales, zeros = rng.integers(0, 256, (groups, 2)), rng.integers(0, 16, (groups, 2))
    surplus = -7 % group
    wide_a = np.pad(a, ((0, 0), (0, surplus)))
    wide_b = np.pad(b, ((0, surplus), (0, 0)), constant_values=15)
    assert np.array_equal(
        group_matmul(a, b, scales, zeros, group=group, **UNSIGNED),
        group_matmul(wide_a, wide_b, scales, zeros, group=group, **UNSIGNED),
    )


def test_corner_cases() -> None:
    a, b = np.full((1, 128), -128), np.full((128, 1), 15)
    ones = np.ones((1, 1), int)
    assert group_differences(a, b, 0 * ones, group=128, **UNSIGNED).item() == -245760
    assert group_differences(a, b, 15 * ones, group=128, **UNSIGNED).item() == 0
    assert group_differences(a, 0 * b, 15 * ones, group=128, **UNSIGNED).item() == 245760
    assert group_matmul(a, b, 0 * ones, ones, group=128, **UNSIGNED).item() == 0


@pytest.mark.parametrize("form", ["ternary", "pot", "e2m1"])
def test_codes_of_other_formats(form: str) -> None:
    width = 2 if form == "ternary" else 4
    ones = np.ones((1, 1), int)
    greatest = {"ternary": (1, 1), "pot": (7, 64), "e2m1": (7, 12)}[form]
    found = group_differences(
        5 * ones, greatest[0] * ones, 2 * ones, group=4, width_b=width, format_b=form
    )
    assert found.item() == 5 * (greatest[1] - 2)


GOOD: dict[str, Any] = {
    "a": np.ones((2, 6), int),
    "b": np.ones((6, 3), int),
    "scales": np.ones((2, 3), int),
    "zeros": np.ones((2, 3), int),
    "group": 4,
    **UNSIGNED,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"group": 0}, "group: 0 is not at least 1"),
        ({"mode": "int"}, f"mode: 'int' is not one of {', '.join(MODES)}"),
        ({"width_scale": 17}, "width_scale: 17 is not in 1..16"),
        ({"mode": "float"}, "width_scale: 8 is not in 32..32"),
        ({"width_zero": 17}, "width_zero: 17 is not in 1..16"),
        (
            {"zeros": np.full((2, 3), 16)},
            "zeros[0, 0]: 16 is not in 0..15 (4-bit unsigned)",
        ),
        (
            {"zeros": np.ones((3, 3), int)},
            "zeros: shape (3, 3) is not (2, 3): K of 6 makes 2 groups of 4, B has 3 columns",
        ),
        (
            {"scales": np.ones((1, 3), int)},
            "scales: shape (1, 3) is not (2, 3): K of 6 makes 2 groups of 4, B has 3 columns",
        ),
        (
            {"scales": np.full((2, 3), -1)},
            "scales[0, 0]: -1 is not in 0..255 (8-bit unsigned)",
        ),
        ({"b": np.ones((5, 3), int)}, "b: shape (5, 3) does not fit a of shape (2, 6), b must "),
    ],
)
def test_bad_input(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        group_matmul(**{**GOOD, **wrong})
    assert "\n" not in str(error.value)


def test_sums_too_large_are_refused() -> None:
    a, b = np.full((1, 1024), 2**15 - 1), np.full((1024, 1), 2**15 - 1)
    zeros = np.zeros((1, 1), int)
    widths: dict[str, Any] = {"width_a": 16, "width_b": 16, "group": 1024}
    with pytest.raises(ValueError, match=r"^group: a sum of \d+ is not in 0..16777216, exact in"):
        group_matmul(a, b, zeros, zeros, mode="float", width_scale=32, **widths)
    with pytest.raises(ValueError, match=r"^scales: sums of up to \d+ bits are not in 63 bits"):
        group_matmul(a, b, zeros + 31, zeros, mode="power_of_two", width_scale=5, **widths)
