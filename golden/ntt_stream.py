"""Commands on polynomials that an engine holds: transforms, products and sums."""

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Integers
from golden.ntt import Array, Ring

LOAD, STORE, FORWARD, INVERSE, ADD, MULTIPLY = range(6)


def run(
    command_operation: ArrayLike,
    command_slot: ArrayLike,
    command_other: ArrayLike,
    data: ArrayLike,
    *,
    modulus: int,
    size: int,
    radix_bits: int,
) -> dict[str, Integers]:
    """Run commands in their order.

    Parameters
    ----------
    command_operation, command_slot, command_other : integer arrays [commands]
        The first four operations work on slots from one to the other; `ADD` and `MULTIPLY` put
        into the first slot what they make of the two, element by element. Products are divided
        by two to `radix_bits`.
    data : integer array [beats, lanes]
        Residues; ``size / lanes`` beats a polynomial loaded.

    Returns
    -------
    dict
        ``"data"`` [beats, lanes], of the polynomials stored.
    """
    ring = Ring.of(modulus, size)
    beats = np.asarray(data)
    waiting = iter(beats.reshape(-1, size))
    scale = pow(2, -radix_bits, modulus)
    held: dict[int, Array] = {}
    stored = []
    commands = zip(*map(np.asarray, (command_operation, command_slot, command_other)), strict=True)
    for operation, slot, other in commands:
        if operation == ADD:
            held[slot] = (held[slot] + held[other]) % modulus
        elif operation == MULTIPLY:
            held[slot] = held[slot] * held[other] % modulus * scale % modulus
        else:
            for place in range(slot, other + 1):
                if operation == LOAD:
                    held[place] = ring.checked(next(waiting))
                elif operation == STORE:
                    stored.append(held[place])
                elif operation == FORWARD:
                    held[place] = ring.forward(held[place])
                else:
                    held[place] = ring.inverse(held[place])
    return {"data": np.stack(stored).astype(beats.dtype).reshape(-1, beats.shape[1])}
