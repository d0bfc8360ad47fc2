# amaranth: UnusedElaboratable=no
"""``rtloom sim`` of a processor: programs on its RTL against the instruction-level model."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from hw.catalog import Design
from hw.matmul_free_isa import MatmulFreeConfig
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.assembler import assemble
from sim.blocks import random_blocks
from sim.programs import Image, random_contents
from sim.simulate import run_programs


def images_of(args: argparse.Namespace, config: MatmulFreeConfig) -> list[Image]:
    """Return the program of a file on random memories, or one MLGRU and one GLU block.

    Raises
    ------
    ValueError
        When the file cannot be read or assembled, or a block does not fit into the core.
    """
    if args.program is None:
        return random_blocks(config, args.seed)
    path: Path = args.program
    try:
        source = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"program: {path} cannot be read: {reason}") from error
    try:
        program = assemble(source, config)
    except ValueError as error:
        raise ValueError(f"program: {path}, {error}") from None
    rng = np.random.default_rng(args.seed)
    contents = random_contents(config, rng, config.depth_data, config.depth_weights)
    return [Image(path.name, program, *contents)]


def run_processor(
    args: argparse.Namespace, design: Design, config: MatmulFreeConfig, workdir: Path
) -> int:
    """Simulate programs, and print their cycles and those of each kind of instruction."""
    for name in ("m", "k", "n", "a", "b", "c", "scales", "zeros"):
        if getattr(args, name) is not None:
            raise ValueError(f"{name}: {design.name!r} is a processor and takes no matrix")
    if args.stalls:
        raise ValueError(f"stalls: {design.name!r} has no streams to pause; only engines do")
    images = images_of(args, config)
    with step(f"building and simulating {config.name}"):
        outcome = run_programs(design, config, images, workdir, args.seed, args.waves)
    figures: dict[str, Any] = {
        "design": config.name,
        "bit_exact": True,  # the bench fails otherwise
        "seed": args.seed,
        "log": str(outcome.run.log),
    }
    if outcome.run.waveform:
        figures["waveform"] = str(outcome.run.waveform)
    programs = outcome.result["programs"]
    if args.json:
        print_json({**figures, "programs": programs})
        return Status.OK
    print_table(None, [(key.replace("_", " "), value) for key, value in figures.items()])
    for program in programs:
        count = sum(program["count"].values())
        print()
        print_table(
            ("instruction", "times", "cycles each"),
            [
                (name, times, f"{program['latency'][name] / times:g}")
                for name, times in program["count"].items()
            ],
            f"{program['name']}: {count} instructions in {program['cycles']} cycles, "
            f"latencies add up to {sum(program['latency'].values())}",
        )
    return Status.OK
