"""Codes of low-bit number formats, and the integers that they stand for.

An integer counts the least value above zero of its format: what that is worth belongs to a scale
outside, and sums are exact. Codes are the low bits of an element, whatever its sign.

============  ======  =========================================================================
format        bits    integer
============  ======  =========================================================================
``integer``   2..16   the element itself
``ternary``   2       0, 1, 0, -1 for codes 0 to 3: bit 0 not zero, bit 1 negative
``pot``       2..5    top bit the sign, the others e: 2**(e - 1), or 0 for e = 0
``fp16``      16      2**24 times the FP16 number; 0 for infinity and NaN
``e2m1``      4       twice the FP4 number: 0, 1, 2, 3, 4, 6, 8, 12, the top bit the sign
============  ======  =========================================================================

Source: ternary weights of MatMul-free LM (arXiv 2406.02528); the others are `golden.formats`.
"""

import numpy as np
from numpy.typing import NDArray

from golden.formats import decoded

TERNARY = (0, 1, 0, -1)
WIDTHS = {"ternary": range(2, 3), "pot": range(2, 6), "e2m1": range(4, 5), "fp16": range(16, 17)}


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
    if form not in WIDTHS:
        raise ValueError(f"format: {form!r} is not one of integer, {', '.join(WIDTHS)}")
    if width not in WIDTHS[form]:
        raise ValueError(f"format: {form} has no codes of {width} bits")
    bits = codes & ((1 << width) - 1)
    if form == "ternary":
        ternary: NDArray[np.int64] = np.array(TERNARY, np.int64)[bits]
        return ternary
    parts = decoded(bits, format=f"pot{width}" if form == "pot" else form)
    finite = 1 - (parts["nan"] | parts["infinite"])
    return finite * parts["significand"] << parts["shift"]
