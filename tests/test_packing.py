# amaranth: UnusedElaboratable=no
"""Beats and memory words against plain NumPy: an engine of the mind gives A B back."""

import numpy as np
import pytest
from helpers import config_of, designs
from hypothesis import given
from hypothesis import strategies as st

from hw.catalog import DESIGNS, Kind
from hw.engine import Dataflow, GemmEngine
from sim.packing import Beats, Matrix, from_rows, matrix_c, padded, to_beats, words_a, words_b

ENGINES = [design.name for design in designs(Kind.GEMM_ENGINE)]

size = st.integers(1, 9)
lanes = st.integers(1, 5)


def matrix(rows: int, cols: int, start: int = 1) -> Matrix:
    """All elements different, none of them zero."""
    return np.arange(start, start + rows * cols).reshape(rows, cols)


def ideal_rows(engine: GemmEngine, beats: Beats) -> Matrix:
    """Rows of C that an engine shall give for the beats, by its contract alone."""
    beats_a, beats_b = list(zip(beats.a, beats.end, beats.last, strict=True)), list(beats.b)
    rows: list[Matrix] = []
    while beats_a:
        tile: list[Matrix] = []
        last = False
        while not last:
            slice_a, end = [], False
            while not end:
                beat, end, last = beats_a.pop(0)
                slice_a.append(beat)
            if engine.dataflow is Dataflow.OUTPUT_STATIONARY:
                (beat_a,), beat_b = slice_a, beats_b.pop(0)
                a = beat_a.reshape(engine.tile_m, engine.slice_k)
                b = beat_b.reshape(engine.tile_n, engine.slice_k).T
            else:
                a = np.array(slice_a)
                b = np.array([beats_b.pop(0) for _ in range(engine.slice_k)])
            tile.append(a @ b)
        rows.append(np.sum(tile, axis=0))
    assert not beats_b
    return np.concatenate(rows)


@pytest.mark.parametrize("name", ENGINES)
@given(rows=lanes, cols=lanes, depth=st.integers(2, 6), m=size, k=size, n=size)
def test_an_ideal_engine_gives_the_product(
    name: str, rows: int, cols: int, depth: int, m: int, k: int, n: int
) -> None:
    design = DESIGNS[name]
    engine = design.component(config_of(design, rows=rows, cols=cols, depth=depth))
    assert isinstance(engine, GemmEngine)
    a, b = matrix(m, k), matrix(k, n, 100)
    beats = to_beats(engine, a, b)
    assert np.array_equal(from_rows(beats, ideal_rows(engine, beats), m, n), a @ b)

    assert len(beats.a) == len(beats.first) == len(beats.last) == len(beats.end)
    starts = np.concatenate([[True], (beats.last & beats.end)[:-1]])
    assert beats.first[starts].all()
    assert starts.sum() == len(beats.tiles) == (beats.last & beats.end).sum()
    slices = -(-k // engine.slice_k)
    assert (beats.end & beats.first).sum() == len(beats.tiles)
    assert beats.end.sum() == slices * len(beats.tiles)
    assert np.array_equal(beats.first, beats.last) == (slices == 1)


@pytest.mark.parametrize("name", ENGINES)
@given(m=size, n=size)
def test_tiles_cover_c_once_with_n_innermost(name: str, m: int, n: int) -> None:
    design = DESIGNS[name]
    engine = design.component(config_of(design, rows=3, cols=2, depth=4))
    assert isinstance(engine, GemmEngine)
    beats = to_beats(engine, matrix(m, 5), matrix(5, n))
    tops, lefts = range(0, m, engine.tile_m), range(0, n, engine.tile_n)
    assert [tile[:2] for tile in beats.tiles] == [(top, left) for top in tops for left in lefts]
    covered = np.zeros((m, n), np.int64)
    for top, left, height in beats.tiles:
        assert min(engine.tile_m, m - top) <= height <= engine.tile_m
        covered[top : top + height, left : left + engine.tile_n] += 1
    assert (covered == 1).all()


@given(rows=size, cols=size, height=lanes, width=lanes)
def test_padding_is_zero_and_least(rows: int, cols: int, height: int, width: int) -> None:
    a = matrix(rows, cols)
    full = padded(a, height, width)
    assert np.array_equal(full[:rows, :cols], a)
    assert full.sum() == a.sum()
    assert full.shape[0] % height == full.shape[1] % width == 0
    assert full.shape[0] - rows < height and full.shape[1] - cols < width


@given(m=size, k=size, r=lanes)
def test_words_of_a_follow_the_memory_map(m: int, k: int, r: int) -> None:
    a = matrix(m, k)
    words = words_a(a, r)
    assert words.shape == (-(-m // r) * k, r)
    assert all(words[i // r * k + j, i % r] == a[i, j] for i in range(m) for j in range(k))
    assert words.sum() == a.sum()


@given(k=size, n=size, c=lanes)
def test_words_of_b_follow_the_memory_map(k: int, n: int, c: int) -> None:
    b = matrix(k, n)
    words = words_b(b, c)
    assert words.shape == (-(-n // c) * k, c)
    assert all(words[j // c * k + i, j % c] == b[i, j] for i in range(k) for j in range(n))
    assert words.sum() == b.sum()


@given(m=size, n=size, c=lanes)
def test_c_is_read_by_the_memory_map(m: int, n: int, c: int) -> None:
    words = matrix(-(-n // c) * m, c)
    result = matrix_c(words, m, n)
    assert result.shape == (m, n)
    assert all(result[i, j] == words[j // c * m + i, j % c] for i in range(m) for j in range(n))


@given(m=size, n=size, c=lanes)
def test_c_written_as_b_is_read_back(m: int, n: int, c: int) -> None:
    b = matrix(m, n)
    assert np.array_equal(matrix_c(words_b(b, c), m, n), b)
