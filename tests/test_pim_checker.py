"""The monitor: silent on what the model does, and not on what breaks an invariant."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pim_traces import NO_REFRESH, SMALL

from golden import pim_checker
from golden.pim_cases import tiles
from golden.pim_checker import Checker, same_results
from golden.pim_commands import Command, Event
from golden.pim_data import DataModel, Elements, Row, encode
from golden.pim_model import simulate
from golden.pim_random import random_cells, random_trace
from golden.pim_timing import Organisation, Policy, Timing, guard
from golden.pim_trace import Op, Request, check, ordered

POLICIES = [
    Policy(dual=False),
    Policy(dual=False, pre_all=True, max_wait=1600),
    Policy(),
    Policy(hold_act=False),
    Policy(pre_all=True, gbuf_depth=2),
    Policy(refresh_all=True, max_wait=2000),
    Policy(hold_act=False, max_wait=2000, pre_all=True, gbuf_depth=2, guard_margin=9),
]
DEFAULT = Timing()
TWO_RANKS = replace(SMALL, ranks=2, groups=2)
SUBARRAYS = replace(SMALL, subarray_rows=2)
ONE_PATH = replace(SMALL, shared_gbl=True)


def watched(
    org: Organisation,
    policy: Policy,
    trace: list[Request],
    cells: dict[tuple[int, int], Row],
    timing: Timing = DEFAULT,
    element: str = "int8",
) -> Checker:
    check(trace, org, timing, policy)
    model = DataModel(org, policy, cells, element)
    checker = Checker(org, timing, policy, trace, cells, element)
    for event in simulate(org, timing, policy, trace).events:
        checker.observe(event, model.observe(event))
    assert checker.finish(model.contents()) == []
    return checker


ORGANISATIONS = {
    "one rank": SMALL,
    "two ranks": TWO_RANKS,
    "subarrays": SUBARRAYS,
    "one column path": ONE_PATH,
}


@pytest.mark.parametrize("org", ORGANISATIONS.values(), ids=ORGANISATIONS)
def test_random_traces(org: Organisation) -> None:
    """Every policy gives the same results, and none breaks an invariant."""
    rng = np.random.default_rng(21)
    cells, trace = random_cells(rng, org, 6), random_trace(rng, org, 6, 1000)
    first, *others = [watched(org, policy, trace, cells) for policy in POLICIES]
    assert len(first.results) > 30
    for other in others:
        assert same_results(first, other) == []


@pytest.mark.parametrize("timing", [Timing(t_refi=1300), Timing(t_refi=1300, row_transfers=4)])
def test_a_copy_under_a_header(timing: Timing) -> None:
    """With two vectors: refresh soon after a GWRITE, and a GEMV that streams longer than one."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        cells, trace = random_cells(rng, SMALL, 6), random_trace(rng, SMALL, 6, 1500, 0.4)
        watched(SMALL, Policy(gbuf_depth=2), trace, cells, timing)


def test_floats() -> None:
    org = replace(SMALL, element_bytes=2, lanes=8)
    rng = np.random.default_rng(4)
    cells, trace = random_cells(rng, org, 6, "bf16"), random_trace(rng, org, 6, 500)
    one, two = (watched(org, p, trace, cells, element="bf16") for p in (POLICIES[0], POLICIES[4]))
    assert same_results(one, two) == []


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
    "a read of another row": ("I1", edited(Command.RD, row=3)),
    "a GEMV of a closed row": ("I2", without(Command.PACT)),
    "a GEMV too few": ("I13", without(Command.GEMV)),
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


def test_a_long_wait_is_caught() -> None:
    trace = [*tiles(8, 2, 2), Request(Op.READ, 1, 9)]
    assert "I14" in broken(moved(Command.RD, 3000), Policy(max_wait=1024), trace=trace)


def after(*changes: Callable[[list[Event]], list[Event]]) -> Callable[[list[Event]], list[Event]]:
    """One change after the other, in the order of cycles at the end."""

    def change(events: list[Event]) -> list[Event]:
        for each in changes:
            events = each(events)
        return sorted(events, key=lambda e: e.cycle)

    return change


def test_two_copies_under_a_stream() -> None:
    """The second would go to the vector that the GEMV uses."""
    timing, policy = replace(NO_REFRESH, row_transfers=2), Policy(gbuf_depth=2)
    group = [Request(Op.HEADER, row=1, k=4, gemvs=1), Request(Op.GEMV, k=4)]
    trace = ordered([Request(Op.GWRITE), *group, Request(Op.GWRITE), Request(Op.GWRITE)])
    run = simulate(SMALL, timing, policy, trace)
    (gemv,) = run.cycles_of(Command.GEMV)
    _, second, third = run.cycles_of(Command.GWRITE)
    assert second < gemv + timing.stream(4) == third
    early = edited(Command.GWRITE, 2, cycle=third - 1)
    assert broken(early, policy, timing, trace, timing) == {"I12"}


@pytest.mark.parametrize(("org", "invariant"), [(SUBARRAYS, "I3"), (ONE_PATH, "I4")], ids=str)
def test_what_a_channel_does_not_have_is_caught(org: Organisation, invariant: str) -> None:
    """Any two rows in the buffers, and two column paths."""
    rng = np.random.default_rng(5)
    trace = random_trace(rng, SMALL, 4, 400, pim=0.2)
    checker = Checker(org, NO_REFRESH, Policy(), trace)
    for event in simulate(SMALL, NO_REFRESH, Policy(), trace).events:
        checker.observe(event)
    assert invariant in {violation.invariant for violation in checker.finish()}


def test_a_margin_keeps_headers_from_refresh() -> None:
    """By as many cycles as it has, and no more."""
    trace = tiles(40, 2, 2)
    trace = [replace(r, row=r.row % 16) for r in trace]
    ends = []
    for margin in (0, 25):
        policy, timing = Policy(guard_margin=margin), Timing(t_refi=1000)
        run = simulate(SMALL, timing, policy, trace)
        headers = [e.cycle for e in run.events if e.command is Command.HEADER]
        needed = guard(SMALL, timing, policy, 2, 2)
        ends.append(needed)
        assert all(cycle % 1000 + needed <= 1000 for cycle in headers)
    assert ends[1] - ends[0] == 25


def other_data(wrong: Command, data: int | Elements) -> set[str]:
    """Invariants that are broken when a command gives other data than the row holds."""
    trace = [Request(Op.WRITE, 1, 8, data=1), *tiles(1, 1, 2), Request(Op.READ, 1, 8)]
    checker = Checker(SMALL, NO_REFRESH, Policy(), trace)
    model = DataModel(SMALL, Policy(), {})
    for event in simulate(SMALL, NO_REFRESH, Policy(), trace).events:
        outcome = model.observe(event)
        checker.observe(event, data if event.command is wrong else outcome)
    return {violation.invariant for violation in checker.finish()}


def other_results() -> set[str]:
    """Invariants that are broken when one buffer and two give different results."""
    trace = tiles(1, 1, 2)
    one = watched(SMALL, Policy(), trace, {})
    other = watched(SMALL, Policy(dual=False), trace, {})
    assert same_results(one, other) == []
    other.results[2] = np.ones(4, np.int32)
    return {violation.invariant for violation in same_results(one, other)}


FAULTS: dict[str, Callable[[], set[str]]] = {
    "I1": lambda: broken(moved(Command.WR, -3)),
    "I2": lambda: broken(moved(Command.GEMV, -1)),
    "I3": lambda: broken(inserted(Event(204, Command.ACT, 3, row=2))),
    "I4": lambda: broken(inserted(Event(30, Command.PRE, 1))),
    "I5": lambda: broken(moved(Command.HEADER, 1)),
    "I6": lambda: broken(after(edited(Command.ACT, 2, cycle=204), edited(Command.RD, cycle=275))),
    "I7": lambda: broken(moved(Command.PPRE, -1)),
    "I8": lambda: broken(inserted(Event(600, Command.REF))),
    "I9": lambda: broken(same, trace=tiles(2, 4, 1), checker_timing=Timing(t_refi=130)),
    "I10": lambda: other_data(Command.RD, 2),
    "I11": lambda: other_data(Command.GEMV, np.ones(4, np.int32)),
    "I12": lambda: broken(same, timing=replace(NO_REFRESH, row_transfers=20)),
    "I13": lambda: broken(edited(Command.GEMV, 1, column=0)),
    "I14": lambda: broken(without(Command.RD)),
    "I15": other_results,
}
"""A fault for each invariant."""


@pytest.mark.parametrize("invariant", [f"I{number}" for number in range(1, 16)])
def test_a_fault_breaks_one_invariant_alone(invariant: str) -> None:
    assert FAULTS[invariant]() == {invariant}


def test_each_invariant_is_documented_and_has_a_fault() -> None:
    documented = re.findall(r"^(I\d+) ", pim_checker.__doc__ or "", re.MULTILINE)
    assert documented == list(FAULTS)
