"""Real matrices in codes: as near as the format allows."""

import numpy as np
import pytest
from helpers import random_generator

from golden.codes import numbers
from golden.schemes import quantized

FORMATS = [("integer", 8), ("integer", 4), ("ternary", 2), ("pot", 5), ("pot", 3), ("e2m1", 4)]


@pytest.mark.parametrize(("form", "width"), FORMATS)
@pytest.mark.parametrize("axis", [0, 1])
def test_no_code_is_nearer(form: str, width: int, axis: int) -> None:
    matrix = random_generator().normal(size=(40, 30))
    codes, scales = quantized(matrix, form, width, axis)
    low = -(1 << (width - 1))
    assert codes.min() >= low and codes.max() < -low
    every = numbers(np.arange(low, -low), form, width)
    if form == "integer":
        every = every[1:]  # the scale is that of symmetric integers
    found = np.abs(numbers(codes, form, width) * scales - matrix)
    best = np.abs(every * scales[..., None] - matrix[..., None]).min(axis=-1)
    assert np.allclose(found, best, atol=1e-12)


@pytest.mark.parametrize(("form", "width"), FORMATS)
def test_the_largest_of_a_vector_keeps_its_magnitude(form: str, width: int) -> None:
    if form == "ternary":
        return
    matrix = random_generator().normal(size=(9, 7))
    for axis in (0, 1):
        codes, scales = quantized(matrix, form, width, axis)
        real = numbers(codes, form, width) * scales
        assert np.allclose(np.abs(real).max(axis), np.abs(matrix).max(axis))


def test_ternary_by_the_mean_magnitude() -> None:
    matrix = np.array([[0.2, -1.0], [3.0, -0.6]])
    codes, scales = quantized(matrix, "ternary", 2, 0)
    assert scales.shape == (1, 1) and scales[0, 0] == pytest.approx(1.2)
    assert codes.tolist() == [[0, -1], [1, 0]]


@pytest.mark.parametrize(("form", "width"), FORMATS)
def test_zeros(form: str, width: int) -> None:
    codes, scales = quantized(np.zeros((3, 2)), form, width, 0)
    assert not numbers(codes, form, width).any() and np.isfinite(scales).all()


@pytest.mark.parametrize(
    ("matrix", "form", "message"),
    [
        (np.array([[1.0, np.nan]]), "integer", r"matrix\[0, 1\]: nan is not finite"),
        (np.array([[1.0], [-np.inf]]), "e2m1", r"matrix\[1, 0\]: -inf is not finite"),
        (np.zeros(4), "integer", r"matrix: shape \(4,\) is not two-dimensional"),
        (np.zeros((0, 4)), "integer", r"matrix: shape \(0, 4\) is not two-dimensional"),
        (np.zeros((2, 2)), "fp5", r"format: 'fp5' is not one of"),
    ],
)
def test_bad_input(matrix: np.ndarray, form: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        quantized(matrix, form, 4, 0)
