"""Quantisation helpers at their edges."""

import re
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.quantize import quantize, requantize, scale_of


def test_scale_maps_the_peak_to_the_highest_code() -> None:
    x = np.array([[0.5, -2.54], [1.0, 0.0]])
    scale = scale_of(x, 8)
    assert scale == 2.54 / 127
    assert quantize(x, scale, 8).tolist() == [[25, -127], [50, 0]]


def test_scale_without_a_peak_is_one() -> None:
    assert scale_of(np.zeros((2, 3)), 8) == 1.0
    assert scale_of(np.zeros(0), 8) == 1.0


def test_scale_of_a_subnormal_peak_is_not_zero() -> None:
    assert scale_of([5e-324], 8) > 0.0


def test_rounds_half_to_even() -> None:
    halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    assert quantize(halves, 1.0, 8).tolist() == [-2, -2, 0, 0, 2, 2]
    assert requantize([-5, -3, -1, 1, 3, 5], 0.5, 8).tolist() == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("width", "signed", "expected"),
    [
        (8, True, [-128, 127]),
        (8, False, [0, 255]),
        (2, True, [-2, 1]),
        (32, True, [-(2**31), 2**31 - 1]),
        (32, False, [0, 2**32 - 1]),
    ],
)
def test_saturates(width: int, signed: bool, expected: list[int]) -> None:
    assert quantize([-1e300, 1e300], 1e-300, width, signed).tolist() == expected
    assert requantize([-(2**62), 2**62], 1e300, width, signed).tolist() == expected


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-20, 2))
def test_requantize_by_a_power_of_two_is_exact(acc: int, exponent: int) -> None:
    # Python rounds a fraction half to even, and the product is exact in float64.
    exact = round(Fraction(acc) * Fraction(2) ** exponent)
    assert requantize([acc], 2.0**exponent, 8).tolist() == [min(max(exact, -128), 127)]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_calibrated_error_is_at_most_half_a_step(x: list[float]) -> None:
    scale = scale_of(x, 8)
    if scale > 1e-300:
        error = np.abs(quantize(x, scale, 8) * scale - np.array(x))
        assert error.max() <= scale * (0.5 + 1e-9)


def test_shape_and_dtype() -> None:
    result = quantize(np.ones((2, 3, 4), dtype=np.float32), 1.0, 8)
    assert result.shape == (2, 3, 4)
    assert result.dtype == np.int64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scale_of([0.0, np.nan], 8), "x[1]: nan is not a finite number"),
        (lambda: scale_of(np.float64(np.inf), 8), "x: inf is not a finite number"),
        (lambda: scale_of([1.0], 1), "width: 1 is not in 2..32"),
        (lambda: quantize([[-np.inf]], 1.0, 8), "x[0, 0]: -inf is not a finite number"),
        (lambda: quantize([1.0], 0.0, 8), "scale: 0.0 is not a finite number above 0"),
        (lambda: quantize([1.0], np.nan, 8), "scale: nan is not a finite number above 0"),
        (lambda: quantize([1.0], 1.0, 33), "width: 33 is not in 2..32"),
        (lambda: requantize([1.0], 1.0, 8), "acc: dtype float64 is not an integer dtype"),
        (lambda: requantize([1], -1.0, 8), "multiplier: -1.0 is not a finite number above 0"),
        (lambda: requantize([1], np.inf, 8), "multiplier: inf is not a finite number above 0"),
        (lambda: requantize([1], 1.0, 0), "width: 0 is not in 2..32"),
    ],
)
def test_bad_input(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
