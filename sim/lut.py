# amaranth: UnusedElaboratable=no
"""Matrix products as the operands of a look-up engine, cycle by cycle."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.gemm import check_matrix
from golden.lut import Planes, scale_codes
from hw.lut_engine import COLUMN, LEAD, LutEngineConfig
from sim.job import Arrays
from sim.packing import Matrix


class Program(NamedTuple):
    """What an engine is given.

    Attributes
    ----------
    operands
        By port, [cycles] or [cycles, lanes].
    ends
        Cycle of the last keys of each tile of rows and column of X, [tiles, m].
    """

    operands: Arrays
    ends: Matrix


def program(config: LutEngineConfig, weights: Planes, x: Matrix) -> Program:
    """Return what makes an engine compute the product of weights [n, k] and X [k, m].

    Surplus rows have keys of zeros, surplus k activations of zeros. Chunks of K follow each other,
    the bit planes of a chunk inside; in layout ``"block"`` they share a table.

    Raises
    ------
    ValueError
        If X does not fit the weights or has another width, scales differ where the layout has one
        for all, a scale has no code, or a sum may not fit into the accumulator.
    """
    activations = check_matrix("x", x, config.width_a, True)
    planes, n, k = weights.bits.shape
    if len(activations) != k:
        raise ValueError(f"x: shape {activations.shape} does not fit weights of {n} x {k}")
    mu, rows = config.mu, config.rows
    tiles, chunks, m = -(-n // rows), -(-k // mu), activations.shape[1]
    most = k * int(np.abs(weights.scales).sum(axis=0).max()) << config.width_a - 1
    if most >= 1 << config.width_acc - 1:
        raise ValueError(
            f"k_max: {config.k_max} allows sums below 2**{config.width_acc - 1}, "
            f"this one may be {most}"
        )
    more_n, more_k = (0, tiles * rows - n), (0, chunks * mu - k)
    bits = np.pad(weights.bits, ((0, 0), more_n, more_k)).reshape(planes, tiles, rows, chunks, mu)
    keys = bits @ (1 << np.arange(mu))
    vectors = np.pad(activations, (more_k, (0, 0))).reshape(chunks, mu, m)
    scales = np.broadcast_to(weights.scales, weights.bits.shape)
    scales = np.pad(scales, ((0, 0), more_n, more_k), mode="edge")

    tile, column, chunk, plane = np.indices((tiles, m, chunks, planes)).reshape(4, -1)
    early = {"x": vectors[chunk, :, column], "load": np.ones_like(chunk)}
    late = {
        "key": keys[plane, tile, :, chunk],
        "clear": (chunk == 0) & (plane == 0),
        "i_valid": np.ones_like(chunk),
    }
    if config.layout == COLUMN:
        columns = _one_for_all(config, scales, (1,)).reshape(planes, chunks, mu)
        early["scale"] = _codes(config, columns)[plane, chunk]
    else:
        early["load"] = plane == 0
        parts = scales.reshape(planes, tiles, -1, config.rows_per_scale, chunks, mu)
        blocks = _one_for_all(config, parts, (3, 5)).reshape(planes, tiles, -1, chunks)
        late["scale"] = _codes(config, blocks)[plane, tile, :, chunk]
    operands = {name: _placed(values, 0) for name, values in early.items()}
    operands |= {name: _placed(values, LEAD) for name, values in late.items()}
    ends = np.arange(chunks * planes - 1, len(chunk), chunks * planes) + LEAD
    return Program(operands, ends.reshape(tiles, m))


def results(config: LutEngineConfig, found: Program, sums: Matrix, n: int) -> Matrix:
    """Take the product [n, m] out of the sums [cycles, rows] of an engine."""
    tiles = sums.reshape(len(sums), config.rows)[found.ends]
    product: Matrix = tiles.swapaxes(1, 2).reshape(-1, tiles.shape[1])[:n]
    return product


def _one_for_all(config: LutEngineConfig, scales: Matrix, axes: tuple[int, ...]) -> Matrix:
    """Return the scales without some axes, along which they must not differ."""
    first = tuple(slice(1) if axis in axes else slice(None) for axis in range(scales.ndim))
    if (scales != scales[first]).any():
        raise ValueError(f"scales: they differ where layout={config.layout} has one for all")
    return scales[first]


def _codes(config: LutEngineConfig, scales: Matrix) -> Matrix:
    return scale_codes(scales, width_exponent=config.width_exponent, terms=config.terms)


def _placed(values: NDArray[np.integer | np.bool_], start: int) -> Matrix:
    """Values [beats, ...] from a cycle on, zeros before and after, as a port takes them."""
    flat = values.reshape(len(values), -1).astype(np.int64)
    padded = np.pad(flat, ((start, LEAD - start), (0, 0)))
    return padded if padded.shape[1] > 1 else padded[:, 0]
