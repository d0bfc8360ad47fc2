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
``e4m3``      8       2**9 times the FP8 number; 0 for NaN
``mitchell``  8       as ``e4m3``, but subnormal numbers are 0
``l_mul``     8       as ``mitchell``
``halves``    9       two integers of 4 bits, or one of 8: see `halves`
============  ======  =========================================================================

A product is that of the integers, but for ``mitchell`` and ``l_mul``, numbers that are multiplied
by the addition of their logarithms.

Source: ternary weights of MatMul-free LM (arXiv 2406.02528); the others are `golden.formats`.
"""

import numpy as np
from numpy.typing import NDArray

from golden.formats import decoded
from golden.l_mul import significands

TERNARY = (0, 1, 0, -1)
WIDTHS = {
    "ternary": range(2, 3),
    "pot": range(2, 6),
    "e2m1": range(4, 5),
    "fp16": range(16, 17),
    "e4m3": range(8, 9),
    "mitchell": range(8, 9),
    "l_mul": range(8, 9),
    "halves": range(9, 10),
}
LOGARITHMS = {"mitchell": "none", "l_mul": "paper"}
"""Formats of numbers that are multiplied as logarithms: what is added to the mantissas."""
MANTISSA = 3
"""Bits of theirs."""
HALF = 4
"""Bits of half a weight."""


def numbers(codes: NDArray[np.int64], form: str, width: int) -> NDArray[np.int64]:
    """Return the integers that codes of a format stand for.

    Parameters
    ----------
    codes : int64 array, any shape
        Elements; only the low `width` bits count, but of integers.
    form : str
        Name of the format; ``halves`` with the bits of a half's sum, as in ``halves19``.
    width : int
        Bits of a code.

    Raises
    ------
    ValueError
        If there is no such format, or none of such a width.
    """
    if form == "integer":
        return codes
    name, place = split(form)
    if name not in WIDTHS or (name == "halves" and not place):
        known = ", ".join(("integer", *WIDTHS)).replace("halves", "halvesS (bits of a sum)")
        raise ValueError(f"format: {form!r} is not one of {known}")
    form = name
    if width not in WIDTHS[form]:
        raise ValueError(f"format: {form} has no codes of {width} bits")
    bits = codes & ((1 << width) - 1)
    if form == "ternary":
        ternary: NDArray[np.int64] = np.array(TERNARY, np.int64)[bits]
        return ternary
    if form == "halves":
        low, high = halves(bits)
        return low + high * (1 << place)
    called = {"pot": f"pot{width}"} | dict.fromkeys(LOGARITHMS, "e4m3")
    parts = decoded(bits, format=called.get(form, form))
    finite = 1 - (parts["nan"] | parts["infinite"])
    if form in LOGARITHMS:
        finite = finite * (np.abs(parts["significand"]) >> MANTISSA)
    return finite * parts["significand"] << parts["shift"]


def split(form: str) -> tuple[str, int]:
    """Return the name of a format, and the bits of a half's sum, 0 where it has none."""
    digits = form.removeprefix("halves")
    return ("halves", int(digits)) if digits != form and digits.isdecimal() else (form, 0)


def halves(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the lower and the upper of the two numbers that a code of 9 bits holds.

    Each has 4 bits, two's complement. Where the top bit of the code is set they are the halves of
    one of 8 bits, ``low + 16 * high``, and the upper one counts one more where the lower one is
    below zero.
    """
    low, high = ((codes >> place & 15 ^ 8) - 8 for place in (0, HALF))
    return low, high + (codes >> 2 * HALF & (low < 0))


def sums_of_halves(
    total: NDArray[np.int64], place: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums of products with the lower and the upper halves of weights.

    Parameters
    ----------
    total : int64 array, any shape
        Sums of products of integers with the integers of ``halves``.
    place : int
        Bits of a half's sum.
    """
    half = 1 << (place - 1)
    low = ((total + half) & ((1 << place) - 1)) - half
    return low, (total - low) >> place


def products(
    a: NDArray[np.int64], b: NDArray[np.int64], form_a: str, form_b: str, width_a: int, width_b: int
) -> NDArray[np.int64]:
    """Return the products of codes, elementwise; shapes are broadcast.

    They count the product of what the integers of A and B count; those of ``mitchell`` and
    ``l_mul`` 8 times that, 2**-15.

    Parameters
    ----------
    a, b : int64 array
        Elements.
    form_a, form_b, width_a, width_b
        As `numbers` takes them.

    Raises
    ------
    ValueError
        As `numbers`, or if one operand alone is a logarithm.
    """
    if form_a not in LOGARITHMS and form_b not in LOGARITHMS:
        return numbers(a, form_a, width_a) * numbers(b, form_b, width_b)
    if form_a != form_b:
        raise ValueError(f"format: {form_a} and {form_b} cannot be multiplied")
    x, y = numbers(a, form_a, width_a), numbers(b, form_b, width_b)
    left, right = np.abs(x), np.abs(y)
    place_a, place_b = (np.frexp(np.maximum(z, 1))[1] - 1 for z in (left, right))
    mantissa_a, mantissa_b = (
        (z >> np.maximum(place - MANTISSA, 0)) % (1 << MANTISSA)
        for z, place in ((left, place_a), (right, place_b))
    )
    found = significands(mantissa_a, mantissa_b, MANTISSA, LOGARITHMS[form_a])
    # The least product is that of two numbers of 8: it has their three places.
    magnitudes = np.ldexp(found, place_a + place_b - MANTISSA).astype(np.int64)
    signed: NDArray[np.int64] = np.sign(x) * np.sign(y) * magnitudes
    return signed
