# amaranth: UnusedElaboratable=no
"""The PIM channel in RTL: commands, data and invariants on traces, with one buffer and two."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED, random_generator
from pim_traces import ALONE

from golden.pim_cases import CONCURRENT, accesses, tiles
from golden.pim_mapping import Attention
from golden.pim_random import random_trace
from golden.pim_timing import guard, refresh_interval
from golden.pim_trace import Op, Request, write_trace
from hw.catalog import find
from hw.emit import emit
from hw.pim_channel import PimChannel
from hw.pim_config import PimConfig
from scripts.cli import main
from sim.pim_setup import organisation_of, policy_of, timing_of
from sim.runner import lint
from sim.simulate import Outcome, build_design, run_operands, run_trace, words_of

DESIGN = find("pim")
SMALL = {"bank_rows": 128, "steps": 8, "lanes": 8, "columns": 16}
DUAL = PimConfig.from_settings(SMALL)
SINGLE = PimConfig.from_settings(
    {**SMALL, "dual": False, "pre_all": True, "gbuf_depth": 2, "max_wait": 1600}
)
TWO_RANKS = PimConfig.from_settings(
    {
        **SMALL,
        "ranks": 2,
        "groups": 2,
        "banks": 2,
        "hold_act": False,
        "max_wait": 2000,
        "gbuf_depth": 2,
        "shared_gbl": True,
        "timing.t_wr": 17,
        "timing.row_transfers": 4,
    }
)
BFLOAT = PimConfig.from_settings(
    {**SMALL, "element": "bf16", "subarray_rows": 2, "guard_margin": 3, "timing.t_refi": 1300}
)
HALF = PimConfig.from_settings({**SMALL, "element": "fp16", "dual": False, "lanes": 3})
BOTH_RANKS = {**SMALL, "ranks": 2, "banks": 2, "lanes": 1, "columns": 2, "refresh_all": True}
BOTH_DUAL, BOTH_SINGLE = (
    PimConfig.from_settings({**BOTH_RANKS, "dual": dual, "timing.t_refi": 900})
    for dual in (True, False)
)
CONFIGS = [DUAL, SINGLE, TWO_RANKS, BFLOAT, HALF, BOTH_DUAL, BOTH_SINGLE]


def outcome(config: PimConfig, trace: list[Request], folder: Path) -> Outcome:
    return run_trace(DESIGN, config, write_trace(trace), folder, SEED)


@pytest.mark.parametrize("config", CONFIGS, ids=[config.name for config in CONFIGS])
def test_random_traces(config: PimConfig, tmp_path: Path) -> None:
    """With refresh; memory and PIM fight over a few rows."""
    trace = random_trace(random_generator(), organisation_of(config), 5, 500)
    assert outcome(config, trace, tmp_path).result["commands"] > 500


def test_published_case(tmp_path: Path) -> None:
    """S4 with tiles of one GEMV: as far as eight steps of a row go."""
    trace = tiles(1, 1, 8) + accesses(32, organisation_of(DUAL))
    found = outcome(DUAL, trace, tmp_path).result
    assert (found["pim_end"], found["mem_end"]) == (157, 246)


def test_corner_cases(tmp_path: Path) -> None:
    """Rows that memory and PIM both want, in every order."""
    group = [Request(Op.HEADER, row=5, k=4, gemvs=2), *[Request(Op.GEMV, k=4)] * 2]
    trace = [
        Request(Op.WRITE, 2, 5, 1, data=0x1234),
        Request(Op.GWRITE, 1, 5),
        *group,
        Request(Op.WRITE, 3, 5, 7, data=0xFF01),
        Request(Op.READ, 0, 5, 2),
        *group,
        Request(Op.GWRITE, 3, 5),
        *group,
        *group,
        Request(Op.WRITE, 1, 6, 0, data=7),
        Request(Op.READ, 3, 5, 7),
        Request(Op.HEADER, row=6, k=1, gemvs=8, arrival=1700),
        *[Request(Op.GEMV, k=1)] * 8,
        Request(Op.READ, 1, 6, 0, arrival=1990),
    ]
    assert outcome(DUAL, trace, tmp_path).result["commands"]


@pytest.mark.parametrize("pre_all", [False, True])
@pytest.mark.parametrize("dual", [False, True])
def test_pim_alone(dual: bool, pre_all: bool, tmp_path: Path) -> None:
    """The published points of S4: headers, end and commands."""
    settings = {"lanes": 1, "bank_rows": 16, "pre_all": pre_all, "dual": dual, "timing.t_refi": 0}
    config = PimConfig.from_settings(settings)
    simulator = build_design(DESIGN, config)
    cases = [case for case in ALONE if case[0] == "S4" and case[4] == pre_all]
    for _, count, gemvs, k, _, *expected in cases:
        trace = write_trace(tiles(count, gemvs, k))
        found = run_trace(DESIGN, config, trace, tmp_path, SEED, simulator=simulator).result
        headers = [cycle for cycle, command, *_ in found["events"] if command == "HEADER"]
        periods = [b - a for a, b in pairwise(headers)]
        assert headers[0] == 111 - dual
        assert (periods, found["pim_end"], found["commands"]) == expected[dual]
    assert cases


@pytest.mark.parametrize("config", [BOTH_DUAL, BOTH_SINGLE, BFLOAT], ids=["dual", "single", "bf16"])
def test_headers_at_the_edge_of_their_guard(config: PimConfig, tmp_path: Path) -> None:
    """Just in time for a refresh and a few cycles too late: a cycle decides."""
    org, timing, policy = organisation_of(config), timing_of(config), policy_of(config)
    trace = []
    for at in range(14):
        k = 1 + at % 8
        gemvs = 1 if k > 4 else 2
        tick = refresh_interval(org, timing, policy) * 2 * (at + 1)
        arrival = tick - guard(org, timing, policy, k, gemvs) + at % 7 - 3
        trace += [Request(Op.HEADER, row=at % 5, k=k, gemvs=gemvs, arrival=arrival)]
        trace += [Request(Op.GEMV, k=k, arrival=arrival)] * gemvs
        if at % 3 == 2:  # the header waits for tFAW as well
            trace.append(Request(Op.READ, at % org.all_banks, 9, 0, arrival=arrival - at))
    assert outcome(config, trace, tmp_path).result["commands"]


def test_a_header_that_comes_too_late_for_refresh_holds_nothing_back(tmp_path: Path) -> None:
    """It would fit before the refresh, but its vector is copied until just before."""
    trace = [
        Request(Op.GWRITE, 0, 1, arrival=764),
        Request(Op.HEADER, row=2, k=8, gemvs=1, arrival=764),
        Request(Op.GEMV, k=8, arrival=764),
        Request(Op.READ, 2, 5, 0, arrival=800),
    ]
    events = outcome(BOTH_DUAL, trace, tmp_path).result["events"]
    assert [cycle for cycle, command, *_ in events if command == "ACT"] == [764, 800]


def test_a_latch_that_is_full(tmp_path: Path) -> None:
    """As many of the largest products as 32 bits hold, of either sign."""
    design = find("gemv_unit")
    config = design.config.from_settings({"lanes": 64})
    steps = {127: (1 << 31) // (128 * 127 * 64), -128: ((1 << 31) - 1) // (128 * 128 * 64)}
    count = sum(steps.values())
    operands = {
        "row": np.full((count, 64), -128),
        "vector": np.repeat(list(steps), list(steps.values()))[:, None] * np.ones(64, np.int64),
        "clear": np.isin(np.arange(count), [0, steps[127]]).astype(np.int64),
        "i_valid": np.ones(count, np.int64),
    }
    found = run_operands(design, config, tmp_path, SEED, count, operands=operands)
    results = words_of(found.arrays["result"])
    assert results[-1] == 2047 << 20
    assert results[steps[127] - 1] == (1 << 32) - 2064 * 128 * 127 * 64


@pytest.mark.parametrize("config", [BOTH_DUAL, BOTH_SINGLE], ids=["dual", "single"])
def test_ranks_that_are_due_at_one_time(config: PimConfig, tmp_path: Path) -> None:
    """One command a cycle: the second rank may refresh while the first still closes its rows."""
    trace = [
        Request(Op.HEADER, row=1, k=8, gemvs=1),
        Request(Op.GEMV, k=8),
        Request(Op.READ, 2, 5, 0),
        Request(Op.READ, 0, 1, 0, arrival=1200),
        Request(Op.READ, 1, 1, 0, arrival=2500),
    ]
    events = outcome(config, trace, tmp_path).result["events"]
    assert sum(command == "REF" for _, command, *_ in events) == 4


def test_attention(tmp_path: Path) -> None:
    rng = random_generator()
    heads, size, tokens = 2, 24, 10
    layout = Attention(organisation_of(DUAL), heads, size, tokens)
    q = rng.integers(-128, 128, (heads, size))
    k, v = (rng.integers(-128, 128, (heads, tokens, size)) for _ in "kv")
    cells = np.zeros((4, 128, DUAL.row_bytes), np.uint8)
    for place, row in layout.cells(k, v).items():
        cells[place] = row
    trace, groups = layout.logits_trace(q)
    simulator = build_design(DESIGN, DUAL)
    found = run_trace(
        DESIGN, DUAL, write_trace(trace), tmp_path, simulator=simulator, cells=cells
    ).arrays["results"]
    gemvs = [i for i, request in enumerate(trace) if request.op is Op.GEMV]
    logits = layout.logits(dict(zip(gemvs, found, strict=True)), groups)
    assert np.array_equal(logits, np.einsum("hd,htd->ht", q, k))


def test_table_of_cycles(capsys: pytest.CaptureFixture[str]) -> None:
    """Contract, model and hardware of the smallest organisation."""
    assert main(["pim-table", "--size", "S4", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 3 * sum(case.size == "S4" for case in CONCURRENT)
    assert all(row["contract"] == row["model"] == row["rtl"] for row in rows)
    assert main(["pim-table", "--size", "S5"]) == 2
    assert "size: 'S5' is not one of S4, S16, F32" in capsys.readouterr().err


CHOICES: list[dict[str, int | bool | str]] = [
    {"dual": True, "hold_act": False, "ranks": 2, "timing.t_refi": 0},
    {"dual": True, "hold_act": False, "ranks": 2, "groups": 2, "max_wait": 1},
    {"dual": True, "ranks": 3, "banks": 1, "groups": 3, "queue": 2, "refresh_all": True},
    {"dual": True, "banks": 1, "lanes": 1, "bank_rows": 2, "columns": 2},
    {"dual": False, "ranks": 2, "groups": 2, "banks": 1, "timing.t_refi": 0},
    {"dual": True, "gbuf_depth": 2, "max_wait": 1500, "element": "fp16"},
    {"dual": False, "banks": 3, "timing.t_ccd_l": 3, "timing.t_ccd_s": 3, "steps": 62},
]


@pytest.mark.parametrize("settings", CHOICES, ids=str)
def test_choices_are_clean(settings: dict[str, int | bool], tmp_path: Path) -> None:
    """Verilator has nothing to say about any of them."""
    emission = emit(PimChannel, PimConfig.from_settings({**SMALL, "bank_rows": 8, **settings}))
    verilog, _ = emission.write(tmp_path)
    assert lint(verilog, emission.name) == []


def test_bad_configs() -> None:
    with pytest.raises(ValueError, match=r"^columns: 7 do not divide a row of 64 bytes$"):
        PimConfig.from_settings({**SMALL, "columns": 7})
    with pytest.raises(ValueError, match=r"^timing\.cwl: 4 is less than burst \+ t_rtrs - 1$"):
        PimConfig.from_settings({"timing.cwl": 4, "timing.burst": 8})
    with pytest.raises(ValueError, match=r"^subarray_rows: 8 is not less than bank_rows=8$"):
        PimConfig.from_settings({"bank_rows": 8, "subarray_rows": 8})
    with pytest.raises(
        ValueError, match=r"^timing\.cl: 7 does not cover the 7 cycles of the GEMV unit$"
    ):
        PimConfig.from_settings({"element": "bf16", "timing.cl": 7})
    with pytest.raises(ValueError, match=r"^timing\.fill: 2 steps are shorter than burst"):
        PimConfig.from_settings({"timing.fill": 2, "timing.t_rtrs": 3})
    with pytest.raises(ValueError, match=r"^timing\.cwl: 15 is greater than cl=14$"):
        PimConfig.from_settings({"timing.cwl": 15})
    with pytest.raises(ValueError, match=r"^timing\.t_rp: 0 is not in 2\.\.255$"):
        PimConfig.from_settings({"timing.t_rp": 0})
    assert PimConfig.from_settings({"timing.cwl": 14})
