"""Number formats of tensor elements: floats of 4 to 32 bits, integers, powers of two, scales.

A code is the bits of a number, the low bit of the number first; a value is a float64, which holds
the value of every code exactly.

Policies. Negative zero is a code of its own in every float, decodes to -0.0, and is what a
negative value that rounds to zero becomes. NaN encodes to one positive quiet NaN where the format
has any, else to +0. A magnitude beyond the largest finite one, after rounding as if there were no
limit, becomes that largest one when saturating; else infinity, or NaN where the format has no
infinity. A format without NaN always saturates, infinities too.

Sources: "OCP 8-bit Floating Point Specification" 1.0; "OCP Microscaling Formats (MX)
Specification" 1.0; IEEE 754-2019; M. Elhoushi et al., "DeepShift", arXiv 1905.13298, for signed
powers of two.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

NONE, ONLY_NAN, IEEE = "none", "only NaN", "IEEE"


class Format(NamedTuple):
    """One number format.

    Attributes
    ----------
    kind : str
        ``"float"``: sign, exponent and mantissa, the sign at the top. ``"integer"``: two's
        complement. ``"scale"``: an unsigned exponent alone. ``"sum"``: signed powers of two side
        by side, which are added.
    width : int
        Bits of a code.
    exponent, mantissa, bias : int
        Of a float: widths of two fields, and what is taken off the exponent. An exponent field of
        0 stands for zero and the subnormals. Of a sum: those of each term.
    specials : str
        Of a float: ``"none"``, all codes are finite; ``"only NaN"``, the magnitude of all ones is
        NaN; ``"IEEE"``, an exponent of all ones is infinity or NaN.
    fraction : int
        Of an integer: its last place is ``2**-fraction``.
    terms : int
        Of a sum: how many there are.
    """

    kind: str
    width: int
    exponent: int = 0
    mantissa: int = 0
    bias: int = 0
    specials: str = NONE
    fraction: int = 0
    terms: int = 1


def _float(exponent: int, mantissa: int, bias: int, specials: str) -> Format:
    return Format("float", 1 + exponent + mantissa, exponent, mantissa, bias, specials)


FORMATS: dict[str, Format] = {
    "e4m3": _float(4, 3, 7, ONLY_NAN),
    "e5m2": _float(5, 2, 15, IEEE),
    "e3m2": _float(3, 2, 3, NONE),
    "e2m3": _float(2, 3, 1, NONE),
    "e2m1": _float(2, 1, 1, NONE),
    "bf16": _float(8, 7, 127, IEEE),
    "fp16": _float(5, 10, 15, IEEE),
    "fp32": _float(8, 23, 127, IEEE),
    "mxint8": Format("integer", 8, fraction=6),
    "e8m0": Format("scale", 8, exponent=8, bias=127, specials=ONLY_NAN),
    # The largest power of two is 1: an exponent field of all ones.
    **{f"pot{n}": _float(n - 1, 0, 2 ** (n - 1) - 1, NONE) for n in range(2, 6)},
    **{
        f"pot{n}x{terms}": Format("sum", n * terms, n - 1, 0, 2 ** (n - 1) - 1, terms=terms)
        for n in range(2, 6)
        for terms in (2, 3)
    },
    **{f"int{n}": Format("integer", n) for n in range(2, 17)},
}
"""Every format, by name. ``pot5`` is a signed power of two of 5 bits, ``pot5x3`` a sum of 3."""


def format_of(name: str, parameter: str = "format") -> Format:
    """Return a format by its name.

    Raises
    ------
    ValueError
        If there is none; `parameter` is how the message calls it.
    """
    if name not in FORMATS:
        raise ValueError(f"{parameter}: {name!r} is not one of {', '.join(FORMATS)}")
    return FORMATS[name]


def check_codes(name: str, codes: ArrayLike, width: int) -> Codes:
    """Return codes as int64.

    Raises
    ------
    ValueError
        If the dtype is not an integer, or a code is not in ``0..2**width - 1``.
    """
    array = np.asarray(codes)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: dtype {array.dtype} is not an integer dtype")
    if array.size and (array.min() < 0 or int(array.max()) >> width):
        raise ValueError(f"{name}: a code is not in 0..{2**width - 1}")
    return array.astype(np.int64)


def greatest_code(name: str) -> int:
    """Code of the largest finite value."""
    found = format_of(name)
    ones = (1 << found.width) - 1
    if found.kind == "scale":
        return ones - 1
    if found.kind == "sum":
        # Each term is all ones but for its sign.
        return ones - sum(
            1 << found.width * i // found.terms - 1 for i in range(1, found.terms + 1)
        )
    ones >>= 1
    return ones - {NONE: 0, ONLY_NAN: 1, IEEE: 1 << found.mantissa}[found.specials]


def nan_code(name: str) -> int | None:
    """Code that NaN encodes to; none where the format has no NaN."""
    found = format_of(name)
    if found.specials == NONE:
        return None
    if found.kind == "scale":
        return (1 << found.width) - 1
    ones = (1 << found.width - 1) - 1
    # Quiet NaN of IEEE 754: of the mantissa, the top bit alone.
    return ones if found.specials == ONLY_NAN else ones - ((1 << found.mantissa - 1) - 1)


def decode(codes: ArrayLike, format: str) -> Values:
    """Value of each code.

    Parameters
    ----------
    codes : integer array, any shape
        Each in ``0..2**width - 1``.
    format : str
        One of `FORMATS`.

    Returns
    -------
    float64 array, same shape

    Raises
    ------
    ValueError
        If there is no such format, or a code is not of it.
    """
    found = format_of(format)
    array = check_codes("codes", codes, found.width)
    if found.kind == "integer":
        fixed: Values = np.ldexp(
            _twos_complement(array, found.width).astype(float), -found.fraction
        )
        return fixed
    if found.kind == "scale":
        scales: Values = np.where(array == 255, np.nan, np.ldexp(1.0, array - found.bias))
        return scales
    if found.kind == "sum":
        term = found._replace(kind="float", width=found.exponent + 1)
        parts = [array >> term.width * i & (2**term.width - 1) for i in range(found.terms)]
        total = np.zeros(array.shape)
        for part in parts:
            total += _finite(part, term)
        return total
    magnitude = array & (2 ** (found.width - 1) - 1)
    values = _finite(array, found)
    if found.specials != NONE:
        infinite = (2**found.exponent - 1) << found.mantissa if found.specials == IEEE else -1
        values = np.where(magnitude > greatest_code(format), np.nan, values)
        values = np.where(
            magnitude == infinite, np.where(array >> (found.width - 1), -np.inf, np.inf), values
        )
    return values


def _finite(codes: Codes, found: Format) -> Values:
    """Value of the fields of floats, as if none were special."""
    mantissa = codes % 2**found.mantissa
    exponent = codes >> found.mantissa & (2**found.exponent - 1)
    normal = exponent > 0
    significand = np.where(normal, 2**found.mantissa, 0) + mantissa
    scale = np.where(normal, exponent, 1) - found.bias - found.mantissa
    sign = np.where(codes >> (found.width - 1), -1.0, 1.0)
    values: Values = sign * np.ldexp(significand.astype(np.float64), scale)
    return values


def _twos_complement(codes: Codes, width: int) -> Codes:
    integers: Codes = codes - (codes >> (width - 1) << width)
    return integers


def encode(values: ArrayLike, format: str, saturate: bool = True) -> Codes:
    """Code of each value, rounded to nearest, ties to the even code.

    In a sum of powers of two each term is the power nearest to what the terms before it leave. Of
    scales, which have no zero and no sign, 0 becomes the least, and a negative value NaN.

    Parameters
    ----------
    values : real array, any shape
    format : str
        One of `FORMATS`.
    saturate : bool
        What becomes of a value beyond the largest, see the policies above; a format without NaN
        saturates in any case.

    Returns
    -------
    int64 array, same shape

    Raises
    ------
    ValueError
        If there is no such format.
    """
    found = format_of(format)
    array = np.asarray(values, np.float64)
    if found.kind == "integer":
        least = -(2 ** (found.width - 1))
        scaled = np.rint(np.nan_to_num(array, posinf=1e9, neginf=-1e9) * 2.0**found.fraction)
        integers: Codes = np.clip(scaled, least, -1 - least).astype(np.int64)
        return integers & ((1 << found.width) - 1)
    if found.kind == "sum":
        return _sum_of_powers(array, found)
    if found.kind == "scale":
        return _scale(array, format, saturate)
    nan = nan_code(format)
    largest = greatest_code(format)
    magnitude = np.minimum(_magnitude(np.abs(np.nan_to_num(array, posinf=np.inf)), found), 2**62)
    beyond = magnitude > largest
    if saturate or nan is None:
        magnitude = np.where(beyond, largest, magnitude)
    else:
        magnitude = np.where(beyond, nan if found.specials == ONLY_NAN else largest + 1, magnitude)
    codes = magnitude + (np.signbit(array).astype(np.int64) << (found.width - 1))
    if not saturate and found.specials == ONLY_NAN:
        codes = np.where(beyond, nan, codes)
    return np.where(np.isnan(array), nan or 0, codes)


def _magnitude(values: Values, found: Format) -> Codes:
    """Exponent and mantissa of values that are not negative, as if there were no largest."""
    values = np.minimum(values, 2.0**1000)
    # 2**(power - 1) <= value < 2**power, but for 0
    _, power = np.frexp(values)
    normal = (values > 0) & (power + found.bias > 1)
    exponent = np.where(normal, power - 1 + found.bias, 1).astype(np.int64)
    lower = (exponent - 1) << found.mantissa
    steps = np.ldexp(values, found.mantissa + found.bias - exponent)
    codes: Codes = lower + np.rint(steps).astype(np.int64)
    # Without a mantissa the even one of two codes may be the one below an odd number of steps.
    codes -= (lower % 2 == 1) & (steps == 1.5)
    return codes


def _sum_of_powers(values: Values, found: Format) -> Codes:
    width = found.exponent + 1
    name = f"pot{width}"
    rest = np.clip(np.nan_to_num(values), -8.0, 8.0)
    codes = np.zeros(values.shape, np.int64)
    for i in range(found.terms):
        term = encode(rest, name)
        value = decode(term, name)
        # One code for each zero term.
        codes |= np.where(value == 0, 0, term) << width * i
        rest = rest - value
    return codes


def _scale(values: Values, name: str, saturate: bool) -> Codes:
    found = FORMATS[name]
    magnitude = np.nan_to_num(values, nan=1.0, posinf=2.0**1000, neginf=1.0)
    fraction, power = np.frexp(np.clip(magnitude, 2.0**-200, 2.0**200))
    code = power - 1 + found.bias
    # Halfway between two powers of two the fraction is 3/4.
    code = code + ((fraction > 0.75) | ((fraction == 0.75) & (code % 2 == 1)))
    largest = greatest_code(name)
    beyond = largest if saturate else largest + 1
    code = np.where(code > largest, beyond, np.maximum(code, 0)).astype(np.int64)
    return np.where(np.isnan(values) | (values < 0), largest + 1, code)


def decoded(a: ArrayLike, *, format: str) -> dict[str, Codes]:
    """Parts of each code: ``significand * 2**shift``, in units of the least value above 0.

    Of infinity and NaN, `significand` and `shift` are those that their fields would have in a
    format without specials.

    Parameters
    ----------
    a : integer array, any shape
        Codes.
    format : str
        One of `FORMATS`.

    Returns
    -------
    dict
        int64 arrays of the shape of `a`. ``"significand"``, signed; ``"shift"``, at least 0;
        ``"negative"``, the sign, also of zero; ``"nan"`` and ``"infinite"``.

    Raises
    ------
    ValueError
        As `decode` does.
    """
    found = format_of(format)
    codes = check_codes("a", a, found.width)
    values = decode(codes, format)
    shift = np.zeros_like(codes)
    if found.kind == "scale":
        significand, shift = np.ones_like(codes), codes
    elif found.kind == "float":
        exponent = codes >> found.mantissa & (2**found.exponent - 1)
        shift = np.maximum(exponent, 1) - 1
        least = 1 - found.bias - found.mantissa
        significand = np.ldexp(_finite(codes, found), -least - shift).astype(np.int64)
    else:
        grid = found.fraction if found.kind == "integer" else found.bias - 1
        significand = np.ldexp(values, grid).astype(np.int64)
    signed = codes >> (found.width - 1) if found.kind == "float" else significand < 0
    return {
        "significand": significand,
        "shift": shift,
        "negative": np.asarray(signed).astype(np.int64),
        "nan": np.isnan(values).astype(np.int64),
        "infinite": np.isinf(values).astype(np.int64),
    }


def encoded(a: ArrayLike, *, source: str, format: str, saturate: bool) -> dict[str, Codes]:
    """Codes of one format in another one, as `encode` gives them.

    Parameters
    ----------
    a : integer array, any shape
        Codes of the format `source`.
    source, format : str
        Two of `FORMATS`.
    saturate : bool
        As `encode` takes it.

    Returns
    -------
    dict
        ``"code"``: int64 array of the shape of `a`.

    Raises
    ------
    ValueError
        If there is no such format, or a code is not of it.
    """
    found = format_of(source, "source")
    values = decode(check_codes("a", a, found.width), source)
    return {"code": encode(values, format, saturate)}
