"""Sums of words."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.gemm import check_integer, check_range, wrap


def add(a: ArrayLike, b: ArrayLike, *, width: int) -> dict[str, NDArray[np.int64]]:
    """Elementwise ``a + b`` modulo ``2**width``.

    Parameters
    ----------
    a, b : integer array, any one shape
        At least 0, less than ``2**width``.
    width : int
        Bits of a word, 2 to 63.

    Returns
    -------
    dict
        ``"sum"``: int64 array of the operands' shape.

    Raises
    ------
    ValueError
        If a width, dtype, shape or value is not allowed.
    """
    width = check_integer("width", width, 2, 63)
    left, right = _words("a", a, width, False), _words("b", b, width, False)
    if left.shape != right.shape:
        raise ValueError(f"b: shape {right.shape} is not {left.shape}, that of a")
    # A sum beyond int64 is kept modulo 2**64.
    return {"sum": wrap(left + right, width, False)}


def total(a: ArrayLike, *, width: int, signed: bool) -> dict[str, NDArray[np.int64]]:
    """Exact sum of words along the last dimension.

    Parameters
    ----------
    a : integer array, shape [..., words]
    width : int
        Bits of a word, 2 to 32.
    signed : bool
        Words are two's complement.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [...].

    Raises
    ------
    ValueError
        If a width, dtype, shape or value is not allowed.
    """
    width = check_integer("width", width, 2, 32)
    words = _words("a", a, width, signed)
    if words.ndim == 0:
        raise ValueError("a: shape () is not [..., words]")
    return {"sum": words.sum(axis=-1, dtype=np.int64)}


def _words(name: str, values: ArrayLike, width: int, signed: bool) -> NDArray[np.int64]:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: dtype {array.dtype} is not an integer dtype")
    check_range(name, array, width, signed)
    return array.astype(np.int64)
