"""Products of float activations and 4-bit integer weights, accumulated: three contracts.

exact
    Activations are integers that count the least FP16 number, 2**-24, and so sums are exact,
    whatever their order. One rounding, outside, is then that of the real sum.
aligned
    Activations of a group are rounded to a common grid, that of the largest exponent in the group,
    and sums of those integers are exact.
float
    The product is a sum of the activation times powers of two, each rounded to the activation's
    format, and so is the running sum; the order is fixed.

Weights are two's complement. An activation of infinity or NaN makes a sum NaN until it starts
anew, whatever the weights.

Sources: MixPE (arXiv 2411.16158); FIGNA (HPCA 2024) for alignment. Widths, orders and roundings
are ours.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.digits import RADIX
from golden.digits import encode as digits_of
from golden.float_add import add
from golden.formats import IEEE, Codes, check_codes, decode, decoded, encode, format_of, nan_code
from golden.gemm import ACCUMULATOR_WIDTHS, check_integer, wrap

WEIGHT_BITS = 4
NEAREST, FLOOR = "nearest", "floor"
ROUNDINGS = (NEAREST, FLOOR)
PLACES = (10, 24)
"""Least and greatest number of places below the topmost one that aligned activations keep."""


def integers(a: ArrayLike) -> Codes:
    """FP16 activations in units of 2**-24; infinity and NaN are 0.

    Raises
    ------
    ValueError
        If a code is none of 16 bits.
    """
    parts = decoded(a, format="fp16")
    finite = (parts["nan"] | parts["infinite"]) == 0
    return np.where(finite, parts["significand"] << parts["shift"], 0)


def accumulate_exact(
    a: ArrayLike,
    b: ArrayLike,
    clear: ArrayLike,
    last: ArrayLike,
    i_valid: ArrayLike,
    *,
    width_acc: int,
) -> dict[str, Codes]:
    """Time series of an exact accumulator that starts at zero.

    Parameters
    ----------
    a : integer array, shape [t]
        Codes of FP16.
    b : integer array, shape [t]
        Weights, -8 to 7.
    clear, last, i_valid : array of 0 and 1, shape [t]
        The sum starts anew with the product; it is the last one of a group; there is one at all.
    width_acc : int
        Bits of the accumulator, signed.

    Returns
    -------
    dict
        int64 arrays [t]. ``"sum"``, in units of 2**-24; ``"nan"``: an activation since the sum
        started anew was not finite, and counts as zero; ``"o_last"``: the group is complete.
    """
    width_acc = check_integer("width_acc", width_acc, *ACCUMULATOR_WIDTHS)
    valid = np.asarray(i_valid) != 0
    cleared = _starts(clear, valid)
    # Modulo 2**64, of which the result modulo 2**width_acc is still exact.
    products = np.where(valid, integers(a) * _weights(b), 0)
    parts = decoded(a, format="fp16")
    nonfinite = np.where(valid, parts["nan"] | parts["infinite"], 0)
    return {
        "sum": wrap(_since(products, cleared), width_acc, True),
        "nan": (_since(nonfinite, cleared) > 0).astype(np.int64),
        "o_last": (valid & (np.asarray(last) != 0)).astype(np.int64),
    }


def product_of_floats(a: ArrayLike, b: ArrayLike, *, format: str, digits: str) -> Codes:
    """Product of float activations and 4-bit weights as a sum of terms, each sum rounded.

    A term is the activation times a digit of the weight and its power of two: exact, or infinite
    beyond the largest number. Terms are added to nearest even, the lowest digit first; a digit of
    zero gives +0.

    Parameters
    ----------
    a : integer array, any shape
        Codes.
    b : integer array, same shape
        Weights, -8 to 7.
    format : str
        A float of `golden.formats.FORMATS` that has infinities.
    digits : str
        Of the weight's magnitude, ``"bits"``, or ``"ent"``: two of -1 to 2, radix 4, so that 3 and
        7 are 4 and 8, less 1.

    Returns
    -------
    int64 array, same shape
        Codes; NaN where the activation is not finite.

    Raises
    ------
    ValueError
        If the format, the digits, a code or a weight is not allowed.
    """
    found = format_of(format)
    if found.specials != IEEE:
        raise ValueError(f"format: {format!r} is not a float that has infinities")
    if digits not in ("bits", "ent"):
        raise ValueError(f"digits: {digits!r} is not one of bits, ent")
    values = decode(check_codes("a", a, found.width), format)
    finite = np.isfinite(values)
    weights = _weights(b)
    # A magnitude of 8 takes all the bits of a weight.
    parts = digits_of(np.abs(weights), kind=digits, width=WEIGHT_BITS, signed=False)
    parts = parts * np.where(weights < 0, -1, 1)[..., None]
    values = np.where(finite, values, 0.0)
    total = np.zeros(weights.shape, np.int64)
    for i in range(parts.shape[-1]):
        factor = parts[..., i] * float(RADIX[digits] ** i)
        term = np.where(factor == 0, 0, encode(values * factor, format, saturate=False))
        total = add(total, term, format=format)["sum"]
    nan = nan_code(format)
    assert nan is not None
    return np.where(finite, total, nan)


def accumulate_floats(
    a: ArrayLike,
    b: ArrayLike,
    clear: ArrayLike,
    last: ArrayLike,
    i_valid: ArrayLike,
    *,
    format: str,
    digits: str,
) -> dict[str, Codes]:
    """Time series of a float accumulator that starts at +0.

    Parameters
    ----------
    a : integer array, shape [t]
        Codes.
    b, clear, last, i_valid
        As `accumulate_exact` takes them.
    format, digits
        As `product_of_floats` takes them.

    Returns
    -------
    dict
        int64 arrays [t]. ``"sum"``: codes; each product is added to the sum so far, in order, to
        nearest even. ``"o_last"``: the group is complete.

    Raises
    ------
    ValueError
        As `product_of_floats` does.
    """
    valid = np.asarray(i_valid) != 0
    products = product_of_floats(a, b, format=format, digits=digits)[valid]
    starts = np.asarray(clear)[valid] != 0
    sums = np.zeros(len(products), np.int64)
    if len(products):
        starts[0] = True
        # Sums that start at different times are made side by side, a step each at once.
        begins = np.flatnonzero(starts)
        lengths = np.diff(np.append(begins, len(products)))
        running = np.zeros(len(begins), np.int64)
        for step in range(int(lengths.max())):
            going = np.flatnonzero(lengths > step)
            places = begins[going] + step
            running[going] = add(running[going], products[places], format=format)["sum"]
            sums[places] = running[going]
    latest = np.cumsum(valid) - 1
    held = np.where(latest >= 0, sums[latest], 0) if len(sums) else np.zeros(len(valid), np.int64)
    return {"sum": held, "o_last": (valid & (np.asarray(last) != 0)).astype(np.int64)}


def align(a: ArrayLike, exponent: ArrayLike, *, format: str, places: int, rounding: str) -> Codes:
    """Round floats to the grid of an exponent.

    Parameters
    ----------
    a : integer array, any shape
        Codes; infinity and NaN count as what their fields would be worth.
    exponent : integer array, broadcast
        Biased exponent of the grid. A float of a larger one is rounded as if it were next to zero.
    format : str
        A float of `golden.formats.FORMATS`.
    places : int
        Places below the topmost one of that exponent.
    rounding : str
        ``"nearest"``, ties to even, or ``"floor"``, by which a negative number that vanishes is
        -1.

    Returns
    -------
    int64 array
        Integers of ``places + 2`` bits, in units of `unit_of`.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    found = format_of(format)
    places = check_integer("places", places, *PLACES)
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding: {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    parts = decoded(a, format=format)
    gap = np.asarray(exponent) - 1 - parts["shift"]
    # So far below the last place that only a sign is left; float64 holds it.
    gap = np.where(gap < 0, 2 * PLACES[1] + found.mantissa, gap)
    scaled = np.ldexp(parts["significand"].astype(np.float64), places - found.mantissa - gap)
    rounded = np.rint(scaled) if rounding == NEAREST else np.floor(scaled)
    return np.asarray(rounded, np.int64)


def exponents(a: ArrayLike, *, format: str) -> Codes:
    """Biased exponents of floats, those of zero and subnormals 1.

    Raises
    ------
    ValueError
        If there is no such format, or a code is not of it.
    """
    found = format_of(format)
    codes = check_codes("a", a, found.width)
    biased: Codes = np.maximum(codes >> found.mantissa & (2**found.exponent - 1), 1)
    return biased


def unit_of(exponent: ArrayLike, *, format: str, places: int) -> NDArray[np.float64]:
    """Return what the integers of `align` count: powers of two."""
    unit: NDArray[np.float64] = np.ldexp(
        1.0, np.asarray(exponent) - format_of(format).bias - places
    )
    return unit


def error_bound(
    exponent: ArrayLike, weights: ArrayLike, *, format: str, places: int, rounding: str
) -> NDArray[np.float64]:
    """Return by how much the sum of aligned products, [..., k], may differ from the exact one.

    Each activation is off by at most half a unit, or by less than one by ``"floor"``.
    """
    unit = unit_of(exponent, format=format, places=places)
    share = 0.5 if rounding == NEAREST else 1.0
    bound: NDArray[np.float64] = share * unit * np.abs(np.asarray(weights)).sum(axis=-1)
    return bound


def aligned(
    ahead: ArrayLike,
    a: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    *,
    format: str,
    places: int,
    rounding: str,
) -> dict[str, Codes]:
    """Time series of an aligner, which sees each activation twice.

    While the activations of a group are aligned, `a`, those of the following one are looked at,
    `ahead`; the two need not be equally many.

    Parameters
    ----------
    ahead : integer array, shape [t]
        Exponent fields of codes.
    a : integer array, shape [t]
        Codes.
    clear : array of 0 and 1, shape [t]
        Both are the first of their groups.
    i_valid : array of 0 and 1, shape [t]
    format, places, rounding
        As `align` takes them.

    Returns
    -------
    dict
        int64 arrays [t]. ``"aligned"``: `align` of `a` to ``"exponent"``, or 0 where nothing is
        valid. ``"exponent"``: the largest one of the activations that were ahead in the group
        before, 1 where there were none. ``"nan"``: one of those was not finite.

    Raises
    ------
    ValueError
        As `align` does.
    """
    valid = np.asarray(i_valid) != 0
    starts = valid & (np.asarray(clear) != 0)
    group = np.cumsum(starts)
    fields = check_codes("ahead", ahead, format_of(format).exponent)
    nonfinite = fields == (1 << format_of(format).exponent) - 1
    largest = np.ones(int(group[-1]) + 2, np.int64) if len(group) else np.ones(1, np.int64)
    special = np.zeros_like(largest)
    np.maximum.at(largest, group[valid] + 1, np.maximum(fields, 1)[valid])
    np.maximum.at(special, group[valid] + 1, nonfinite[valid])
    exponent = largest[group]
    found = align(a, exponent, format=format, places=places, rounding=rounding)
    return {"aligned": np.where(valid, found, 0), "exponent": exponent, "nan": special[group]}


def _weights(b: ArrayLike) -> Codes:
    weights = np.asarray(b)
    high = 1 << (WEIGHT_BITS - 1)
    if not np.issubdtype(weights.dtype, np.integer) or (
        weights.size and (weights.min() < -high or weights.max() >= high)
    ):
        raise ValueError(f"b: a weight is no integer in {-high}..{high - 1}")
    return weights.astype(np.int64)


def _starts(clear: ArrayLike, valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each step, the one that the sum started anew in."""
    steps = np.arange(len(valid))
    starts: NDArray[np.int64] = np.maximum.accumulate(
        np.where(valid & (np.asarray(clear) != 0), steps, 0)
    )
    return starts


def _since(values: Codes, starts: NDArray[np.int64]) -> Codes:
    """Sum from a step before until each step."""
    total = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    return total[1:] - total[starts]
