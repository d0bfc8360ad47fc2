# amaranth: UnusedElaboratable=no
"""Modular products and transforms in RTL: by an INT8 array with reduction lanes, by butterflies.

CROSS (arXiv 2501.07047): a matrix of known residues becomes one of bytes, whose product with the
bytes of another matrix an INT8 array computes; `bat_reduce` makes residues of the sums. A transform
is two such products with a pointwise product between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from golden import bat
from golden.ntt import Ring
from hw.catalog import find
from hw.engine import EngineConfig
from hw.gemm_core import GemmCore
from hw.ntt_engine import NttEngine, Operation
from hw.systolic_modular import SystolicModular, SystolicModularConfig
from pe.config import Config
from sim.modular_beats import tile_beats, untiled
from sim.ntt_beats import residue_beats
from sim.runner import Simulator
from sim.simulate import build_design, run_beats, run_operands, run_products, words_of

Residues = npt.NDArray[Any]

SIGNED_CHUNK = 7
"""Bits of a digit that an array of signed bytes takes."""


@dataclass
class ModularUnits:
    """Modular function units in RTL.

    Attributes
    ----------
    folder
        For the simulations.
    seed
        Of the simulations.
    steps
        What has been run: name, shape, and cycles of a core or sets of operands of a unit.
    """

    folder: Path
    seed: int = 1
    steps: list[dict[str, Any]] = field(default_factory=list)

    def run(
        self, name: str, result: str, settings: Mapping[str, Any], **ins: npt.ArrayLike
    ) -> Residues:
        """Run operands, of shapes that broadcast, through a unit, and return its results."""
        together = np.broadcast_arrays(*(np.asarray(values, np.int64) for values in ins.values()))
        shape = together[0].shape
        operands = {port: values.ravel() for port, values in zip(ins, together, strict=True)}
        count = together[0].size
        operands["i_valid"] = np.ones(count, np.int64)
        design = find(name)
        config = design.config.from_settings(settings)
        folder = self.folder / name
        outcome = run_operands(design, config, folder, self.seed, count, operands=operands)
        self.steps.append({"unit": name, "shape": list(shape), "cycles": count})
        return words_of(outcome.arrays[result]).reshape(shape)


@dataclass
class ByteArray:
    """A GEMM core of INT8 and the reduction at its edge, in RTL.

    Attributes
    ----------
    core
        Config of the core; operands of 8 bits.
    units
        Takes account of the steps.
    """

    core: Config
    units: ModularUnits

    @property
    def array(self) -> EngineConfig:
        """The engine of the core."""
        return GemmCore(self.core).config.array  # type: ignore[arg-type]

    @property
    def chunk(self) -> int:
        """Bits of a digit: 7 on an array of signed bytes, otherwise 8."""
        return SIGNED_CHUNK if self.array.signed_b else 8

    def product(self, known: Residues, other: Residues, moduli: Sequence[int]) -> Residues:
        """Multiply a known matrix [h, v] with another [v, w], all moduli of equal length.

        Parameters
        ----------
        moduli
            One, or one of each row of the result.
        """
        count = -(-moduli[0].bit_length() // self.chunk)
        rows = np.broadcast_to(moduli, len(known))
        a = np.concatenate(
            [
                bat.byte_matrix(row, int(q), count, self.chunk)
                for row, q in zip(known, rows, strict=True)
            ]
        ).astype(np.int64)
        b = bat.byte_columns(other, count, self.chunk).astype(np.int64)
        design, units = find("gemm_core"), self.units
        outcome = run_products(design, self.core, [(a, b)], units.folder / design.name, units.seed)
        cycles = outcome.result["products"][0]["cycles"]
        units.steps.append({"unit": design.name, "shape": [a.shape[0], *b.shape], "cycles": cycles})
        sums = outcome.arrays["c0"]
        parts = {f"sum_{i}": sums[i::count] for i in range(count)}
        settings = {"modulus": max(moduli), "terms": known.shape[1], "chunk": self.chunk}
        if len(moduli) == 1:
            return units.run("bat_reduce", "remainder", settings, **parts)
        settings["runtime"] = True
        constants = barrett_constants("bat_reduce", settings, rows[:, None])
        return units.run("bat_reduce", "remainder", settings, **parts, **constants)


def barrett_constants(
    name: str, settings: Mapping[str, Any], moduli: npt.ArrayLike
) -> dict[str, Residues]:
    """Return operands `q` and `mu` of a unit with moduli of full length, given at run time."""
    config: Any = find(name).config.from_settings(settings)
    q = np.asarray(moduli).astype(object)
    return {"q": q, "mu": (1 << (config.bits + config.alpha)) // q}


@dataclass
class ModularArray:
    """Transforms by matrix products on an array of bytes.

    Attributes
    ----------
    bytes
        The array.
    ring
        Its modulus is that of all products.
    """

    bytes: ByteArray
    ring: Ring

    def product(self, known: Residues, other: Residues) -> Residues:
        """Multiply a known matrix [h, v] with another [v, w], modulo the modulus."""
        return self.bytes.product(known, other, [self.ring.modulus])

    def pointwise(self, a: Residues, b: Residues) -> Residues:
        """Multiply element by element."""
        settings = {"modulus": self.ring.modulus}
        return self.bytes.units.run("barrett", "product", settings, a=a, b=b)

    def forward(self, a: Residues, rows: int) -> Residues:
        """Transform a polynomial [size], seen as ``rows x (size / rows)``; bit-reversed order."""
        left, middle, right = self.ring.matrices(rows)
        first = self.product(left, a.reshape(rows, -1))
        second = self.pointwise(first, middle)
        return self.product(right.T, second.T).T.ravel()

    def inverse(self, a: Residues, rows: int) -> Residues:
        """Transform values back to coefficients."""
        right, middle, left = self.ring.inverse_matrices(rows)
        first = self.product(right.T, a.reshape(rows, -1).T).T
        second = self.pointwise(first, middle)
        return self.product(left, second).ravel()


@dataclass
class LanedArray:
    """Transforms on `systolic_modular`: in each of two passes residues come in and go out.

    Attributes
    ----------
    config
        Of the array; its modulus is the ring's.
    ring
        Of the polynomials.
    folder
        For the simulations.
    seed
        Of the simulations.
    steps
        What has been run: name, shape of the digit product, and cycles.
    """

    config: SystolicModularConfig
    ring: Ring
    folder: Path
    seed: int = 1
    steps: list[dict[str, Any]] = field(default_factory=list)
    _simulator: Simulator | None = None

    def product(
        self, known: Residues, other: Residues, factors: Residues | None = None
    ) -> Residues:
        """Multiply a known matrix [h, v] with another [v, w], and each element by a factor."""
        design = find("systolic_modular")
        self._simulator = self._simulator or build_design(design, self.config)
        unit = SystolicModular(self.config)
        beats = tile_beats(unit, known, other, factors)
        outcome = run_beats(
            design, self.config, self.folder, self.seed, simulator=self._simulator, beats=beats
        )
        (h, v), (_, w), count = known.shape, other.shape, unit.config.digit_count
        cycles = outcome.result["cycles"]
        shape = [count * h, count * v, w]
        self.steps.append({"unit": design.name, "shape": shape, "cycles": cycles})
        return untiled(unit, outcome.arrays["data"], h, w)

    def forward(self, a: Residues, rows: int) -> Residues:
        """Transform a polynomial [size], seen as ``rows x (size / rows)``; bit-reversed order."""
        left, middle, right = self.ring.matrices(rows)
        first = self.product(left, a.reshape(rows, -1), middle)
        return self.product(right.T, first.T).T.ravel()

    def inverse(self, a: Residues, rows: int) -> Residues:
        """Transform values back to coefficients."""
        right, middle, left = self.ring.inverse_matrices(rows)
        first = self.product(right.T, a.reshape(rows, -1).T, middle.T).T
        return self.product(left, first).ravel()


def on_butterflies(
    config: Config, data: Residues, folder: Path, seed: int = 1, inverse: bool = False
) -> Residues:
    """Transform a polynomial on the butterfly engine `ntt_engine`."""
    work = Operation.INVERSE if inverse else Operation.FORWARD
    commands = [(Operation.LOAD, 0, 0), (work, 0, 0), (Operation.STORE, 0, 0)]
    return on_engine(config, commands, data, folder, seed)[0].ravel()


def on_engine(
    config: Config,
    commands: Sequence[tuple[Operation, int, int]],
    data: Residues,
    folder: Path,
    seed: int = 1,
) -> tuple[Residues, int]:
    """Run commands (operation, slot, other) on `ntt_engine`; return beats stored, and cycles."""
    engine = NttEngine(config)  # type: ignore[arg-type]
    codes = np.array([(operation.value, slot, other) for operation, slot, other in commands])
    fields = ("command_operation", "command_slot", "command_other")
    beats = {
        **dict(zip(fields, codes.T, strict=True)),
        "data": residue_beats(engine.config, data),
    }
    outcome = run_beats(find("ntt_engine"), config, folder, seed, beats=beats)
    return outcome.arrays["data"], outcome.result["cycles"]
