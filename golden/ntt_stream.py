"""Commands on polynomials that an engine holds: transforms, products and sums."""

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Integers
from golden.ntt import Array, Ring
from golden.primes import residue_basis

LOAD, STORE, FORWARD, INVERSE, ADD, MULTIPLY = range(6)


def run(
    command_operation: ArrayLike,
    command_slot: ArrayLike,
    command_other: ArrayLike,
    data: ArrayLike,
    *,
    modulus: int,
    size: int,
    limbs: int,
    radix_bits: int,
) -> dict[str, Integers]:
    """Run commands in their order.

    Parameters
    ----------
    command_operation, command_slot, command_other : integer arrays [commands]
        The first four operations work on slots from one to the other; `ADD` and `MULTIPLY` put
        into the first slot what they make of the two, element by element. Products are divided
        by two to `radix_bits`. Greater numbers are no operations, and do nothing.
    data : integer array [beats, lanes]
        Residues; ``size / lanes`` beats for each limb of a polynomial loaded.
    limbs : int
        Moduli, `modulus` and the next smaller ones with a root of that order.

    Returns
    -------
    dict
        ``"data"`` [beats, lanes], of the polynomials stored.
    """
    rings = [Ring.of(q, size) for q in residue_basis(modulus, size, limbs)]
    beats = np.asarray(data)
    waiting = iter(beats.reshape(-1, limbs, size))
    held: dict[int, list[Array]] = {}
    stored: list[Array] = []
    commands = zip(*map(np.asarray, (command_operation, command_slot, command_other)), strict=True)
    for operation, slot, other in commands:
        if operation > MULTIPLY:
            continue
        if operation in (ADD, MULTIPLY):
            pairs = zip(rings, held[slot], held[other], strict=True)
            held[slot] = [_pointwise(operation, ring, x, y, radix_bits) for ring, x, y in pairs]
            continue
        for place in range(slot, other + 1):
            if operation == STORE:
                stored += held[place]
                continue
            limbs_in = next(waiting) if operation == LOAD else held[place]
            held[place] = [
                {LOAD: ring.checked, FORWARD: ring.forward, INVERSE: ring.inverse}[operation](x)
                for ring, x in zip(rings, limbs_in, strict=True)
            ]
    return {"data": np.stack(stored).astype(beats.dtype).reshape(-1, beats.shape[1])}


def _pointwise(operation: int, ring: Ring, x: Array, y: Array, radix_bits: int) -> Array:
    if operation == ADD:
        return (x + y) % ring.modulus
    return x * y % ring.modulus * pow(2, -radix_bits, ring.modulus) % ring.modulus
