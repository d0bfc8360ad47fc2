"""Integers as sums of digits: modified Booth, EN-T, canonical signed digit and plain bits.

Each function takes the name of a digit set: ``"booth"`` (radix 4, -2 to 2), ``"ent"`` (radix 4,
-1 to 2, of the magnitude), ``"csd"`` (radix 2, -1 to 1, no two neighbours non-zero) or ``"bits"``
(radix 2, two's complement).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.gemm import OPERAND_WIDTHS, check_integer, check_range, integer_range

RADIX = {"booth": 4, "ent": 4, "csd": 2, "bits": 2}
"""Digit sets, and the ratio of the weights of two neighbours."""


class Statistics(NamedTuple):
    """How many digits of an operand are not zero.

    Attributes
    ----------
    average : float
        Expected number of non-zero digits of an operand.
    histogram : float64 array, shape [digits + 1]
        Weight of the operands with 0, 1, 2 and so on non-zero digits.
    nonzero : float64 array, shape [digits]
        Probability that digit i is not zero.
    """

    average: float
    histogram: NDArray[np.float64]
    nonzero: NDArray[np.float64]


def digit_count(kind: str, width: int, signed: bool) -> int:
    """Least number of digits that holds every operand.

    Parameters
    ----------
    kind : str
        Digit set.
    width : int
        Bits of the operand, 2 to 16.
    signed : bool
        The operand is two's complement.

    Raises
    ------
    ValueError
        If the digit set or the width is not allowed.
    """
    if kind not in RADIX:
        raise ValueError(f"kind: {kind!r} is not one of {', '.join(RADIX)}")
    width = check_integer("width", width, *OPERAND_WIDTHS)
    lowest, highest = integer_range(width, signed)
    if kind == "bits":
        return width
    count = 1
    while _greatest(kind, count) < (highest if kind == "booth" else max(highest, -lowest)):
        count += 1
    return count


def _greatest(kind: str, count: int) -> int:
    """Greatest value that so many digits stand for."""
    if kind == "booth":
        return integer_range(2 * count, True)[1]
    if kind == "ent":
        return int(2 * (4**count - 1) // 3)  # 2, 2, 2, ...
    return int(2 ** (count + 1) // 3)  # 1, 0, 1, 0, ...


def encode(values: ArrayLike, *, kind: str, width: int, signed: bool) -> NDArray[np.int64]:
    """Digits of integers, least significant first.

    The sum of ``digit[i] * radix**i`` is the integer; the digits of EN-T have its sign in them.

    Parameters
    ----------
    values : integer array, any shape
    kind : str
        Digit set.
    width : int
        Bits of an integer, 2 to 16.
    signed : bool
        Integers are two's complement.

    Returns
    -------
    int64 array, shape [..., digits]

    Raises
    ------
    ValueError
        If the digit set or the width is not allowed, the dtype is not an integer, or a value
        does not fit.
    """
    count = digit_count(kind, width, signed)
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"values: dtype {array.dtype} is not an integer dtype")
    check_range("values", array, width, signed)
    integers = array.astype(np.int64)
    if kind == "booth":
        # Beside digit i stands the integer divided by 4**i and rounded, halves upwards.
        places = 4 ** np.arange(count + 1)
        rounded = (2 * integers[..., None] + places) // (2 * places)
        booth: NDArray[np.int64] = rounded[..., :-1] - 4 * rounded[..., 1:]
        return booth
    if kind == "bits":
        bits = integers[..., None] >> np.arange(count) & 1
        if signed:
            bits[..., -1] *= -1
        return bits
    rest = np.abs(integers) if kind == "ent" else integers
    digits = np.zeros((*integers.shape, count), np.int64)
    for i in range(count):
        residue = rest % 4
        digits[..., i] = np.where(residue == 3, -1, residue) if kind == "ent" else _odd(residue)
        rest = (rest - digits[..., i]) // RADIX[kind]
    return digits * np.sign(integers)[..., None] if kind == "ent" else digits


def _odd(residue: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 of an even integer; of an odd one the digit that leaves a multiple of 4."""
    digit: NDArray[np.int64] = np.where(residue % 2, 2 - residue, 0)
    return digit


def decode(digits: ArrayLike, *, kind: str) -> NDArray[np.int64]:
    """Integers of digits [..., digits], least significant first.

    Raises
    ------
    ValueError
        If there is no such digit set, or the dtype is not an integer.
    """
    if kind not in RADIX:
        raise ValueError(f"kind: {kind!r} is not one of {', '.join(RADIX)}")
    array = _digits(digits)
    weights = RADIX[kind] ** np.arange(array.shape[-1], dtype=np.int64)
    integers: NDArray[np.int64] = (array * weights).sum(axis=-1)
    return integers


def ports(a: ArrayLike, *, kind: str, width: int, signed: bool) -> dict[str, NDArray[np.int64]]:
    """Codes of the digits of integers, digit i in bit i.

    Parameters
    ----------
    a : integer array, any shape
    kind, width, signed
        As `encode` takes them.

    Returns
    -------
    dict
        int64 arrays of the shape of `a`. Booth: ``"one"`` and ``"two"``, the magnitude, and
        ``"negative"``. EN-T: ``"code"``, two bits a digit of the magnitude, modulo 4, and
        ``"sign"`` of the integer. The others: ``"nonzero"`` and ``"negative"``.

    Raises
    ------
    ValueError
        As `encode` does.
    """
    digits = encode(a, kind=kind, width=width, signed=signed)
    if kind == "ent":
        sign = np.asarray(np.asarray(a) < 0, np.int64)
        magnitude = digits * (1 - 2 * sign[..., None])
        places = 4 ** np.arange(digits.shape[-1], dtype=np.int64)
        return {"code": (magnitude % 4 * places).sum(axis=-1), "sign": sign}
    codes = {"negative": digits < 0}
    if kind == "booth":
        codes |= {"one": np.abs(digits) == 1, "two": np.abs(digits) == 2}
    else:
        codes |= {"nonzero": digits != 0}
    return {name: _bit_vector(bits) for name, bits in codes.items()}


def _bit_vector(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    places = 1 << np.arange(bits.shape[-1], dtype=np.int64)
    vector: NDArray[np.int64] = (bits * places).sum(axis=-1)
    return vector


def statistics(digits: ArrayLike, weights: ArrayLike | None = None) -> Statistics:
    """Count the non-zero digits of operands.

    Parameters
    ----------
    digits : integer array, shape [operands, digits]
        At least one operand.
    weights : real array, shape [operands]
        How often each occurs, not negative and not all zero; once if not given.

    Raises
    ------
    ValueError
        If a dtype, shape or weight is not allowed.
    """
    nonzero = _digits(digits) != 0
    if nonzero.ndim != 2 or nonzero.shape[0] == 0:
        raise ValueError(
            f"digits: shape {nonzero.shape} is not [operands, digits], at least 1 each"
        )
    occurs = np.ones(len(nonzero)) if weights is None else np.asarray(weights, np.float64)
    if occurs.shape != nonzero.shape[:1]:
        raise ValueError(f"weights: shape {occurs.shape} is not {nonzero.shape[:1]}")
    if not np.isfinite(occurs).all() or (occurs < 0).any() or not occurs.any():
        raise ValueError("weights: they are not all finite and at least 0, and one above 0")
    counts = np.count_nonzero(nonzero, axis=1)
    return Statistics(
        average=float(np.average(counts, weights=occurs)),
        histogram=np.bincount(counts, occurs, nonzero.shape[1] + 1).astype(np.float64),
        nonzero=np.average(nonzero, axis=0, weights=occurs),
    )


def _digits(digits: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(digits)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"digits: dtype {array.dtype} is not an integer dtype")
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"digits: shape {array.shape} has no digits in its last dimension")
    return array.astype(np.int64)
