"""Residue number systems: conversion of the basis, and division by the last modulus.

Sources: J.-C. Bajard and others, "A Full RNS Variant of FV like Somewhat Homomorphic Encryption
Schemes" (2016); J. H. Cheon and others, "A Full RNS Variant of Approximate Homomorphic Encryption"
(2018).
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Integers, integers


def residues(values: ArrayLike, moduli: Sequence[int]) -> Integers:
    """Return the residues [limbs, ...] of integers [...]."""
    found = integers(values)
    return _stack(found % q for q in moduli)


def combine(limbs: ArrayLike, moduli: Sequence[int]) -> Integers:
    """Return the integers [...] below the product of the moduli with residues [limbs, ...]."""
    whole = prod(moduli)
    total = sum(
        limb * (whole // q) * pow(whole // q, -1, q)
        for limb, q in zip(integers(limbs), moduli, strict=True)
    )
    return np.asarray(total % whole, object)


def convert(limbs: ArrayLike, moduli: Sequence[int], targets: Sequence[int]) -> Integers:
    """Return residues [targets, ...] of ``x + u * Q``, where u is `overflow`.

    Parameters
    ----------
    limbs : integer array [moduli, ...]
        Residues of x, below the product Q of the moduli.
    """
    scaled = scale(limbs, moduli)
    whole = prod(moduli)
    factors = [[whole // q % p for q in moduli] for p in targets]
    return _stack(
        sum(y * f for y, f in zip(scaled, row, strict=True)) % p
        for row, p in zip(factors, targets, strict=True)
    )


def scale(limbs: ArrayLike, moduli: Sequence[int]) -> Integers:
    """Return each residue times the inverse of the product of the other moduli."""
    whole = prod(moduli)
    return _stack(
        limb * pow(whole // q, -1, q) % q for limb, q in zip(integers(limbs), moduli, strict=True)
    )


def overflow(limbs: ArrayLike, moduli: Sequence[int]) -> Integers:
    """Return how often the product of the moduli is in what `convert` converts."""
    whole = prod(moduli)
    total = sum(y * (whole // q) for y, q in zip(scale(limbs, moduli), moduli, strict=True))
    return np.asarray(total // whole, object)


def rescale(limbs: ArrayLike, moduli: Sequence[int]) -> Integers:
    """Divide by the last modulus, rounding to nearest: residues [moduli - 1, ...].

    The last limb is centred, so that what is subtracted before the exact division is at most half
    of the last modulus.
    """
    *kept, dropped = moduli
    *rest, last = integers(limbs)
    centred = np.where(last > dropped // 2, last - dropped, last)
    return _stack(
        (limb - centred) * pow(dropped, -1, q) % q for limb, q in zip(rest, kept, strict=True)
    )


def _stack(limbs: Iterable[Any]) -> Integers:
    """Stack limbs, which may be single numbers, as Python integers."""
    return np.stack([np.asarray(limb, object) for limb in limbs])
