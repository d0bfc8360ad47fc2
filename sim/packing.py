"""Matrices as the beats of a GEMM engine, and the words of a GEMM core's memories."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.engine import Dataflow, GemmEngine

Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Beats:
    """What the streams of an engine carry for one product.

    Attributes
    ----------
    a, b
        Elements of each beat, [beats, lanes].
    first, last, end
        Flags of each A beat.
    tiles
        (row, column) of the first element of each tile of C, and its number of rows.
    """

    a: Matrix
    b: Matrix
    first: npt.NDArray[np.bool_]
    last: npt.NDArray[np.bool_]
    end: npt.NDArray[np.bool_]
    tiles: list[tuple[int, int, int]]


def padded(matrix: Matrix, rows: int, cols: int) -> Matrix:
    """Fill up with zeros to the next multiple of `rows` and `cols`."""
    height, width = matrix.shape
    return np.pad(matrix, ((0, -height % rows), (0, -width % cols)))


def to_beats(engine: GemmEngine, a: Matrix, b: Matrix) -> Beats:
    """Cut a product into the beats of an engine, tiles with N innermost."""
    tiles = list(_tiles(engine, a, b))
    return Beats(
        a=np.concatenate([tile.a for tile in tiles]),
        b=np.concatenate([tile.b for tile in tiles]),
        first=np.concatenate([tile.first for tile in tiles]),
        last=np.concatenate([tile.last for tile in tiles]),
        end=np.concatenate([tile.end for tile in tiles]),
        tiles=[place for tile in tiles for place in tile.tiles],
    )


def _tiles(engine: GemmEngine, a: Matrix, b: Matrix) -> Iterator[Beats]:
    """Beats of one tile after the other."""
    stationary_output = engine.dataflow is Dataflow.OUTPUT_STATIONARY
    full_a = padded(a, engine.tile_m if stationary_output else 1, engine.slice_k)
    full_b = padded(b, engine.slice_k, engine.tile_n)
    slices = full_a.shape[1] // engine.slice_k
    for top in range(0, a.shape[0], engine.tile_m):
        rows = full_a[top : top + engine.tile_m]
        if stationary_output:
            beats_a, per_slice = _slices(rows, engine.slice_k), 1
        else:
            beats_a, per_slice = np.concatenate(np.split(rows, slices, axis=1)), len(rows)
        index = np.arange(len(beats_a))
        for left in range(0, b.shape[1], engine.tile_n):
            yield Beats(
                a=beats_a,
                b=_beats_b(engine, full_b[:, left : left + engine.tile_n]),
                first=index < per_slice,
                last=index >= len(beats_a) - per_slice,
                end=index % per_slice == per_slice - 1,
                tiles=[(top, left, len(rows))],
            )


def _slices(rows: Matrix, slice_k: int) -> Matrix:
    """Cut [rows, K] into K-slices, [slices, rows * slice_k]: a row's elements side by side."""
    return rows.reshape(len(rows), -1, slice_k).swapaxes(0, 1).reshape(-1, len(rows) * slice_k)


def _beats_b(engine: GemmEngine, columns: Matrix) -> Matrix:
    """Beats of B: K-slices, or single rows of them where the weights stay."""
    if engine.dataflow is Dataflow.OUTPUT_STATIONARY:
        return _slices(columns.T, engine.slice_k)
    return columns


def from_rows(beats: Beats, rows: Matrix, m: int, n: int) -> Matrix:
    """Put the rows of C that an engine yielded for `beats` together, without the padding."""
    c = np.zeros((m, n), np.int64)
    done = 0
    for top, left, height in beats.tiles:
        kept = min(height, m - top)
        tile = rows[done : done + kept]
        c[top : top + kept, left : left + tile.shape[1]] = tile[:, : n - left]
        done += height
    return c


def words_a(a: Matrix, lanes: int) -> Matrix:
    """Words of a core's A memory, [words, lanes]: see the memory map of `GemmCore`."""
    stripes = padded(a, lanes, 1).reshape(-1, lanes, a.shape[1])
    return stripes.transpose(0, 2, 1).reshape(-1, lanes)


def words_b(b: Matrix, lanes: int) -> Matrix:
    """Words of a core's B memory, [words, lanes]."""
    stripes = padded(b, 1, lanes).reshape(b.shape[0], -1, lanes)
    return stripes.transpose(1, 0, 2).reshape(-1, lanes)


def matrix_c(words: Matrix, m: int, n: int) -> Matrix:
    """C out of the words of a core's C memory."""
    lanes = words.shape[1]
    stripes = words.reshape(-1, m, lanes)
    return stripes.transpose(1, 0, 2).reshape(m, -1)[:, :n]
