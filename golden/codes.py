"""Codes of low-bit number formats, and the integers that they stand for.

A format is a grid of integers; what the grid's unit is worth belongs to a scale outside. Codes are
the low bits of an element, whatever its sign.

==================  ======  ===============================================================
format              bits    integer
==================  ======  ===============================================================
``integer``         2..16   the element itself
``ternary``         2       0, 1, 0, -1 for codes 0 to 3: bit 0 not zero, bit 1 negative
``power_of_two``    2..5    top bit the sign, the others e: 2**(emax - e), emax the greatest e
                            less 1; 0 for the greatest e
``e2m1``            4       twice the FP4 number: 0, 1, 2, 3, 4, 6, 8, 12, the top bit the sign
==================  ======  ===============================================================

Sources: ternary weights of MatMul-free LM (arXiv 2406.02528); shift codes of DeepShift and
ShiftAddViT (arXiv 2306.06446); FP4 E2M1 of OCP Microscaling Formats 1.0.
"""

import numpy as np
from numpy.typing import NDArray

TERNARY = (0, 1, 0, -1)


def e2m1(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return twice the FP4 E2M1 numbers of 4-bit codes."""
    exponent, mantissa = codes >> 1 & 3, codes & 1
    # Of the grid of halves: subnormal m, normal (2 + m) * 2**(e - 1).
    magnitude = np.where(exponent == 0, mantissa, (2 + mantissa) << np.maximum(exponent - 1, 0))
    return _negated(codes >> 3, magnitude)


def power_of_two(codes: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return the signed powers of two of codes, the least of them 1."""
    greatest = (1 << (width - 1)) - 1
    exponent = codes & greatest
    shift = np.maximum(greatest - 1 - exponent, 0)
    magnitude = np.where(exponent == greatest, 0, np.int64(1) << shift)
    return _negated(codes >> (width - 1), magnitude)


def _negated(signs: NDArray[np.int64], magnitude: NDArray[np.int64]) -> NDArray[np.int64]:
    signed: NDArray[np.int64] = np.where(signs & 1, -magnitude, magnitude)
    return signed


def numbers(codes: NDArray[np.int64], form: str, width: int) -> NDArray[np.int64]:
    """Return the integers that codes of a format stand for.

    Parameters
    ----------
    codes : int64 array, any shape
        Elements; only the low `width` bits count, but of integers.
    form : str
        Name of the format.
    width : int
        Bits of a code.

    Raises
    ------
    ValueError
        If there is no such format, or none of such a width.
    """
    if form == "integer":
        return codes
    widths = {"ternary": (2,), "power_of_two": (2, 3, 4, 5), "e2m1": (4,)}
    if form not in widths:
        raise ValueError(f"format: {form!r} is not one of integer, {', '.join(widths)}")
    if width not in widths[form]:
        raise ValueError(f"format: {form} has no codes of {width} bits")
    bits = codes & ((1 << width) - 1)
    if form == "ternary":
        ternary: NDArray[np.int64] = np.array(TERNARY, np.int64)[bits]
        return ternary
    return e2m1(bits) if form == "e2m1" else power_of_two(bits, width)
