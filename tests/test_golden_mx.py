"""Dot products of microscaling blocks: the exact sum, its rounding, specials, and encoding."""

from fractions import Fraction
from itertools import product

import ml_dtypes
import numpy as np
import pytest

from golden.float_operands import random_blocks
from golden.formats import FORMATS, Codes, decode, greatest_code
from golden.mx import (
    ELEMENTS,
    SCALE_RULES,
    accumulate,
    dot,
    grid,
    products,
    quantize,
    round_to_float32,
    shared_scale,
)

NAN, INFINITY = 0x7FC00000, 0x7F800000


def all_pairs(format_a: str, format_b: str) -> tuple[Codes, Codes]:
    widths = FORMATS[format_a].width, FORMATS[format_b].width
    a, b = np.divmod(np.arange(2 ** sum(widths), dtype=np.int64), 2 ** widths[1])
    return a, b


@pytest.mark.parametrize(("format_a", "format_b"), list(product(ELEMENTS, repeat=2)))
def test_every_product(format_a: str, format_b: str) -> None:
    a, b = all_pairs(format_a, format_b)
    found = products(a, b, format_a=format_a, format_b=format_b)
    with np.errstate(invalid="ignore"):
        wanted = decode(a, format_a) * decode(b, format_b)  # exact: 8 bits at most
    scale = 2.0 ** (grid(format_a) + grid(format_b))
    finite = np.isfinite(wanted)
    assert np.array_equal(found["product"][finite].astype(np.float64) * scale, wanted[finite])
    assert np.array_equal(found["nan"], np.isnan(wanted))
    assert np.array_equal(found["infinite"], np.isinf(wanted))
    assert np.array_equal(found["negative"] == 1, np.isneginf(wanted))


@pytest.mark.parametrize(
    ("format_a", "format_b"),
    [(a, b) for a, b in product(ELEMENTS, repeat=2) if "e5m2" not in (a, b)],
)
def test_against_float64_where_that_is_exact(format_a: str, format_b: str) -> None:
    rng = np.random.default_rng(1)
    blocks = random_blocks(rng, format_a, format_b, 5000, 32)
    found = dot(*blocks, format_a=format_a, format_b=format_b)["sum"]
    total = (decode(blocks.a, format_a) * decode(blocks.b, format_b)).sum(axis=1)
    scales = decode(blocks.scale_a, "e8m0") * decode(blocks.scale_b, "e8m0")
    with np.errstate(over="ignore"):
        wanted = (total * scales).astype(np.float32)
    codes = wanted.view(np.uint32).astype(np.int64)
    codes = np.where(np.isnan(wanted), NAN, np.where(total == 0, 0, codes))
    codes = np.where(np.isnan(scales), NAN, codes)
    assert np.array_equal(found, codes)
    assert (found == NAN).any() and (found == INFINITY).any() and (found == 0).any()
    assert ((found & 0x7F800000 == 0) & (found & 0x7FFFFF > 0)).any()


def test_rounding_is_to_the_nearest_of_all() -> None:
    """Of integers too wide for float64."""
    rng = np.random.default_rng(1)
    for _ in range(2000):
        bits = int(rng.integers(1, 75))
        integer = int.from_bytes(rng.bytes(10), "little") >> (80 - bits)
        if rng.random() < 0.3:  # a tie, or next to one
            integer = ((integer | 1) << 20) + int(rng.integers(-1, 2))
        exponent = int(rng.integers(-240, 30))
        exact = Fraction(integer) * Fraction(2) ** exponent
        found = round_to_float32(integer, exponent)
        assert round_to_float32(-integer, exponent) == -found
        nearest = np.float32(found)
        assert nearest == found
        for other in (np.nextafter(nearest, np.float32(s * np.inf)) for s in (-1, 1)):
            gap = abs(Fraction(float(other)) - exact) - abs(Fraction(float(nearest)) - exact)
            assert gap > 0 or (gap == 0 and nearest.view(np.uint32) % 2 == 0)
    assert round_to_float32(0, 5) == 0 and round_to_float32(1, -150) == 0
    assert round_to_float32(3, -151) == 2.0**-149


def one_block(format: str, a: list[int], b: list[int], *scales: int) -> int:
    """Dot product of one block; scales are 1 unless given."""
    scale_a, scale_b = (*scales, 127, 127)[:2]
    found = dot([a], [b], [scale_a], [scale_b], format_a=format, format_b=format)
    (code,) = found["sum"]
    return int(code)


def test_specials() -> None:
    one, inf, minus_inf, nan, zero = 0x3C, 0x7C, 0xFC, 0x7E, 0
    for scale in (0, 127, 254):
        assert one_block("e5m2", [inf, one], [one, one], scale) == INFINITY
        assert one_block("e5m2", [inf, one], [minus_inf, nan], scale) == NAN
    assert one_block("e5m2", [inf, one], [one | 0x80, one]) == INFINITY | 1 << 31
    assert one_block("e5m2", [inf, inf], [inf, minus_inf]) == NAN
    assert one_block("e5m2", [inf, one], [zero, one]) == NAN
    assert one_block("e5m2", [0x80, one], [inf, one]) == NAN
    assert one_block("e5m2", [inf, one], [1, one]) == INFINITY  # a subnormal is not zero
    assert one_block("e4m3", [0x7F, 0], [0, 0]) == NAN == one_block("e4m3", [0], [0xFF])
    assert one_block("e2m1", [2], [2], 255) == NAN == one_block("e2m1", [2], [2], 0, 255)
    assert one_block("e2m1", [8, 8], [2, 2]) == 0  # no -0 from zeros
    assert one_block("e2m1", [2, 10], [2, 2]) == 0
    assert one_block("e2m1", [10], [2], 0, 1) == 1 << 31  # rounds to -0
    assert one_block("e2m1", [2], [2], 0, 127 - 22 + 127 - 127) == 1  # 2**-149
    assert one_block("e2m1", [2], [2], 254, 127) == 0x7F000000
    assert one_block("e2m1", [4], [2], 254, 127) == INFINITY
    extreme = [greatest_code("mxint8") + 1] * 64
    assert one_block("mxint8", extreme, extreme) == int(np.float32(256).view(np.uint32))


@pytest.mark.parametrize("format", ELEMENTS)
@pytest.mark.parametrize("scale_rule", SCALE_RULES)
def test_shared_scales(format: str, scale_rule: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2000, 32)) * np.exp2(rng.integers(-100, 100, (2000, 1)))
    scale = decode(shared_scale(values, format=format, scale_rule=scale_rule), "e8m0")
    largest = np.abs(values).max(axis=1)
    (top,) = decode([greatest_code(format)], format)
    if scale_rule == "ceil":
        assert (scale * top >= largest).all() and (scale / 2 * top < largest).all()
    else:
        wanted = np.exp2(np.floor(np.log2(largest)) - np.floor(np.log2(top)))
        assert np.array_equal(scale, wanted)
    edges = np.array([[0, 0], [np.nan, 1], [1, -np.inf], [1e-300, 0], [1e300, 0]])
    found = shared_scale(edges, format=format, scale_rule=scale_rule)
    assert found.tolist() == [0, 255, 255, 0, 254]


@pytest.mark.parametrize(
    ("format", "share"), [("e2m1", 0.29), ("e3m2", 0.17), ("e4m3", 0.17), ("e2m3", 0.10)]
)
def test_published_share_of_blocks_that_saturate(format: str, share: float) -> None:
    """Of normal numbers, with the rule of the standard."""
    values = np.random.default_rng(1).normal(size=(20_000, 32))
    elements, scale = quantize(values, format=format)
    (top,) = decode([greatest_code(format)], format)
    beyond = (np.abs(values) > top * decode(scale, "e8m0")[:, None]).any(axis=1)
    assert beyond.mean() == pytest.approx(share, abs=0.015)
    assert np.array_equal(
        np.abs(decode(elements, format)).max(axis=1)[beyond], top + 0 * beyond[beyond]
    )


@pytest.mark.parametrize(
    ("format", "scale_rule", "decibel"),
    [("e4m3", "floor", 30.7), ("e4m3", "ceil", 31.5), ("e2m1", "floor", 18.79),
     ("e2m1", "ceil", 18.76)],
)  # fmt: skip
def test_published_noise(format: str, scale_rule: str, decibel: float) -> None:
    values = np.random.default_rng(1).normal(size=(20_000, 32))
    elements, scale = quantize(values, format=format, scale_rule=scale_rule)
    error = decode(elements, format) * decode(scale, "e8m0")[:, None] - values
    assert 10 * np.log10((values**2).mean() / (error**2).mean()) == pytest.approx(decibel, abs=0.1)


def test_quantized_elements_are_casts() -> None:
    values = np.random.default_rng(1).normal(size=(100, 32))
    elements, scale = quantize(values, format="e2m1")
    scaled = (values / decode(scale, "e8m0")[:, None]).astype(np.float32)
    assert np.array_equal(elements, scaled.astype(ml_dtypes.float4_e2m1fn).view(np.uint8))
    assert quantize(np.array([[np.nan, 1.0]]), format="e4m3")[0].tolist() == [[0, 0]]


def test_running_sum_is_the_addition_of_float32() -> None:
    rng = np.random.default_rng(1)
    blocks = random_blocks(rng, "e2m1", "mxint8", 3000, 8)
    blocks = blocks._replace(scale_a=rng.integers(120, 130, 3000), scale_b=blocks.scale_a)
    clear, valid = (rng.random((2, 3000)) < [[0.02], [0.8]]).astype(np.int64)
    formats = {"format_a": "e2m1", "format_b": "mxint8"}
    found = accumulate(*blocks, clear, valid, **formats)["sum"]
    dots = dot(*blocks, **formats)["sum"].astype(np.uint32).view(np.float32)
    total = np.float32(0)
    with np.errstate(all="ignore"):
        for t in range(3000):
            if valid[t]:
                total = (np.float32(0) if clear[t] else total) + dots[t]
            code = NAN if np.isnan(total) else int(total.view(np.uint32))
            assert found[t] == code, t


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format_a: 'fp16' is not one of e4m3, "):
        one_block("fp16", [0], [0])
    with pytest.raises(ValueError, match=r"^b: a code is not in 0\.\.15$"):
        one_block("e2m1", [0], [16])
    with pytest.raises(ValueError, match=r"^scale_a: a code is not in 0\.\.255$"):
        one_block("e2m1", [0], [0], 256)
    with pytest.raises(ValueError, match=r"^scale_a: shape \(2,\) does not fit elements of"):
        dot([[0]], [[0]], [0, 0], [0, 0], format_a="e2m1", format_b="e2m1")
    with pytest.raises(ValueError, match=r"^scale_rule: 'round' is not one of floor, ceil$"):
        shared_scale([[1.0]], format="e2m1", scale_rule="round")
    with pytest.raises(ValueError, match=r"^values: shape \(\) is not \[\.\.\., block\]"):
        shared_scale(1.0, format="e2m1")
    with pytest.raises(ValueError, match=r"^format: 'int8' is not one of e4m3, "):
        quantize([[1.0]], format="int8")
    with pytest.raises(ValueError, match=r"^clear: shape \(2,\) is not \[t\], that of \(1,\)$"):
        accumulate([[0]], [[0]], [0], [0], [0, 0], [1], format_a="e2m1", format_b="e2m1")
