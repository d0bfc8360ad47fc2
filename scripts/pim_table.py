# amaranth: UnusedElaboratable=no
"""``rtloom pim-table``: cycles of the published cases, by the contract, the model and the RTL."""

import argparse
import os
from typing import Any

from golden.pim_cases import CONCURRENT, POLICIES, SIZES
from golden.pim_model import simulate
from golden.pim_trace import write_trace
from hw.catalog import find
from hw.pim_config import PimConfig
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.pim_setup import organisation_of, policy_of, timing_of
from sim.simulate import BUILD, build_design, run_trace


def config_of(size: str, policy: str) -> PimConfig:
    """A channel of a published size that takes its traces, of as few lanes as cycles allow."""
    ranks, groups = SIZES[size]
    chosen = POLICIES[policy]
    return PimConfig.from_settings(
        {
            "ranks": ranks,
            "groups": groups,
            "lanes": 1,
            "dual": chosen.dual,
            "hold_act": chosen.hold_act,
            "timing.t_refi": 0,
        }
    )


def run(args: argparse.Namespace) -> int:
    """Run every case three ways; what differs makes the command fail."""
    for name in args.size or ():
        if name not in SIZES:
            raise ValueError(f"size: {name!r} is not one of {', '.join(SIZES)}")
    workdir = BUILD / "sim-work" / "pim-table" / str(os.getpid())
    rows: list[dict[str, Any]] = []
    for size in args.size or SIZES:
        cases = [case for case in CONCURRENT if case.size == size]
        for at, policy in enumerate(POLICIES):
            config = config_of(size, policy)
            org, timing = organisation_of(config), timing_of(config)
            with step(f"building and simulating {config.name}"):
                simulator = build_design(find("pim"), config)
                for case in cases:
                    trace = case.trace(org)
                    model = simulate(org, timing, policy_of(config), trace)
                    found = run_trace(
                        find("pim"),
                        config,
                        write_trace(trace),
                        workdir,
                        args.seed,
                        simulator=simulator,
                    ).result
                    ends = {
                        "contract": case.ends[at],
                        "model": (model.pim_end, model.mem_end),
                        "rtl": (found["pim_end"], found["mem_end"]),
                    }
                    equal = len(set(ends.values())) == 1
                    rows.append({"case": str(case), "design": policy, **ends, "equal": equal})
    if args.json:
        print_json({"rows": rows, "seed": args.seed})
    else:
        shown = ("contract", "model", "rtl")
        print_table(
            ["tiles, GEMVs, steps, accesses", "row buffers", *shown, ""],
            [
                [
                    row["case"],
                    row["design"],
                    *(f"{row[name][0]}, {row[name][1]}" for name in shown),
                    "" if row["equal"] else "DIFFERS",
                ]
                for row in rows
            ],
            "cycle after the last result of PIM, and after memory's last data; no refresh",
        )
    return Status.OK if all(row["equal"] for row in rows) else Status.MISMATCH
