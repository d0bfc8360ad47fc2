"""Random beats of a number-theoretic transform: whole polynomials of residues."""

import numpy as np

from hw.ntt_engine import NttEngine
from sim.job import Arrays
from sim.stimuli import Generator


def ntt_beats(rng: Generator, unit: NttEngine, count: int) -> Arrays:
    """Return the beats of at least two polynomials; the greatest residues are among them."""
    config = unit.config
    polynomials = max(2, -(-count // config.order.rows))
    shape = (polynomials, config.size)
    data = rng.integers(0, config.modulus, shape, dtype=np.int64)
    data[rng.random(shape) < 0.2] = config.modulus - 1
    data[rng.random(shape) < 0.1] = 0
    inverse = rng.integers(0, 2, polynomials * config.order.rows)
    return {"data": data.reshape(-1, config.order.lanes), "inverse": inverse}
