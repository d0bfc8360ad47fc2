"""Multi-layer perceptron in INT8 operands and INT32 accumulators."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.gemm import check_range
from golden.quantize import requantize

Matmul = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """One dense layer.

    Attributes
    ----------
    weights : int8 array, shape [in, out]
    bias : int32 array, shape [out]
        In steps of the accumulator: scale of the inputs times scale of the weights.
    multiplier : float or None
        Accumulator scale over the scale of the next layer's inputs; ``None`` on the last layer.
    relu : bool
        Clamp the biased sum at zero from below.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: float | None
    relu: bool


def forward(
    images: NDArray[np.int8], layers: Sequence[QuantizedLayer], matmul: Matmul
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Run the network, every matrix product being done by ``matmul``.

    Parameters
    ----------
    images : int8 array, shape [images, in]
    layers : sequence of QuantizedLayer
    matmul : callable
        ``matmul(a, b)``: the integer product of int8 [m, k] and int8 [k, n], shape [m, n].

    Returns
    -------
    accumulators : list of int64 array, shape [images, out]
        What ``matmul`` returned for each layer, before bias, ReLU and requantisation.
    logits : int64 array, shape [images, classes]
        Biased sum of the last layer, in INT32's range.

    Raises
    ------
    ValueError
        If ``layers`` is empty, a biased sum leaves INT32, or ``multiplier`` is missing before
        the last layer or present on it.
    """
    if not layers:
        raise ValueError("layers: 0 layers given, at least 1 is needed")
    accumulators = []
    activations = images
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        if (layer.multiplier is None) != last:
            allowed = "None on the last layer" if last else "a number before the last layer"
            raise ValueError(
                f"layers[{index}].multiplier: {layer.multiplier} given, must be {allowed}"
            )
        acc = np.asarray(matmul(activations, layer.weights)).astype(np.int64)
        accumulators.append(acc)
        total = acc + layer.bias
        check_range(f"layers[{index}] sum", total, 32, True)
        if layer.relu:
            total = np.maximum(total, 0)
        if layer.multiplier is not None:
            activations = requantize(total, layer.multiplier, 8).astype(np.int8)
    return accumulators, total
