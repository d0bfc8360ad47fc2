# amaranth: UnusedElaboratable=no
"""FP16 activations of ``rtloom layer``, aligned at the edge of an array of integers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from golden.gemm import wrap
from golden.schemes import quantized
from hw.catalog import DESIGNS
from pe.aligner import ActivationAligner, ActivationAlignerConfig
from pe.formats import FLOATS
from sim.simulate import run_operands, words_of

ALIGNER = DESIGNS["activation_aligner"]
PLACES = range(10, 15)
"""That may be asked for: elements of A have two bits more, and at most 16."""
WEIGHT_BITS = 4
ALIGNED_PE = "mix"
"""Of the array."""

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Halves(NamedTuple):
    """Activations [m, k] of FP16.

    Attributes
    ----------
    codes : int64 array, shape [m, k]
    scales : float64 array, shape [m, 1]
        By which their numbers are multiplied: powers of two.
    """

    codes: Integers
    scales: Reals


class Aligned(NamedTuple):
    """Activations that an aligner has made integers of.

    Attributes
    ----------
    codes : int64 array, shape [m, k]
    scales : float64 array, shape [m, 1]
        What they count.
    cycles
        Before the array can begin.
    """

    codes: Integers
    scales: Reals
    cycles: int


def settings_of(places: int) -> list[str]:
    """Return the settings of an engine that takes activations of so many places."""
    return [f"pe={ALIGNED_PE}", f"width_a={places + 2}", f"width_b={WEIGHT_BITS}"]


def halves(activations: Reals) -> Halves:
    """Round activations [m, k] to FP16.

    Raises
    ------
    ValueError
        When they are empty, or hold NaN or infinity.
    """
    half = FLOATS["fp16"]
    a = quantized(activations, "fp16", half.width, axis=1)
    # The scale of FP16 codes counts the least number above zero.
    scales = a.scales * 2.0 ** (half.bias + half.mantissa - 1)
    return Halves(a.codes % (1 << half.width), scales)


def operand_sets(activations: Reals) -> int:
    """Return how many sets of operands an aligner takes for activations [m, k]."""
    m, k = activations.shape
    return int((m + 1) * k)


def run_aligner(
    activations: Halves, config: ActivationAlignerConfig, room: int, workdir: Path, seed: int
) -> Aligned:
    """Run activations through an aligner, a row a group.

    The aligners of an array see their rows once ahead: K cycles, and their latency.

    Parameters
    ----------
    room
        Sets of operands that the simulator holds; with the same room layers share one.

    Raises
    ------
    SimulationError
        When an activation differs from the golden model.
    """
    half = FLOATS["fp16"]
    rows, k = activations.codes.shape
    none = np.zeros((1, k), np.int64)
    # Looked at while the row before it is aligned.
    exponents = activations.codes >> half.mantissa & ((1 << half.exponent) - 1)
    operands = {
        "ahead": np.concatenate([exponents, none]).ravel(),
        "a": np.concatenate([none, activations.codes]).ravel(),
        "clear": np.tile(np.arange(k) == 0, rows + 1).astype(np.int64),
        "i_valid": np.ones((rows + 1) * k, np.int64),
    }
    outcome = run_operands(ALIGNER, config, workdir, seed, room, operands=operands)
    aligned, exponent = (
        words_of(outcome.arrays[name]).reshape(-1, k)[1:] for name in ("aligned", "exponent")
    )
    steps = 2.0 ** (exponent[:, :1] - half.bias - config.places)
    codes = wrap(aligned, config.places + 2, True)
    return Aligned(codes, steps * activations.scales, k + ActivationAligner.latency)
