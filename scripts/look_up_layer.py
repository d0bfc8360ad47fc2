# amaranth: UnusedElaboratable=no
"""Layers of ``rtloom layer`` in binary codes, on the look-up engine."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from golden.lut import Fitted, product, quantize
from golden.schemes import quantized
from hw.catalog import DESIGNS
from hw.engine import ceil_div
from hw.lut_engine import BLOCK, COLUMN, LutEngine, LutEngineConfig
from pe.lut_pe import code_width
from sim.lut import program, results
from sim.results import SimulationError
from sim.simulate import run_operands

DESIGN = DESIGNS["lut_engine"]
SHARED: dict[str, Any] = {"rows": 32, "terms": 2, "width_exponent": 3}
"""Settings of either layout: scales are sums of two powers of two."""
ROWS_PER_SCALE = {COLUMN: 1, BLOCK: 16}
"""Settings, by the layout: in ``"column"`` a scale is that of all rows."""


class LookUpLayer(NamedTuple):
    """A layer as the engine takes it.

    Attributes
    ----------
    config
        Engine that holds its K.
    codes : int64 array, shape [m, k]
        Activations.
    weights
        Bits and scales, [planes, n, k].
    factors
        By which an integer product is multiplied, shaped as NumPy broadcasts it.
    """

    config: LutEngineConfig
    codes: npt.NDArray[np.int64]
    weights: Fitted
    factors: npt.NDArray[np.float64]

    @property
    def real_weights(self) -> npt.NDArray[np.float64]:
        """Those that bits and scales stand for, [k, n]."""
        bits, scales = self.weights.planes
        found: npt.NDArray[np.float64] = ((2 * bits - 1) * scales).sum(axis=0).T * self.weights.unit
        return found

    @property
    def bits_per_weight(self) -> float:
        """Of storage: a bit a plane, and for each group of weights a scale a plane."""
        config, (planes, n, k) = self.config, self.weights.planes.bits.shape
        rows, columns = group_of(config, n)
        scale = config.terms * code_width(config.width_exponent)
        return float(planes * (1 + scale * ceil_div(n, rows) * ceil_div(k, columns) / (n * k)))


def engine_config(planes: int, k: int, layout: str) -> LutEngineConfig:
    """Config of an engine for weights of so many bits, and K up to `k`."""
    rows = ROWS_PER_SCALE[layout]
    return LutEngineConfig(**SHARED, layout=layout, rows_per_scale=rows, planes=planes, k_max=k)


def group_of(config: LutEngineConfig, n: int) -> tuple[int, int]:
    """Return the rows and the columns, of weights with `n` rows, that have a scale."""
    return (n, 1) if config.layout == COLUMN else (config.rows_per_scale, config.mu)


def look_up_layer(
    planes: int,
    layout: str,
    activations: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
) -> LookUpLayer:
    """Quantise activations [m, k] and weights [k, n], the latter to a sum of bit planes.

    `layout` is one of `hw.lut_engine.LAYOUTS`.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity.
    """
    k, n = weights.shape
    config = engine_config(planes, k, layout)
    rows, columns = group_of(config, n)
    a = quantized(activations, "integer", config.width_a, axis=1)
    fitted = quantize(
        weights.T,
        planes,
        rows=rows,
        columns=columns,
        width_exponent=config.width_exponent,
        terms=config.terms,
    )
    return LookUpLayer(config, a.codes, fitted, a.scales * fitted.unit)


def run_look_up(layer: LookUpLayer, workdir: Path, seed: int) -> tuple[npt.NDArray[np.int64], int]:
    """Run a layer on the engine, and return its integer product [m, n] and the cycles.

    Raises
    ------
    SimulationError
        When a sum differs from the golden model in any cycle, or from the dense product.
    """
    config, planes = layer.config, layer.weights.planes
    work = program(config, planes, layer.codes.T)
    count = len(work.operands["load"])
    outcome = run_operands(DESIGN, config, workdir, seed, count, operands=work.operands)
    bits = outcome.arrays["sum"].astype(np.int64).reshape(-1, config.rows, config.width_acc)
    places = 1 << np.arange(config.width_acc)
    places[-1] *= -1
    found = results(config, work, bits @ places, planes.bits.shape[1])
    if not np.array_equal(found, product(planes.bits, planes.scales, layer.codes.T)):
        what = f"simulation of {config.name}"
        raise SimulationError(what, "sums are not those of the dense product", outcome.run.log)
    return found.T, count + LutEngine.latency
