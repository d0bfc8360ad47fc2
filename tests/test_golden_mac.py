"""Golden multiply-add and multiply-accumulate against Python integers, step by step."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.mac import multiply_accumulate, multiply_add

SIGNS = [(True, True), (True, False), (False, True), (False, False)]


def wrapped(value: int, width: int, signed: bool) -> int:
    value %= 2**width
    return value - 2**width if signed and value >= 2 ** (width - 1) else value


def operand(signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2**15), 2**15 - 1) if signed else st.integers(0, 2**16 - 1)


@given(st.data(), st.sampled_from(SIGNS), st.integers(2, 63))
def test_multiply_add(data: st.DataObject, signs: tuple[bool, bool], width: int) -> None:
    signed = any(signs)
    addend = st.integers(0, 2**width - 1).map(lambda v: wrapped(v, width, signed))
    triples = data.draw(
        st.lists(st.tuples(operand(signs[0]), operand(signs[1]), addend), min_size=1)
    )
    a, b, c = (np.array(column) for column in zip(*triples, strict=True))
    result = multiply_add(a, b, c, width_acc=width, signed_a=signs[0], signed_b=signs[1])
    assert list(result) == ["sum"]
    assert result["sum"].tolist() == [wrapped(x * y + z, width, signed) for x, y, z in triples]


@given(st.data(), st.sampled_from(SIGNS), st.integers(2, 63))
def test_multiply_accumulate(data: st.DataObject, signs: tuple[bool, bool], width: int) -> None:
    step = st.tuples(operand(signs[0]), operand(signs[1]), st.booleans(), st.booleans())
    steps = data.draw(st.lists(step, min_size=1, max_size=60))
    acc, expected = 0, []
    for x, y, clear, valid in steps:
        if valid:
            acc = (0 if clear else acc) + x * y
        expected.append(wrapped(acc, width, any(signs)))
    columns = (np.array(column) for column in zip(*steps, strict=True))
    result = multiply_accumulate(*columns, width_acc=width, signed_a=signs[0], signed_b=signs[1])
    assert result["sum"].tolist() == expected


def test_products_beyond_int64_stay_exact_modulo_the_width() -> None:
    big = 2**40 + 12345
    result = multiply_add([big], [big], [7], width_acc=63, signed_a=True, signed_b=True)
    assert result["sum"].tolist() == [wrapped(big * big + 7, 63, True)]


def test_multiply_add_takes_any_shape() -> None:
    a = np.arange(24).reshape(2, 3, 4)
    result = multiply_add(a, a, a, width_acc=32, signed_a=True, signed_b=True)
    assert np.array_equal(result["sum"], a * a + a)


def test_clear_needs_valid_and_a_held_step_repeats_the_sum() -> None:
    result = multiply_accumulate(
        [9, 2, 5, 3, 4],
        [9, 3, 5, 1, 1],
        [0, 0, 1, 0, 1],
        [0, 1, 0, 1, 1],
        width_acc=16,
        signed_a=False,
        signed_b=False,
    )
    assert result["sum"].tolist() == [0, 6, 6, 9, 4]


def test_no_steps() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    result = multiply_accumulate(
        nothing, nothing, nothing, nothing, width_acc=8, signed_a=True, signed_b=True
    )
    assert result["sum"].shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width_acc": 1}, "width_acc: 1 is not in 2..63"),
        ({"a": [0.5]}, "a: dtype float64 is not an integer dtype"),
        ({"b": [1, 2]}, "b: shape (2,) is not (1,), that of a"),
        ({"b": [-1]}, "b[0]: -1 is not in 0..9223372036854775807 (63-bit unsigned)"),
        ({"addend": [128]}, "addend[0]: 128 is not in -128..127 (8-bit signed)"),
    ],
)
def test_multiply_add_bad_input(arguments: dict[str, object], message: str) -> None:
    good = {"a": [1], "b": [1], "addend": [1], "width_acc": 8, "signed_a": True, "signed_b": False}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        multiply_add(**(good | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": [[[1]]]}, "a: shape (1, 1, 1) is not [t] or [t, terms]"),
        ({"a": [[1]]}, "b: shape (1,) is not (1, 1), that of a"),
        ({"clear": [2]}, "clear[0]: 2 is not in 0..1 (1-bit unsigned)"),
        ({"i_valid": [1.0]}, "i_valid: dtype float64 is not bool or an integer dtype"),
        ({"i_valid": [1, 1]}, "i_valid: shape (2,) is not (1,), that of a"),
        ({"width_acc": 99}, "width_acc: 99 is not in 2..63"),
    ],
)
def test_multiply_accumulate_bad_input(arguments: dict[str, object], message: str) -> None:
    good = {"a": [1], "b": [1], "clear": [1], "i_valid": [1]}
    options = {"width_acc": 8, "signed_a": True, "signed_b": True}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        multiply_accumulate(**(good | options | arguments))  # type: ignore[arg-type]
