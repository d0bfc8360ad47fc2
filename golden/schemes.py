"""Real matrices in the number formats of processing elements: codes, and a scale for each vector.

A real number is about ``scale * integer``, the integer being what `golden.codes` says of the code.

==============  ===============================================================================
format          scale and code
==============  ===============================================================================
``integer``     the largest magnitude becomes the largest integer; nearest, ties to even
``ternary``     the mean magnitude of the matrix is 1; nearest, clamped to -1 and 1
``pot``         the largest magnitude becomes the largest power of two; nearest by value
``e2m1``        the largest magnitude becomes 6; nearest, ties to even
==============  ===============================================================================

Sources: BitNet b1.58 and MatMul-free LM (arXiv 2406.02528) for ternary weights by their mean
magnitude; the others are symmetric absmax quantisation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.codes import numbers
from golden.formats import encode
from golden.gemm import integer_range, wrap

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
    array = np.asarray(matrix, np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"matrix: shape {array.shape} is not two-dimensional with elements")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"matrix[{row}, {column}]: {array[row, column]} is not finite")
    # Refuses a format or width that there is not.
    ends = numbers(np.arange(*integer_range(width, True)), form, width)
    if form == "ternary":
        scale = np.full((1, 1), max(float(np.abs(array).mean()), SMALLEST_SCALE))
        return Quantized(np.clip(np.rint(array / scale), -1, 1).astype(np.int64), scale)
    peak = np.maximum(np.abs(array).max(axis=axis, keepdims=True), SMALLEST_SCALE)
    scales = peak / ends.max()
    if form == "integer":
        scales = peak / integer_range(width, True)[1]
        return Quantized(np.rint(array / scales).astype(np.int64), scales)
    # Integers count the least value above zero.
    least = {"pot": 2.0 ** (2 - 2 ** (width - 1)), "e2m1": 0.5}[form]
    name = f"pot{width}" if form == "pot" else form
    return Quantized(wrap(encode(array / scales * least, name), width, True), scales)
