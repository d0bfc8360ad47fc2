# amaranth: UnusedElaboratable=no
"""``rtloom cross``: transforms of homomorphic encryption on the INT8 array of the demo.

Its units are simulated one after the other; then once more in one netlist, lanes at the array's
edge.
"""

import argparse
import os
from dataclasses import fields
from typing import Any

import numpy as np

from golden.ntt import Ring
from hw.catalog import find
from hw.engine import EngineConfig
from hw.gemm_core import GemmCore
from hw.ntt_engine import NttEngine
from hw.systolic_modular import SystolicModular, SystolicModularConfig
from hw.systolic_os import SystolicOsConfig
from pe.registry import DERIVED
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.modular_array import ByteArray, LanedArray, ModularArray, ModularUnits, on_butterflies
from sim.simulate import BUILD


def run(args: argparse.Namespace) -> int:
    """Transform a random polynomial there and back on the array, and once on butterflies."""
    core = find("gemm_core").config.from_settings(
        {"array.signed_a": not args.unsigned, "array.signed_b": not args.unsigned}
    )
    engine_config = find("ntt_engine").config.from_settings(
        {"modulus": args.modulus, "size": args.n, "butterflies": args.butterflies}
    )
    engine = NttEngine(engine_config)  # type: ignore[arg-type]
    ring = Ring.of(args.modulus, args.n)
    rows = 1 << (args.n.bit_length() // 2)
    a = np.random.default_rng(args.seed).integers(0, args.modulus, args.n)
    folder = BUILD / "sim-work" / "cross" / str(os.getpid())
    units = ModularUnits(folder, args.seed)
    array = ModularArray(ByteArray(core, units), ring)
    with step(f"forward transform of {args.n} coefficients on the INT8 array"):
        values = array.forward(a, rows)
    forward_steps = len(units.steps)
    with step("inverse transform on the INT8 array"):
        back = array.inverse(values, rows)
    with step("forward transform on butterflies"):
        butterflies = on_butterflies(engine_config, a, folder / "ntt_engine", args.seed)
    laned = LanedArray(
        _with_lanes(array.bytes.array, ring, rows), ring, folder / "lanes", args.seed
    )
    with step("forward transform on an array with lanes at its edge"):
        together = laned.forward(a, rows)
    equal = {
        "the golden transform": np.array_equal(values, ring.forward(a)),
        "the butterflies": np.array_equal(values, butterflies),
        "the array with lanes": np.array_equal(values, together),
        "the polynomial, back from the array": np.array_equal(back, a),
    }
    steps = [
        {"transform": "forward" if at < forward_steps else "inverse", **done}
        for at, done in enumerate(units.steps)
    ]
    cycles = sum(done["cycles"] for done in steps[:forward_steps] if done["unit"] == "gemm_core")
    steps += [{"transform": "forward", **done} for done in laned.steps]
    lane_cycles = sum(done["cycles"] for done in laned.steps)
    figures: dict[str, Any] = {
        "modulus": args.modulus,
        "n": args.n,
        "steps": steps,
        "array_multipliers": GemmCore(core).macs_per_cycle,  # type: ignore[arg-type]
        "array_cycles": cycles,
        "lane_multipliers": SystolicModular(laned.config).macs_per_cycle,
        "lane_cycles": lane_cycles,
        "butterflies": args.butterflies,
        "butterfly_cycles": engine.transform_cycles(1),
        "equal": equal,
        "seed": args.seed,
    }
    if args.json:
        print_json(figures)
    else:
        print_table(
            ["transform", "unit", "shape", "cycles"],
            [
                [s["transform"], s["unit"], " x ".join(map(str, s["shape"])), s["cycles"]]
                for s in steps
            ],
            f"modulo {args.modulus}, digits of {array.bytes.chunk} bits; units take a set a cycle",
        )
        shown = {
            f"{figures['array_multipliers']} multipliers of 8 x 8": f"{cycles} cycles",
            f"{figures['lane_multipliers']} with lanes, all in all": f"{lane_cycles} cycles",
            f"{args.butterflies} butterflies": f"{engine.transform_cycles(1)} cycles",
            **{f"equal to {what}": "yes" if same else "NO" for what, same in equal.items()},
            "seed": args.seed,
        }
        print_table(None, list(shown.items()))
    return Status.OK if all(equal.values()) else Status.MISMATCH


def _with_lanes(array: EngineConfig, ring: Ring, rows: int) -> SystolicModularConfig:
    """An array as that of the core, as much of it as whole residues fill."""
    settings = {field.name: getattr(array, field.name) for field in fields(SystolicOsConfig)}
    settings |= {"modulus": ring.modulus, "width_acc": DERIVED}
    chunk = min(array.width_a - array.signed_a, array.width_b - array.signed_b)
    digits = -(-ring.modulus.bit_length() // chunk)
    for name in ("rows", "cols"):
        settings[name] -= settings[name] % digits
    return SystolicModularConfig(**{**settings, "k_max": digits * max(rows, ring.size // rows)})
