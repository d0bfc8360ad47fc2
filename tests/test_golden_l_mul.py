"""Products by integer addition: definition, specials, and published errors."""

from itertools import product

import ml_dtypes
import numpy as np
import pytest

from golden.formats import FORMATS, Codes, decode, encode, greatest_code, nan_code
from golden.l_mul import (
    GATES,
    added,
    dot_product_gain,
    errors,
    least_biased_offset,
    multiply,
    paper_offset,
    rounded_products,
    significands,
)

SMALL = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")


def pairs(bits: int) -> tuple[Codes, Codes]:
    x, y = np.divmod(np.arange(4**bits, dtype=np.int64), 2**bits)
    return x, y


def products(format: str, a: Codes, b: Codes, **wanted: str | int | bool) -> Codes:
    settings: dict[str, str | int | bool] = {
        "offset": "none", "ulps": 0, "offset_when": "always", "saturate": True, "signed_zero": True
    }  # fmt: skip
    return multiply(a, b, format=format, **settings | wanted)["product"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("format", "constant"),
    [("e4m3", 55), ("e5m2", 59), ("fp16", 15296), ("bf16", 16248), ("fp32", 0x3F780000),
     ("e2m1", 1), ("e3m2", 11), ("e2m3", 7)],
)  # fmt: skip
def test_constant_of_the_adder(format: str, constant: int) -> None:
    """What is subtracted from the sum of the fields of two operands near 1."""
    found = FORMATS[format]
    one = found.bias << found.mantissa
    (code,) = products(format, np.array([one]), np.array([one]), offset="paper")
    assert 2 * one - code == constant


@pytest.mark.parametrize("format", SMALL)
@pytest.mark.parametrize("ulps", [0, 1])
def test_the_adder_multiplies_significands_and_adds_exponents(format: str, ulps: int) -> None:
    """Where operands and product are normal and finite."""
    found = FORMATS[format]
    a, b = pairs(found.width)
    fraction_a, power_a = np.frexp(np.nan_to_num(decode(a, format), posinf=1, neginf=-1))
    fraction_b, power_b = np.frexp(np.nan_to_num(decode(b, format), posinf=1, neginf=-1))
    places = 2**found.mantissa
    exact = significands(a % places, b % places, found.mantissa, "ulps", ulps)
    wanted = np.ldexp(exact * np.sign(fraction_a * fraction_b), power_a + power_b - 2)
    code = products(format, a, b, offset="ulps", ulps=ulps)
    top = 2 ** (found.width - 1)
    normal = (a % top >= places) & (b % top >= places)
    normal &= np.isfinite(decode(a, format)) & np.isfinite(decode(b, format))
    largest = decode([greatest_code(format)], format)[0]
    fits = normal & (np.abs(wanted) >= decode([places], format)[0]) & (np.abs(wanted) <= largest)
    assert 0.1 < fits.mean() < 0.9
    assert np.array_equal(decode(code, format)[fits], wanted[fits])
    beyond = normal & (np.abs(wanted) > largest)
    assert np.array_equal(decode(code, format)[beyond], np.copysign(largest, wanted)[beyond])
    below = normal & (np.abs(wanted) < decode([places], format)[0]) | (a % top < places)
    number = ~np.isnan(decode(a, format)) & np.isfinite(decode(b, format))
    assert not decode(code, format)[below & number].any()


@pytest.mark.parametrize("format", ["e4m3", "e5m2", "bf16", "fp16", "fp32"])
@pytest.mark.parametrize(("saturate", "signed_zero"), list(product((False, True), repeat=2)))
def test_specials(format: str, saturate: bool, signed_zero: bool) -> None:
    nan, largest = nan_code(format), greatest_code(format)
    found = FORMATS[format]
    top, least = 1 << (found.width - 1), 1 << found.mantissa
    one = found.bias << found.mantissa
    infinity = largest + 1  # NaN of E4M3

    def of(a: int, b: int) -> int:
        assert nan is not None
        given = np.array([a]), np.array([b])
        (code,) = products(format, *given, saturate=saturate, signed_zero=signed_zero)
        (other,) = products(format, *given[::-1], saturate=saturate, signed_zero=signed_zero)
        assert code == other
        return int(code)

    minus = top if signed_zero else 0
    assert of(0, 0) == 0 and of(0, top) == minus and of(top, top) == 0
    assert of(one, one) == one and of(one, one | top) == one | top
    assert of(least - 1, largest) == 0 and of(least, least) == 0 and of(least | top, least) == minus
    assert of(nan or 0, 0) == nan and of((nan or 0) | top, one) == nan
    if found.specials == "IEEE":
        assert of(infinity, one | top) == infinity | top and of(infinity, infinity) == infinity
        assert of(infinity, least) == infinity
        assert of(infinity, 0) == nan and of(infinity | top, least - 1) == nan
        assert of(infinity | 1, one) == nan and of(infinity, nan or 0) == nan
        assert of(largest, largest | top) == (largest if saturate else infinity) | top
    else:
        assert of(largest, largest | top) == (largest | top if saturate else nan)


def test_shares_of_operands() -> None:
    """Of pairs of finite numbers: with a zero or subnormal operand, below the least, saturated."""
    for format, shares in (("e4m3", (0.12, 0.07, 0.16)), ("e5m2", (0.06, 0.10, 0.13))):
        a, b = pairs(8)
        finite = np.isfinite(decode(a, format)) & np.isfinite(decode(b, format))
        a, b = a[finite], b[finite]
        places = 1 << FORMATS[format].mantissa
        flushed = (a % 128 < places) | (b % 128 < places)
        code = products(format, a, b) % 128
        total = a % 128 + b % 128 - FORMATS[format].bias * places
        beyond = ~flushed & (total > greatest_code(format))
        found = flushed.mean(), ((code == 0) & ~flushed).mean(), beyond.mean()
        assert found == pytest.approx(shares, abs=0.006), format


# m: mean, mean magnitude and maximum in %, and share of products equal to the rounded one.
MITCHELL = {
    1: (-2.8, 2.8, 11.1, 1.0),
    2: (-3.6, 3.6, 11.1, 0.875),
    3: (-3.8, 3.8, 11.1, 0.61),
    4: (-3.8, 3.8, 11.1, None),
    7: (-3.85, 3.85, 11.1, None),
    10: (-3.85, 3.85, 11.1, None),
}
# m: mean, rms and maximum in %, share.
PAPER = {
    1: (37.5, 38.2, 50, None),
    2: (14.7, 15.3, 25, 0.125),
    3: (4.9, 6.0, 12.5, 0.39),
    4: (4.9, 5.9, 12.5, None),
    7: (0.41, 3.1, 7.3, None),
    10: (0.41, 3.1, 7.3, None),
}


@pytest.mark.parametrize("mantissa", MITCHELL)
def test_published_errors(mantissa: int) -> None:
    x, y = pairs(mantissa)
    plain = errors(significands(x, y, mantissa), x, y, mantissa)
    mean, magnitude, largest, equal = MITCHELL[mantissa]
    assert 100 * plain.mean == pytest.approx(mean, abs=0.06)
    assert 100 * plain.mean_magnitude == pytest.approx(magnitude, abs=0.06)
    assert 100 * plain.largest == pytest.approx(largest, abs=0.15)
    assert equal is None or plain.equal == pytest.approx(equal, abs=0.005)
    offset = errors(significands(x, y, mantissa, "paper"), x, y, mantissa)
    mean, rms, largest, equal = PAPER[mantissa]
    assert 100 * offset.mean == pytest.approx(mean, abs=0.06)
    assert 100 * offset.rms == pytest.approx(rms, abs=0.06)
    assert 100 * offset.largest == pytest.approx(largest, abs=0.06)
    assert equal is None or offset.equal == pytest.approx(equal, abs=0.005)


def test_published_carry_in() -> None:
    x, y = pairs(3)
    found = errors(significands(x, y, 3, "ulps", 1, "differ"), x, y, 3)
    assert 100 * found.mean == pytest.approx(-0.5, abs=0.06)
    assert 100 * found.mean_magnitude == pytest.approx(2.7, abs=0.06)
    assert found.equal == pytest.approx(0.797, abs=0.001)


def test_least_biased_offsets() -> None:
    assert [least_biased_offset(m) for m in (1, 2, 3, 4, 7)] == [0, 0, 0, 1, 7]
    assert [paper_offset(m) for m in (1, 2, 3, 4, 7, 10)] == [1, 1, 1, 2, 8, 64]


@pytest.mark.parametrize("mantissa", [1, 3, 7])
def test_mean_of_the_printed_error(mantissa: int) -> None:
    """Of Mitchell's product: x * y, or with a carry (1 - x) * (1 - y); 1/12 on average."""
    x, y = pairs(mantissa)
    places = 2**mantissa
    exact = (1 + x / places) * (1 + y / places)
    gap = exact - significands(x, y, mantissa)
    carry = x + y >= places
    wanted = np.where(carry, (1 - x / places) * (1 - y / places), x * y / places**2)
    assert np.allclose(gap, wanted)
    if mantissa == 7:
        assert gap.mean() == pytest.approx(1 / 12, rel=0.01)


@pytest.mark.parametrize(
    ("name", "dtype"), [("e4m3", ml_dtypes.float8_e4m3fn), ("fp16", np.float16)]
)
def test_rounded_products_are_those_of_a_multiplier(name: str, dtype: type) -> None:
    """Of numbers between 1 and 2."""
    mantissa = FORMATS[name].mantissa
    x, y = (z[:: 1 if mantissa < 5 else 97] for z in pairs(mantissa))
    one = FORMATS[name].bias << mantissa
    a, b = decode(one + x, name), decode(one + y, name)
    assert np.array_equal(rounded_products(x, y, mantissa), decode(encode(a * b, name), name))
    assert np.array_equal(rounded_products(x, y, mantissa), (a * b).astype(dtype).astype(float))


def test_gates() -> None:
    x, y = pairs(3)
    opened = {gate: added(x, y, 3, "ulps", 1, gate) for gate in GATES}
    assert opened["always"].all()
    assert np.array_equal(opened["nonzero"] == 1, (x > 0) & (y > 0))
    assert np.array_equal(opened["differ"] == 1, (x > 0) & (y > 0) & ((x < 4) != (y < 4)))
    times_one = significands(x, np.zeros_like(x), 3, "paper", 0, "nonzero")
    assert np.array_equal(times_one, 1 + x / 8)


@pytest.mark.parametrize(
    ("mantissa", "offset", "gain", "noise"),
    [(3, "none", 0.965, 0.030), (3, "paper", 1.050, 0.034),
     (7, "none", 0.961, 0.029), (7, "paper", 1.004, 0.031)],
)  # fmt: skip
def test_published_gains(mantissa: int, offset: str, gain: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 256, 4096))
    found = dot_product_gain(a, b, mantissa, offset, 0, "always")
    assert found.gain == pytest.approx(gain, abs=0.006)
    assert found.noise == pytest.approx(noise, abs=0.003)


def test_a_dot_product_without_mantissas_is_exact() -> None:
    a = np.exp2(np.random.default_rng(1).integers(-5, 5, (8, 64)))
    assert dot_product_gain(a, a, 3, "none", 0, "always") == (1, 0)


def test_bad_input() -> None:
    one = np.array([1])
    with pytest.raises(ValueError, match=r"^format: 'int8' is not a float that has a mantissa$"):
        products("int8", one, one)
    with pytest.raises(ValueError, match=r"^offset: 'mine' is not one of none, paper, ulps$"):
        products("e4m3", one, one, offset="mine")
    with pytest.raises(ValueError, match=r"^offset_when: 'never' is not one of always, "):
        products("e4m3", one, one, offset_when="never")
    with pytest.raises(ValueError, match=r"^b: a code is not in 0\.\.15$"):
        products("e2m1", one, 16 * one)
    with pytest.raises(ValueError, match=r"^mantissa: 0 is not at least 1$"):
        paper_offset(0)
