"""Real matrices in codes: as near as the format allows."""

import re
from typing import Any

import numpy as np
import pytest
from helpers import random_generator

from golden.codes import numbers, products
from golden.formats import decode
from golden.group import MODES, group_matmul
from golden.schemes import group_quantized, paired, product_scale, quantized

FORMATS = [
    ("integer", 8),
    ("integer", 4),
    ("ternary", 2),
    ("pot", 5),
    ("pot", 3),
    ("e2m1", 4),
    ("e4m3", 8),
    ("mitchell", 8),
    ("l_mul", 8),
    ("fp16", 16),
]


@pytest.mark.parametrize(("form", "width"), FORMATS)
@pytest.mark.parametrize("axis", [0, 1])
def test_no_code_is_nearer(form: str, width: int, axis: int) -> None:
    rng = random_generator()
    matrix = rng.normal(size=(40, 30)) * 2.0 ** rng.integers(-20, 1, (40, 30))
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
    if form in ("ternary", "fp16"):
        return
    matrix = random_generator().normal(size=(9, 7))
    for axis in (0, 1):
        codes, scales = quantized(matrix, form, width, axis)
        real = numbers(codes, form, width) * scales
        assert np.allclose(np.abs(real).max(axis), np.abs(matrix).max(axis))


def test_halves_are_the_numbers_themselves() -> None:
    matrix = np.array([[0.5, 65504.0, -(2.0**-24)], [1.0, 65520.0, 3.0]])
    codes, scales = quantized(matrix, "fp16", 16, 1)
    assert scales.tolist() == [[2.0**-24], [2.0**-23]]
    assert (numbers(codes, "fp16", 16) * scales).tolist() == [matrix[0].tolist(), [1, 65536, 3]]


def test_ternary_by_the_mean_magnitude() -> None:
    matrix = np.array([[0.2, -1.0], [3.0, -0.6]])
    codes, scales = quantized(matrix, "ternary", 2, 0)
    assert scales.shape == (1, 1) and scales[0, 0] == pytest.approx(1.2)
    assert codes.tolist() == [[0, -1], [1, 0]]


@pytest.mark.parametrize(("form", "width"), FORMATS)
def test_zeros(form: str, width: int) -> None:
    codes, scales = quantized(np.zeros((3, 2)), form, width, 0)
    assert not numbers(codes, form, width).any() and np.isfinite(scales).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("group", [1, 7, 10, 40, 64])
def test_groups(mode: str, group: int) -> None:
    """Within half a step of their group; what the array is given is what the weights are."""
    matrix = random_generator().normal(size=(40, 6)) + np.array([0, 0, 0, 3, -3, 1e-3])
    width = 4 if mode == "power_of_two" else 8
    found = group_quantized(matrix, group, 4, mode, width)
    groups = -(-40 // group)
    assert found.scales.shape == found.zeros.shape == (groups, 6)
    assert found.codes.min() >= -8 and found.codes.max() <= 7
    assert found.zeros.min() >= -8 and found.zeros.max() <= 7
    scales: np.ndarray = found.scales
    if mode != "integer":
        scales = decode(scales, "fp32") if mode == "float" else 2.0**scales
    steps = (scales * found.factors)[np.arange(40) // group]
    zeros = found.zeros[np.arange(40) // group]
    assert np.allclose(found.real, steps * (found.codes - zeros))
    # A scale that is rounded down leaves the ends of its group out of reach.
    beyond = 15 / 2 * found.factors if mode == "integer" else 0.0
    assert (np.abs(found.real - matrix) <= 0.5001 * steps + beyond).all()
    identity = np.eye(40, dtype=np.int64)
    c = group_matmul(
        identity,
        found.codes,
        found.scales,
        found.zeros,
        group=group,
        mode=mode,
        width_scale=32 if mode == "float" else width,
    )
    real = decode(c, "fp32") if mode == "float" else c * found.factors
    assert np.allclose(real, found.real, rtol=1e-6)


def test_groups_that_do_not_divide_have_a_shorter_one() -> None:
    matrix = np.concatenate([np.full((4, 1), 2.0), np.full((1, 1), -3.0)])
    found = group_quantized(matrix, 4, 4, "float", 32)
    assert found.scales.shape == (2, 1) and found.zeros.tolist() == [[-8], [7]]
    assert np.allclose(found.real, matrix)


def test_groups_of_zeros() -> None:
    for mode in MODES:
        found = group_quantized(np.zeros((5, 2)), 2, 4, mode, 4)
        assert not found.real.any() and np.isfinite(found.factors).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": 0}, "group: 0 is not at least 1"),
        ({"width": 9}, "width: 9 is not in 2..8"),
        ({"mode": "fp8"}, "mode: 'fp8' is not one of integer, power_of_two, float"),
        ({"matrix": np.zeros(3)}, "matrix: shape (3,) is not two-dimensional"),
    ],
)
def test_bad_groups(settings: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"matrix": np.zeros((2, 2)), "group": 2, "width": 4}
    arguments = usual | {"mode": "float", "width_scale": 32} | settings
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        group_quantized(**arguments)


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


@pytest.mark.parametrize("form", ["integer", "mitchell", "l_mul"])
def test_a_mean_product_is_set_right(form: str) -> None:
    """Over all mantissas, products times what they count add up to the exact ones."""
    codes = 0x38 + np.arange(8)
    a, b = (x.ravel() for x in np.meshgrid(codes, codes))
    exact = (numbers(a, form, 8) * numbers(b, form, 8)).sum()
    found = products(a, b, form, form, 8, 8).sum() * product_scale(form)
    assert found == pytest.approx(float(exact))


def test_columns_side_by_side() -> None:
    codes = np.array([[-8, 7, 3], [1, -1, 0]])
    assert paired(codes).tolist() == [[0x78, 0x03], [0xF1, 0x00]]
