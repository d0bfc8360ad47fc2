"""Sums of two floats, rounded to nearest even.

NaN, and infinities of both signs, give the positive quiet NaN. A sum beyond the largest finite
number is infinite. A sum of zero is +0, unless both operands are -0.

Source: IEEE 754-2019, addition.
"""

import numpy as np
from numpy.typing import ArrayLike

from golden.formats import IEEE, Codes, check_codes, decode, encode, format_of


def add(a: ArrayLike, b: ArrayLike, *, format: str) -> dict[str, Codes]:
    """Elementwise sum of codes.

    Parameters
    ----------
    a, b : integer array, any one shape
    format : str
        A float of `golden.formats.FORMATS` that has infinities.

    Returns
    -------
    dict
        ``"sum"``: int64 array of the operands' shape.

    Raises
    ------
    ValueError
        If the format or a code is not allowed.
    """
    found = format_of(format)
    if found.specials != IEEE:
        raise ValueError(f"format: {format!r} is not a float that has infinities")
    left = decode(check_codes("a", a, found.width), format)
    right = decode(check_codes("b", b, found.width), format)
    # A sum that float64 has rounded does not change by that what it rounds to next: 53 bits are
    # more than twice as many as any of these formats has, and two (Figueroa 1995).
    with np.errstate(invalid="ignore"):
        total = left + right
    return {"sum": encode(total, format, saturate=False)}
