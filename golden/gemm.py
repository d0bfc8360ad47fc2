"""Integer matrix product with exact operand and accumulator widths."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.codes import LOGARITHMS, numbers, products, split

OPERAND_WIDTHS = (2, 16)
ACCUMULATOR_WIDTHS = (2, 63)
OVERFLOWS = ("wrap", "saturate")

# The largest magnitude up to which float64 represents every integer.
_FLOAT64_EXACT = 2**53


def check_integer(name: str, value: object, lowest: int, highest: int | None = None) -> int:
    """Return ``value`` as an ``int``.

    Raises
    ------
    ValueError
        If ``value`` is not an integer in ``lowest..highest`` (no upper bound when ``None``).
    """
    allowed = f"at least {lowest}" if highest is None else f"in {lowest}..{highest}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name}: {value!r} is not an integer {allowed}")
    number = int(value)
    if number < lowest or (highest is not None and number > highest):
        raise ValueError(f"{name}: {number} is not {allowed}")
    return number


def integer_range(width: int, signed: bool) -> tuple[int, int]:
    """Lowest and highest value of an integer of ``width`` bits (two's complement if signed)."""
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


def wrap(values: NDArray[np.int64], width: int, signed: bool) -> NDArray[np.int64]:
    """Reduce ``values`` modulo ``2**width``, as a register of ``width`` bits does.

    Parameters
    ----------
    values : int64 array, any shape
        Need only be right modulo 2**64.
    width : int
        1 to 63 bits.
    signed : bool
        Read the register as two's complement.
    """
    half = 1 << (width - 1) if signed else 0
    reduced: NDArray[np.int64] = ((values + half) & ((1 << width) - 1)) - half
    return reduced


def check_range(name: str, array: NDArray[np.integer], width: int, signed: bool) -> None:
    """Raise ``ValueError``, with the index of the first offender, if a value needs more bits."""
    lowest, highest = integer_range(width, signed)
    if array.size == 0 or (int(array.min()) >= lowest and int(array.max()) <= highest):
        return
    index = tuple(int(i) for i in np.argwhere((array < lowest) | (array > highest))[0])
    kind = "signed" if signed else "unsigned"
    raise ValueError(
        f"{name}[{', '.join(map(str, index))}]: {array[index]} is not in {lowest}..{highest} "
        f"({width}-bit {kind})"
    )


def check_matrix(name: str, matrix: ArrayLike, width: int, signed: bool) -> NDArray[np.int64]:
    """Validate an operand and return it as int64.

    Parameters
    ----------
    name : str
        How the error message calls the operand.
    matrix : integer array, shape [rows, columns], both at least 1
    width : int
        Bits of one element.
    signed : bool
        Elements are two's complement.

    Raises
    ------
    ValueError
        If the dtype is not an integer, the array is not two-dimensional or is empty, or an
        element does not fit in ``width`` bits.
    """
    array = np.asarray(matrix)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: dtype {array.dtype} is not an integer dtype")
    if array.ndim != 2:
        raise ValueError(f"{name}: shape {array.shape} is not two-dimensional")
    if array.size == 0:
        raise ValueError(f"{name}: shape {array.shape} is empty, each dimension is at least 1")
    check_range(name, array, width, signed)
    return array.astype(np.int64)


def accumulator_range(
    k: int, width_a: int, width_b: int, signed_a: bool, signed_b: bool
) -> tuple[int, int]:
    """Exact lowest and highest sum of ``k`` products of operands of the given widths.

    Parameters
    ----------
    k : int
        Number of products, at least 1.
    width_a, width_b : int
        2 to 16 bits.
    signed_a, signed_b : bool
        The operand is two's complement.

    Raises
    ------
    ValueError
        If ``k`` or a width is out of range.
    """
    k = check_integer("k", k, 1)
    width_a = check_integer("width_a", width_a, *OPERAND_WIDTHS)
    width_b = check_integer("width_b", width_b, *OPERAND_WIDTHS)
    ends_a = integer_range(width_a, signed_a)
    ends_b = integer_range(width_b, signed_b)
    corners = [a * b for a in ends_a for b in ends_b]
    return k * min(corners), k * max(corners)


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    width_a: int = 8,
    width_b: int = 8,
    width_acc: int = 32,
    signed_a: bool = True,
    signed_b: bool = True,
    format_a: str = "integer",
    format_b: str = "integer",
    overflow: str = "wrap",
) -> NDArray[np.int64]:
    """Integer GEMM ``C = A @ B`` in an accumulator of ``width_acc`` bits.

    Parameters
    ----------
    a : integer array, shape [m, k]
    b : integer array, shape [k, n]
    width_a, width_b : int
        Bits of one element, 2 to 16.
    width_acc : int
        Bits of the accumulator, 2 to 63. It is signed when either operand is signed.
    signed_a, signed_b : bool
        The operand is two's complement.
    overflow : str
        ``"wrap"`` keeps the sum modulo ``2**width_acc``; ``"saturate"`` clamps it after each
        accumulation, in the order of increasing k, starting from zero.

    Returns
    -------
    int64 array, shape [m, n]

    Raises
    ------
    ValueError
        If a width, ``overflow``, an operand or the pair of shapes is not allowed.
    """
    width_a = check_integer("width_a", width_a, *OPERAND_WIDTHS)
    width_b = check_integer("width_b", width_b, *OPERAND_WIDTHS)
    width_acc = check_integer("width_acc", width_acc, *ACCUMULATOR_WIDTHS)
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow: {overflow!r} is not one of {', '.join(OVERFLOWS)}")
    left = check_matrix("a", a, width_a, signed_a)
    right = check_matrix("b", b, width_b, signed_b)
    k = left.shape[1]
    if right.shape[0] != k:
        raise ValueError(
            f"b: shape {right.shape} does not fit a of shape {left.shape}, b must have {k} rows"
        )
    signed = signed_a or signed_b
    for form in (format_a, format_b):
        if overflow == "saturate" and (form in LOGARITHMS or split(form)[1]):
            raise ValueError(f"overflow: {overflow!r} is not wrap, as format {form} needs")
    if format_a in LOGARITHMS or format_b in LOGARITHMS:
        steps = zip(left.T, right, strict=True)
        formats = (format_a, format_b, width_a, width_b)
        total = sum(products(column[:, None], row, *formats) for column, row in steps)
        return wrap(np.asarray(total), width_acc, signed)
    left, right = numbers(left, format_a, width_a), numbers(right, format_b, width_b)
    largest = k * int(np.abs(left).max()) * int(np.abs(right).max())
    if overflow == "saturate":
        # The sum of magnitudes bounds every partial sum: where it fits, nothing saturates.
        bound = _product(np.abs(left), np.abs(right), largest)
        if int(bound.max()) > integer_range(width_acc, signed)[1]:
            return _saturating_product(left, right, width_acc, signed)
    return wrap(_product(left, right, largest), width_acc, signed)


def _product(a: NDArray[np.int64], b: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """Exact ``a @ b`` whose partial sums do not exceed ``largest`` in magnitude."""
    if largest <= _FLOAT64_EXACT:
        # Every partial sum, in whatever order BLAS adds, is an integer that float64 holds, so
        # no rounding takes place; NumPy's int64 product has no BLAS and is far slower.
        exact: NDArray[np.int64] = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
        return exact
    return a @ b


def _saturating_product(
    a: NDArray[np.int64], b: NDArray[np.int64], width: int, signed: bool
) -> NDArray[np.int64]:
    """``a @ b`` clamped to ``width`` bits after each step of k."""
    lowest, highest = integer_range(width, signed)
    acc = np.zeros((a.shape[0], b.shape[1]), dtype=np.int64)
    for column, row in zip(a.T, b, strict=True):
        acc += np.multiply.outer(column, row)
        np.clip(acc, lowest, highest, out=acc)
    return acc
