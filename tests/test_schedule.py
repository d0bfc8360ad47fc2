# amaranth: UnusedElaboratable=no
"""The schedule models agree with the formulas that the generators publish."""

from hypothesis import example, given
from hypothesis import strategies as st

from golden.schedule import output_stationary_cycles, tiles, weight_stationary_cycles
from hw.systolic_os import SystolicOs, SystolicOsConfig
from hw.systolic_ws import SystolicWs, SystolicWsConfig

small = st.integers(1, 6)
extent = st.integers(1, 30)


@given(small, small, extent, extent, extent)
@example(1, 1, 1, 1, 1)
@example(2, 3, 9, 7, 10)  # K just below 2 rows + cols + 1
@example(2, 3, 9, 8, 10)  # and just at it
def test_output_stationary(rows: int, cols: int, m: int, k: int, n: int) -> None:
    engine = SystolicOs(SystolicOsConfig(rows=rows, cols=cols))
    assert output_stationary_cycles(rows, cols, m, k, n) == engine.cycles(m, k, n)


@given(small, small, st.integers(2, 12), extent, extent, extent)
@example(1, 1, 2, 1, 1, 1)
@example(1, 2, 2, 5, 3, 7)
@example(2, 1, 2, 5, 3, 7)
@example(2, 2, 12, 12, 2, 30)  # one K-slice a tile: the banks are what waits
def test_weight_stationary(rows: int, cols: int, depth: int, m: int, k: int, n: int) -> None:
    engine = SystolicWs(SystolicWsConfig(rows=rows, cols=cols, depth=depth))
    assert weight_stationary_cycles(rows, cols, depth, m, k, n) == engine.cycles(m, k, n)


def test_tiles() -> None:
    assert tiles(7, 3) == [3, 3, 1]
    assert tiles(6, 3) == [3, 3]
