# amaranth: UnusedElaboratable=no
"""``rtloom sim pim``, ``pim-random`` and ``pim-plan``: memories that multiply."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.pim_cases import accesses, tiles
from golden.pim_checker import Checker, same_results
from golden.pim_data import DataModel
from golden.pim_model import simulate
from golden.pim_random import random_cells, random_trace
from golden.pim_schedule import Model, plans
from golden.pim_timing import Organisation, Policy, Timing
from golden.pim_trace import check, read_trace, write_trace
from hw.catalog import find
from hw.pim_config import PimConfig
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.pim_setup import organisation_of, policy_of, timing_of
from sim.results import SimulationError, one_line
from sim.simulate import BUILD, run_trace

PICTURE = BUILD / "pim" / "timeline.png"
LONGEST_REQUEST = 2000
"""Tokens at which the planner cuts a request off."""


def _default_trace(config: PimConfig) -> str:
    """Four tiles of PIM, and 64 reads of memory, in the rows there are."""
    org = organisation_of(config)
    k = max(1, min(8, org.steps // 4))
    gemvs = min(4, org.steps // k)
    first = min(100, org.rows - 1 - 64 // 16 // org.all_banks)
    count = min(4, first - 1)
    if first < 2 or org.columns < 16:
        raise ValueError("trace: this channel is too small for the default case; give a trace")
    return write_trace(tiles(count, gemvs, k) + accesses(64, org, first))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or one_line(str(error))
        raise ValueError(f"trace: {path} cannot be read: {reason}") from error


def run_trace_command(args: argparse.Namespace, config: PimConfig) -> int:
    """Run one trace on the channel with one row buffer a bank, and with two."""
    for name in ("m", "k", "n", "a", "b", "c", "scales", "zeros"):
        if getattr(args, name) is not None:
            raise ValueError(f"{name}: a PIM channel takes no matrix")
    if args.stalls or args.waves:
        raise ValueError(f"{'stalls' if args.stalls else 'waves'}: not for a PIM channel")
    text = _default_trace(config) if args.trace is None else _read(args.trace)
    rows: list[dict[str, Any]] = []
    runs: dict[str, list[list[Any]]] = {}
    data: list[dict[str, Any]] = []
    for dual in (False, True):
        chosen = replace(config, dual=dual)
        org, timing, policy = organisation_of(chosen), timing_of(chosen), policy_of(chosen)
        read_trace(text, org, timing, policy)  # bad input, before anything is built
        workdir = BUILD / "sim-work" / chosen.name / str(os.getpid())
        with step(f"building and simulating {chosen.name}"):
            outcome = run_trace(find("pim"), chosen, text, workdir, args.seed)
        result, sums = outcome.result, outcome.arrays["results"]
        runs["two row buffers" if dual else "one row buffer"] = result["events"]
        total = max(result["pim_end"], result["mem_end"])
        rows.append(
            {
                "design": chosen.name,
                "row_buffers": 1 + dual,
                "pim_end": result["pim_end"],
                "mem_end": result["mem_end"],
                "total": total,
                "speed_up": (rows[0]["total"] if rows else total) / max(1, total),
                "commands": result["commands"],
                "longest_wait": result["waits"],
            }
        )
        gemvs = [[at, sums[i].tolist()] for i, at in enumerate(result["gemvs"])]
        data.append({"reads": result["reads"], "gemvs": gemvs})
    draw_timelines(runs, timing_of(config), PICTURE)
    if args.json:
        shown = [row | of_run for row, of_run in zip(rows, data, strict=True)]
        print_json({"runs": shown, "picture": str(PICTURE)})
        return Status.OK
    print_table(
        [key.replace("_", " ") for key in rows[0]],
        [[f"{v:.2f}" if isinstance(v, float) else v for v in row.values()] for row in rows],
        "every command, word and cell as the golden models have it",
    )
    print(f"picture: {PICTURE}")
    return Status.OK


def draw_timelines(
    runs: dict[str, list[list[Any]]],
    timing: Timing,
    path: Path,
    products: dict[str, list[list[int]]] | None = None,
) -> None:
    """Draw the commands of runs, one above the other, by who asked for them.

    Parameters
    ----------
    products
        Of each run, first cycle and length of what a GEMM core did at the same time.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lengths = {"REF": timing.t_rfc, "GWRITE": timing.gwrite}
    colours = {
        "ACT, PRE": (("ACT", "PRE", "PREA"), "0.6"),
        "RD, WR": (("RD", "WR"), "C0"),
        "refresh": (("REF",), "0.8"),
        "PIM: GWRITE, HEADER": (("GWRITE", "HEADER"), "C2"),
        "PIM: open, close": (("PACT", "PPRE", "PPREA"), "C1"),
        "PIM: GEMV": (("GEMV", "COMP", "RDRESULT"), "C3"),
    }
    figure, all_axes = pyplot.subplots(
        len(runs),
        1,
        figsize=(10, 2.4 * len(runs)),
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, (title, events) in zip(all_axes[:, 0], runs.items(), strict=True):
        for lane, (commands, colour) in enumerate(colours.values()):
            bars = []
            for cycle, command, _, _, k in events:
                if command in commands:
                    bars.append((cycle, lengths.get(command, timing.t_ccd_l)))
                    if command == "GEMV":
                        bars[-1] = (cycle, timing.stream(k))
            axes.broken_barh(bars, (lane - 0.4, 0.8), color=colour)
        lanes = list(colours)
        if products:
            for at, span in enumerate(products[title]):
                axes.broken_barh([span], (len(lanes) - 0.4, 0.8), color=("C4", "C5")[at % 2])
            lanes.append("GEMM core: products")
        axes.set(title=title, yticks=range(len(lanes)), yticklabels=lanes)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[-1, 0].set(xlabel="cycle")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


POLICIES = (
    Policy(dual=False),
    Policy(dual=False, pre_all=True, max_wait=1600),
    Policy(),
    Policy(hold_act=False),
    Policy(pre_all=True, gbuf_depth=2),
    Policy(refresh_all=True, max_wait=2000),
    Policy(hold_act=False, max_wait=2000, pre_all=True, gbuf_depth=2, guard_margin=9),
)
"""Choices that random traces run under."""


def run_random(args: argparse.Namespace) -> int:
    """Run random traces through the models, under the checker, until so many commands are done."""
    rng = np.random.default_rng(args.seed)
    shape: dict[str, Any] = {"rows": 16, "row_bytes": 128, "column_bytes": 16, "element_bytes": 1}
    organisations = [
        Organisation(ranks=ranks, groups=groups, **shape)
        for ranks, groups in ((1, 1), (1, 2), (2, 2), (2, 4))
    ]
    organisations.append(replace(organisations[1], subarray_rows=2, shared_gbl=True))
    commands = refreshes = traces = longest = 0
    while commands < args.commands:
        for org in organisations:
            cells = random_cells(rng, org, 6)
            requests = random_trace(rng, org, 6, 2000)
            checkers: list[Checker] = []
            for policy in POLICIES:
                check(requests, org, Timing(), policy)
                model = DataModel(org, policy, cells)
                checker = Checker(org, Timing(), policy, requests, cells)
                run = simulate(org, Timing(), policy, requests)
                for event in run.events:
                    checker.observe(event, model.observe(event))
                    refreshes += event.command.value == "REF"
                found = checker.finish(model.contents())
                found += same_results(checkers[0], checker) if checkers else []
                if found:
                    where = f"trace {traces} of seed {args.seed}, {policy}"
                    raise SimulationError(where, str(found[0]), BUILD)
                checkers.append(checker)
                commands += checker.commands
                longest = max(longest, run.waits if policy.max_wait else 0)
            traces += 1
    figures = {
        "commands": commands,
        "refreshes": refreshes,
        "traces": traces,
        "policies": len(POLICIES),
        "longest_wait_where_bounded": longest,
        "violations": 0,  # an error otherwise
        "seed": args.seed,
    }
    if args.json:
        print_json(figures)
    else:
        print_table(None, [(key.replace("_", " "), value) for key, value in figures.items()])
    return Status.OK


def run_plan(args: argparse.Namespace) -> int:
    """Plan batches on a PIM memory and an NPU, in the four ways of the ablation."""
    if args.tokens > LONGEST_REQUEST:
        raise ValueError(f"tokens: {args.tokens} is more than the {LONGEST_REQUEST} of a request")
    model = Model(heads=args.heads, blocks=args.blocks, devices=args.devices)
    rows = []
    for batch in args.batch:
        rng = np.random.default_rng(args.seed)
        lengths = rng.lognormal(np.log(args.tokens) - 0.5, 1.0, batch)
        tokens = [int(n) for n in np.clip(lengths, 1, LONGEST_REQUEST)]
        found = plans(model, tokens, args.channels)
        rows += [
            {
                "batch": batch,
                "with": plan.name,
                "tokens_per_second": round(plan.tokens_per_second),
                "gain": plan.tokens_per_second / found[0].tokens_per_second,
            }
            for plan in found
        ]
    if args.json:
        print_json(rows)
    else:
        print_table(
            ["batch", "with", "tokens a second", "gain"],
            [[r["batch"], r["with"], r["tokens_per_second"], f"{r['gain']:.2f}"] for r in rows],
        )
    return Status.OK
