# amaranth: UnusedElaboratable=no
"""The schedule models agree with the formulas that the generators publish."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from golden.schedule import (
    grouped_cycles,
    output_stationary_cycles,
    tiles,
    weight_stationary_cycles,
)
from hw.broadcast import Broadcast, MatrixConfig
from hw.grouped import GroupedConfig, SystolicGrouped
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


PES = st.sampled_from(["mac", "fused", "opt1", "opt2"])
OPTIONS = st.fixed_dictionaries({"encoder_at": st.sampled_from(["pe", "edge"]), "stages": small})
ADDER_AND_BUFFER = 4
"""Cycles from a running sum in carry-save form in drain register 0 to its number offered."""


@given(small, small, small, extent, extent, extent, PES, OPTIONS, st.booleans())
def test_any_pe(
    rows: int,
    cols: int,
    lanes: int,
    m: int,
    k: int,
    n: int,
    pe: str,
    options: dict[str, int | str],
    systolic: bool,
) -> None:
    settings: dict[str, Any] = {"rows": rows, "cols": cols, "pe": pe}
    settings |= {} if pe == "mac" else options
    lanes = 1 if systolic else lanes
    engine = (
        SystolicOs(SystolicOsConfig(**settings))
        if systolic
        else Broadcast(MatrixConfig(**settings, lanes=lanes))
    )
    delay = 0 if pe == "mac" else int(options["stages"]) + (options["encoder_at"] == "edge")
    resolve = ADDER_AND_BUFFER if pe in ("opt1", "opt2") else 0
    stepped = output_stationary_cycles(
        rows, cols, m, k, n, lanes=lanes, systolic=systolic, delay=delay, resolve=resolve
    )
    assert stepped == engine.cycles(m, k, n)


def test_tiles() -> None:
    assert tiles(7, 3) == [3, 3, 1]
    assert tiles(6, 3) == [3, 3]


@given(small, small, st.integers(1, 20), extent, extent, extent, PES, OPTIONS)
@example(1, 1, 1, 1, 1, 1, "mac", {})
@example(2, 3, 8, 9, 8, 10, "mac", {})  # a group just as long as it takes to leave
@example(2, 3, 7, 9, 8, 10, "mac", {})
def test_grouped(
    rows: int,
    cols: int,
    group: int,
    m: int,
    k: int,
    n: int,
    pe: str,
    options: dict[str, int | str],
) -> None:
    settings: dict[str, Any] = {"rows": rows, "cols": cols, "group": group, "pe": pe}
    settings |= {} if pe == "mac" else options
    engine = SystolicGrouped(GroupedConfig(**settings))
    config = engine.config.pe_config
    resolve = 0 if config.resolve_latency is None else ADDER_AND_BUFFER
    delay = (config.encoder is not None) + config.latency
    found = grouped_cycles(rows, cols, group, m, k, n, delay=delay, resolve=resolve)
    assert found == engine.cycles(m, k, n)
