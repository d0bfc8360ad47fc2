"""Layers of a MatMul-free language model in real numbers: BitLinear, MLGRU and GLU.

A BitLinear layer quantises activations to 8 bits by the largest magnitude of a token, and weights
to -1, 0 and 1 by the mean magnitude of their matrix; what is left of the product is additions.

Source: MatMul-free LM (arXiv 2406.02528) and its released code, whose two paths round ties in
different ways: hence `rounding`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

EVEN, AWAY = "even", "away"
ROUNDINGS = (EVEN, AWAY)
LEAST_SCALE = 1e-5
"""Least magnitude that a scale is taken from."""
LEAST_SQUARE = 1e-8
"""What is added to a mean square."""

Values = NDArray[np.float64]
Integers = NDArray[np.int64]


def rounded(values: ArrayLike, rounding: str = EVEN) -> Integers:
    """Nearest integers; ties go to the even one, or away from zero.

    Raises
    ------
    ValueError
        If the rounding is not ``"even"`` or ``"away"``, or a value is not finite.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding: {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("values: one of them is not finite")
    nearest = np.rint(array)
    if rounding == AWAY:
        # Where the fraction is one half, adding a half could round up to the next float.
        whole = np.trunc(array)
        nearest = np.where(np.abs(array - whole) == 0.5, whole + np.sign(array), nearest)
    return nearest.astype(np.int64)


def quantize_activations(x: ArrayLike, rounding: str = EVEN) -> tuple[Integers, Values]:
    """Quantise activations to 8 bits, each token by its largest magnitude.

    Parameters
    ----------
    x : real array, shape [..., d]
        Finite; a token along the last dimension.
    rounding : str
        ``"even"`` or ``"away"``.

    Returns
    -------
    q : int64 array, shape [..., d]
        ``x * s`` rounded, -127 to 127.
    s : float64 array, shape [..., 1]
        ``127 / max(max|x|, 1e-5)``: quantised steps of 1.
    """
    array = np.asarray(x, np.float64)
    peak = np.max(np.abs(array), axis=-1, keepdims=True, initial=0.0)
    scale: Values = 127 / np.maximum(peak, LEAST_SCALE)
    return np.clip(rounded(array * scale, rounding), -128, 127), scale


def quantize_weights(w: ArrayLike, rounding: str = EVEN) -> tuple[Integers, float]:
    """Quantise a matrix of weights to -1, 0 and 1 by their mean magnitude.

    Returns
    -------
    t : int64 array, shape of `w`
        ``w * s`` rounded and limited.
    s : float
        ``1 / max(mean|w|, 1e-5)``.
    """
    array = np.asarray(w, np.float64)
    scale = 1 / max(float(np.abs(array).mean()) if array.size else 0.0, LEAST_SCALE)
    return np.clip(rounded(array * scale, rounding), -1, 1), scale


def rms_norm(x: ArrayLike, gain: ArrayLike = 1.0) -> Values:
    """``x * gain`` over the root of the mean square of each token, 1e-8 added to the mean."""
    array = np.asarray(x, np.float64)
    mean = np.mean(array * array, axis=-1, keepdims=True)
    normal: Values = array / np.sqrt(mean + LEAST_SQUARE) * np.asarray(gain, np.float64)
    return normal


def bit_linear(x: ArrayLike, w: ArrayLike, gain: ArrayLike = 1.0, rounding: str = EVEN) -> Values:
    """Product of normalised, quantised activations and ternary weights, in real numbers.

    Parameters
    ----------
    x : real array, shape [..., k]
    w : real array, shape [n, k]
    gain : real array, shape [k]
        Of the normalisation.

    Returns
    -------
    float64 array, shape [..., n]
    """
    q, scale_x = quantize_activations(rms_norm(x, gain), rounding)
    t, scale_w = quantize_weights(w, rounding)
    y: Values = (q @ t.T) / (scale_x * scale_w)
    return y


def sigmoid(x: ArrayLike) -> Values:
    """``1 / (1 + exp(-x))``, without overflow."""
    y: Values = 0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64)))
    return y


def silu(x: ArrayLike) -> Values:
    """``x * sigmoid(x)``."""
    y: Values = np.asarray(x, np.float64) * sigmoid(x)
    return y


def mlgru(
    x: ArrayLike,
    h: ArrayLike,
    weights: dict[str, Values],
    gains: dict[str, Values],
    bound: ArrayLike = 0.0,
    rounding: str = EVEN,
) -> tuple[Values, Values]:
    """One step of the recurrent token mixer.

    ``f = sigmoid(F x)``, not below `bound`; ``h' = f h + (1 - f) silu(I x)``; the output is
    ``O (rms_norm(G x) * silu(h'))``, where F, I, G and O are BitLinear layers.

    Parameters
    ----------
    x, h : real array, shape [..., d]
        Token and state.
    weights : dict of real arrays [d, d]
        Of the layers ``"f"``, ``"i"``, ``"g"`` and ``"o"``.
    gains : dict of real arrays [d]
        Of each layer's normalisation, and ``"norm"``.
    bound : real array, shape [d]
        Least forget gate, 0 to less than 1; 0 in the first layer.

    Returns
    -------
    output, state : float64 arrays, shape [..., d]
    """
    through = {name: bit_linear(x, weights[name], gains[name], rounding) for name in "fig"}
    least = np.asarray(bound, np.float64)
    forget = least + (1 - least) * sigmoid(through["f"])
    state: Values = forget * np.asarray(h, np.float64) + (1 - forget) * silu(through["i"])
    gated = rms_norm(through["g"], gains["norm"]) * silu(state)
    return bit_linear(gated, weights["o"], gains["o"], rounding), state


def glu(
    x: ArrayLike, weights: dict[str, Values], gains: dict[str, Values], rounding: str = EVEN
) -> Values:
    """Gated channel mixer: ``D (silu(G x) * U x)``, where D, G and U are BitLinear layers.

    Parameters
    ----------
    x : real array, shape [..., d]
    weights : dict of real arrays
        ``"g"`` and ``"u"`` [f, d], which are one matrix to the quantiser, and ``"d"`` [d, f].
    gains : dict of real arrays
        ``"gu"`` [d] and ``"d"`` [f].

    Returns
    -------
    float64 array, shape [..., d]
    """
    both = bit_linear(x, np.concatenate([weights["g"], weights["u"]]), gains["gu"], rounding)
    gate, up = np.split(both, 2, axis=-1)
    return bit_linear(silu(gate) * up, weights["d"], gains["d"], rounding)
