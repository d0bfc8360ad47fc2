"""Operands of units for floats: whether all that is special does appear."""

import numpy as np
import pytest
from helpers import SEED, random_generator

from golden.float_operands import blocks, pair, running_blocks, to_encode, to_scale
from golden.formats import FORMATS, Codes, decode, encode, greatest_code
from golden.mx import ELEMENTS, accumulate, dot, scale_of

COUNT = 10_000
SOURCES = ("bf16", "fp16", "fp32")


def special_codes(name: str) -> list[int]:
    """Zero, the ends of the subnormals, the least normal, 1, the largest, infinity."""
    places = 1 << FORMATS[name].mantissa
    largest = greatest_code(name)
    return [0, 1, places - 1, places, int(encode([1.0], name)[0]), largest, largest + 1]


def has_specials(column: Codes, name: str, share: float) -> bool:
    """Whether each special code, with either sign, and NaN are that share of a column at least."""
    top = 1 << (FORMATS[name].width - 1)
    shares = [np.mean(column == code + sign) for code in special_codes(name) for sign in (0, top)]
    return float(min(*shares, np.isnan(decode(column, name)).mean())) >= share


@pytest.mark.parametrize("name", SOURCES)
def test_pairs(name: str) -> None:
    random_generator()
    a, b = pair(COUNT, SEED, format=name).values()
    assert has_specials(a, name, 0.004) and has_specials(b, name, 0.002)
    x, y = decode(a, name), decode(b, name)
    with np.errstate(all="ignore"):
        finite = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
        distance = np.abs(np.log2(np.abs(x / y)))
        product = np.log2(np.abs(x)) + np.log2(np.abs(y))
    least, most = np.log2(decode([1, greatest_code(name)], name))
    assert np.mean(x == -y) > 0.01
    assert np.mean((distance < FORMATS[name].mantissa + 4)[finite]) > 0.25
    for end in (least + FORMATS[name].mantissa, most):
        assert np.mean((np.abs(product - end) < 4)[finite]) > 0.03
    infinite = [np.isinf(x), np.isinf(y)]
    assert (infinite[0] & (y == 0)).any() and (x[infinite[0]] == -y[infinite[0]]).any()


@pytest.mark.parametrize("format", ["e4m3", "e5m2", "e2m1", "mxint8", "int4", "pot4", "fp16"])
@pytest.mark.parametrize("source", SOURCES)
def test_operands_of_encoders(source: str, format: str) -> None:
    random_generator()
    a = to_encode(COUNT, SEED, source=source, format=format)["a"]
    assert has_specials(a, source, 0.001)
    found = encode(decode(a, source), format)
    nonzero = found[decode(found, format) != 0]
    assert len(nonzero) > 0.4 * COUNT
    if FORMATS[format].width <= 8:
        finite = np.isfinite(decode(np.arange(1 << FORMATS[format].width), format))
        assert set(np.flatnonzero(finite)) <= set(found)


@pytest.mark.parametrize("source", SOURCES)
def test_blocks_to_scale(source: str) -> None:
    random_generator()
    kind = {"source": source, "format": "e4m3", "block": 32}
    a = to_scale(COUNT, SEED, **kind)["a"]  # type: ignore[arg-type]
    zeros = (a == 0).sum(axis=1)
    assert np.mean(zeros == 32) > 0.05 and np.mean(zeros == 31) > 0.05
    scale = scale_of(a, scale_rule="floor", **kind)["scale"]  # type: ignore[arg-type]
    assert 0.05 < np.mean(scale == 255) < 0.3
    small = (a.max(axis=1) < 9 << FORMATS[source].mantissa) & (zeros < 31)
    assert np.mean(small) > 0.05
    assert len(set(scale)) > (25 if source == "fp16" else 200)


@pytest.mark.parametrize("format", ELEMENTS)
def test_blocks_to_multiply(format: str) -> None:
    random_generator()
    found = blocks(2000, SEED, format_a=format, format_b=format, block=32)
    code = dot(**found, format_a=format, format_b=format)["sum"]
    assert np.mean(np.isnan(decode(code, "fp32"))) < 0.4
    steps = running_blocks(2000, SEED, format_a=format, format_b=format, block=32)
    sums = accumulate(**steps, format_a=format, format_b=format)["sum"]
    assert np.mean(np.isfinite(decode(sums, "fp32"))) > 0.4 and len(set(sums)) > 200
