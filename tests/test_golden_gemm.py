"""The golden matrix product against Python's own big integers."""

import re
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.gemm import accumulator_range, check_matrix, integer_range, matmul, wrap

Rows = list[list[int]]


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def reference(a: Rows, b: Rows, width: int, signed: bool, overflow: str) -> Rows:
    """Schoolbook product, one Python integer at a time."""
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    result = []
    for row in a:
        line = []
        for column in zip(*b, strict=True):
            acc = 0
            for x, y in zip(row, column, strict=True):
                acc += x * y
                if overflow == "saturate":
                    acc = min(max(acc, low), high)
                elif not low <= acc <= high:
                    acc = (acc - low) % 2**width + low
            line.append(acc)
        result.append(line)
    return result


@st.composite
def problems(draw: st.DrawFn) -> tuple[Rows, Rows, dict[str, int | bool | str]]:
    m, k, n = (draw(st.integers(1, 6)) for _ in range(3))
    operands = []
    options: dict[str, int | bool | str] = {}
    for name, rows, columns in (("a", m, k), ("b", k, n)):
        width, signed = draw(st.integers(2, 16)), draw(st.booleans())
        low, high = integer_range(width, signed)
        element = st.one_of(st.sampled_from([low, high, 0]), st.integers(low, high))
        row = st.lists(element, min_size=columns, max_size=columns)
        operands.append(draw(st.lists(row, min_size=rows, max_size=rows)))
        options |= {f"width_{name}": width, f"signed_{name}": signed}
    options["width_acc"] = draw(st.integers(2, 63))
    options["overflow"] = draw(st.sampled_from(["wrap", "saturate"]))
    return operands[0], operands[1], options


@settings(max_examples=300, deadline=None)
@given(problems())
def test_matches_python_integers(problem: tuple[Rows, Rows, dict[str, int | bool | str]]) -> None:
    a, b, options = problem
    signed = bool(options["signed_a"] or options["signed_b"])
    expected = reference(a, b, int(options["width_acc"]), signed, str(options["overflow"]))
    result = matmul(np.array(a), np.array(b), **options)  # type: ignore[arg-type]
    assert result.dtype == np.int64
    assert result.tolist() == expected


@pytest.mark.parametrize(
    ("overflow", "signs", "a", "b", "expected"),
    [
        ("wrap", (True, True), [-128, -128], [-128, -128], -(2**15)),
        ("saturate", (True, True), [-128, -128], [-128, -128], 2**15 - 1),
        ("wrap", (False, False), [255, 255], [255, 255], 2 * 255 * 255 - 2**16),
        ("saturate", (False, False), [255, 255], [255, 255], 2**16 - 1),
        ("saturate", (True, False), [-128, -128], [255, 255], -(2**15)),
        # Saturated in the second step, then down again: order and every step matter.
        ("saturate", (True, True), [-128, -128, -128, 127], [-128, -128, -128, -128], 16511),
    ],
)
def test_extremes_in_a_16_bit_accumulator(
    overflow: str, signs: tuple[bool, bool], a: list[int], b: list[int], expected: int
) -> None:
    result = matmul(
        [a],
        np.array([b]).T,
        width_acc=16,
        signed_a=signs[0],
        signed_b=signs[1],
        overflow=overflow,
    )
    assert result.tolist() == [[expected]]


def test_sum_beyond_float64_is_exact() -> None:
    k = 2**21 + 101  # odd, so that the sum is odd and float64 cannot hold it
    a = np.full((1, k), 2**16 - 1, dtype=np.uint16)
    result = matmul(a, a.T, width_a=16, width_b=16, width_acc=63, signed_a=False, signed_b=False)
    assert result.tolist() == [[k * (2**16 - 1) ** 2]]
    assert k * (2**16 - 1) ** 2 > 2**53


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ((True, True), (3 * 127 * -8, 3 * -128 * -8)),
        ((True, False), (3 * -128 * 15, 3 * 127 * 15)),
        ((False, True), (3 * 255 * -8, 3 * 255 * 7)),
        ((False, False), (0, 3 * 255 * 15)),
    ],
)
def test_accumulator_range(signs: tuple[bool, bool], expected: tuple[int, int]) -> None:
    assert accumulator_range(3, 8, 4, *signs) == expected


def test_wrap_at_the_widest() -> None:
    values = np.array([2**62, -(2**62) - 1, -1], dtype=np.int64)
    assert wrap(values, 63, True).tolist() == [-(2**62), 2**62 - 1, -1]
    assert wrap(values, 63, False).tolist() == [2**62, 2**62 - 1, 2**63 - 1]


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("width_acc", [16, 32])
def test_512_cubed_is_fast(overflow: str, width_acc: int) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (512, 512), dtype=np.int8) for _ in range(2))
    start = time.process_time()
    matmul(a, b, width_acc=width_acc, overflow=overflow)
    # Measured 0.01 to 0.3 s; a product without BLAS or vectors takes far more than the limit.
    assert time.process_time() - start < 3.0


ONE = [[1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width_a": 1}, "width_a: 1 is not in 2..16"),
        ({"width_b": 17}, "width_b: 17 is not in 2..16"),
        ({"width_a": 8.0}, "width_a: 8.0 is not an integer in 2..16"),
        ({"width_b": True}, "width_b: True is not an integer in 2..16"),
        ({"width_acc": 64}, "width_acc: 64 is not in 2..63"),
        ({"overflow": "clamp"}, "overflow: 'clamp' is not one of wrap, saturate"),
        ({"a": [[1.0]]}, "a: dtype float64 is not an integer dtype"),
        ({"b": [[True]]}, "b: dtype bool is not an integer dtype"),
        ({"a": [[2**70]]}, "a: dtype object is not an integer dtype"),
        ({"a": [1]}, "a: shape (1,) is not two-dimensional"),
        (
            {"b": np.zeros((1, 0), dtype=np.int8)},
            "b: shape (1, 0) is empty, each dimension is at least 1",
        ),
        ({"a": [[1, 128]]}, "a[0, 1]: 128 is not in -128..127 (8-bit signed)"),
        ({"b": [[1], [-129]]}, "b[1, 0]: -129 is not in -128..127 (8-bit signed)"),
        ({"a": [[-1]], "signed_a": False}, "a[0, 0]: -1 is not in 0..255 (8-bit unsigned)"),
        (
            {"a": np.array([[2**64 - 1]], dtype=np.uint64)},
            "a[0, 0]: 18446744073709551615 is not in -128..127 (8-bit signed)",
        ),
        (
            {"a": [[1, 1, 1]], "b": [[1], [1]]},
            "b: shape (2, 1) does not fit a of shape (1, 3), b must have 3 rows",
        ),
    ],
)
def test_bad_input_names_parameter_value_and_allowed(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        matmul(**({"a": ONE, "b": ONE} | arguments))  # type: ignore[arg-type]


def test_bad_k() -> None:
    with pytest.raises(ValueError, match=r"^k: 0 is not at least 1$"):
        accumulator_range(0, 8, 8, True, True)


def test_check_matrix_returns_int64_and_leaves_the_input() -> None:
    matrix = np.array([[200]], dtype=np.uint8)
    checked = check_matrix("a", matrix, 8, False)
    assert checked.dtype == np.int64
    checked[0, 0] = 1
    assert matrix[0, 0] == 200


def test_products_of_logarithms() -> None:
    """1.5 * 1.5 is 2, and with L-Mul's offset 2.25; sums count 2**-15."""
    one, three_halves = 0x38, 0x3C
    a = np.array([[three_halves, one, three_halves | 0x80 - 0x100]])
    b = np.array([[three_halves], [one], [one]])
    for form, found in (("mitchell", 2 + 1 - 1.5), ("l_mul", 2.25 + 1.125 - 1.625)):
        product = partial(matmul, a, b, format_a=form, format_b=form, width_acc=40)
        assert product().tolist() == [[found * 2**15]]
        message = f"overflow: 'saturate' is not wrap, as format {form} needs"
        with pytest.raises(ValueError, match=exactly(message)):
            product(overflow="saturate")
    message = "overflow: 'saturate' is not wrap, as format halves4 needs"
    with pytest.raises(ValueError, match=exactly(message)):
        matmul(a, b, width_b=9, format_b="halves4", overflow="saturate")
