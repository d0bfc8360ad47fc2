"""Symmetric linear quantisation: ``real = scale * integer``, no zero point."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.gemm import check_integer, integer_range

# Both ends of a 32-bit range are exact in float64, where saturation takes place.
QUANTIZED_WIDTHS = (2, 32)


def scale_of(x: ArrayLike, width: int) -> float:
    """Scale that maps the largest magnitude in ``x`` to ``2**(width - 1) - 1``.

    Parameters
    ----------
    x : real array, any shape
    width : int
        Bits of the signed integer, 2 to 32.

    Returns
    -------
    float
        Real value of one step, above zero; 1.0 when ``x`` is empty or all zero.

    Raises
    ------
    ValueError
        If ``width`` is out of range or ``x`` holds NaN or infinity.
    """
    width = check_integer("width", width, *QUANTIZED_WIDTHS)
    peak = float(np.max(np.abs(_finite("x", x)), initial=0.0))
    if peak == 0.0:
        return 1.0
    return max(peak / integer_range(width, True)[1], math.ulp(0.0))


def quantize(x: ArrayLike, scale: float, width: int, signed: bool = True) -> NDArray[np.int64]:
    """``x / scale``, rounded half to even and saturated to ``width`` bits.

    Parameters
    ----------
    x : real array, any shape
    scale : float
        Real value of one step, finite and above zero.
    width : int
        Bits of the result, 2 to 32.
    signed : bool
        The result is two's complement; its whole range is used, -128..127 at 8 bits.

    Returns
    -------
    int64 array of the shape of ``x``

    Raises
    ------
    ValueError
        If ``width`` or ``scale`` is out of range or ``x`` holds NaN or infinity.
    """
    width = check_integer("width", width, *QUANTIZED_WIDTHS)
    divisor = _positive("scale", scale)
    with np.errstate(over="ignore"):  # an infinite quotient saturates like any large one
        return _round_and_saturate(_finite("x", x) / divisor, width, signed)


def requantize(
    acc: ArrayLike, multiplier: float, width: int, signed: bool = True
) -> NDArray[np.int64]:
    """``acc * multiplier`` in float64, rounded half to even and saturated to ``width`` bits.

    Parameters
    ----------
    acc : integer array, any shape
        Magnitudes to 2**53 enter float64 exactly.
    multiplier : float
        Scale of the accumulator over the scale of the result, finite and above zero.
    width : int
        Bits of the result, 2 to 32.
    signed : bool
        The result is two's complement.

    Returns
    -------
    int64 array of the shape of ``acc``

    Raises
    ------
    ValueError
        If ``width`` or ``multiplier`` is out of range or ``acc`` is not of an integer dtype.
    """
    width = check_integer("width", width, *QUANTIZED_WIDTHS)
    factor = _positive("multiplier", multiplier)
    array = np.asarray(acc)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"acc: dtype {array.dtype} is not an integer dtype")
    with np.errstate(over="ignore"):  # an infinite product saturates like any large one
        return _round_and_saturate(array.astype(np.float64) * factor, width, signed)


def _round_and_saturate(values: NDArray[np.float64], width: int, signed: bool) -> NDArray[np.int64]:
    lowest, highest = integer_range(width, signed)
    return np.clip(np.rint(values), lowest, highest).astype(np.int64)


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = f"[{', '.join(map(str, index))}]" if index else ""
        raise ValueError(f"{name}{place}: {array[index]} is not a finite number")
    return array


def _positive(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number) or number <= 0.0:
        raise ValueError(f"{name}: {number} is not a finite number above 0")
    return number
