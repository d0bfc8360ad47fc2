"""Binary-coded quantization: a weight as a sum of scales, each with a sign.

A code has one bit for each scale, 1 for plus and 0 for minus. Unlike the codes of
`golden.formats` it means nothing without the scales of its group.

Sources: G. Park et al., "LUT-GEMM", arXiv 2206.09557; H. You et al., "ShiftAddLLM", arXiv
2406.05981, where the scales are sums of powers of two.
"""

import numpy as np
from numpy.typing import ArrayLike

from golden.formats import Codes, Values, check_codes

MOST_BITS = 8


def decode(codes: ArrayLike, scales: ArrayLike) -> Values:
    """Value of each code: the sum of the scales, each with its sign.

    Parameters
    ----------
    codes : integer array, any shape
        Each in ``0..2**bits - 1``; bit i is the sign of scale i.
    scales : real array, shape [..., bits]
        1 to 8 of them, of either sign, finite; in front of the last dimension as the codes, or
        as NumPy broadcasts.

    Returns
    -------
    float64 array, shape of the codes
        Exact as long as float64 holds each partial sum.

    Raises
    ------
    ValueError
        If a shape, dtype or code is not allowed, or a scale is not finite.
    """
    weights = _scales(scales)
    bits = weights.shape[-1]
    array = check_codes("codes", codes, bits)
    signs = 2.0 * (array[..., None] >> np.arange(bits) & 1) - 1
    values: Values = (signs * weights).sum(axis=-1)
    return values


def encode(values: ArrayLike, scales: ArrayLike) -> Codes:
    """Code of the nearest of the 2**bits values that there are; of two as near, the lower code.

    Parameters
    ----------
    values : real array, any shape
        Not NaN.
    scales
        As `decode` takes them.

    Returns
    -------
    int64 array, shape of the values

    Raises
    ------
    ValueError
        As `decode` does, or if a value is NaN.
    """
    weights = _scales(scales)
    array = np.asarray(values, np.float64)
    if np.isnan(array).any():
        raise ValueError("values: NaN is not a number that has a code")
    levels = decode(np.arange(1 << weights.shape[-1]), weights[..., None, :])
    limit = np.abs(weights).sum(axis=-1)
    codes: Codes = np.abs(np.clip(array, -limit, limit)[..., None] - levels).argmin(axis=-1)
    return codes


def fit(values: ArrayLike, bits: int, rounds: int = 10) -> Values:
    """Scales for groups of values, each scale the mean of what those before it leave.

    Then codes are chosen anew and the scales fitted to them by least squares, a few times over.

    Parameters
    ----------
    values : real array, shape [..., group]
        Finite.
    bits : int
        1 to 8.
    rounds : int
        How many times.

    Returns
    -------
    float64 array, shape [..., bits]

    Raises
    ------
    ValueError
        If there are not 1 to 8 bits, or a value is not finite.
    """
    _check_bits(bits)
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("values: one of them is not finite")
    rest = array
    greedy = []
    for _ in range(bits):
        greedy.append(np.abs(rest).mean(axis=-1))
        rest = rest - np.where(rest < 0, -1, 1) * greedy[-1][..., None]
    scales: Values = np.stack(greedy, axis=-1)
    for _ in range(rounds):
        codes = encode(array, scales[..., None, :])
        signs = 2.0 * (codes[..., None] >> np.arange(bits) & 1) - 1
        scales = (np.linalg.pinv(signs) @ array[..., None])[..., 0]
    return scales


def of_integers(bits: int, step: float, zero: float) -> tuple[Values, float]:
    """Scales and offset that make codes plain integers: ``step * (code - zero)``.

    Returns
    -------
    scales : float64 array, shape [bits]
    offset : float
        To be added to what `decode` returns.

    Raises
    ------
    ValueError
        If there are not 1 to 8 bits.
    """
    _check_bits(bits)
    scales: Values = step * np.exp2(np.arange(bits) - 1.0)
    return scales, step * ((2**bits - 1) / 2 - zero)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits: {bits} is not in 1..{MOST_BITS}")


def _scales(scales: ArrayLike) -> Values:
    weights = np.asarray(scales, np.float64)
    if weights.ndim == 0 or not 1 <= weights.shape[-1] <= MOST_BITS:
        raise ValueError(f"scales: shape {weights.shape} is not [..., bits], 1 to {MOST_BITS} bits")
    if not np.isfinite(weights).all():
        raise ValueError("scales: one of them is not finite")
    return weights
