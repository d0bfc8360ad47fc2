"""The monitor: silent on what the model does, and not on what breaks an invariant."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pim_traces import NO_REFRESH, SMALL

from golden.pim_cases import tiles
from golden.pim_checker import Checker, same_results
from golden.pim_commands import Command, Event
from golden.pim_data import DataModel, Row, encode
from golden.pim_model import simulate
from golden.pim_random import random_cells, random_trace
from golden.pim_timing import Organisation, Policy, Timing
from golden.pim_trace import Op, Request, check, ordered

POLICIES = [
    Policy(dual=False),
    Policy(dual=False, pre_all=True, max_wait=1600),
    Policy(),
    Policy(hold_act=False),
    Policy(pre_all=True, gbuf_depth=2),
    Policy(refresh_all=True, max_wait=2000),
    Policy(hold_act=False, max_wait=2000, pre_all=True, gbuf_depth=2),
]
TWO_RANKS = replace(SMALL, ranks=2, groups=2)


def watched(
    org: Organisation, policy: Policy, trace: list[Request], cells: dict[tuple[int, int], Row]
) -> Checker:
    check(trace, org, Timing(), policy)
    model = DataModel(org, policy, cells)
    checker = Checker(org, Timing(), policy, trace, cells)
    for event in simulate(org, Timing(), policy, trace).events:
        checker.observe(event, model.observe(event))
    assert checker.finish(model.contents()) == []
    return checker


@pytest.mark.parametrize("org", [SMALL, TWO_RANKS], ids=["one rank", "two ranks"])
def test_random_traces(org: Organisation) -> None:
    """Every policy gives the same results, and none breaks an invariant."""
    rng = np.random.default_rng(21)
    cells, trace = random_cells(rng, org, 6), random_trace(rng, org, 6, 1000)
    first, *others = [watched(org, policy, trace, cells) for policy in POLICIES]
    assert len(first.results) > 30
    for other in others:
        assert same_results(first, other) == []


def broken(
    change: Callable[[list[Event]], list[Event]],
    policy: Policy | None = None,
    timing: Timing | None = None,
    trace: list[Request] | None = None,
    checker_timing: Timing | None = None,
) -> set[str]:
    """Invariants that are broken by a change to the events of a run."""
    policy = policy or Policy()
    trace = trace or ordered([Request(Op.WRITE, 1, 8), *tiles(3, 2, 2), Request(Op.READ, 2, 9)])
    places = [(bank, row) for bank in range(4) for row in range(4)]
    cells = {place: encode(np.full(64, sum(place)), "int8") for place in places}
    events = change(simulate(SMALL, timing or NO_REFRESH, policy, trace).events)
    checker = Checker(SMALL, checker_timing or NO_REFRESH, policy, trace, cells)
    model = DataModel(SMALL, policy, cells)
    for event in events:
        try:
            outcome = model.observe(event)
        except KeyError:  # the change uses a row that is not open
            outcome = None
        checker.observe(event, outcome)
    return {violation.invariant for violation in checker.finish()}


def same(events: list[Event]) -> list[Event]:
    return events


def without(command: Command) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        index = [e.command for e in events].index(command)
        return events[:index] + events[index + 1 :]

    return change


def moved(command: Command, by: int) -> Callable[[list[Event]], list[Event]]:
    """Move the first of a command, and put it where it then belongs."""

    def change(events: list[Event]) -> list[Event]:
        index = [e.command for e in events].index(command)
        events[index] = replace(events[index], cycle=events[index].cycle + by)
        return sorted(events, key=lambda e: e.cycle)

    return change


def inserted(event: Event) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        return sorted([*events, event], key=lambda e: e.cycle)

    return change


def edited(
    command: Command, which: int = 0, **fields: object
) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        index = [i for i, e in enumerate(events) if e.command is command][which]
        events[index] = replace(events[index], **fields)  # type: ignore[arg-type]
        return events

    return change


def test_nothing_changed() -> None:
    assert broken(same) == set()
    assert broken(same, Policy(dual=False)) == set()


CHANGES = {
    "a write before tRCD": ("I1", moved(Command.WR, -3)),
    "a read of another row": ("I1", edited(Command.RD, row=3)),
    "a GEMV before tRCD": ("I2", moved(Command.GEMV, -1)),
    "a GEMV of a closed row": ("I2", without(Command.PACT)),
    "a PIM activate of memory's row": ("I3", edited(Command.PACT, row=0)),
    "a precharge before tRAS": ("I4", inserted(Event(30, Command.PRE, 1))),
    "two commands in a cycle": ("I5", edited(Command.PACT, cycle=110)),
    "bursts that meet": ("I6", edited(Command.RD, cycle=275)),
    "a PIM precharge under a GEMV": ("I7", moved(Command.PPRE, -6)),
    "a vector in use": ("I12", edited(Command.GWRITE, cycle=130)),
    "a GEMV too few": ("I13", without(Command.GEMV)),
    "a GEMV of other steps": ("I13", edited(Command.GEMV, 1, column=0)),
    "a request not served": ("I14", without(Command.RD)),
    "a PIM activate without a header": ("I13", without(Command.HEADER)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_caught(name: str) -> None:
    invariant, change = CHANGES[name]
    assert invariant in broken(change)


SHORTENED = {
    "t_rp": "I4",
    "t_ras": "I4",
    "t_rcd": "I1",
    "t_faw": "I4",
    "t_wr": "I4",
    "t_rtp": "I7",
    "t_wtr_l": "I4",
    "t_rfc": "I4",
    "row_transfers": "I12",
    "fill": "I4",
    "cl": "I4",
}


@pytest.mark.parametrize("name", SHORTENED)
def test_a_shortened_timing_is_caught(name: str) -> None:
    right = Timing(t_refi=2000)
    wrong = replace(right, **{name: getattr(right, name) - 1})
    rng = np.random.default_rng(5)
    trace = random_trace(rng, SMALL, 4, 400, pim=0.2)
    found = broken(same, Policy(hold_act=False), wrong, trace, right)
    assert SHORTENED[name] in found


def test_a_missed_refresh_is_caught() -> None:
    trace = [*tiles(30, 2, 2), Request(Op.READ, 0, 9, arrival=9000)]
    trace = [replace(r, row=r.row % 16) for r in trace]
    assert "I14" in broken(same, timing=NO_REFRESH, trace=trace, checker_timing=Timing())


def test_a_refresh_of_an_open_rank_is_caught() -> None:
    refresh = Event(160, Command.REF)
    trace = tiles(1, 1, 2)
    assert "I8" in broken(lambda e: [*e, refresh], trace=trace, checker_timing=NO_REFRESH)


def test_a_refresh_inside_a_group_is_caught() -> None:
    trace = tiles(2, 4, 1)
    tick = Timing(t_refi=130)
    assert "I9" in broken(same, trace=trace, checker_timing=tick)


def test_a_long_wait_is_caught() -> None:
    trace = [*tiles(8, 2, 2), Request(Op.READ, 1, 9)]
    assert "I14" in broken(moved(Command.RD, 3000), Policy(max_wait=1024), trace=trace)


def test_other_data_is_caught() -> None:
    """A buffer that PIM writes over, and results of other rows."""
    trace = [Request(Op.WRITE, 1, 8, data=1), *tiles(1, 1, 2), Request(Op.READ, 1, 8)]
    events = simulate(SMALL, NO_REFRESH, Policy(), trace).events
    for wrong, invariant in ((Command.RD, "I10"), (Command.GEMV, "I11")):
        checker = Checker(SMALL, NO_REFRESH, Policy(), trace)
        model = DataModel(SMALL, Policy(), {})
        for event in events:
            outcome = model.observe(event)
            if event.command is wrong:
                outcome = 2 if wrong is Command.RD else np.ones(4, np.int32)
            checker.observe(event, outcome)
        assert {v.invariant for v in checker.finish()} == {invariant}


def test_results_that_differ_between_one_buffer_and_two() -> None:
    trace = tiles(1, 1, 2)
    one = watched(SMALL, Policy(), trace, {})
    other = watched(SMALL, Policy(dual=False), trace, {})
    assert same_results(one, other) == []
    other.results[2] = np.ones(4, np.int32)
    assert [v.invariant for v in same_results(one, other)] == ["I15"]
