"""Products of binary-coded weights: dense, as tables, and as the beats of look-up units.

A weight is a sum of scales, each with a sign of its own: ``W[n, k] = sum over i of
scale[i, n, k] * (2 * bits[i, n, k] - 1)``. Scales are dyadic; everything here counts them in units
of the least power of two among them, ``2**-F``, so that they are integers and sums are exact in any
order. The result is ``2**F`` times the product.

A scale in hardware is a sum of one to three signed powers of two. The code of such a term has its
exponent in the low bits, then a bit that says whether there is a term at all, then its sign; code 0
is no term, and not ``2**0``.

A table has a sum for each choice of signs of `mu` activations. Key bit j is the sign of activation
j, 1 for plus. As the table is antisymmetric, half of it is kept: the keys whose top bit is 0.

Sources: G. Park et al., "LUT-GEMM", arXiv 2206.09557; H. You et al., "ShiftAddLLM", arXiv
2406.05981; G. Park et al., "FIGLUT", arXiv 2503.06862, which shares half a table among many units.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.bcq import MOST_BITS, encode, fit
from golden.formats import check_codes
from golden.gemm import check_integer, wrap
from golden.mac import multiply_accumulate

MOST_TERMS = 3
SIZES = (4, 8)
"""Activations of a table."""
LEAD = 2
"""Cycles from activations to the first keys that find them in the table of an engine."""

Matrix = NDArray[np.int64]


class Planes(NamedTuple):
    """Weights as bits and scales.

    Attributes
    ----------
    bits : int64 array, shape [planes, n, k]
        1 for plus, 0 for minus.
    scales : int64 array, shape [planes, n or 1, k or 1]
        In units of ``2**-F``.
    """

    bits: Matrix
    scales: Matrix


def product(bits: ArrayLike, scales: ArrayLike, x: ArrayLike) -> Matrix:
    """Exact product of weights and activations, in units of the scales.

    Parameters
    ----------
    bits : array of 0 and 1, shape [planes, n, k]
    scales : integer array
        As NumPy broadcasts it over the bits.
    x : integer array, shape [k, m]

    Returns
    -------
    int64 array, shape [n, m]

    Raises
    ------
    ValueError
        If a dtype, shape or bit is not allowed, or a sum may need more than 63 bits.
    """
    planes, factors = check_codes("bits", bits, 1), _integers("scales", scales)
    activations = _integers("x", x)
    if planes.ndim != 3:
        raise ValueError(f"bits: shape {planes.shape} is not [planes, n, k]")
    if activations.ndim != 2 or len(activations) != planes.shape[2]:
        raise ValueError(
            f"x: shape {activations.shape} does not fit bits of shape {planes.shape}, "
            f"x must have {planes.shape[2]} rows"
        )
    weights = ((2 * planes - 1) * factors).sum(axis=0)
    most = len(activations) * int(np.abs(weights).max()) * int(np.abs(activations).max())
    if most >= 1 << 62:
        raise ValueError(f"scales: sums of up to {most.bit_length()} bits are not in 63 bits")
    found: Matrix = weights @ activations
    return found


def half_table(x: ArrayLike) -> Matrix:
    """Sums of activations under all signs but for the last one, which counts as minus.

    Parameters
    ----------
    x : integer array, shape [..., mu]

    Returns
    -------
    int64 array, shape [..., 2**(mu - 1)]
        Entry i is that of key i, whose top bit is 0; that of ``~i`` is its negative.

    Raises
    ------
    ValueError
        If `mu` is not in `SIZES`.
    """
    activations = _integers("x", x)
    mu = _size(activations.shape[-1])
    signs = 2 * (np.arange(1 << (mu - 1))[:, None] >> np.arange(mu) & 1) - 1
    found: Matrix = activations @ signs.T
    return found


def of_integers(codes: ArrayLike, bits: int, zeros: ArrayLike = 0) -> Planes:
    """Planes of plain integer weights: their scales add up to ``2 * (codes - zeros)``.

    A code of `bits` bits is ``sum of 2**(i - 1) * (2 * bit_i - 1)``, and ``(2**bits - 1) / 2``
    besides. That and the zero point are more planes, in which every bit is 1: one for each signed
    digit of ``2**bits - 1 - 2 * zero``. For two's complement, add ``2**(bits - 1)`` to it and take
    that as zero point: then it is a single plane, of scale -1.

    Parameters
    ----------
    codes : integer array, shape [n, k]
        Unsigned, `bits` bits each.
    bits : int
        1 to 8.
    zeros : integer or integer array, shape [n]
        Zero point of all rows, or of each, `bits` bits as well.

    Returns
    -------
    Planes
        Scales [planes, 1, 1] or [planes, n, 1], each a signed power of two up to ``2**bits``, or 0.

    Raises
    ------
    ValueError
        If there are not 1 to 8 bits, or a code, shape or zero point is not allowed.
    """
    check_integer("bits", bits, 1, MOST_BITS)
    weights = check_codes("codes", codes, bits)
    if weights.ndim != 2:
        raise ValueError(f"codes: shape {weights.shape} is not [n, k]")
    points = check_codes("zeros", zeros, bits).reshape(-1, 1)
    if len(points) not in (1, len(weights)):
        raise ValueError(f"zeros: there are {len(points)}, codes have {len(weights)} rows")
    planes = weights >> np.arange(bits)[:, None, None] & 1
    scales = np.broadcast_to(1 << np.arange(bits)[:, None, None], (bits, *points.shape))
    digits = _signed_digits((1 << bits) - 1 - 2 * points)
    ones = np.ones((len(digits), *weights.shape), np.int64)
    return Planes(np.concatenate([planes, ones]), np.concatenate([scales, digits]))


def _signed_digits(values: Matrix) -> Matrix:
    """Non-adjacent digits of integers, those that are zero everywhere left out."""
    digits = []
    weight = 1
    while values.any():
        digit = np.where(values & 1, 2 - (values & 3), 0)
        if digit.any():
            digits.append(digit * weight)
        values = (values - digit) >> 1
        weight <<= 1
    return np.array(digits, np.int64).reshape(-1, *values.shape)


def scale_codes(scales: ArrayLike, *, width_exponent: int, terms: int) -> Matrix:
    """Codes of scales in hardware.

    Parameters
    ----------
    scales : integer array, any shape
    width_exponent : int
        Bits of an exponent, 1 to 4: powers from 1 to ``2**(2**width_exponent - 1)``.
    terms : int
        1 to 3. Each term is the power nearest to what those before it leave.

    Returns
    -------
    int64 array, shape [..., terms]

    Raises
    ------
    ValueError
        If a scale is no such sum, or a parameter is not allowed.
    """
    values = _integers("scales", scales)
    codes = _nearest(values.astype(np.float64), width_exponent, terms)
    wrong = values[_scales(codes, width_exponent) != values]
    if wrong.size:
        raise ValueError(
            f"scales: {wrong[0]} is no sum of {terms} signed powers of two from 1 to "
            f"2**{(1 << width_exponent) - 1}"
        )
    return codes


def round_scales(scales: ArrayLike, *, width_exponent: int, terms: int) -> Matrix:
    """Round real scales, in units of ``2**-F``, to what `scale_codes` has codes of.

    Parameters
    ----------
    scales : real array, any shape
        Finite.
    width_exponent, terms : int
        As `scale_codes` takes them.

    Returns
    -------
    int64 array, same shape
        A scale below half a unit becomes 0; one beyond the largest, the largest.

    Raises
    ------
    ValueError
        If a parameter is not allowed, or a scale is not finite.
    """
    values = np.asarray(scales, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("scales: one of them is not finite")
    return _scales(_nearest(values, width_exponent, terms), width_exponent)


class Fitted(NamedTuple):
    """A real matrix in binary code.

    Attributes
    ----------
    planes
        Bits, and scales [planes, n, k], which are the same for all weights of a group.
    unit
        Power of two that the scales count: a weight is about ``unit`` times that of the planes.
    """

    planes: Planes
    unit: float


def quantize(
    matrix: ArrayLike,
    planes: int,
    *,
    rows: int,
    columns: int,
    width_exponent: int,
    terms: int,
    rounds: int = 10,
) -> Fitted:
    """Turn real weights into bits, and scales that are sums of signed powers of two.

    Scales are fitted to each group of weights by `golden.bcq.fit`, rounded to what has a code, and
    bits are then chosen anew. Groups at the edges may be smaller.

    Parameters
    ----------
    matrix : real array, shape [n, k]
        Finite.
    planes : int
        Bits of a weight, 1 to 8.
    rows, columns : int
        Size of a group, at least 1: all rows and one column in layout ``"column"`` of an engine,
        `rows_per_scale` rows and `mu` columns in layout ``"block"``.
    width_exponent, terms : int
        As `scale_codes` takes them.
    rounds : int
        As `golden.bcq.fit` takes them.

    Raises
    ------
    ValueError
        If the matrix is empty, not two-dimensional, or holds NaN or infinity, or a parameter is not
        allowed.
    """
    weights = np.asarray(matrix, np.float64)
    if weights.ndim != 2 or weights.size == 0:
        raise ValueError(f"matrix: shape {weights.shape} is not two-dimensional with elements")
    if not np.isfinite(weights).all():
        row, column = np.argwhere(~np.isfinite(weights))[0].tolist()
        raise ValueError(f"matrix[{row}, {column}]: {weights[row, column]} is not finite")
    check_integer("rows", rows, 1)
    check_integer("columns", columns, 1)
    check_integer("planes", planes, 1, MOST_BITS)
    n, k = weights.shape
    parts = [
        (slice(top, top + rows), slice(left, left + columns))
        for top in range(0, n, rows)
        for left in range(0, k, columns)
    ]
    real = np.stack([fit(weights[part].ravel(), planes, rounds) for part in parts])
    # The largest scale is at most the largest power of a term.
    most = float(np.abs(real).max()) or 1.0
    unit = float(np.exp2(np.ceil(np.log2(most)) - (1 << width_exponent) + 1))
    scales = round_scales(real / unit, width_exponent=width_exponent, terms=terms)
    codes = np.zeros((n, k), np.int64)
    spread = np.zeros((planes, n, k), np.int64)
    for part, found in zip(parts, scales, strict=True):
        codes[part] = encode(weights[part] / unit, found.astype(np.float64))
        spread[(slice(None), *part)] = found[:, None, None]
    return Fitted(Planes(codes >> np.arange(planes)[:, None, None] & 1, spread), unit)


def _nearest(values: NDArray[np.float64], width_exponent: int, terms: int) -> Matrix:
    """Codes [..., terms], each of the power nearest to what those before it leave."""
    check_integer("width_exponent", width_exponent, 1, 4)
    check_integer("terms", terms, 1, MOST_TERMS)
    powers = 2.0 ** np.arange(1 << width_exponent)
    rest = values
    codes = []
    for _ in range(terms):
        exponent = np.abs(np.abs(rest)[..., None] - powers).argmin(axis=-1)
        flags = np.where(np.abs(rest) < 0.5, 0, 1 + 2 * (rest < 0))
        codes.append(np.where(flags, exponent | flags << width_exponent, 0))
        rest = rest - _scales(codes[-1][..., None], width_exponent)
    return np.stack(codes, axis=-1).astype(np.int64)


def _scales(codes: Matrix, width_exponent: int) -> Matrix:
    """Integers of codes [..., terms]."""
    exponent, flags = codes & (1 << width_exponent) - 1, codes >> width_exponent
    found: Matrix = ((flags & 1) * (1 - (flags & 2)) << exponent).sum(axis=-1)
    return found


def build(
    x: ArrayLike, i_valid: ArrayLike, *, mu: int, width: int = 8, least: bool = True
) -> dict[str, Matrix]:
    """Time series of the half table of a builder, which keeps it until new activations come.

    Parameters
    ----------
    x : integer array, shape [t, mu]
    i_valid : array of 0 and 1, shape [t]
    width : int
        Bits of an activation.
    least : bool
        Entries hold the negative of the least activation; else those with it wrap.

    Returns
    -------
    dict
        ``"entries"``: int64 array [t, 2**(mu - 1)]; zeros before the first activations.
    """
    table = half_table(np.reshape(x, (-1, mu)))
    table = wrap(table, width + (mu - 1).bit_length() + least, True)
    return {"entries": _latest(table, np.asarray(i_valid))}


def read_accumulate(
    entries: ArrayLike,
    key: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    scale: ArrayLike | None = None,
    *,
    mu: int,
    terms: int,
    width_exponent: int,
    width_acc: int,
) -> dict[str, Matrix]:
    """Time series of a sum of scaled entries of tables.

    Parameters
    ----------
    entries : integer array, shape [t, 2**(mu - 1)]
        Half tables of any content.
    key : integer array, shape [t]
        `mu` bits.
    clear, i_valid : array of 0 and 1, shape [t]
        As `golden.mac.multiply_accumulate` takes them.
    scale : integer array, shape [t, terms]
        Codes; none where `terms` is 0, for a scale of 1.
    width_acc : int
        Bits of the sum, signed, which wraps.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [t].
    """
    keys = np.asarray(key)
    negative = keys >> (mu - 1) & 1
    index = np.where(negative, ~keys, keys) & ((1 << (mu - 1)) - 1)
    found = np.take_along_axis(np.asarray(entries, np.int64), index[:, None], axis=1)[:, 0]
    factors = _factors(scale, terms, 1, width_exponent)[:, 0]
    return {"sum": _running(np.where(negative, -found, found) * factors, clear, i_valid, width_acc)}


def engine(
    x: ArrayLike,
    load: ArrayLike,
    key: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    scale: ArrayLike,
    *,
    layout: str,
    mu: int,
    rows: int,
    rows_per_scale: int,
    terms: int,
    width_exponent: int,
    width_acc: int,
) -> dict[str, Matrix]:
    """Time series of the sums of an engine: dense products, without any table.

    Parameters
    ----------
    x : integer array, shape [t, mu]
        Activations, which keys find from `LEAD` cycles on, until others are loaded.
    load : array of 0 and 1, shape [t]
        There are activations.
    key : integer array, shape [t, rows]
        `mu` bits for each row of the weights.
    clear, i_valid : array of 0 and 1, shape [t]
        Of the keys.
    scale : integer array, shape [t, mu * terms] or [t, rows // rows_per_scale * terms]
        Codes: of each activation, with `x`, in layout ``"column"``; of each block of rows, with
        `key`, in layout ``"block"``. All terms of the first one first.
    width_acc : int
        Bits of a sum, signed, which wraps.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [t, rows], or [t] for one row.
    """
    activations = np.reshape(x, (-1, mu)).astype(np.int64)
    keys = np.reshape(key, (len(activations), -1))
    blocks = np.ones((1, rows), np.int64)
    if layout == "column":
        activations = activations * _factors(scale, terms, mu, width_exponent)
    else:
        factors = _factors(scale, terms, rows // rows_per_scale, width_exponent)
        blocks = np.repeat(factors, rows_per_scale, axis=1)
    loaded = _latest(activations, np.asarray(load))
    loaded = np.concatenate([np.zeros((LEAD, mu), np.int64), loaded])[: len(keys)]
    signs = 2 * (keys[:, :, None] >> np.arange(mu) & 1) - 1
    addends = blocks * (signs * loaded[:, None, :]).sum(axis=2)
    sums = np.stack([_running(row, clear, i_valid, width_acc) for row in addends.T], axis=1)
    return {"sum": sums if rows > 1 else sums[:, 0]}


def _factors(codes: ArrayLike | None, terms: int, count: int, width_exponent: int) -> Matrix:
    """Integers [t, count] of the codes at a port."""
    if codes is None:
        return np.ones((1, count), np.int64)
    return _scales(np.reshape(codes, (-1, count, terms)).astype(np.int64), width_exponent)


def _latest(values: Matrix, valid: NDArray[np.integer]) -> Matrix:
    """Return the last valid row so far, zeros before the first."""
    last = np.maximum.accumulate(np.where(valid != 0, np.arange(len(values)), -1))
    found: Matrix = np.where(last[:, None] < 0, 0, values[last])
    return found


def _running(addends: Matrix, clear: ArrayLike, i_valid: ArrayLike, width_acc: int) -> Matrix:
    ones = np.ones_like(addends)
    return multiply_accumulate(
        addends, ones, clear, i_valid, width_acc=width_acc, signed_a=True, signed_b=True
    )["sum"]


def _size(mu: int) -> int:
    if mu not in SIZES:
        raise ValueError(f"mu: {mu} is not one of {', '.join(map(str, SIZES))}")
    return mu


def _integers(name: str, values: ArrayLike) -> Matrix:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: dtype {array.dtype} is not an integer dtype")
    return array.astype(np.int64)
