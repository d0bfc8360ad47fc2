# amaranth: UnusedElaboratable=no
"""Ciphertexts over residue limbs in RTL: ring products, division by a modulus, other moduli.

Sources: as of `golden.rns`; the conversion by bytes is that of CROSS, arXiv 2501.07047.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from hw.catalog import find
from hw.ntt_engine import Operation
from pe.config import Config
from sim.modular_array import ByteArray, ModularUnits, Residues, barrett_constants, on_engine

PRODUCT = (
    (Operation.LOAD, 0, 2),
    (Operation.FORWARD, 0, 2),
    (Operation.MULTIPLY, 0, 1),
    (Operation.MULTIPLY, 2, 1),
    (Operation.INVERSE, 0, 0),
    (Operation.INVERSE, 2, 2),
    (Operation.STORE, 0, 0),
    (Operation.STORE, 2, 2),
)
"""Of two polynomials in slots 0 and 2 with the one in slot 1."""


def product_engine(moduli: Sequence[int], size: int, butterflies: int) -> Config:
    """Return the config of an engine for `multiply`; it derives the moduli from the first."""
    settings = {"size": size, "butterflies": butterflies, "slots": 3}
    settings |= {"modulus": moduli[0], "limbs": len(moduli)}
    return find("ntt_engine").config.from_settings(settings)


def multiply(
    units: ModularUnits, ciphertext: Residues, known: Residues, engine: Config
) -> Residues:
    """Multiply both polynomials of a ciphertext [2, limbs, N] with a known one [limbs, N].

    The engine holds all limbs of the three, and they do not leave it in between.
    """
    data = np.stack([ciphertext[0], known, ciphertext[1]])
    beats, cycles = on_engine(engine, PRODUCT, data, units.folder / "ntt_engine", units.seed)
    units.steps.append({"unit": "ntt_engine", "shape": list(data.shape), "cycles": cycles})
    return beats.reshape(ciphertext.shape)


def rescale(units: ModularUnits, limbs: Residues, moduli: Sequence[int]) -> Residues:
    """Divide residues [..., limbs, N] by the last modulus, to nearest: [..., limbs - 1, N].

    Half of the last modulus is added first, so that what is taken off is never negative.
    """
    *kept, dropped = moduli
    last, rest = limbs[..., -1:, :], limbs[..., :-1, :]
    half = dropped // 2
    column = np.array(kept)[:, None]
    shifted = units.run(
        "modular_add", "sum", {"modulus": dropped}, a=last, b=half, subtract=0, halve=0
    )
    settings = {"modulus": max(kept), "runtime": True}
    reducer = {**settings, "excess": 1}
    constants = barrett_constants("barrett_reduce", reducer, column)
    taken = units.run("barrett_reduce", "remainder", reducer, z=shifted, **constants)
    ports: dict[str, npt.ArrayLike] = {"halve": 0, "q": column}
    raised = units.run("modular_add", "sum", settings, a=rest, b=half % column, subtract=0, **ports)
    exact = units.run("modular_add", "sum", settings, a=raised, b=taken, subtract=1, **ports)
    return _products(units, exact, [pow(dropped, -1, q) for q in kept], kept)


def convert(
    array: ByteArray, limbs: Residues, moduli: Sequence[int], targets: Sequence[int]
) -> Residues:
    """Return residues [..., targets, N] of what has residues [..., limbs, N], as `rns.convert`.

    One product of byte matrices serves all targets.
    """
    whole = prod(moduli)
    scaled = _products(array.units, limbs, [pow(whole // q, -1, q) for q in moduli], moduli)
    known = np.array([[whole // q % p for q in moduli] for p in targets], object)
    columns = np.moveaxis(scaled, -2, 0)
    found = array.product(known, columns.reshape(len(moduli), -1), targets)
    return np.moveaxis(found.reshape(len(targets), *columns.shape[1:]), 0, -2)


def _products(
    units: ModularUnits, limbs: Residues, factors: Sequence[int], moduli: Sequence[int]
) -> Residues:
    """Multiply residues [..., limbs, N] with a factor of each limb."""
    settings = {"modulus": max(moduli), "runtime": True}
    constants = barrett_constants("barrett", settings, np.array(moduli)[:, None])
    b = np.array(factors)[:, None]
    return units.run("barrett", "product", settings, a=limbs, b=b, shift=0, **constants)
