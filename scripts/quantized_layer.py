# amaranth: UnusedElaboratable=no
"""Layers of ``rtloom layer`` in the formats of an engine's PE."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from golden.codes import HALF, numbers, split, sums_of_halves
from golden.formats import decode
from golden.schemes import group_quantized, paired, product_scale, quantized
from hw.catalog import Design
from hw.dequantizer import FLOAT_SCALE
from hw.engine import EngineConfig
from hw.grouped import GroupedConfig
from pe.element import INTEGER
from sim.simulate import run_products

SCALE_BITS = 32
"""Storage of a scale."""

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Weights(NamedTuple):
    """Weights [k, n] as an array takes them, and how to come back from them.

    Attributes
    ----------
    operands
        B; with groups also its scales and zero points.
    factors : float64 array, shape [1, n]
        By which an element of C is multiplied.
    real : float64 array, shape [k, n]
        The weights that the operands stand for.
    bits_per_weight
        Of storage, scales and zero points included.
    half_bits
        Of each of two sums that an element of C holds, of neighbouring columns of weights; 0 where
        it is one sum.
    """

    operands: tuple[Integers, ...]
    factors: Reals
    real: Reals
    bits_per_weight: float
    half_bits: int = 0


class Quantized(NamedTuple):
    """A layer as an array takes it.

    Attributes
    ----------
    activations : int64 array, shape [m, k]
        Elements of A.
    scales : float64 array, shape [m, 1]
        By which an element of C is multiplied, besides the factors of the weights.
    weights
        Of the layer.
    """

    activations: Integers
    scales: Reals
    weights: Weights


def quantize(activations: Reals, weights: Reals, config: EngineConfig) -> Quantized:
    """Quantise activations [m, k] and weights [k, n] to the formats of an engine's PE.

    Raises
    ------
    ValueError
        As `quantized_weights`, and when activations are empty, or hold NaN or infinity.
    """
    found = quantized_weights(weights, config)
    return Quantized(*quantized(activations, config.format_a, config.width_a, axis=1), found)


def quantized_weights(weights: Reals, config: EngineConfig) -> Weights:
    """Quantise weights [k, n] to the format of an engine's PE, in groups if the engine has them.

    Raises
    ------
    ValueError
        When they are empty, or hold NaN or infinity, or the engine takes other operands than
        quantised matrices.
    """
    _check_operands(config)
    if isinstance(config, GroupedConfig):
        g = group_quantized(weights, config.group, config.width_b, config.mode, config.width_scale)
        stored = config.width_scale + config.zero_shape.width
        # A factor is one a column, and none of float scales is needed.
        bits = config.width_b + stored * len(g.scales) / len(weights)
        bits += 0 if config.mode == FLOAT_SCALE else SCALE_BITS / len(weights)
        return Weights((g.codes, g.scales, g.zeros), g.factors, g.real, bits)
    _, half_bits = split(config.format_b)
    form, width = (INTEGER, HALF) if half_bits else (config.format_b, config.width_b)
    b = quantized(weights, form, width, axis=0)
    rounded = numbers(b.codes, form, width) * b.scales
    bits = width + SCALE_BITS * b.scales.size / b.codes.size
    codes = paired(b.codes) if half_bits else b.codes
    return Weights((codes,), b.scales * product_scale(form), rounded, bits, half_bits)


def _check_operands(config: EngineConfig) -> None:
    """Refuse an engine whose operands are not those of quantised matrices."""
    for name in ("signed_a", "signed_b"):
        if not getattr(config, name):
            raise ValueError(f"{name}: false is not allowed, quantised matrices are signed")
    if isinstance(config, GroupedConfig) and config.format_b != INTEGER:
        raise ValueError(f"pe: {config.pe!r} does not take integers, as groups have them")


def run_quantized(
    layers: Sequence[Quantized], design: Design, config: EngineConfig, workdir: Path, seed: int
) -> list[tuple[Reals, int]]:
    """Run layers on an engine, and return the real product [m, n] and the cycles of each.

    Raises
    ------
    SimulationError
        When an element of C or the cycles differ from the golden model.
    """
    products = [(layer.activations, *layer.weights.operands) for layer in layers]
    outcome = run_products(design, config, products, workdir, seed=seed)
    outputs = []
    for i, (layer, product) in enumerate(zip(layers, outcome.result["products"], strict=True)):
        c: npt.NDArray[Any] = outcome.arrays[f"c{i}"]
        if isinstance(config, GroupedConfig) and config.mode == FLOAT_SCALE:
            c = decode(c, "fp32")
        elif layer.weights.half_bits:
            sums = np.stack(sums_of_halves(c, layer.weights.half_bits), axis=-1)
            c = sums.reshape(len(c), -1)[:, : layer.weights.real.shape[1]]
        outputs.append((c * layer.scales * layer.weights.factors, product["cycles"]))
    return outputs
