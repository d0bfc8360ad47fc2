"""Golden sums against Python's integers, and what they refuse."""

import re

import numpy as np
import pytest
from helpers import random_generator

from golden.addition import add, total


@pytest.mark.parametrize("width", [2, 7, 32, 63])
def test_add(width: int) -> None:
    rng = random_generator()
    a, b = rng.integers(0, (1 << width) - 1, (2, 200), endpoint=True)
    found = add(a, b, width=width)["sum"]
    assert found.tolist() == [
        (x + y) % (1 << width) for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]


def test_total() -> None:
    words = random_generator().integers(-(1 << 31), 1 << 31, (50, 64))
    found = total(words, width=32, signed=True)["sum"]
    assert found.tolist() == [sum(row) for row in words.tolist()]
    assert total(np.full((2, 3), 15), width=4, signed=False)["sum"].tolist() == [45, 45]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": [8]}, "a[0]: 8 is not in 0..7 (3-bit unsigned)"),
        ({"b": [-1]}, "b[0]: -1 is not in 0..7 (3-bit unsigned)"),
        ({"a": [1.0]}, "a: dtype float64 is not an integer dtype"),
        ({"b": [1, 2]}, "b: shape (2,) is not (1,), that of a"),
        ({"width": 64}, "width: 64 is not in 2..63"),
    ],
)
def test_add_bad_input(arguments: dict[str, object], message: str) -> None:
    good = {"a": [1], "b": [1], "width": 3}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        add(**{**good, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": [[4]]}, "a[0, 0]: 4 is not in -4..3 (3-bit signed)"),
        ({"a": 1}, "a: shape () is not [..., words]"),
        ({"width": 33}, "width: 33 is not in 2..32"),
    ],
)
def test_total_bad_input(arguments: dict[str, object], message: str) -> None:
    good = {"a": [[1]], "width": 3, "signed": True}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        total(**{**good, **arguments})  # type: ignore[arg-type]
