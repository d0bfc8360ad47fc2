# amaranth: UnusedElaboratable=no
"""Bench of a PIM channel: a trace against the cycle model, the data model and the checker."""

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt

from golden.pim_checker import Checker
from golden.pim_commands import Command, Event, Run
from golden.pim_data import DataModel, Row, codes
from golden.pim_model import simulate
from golden.pim_random import random_cells
from golden.pim_timing import Organisation, Timing
from golden.pim_trace import Request, read_trace
from hw.pim_channel import PimChannel
from hw.pim_config import PimConfig
from sim.job import Arrays, load, save_result
from sim.pim_driver import PimDriver, Seen
from sim.pim_setup import organisation_of, policy_of, timing_of

Cells = dict[tuple[int, int], Row]
"""Contents of rows by bank and row."""


def check_commands(seen: list[Event], expected: list[Event]) -> None:
    """Hold the command bus to the model, command by command."""
    for index, (found, right) in enumerate(zip(seen, expected, strict=False)):
        right = replace(right, request=found.request)
        if right.command is Command.RDRESULT:  # its column is where the next steps go on
            right = replace(right, column=found.column)
        assert found == right, f"command {index}: {_words(found)}, the model says {_words(right)}"
    assert len(seen) == len(expected), f"{len(seen)} commands, the model has {len(expected)}"


def _words(event: Event) -> str:
    return (
        f"{event.command.value} {event.place} row {event.row} column {event.column} k {event.k} "
        f"in cycle {event.cycle}"
    )


@cocotb.test()
async def trace(dut: Any) -> None:
    """Run the job's trace: no invariant broken, and every command, word and cell right."""
    job, arrays = load()
    channel: PimChannel = job.component()
    org = organisation_of(channel.config)
    requests = read_trace(
        job.options["trace"], org, timing_of(channel.config), policy_of(channel.config)
    )
    element = channel.config.element
    cells = _cells(arrays, np.random.default_rng(job.seed), org, requests, element)
    driver = PimDriver(dut, channel)
    run = expected_run(channel.config, requests)
    load_cells(driver, org, cells)
    seen = await driver.run(requests, 2 * run.end + 1000)
    results = check_run(channel.config, requests, cells, run, seen, driver)
    save_result(report(run, seen, timing_of(channel.config)), {"results": results})


def expected_run(config: PimConfig, requests: list[Request]) -> Run:
    """What the cycle model says of a trace."""
    return simulate(organisation_of(config), timing_of(config), policy_of(config), requests)


def load_cells(driver: PimDriver, org: Organisation, cells: Cells) -> None:
    """Put the rows' contents into the banks."""
    for (bank, row), data in cells.items():
        driver.cells(bank)[row, : org.row_bytes] = data


def check_run(
    config: PimConfig,
    requests: list[Request],
    cells: Cells,
    run: Run,
    seen: Seen,
    driver: PimDriver,
) -> npt.NDArray[Any]:
    """Hold what a channel did to the models and to the checker.

    Returns
    -------
    ndarray of int32 or float32 [results, banks]
        What the channel's GEMVs gave, in order.

    Raises
    ------
    AssertionError
        Naming the first thing that is wrong.
    """
    org, timing, policy = organisation_of(config), timing_of(config), policy_of(config)
    result_type = "<i4" if config.element == "int8" else "<f4"
    answers = _answers(seen, org, result_type)
    checker = Checker(org, timing, policy, requests, cells, config.element)
    for event, (_, outcome) in zip(seen.events, answers, strict=True):
        checker.observe(event, outcome)
    violations = checker.finish()
    assert not violations, str(violations[0])
    assert not seen.error, "error: a bank has seen an illegal command"
    check_commands(seen.events, run.events)
    model = DataModel(org, policy, cells, config.element)
    results = []
    for event, (cycle, outcome) in zip(seen.events, answers, strict=True):
        right: Any = model.observe(event)
        if outcome is None:
            continue
        slot = event.cycle
        if event.command is Command.GEMV:
            slot += timing.stream(event.k)
        same = outcome == right
        if event.command is not Command.RD:
            results.append(outcome)
            same = np.array_equal(codes(outcome), codes(right))
        text = f"{event.command.value} in cycle {event.cycle}"
        assert cycle == slot + timing.cl, f"{text}: data in cycle {cycle}, not {slot + timing.cl}"
        assert same, f"{text}: {outcome}, the golden model says {right}"
    closed = model.contents()  # a refresh after the last request may have closed rows
    for (bank, row), data in model.cells.rows.items():
        found = driver.cells(bank)[row, : org.row_bytes]
        assert np.array_equal(found, data) or np.array_equal(found, closed[bank, row]), (
            f"bank {bank} row {row}: its cells are not what was written"
        )
    return np.array(results, result_type).reshape(-1, org.all_banks)


def report(run: Run, seen: Seen, timing: Timing) -> dict[str, Any]:
    """What a bench tells of a run: what came out of the channel, and the model's longest wait.

    Words read are hexadecimal, with the cycle of their first beat; of GEMVs only that is told.
    """
    data = [cycle for cycle, _ in seen.reads]
    data += [e.cycle + timing.cwl for e in seen.events if e.command is Command.WR]
    results = [cycle for cycle, _ in seen.results]
    ends = {
        name: max(cycles) + timing.burst if cycles else 0
        for name, cycles in (("pim_end", results), ("mem_end", data))
    }
    events = [(e.cycle, e.command.value, e.place, e.row, e.k) for e in seen.events]
    return {
        **ends,
        "waits": run.waits,
        "commands": len(events),
        "events": events,
        "reads": [(cycle, f"{word:x}") for cycle, word in seen.reads],
        "gemvs": results,
    }


def _cells(
    arrays: Arrays,
    rng: np.random.Generator,
    org: Organisation,
    requests: list[Request],
    element: str,
) -> Cells:
    """Contents of the rows: the job's [banks, rows, bytes], or random where a request goes."""
    if "cells" in arrays:
        given = arrays["cells"]
        return {place: given[place] for place in np.ndindex(*given.shape[:2])}
    return random_cells(rng, org, 1 + max((r.row for r in requests), default=0), element)


def _answers(seen: Seen, org: Organisation, result_type: str) -> list[tuple[int, Any]]:
    """What came back for each command, and when; nothing for most."""
    reads, results = iter(seen.reads), iter(seen.results)
    answers: list[tuple[int, Any]] = []
    for event in seen.events:
        cycle = -1
        outcome: Any = None
        if event.command is Command.RD:
            cycle, outcome = next(reads, (-1, None))
        elif event.command in (Command.GEMV, Command.RDRESULT):
            cycle, word = next(results, (-1, 0))
            outcome = np.frombuffer(word.to_bytes(4 * org.all_banks, "little"), result_type)
        answers.append((cycle, outcome))
    return answers
