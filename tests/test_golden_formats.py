"""Number formats: every code, and rounding, against ml_dtypes and against neighbouring codes."""

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike

from golden.formats import FORMATS, Codes, Values, decode, decoded, encode, encoded, greatest_code

DTYPES: dict[str, DTypeLike] = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp32": np.float32,
}
FLOATS = [name for name in DTYPES if name != "e8m0"]
SOURCES = ("bf16", "fp16")
SMALL = [name for name, found in FORMATS.items() if found.width <= 16]


def all_codes(name: str) -> Codes:
    return np.arange(2 ** FORMATS[name].width, dtype=np.int64)


def viewed(codes: Codes, name: str) -> Values:
    """Values of codes, as ml_dtypes has them."""
    dtype = np.dtype(DTYPES[name])
    with np.errstate(invalid="ignore"):  # signalling NaN
        return codes.astype(f"<u{dtype.itemsize}").view(dtype).astype(np.float64)


def cast(values: Values, name: str) -> Codes:
    """Codes of values, as ml_dtypes has them."""
    with np.errstate(all="ignore"):
        rounded = values.astype(np.float32).astype(DTYPES[name])
    return rounded.view(f"<u{rounded.dtype.itemsize}").astype(np.int64)


def test_the_table() -> None:
    """Maximum, least normal and least subnormal value, as the OCP specifications print them."""
    printed = {
        "e4m3": (448, 2**-6, 2**-9),
        "e5m2": (57344, 2**-14, 2**-16),
        "e3m2": (28, 2**-2, 2**-4),
        "e2m3": (7.5, 1, 2**-3),
        "e2m1": (6, 1, 0.5),
        "fp16": (65504, 2**-14, 2**-24),
    }
    for name, figures in printed.items():
        least_normal = 1 << FORMATS[name].mantissa
        codes = np.array([greatest_code(name), least_normal, 1])
        assert tuple(decode(codes, name)) == figures, name
    assert decode([0, 1, 2, 3, 4, 5, 6, 7], "e2m1").tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert decode([0x7F, 0x80, 0xFF], "mxint8").tolist() == [1.984375, -2, -1 / 64]
    assert decode([0, 127, 254], "e8m0").tolist() == [2.0**-127, 1, 2.0**127]
    assert decode([0, 1, 15, 16, 31], "pot5").tolist() == [0, 2**-14, 1, 0, -1]
    assert decode([15 | 14 << 5 | 29 << 10], "pot5x3").tolist() == [1 + 0.5 - 0.25]


@pytest.mark.parametrize("name", [n for n in DTYPES if n != "fp32"])
def test_every_code_against_ml_dtypes(name: str) -> None:
    codes = all_codes(name)
    found, expected = decode(codes, name), viewed(codes, name)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(
        np.signbit(found)[~np.isnan(found)], np.signbit(expected)[~np.isnan(found)]
    )


def test_fp32_against_numpy() -> None:
    codes = np.random.default_rng(1).integers(0, 2**32, 10**6)
    codes[:8] = [0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000]
    found = decode(codes, "fp32")
    assert np.array_equal(found, viewed(codes, "fp32"), equal_nan=True)
    number = ~np.isnan(found)
    assert np.array_equal(encode(found, "fp32")[number & np.isfinite(found)],
                          codes[number & np.isfinite(found)])  # fmt: skip
    assert np.array_equal(encode(found, "fp32", saturate=False)[number], codes[number])


@pytest.mark.parametrize(("bits", "dtype"), [(4, ml_dtypes.int4), (2, ml_dtypes.int2)])
def test_integers_against_ml_dtypes(bits: int, dtype: DTypeLike) -> None:
    values = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    expected = values.astype(dtype).view(np.uint8) & ((1 << bits) - 1)
    assert np.array_equal(encode(values, f"int{bits}"), expected)
    assert np.array_equal(decode(expected, f"int{bits}"), values)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", FLOATS)
def test_encode_without_saturation_is_the_cast_of_ml_dtypes(source: str, name: str) -> None:
    values = decode(all_codes(source), source)
    found = encode(values, name, saturate=False)
    number = ~np.isnan(values)
    expected = cast(values[number], name)
    # It keeps the sign of a magnitude that turns into NaN; here NaN has one code.
    expected = np.where(np.isnan(viewed(expected, name)), 0x7F, expected)
    assert np.array_equal(found[number], expected)
    assert np.isnan(decode(found[~number], name)).all() == (FORMATS[name].specials != "none")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", FLOATS)
def test_saturation(source: str, name: str) -> None:
    """It changes what is not finite, and that alone."""
    values = decode(all_codes(source), source)
    values = values[~np.isnan(values)]
    largest = decode([greatest_code(name)], name)[0]
    free = decode(encode(values, name, saturate=False), name)
    kept = decode(encode(values, name, saturate=True), name)
    finite = np.isfinite(free)
    assert np.array_equal(kept[finite], free[finite])
    assert np.array_equal(kept[~finite], np.copysign(largest, values[~finite]))


def test_traps_of_casts() -> None:
    e4m3 = np.array([448, 464, np.nextafter(464, 500), 480, np.inf, -np.inf, np.nan])
    assert encode(e4m3, "e4m3").tolist() == [0x7E] * 5 + [0xFE, 0x7F]
    assert encode(e4m3, "e4m3", saturate=False).tolist() == [0x7E, 0x7E] + [0x7F] * 5
    e5m2 = np.array([57344, np.nextafter(61440, 0), 61440, -61440, np.inf, np.nan])
    assert encode(e5m2, "e5m2").tolist() == [0x7B, 0x7B, 0x7B, 0xFB, 0x7B, 0x7E]
    assert encode(e5m2, "e5m2", saturate=False).tolist() == [0x7B, 0x7B, 0x7C, 0xFC, 0x7C, 0x7E]
    e2m1 = np.array([7, 1e30, -np.inf, np.nan, -np.nan, -0.0, -0.25, -0.2500001, 0.75, 1.25])
    for saturate in (False, True):
        assert encode(e2m1, "e2m1", saturate).tolist() == [7, 7, 15, 0, 0, 8, 8, 9, 2, 2]
    assert encode([-2.5, -2.5078125, -9, 9, np.nan], "mxint8").tolist() == [0x80] * 3 + [0x7F, 0]
    assert encode([-7.5, -8.5, 7.5, 0.5, 1.5, -np.inf], "int4").tolist() == [8, 8, 7, 0, 2, 8]
    scales = [0, 2.0**-128, 1, 1.5, 3, 3.1, 2.0**127, 1.6 * 2.0**127, np.inf, -1, np.nan]
    expected = [0, 0, 127, 128, 128, 129, 254, 254, 254, 255, 255]
    assert encode(scales, "e8m0").tolist() == expected
    assert encode(scales, "e8m0", saturate=False).tolist() == [*expected[:7], 255, 255, 255, 255]


def test_scales_against_ml_dtypes() -> None:
    """Normal values of FP32 below the largest scale; ml_dtypes rounds subnormals otherwise."""
    values = viewed(np.random.default_rng(1).integers(0x00800000, 0x7F000000, 10**5), "fp32")
    assert np.array_equal(encode(values, "e8m0"), cast(values, "e8m0"))


@pytest.mark.parametrize("name", [n for n in SMALL if "x" not in n or n == "mxint8"])
def test_nearest_with_ties_to_even(name: str) -> None:
    """Every code, and the points halfway to its neighbour and on both sides of it."""
    codes = all_codes(name)
    values = decode(codes, name)
    keep = np.isfinite(values) & ~((values == 0) & (codes > 0))
    codes, values = codes[keep], values[keep]
    assert np.array_equal(encode(values, name), codes)
    order = np.argsort(values)
    codes, values = codes[order], values[order]
    halves = (values[:-1] + values[1:]) / 2
    even = np.where(codes[:-1] % 2, codes[1:], codes[:-1])
    tiny = np.sign(even - codes[:-1])
    assert tiny.any()
    zero = (decode(even, name) == 0) & (halves < 0)
    signed_zero = FORMATS[name].kind == "float"
    ties = even + (zero * (1 << (FORMATS[name].width - 1)) if signed_zero else 0)
    assert np.array_equal(encode(halves, name), ties)
    below = encode(np.nextafter(halves, -np.inf), name)
    assert np.array_equal(decode(below, name), values[:-1])
    assert np.array_equal(decode(encode(np.nextafter(halves, np.inf), name), name), values[1:])


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_sums_of_powers_of_two(terms: int) -> None:
    """Each term more leaves less, and errors are those of the literature for uniform mantissas."""
    values = np.exp2(np.random.default_rng(1).uniform(-4, -3, 10**5))
    name = "pot5" if terms == 1 else f"pot5x{terms}"
    error = np.abs(decode(encode(values, name), name) / values - 1)
    assert error.max() < [0.34, 0.12, 0.04][terms - 1]
    assert error.mean() == pytest.approx([0.17, 0.027, 0.005][terms - 1], rel=0.15)
    assert encode([0.0, np.nan, -1.0], name).tolist() == [0, 0, 31]
    assert decode(encode([100.0, -np.inf], name), name).tolist() == [terms, -terms]


@pytest.mark.parametrize("name", SMALL)
def test_parts_make_the_value(name: str) -> None:
    codes = all_codes(name)
    parts, values = decoded(codes, format=name), decode(codes, name)
    positive = values[np.isfinite(values) & (values > 0)]
    grid = positive.min() if FORMATS[name].kind != "integer" else 2.0 ** -FORMATS[name].fraction
    made = np.ldexp(parts["significand"] * grid, parts["shift"])
    finite = np.isfinite(values)
    assert np.array_equal(made[finite], values[finite])
    assert np.array_equal(parts["nan"], np.isnan(values))
    assert np.array_equal(parts["infinite"], np.isinf(values))
    number = ~np.isnan(values)
    assert np.array_equal(parts["negative"][number], np.signbit(values[number]))
    assert parts["shift"].min() >= 0


def test_from_one_format_to_another() -> None:
    a = np.array([0x3F80, 0x4348, 0x7F80, 0xFFC0, 0x8000])
    found = encoded(a, source="bf16", format="e4m3", saturate=False)["code"]
    assert found.tolist() == [0x38, 0x74, 0x7F, 0x7F, 0x80]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format: 'fp9' is not one of e4m3, "):
        decode([0], "fp9")
    with pytest.raises(ValueError, match=r"^source: 'fp9' is not one of e4m3, "):
        encoded([0], source="fp9", format="e4m3", saturate=True)
    with pytest.raises(ValueError, match=r"^codes: a code is not in 0\.\.255$"):
        decode([256], "e4m3")
    with pytest.raises(ValueError, match=r"^a: a code is not in 0\.\.15$"):
        decoded([-1], format="e2m1")
    with pytest.raises(ValueError, match=r"^codes: dtype float64 is not an integer dtype$"):
        decode([0.5], "e4m3")
