# amaranth: UnusedElaboratable=no
"""``rtloom bench-sim``: speed of a GEMM core under cocotb against a plain C++ harness.

Both run the same emitted Verilog on the same product, in turns, and check every element of C. The
time under cocotb takes in writing A and B and reading C; the harness's is the product alone.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

import numpy as np

from hw.catalog import find
from hw.emit import emit
from hw.gemm_core import GemmCore
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.settings import select
from scripts.simulate import WORK, check_product
from scripts.status import Status
from sim.gemm_golden import golden_product
from sim.job import Job
from sim.memory import pack
from sim.packing import padded, words_a, words_b
from sim.results import SimulationError
from sim.runner import build_harness
from sim.runtime import CPP_FOLDER
from sim.simulate import BENCHES, BUILD, build_design, random_matrix, run_bench

ROUNDS = 3


def run(args: argparse.Namespace) -> int:
    """Measure both in turns and print their ratio."""
    selection = select("gemm_core", args.settings)
    design, config = find("gemm_core"), selection.config
    m, k, n = args.m, args.k, args.n
    check_product(selection, m, k, n)
    core = GemmCore(config)  # type: ignore[arg-type]
    array = core.config.array
    rng = np.random.default_rng(args.seed)
    a = random_matrix(rng, m, k, array.width_a, array.signed_a)
    b = random_matrix(rng, k, n, array.width_b, array.signed_b)
    c = golden_product(array, a, b)

    emission = emit(GemmCore, config)
    verilog, _ = emission.write(BUILD / "verilog")
    with step("building both simulators"):
        simulator = build_design(design, config, optimize="speed")
        harness = build_harness(verilog, emission.name, CPP_FOLDER / "core_harness.cpp")

    workdir = WORK / "bench-sim"
    workdir.mkdir(parents=True, exist_ok=True)
    # Lanes of C beyond N are what the engine makes of zeros: sums of nothing.
    stripes = padded(c, 1, array.cols).reshape(m, -1, array.cols).transpose(1, 0, 2)
    files = {
        "a": pack(words_a(a, array.rows), array.width_a),
        "b": pack(words_b(b, array.cols), array.width_b),
        "c": pack(stripes.reshape(-1, array.cols), array.width_acc),
    }
    for name, words in files.items():
        (workdir / f"{name}.bin").write_bytes(words.tobytes())

    job = Job.of(design, config, args.seed)
    seconds: dict[str, list[float]] = {"cocotb": [], "harness": []}
    for turn in range(1, ROUNDS + 1):
        with step(f"round {turn} of {ROUNDS}"):
            seconds["harness"].append(_run_harness(harness, workdir, m, k, n, core.cycles(m, k, n)))
            bench = BENCHES[design.kind]
            outcome = run_bench(
                simulator, bench, job, {"a0": a, "b0": b}, workdir / "cocotb", testcase="products"
            )
            seconds["cocotb"].append(outcome.result["products"][0]["seconds"])

    cycles, macs = core.cycles(m, k, n), m * k * n
    median = {name: statistics.median(values) for name, values in seconds.items()}
    figures = {
        "design": config.name,
        "m": m,
        "k": k,
        "n": n,
        "cycles": cycles,
        "utilisation": macs / (cycles * core.macs_per_cycle),
        "rounds": ROUNDS,
        "harness_macs_per_second": macs / median["harness"],
        "cocotb_macs_per_second": macs / median["cocotb"],
        "ratio": median["harness"] / median["cocotb"],
        "seed": args.seed,
    }
    if args.json:
        print_json(figures)
    else:
        shown = {
            "design": config.name,
            "product": f"{m} x {k} x {n}",
            "cycles": f"{cycles}, utilisation {figures['utilisation']:.2%}",
            "plain C++ harness": f"{macs / median['harness'] / 1e6:.1f} M MAC/s",
            "cocotb": f"{macs / median['cocotb'] / 1e6:.1f} M MAC/s",
            "cocotb / harness": f"{figures['ratio']:.2f} (medians of {ROUNDS} rounds)",
            "seed": args.seed,
        }
        print_table(None, list(shown.items()))
    return Status.OK


def _run_harness(harness: Path, workdir: Path, m: int, k: int, n: int, cycles: int) -> float:
    files = [str(workdir / f"{name}.bin") for name in "abc"]
    log = workdir / "harness.log"
    run = subprocess.run(
        [str(harness), *files, str(m), str(k), str(n)], capture_output=True, text=True
    )
    log.write_text(run.stdout + run.stderr)
    if run.returncode:
        raise SimulationError("C++ harness", f"ended with status {run.returncode}", log)
    result = json.loads(run.stdout)
    if result["differing"] or result["cycles"] != cycles:
        cause = f"{result['differing']} bytes of C differ, {result['cycles']} cycles"
        raise SimulationError("C++ harness", f"{cause}, formula says {cycles}", log)
    return float(result["seconds"])
