"""Scales and zero points of group-quantised weights: random ones, and as beats of an engine."""

import numpy as np

from hw.dequantizer import FLOAT_SCALE
from hw.grouped import GroupedConfig, SystolicGrouped
from pe.config import Config
from sim.job import Arrays
from sim.packing import Beats, Matrix, padded

FLOAT_SCALES = (0, 0x80000000, 1, 0x007FFFFF, 0x00800000, 0x7F000000, 0xFF7FFFFF)
"""Codes of unusual float32 scales: zeros, subnormals, and some so large that sums overflow."""


def random_groups(config: GroupedConfig, k: int, n: int, seed: int) -> tuple[Matrix, Matrix]:
    """Return random scales and zero points [groups, n] over their whole range.

    Floats are normal numbers around 0.01, a few of `FLOAT_SCALES` among them.
    """
    rng = np.random.default_rng([seed, k, n])
    shape = (-(-k // config.group), n)
    zeros = _integers(rng, shape, config.zero_shape.width, config.zero_shape.signed)
    if config.mode != FLOAT_SCALE:
        return _integers(rng, shape, config.width_scale, False), zeros
    usual = (rng.standard_normal(shape) * 0.01).astype("<f4").view("<u4").astype(np.int64)
    unusual = rng.choice(np.array(FLOAT_SCALES, np.int64), shape)
    return np.where(rng.random(shape) < 0.05, unusual, usual), zeros


def with_groups(config: Config, arrays: Arrays, seed: int) -> Arrays:
    """Add random scales ``s0``, ... and zero points ``z0``, ... where a design takes them.

    Those that are there already stay.
    """
    if not isinstance(config, GroupedConfig):
        return arrays
    groups: Arrays = {}
    for name, b in arrays.items():
        if name.startswith("b"):
            k, n = b.shape
            found = random_groups(config, k, n, seed)
            groups |= {f"{x}{name[1:]}": y for x, y in zip("sz", found, strict=True)}
    return groups | arrays


def group_beats(
    engine: SystolicGrouped, beats: Beats, scales: Matrix, zeros: Matrix
) -> tuple[Matrix, Matrix]:
    """Return the scales and zero points of each beat, [beats, cols]: tile after tile its groups."""
    wide = [padded(x, 1, engine.tile_n) for x in (scales, zeros)]
    tiles = [slice(left, left + engine.tile_n) for _, left, _ in beats.tiles]
    all_scales, all_zeros = (np.concatenate([x[:, tile] for tile in tiles]) for x in wide)
    return all_scales, all_zeros


def _integers(rng: np.random.Generator, shape: tuple[int, int], width: int, signed: bool) -> Matrix:
    """Integers of a width, the least and the greatest well represented."""
    low, high = (-(1 << (width - 1)), 1 << (width - 1)) if signed else (0, 1 << width)
    integers = rng.integers(low, high, shape, dtype=np.int64)
    which = rng.random(shape)
    return np.where(which < 0.1, low, np.where(which > 0.9, high - 1, integers))
