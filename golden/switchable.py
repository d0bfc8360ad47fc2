"""Products of one 8-bit and of two 4-bit weights, accumulated in two halves."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.gemm import wrap
from golden.mac import multiply_accumulate

HALF = 4
"""Bits of half a weight."""


def accumulate_halves(
    a: ArrayLike,
    b: ArrayLike,
    wide: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    *,
    width_acc: int,
) -> dict[str, NDArray[np.int64]]:
    """Time series of two accumulators that start at zero.

    Parameters
    ----------
    a : integer array, shape [t]
        Signed 8-bit activations.
    b : integer array, shape [t]
        8 bits: one signed weight where `wide`, else two signed 4-bit weights.
    wide, clear, i_valid : array of 0 and 1, shape [t]
        `wide` chooses step by step; the others are those of `golden.mac.multiply_accumulate`.
    width_acc : int
        Bits of each accumulator, signed.

    Returns
    -------
    dict
        ``"low"``, ``"high"``: int64 arrays [t], the sums of `a` times each half of the weight.
        Where all steps of a sum were `wide`, the sum is ``low + 16 * high``: the lower half is
        signed, and the upper one counts one more where it is negative.
    """
    weights = np.asarray(b).astype(np.int64)
    low = wrap(weights, HALF, True)
    high = wrap(weights >> HALF, HALF, True) + (np.asarray(wide) != 0) * (low < 0)
    return {
        name: multiply_accumulate(
            a, half, clear, i_valid, width_acc=width_acc, signed_a=True, signed_b=True
        )["sum"]
        for name, half in (("low", low), ("high", high))
    }
