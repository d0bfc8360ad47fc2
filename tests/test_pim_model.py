"""Cycles of the PIM channel: every number of the published cases, and the contract's rules."""

from itertools import pairwise

import pytest
from pim_traces import ALONE, NO_REFRESH, ORGANISATIONS, Numbers

from golden.pim_cases import CONCURRENT, POLICIES, Case, accesses, tiles
from golden.pim_commands import Command, Run
from golden.pim_model import simulate
from golden.pim_timing import Organisation, Policy, Timing, guard, span
from golden.pim_trace import Op, Request, ordered

BLOCKED, PLAIN, HOLD = POLICIES.values()


@pytest.mark.parametrize("case", ALONE)
def test_pim_alone(case: tuple[str, int, int, int, bool, Numbers, Numbers]) -> None:
    name, count, gemvs, k, pre_all, *expected = case
    for dual, numbers in enumerate(expected):
        policy = Policy(dual=bool(dual), pre_all=pre_all)
        run = simulate(ORGANISATIONS[name], NO_REFRESH, policy, tiles(count, gemvs, k))
        headers = run.cycles_of(Command.HEADER)
        assert headers[0] == 111 - dual
        assert ([b - a for a, b in pairwise(headers)], run.end, len(run.events)) == numbers


@pytest.mark.parametrize("case", CONCURRENT, ids=str)
def test_pim_and_memory(case: Case) -> None:
    org = ORGANISATIONS[case.size]
    totals = []
    for policy, ends in zip(POLICIES.values(), case.ends, strict=True):
        run = simulate(org, NO_REFRESH, policy, case.trace(org))
        assert (run.pim_end, run.mem_end) == ends
        totals.append(run.end)
    pim = tiles(case.tiles, case.gemvs, case.k)
    memory = accesses(case.reads, org, write_every=case.write_every)
    assert simulate(org, NO_REFRESH, HOLD, pim).end == case.pim_alone
    assert simulate(org, NO_REFRESH, HOLD, memory).end == case.mem_alone
    assert case.ends[-1][0] == case.pim_alone
    for total in totals[1:]:
        assert max(case.pim_alone, case.mem_alone) <= total < totals[0]


def test_speed_up_of_the_largest_case() -> None:
    org = ORGANISATIONS["F32"]
    trace = tiles(8, 4, 8) + accesses(512, org)
    ends = [simulate(org, NO_REFRESH, policy, trace).end for policy in (BLOCKED, PLAIN)]
    assert ends[0] / ends[1] >= 1.4


def commands(policy: Policy) -> list[tuple[str, int]]:
    org = ORGANISATIONS["S4"]
    run = simulate(org, NO_REFRESH, policy, tiles(1, 1, 4) + accesses(8, org))
    return [(event.command.value, event.cycle) for event in run.events]


def test_smallest_trace_dual() -> None:
    head = [("ACT", 0), ("GWRITE", 14), ("HEADER", 110), ("PACT", 111), ("PRE", 112)]
    tail = [("GEMV", 125), ("ACT", 141), *(("RD", at) for at in range(155, 171, 2))]
    assert commands(PLAIN) == commands(HOLD) == head + tail


def test_smallest_trace_blocked() -> None:
    head = [("ACT", 0), ("GWRITE", 14), ("PRE", 110), ("HEADER", 111), ("PACT", 124)]
    pim = [*(("COMP", at) for at in range(138, 146, 2)), ("RDRESULT", 146)]
    tail = [("PRE", 158), ("ACT", 172), *(("RD", at) for at in range(186, 202, 2))]
    assert commands(BLOCKED) == head + pim + tail


# GEMVs and steps of a tile of F32, and its period blocked and dual.
PERIODS = [
    (4, 8, 213, 213),
    (1, 32, 207, 207),
    (1, 16, 175, 175),
    (1, 8, 159, 159),
    (2, 8, 177, 177),
    (8, 4, 221, 253),
    (1, 6, 155, 155),
    (1, 1, 149, 155),
]


@pytest.mark.parametrize(("gemvs", "k", "blocked", "dual"), PERIODS)
def test_tile_periods(gemvs: int, k: int, blocked: int, dual: int) -> None:
    for policy, period in ((BLOCKED, blocked), (HOLD, dual)):
        run = simulate(ORGANISATIONS["F32"], NO_REFRESH, policy, tiles(3, gemvs, k))
        first, second, third = run.cycles_of(Command.HEADER)
        assert second - first == third - second == period


def test_derived_distances() -> None:
    t = Timing()
    assert (t.t_rc, t.read_to_write, t.read_to_read_rank) == (48, 14, 4)
    assert (t.write_to_read, t.write_to_read_other, t.write_to_pre) == (14, 12, 22)
    assert (t.gwrite, t.gemv_to_gemv(4), t.gemv_to_gemv(8)) == (96, 14, 18)


def test_bad_parameters() -> None:
    with pytest.raises(ValueError, match=r"^ranks: 0 is not an integer in 1\.\.4$"):
        Organisation(ranks=0)
    with pytest.raises(ValueError, match=r"^column_bytes: 60 does not divide a row of 1024 bytes$"):
        Organisation(column_bytes=60)
    with pytest.raises(ValueError, match=r"^t_rp: 0 is not an integer in 1\.\.65536$"):
        Timing(t_rp=0)


# Refresh


def header_at(arrival: int) -> Run:
    pim = [Request(Op.HEADER, row=1, k=8, gemvs=4, arrival=arrival)]
    pim += [Request(Op.GEMV, k=8)] * 4
    return simulate(ORGANISATIONS["F32"], Timing(), HOLD, pim)


def test_guard_of_the_standard_tile() -> None:
    assert guard(ORGANISATIONS["F32"], Timing(), HOLD, 8, 4) == 210
    assert span(ORGANISATIONS["F32"], Timing(), HOLD, 8, 4) == 181


def test_latest_header_before_a_refresh() -> None:
    assert header_at(1740).cycles_of(Command.HEADER) == [1740]
    late = header_at(1741)
    refresh, *_ = late.cycles_of(Command.REF)
    assert refresh == 1950
    assert late.cycles_of(Command.HEADER) == [1951]
    # The other rank opens at once, the refreshed one after tRFC.
    activates = [e for e in late.events if e.command is Command.PACT]
    assert [(e.place, e.cycle) for e in activates][::7] == [(4, 1952), (3, 1950 + 260 + 90)]


def test_refresh_in_the_long_run() -> None:
    """Both are a little shorter than the 277 cycles that the published simulator takes."""
    for policy in (BLOCKED, HOLD):
        headers = simulate(ORGANISATIONS["F32"], Timing(), policy, tiles(100, 4, 8)).cycles_of(
            Command.HEADER
        )
        assert 265 < (headers[-1] - headers[0]) / 99 < 277


def test_all_ranks_at_one_time_lose_less() -> None:
    ends = [
        simulate(ORGANISATIONS["F32"], Timing(), Policy(refresh_all=every), tiles(60, 4, 8)).end
        for every in (False, True)
    ]
    assert ends[1] < ends[0]


# Corner cases


def run_of(*requests: Request, policy: Policy = HOLD) -> Run:
    return simulate(ORGANISATIONS["S4"], NO_REFRESH, policy, ordered(requests))


GROUP = [Request(Op.HEADER, row=5, k=8, gemvs=1), Request(Op.GEMV, k=8)]


def test_a_header_waits_for_the_older_write_of_its_row() -> None:
    run = run_of(Request(Op.WRITE, 2, 5), *GROUP)
    [write], [close] = run.cycles_of(Command.WR), run.cycles_of(Command.PRE)
    [header], [activate] = run.cycles_of(Command.HEADER), run.cycles_of(Command.PACT)
    assert (close - write, header - close, activate - close) == (22, 1, 14)


def test_a_younger_write_does_not_pass_a_header_of_its_row() -> None:
    run = run_of(*GROUP, Request(Op.WRITE, 2, 5))
    assert run.cycles_of(Command.WR)[0] > run.cycles_of(Command.GEMV)[0]


def test_a_parked_row_is_released_on_demand() -> None:
    """Not at the next refresh: the access follows as soon as the PIM buffer may close."""
    run = run_of(*GROUP, Request(Op.READ, 2, 5, arrival=60))
    close = [e for e in run.events if e.command is Command.PPRE]
    assert [(e.place, e.cycle) for e in close] == [(2, 60)]
    assert run.cycles_of(Command.ACT) == [74]


def test_a_vector_from_a_row_in_a_pim_buffer() -> None:
    run = run_of(*GROUP, Request(Op.GWRITE, 1, 5), *GROUP)
    assert [e.place for e in run.events if e.command is Command.PPRE] == [1, 0, 2, 3]


def test_an_open_row_is_used_again() -> None:
    run = run_of(*GROUP, *GROUP)
    assert len(run.cycles_of(Command.PACT)) == 1
    first, second = run.cycles_of(Command.GEMV)
    assert second - first == 18


def test_two_vectors_overlap_a_copy_with_headers() -> None:
    trace = [Request(Op.GWRITE), *GROUP, Request(Op.GWRITE, 1, 1), *GROUP]
    ends = [run_of(*trace, policy=Policy(gbuf_depth=depth)).end for depth in (1, 2)]
    assert ends[1] < ends[0]


def test_memory_activates_without_end_do_not_starve_pim_when_held() -> None:
    memory = [Request(Op.READ, at % 4, 100 + at // 4) for at in range(200)]
    ends = [run_of(*tiles(4, 4, 8), *memory, policy=policy).pim_end for policy in (PLAIN, HOLD)]
    assert ends[1] == 529 < ends[0]


def test_bound_on_waiting_memory() -> None:
    org, trace = ORGANISATIONS["S4"], tiles(200, 4, 8) + accesses(64, ORGANISATIONS["S4"])
    blocked = simulate(org, Timing(), BLOCKED, trace)
    bounded = simulate(org, Timing(), Policy(dual=False, max_wait=1024), trace)
    assert bounded.waits <= 1024 < blocked.waits
