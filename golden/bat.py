"""BAT: modular products by byte products, so that an INT8 array can do them.

A known number a becomes a matrix whose column j holds the digits of ``a * 2**(w * j) % q``. Its
product with the digits of b is, digit by digit, congruent to ``a * b``, for every b that the
digits can hold: the merged sum only needs a short reduction.

Source: CROSS, arXiv 2501.07047; the direct form of the matrix, which has no carries.
"""

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Integers, integers


def digits(values: ArrayLike, count: int, bits: int = 8) -> Integers:
    """Return the digits [..., count] of non-negative integers [...], the low one first."""
    found = integers(values)
    return np.stack([(found >> bits * i) % (1 << bits) for i in range(count)], axis=-1)


def signed_digits(values: ArrayLike, count: int, bits: int = 8) -> Integers:
    """Return digits in ``-2**(bits - 1) .. 2**(bits - 1) - 1`` that add up to the integers.

    Raises
    ------
    ValueError
        When `count` digits cannot hold a value.
    """
    left, half = integers(values), 1 << (bits - 1)
    found = []
    for _ in range(count):
        found.append((left + half) % (2 * half) - half)
        left = (left - found[-1]) >> bits
    if np.any(left != 0):
        raise ValueError(f"count: {count} signed digits of {bits} bits do not hold every value")
    return np.stack(found, axis=-1)


def centred(values: ArrayLike, modulus: int) -> Integers:
    """Return the residues of least magnitude."""
    found = integers(values) % modulus
    least: Integers = np.where(found > modulus // 2, found - modulus, found)
    return least


def byte_matrix(
    a: ArrayLike, modulus: int, count: int, bits: int = 8, signed: bool = False
) -> Integers:
    """Return the matrix of known numbers.

    Parameters
    ----------
    a : integer array [h, v]
        Residues.
    count : int
        Digits of a residue: ``2**(bits * count)`` is above the modulus.
    signed : bool
        Balanced digits of centred residues, for an array of signed operands.

    Returns
    -------
    array [count * h, count * v]
        Row ``count * i + p`` holds digit p of products in row i.
    """
    known = np.atleast_2d(integers(a))
    scaled = np.stack([known * (1 << bits * j) % modulus for j in range(count)], axis=-1)
    found = (
        signed_digits(centred(scaled, modulus), count, bits)
        if signed
        else digits(scaled, count, bits)
    )
    h, v = known.shape
    return found.transpose(0, 3, 1, 2).reshape(count * h, count * v)


def byte_columns(b: ArrayLike, count: int, bits: int = 8) -> Integers:
    """Return the digits of b [v, w] as the right operand [count * v, w] of `byte_matrix`."""
    found = digits(b, count, bits)
    v, w, _ = found.shape
    return found.transpose(0, 2, 1).reshape(count * v, w)


def merge(sums: ArrayLike, count: int, bits: int = 8) -> Integers:
    """Add up the digit sums [count * h, w] of `byte_matrix` to numbers [h, w], not reduced."""
    found = integers(sums)
    found = found.reshape(-1, count, found.shape[-1])
    weights = np.array([1 << bits * p for p in range(count)], object)
    total: Integers = (found * weights[:, None]).sum(axis=1)
    return total


def matmul(a: ArrayLike, b: ArrayLike, modulus: int, count: int, bits: int = 8) -> Integers:
    """Return the product of matrices a [h, v] and b [v, w] modulo the modulus, by digit products.

    b need not be reduced: it may be anything that `count` digits hold.
    """
    left, right = byte_matrix(a, modulus, count, bits), byte_columns(b, count, bits)
    product: Integers = merge(left @ right, count, bits) % modulus
    return product


def tiles(
    a_data: ArrayLike,
    a_last: ArrayLike,
    b_data: ArrayLike,
    w_factor: ArrayLike | None = None,
    *,
    modulus: int,
    digit_count: int,
    chunk: int,
    lanes: int,
    radix_bits: int,
) -> dict[str, Integers]:
    """Reduce products of digits, tile by tile.

    Parameters
    ----------
    a_data, b_data : integer arrays [beats, digit_count * h], [beats, w]
        Columns of `byte_matrix`, and rows of `byte_columns`.
    a_last : integer array [beats]
        1 where a tile ends.
    w_factor : integer array [given, lanes]
        A residue for each that is given; the product is divided by two to `radix_bits`.

    Returns
    -------
    dict
        ``"data"`` [given, lanes], rows of residues in order, and ``"last"`` [given].
    """
    left, right = integers(a_data), integers(b_data)
    ends = np.flatnonzero(np.asarray(a_last)) + 1
    found, lasts = [], []
    for start, end in zip([0, *ends], ends, strict=False):
        sums = left[start:end].T @ right[start:end]
        found.append((merge(sums, digit_count, chunk) % modulus).reshape(-1, lanes))
        lasts += [0] * (len(found[-1]) - 1) + [1]
    data = np.concatenate(found)
    if w_factor is not None:
        scale = pow(2, -radix_bits, modulus)
        data = data * integers(w_factor) % modulus * scale % modulus
    return {"data": data, "last": np.array(lasts)}
