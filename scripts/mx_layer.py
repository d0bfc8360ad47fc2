# amaranth: UnusedElaboratable=no
"""Layers of ``rtloom layer`` in microscaling blocks, on the accumulator of their dot products."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from golden import mx
from golden.formats import FORMATS, decode
from golden.schemes import checked
from hw.catalog import DESIGNS
from pe.mx_accumulate import MxAccumulator, MxAccumulatorConfig
from sim.simulate import run_operands, words_of

DESIGN = DESIGNS["mx_accumulator"]
BLOCK = 32
"""Elements that share a scale."""

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class MxLayer(NamedTuple):
    """A product of quantised matrices.

    Attributes
    ----------
    config
        Of the accumulator.
    activations, weights
        Codes [m or n, blocks, 32], and those of the scales [m or n, blocks]; K is filled up with
        zeros.
    k
        Rows of the weights.
    """

    config: MxAccumulatorConfig
    activations: tuple[Codes, Codes]
    weights: tuple[Codes, Codes]
    k: int

    @property
    def real_weights(self) -> Reals:
        """What the codes stand for, [k, n]."""
        elements, scales = self.weights
        values = decode(elements, self.config.format_b) * decode(scales, mx.SCALE)[..., None]
        found: Reals = values.reshape(len(values), -1)[:, : self.k].T
        return found

    @property
    def bits_per_weight(self) -> float:
        """Of storage: an element, and its part of a scale."""
        return float(FORMATS[self.config.format_b].width + FORMATS[mx.SCALE].width / BLOCK)


def mx_layer(format: str, activations: Reals, weights: Reals) -> MxLayer:
    """Quantise activations [m, k] and weights [k, n], both to blocks along k.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity.
    """
    config = MxAccumulatorConfig(format_a=format, format_b=format, block=BLOCK)
    a, b = checked(activations), checked(weights)
    return MxLayer(config, _blocks(a, format), _blocks(b.T, format), len(b))


def _blocks(rows: Reals, format: str) -> tuple[Codes, Codes]:
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK)))
    return mx.quantize(padded.reshape(len(rows), -1, BLOCK), format=format)


def run_mx(layer: MxLayer, workdir: Path, seed: int) -> tuple[Reals, int]:
    """Run a layer on one accumulator, a block a cycle, and return the product and the cycles.

    Raises
    ------
    SimulationError
        When a sum differs from the golden model in any cycle.
    """
    (a, scale_a), (b, scale_b) = layer.activations, layer.weights
    shape = (len(a), len(b), a.shape[1])
    operands = {
        "a": np.broadcast_to(a[:, None], (*shape, BLOCK)).reshape(-1, BLOCK),
        "b": np.broadcast_to(b, (*shape, BLOCK)).reshape(-1, BLOCK),
        "scale_a": np.broadcast_to(scale_a[:, None], shape).ravel(),
        "scale_b": np.broadcast_to(scale_b, shape).ravel(),
        "clear": np.broadcast_to(np.arange(shape[-1]) == 0, shape).ravel().astype(np.int64),
        "i_valid": np.ones(shape, np.int64).ravel(),
    }
    count = len(operands["clear"])
    outcome = run_operands(DESIGN, layer.config, workdir, seed, count, operands=operands)
    codes = words_of(outcome.arrays["sum"]).reshape(shape)[..., -1]
    return decode(codes, "fp32"), count + MxAccumulator.latency
