"""Multiply-add and multiply-accumulate of integers, modulo the accumulator's width."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.codes import products as products_of
from golden.gemm import ACCUMULATOR_WIDTHS, check_integer, check_range, wrap

# Sums and products below may leave int64: NumPy then keeps them modulo 2**64, of which the
# result modulo 2**width_acc (at most 63 bits) is still exact.


def multiply_add(
    a: ArrayLike,
    b: ArrayLike,
    addend: ArrayLike,
    *,
    width_acc: int,
    signed_a: bool,
    signed_b: bool,
    width_a: int = 0,
    width_b: int = 0,
    format_a: str = "integer",
    format_b: str = "integer",
) -> dict[str, NDArray[np.int64]]:
    """Elementwise ``a * b + addend`` modulo ``2**width_acc``.

    Parameters
    ----------
    a, b : integer array, any one shape
        Not negative where the operand is unsigned.
    addend : integer array, same shape
        Fits in ``width_acc`` bits. Without the operands' last dimension, products along it are
        summed.
    width_acc : int
        Bits of addend and sum, 2 to 63. Both are signed when either operand is signed.
    signed_a, signed_b : bool
        The operand is two's complement.
    width_a, width_b, format_a, format_b
        Bits of an element and what it stands for, where that is not itself; see `golden.codes`.

    Returns
    -------
    dict
        ``"sum"``: int64 array of the addend's shape.

    Raises
    ------
    ValueError
        If a width, dtype, shape or value is not allowed.
    """
    width_acc = check_integer("width_acc", width_acc, *ACCUMULATOR_WIDTHS)
    signed = signed_a or signed_b
    left, right = _operand("a", a, signed_a), _operand("b", b, signed_b)
    third = _operand("addend", addend, True)
    check_range("addend", third, width_acc, signed)
    _same_shape(a=left, b=right)
    products = products_of(left, right, format_a, format_b, width_a, width_b)
    if products.ndim == third.ndim + 1:
        products = products.sum(axis=-1, dtype=np.int64)
    _same_shape(a=products, addend=third)
    return {"sum": wrap(products + third, width_acc, signed)}


def multiply_accumulate(
    a: ArrayLike,
    b: ArrayLike,
    clear: ArrayLike,
    i_valid: ArrayLike,
    *,
    width_acc: int,
    signed_a: bool,
    signed_b: bool,
    width_a: int = 0,
    width_b: int = 0,
    format_a: str = "integer",
    format_b: str = "integer",
) -> dict[str, NDArray[np.int64]]:
    """Time series of an accumulator that starts at zero.

    A step with ``i_valid`` makes the accumulator ``(0 if clear else acc) + a * b``; a step
    without holds it and ignores ``clear``.

    Parameters
    ----------
    a, b : integer array, shape [t] or [t, terms]
        Not negative where the operand is unsigned. The products of all terms are added.
    clear, i_valid : array of 0 and 1 (or bool), shape [t]
    width_acc : int
        Bits of the accumulator, 2 to 63. It is signed when either operand is signed.
    signed_a, signed_b : bool
        The operand is two's complement.
    width_a, width_b, format_a, format_b
        Bits of an element and what it stands for, where that is not itself; see `golden.codes`.

    Returns
    -------
    dict
        ``"sum"``: int64 array, shape [t], the accumulator after each step.

    Raises
    ------
    ValueError
        If a width, dtype, shape or value is not allowed.
    """
    width_acc = check_integer("width_acc", width_acc, *ACCUMULATOR_WIDTHS)
    left, right = _operand("a", a, signed_a), _operand("b", b, signed_b)
    clears = _flags("clear", clear)
    valid = _flags("i_valid", i_valid)
    if left.ndim not in (1, 2):
        raise ValueError(f"a: shape {left.shape} is not [t] or [t, terms]")
    _same_shape(a=left, b=right)
    products = products_of(left, right, format_a, format_b, width_a, width_b)
    if products.ndim == 2:
        products = products.sum(axis=1, dtype=np.int64)
    _same_shape(a=products, clear=clears, i_valid=valid)

    # total[t] is the sum before step t since the beginning of time: an accumulator cleared
    # last in step s holds total[t + 1] - total[s] after step t.
    total = np.concatenate(([0], np.cumsum(products * valid, dtype=np.int64)))
    steps = np.arange(len(left))
    cleared = np.maximum.accumulate(np.where(valid & clears, steps, 0))
    return {"sum": wrap(total[1:] - total[cleared], width_acc, signed_a or signed_b)}


def _operand(name: str, values: ArrayLike, signed: bool) -> NDArray[np.int64]:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: dtype {array.dtype} is not an integer dtype")
    # An int64 operand has a range of its own only on the unsigned side: no lower than zero.
    check_range(name, array, 64 if signed else 63, signed)
    return array.astype(np.int64)


def _flags(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name}: dtype {array.dtype} is not bool or an integer dtype")
        check_range(name, array, 1, False)
    return array.astype(np.bool_)


def _same_shape(**arrays: NDArray[np.int64] | NDArray[np.bool_]) -> None:
    first, *others = arrays
    for name in others:
        if arrays[name].shape != arrays[first].shape:
            raise ValueError(
                f"{name}: shape {arrays[name].shape} is not {arrays[first].shape}, that of {first}"
            )
