"""Ternary dot products by look-up: a key for a group of trits, and the sums that keys stand for.

A key is the sign and the magnitude of the number whose digits of radix 3 the trits are, trit 0 the
least: opposite groups have opposite signs and one magnitude, which is what a table needs to hold.
Five trits take 8 bits.

Source: ternary look-up of TeLLMe (arXiv 2504.16266); keys as numbers of radix 3 are ours.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.gemm import check_integer

GROUPS = (2, 5)


def entries(group: int) -> int:
    """Magnitudes above zero: sums that a table holds.

    Raises
    ------
    ValueError
        If `group` is not in 2..5.
    """
    return int(3 ** check_integer("group", group, *GROUPS) - 1) // 2


def keys(trits: ArrayLike) -> NDArray[np.int64]:
    """Keys of groups of trits.

    Parameters
    ----------
    trits : integer array, shape [..., group]
        -1, 0 and 1; 2 to 5 of them.

    Returns
    -------
    int64 array, shape [...]
        The magnitude, and above its bits the sign.

    Raises
    ------
    ValueError
        If an element is no trit, or there are not 2 to 5.
    """
    array = np.asarray(trits)
    group = array.shape[-1]
    most = entries(group)
    if not np.isin(array, (-1, 0, 1)).all():
        raise ValueError("trits: one of them is not -1, 0 or 1")
    number = array.astype(np.int64) @ 3 ** np.arange(group)
    coded: NDArray[np.int64] = np.abs(number) | (number < 0) << most.bit_length()
    return coded


def trits_of(codes: ArrayLike, group: int) -> NDArray[np.int64]:
    """Trits of keys, shape [..., group]; none of a key that no trits have but zeros."""
    most = entries(group)
    array = np.asarray(codes, np.int64)
    magnitude = array & ((1 << most.bit_length()) - 1)
    magnitude = np.where(magnitude > most, 0, magnitude)
    sign = 1 - 2 * (array >> most.bit_length() & 1)
    # Of a number that is made positive by `most`, whose digits are all ones, digits are 0 to 2.
    digits = (magnitude[..., None] + most) // 3 ** np.arange(group) % 3 - 1
    result: NDArray[np.int64] = digits * sign[..., None]
    return result


def sums(a: ArrayLike, b: ArrayLike, *, group: int) -> dict[str, NDArray[np.int64]]:
    """Dot products of each set of activations with the groups of trits of each column.

    Parameters
    ----------
    a : integer array, shape [t, group]
    b : integer array, shape [t, cols] or [t]
        Keys.
    group : int
        Trits of a key, 2 to 5.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape of `b`.
    """
    trits = trits_of(b, group)
    activations = np.asarray(a, np.int64)
    if trits.ndim == 3:
        activations = activations[:, None, :]
    return {"sum": (trits * activations).sum(axis=-1)}
