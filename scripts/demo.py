# amaranth: UnusedElaboratable=no
"""``rtloom demo``: a network trained on the spot runs on the emitted GEMM core, bit-exact."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from hw.catalog import find
from hw.core_config import GemmCoreConfig
from hw.emit import emit
from hw.gemm_core import GemmCore
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.job import Job
from sim.simulate import BUILD, Outcome, build_design, run_bench

FOLDER = BUILD / "demo"
PICTURE = FOLDER / "utilisation.png"
SAMPLE_EVERY = 64
"""Cycles between two looks at how much the array has taken."""


def run(args: argparse.Namespace) -> int:
    """Train, quantise, emit, build, simulate, and say what was found."""
    seconds: dict[str, float] = {}
    with step("training the network", seconds):
        from scripts.network import train_digits  # scikit-learn takes a second to import

        network = train_digits(args.seed)
    design = find("gemm_core")
    config = GemmCoreConfig()
    core = GemmCore(config)
    with step("emitting Verilog", seconds):
        verilog, _ = emit(GemmCore, config).write(BUILD / "verilog")
    with step("building the simulator", seconds):
        simulator = build_design(design, config, optimize="speed")
    with step("simulating", seconds):
        job = Job.of(
            design,
            config,
            multipliers=[layer.multiplier for layer in network.layers],
            relus=[layer.relu for layer in network.layers],
            sample_every=SAMPLE_EVERY,
        )
        arrays: dict[str, Any] = {"images": network.test_images}
        for i, layer in enumerate(network.layers):
            arrays |= {f"weights{i}": layer.weights, f"bias{i}": layer.bias}
        outcome = run_bench(simulator, "sim.bench_network", job, arrays, FOLDER)
    with step("drawing", seconds):
        draw(outcome, core, PICTURE)

    layers = outcome.result["layers"]
    macs = sum(layer["m"] * layer["k"] * layer["n"] for layer in layers)
    cycles = sum(layer["cycles"] for layer in layers)
    figures = {
        "images": len(network.test_images),
        "float_accuracy": network.float_accuracy,
        "golden_int8_accuracy": network.accuracy(outcome.arrays["golden_logits"]),
        "rtl_int8_accuracy": network.accuracy(outcome.arrays["logits"]),
        "layers": [
            {
                **{key: layer[key] for key in ("m", "k", "n", "cycles")},
                "utilisation": _utilisation(core, [layer]),
            }
            for layer in layers
        ],
        "macs": macs,
        "cycles": cycles,
        "utilisation": _utilisation(core, layers),
        "macs_per_second": macs / outcome.result["seconds"],
        "seconds": seconds,
        "verilog": str(verilog),
        "picture": str(PICTURE),
        "seed": args.seed,
    }
    if args.json:
        print_json(figures)
    else:
        show(figures)
    return Status.OK


def _utilisation(core: GemmCore, layers: list[dict[str, Any]]) -> float:
    """Products that belong to C, over PEs times cycles."""
    macs = sum(layer["m"] * layer["k"] * layer["n"] for layer in layers)
    return float(macs / (sum(layer["cycles"] for layer in layers) * core.macs_per_cycle))


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    rows = [
        [
            f"{index}: {layer['m']} x {layer['k']} x {layer['n']}",
            layer["cycles"],
            f"{layer['utilisation']:.1%}",
        ]
        for index, layer in enumerate(figures["layers"])
    ]
    print_table(["layer, M x K x N", "cycles", "utilisation"], rows)
    print()
    accuracies = {
        "accuracy in float": figures["float_accuracy"],
        "accuracy of the golden INT8 model": figures["golden_int8_accuracy"],
        "accuracy of the RTL": figures["rtl_int8_accuracy"],
    }
    print_table(
        None,
        [
            ["test images", figures["images"]],
            *([name, f"{value:.2%}"] for name, value in accuracies.items()),
            ["every product bit-exact", "yes"],  # the bench fails otherwise
            ["cycles", figures["cycles"]],
            ["array utilisation", f"{figures['utilisation']:.1%}"],
            ["simulated MACs per second", f"{figures['macs_per_second'] / 1e6:.1f} M"],
            *([f"{stage}, seconds", f"{taken:.1f}"] for stage, taken in figures["seconds"].items()),
            ["Verilog", figures["verilog"]],
            ["picture", figures["picture"]],
            ["seed", figures["seed"]],
        ],
    )


def draw(outcome: Outcome, core: GemmCore, path: Path) -> None:
    """Draw the array's utilisation over time.

    The K-slices taken between two samples, as a share of the cycles between them, is how busy the
    array was fed; of its PEs only those inside the edges of C do useful work.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    layers = outcome.result["layers"]
    bounds = [layer["first_sample"] for layer in layers] + [len(outcome.arrays["cycle"])]
    figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    origin = outcome.arrays["cycle"][0]
    for index, layer in enumerate(layers):
        cycle = outcome.arrays["cycle"][bounds[index] : bounds[index + 1]] - origin
        beats = outcome.arrays["beats"][bounds[index] : bounds[index + 1]]
        fed = np.diff(beats) / np.diff(cycle)
        slices = layer["k"] * core.words(layer["m"], 1, layer["n"])["a"]
        slices *= core.words(layer["m"], 1, layer["n"])["b"]
        inside = layer["m"] * layer["k"] * layer["n"] / (slices * core.macs_per_cycle)
        colour = f"C{index}"
        label = f"{layer['m']} x {layer['k']} x {layer['n']}: {_utilisation(core, [layer]):.1%}"
        axes.stairs(fed, cycle, color=colour, alpha=0.25, fill=True)
        axes.stairs(fed * inside, cycle, color=colour, fill=True, label=label)
    axes.set(xlabel="cycle", ylabel="share of PEs", ylim=(0, 1.02), xlim=(0, None))
    axes.set_title(f"{core.config.array.name}: useful PEs (full colour), fed PEs (pale)")
    axes.legend(title="layer, M x K x N: utilisation", loc="lower left", framealpha=0.9)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
