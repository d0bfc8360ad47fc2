# amaranth: UnusedElaboratable=no
"""Modular products and transforms in RTL: by an INT8 array with reduction lanes, by butterflies.

CROSS (arXiv 2501.07047): a matrix of known residues becomes one of bytes, whose product with the
bytes of another matrix an INT8 array computes; `bat_reduce` makes residues of the sums. A transform
is two such products with a pointwise product between them.
"""

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
from pe.config import Config
from sim.simulate import run_beats, run_operands, run_products

Residues = npt.NDArray[Any]

SIGNED_CHUNK = 7
"""Bits of a digit that an array of signed bytes takes."""


@dataclass
class ModularArray:
    """A GEMM core of INT8 and the units at its edge, all in RTL.

    Attributes
    ----------
    core
        Config of the core; operands of 8 bits.
    ring
        Its modulus is that of all products.
    folder
        For the simulations.
    steps
        What has been run: name, shape, and cycles of the core or operands of a unit.
    """

    core: Config
    ring: Ring
    folder: Path
    seed: int = 1
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def array(self) -> EngineConfig:
        """The engine of the core."""
        return GemmCore(self.core).config.array  # type: ignore[arg-type]

    @property
    def chunk(self) -> int:
        """Bits of a digit: 7 on an array of signed bytes, otherwise 8."""
        return SIGNED_CHUNK if self.array.signed_b else 8

    @property
    def digits(self) -> int:
        """Digits of a residue."""
        return -(-self.ring.modulus.bit_length() // self.chunk)

    def unit(self, name: str, result: str, settings: dict[str, Any], **ins: Residues) -> Residues:
        """Run operands of equal shape through a function unit, and return its results."""
        shape = next(iter(ins.values())).shape
        flat = {port: values.ravel().astype(np.int64) for port, values in ins.items()}
        count = len(next(iter(flat.values())))
        flat["i_valid"] = np.ones(count, np.int64)
        design = find(name)
        config = design.config.from_settings({"modulus": self.ring.modulus, **settings})
        outcome = run_operands(design, config, self.folder / name, self.seed, count, operands=flat)
        bits = outcome.arrays[result].astype(np.int64)
        self.steps.append({"unit": name, "shape": list(shape), "cycles": count})
        found: Residues = (bits << np.arange(bits.shape[1])).sum(axis=1).reshape(shape)
        return found

    def product(self, known: Residues, other: Residues) -> Residues:
        """Multiply a known matrix [h, v] with another [v, w], modulo the modulus."""
        a = bat.byte_matrix(known, self.ring.modulus, self.digits, self.chunk).astype(np.int64)
        b = bat.byte_columns(other, self.digits, self.chunk).astype(np.int64)
        design = find("gemm_core")
        outcome = run_products(design, self.core, [(a, b)], self.folder / design.name, self.seed)
        sizes = [a.shape[0], *b.shape]
        cycles = outcome.result["products"][0]["cycles"]
        self.steps.append({"unit": design.name, "shape": sizes, "cycles": cycles})
        sums = outcome.arrays["c0"]
        parts = {f"sum_{i}": sums[i :: self.digits] for i in range(self.digits)}
        settings = {"terms": known.shape[1], "chunk": self.chunk}
        return self.unit("bat_reduce", "remainder", settings, **parts)

    def forward(self, a: Residues, rows: int) -> Residues:
        """Transform a polynomial [size], seen as ``rows x (size / rows)``; bit-reversed order."""
        left, middle, right = self.ring.matrices(rows)
        first = self.product(left, a.reshape(rows, -1))
        second = self.unit("barrett", "product", {}, a=first, b=middle)
        return self.product(right.T, second.T).T.ravel()

    def inverse(self, a: Residues, rows: int) -> Residues:
        """Transform values back to coefficients."""
        right, middle, left = self.ring.inverse_matrices(rows)
        first = self.product(right.T, a.reshape(rows, -1).T).T
        second = self.unit("barrett", "product", {}, a=first, b=middle)
        return self.product(left, second).ravel()


def on_butterflies(
    config: Config, data: Residues, folder: Path, seed: int = 1, inverse: bool = False
) -> Residues:
    """Transform a polynomial on the butterfly engine `ntt_engine`."""
    design = find("ntt_engine")
    engine = NttEngine(config)  # type: ignore[arg-type]
    work = Operation.INVERSE if inverse else Operation.FORWARD
    codes = [Operation.LOAD.value, work.value, Operation.STORE.value]
    beats = {
        "command_operation": np.array(codes),
        "command_slot": np.zeros(3, np.int64),
        "command_other": np.zeros(3, np.int64),
        "data": data.astype(np.int64).reshape(-1, engine.config.order.lanes),
    }
    found: Residues = run_beats(design, config, folder, seed, beats=beats).arrays["data"].ravel()
    return found
