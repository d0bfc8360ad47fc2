# amaranth: UnusedElaboratable=no
"""Layers of ``rtloom layer`` with FP16 activations, aligned at the edge of an array of integers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from golden.schemes import quantized
from hw.catalog import DESIGNS, Design
from hw.engine import EngineConfig
from pe.aligner import ActivationAligner, ActivationAlignerConfig
from pe.formats import FLOATS
from sim.simulate import run_operands, run_products, words_of

ALIGNER = DESIGNS["activation_aligner"]
PLACES = range(10, 15)
"""That may be asked for: elements of A have two bits more, and at most 16."""
WEIGHT_BITS = 4
ALIGNED_PE = "mix"
"""Of the array."""

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class AlignedLayer(NamedTuple):
    """A product of FP16 activations and 4-bit weights.

    Attributes
    ----------
    aligner
        Config of the aligner of a row.
    activations : int64 array, shape [m, k]
        Codes of FP16.
    activation_scales : float64 array, shape [m, 1]
        By which their numbers are multiplied: powers of two.
    weights : int64 array, shape [k, n]
    weight_scales : float64 array, shape [1, n]
    """

    aligner: ActivationAlignerConfig
    activations: Integers
    activation_scales: Reals
    weights: Integers
    weight_scales: Reals

    @property
    def real_weights(self) -> Reals:
        """Those that the integers stand for."""
        return self.weights * self.weight_scales


def settings_of(places: int) -> list[str]:
    """Return the settings of an engine that takes activations of so many places."""
    return [f"pe={ALIGNED_PE}", f"width_a={places + 2}", f"width_b={WEIGHT_BITS}"]


def aligned_layer(places: int, activations: Reals, weights: Reals) -> AlignedLayer:
    """Quantise weights [k, n] to 4 bits, and round activations [m, k] to FP16.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity.
    """
    half = FLOATS["fp16"]
    a = quantized(activations, "fp16", half.width, axis=1)
    b = quantized(weights, "integer", WEIGHT_BITS, axis=0)
    # The scale of FP16 codes counts the least number above zero.
    scales = a.scales * 2.0 ** (half.bias + half.mantissa - 1)
    config = ActivationAlignerConfig(places=places)
    return AlignedLayer(config, a.codes % (1 << half.width), scales, b.codes, b.scales)


def run_aligned(
    layer: AlignedLayer, design: Design, config: EngineConfig, workdir: Path, seed: int
) -> tuple[Reals, int]:
    """Run a layer on an aligner and on an array, and return the product and the cycles.

    A row of activations is a group. The aligners see it once ahead: K cycles, and their latency,
    before the array begins.

    Raises
    ------
    SimulationError
        When an activation or a sum differs from the golden models.
    """
    half = FLOATS["fp16"]
    rows, k = layer.activations.shape
    none = np.zeros((1, k), np.int64)
    # Looked at while the row before it is aligned.
    ahead = np.concatenate([layer.activations >> half.mantissa & ((1 << half.exponent) - 1), none])
    operands = {
        "ahead": ahead.ravel(),
        "a": np.concatenate([none, layer.activations]).ravel(),
        "clear": np.tile(np.arange(k) == 0, rows + 1).astype(np.int64),
        "i_valid": np.ones((rows + 1) * k, np.int64),
    }
    count = (rows + 1) * k
    outcome = run_operands(
        ALIGNER, layer.aligner, workdir / "aligner", seed, count, operands=operands
    )
    aligned, exponent = (
        words_of(outcome.arrays[name]).reshape(-1, k)[1:] for name in ("aligned", "exponent")
    )
    width = layer.aligner.places + 2
    aligned = (aligned ^ 1 << width - 1) - (1 << width - 1)
    products = run_products(design, config, [(aligned, layer.weights)], workdir, seed=seed)
    steps = 2.0 ** (exponent[:, :1] - half.bias - layer.aligner.places)
    output: Reals = products.arrays["c0"] * steps * layer.activation_scales * layer.weight_scales
    (product,) = products.result["products"]
    return output, product["cycles"] + k + ActivationAligner.latency
