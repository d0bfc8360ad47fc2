"""Products of floats by integer addition: Mitchell's logarithm, and L-Mul, which adds an offset.

Exponent and mantissa of a float, side by side, are nearly the logarithm of its magnitude: the sum
of two of them, less the bias, is nearly the product. L-Mul adds a constant to the mantissas. What
is modelled here is the adder, where a carry out of the mantissas makes the product steps twice as
large; the formula printed for L-Mul, ``1 + x + y + 2**-l``, has no carry: it is another function.

Policies. NaN, and infinity times zero, give the canonical NaN; infinity times another number is
infinite. An operand with exponent field 0, zero or subnormal, counts as zero; a sum below the
least normal number is zero. Beyond the largest finite number the product is that number when
saturating or where the format has no NaN, else infinity, or NaN where there is none.

Sources: J. N. Mitchell, "Computer Multiplication and Division Using Binary Logarithms" (1962);
H. Luo, W. Sun, "Addition is All You Need for Energy-efficient Language Models", arXiv 2410.00907.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.formats import (
    IEEE,
    NONE,
    Codes,
    Format,
    Values,
    check_codes,
    format_of,
    greatest_code,
    nan_code,
)

OFFSETS = ("none", "paper", "ulps")
GATES = ("always", "nonzero", "differ")


class Errors(NamedTuple):
    """Relative errors of products over all pairs of mantissas.

    Attributes
    ----------
    mean, mean_magnitude, rms, largest : float
        As a fraction of the exact product.
    equal : float
        Share of the pairs whose product is the exact one rounded to nearest even.
    """

    mean: float
    mean_magnitude: float
    rms: float
    largest: float
    equal: float


class Gain(NamedTuple):
    """Dot products by an approximate multiplier, as a multiple of the exact ones and noise.

    Attributes
    ----------
    gain : float
        The multiple that leaves the least noise.
    noise : float
        Its root mean square, as a fraction of that of the exact dot products.
    """

    gain: float
    noise: float


def paper_offset(mantissa: int) -> int:
    """Offset of L-Mul in units of the last place: ``2**(m - l(m))``.

    ``l(m)`` is m up to 3, 3 for 4, and 4 above that.
    """
    if mantissa < 1:
        raise ValueError(f"mantissa: {mantissa} is not at least 1")
    return int(2 ** (mantissa - (mantissa if mantissa <= 3 else 3 if mantissa == 4 else 4)))


def added(x: Codes, y: Codes, mantissa: int, offset: str, ulps: int, gate: str) -> Codes:
    """What is added to a pair of mantissas, in units of the last place.

    Parameters
    ----------
    x, y : int64 array, any one shape
        Mantissa fields.
    mantissa : int
        Bits of a mantissa.
    offset : str
        ``"none"``; ``"paper"``, that of `paper_offset`; ``"ulps"``, the parameter `ulps`.
    ulps : int
        At least 0.
    gate : str
        ``"always"``; ``"nonzero"``, where neither mantissa is 0, so that ``x * 1 = x``;
        ``"differ"``, where besides their top bits differ.

    Raises
    ------
    ValueError
        If a name is not one of these.
    """
    for name, value, allowed in (("offset", offset, OFFSETS), ("offset_when", gate, GATES)):
        if value not in allowed:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(allowed)}")
    amount = {"none": 0, "paper": paper_offset(mantissa), "ulps": ulps}[offset]
    open_ = np.ones(np.broadcast(x, y).shape, np.bool_)
    if gate != "always":
        open_ = (x != 0) & (y != 0)
    if gate == "differ":
        half = 2 ** (mantissa - 1)
        open_ = open_ & ((x >= half) != (y >= half))
    return np.where(open_, amount, 0)


def multiply(
    a: ArrayLike,
    b: ArrayLike,
    *,
    format: str,
    offset: str,
    ulps: int,
    offset_when: str,
    saturate: bool,
    signed_zero: bool,
) -> dict[str, Codes]:
    """Elementwise product of codes by integer addition.

    Parameters
    ----------
    a, b : integer array, any one shape
        Codes of a float that has a mantissa.
    format : str
        One of the floats of `golden.formats.FORMATS`.
    offset, ulps, offset_when
        As `added` takes them.
    saturate : bool
        A product beyond the largest finite number becomes that one.
    signed_zero : bool
        The sign of a product that is zero is that of any other product; else plus.

    Returns
    -------
    dict
        ``"product"``: int64 array of the operands' shape.

    Raises
    ------
    ValueError
        If a name or a code is not allowed.
    """
    found = format_of(format)
    if found.kind != "float" or not found.mantissa:
        raise ValueError(f"format: {format!r} is not a float that has a mantissa")
    left, right = check_codes("a", a, found.width), check_codes("b", b, found.width)
    top, places = 2 ** (found.width - 1), 2**found.mantissa
    x, y = left % top, right % top
    negative = (left >= top) != (right >= top)
    gap = added(x % places, y % places, found.mantissa, offset, ulps, offset_when)
    total = x + y - found.bias * places + gap

    zero_x, zero_y = x < places, y < places
    zero = zero_x | zero_y | (total < places)
    largest, nan = greatest_code(format), nan_code(format)
    clipped = saturate or nan is None
    beyond = largest if clipped else largest + 1
    result = np.where(zero, 0, np.where(total > largest, beyond, total))
    result = result + np.where(negative & (signed_zero | ~zero), top, 0)
    infinite_x, infinite_y = (_infinite(z, found, largest) for z in (x, y))
    infinite = infinite_x | infinite_y
    result = np.where(infinite, largest + 1 + np.where(negative, top, 0), result)
    if nan is None:
        return {"product": result}
    undefined = infinite_x & zero_y | infinite_y & zero_x
    undefined = undefined | _nan(x, found, largest) | _nan(y, found, largest)
    if found.specials != IEEE and not clipped:
        undefined = undefined | ~zero & (total > largest)
    return {"product": np.where(undefined, nan, result)}


def _infinite(magnitude: Codes, found: Format, largest: int) -> NDArray[np.bool_]:
    is_it: NDArray[np.bool_] = (magnitude == largest + 1) & (found.specials == IEEE)
    return is_it


def _nan(magnitude: Codes, found: Format, largest: int) -> NDArray[np.bool_]:
    first = largest + (2 if found.specials == IEEE else 1)
    is_it: NDArray[np.bool_] = (magnitude >= first) & (found.specials != NONE)
    return is_it


def significands(
    x: Codes, y: Codes, mantissa: int, offset: str = "none", ulps: int = 0, gate: str = "always"
) -> Values:
    """Product by addition of the significands ``1 + x / 2**m`` and ``1 + y / 2**m``.

    Parameters
    ----------
    x, y : int64 array, any one shape
        In ``0..2**m - 1``.
    mantissa, offset, ulps, gate
        As `added` takes them.

    Returns
    -------
    float64 array, same shape
    """
    total = x + y + added(x, y, mantissa, offset, ulps, gate)
    places = 2**mantissa
    values: Values = np.ldexp(1 + total % places / places, total // places)
    return values


def rounded_products(x: Codes, y: Codes, mantissa: int) -> Values:
    """Exact product of the same significands, rounded to nearest even at m bits.

    Takes mantissas of up to 26 bits.
    """
    places = 2**mantissa
    exact = (places + x) * (places + y)
    step = np.where(exact >= 2 * places * places, 2 * places, places)
    values: Values = np.rint(exact / step) * step / places**2
    return values


def errors(products: Values, x: Codes, y: Codes, mantissa: int) -> Errors:
    """Errors of products of significands, each pair counted once.

    Parameters
    ----------
    products : float64 array
        Of the significands of `x` and `y`.
    x, y, mantissa
        As `rounded_products` takes them.
    """
    exact = (1 + x / 2**mantissa) * (1 + y / 2**mantissa)
    relative = products / exact - 1
    return Errors(
        mean=float(relative.mean()),
        mean_magnitude=float(np.abs(relative).mean()),
        rms=float(np.sqrt(np.mean(relative**2))),
        largest=float(np.abs(relative).max()),
        equal=float(np.mean(products == rounded_products(x, y, mantissa))),
    )


def least_biased_offset(mantissa: int) -> int:
    """Offset, in units of the last place, with the mean error nearest to zero; the lower of two."""
    places = 2**mantissa
    x, y = np.divmod(np.arange(places**2), places)
    exact = (1 + x / places) * (1 + y / places)

    def bias(ulps: int) -> float:
        return float((significands(x, y, mantissa, "ulps", ulps) / exact).mean()) - 1

    # The mean error grows with the offset.
    low, high = 0, places - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if bias(middle) < 0 else (low, middle)
    return min(range(max(low - 1, 0), low + 1), key=lambda ulps: abs(bias(ulps)))


def dot_product_gain(
    a: Values, b: Values, mantissa: int, offset: str, ulps: int, gate: str
) -> Gain:
    """Gain and noise of dot products whose products are made by addition, and summed exactly.

    Parameters
    ----------
    a, b : float64 array, shape [dots, k]
        Operands; they are rounded to nearest even at m bits of mantissa first.
    mantissa, offset, ulps, gate
        As `added` takes them.
    """
    rounded, fields = [], []
    for values in (a, b):
        fraction, power = np.frexp(values)
        integers = np.rint(np.ldexp(np.abs(fraction), mantissa + 1)).astype(np.int64)
        carry = integers == 2 ** (mantissa + 1)
        integers, power = np.where(carry, 2**mantissa, integers), power + carry
        scale = np.copysign(np.ldexp(1.0, power - 1), values) * (values != 0)
        rounded.append(scale * integers / 2**mantissa)
        fields.append((scale, np.maximum(integers - 2**mantissa, 0)))
    (scale_a, x), (scale_b, y) = fields
    exact = (rounded[0] * rounded[1]).sum(axis=-1)
    products = scale_a * scale_b * significands(x, y, mantissa, offset, ulps, gate)
    found = products.sum(axis=-1)
    gain = float((found * exact).sum() / (exact**2).sum())
    noise = np.sqrt(np.mean((found - gain * exact) ** 2) / np.mean(exact**2))
    return Gain(gain, float(noise))
