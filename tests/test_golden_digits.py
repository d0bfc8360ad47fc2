"""Golden digits against their definitions, by brute force, and against published statistics."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.digits import RADIX, decode, digit_count, encode, ports, statistics
from golden.gemm import integer_range

DIGITS = {"booth": range(-2, 3), "ent": range(-2, 3), "csd": range(-1, 2), "bits": range(-1, 2)}
WIDTHS = range(2, 17)
SIGNED = (False, True)


def every(width: int, signed: bool) -> NDArray[np.int64]:
    lowest, highest = integer_range(width, signed)
    return np.arange(lowest, highest + 1)


@pytest.mark.parametrize("kind", RADIX)
@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_operand(kind: str, width: int, signed: bool) -> None:
    values = every(width, signed)
    digits = encode(values, kind=kind, width=width, signed=signed)
    assert digits.shape == (len(values), digit_count(kind, width, signed))
    assert np.array_equal(decode(digits, kind=kind), values)
    assert set(np.unique(digits)) <= set(DIGITS[kind])
    assert not digits[values == 0].any()
    assert digits[:, -1].any(), "the top digit is needed"
    if kind == "ent":
        assert (digits * np.sign(values)[:, None] >= -1).all()
    if kind == "csd":
        assert not (digits[:, 1:] * digits[:, :-1]).any()


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("width", WIDTHS)
def test_booth_digits_are_those_of_overlapping_triples(width: int, signed: bool) -> None:
    values = every(width, signed)
    digits = encode(values, kind="booth", width=width, signed=signed)
    for i in range(digits.shape[1]):
        low = 0 if i == 0 else values >> (2 * i - 1) & 1
        middle, high = values >> 2 * i & 1, values >> (2 * i + 1) & 1
        assert np.array_equal(digits[:, i], low + middle - 2 * high)


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("width", WIDTHS)
def test_ent_digits_are_those_of_a_carry_through_the_magnitude(width: int, signed: bool) -> None:
    values = every(width, signed)
    digits = encode(values, kind="ent", width=width, signed=signed)
    carry = np.zeros_like(values)
    for i in range(digits.shape[1]):
        total = (np.abs(values) >> 2 * i & 3) + carry
        digit = np.array([0, 1, 2, -1, 0])[total]
        assert np.array_equal(digits[:, i], np.where(values < 0, -digit, digit))
        carry = total // 3
    assert not carry.any()


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("width", range(2, 8))
def test_canonical_digits_are_fewest(width: int, signed: bool) -> None:
    values = every(width, signed)
    digits = encode(values, kind="csd", width=width, signed=signed)
    found = np.array(list(product((-1, 0, 1), repeat=digits.shape[1])))
    number, used = decode(found, kind="csd"), np.count_nonzero(found, axis=1)
    for value, mine in zip(values, np.count_nonzero(digits, axis=1), strict=True):
        assert mine == used[number == value].min()


def test_the_most_negative_operand() -> None:
    of = {kind: encode(-128, kind=kind, width=8, signed=True).tolist() for kind in RADIX}
    assert of == {
        "booth": [0, 0, 0, -2],
        "ent": [0, 0, 0, -2],
        "csd": [0] * 7 + [-1],
        "bits": [0] * 7 + [-1],
    }


@pytest.mark.parametrize("kind", RADIX)
@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("width", [2, 5, 8])
def test_ports_stand_for_the_digits(kind: str, width: int, signed: bool) -> None:
    values = every(width, signed).reshape(2, -1)
    digits = encode(values, kind=kind, width=width, signed=signed)
    place = np.arange(digits.shape[-1])
    found = {
        name: column[..., None]
        for name, column in ports(values, kind=kind, width=width, signed=signed).items()
    }
    if kind == "ent":
        magnitude = np.array([0, 1, 2, -1])[found["code"] >> 2 * place & 3]
        assert np.array_equal(magnitude * np.where(found["sign"], -1, 1), digits)
        assert np.array_equal(found["sign"][..., 0], values < 0)
        return
    bit = {name: column >> place & 1 for name, column in found.items()}
    magnitude = bit["one"] + 2 * bit["two"] if kind == "booth" else bit["nonzero"]
    assert np.array_equal(np.where(bit["negative"], -magnitude, magnitude), digits)
    assert not (bit["negative"] & (magnitude == 0)).any(), "the code of zero is zero"


# HPCA 2025: codes of INT8 with 0, 1, 2 and so on non-zero digits, and their average.
UNIFORM = {
    "booth": ([1, 12, 54, 108, 81], 3.000),
    "ent": ([1, 15, 60, 108, 72], 2.918),
    "csd": ([1, 15, 72, 120, 48], 2.777),
    "bits": ([1, 8, 28, 56, 70, 56, 28, 8, 1], 4.000),
}


@pytest.mark.parametrize("kind", RADIX)
def test_statistics_of_all_codes(kind: str) -> None:
    histogram, average = UNIFORM[kind]
    found = statistics(encode(every(8, True), kind=kind, width=8, signed=True))
    assert found.histogram[: len(histogram)].tolist() == histogram
    assert not found.histogram[len(histogram) :].any()
    assert found.average == pytest.approx(average, abs=5e-4)
    assert found.nonzero.sum() == pytest.approx(found.average)
    if kind == "ent":
        assert found.nonzero == pytest.approx([0.75, 0.75, 0.75, 0.668], abs=5e-4)


def test_weights_count_operands_more_often() -> None:
    digits = np.array([[1, 0], [0, 0], [-1, 2]])
    weighted = statistics(digits, [2, 1, 3])
    repeated = statistics(np.repeat(digits, [2, 1, 3], axis=0))
    assert weighted.average == repeated.average == pytest.approx(8 / 6)
    assert weighted.histogram.tolist() == repeated.histogram.tolist() == [1, 2, 3]
    assert weighted.nonzero == pytest.approx(repeated.nonzero)
    assert weighted.nonzero == pytest.approx([5 / 6, 3 / 6])


@pytest.mark.parametrize("kind", RADIX)
def test_no_operands_have_no_digits(kind: str) -> None:
    empty = np.zeros((0, 3), np.int8)
    assert encode(empty, kind=kind, width=8, signed=True).shape == (
        0,
        3,
        digit_count(kind, 8, True),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "naf"}, r"kind: 'naf' is not one of booth, ent, csd, bits"),
        ({"width": 1}, r"width: 1 is not in 2\.\.16"),
        ({"width": 8.0}, r"width: 8\.0 is not an integer in 2\.\.16"),
        ({"values": [1.5]}, r"values: dtype float64 is not an integer dtype"),
        ({"values": [0, 128]}, r"values\[1\]: 128 is not in -128\.\.127 \(8-bit signed\)"),
        ({"signed": False, "values": [-1]}, r"values\[0\]: -1 is not in 0\.\.255 .*"),
    ],
)
def test_bad_operands(arguments: dict[str, object], message: str) -> None:
    allowed = {"values": [1], "kind": "ent", "width": 8, "signed": True}
    with pytest.raises(ValueError, match=f"^{message}$"):
        encode(**(allowed | arguments))  # type: ignore[arg-type]


def test_bad_digits() -> None:
    with pytest.raises(ValueError, match=r"^kind: 'naf' is not one of booth, ent, csd, bits$"):
        decode([1], kind="naf")
    with pytest.raises(ValueError, match=r"^digits: dtype float64 is not an integer dtype$"):
        decode([1.0], kind="csd")
    with pytest.raises(ValueError, match=r"^digits: shape \(\) has no digits"):
        decode(1, kind="csd")
    with pytest.raises(ValueError, match=r"^digits: shape \(2,\) is not \[operands, digits\]"):
        statistics([1, 0])
    with pytest.raises(ValueError, match=r"^weights: shape \(1,\) is not \(2,\)$"):
        statistics([[1], [0]], [1.0])
    for weights in ([0.0, 0.0], [1.0, -1.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match=r"^weights: they are not all finite"):
            statistics([[1], [0]], weights)
