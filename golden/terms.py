"""Weights as terms, signed powers of two, and sums of activations shifted by them.

Every code of 4 to 8 bits stands for a sum of few terms: a PE that knows nothing but "add the
activation, shifted" runs all of the formats. Terms count the least value above zero of a format, so
that sums are exact integers; what that value is worth is `unit` of the format.

=====================  ======================================================================
format                 terms of a code
=====================  ======================================================================
``int4`` .. ``int8``   the digits that are not zero of its non-adjacent form, the lowest first
floats                 the same of its significand, moved by its exponent
``pot2`` .. ``pot5``   the power of two itself, none of zero
``pot2x2`` ..          those of the powers that are added, in their order, none of zero
=====================  ======================================================================

The non-adjacent form of an integer has no two neighbours that are both not zero, and the fewest
terms of all (Reitwiesner 1960). Terms of NaN and of infinity there are none: they are marked.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from golden.digits import encode
from golden.formats import FORMATS, Codes, check_codes, decoded, format_of
from golden.gemm import ACCUMULATOR_WIDTHS, check_integer, wrap

TERM_FORMATS = tuple(
    name
    for name, found in FORMATS.items()
    if name.startswith("pot")
    or (found.kind == "float" and found.width <= 8)
    or (found.kind == "integer" and not found.fraction and 4 <= found.width <= 8)
)
"""Formats whose codes are cut in terms."""


class Terms(NamedTuple):
    """Terms of codes, [..., most]; those of a code come first, then zeros.

    Attributes
    ----------
    shift
        Exponents of two.
    negative, nonzero
        0 or 1: the term is below zero; there is a term at all.
    nonfinite
        Without the last dimension, 0 or 1: the code is NaN or infinity.
    """

    shift: Codes
    negative: Codes
    nonzero: Codes
    nonfinite: Codes


def terms(codes: ArrayLike, format: str) -> Terms:
    """Cut codes in terms.

    Parameters
    ----------
    codes : integer array, any shape
    format : str
        One of `TERM_FORMATS`.

    Raises
    ------
    ValueError
        If the format is another one, or a code is not of it.
    """
    if format not in TERM_FORMATS:
        raise ValueError(f"format: {format!r} is not one of {', '.join(TERM_FORMATS)}")
    digits, shift, nonfinite = _digits(check_codes("codes", codes, format_of(format).width), format)
    order = np.argsort(digits == 0, axis=-1, kind="stable")[..., : most_terms(format)]
    digits = np.take_along_axis(digits, order, axis=-1)
    shift = np.take_along_axis(shift, order, axis=-1)
    nonzero = (digits != 0).astype(np.int64)
    return Terms(shift * nonzero, (digits < 0).astype(np.int64), nonzero, nonfinite)


@cache
def most_terms(format: str) -> int:
    """Terms of the codes of a format that have most of them."""
    digits, *_ = _digits(np.arange(1 << format_of(format).width), format)
    return int(np.count_nonzero(digits, axis=-1).max())


def _digits(codes: Codes, format: str) -> tuple[Codes, Codes, Codes]:
    """Digits -1 to 1 of codes, their exponents, and which codes are no finite numbers."""
    found = format_of(format)
    if format.startswith("pot"):
        width = found.width // found.terms
        parts = codes[..., None] >> width * np.arange(found.terms) & ((1 << width) - 1)
        number = decoded(parts, format=f"pot{width}")
        return number["significand"], number["shift"], np.zeros_like(codes)
    number = decoded(codes, format=format)
    nonfinite = number["nan"] | number["infinite"]
    # A significand has a hidden bit and a sign.
    width = found.mantissa + 2 if found.kind == "float" else found.width
    digits = encode(
        np.where(nonfinite, 0, number["significand"]), kind="csd", width=width, signed=True
    )
    return digits, number["shift"][..., None] + np.arange(digits.shape[-1]), nonfinite


def encoded_terms(a: ArrayLike, *, format: str) -> dict[str, Codes]:
    """Terms of codes, as a hardware encoder shows them.

    Parameters
    ----------
    a : integer array, any shape
        Codes.
    format : str
        One of `TERM_FORMATS`.

    Returns
    -------
    dict
        int64 arrays of the shape of `a`. ``"shift"``: the exponents side by side, that of the first
        term in the low bits, each with as many bits as the greatest of all codes takes.
        ``"negative"``, ``"nonzero"`` and ``"last"``: bit i of term i; the last term of a code, of
        zero the first. ``"nonfinite"``.

    Raises
    ------
    ValueError
        As `terms` does.
    """
    found = terms(a, format)
    places = np.arange(most_terms(format))
    last = places == np.maximum(found.nonzero.sum(axis=-1, keepdims=True), 1) - 1
    vectors = {"negative": found.negative, "nonzero": found.nonzero, "last": last.astype(np.int64)}
    packed = {name: (bits << places).sum(axis=-1) for name, bits in vectors.items()}
    shift = (found.shift << places * shift_bits(format)).sum(axis=-1)
    return {"shift": shift, **packed, "nonfinite": found.nonfinite}


def tokens(a: ArrayLike, codes: ArrayLike, format: str) -> dict[str, Codes]:
    """Activations and weights as a term-serial PE takes them, term after term.

    Parameters
    ----------
    a, codes : integer array, shape [n]
        Activations, and codes of weights; a weight of zero takes a token too.
    format : str
        One of `TERM_FORMATS`.

    Returns
    -------
    dict
        int64 arrays, shape [tokens]: ``"a"``, ``"shift"``, ``"negative"``, ``"nonzero"`` and
        ``"last"`` as `accumulate` takes them.

    Raises
    ------
    ValueError
        As `terms` does.
    """
    found = terms(codes, format)
    taken = found.nonzero != 0
    taken[:, 0] = True
    last = np.cumsum(taken, axis=1) == taken.sum(axis=1, keepdims=True)
    columns = {
        "a": np.broadcast_to(np.asarray(a, np.int64)[:, None], taken.shape),
        "shift": found.shift,
        "negative": found.negative,
        "nonzero": found.nonzero,
        "last": last.astype(np.int64),
    }
    return {name: column[taken] for name, column in columns.items()}


@cache
def shift_bits(format: str) -> int:
    """Bits of the greatest exponent of a format, at least 1."""
    greatest = terms(np.arange(1 << format_of(format).width), format).shift.max()
    return max(1, int(greatest).bit_length())


def accumulate(
    a: ArrayLike,
    shift: ArrayLike,
    negative: ArrayLike,
    nonzero: ArrayLike,
    last: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    *,
    width_acc: int,
) -> dict[str, Codes]:
    """Time series of an accumulator of terms that starts at zero.

    Parameters
    ----------
    a : integer array, shape [t]
        Activations; one counts for all terms of a weight, and is that of the weight's first term.
    shift : integer array, shape [t]
        0 to 62.
    negative, nonzero : array of 0 and 1, shape [t]
        The term, as in `Terms`.
    last : array of 0 and 1, shape [t]
        It is the last term of its weight.
    clear : array of 0 and 1, shape [t]
        The accumulator starts anew with this term.
    i_valid : array of 0 and 1, shape [t]
        There is a term at all; a step without changes nothing.
    width_acc : int
        Bits of the accumulator, signed.

    Returns
    -------
    dict
        ``"sum"``: int64 array [t], after each step. ``"o_last"``: the weight is complete.
    """
    width_acc = check_integer("width_acc", width_acc, *ACCUMULATOR_WIDTHS)
    valid = np.asarray(i_valid) != 0
    ends = valid & (np.asarray(last) != 0)
    steps = np.arange(len(valid))
    # A weight begins with the first term after the end of the one before.
    latest = np.maximum.accumulate(np.where(valid, steps, -1))
    before = np.concatenate(([-1], latest[:-1]))
    begins = valid & ((before < 0) | ends[before])
    start = np.maximum.accumulate(np.where(begins, steps, 0))
    term = np.where(np.asarray(nonzero) != 0, np.where(np.asarray(negative) != 0, -1, 1), 0)
    products = np.asarray(a).astype(np.int64)[start] * term << np.asarray(shift)
    total = np.concatenate(([0], np.cumsum(products * valid, dtype=np.int64)))
    cleared = np.maximum.accumulate(np.where(valid & (np.asarray(clear) != 0), steps, 0))
    return {
        "sum": wrap(total[1:] - total[cleared], width_acc, True),
        "o_last": ends.astype(np.int64),
    }
