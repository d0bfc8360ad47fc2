"""Tiles of residues and their digits for a systolic array with reduction lanes."""

import numpy as np

from golden.bat import byte_columns, byte_matrix
from golden.modular import Integers, integers
from hw.systolic_modular import SystolicModular
from sim.job import Arrays
from sim.stimuli import Generator


def tile_beats(
    unit: SystolicModular, known: Integers, other: Integers, factors: Integers | None = None
) -> Arrays:
    """Return the beats of a product of residues, tiles with the columns innermost.

    Parameters
    ----------
    known, other
        Matrices [h, v] and [v, w]; filled up with zeros to whole tiles.
    factors
        Of each element of the product, [h, w]; 1 by default.
    """
    config = unit.config
    count, rows, cols = config.digit_count, config.rows // config.digit_count, config.cols
    a = _filled(integers(known), rows, 1)
    b = byte_columns(_filled(integers(other), 1, cols), count, config.chunk)
    ones = np.ones((len(a), b.shape[1]), np.int64) if factors is None else factors
    w = _filled(integers(ones), rows, cols) * pow(2, config.radix_bits, config.modulus)
    columns: dict[str, list[Integers]] = {"a_data": [], "a_last": [], "b_data": [], "w_factor": []}
    for top in range(0, len(a), rows):
        digits = byte_matrix(a[top : top + rows], config.modulus, count, config.chunk)
        for left in range(0, b.shape[1], cols):
            columns["a_data"].append(digits.T)
            columns["a_last"].append(np.arange(digits.shape[1]) == digits.shape[1] - 1)
            columns["b_data"].append(b[:, left : left + cols])
            columns["w_factor"].append(
                (w[top : top + rows, left : left + cols] % config.modulus).reshape(-1, config.lanes)
            )
    if not config.factors:
        del columns["w_factor"]
    types = {"w_factor": np.uint64 if config.bits == 64 else np.int64}
    return {
        name: np.concatenate(parts).astype(types.get(name, np.int64))
        for name, parts in columns.items()
    }


def untiled(unit: SystolicModular, data: Integers, h: int, w: int) -> Integers:
    """Put together the product [h, w] of the beats that `tile_beats` makes."""
    rows, cols = unit.config.rows // unit.config.digit_count, unit.config.cols
    tiles = data.reshape(-(-h // rows), -(-w // cols), rows, cols)
    whole: Integers = tiles.transpose(0, 2, 1, 3).reshape(-1, tiles.shape[1] * cols)
    return whole[:h, :w]


def modular_beats(rng: Generator, unit: SystolicModular, count: int) -> Arrays:
    """Return tiles of about `count` beats: short ones, the longest, and some at their greatest."""
    config = unit.config
    longest, gap = config.k_max, 2 * config.rows + config.cols
    columns: dict[str, list[Integers]] = {"a_data": [], "a_last": [], "b_data": [], "w_factor": []}
    total = 0
    while total < count:
        k = min(longest, (1, int(rng.integers(1, gap + 1)), 2 * gap)[rng.integers(3)])
        if not total or rng.random() < 0.05:
            k = min(longest, count)
        greatest = rng.random() < 0.2
        shape = (k, config.rows // config.digit_count)
        known = rng.integers(0, config.modulus, shape, dtype=np.uint64).astype(object)
        b = rng.integers(0, 1 << config.chunk, (k, config.cols))
        if greatest:
            known[:], b[:] = config.modulus - 1, (1 << config.chunk) - 1
        weights = np.array([1 << config.chunk * p for p in range(config.digit_count)], object)
        digits = (known[:, :, None] // weights) % (1 << config.chunk)
        columns["a_data"].append(digits.reshape(k, -1))
        columns["a_last"].append((np.arange(k) == k - 1).astype(object))
        columns["b_data"].append(b.astype(object))
        beats = config.rows // config.digit_count * config.digit_count
        factors = rng.integers(0, config.modulus, (beats, config.lanes), dtype=np.uint64)
        factors[rng.random(factors.shape) < 0.2] = config.modulus - 1
        columns["w_factor"].append(factors.astype(object))
        total += k
    if not config.factors:
        del columns["w_factor"]
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _filled(matrix: Integers, rows: int, cols: int) -> Integers:
    h, w = matrix.shape
    filled = np.zeros((h + -h % rows, w + -w % cols), object)
    filled[:h, :w] = matrix
    return filled
