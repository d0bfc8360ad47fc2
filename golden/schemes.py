"""Real matrices in the number formats of processing elements: codes, and a scale for each vector.

A real number is about ``scale * integer``, the integer being what `golden.codes` says of the code.

==============  ===============================================================================
format          scale and code
==============  ===============================================================================
``integer``     the largest magnitude becomes the largest integer; nearest, ties to even
``ternary``     the mean magnitude of the matrix is 1; nearest, clamped to -1 and 1
``pot``         the largest magnitude becomes the largest power of two; nearest by value
``fp16``        the number itself, in units of 2**-24, halved until the row or column is finite
``e2m1``        the largest magnitude becomes 6; nearest, ties to even
``e4m3``        the largest magnitude becomes 448; nearest, ties to even
``mitchell``    as ``e4m3``, and to nearest of zero and the least normal number below it
``l_mul``       as ``mitchell``
==============  ===============================================================================

Products of the last two have a mean error, which belongs to the scales: see `product_scale`. Two
columns of 4-bit integers go side by side in the elements of ``halves``, see `paired`.

In groups of K a column has a scale and a zero point for each group of consecutive k; see
`group_quantized`.

Sources: BitNet b1.58 and MatMul-free LM (arXiv 2406.02528) for ternary weights by their mean
magnitude; the others are symmetric absmax quantisation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.codes import HALF, LOGARITHMS, MANTISSA, numbers
from golden.formats import decode, encode
from golden.gemm import check_integer, integer_range, wrap
from golden.group import MODES
from golden.l_mul import significands

_LARGEST_HALF = 65504.0
_LEAST_NORMAL = 2.0**-6
"""Of E4M3."""

SMALLEST_SCALE = 1e-30
"""Of a vector of zeros."""


class Quantized(NamedTuple):
    """A matrix in codes.

    Attributes
    ----------
    codes : int64 array, shape of the matrix
        Signed integers of the format's width.
    scales : float64 array
        Of each vector, shaped so that NumPy broadcasts it over the codes.
    """

    codes: NDArray[np.int64]
    scales: NDArray[np.float64]


def quantized(matrix: ArrayLike, form: str, width: int, axis: int) -> Quantized:
    """Return a matrix in codes of a format.

    Parameters
    ----------
    matrix : real array, shape [rows, columns]
    form : str
        Format, as `golden.codes` calls it.
    width : int
        Bits of a code.
    axis : int
        0: a scale for each column, as weights [k, n] need it. 1: one for each row, as activations
        [m, k] do. Ternary matrices have one scale.

    Raises
    ------
    ValueError
        If there is no such format or width, or the matrix is empty, not two-dimensional, or holds
        NaN or infinity.
    """
    array = checked(matrix)
    # Refuses a format or width that there is not.
    ends = numbers(np.arange(*integer_range(width, True)), form, width)
    if form == "ternary":
        scale = np.full((1, 1), max(float(np.abs(array).mean()), SMALLEST_SCALE))
        return Quantized(np.clip(np.rint(array / scale), -1, 1).astype(np.int64), scale)
    peak = np.maximum(np.abs(array).max(axis=axis, keepdims=True), SMALLEST_SCALE)
    scales = peak / ends.max()
    if form == "fp16":
        halvings = np.maximum(np.ceil(np.log2(peak / _LARGEST_HALF)), 0)
        codes = encode(array / 2.0**halvings, form)
        return Quantized(wrap(codes, width, True), 2.0 ** (halvings - 24))
    if form == "integer":
        scales = peak / integer_range(width, True)[1]
        return Quantized(np.rint(array / scales).astype(np.int64), scales)
    # Integers count the least value above zero.
    e4m3 = dict.fromkeys(("e4m3", *LOGARITHMS), 2.0**-9)
    values = array / scales * ({"pot": 2.0 ** (2 - 2 ** (width - 1)), "e2m1": 0.5} | e4m3)[form]
    if form in LOGARITHMS:
        normal = np.where(np.abs(values) > _LEAST_NORMAL / 2, np.copysign(_LEAST_NORMAL, values), 0)
        values = np.where(np.abs(values) < _LEAST_NORMAL, normal, values)
    name = {"pot": f"pot{width}"} | dict.fromkeys(LOGARITHMS, "e4m3")
    return Quantized(wrap(encode(values, name.get(form, form)), width, True), scales)


def product_scale(form: str) -> float:
    """Return what a sum of products of a format counts, in terms of the scales of both operands.

    That of numbers multiplied as logarithms is 8, over the mean gain of a product of mantissas.
    """
    if form not in LOGARITHMS:
        return 1.0
    x, y = np.divmod(np.arange(1 << 2 * MANTISSA), 1 << MANTISSA)
    exact = (1 + x / (1 << MANTISSA)) * (1 + y / (1 << MANTISSA))
    gain = significands(x, y, MANTISSA, LOGARITHMS[form]).sum() / exact.sum()
    return float((1 << MANTISSA) / gain)


def paired(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return integers of 4 bits [k, n], two columns side by side, [k, n / 2] of ``halves``.

    The first of two is the lower half; an odd last column stands beside zeros.
    """
    even = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2))) & ((1 << HALF) - 1)
    return even[:, ::2] | even[:, 1::2] << HALF


class GroupQuantized(NamedTuple):
    """Weights [k, n] in integers, with scales and zero points of groups of k.

    A weight is about ``factor * scale * (code - zero)``, scale being what the mode says.

    Attributes
    ----------
    codes : int64 array, shape [k, n]
        Signed integers.
    scales : int64 array, shape [groups, n]
        Integers, exponents of 2 or codes of float32, as `golden.group.group_matmul` takes them.
    zeros : int64 array, shape [groups, n]
        Zero points, signed integers of the codes' width.
    factors : float64 array, shape [1, n]
        Of each column; 1 where scales are floats.
    real : float64 array, shape [k, n]
        The weights that these stand for.
    """

    codes: NDArray[np.int64]
    scales: NDArray[np.int64]
    zeros: NDArray[np.int64]
    factors: NDArray[np.float64]
    real: NDArray[np.float64]


def group_quantized(
    matrix: ArrayLike, group: int, width: int, mode: str, width_scale: int
) -> GroupQuantized:
    """Return weights in integers with a scale and a zero point for each group and column.

    Least and greatest weight of a group, and zero, become integers of the width: asymmetric
    quantisation. The scale is rounded first, up where it is a power of two, and weights then to the
    nearest integer. The last group may be shorter.

    Parameters
    ----------
    matrix : real array, shape [k, n]
    group : int
        Consecutive k of a group, at least 1.
    width : int
        Bits of a code, 2 to 8.
    mode : str
        Of the scales, one of `golden.group.MODES`.
    width_scale : int
        Bits of a scale that is an integer, or an exponent.

    Raises
    ------
    ValueError
        If the group, the width or the mode is not allowed, or the matrix is empty, not
        two-dimensional, or holds NaN or infinity.
    """
    array = checked(matrix)
    group = check_integer("group", group, 1)
    least, greatest = integer_range(check_integer("width", width, 2, 8), True)
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is not one of {', '.join(MODES)}")
    groups = np.split(array, range(group, len(array), group))
    lows = np.stack([np.minimum(part.min(axis=0), 0) for part in groups])
    highs = np.stack([np.maximum(part.max(axis=0), 0) for part in groups])
    wanted = np.maximum((highs - lows) / (greatest - least), SMALLEST_SCALE)
    scales, steps, factors = _group_scales(wanted, mode, width_scale)
    zeros = np.clip(np.rint(least - lows / steps), least, greatest).astype(np.int64)
    of_row = np.arange(len(array)) // group
    codes = np.rint(array / steps[of_row]) + zeros[of_row]
    codes = np.clip(codes, least, greatest).astype(np.int64)
    real = steps[of_row] * (codes - zeros[of_row])
    return GroupQuantized(codes, scales, zeros, factors, real)


def _group_scales(
    wanted: NDArray[np.float64], mode: str, width_scale: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return scales as a mode has them, the real steps that they stand for, and the factors."""
    largest = wanted.max(axis=0, keepdims=True)
    most = (1 << width_scale) - 1
    if mode == "float":
        scales = encode(wanted, "fp32")
        return scales, decode(scales, "fp32"), np.ones_like(largest)
    if mode == "integer":
        factors = largest / most
        scales = np.maximum(np.rint(wanted / factors), 1).astype(np.int64)
        return scales, scales * factors, factors
    factors = largest / 2.0**most
    scales = np.maximum(np.ceil(np.log2(wanted / largest)) + most, 0).astype(np.int64)
    return scales, 2.0**scales * factors, factors


def checked(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return a matrix of finite numbers; refuse any other."""
    array = np.asarray(matrix, np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"matrix: shape {array.shape} is not two-dimensional with elements")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"matrix[{row}, {column}]: {array[row, column]} is not finite")
    return array
