"""Dot products of microscaling blocks: elements of few bits with one shared scale a block.

The products of the elements are summed exactly, as integers; the sum times both scales is rounded
once, to the nearest float32, ties to even. The order of the elements cannot matter.

Policies. A scale of NaN, an element of NaN, infinity times zero, and infinities of both signs give
the positive quiet NaN; else an infinity gives that infinity. A sum of zero is +0; another one that
rounds to zero keeps its sign. Beyond the largest float32 the sum is infinite.

Source: "OCP Microscaling Formats (MX) Specification" 1.0, which leaves precision and order of the
sum to the implementation.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from golden.float_add import add
from golden.formats import (
    FORMATS,
    Codes,
    check_codes,
    decode,
    decoded,
    encode,
    format_of,
    greatest_code,
    nan_code,
)

ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "mxint8")
SCALE = "e8m0"
SCALE_RULES = ("floor", "ceil")


def grid(format: str) -> int:
    """Exponent of the least value above zero: elements are integers times ``2**grid``."""
    found = format_of(format)
    return -found.fraction if found.kind == "integer" else 1 - found.bias - found.mantissa


def products(a: ArrayLike, b: ArrayLike, *, format_a: str, format_b: str) -> dict[str, Any]:
    """Elementwise products, in units of both grids.

    Parameters
    ----------
    a, b : integer array, any one shape
        Codes.
    format_a, format_b : str
        Two of `ELEMENTS`.

    Returns
    -------
    dict
        ``"product"``: array of Python integers, 0 where it is not finite. ``"nan"``,
        ``"infinite"`` and ``"negative"``, the sign of an infinity: int64 arrays.

    Raises
    ------
    ValueError
        If a format or a code is not allowed.
    """
    left, right = _element("a", a, format_a), _element("b", b, format_b)
    infinite = (left["infinite"] | right["infinite"]) == 1
    zero = (left["integer"] == 0) | (right["integer"] == 0)
    nan = (left["nan"] | right["nan"]) == 1
    # The fields of what is not finite are not those of zero.
    nan = nan | infinite & zero
    infinite = infinite & ~nan
    return {
        "product": np.where(infinite | nan, 0, left["integer"] * right["integer"]),
        "nan": nan.astype(np.int64),
        "infinite": infinite.astype(np.int64),
        "negative": infinite * (left["negative"] ^ right["negative"]),
    }


def _element(name: str, codes: ArrayLike, format: str) -> dict[str, Any]:
    if format not in ELEMENTS:
        raise ValueError(f"format_{name}: {format!r} is not one of {', '.join(ELEMENTS)}")
    parts = decoded(check_codes(name, codes, FORMATS[format].width), format=format)
    integer = parts["significand"].astype(object) << parts["shift"].astype(object)
    return {**parts, "integer": integer}


def dot(
    a: ArrayLike,
    b: ArrayLike,
    scale_a: ArrayLike,
    scale_b: ArrayLike,
    *,
    format_a: str,
    format_b: str,
) -> dict[str, Codes]:
    """Dot products of blocks.

    Parameters
    ----------
    a, b : integer array, shape [..., block]
        Codes of the elements.
    scale_a, scale_b : integer array, shape [...]
        Codes of E8M0: 127 is 1, 255 is NaN.
    format_a, format_b : str
        Two of `ELEMENTS`.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [...], codes of float32.

    Raises
    ------
    ValueError
        If a format, a shape or a code is not allowed.
    """
    found = products(a, b, format_a=format_a, format_b=format_b)
    shape = found["product"].shape
    scales = [check_codes(f"scale_{n}", x, 8) for n, x in (("a", scale_a), ("b", scale_b))]
    for name, scale in zip("ab", scales, strict=True):
        if not shape or scale.shape != shape[:-1]:
            raise ValueError(
                f"scale_{name}: shape {scale.shape} does not fit elements of shape {shape}"
            )
    total = found["product"].sum(axis=-1)
    exponent = scales[0] + scales[1] - 2 * FORMATS[SCALE].bias + grid(format_a) + grid(format_b)
    nearest = np.vectorize(round_to_float32, otypes=[np.float64])(total, exponent)
    rounded = encode(nearest, "fp32", saturate=False)
    infinite, negative = found["infinite"] == 1, found["negative"] == 1
    minus, plus = (infinite & negative).any(axis=-1), (infinite & ~negative).any(axis=-1)
    infinity = greatest_code("fp32") + 1
    rounded = np.where(minus, infinity | 1 << 31, np.where(plus, infinity, rounded))
    nan = (found["nan"] == 1).any(axis=-1) | (minus & plus)
    nan = nan | (scales[0] == nan_code(SCALE)) | (scales[1] == nan_code(SCALE))
    return {"sum": np.where(nan, nan_code("fp32") or 0, rounded)}


def accumulate(
    a: ArrayLike,
    b: ArrayLike,
    scale_a: ArrayLike,
    scale_b: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    *,
    format_a: str,
    format_b: str,
) -> dict[str, Codes]:
    """Time series of a float32 sum of dot products, each step rounded to nearest even.

    A step with ``i_valid`` makes the sum ``(0 if clear else sum) + dot``; a step without holds it
    and ignores ``clear``. It starts at +0.

    Parameters
    ----------
    a, b, scale_a, scale_b, format_a, format_b
        As `dot` takes them, the first dimension being time.
    clear, i_valid : array of 0 and 1, shape [t]

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [t], the sum after each step.

    Raises
    ------
    ValueError
        As `dot` does, or if a flag is not 0 or 1.
    """
    found = dot(a, b, scale_a, scale_b, format_a=format_a, format_b=format_b)["sum"]
    clears, valid = check_codes("clear", clear, 1), check_codes("i_valid", i_valid, 1)
    for name, flags in (("clear", clears), ("i_valid", valid)):
        if flags.shape != found.shape or found.ndim != 1:
            raise ValueError(f"{name}: shape {flags.shape} is not [t], that of {found.shape}")
    total = 0
    sums = np.zeros_like(found)
    for t, code in enumerate(found):
        if valid[t]:
            total = int(add(0 if clears[t] else total, code, format="fp32")["sum"])
        sums[t] = total
    return {"sum": sums}


def round_to_float32(integer: int, exponent: int) -> float:
    """Nearest of the numbers that float32 would have without a largest, ties to even.

    Of ``integer * 2**exponent``; 0 is +0.
    """
    integer, exponent = int(integer), int(exponent)
    found = FORMATS["fp32"]
    least = 1 - found.bias - found.mantissa
    lift = max(abs(integer).bit_length() - found.mantissa - 1, least - exponent, 0)
    quotient, remainder = divmod(abs(integer), 1 << lift)
    half = 1 << lift >> 1
    quotient += lift > 0 and (remainder > half or (remainder == half and quotient % 2 == 1))
    # 24 bits, or a power of two: float64 holds it, and any power of two that is near enough.
    value = float(quotient) * 2.0 ** min(exponent + lift, 900)
    return -value if integer < 0 else value


def shared_scale(values: ArrayLike, *, format: str, scale_rule: str = "floor") -> Codes:
    """E8M0 scale of each block, by its largest magnitude.

    Parameters
    ----------
    values : real array, shape [..., block]
    format : str
        Of the elements, one of `ELEMENTS`.
    scale_rule : str
        ``"floor"``: the power of two of the largest magnitude over that of the largest element,
        so that the largest may saturate. ``"ceil"``: the least with which nothing does.

    Returns
    -------
    int64 array, shape [...]
        0 of a block of zeros, 255 of one with NaN or infinity; at most 254.

    Raises
    ------
    ValueError
        If a name is not allowed, or blocks are empty.
    """
    if format not in ELEMENTS:
        raise ValueError(f"format: {format!r} is not one of {', '.join(ELEMENTS)}")
    if scale_rule not in SCALE_RULES:
        raise ValueError(f"scale_rule: {scale_rule!r} is not one of {', '.join(SCALE_RULES)}")
    array = np.asarray(values, np.float64)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"values: shape {array.shape} is not [..., block], at least 1 each")
    magnitudes = np.abs(array).max(axis=-1)
    finite = np.isfinite(magnitudes)
    largest = np.where(finite, magnitudes, 0)
    (top,) = decode([greatest_code(format)], format)
    fraction, power = np.frexp(largest)
    top_fraction, top_power = np.frexp(top)
    code = power - top_power + FORMATS[SCALE].bias
    if scale_rule == "ceil":
        code = code + (fraction > top_fraction)
    code = np.where(largest > 0, np.clip(code, 0, 254), 0)
    return np.where(finite, code, 255).astype(np.int64)


def scale_of(
    a: ArrayLike, *, source: str, format: str, scale_rule: str, block: int
) -> dict[str, Codes]:
    """E8M0 scale of each block of codes, as `shared_scale` gives it.

    Parameters
    ----------
    a : integer array, shape [..., block], or [...] if blocks have one element
        Codes of the format `source` without their sign.
    source : str
        A float of `golden.formats.FORMATS`.
    format, scale_rule
        As `shared_scale` takes them.
    block : int
        Elements of a block.

    Returns
    -------
    dict
        ``"scale"``: int64 array, shape [...].

    Raises
    ------
    ValueError
        As `shared_scale` does, or if a code or the shape is not allowed.
    """
    found = format_of(source, "source")
    codes = check_codes("a", a, found.width - 1)
    codes = codes[..., None] if block == 1 else codes
    if codes.shape[-1:] != (block,):
        raise ValueError(f"a: shape {codes.shape} is not [..., {block}]")
    values = decode(codes, source)
    return {"scale": shared_scale(values, format=format, scale_rule=scale_rule)}


def quantize(values: ArrayLike, *, format: str, scale_rule: str = "floor") -> tuple[Codes, Codes]:
    """Elements and scale of each block: values over the scale, to nearest, saturating.

    Elements of a block whose scale is NaN are those of zeros.

    Parameters
    ----------
    values, format, scale_rule
        As `shared_scale` takes them.

    Returns
    -------
    elements : int64 array, shape [..., block]
    scale : int64 array, shape [...]
    """
    scale = shared_scale(values, format=format, scale_rule=scale_rule)
    array = np.where((scale == 255)[..., None], 0.0, np.asarray(values, np.float64))
    return encode(np.ldexp(array, FORMATS[SCALE].bias - scale[..., None]), format), scale
