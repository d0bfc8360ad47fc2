"""Test vectors of a function unit: what every port holds and shows, cycle by cycle."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.catalog import Design
from pe.config import Config
from scripts.ppa.operands import Operands, unit_columns
from sim.player import PlayerConfig, fields

Bits = npt.NDArray[np.uint8]

RESET_CYCLES = 3


@dataclass(frozen=True)
class Vectors:
    """Stimulus and response of a module.

    A cycle lasts from one rising clock edge to the next: inputs change right after the edge that
    begins it, outputs are looked at right before the edge that ends it.

    Attributes
    ----------
    inputs, outputs
        Bits [cycles, width] by port name, from the low one on. The clock is not among them.
    first
        First cycle that is measured and in which outputs count; what comes before resets and
        fills the design.
    """

    inputs: dict[str, Bits]
    outputs: dict[str, Bits]
    first: int

    @property
    def cycles(self) -> int:
        """Cycles in all."""
        return len(next(iter(self.inputs.values())))


def to_bits(column: npt.NDArray[np.int64], width: int) -> Bits:
    """Return the two's complement bits [cycles, width] of a column, the low bit first."""
    octets = np.ascontiguousarray(column).astype("<i8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(octets, axis=1, count=width, bitorder="little")


def unit_vectors(
    design: Design, config: Config, operands: Operands, cycles: int, seed: int = 1
) -> Vectors:
    """Return the vectors of a function unit: one set of operands a cycle, every cycle valid."""
    ins, outs = fields(PlayerConfig(design.component, config, 1))
    latency = design.component.latency
    count = cycles + latency
    total = RESET_CYCLES + count
    given, answered = unit_columns(design, config, ins, operands, count, seed)

    def delayed(column: npt.NDArray[np.int64], by: int) -> npt.NDArray[np.int64]:
        return np.concatenate([np.zeros(by, np.int64), column])[:total]

    inputs = {f.name: to_bits(delayed(given[f.name], RESET_CYCLES), f.width) for f in ins}
    inputs["rst"] = to_bits((np.arange(total) < RESET_CYCLES).astype(np.int64), 1)
    if "o_valid" in (f.name for f in outs):
        answered = answered | {"o_valid": np.ones(count, np.int64)}
    first = RESET_CYCLES + latency
    outputs = {
        f.name: to_bits(delayed(answered[f.name], first), f.width)
        for f in outs
        if f.name in answered
    }
    return Vectors(inputs, outputs, first)
