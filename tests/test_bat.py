# amaranth: UnusedElaboratable=no
"""A transform on an INT8 array: systolic array, merge and short reduction, pointwise product."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from helpers import SEED, config_of, random_generator

from golden import bat
from golden.ntt import Ring
from hw.catalog import DESIGNS
from pe.barrett import BarrettConfig
from pe.bat import BatReduceConfig
from sim.simulate import run_operands, run_products

RING = Ring.of(12289, 64)
ROWS = COLS = 8
DIGITS = 2

Residues = npt.NDArray[Any]


def on_unit(name: str, folder: Path, result: str, **operands: Residues) -> Residues:
    """Run all operands through a unit, and return its results in their shape."""
    shape = next(iter(operands.values())).shape
    flat = {port: values.ravel().astype(np.int64) for port, values in operands.items()}
    count = flat[next(iter(flat))].size
    flat["i_valid"] = np.ones(count, np.int64)
    settings = {"modulus": RING.modulus} | ({"terms": ROWS} if name == "bat_reduce" else {})
    design = DESIGNS[name]
    outcome = run_operands(
        design, config_of(design, **settings), folder, SEED, count, operands=flat
    )
    bits = outcome.arrays[result].astype(np.int64)
    found: Residues = (bits << np.arange(bits.shape[1])).sum(axis=1).reshape(shape)
    return found


def on_array(known: Residues, other: Residues, folder: Path) -> Residues:
    """Multiply matrices modulo the ring's modulus by byte products on a systolic array."""
    design = DESIGNS["systolic"]
    config = config_of(
        design, rows=4, cols=4, width_a=8, width_b=8, signed_a=False, signed_b=False, k_max=64
    )
    a = bat.byte_matrix(known, RING.modulus, DIGITS).astype(np.int64)
    b = bat.byte_columns(other, DIGITS).astype(np.int64)
    sums = run_products(design, config, [(a, b)], folder, SEED).arrays["c0"]
    parts = {f"sum_{i}": sums[i::DIGITS] for i in range(DIGITS)}
    return on_unit("bat_reduce", folder, "remainder", **parts)


def test_the_array_and_the_butterflies_agree(tmp_path: Path) -> None:
    a = random_generator().integers(0, RING.modulus, RING.size)
    left, middle, right = RING.matrices(ROWS)
    first = on_array(left, a.reshape(ROWS, COLS), tmp_path)
    second = on_unit("barrett", tmp_path, "product", a=first, b=middle)
    third = on_array(right.T, second.T, tmp_path).T
    assert (third.ravel() == RING.forward(a)).all()


def test_short_reduction() -> None:
    """Of 256 products of 28 bits, the factors of the quotient have 20 bits."""
    config = BatReduceConfig(modulus=268369921, terms=256)
    excess = config.merged_bits - config.bits
    assert (config.digits, excess) == (4, 18)
    assert (excess + 2, config.alpha + 1) == (20, 20)
    assert config.reduction.corrections == 1
    assert config.latency < BarrettConfig(modulus=268369921).latency + 1
