"""Matrix product of group-quantised weights: integer sums, dequantised once a group.

The K of a product is cut into groups of consecutive k, the last one perhaps shorter, which is the
same as filling it up with zeros of A. Within a group each column of B has one scale and one zero
point, so that both are kept out of the inner loop: with S the scale, Z the zero point and sums over
the k of a group,

    D = sum(a * b) - Z * sum(a),    C = sum over groups of S * D

in one of three modes.

================  ==============================  ==================================================
mode              a scale                         a group adds
================  ==============================  ==================================================
``integer``       unsigned integer                ``D * S``, exact
``power_of_two``  exponent, an unsigned integer   ``D * 2**S``, exact
``float``         code of float32                 ``D * S`` rounded to float32; then the sum is
                                                  rounded to float32; groups in increasing order,
                                                  from +0
================  ==============================  ==================================================

Source: MixPE (arXiv 2411.16158): products of integers first, dequantised once a group. Modes and
their order are ours.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.codes import numbers
from golden.float_add import add
from golden.formats import check_codes, decode, encode
from golden.gemm import OPERAND_WIDTHS, check_integer, check_matrix

MODES = ("integer", "power_of_two", "float")

EXACT_FLOAT = 1 << 24
"""Largest difference that float32 holds as it holds all below it."""

Matrix = NDArray[np.int64]


def group_count(k: int, group: int) -> int:
    """Return how many groups of `group` cover `k`, the last one perhaps shorter."""
    return -(-k // group)


def group_differences(
    a: ArrayLike,
    b: ArrayLike,
    zeros: ArrayLike,
    *,
    group: int,
    width_a: int = 8,
    width_b: int = 4,
    width_zero: int = 4,
    signed_a: bool = True,
    signed_b: bool = True,
    signed_zero: bool = True,
    format_b: str = "integer",
) -> Matrix:
    """Integer sums of each group, zero points taken off.

    Parameters
    ----------
    a : integer array, shape [m, k]
    b : integer array, shape [k, n]
        Codes of `format_b`, a format of `golden.codes`.
    zeros : integer array, shape [groups, n]
        Zero points, in steps of B.
    group : int
        Consecutive k of a group, at least 1.
    width_a, width_b, width_zero : int
        Bits of an element, 2 to 16, and 1 to 16 of a zero point.
    signed_a, signed_b, signed_zero : bool
        Elements are two's complement.

    Returns
    -------
    int64 array, shape [groups, m, n]

    Raises
    ------
    ValueError
        If a width, the group, an operand or the shapes are not allowed.
    """
    group = check_integer("group", group, 1)
    for name, width in (("width_a", width_a), ("width_b", width_b)):
        check_integer(name, width, *OPERAND_WIDTHS)
    check_integer("width_zero", width_zero, 1, OPERAND_WIDTHS[1])
    left = check_matrix("a", a, width_a, signed_a)
    codes = check_matrix("b", b, width_b, signed_b)
    k = left.shape[1]
    if codes.shape[0] != k:
        raise ValueError(
            f"b: shape {codes.shape} does not fit a of shape {left.shape}, b must have {k} rows"
        )
    offsets = check_matrix("zeros", zeros, width_zero, signed_zero)
    _check_groups("zeros", offsets, k, group, codes.shape[1])
    right = numbers(codes, format_b, width_b)
    starts = range(0, k, group)
    found = [
        left[:, start : start + group] @ right[start : start + group]
        - left[:, start : start + group].sum(axis=1)[:, None] * zero
        for start, zero in zip(starts, offsets, strict=True)
    ]
    return np.stack(found)


def group_matmul(
    a: ArrayLike,
    b: ArrayLike,
    scales: ArrayLike,
    zeros: ArrayLike,
    *,
    group: int,
    mode: str = "integer",
    width_scale: int = 8,
    width_a: int = 8,
    width_b: int = 4,
    width_zero: int = 4,
    signed_a: bool = True,
    signed_b: bool = True,
    signed_zero: bool = True,
    format_b: str = "integer",
) -> Matrix:
    """Product of A and dequantised B, see above.

    Parameters
    ----------
    a, b, zeros, group, width_a, width_b, width_zero, signed_a, signed_b, signed_zero, format_b
        As `group_differences` takes them.
    scales : integer array, shape [groups, n]
        Integers, exponents, or codes of float32, by the mode.
    mode : str
        One of `MODES`.
    width_scale : int
        Bits of a scale, 1 to 16 of integers and 1 to 5 of exponents; 32 of floats.

    Returns
    -------
    int64 array, shape [m, n]
        Exact, or codes of float32 in mode ``"float"``. NaN is the positive quiet one.

    Raises
    ------
    ValueError
        If a width, the mode, the group, an operand or the shapes are not allowed, an exact sum
        may need more than 63 bits, or a difference more than float32 holds exactly.
    """
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is not one of {', '.join(MODES)}")
    check_integer("width_scale", width_scale, *_SCALE_WIDTHS[mode])
    differences = group_differences(
        a,
        b,
        zeros,
        group=group,
        width_a=width_a,
        width_b=width_b,
        width_zero=width_zero,
        signed_a=signed_a,
        signed_b=signed_b,
        signed_zero=signed_zero,
        format_b=format_b,
    )
    if mode == "float":
        factors = check_codes("scales", scales, width_scale)
        _check_groups("scales", factors, np.shape(b)[0], group, differences.shape[2])
        return _float_sum(differences, factors)
    exponents = check_matrix("scales", scales, width_scale, False)
    _check_groups("scales", exponents, np.shape(b)[0], group, differences.shape[2])
    factors = exponents if mode == "integer" else 1 << exponents
    most = int(np.abs(differences).max()) * int(factors.max()) * len(factors)
    if most >= 1 << 62:
        raise ValueError(f"scales: sums of up to {most.bit_length()} bits are not in 63 bits")
    total: Matrix = (differences * factors[:, None, :]).sum(axis=0)
    return total


_SCALE_WIDTHS = {"integer": (1, 16), "power_of_two": (1, 5), "float": (32, 32)}


def _check_groups(name: str, array: NDArray[np.int64], k: int, group: int, n: int) -> None:
    groups = group_count(k, group)
    if array.shape != (groups, n):
        raise ValueError(
            f"{name}: shape {array.shape} is not {(groups, n)}: K of {k} makes {groups} groups of "
            f"{group}, B has {n} columns"
        )


def _float_sum(differences: Matrix, scales: Matrix) -> Matrix:
    largest = int(np.abs(differences).max())
    if largest > EXACT_FLOAT:
        raise ValueError(f"group: a sum of {largest} is not in 0..{EXACT_FLOAT}, exact in float32")
    total = np.zeros(differences.shape[1:], np.int64)
    for difference, scale in zip(differences, decode(scales, "fp32"), strict=True):
        # Exact in float64: 25 and 24 bits.
        with np.errstate(invalid="ignore"):
            product = difference * scale
        total = add(total, encode(product, "fp32", saturate=False), format="fp32")["sum"]
    return total
