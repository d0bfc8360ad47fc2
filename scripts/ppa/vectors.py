# amaranth: UnusedElaboratable=no
"""Test vectors of a function unit: what every port holds and shows, cycle by cycle."""

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.catalog import Design
from pe.config import Config
from scripts.ppa.operands import Operands, unit_columns
from sim.bench_function import Column, drawn, golden, to_bits
from sim.player import PlayerConfig, fields
from sim.simulate import BUILD, run_operands

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


def unit_vectors(
    design: Design, config: Config, operands: Operands, cycles: int, seed: int = 1
) -> Vectors:
    """Return the vectors of a function unit: a set of operands as often as it takes one, all valid.

    A unit whose operands a function of its own draws gets those, whatever `operands` says.

    Outputs are the golden model's. One that may say the same number in several ways is what the
    RTL shows in the bench, which holds it to the golden model. Of a unit that takes several cycles
    for a set only `o_valid` counts: between results its outputs are what they happen to be.
    """
    ins, outs = fields(PlayerConfig(design.component, config, 1))
    unit = design.component(config)
    latency, interval = unit.latency, unit.initiation_interval
    total = RESET_CYCLES + cycles + latency
    count = -(-(cycles + latency) // interval)
    if design.operands:
        given = drawn(design.operands, config, ins, count, seed)
        given["i_valid"] = np.ones(count, np.int64)
    else:
        given = unit_columns(ins, operands, count, seed)
    if any(f.weights for f in outs):
        answered = _simulated(design, config, given, count)
    else:
        numbers = golden(design.golden, given, config) | {"o_valid": np.ones(count, np.int64)}
        answered = {f.name: to_bits(numbers[f.name], f) for f in outs if f.name in numbers}

    if interval > 1:
        answered = {"o_valid": answered["o_valid"]}

    def delayed(bits: Bits, by: int) -> Bits:
        return np.concatenate([np.zeros((by, bits.shape[1]), np.uint8), bits])[:total]

    def held(name: str, bits: Bits) -> Bits:
        """Hold a set for its cycles; it is valid in the first."""
        bits = bits.repeat(interval, axis=0)
        if name in ("i_valid", "o_valid"):
            bits[np.arange(len(bits)) % interval > 0] = 0
        return bits

    inputs = {f.name: delayed(held(f.name, to_bits(given[f.name], f)), RESET_CYCLES) for f in ins}
    inputs["rst"] = (np.arange(total) < RESET_CYCLES).astype(np.uint8)[:, None]
    first = RESET_CYCLES + latency
    outputs = {name: delayed(held(name, bits), first) for name, bits in answered.items()}
    return Vectors(inputs, outputs, first)


def _simulated(
    design: Design, config: Config, given: dict[str, Column], count: int
) -> dict[str, Bits]:
    """Return what the RTL answers in the bench of the design."""
    folder = BUILD / "ppa" / "work" / config.name / str(os.getpid())
    return run_operands(design, config, folder, count=count, operands=dict(given)).arrays
