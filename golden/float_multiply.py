"""Products of two floats, rounded to nearest even.

NaN, and infinity times zero, give the positive quiet NaN. The sign of any other product, zero
included, is that of the operands.

Source: IEEE 754-2019, multiplication.
"""

import numpy as np
from numpy.typing import ArrayLike

from golden.formats import Codes, check_codes, decode, encode, format_of


def multiply(
    a: ArrayLike, b: ArrayLike, *, format: str, saturate: bool, result: str = "same"
) -> dict[str, Codes]:
    """Elementwise product of codes.

    Parameters
    ----------
    a, b : integer array, any one shape
    format : str
        A float of `golden.formats.FORMATS`.
    result : str
        A float for the product that has infinities, or "same".
    saturate : bool
        A product of finite numbers beyond the largest finite number becomes that one; else
        infinity, or NaN where the format has no infinity. Formats without NaN saturate always.

    Returns
    -------
    dict
        ``"product"``: int64 array of the operands' shape.

    Raises
    ------
    ValueError
        If a format or a code is not allowed.
    """
    found = format_of(format)
    if found.kind != "float":
        raise ValueError(f"format: {format!r} is not a float")
    target = format if result == "same" else result
    if format_of(target, "result").kind != "float":
        raise ValueError(f"result: {result!r} is not a float")
    left = decode(check_codes("a", a, found.width), format)
    right = decode(check_codes("b", b, found.width), format)
    # Exact in float64: 48 bits at most, and exponents from -298 to 255.
    with np.errstate(invalid="ignore"):
        product = left * right
    codes = encode(product, target, saturate)
    return {"product": np.where(np.isinf(product), encode(product, target, False), codes)}
