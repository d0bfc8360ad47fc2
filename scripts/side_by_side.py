# amaranth: UnusedElaboratable=no
"""``rtloom side-by-side``: a GEMM core and a PIM channel at one time, in one simulation."""

import argparse
import os
from typing import Any

import numpy as np

from hw.gemm_core import GemmCore
from scripts.output import print_json, print_table
from scripts.pim import draw_timelines
from scripts.progress import step
from scripts.settings import parse_settings
from scripts.status import Status
from sim.pim_setup import timing_of
from sim.side_by_side import READS_FIT, SideBySideConfig, plan_of
from sim.simulate import BUILD, random_matrix, run_batch

PICTURE = BUILD / "pim" / "side_by_side.png"


def run(args: argparse.Namespace) -> int:
    """Run two halves of a batch with one row buffer a bank and with two, and draw both."""
    given = parse_settings(args.settings)
    if "pim.dual" in given:
        raise ValueError(f"pim.dual: {given['pim.dual']} is not to be set; both are run")
    configs = [
        SideBySideConfig.from_settings({**READS_FIT, **given, "pim.dual": dual})
        for dual in (False, True)
    ]
    core = GemmCore(configs[0].core)
    for config in configs:  # bad input, before anything is built
        plan_of(config, args.heads, args.head_size, args.tokens, args.k, args.n)
    core.check_fits(args.m, args.k, args.n)

    rng = np.random.default_rng(args.seed)
    array = core.config.array
    heads, size, tokens = args.heads, args.head_size, args.tokens
    data = {
        "a": random_matrix(rng, args.m, args.k, array.width_a, array.signed_a),
        "b": random_matrix(rng, args.k, args.n, 8, True),
        "q": random_matrix(rng, heads, size, 8, True),
        "keys": random_matrix(rng, heads, tokens * size, 8, True).reshape(heads, tokens, size),
        "values": random_matrix(rng, heads, tokens * size, 8, True).reshape(heads, tokens, size),
    }
    rows: list[dict[str, Any]] = []
    runs, products = {}, {}
    for config in configs:
        workdir = BUILD / "sim-work" / "side_by_side" / str(os.getpid())
        title = "two row buffers" if config.pim.dual else "one row buffer"
        with step(f"building and simulating both devices, {title} a bank"):
            result = run_batch(config, data, workdir, args.seed).result
        runs[title], products[title] = result["events"], result["products"]
        core_end = sum(products[title][-1])
        total = max(result["pim_end"], result["mem_end"], core_end)
        rows.append(
            {
                "row_buffers": 1 + config.pim.dual,
                "pim_end": result["pim_end"],
                "mem_end": result["mem_end"],
                "core_end": core_end,
                "total": total,
                "speed_up": (rows[0]["total"] if rows else total) / total,
            }
        )
    draw_timelines(runs, timing_of(configs[0].pim), PICTURE, products)
    if args.json:
        print_json({"runs": rows, "picture": str(PICTURE), "seed": args.seed})
        return Status.OK
    print_table(
        [key.replace("_", " ") for key in rows[0]],
        [[f"{v:.2f}" if isinstance(v, float) else v for v in row.values()] for row in rows],
        f"core: {args.m} x {args.k} x {args.n} with weights from the channel; channel: {heads} "
        f"heads x {tokens} tokens x {size}; both as the golden models have it; seed {args.seed}",
    )
    print(f"picture: {PICTURE}")
    return Status.OK
