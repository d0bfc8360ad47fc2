"""``rtloom ppa``: area, timing and energy of a design in a standard-cell library."""

import argparse

from scripts.output import print_json, print_table
from scripts.ppa.curve import Measurement, Options, measure
from scripts.ppa.library import find_library
from scripts.ppa.record import Record
from scripts.settings import select
from scripts.status import Status


def options_of(args: argparse.Namespace) -> Options:
    """Return the options that a command line asks for."""
    return Options(
        periods_ns=tuple(args.period or ()),
        flat=args.flat,
        quick=args.quick,
        timer=args.timer,
        power=not args.no_power,
        operands=args.operands,
        delays={"delays": True, "zero-delay": False, None: None}[args.activity],
        prove=args.prove,
        gates=args.gates,
        seed=args.seed,
    )


def run(args: argparse.Namespace) -> int:
    """Measure one design and print what was found."""
    selection = select(args.design, args.settings, args.preset, args.config)
    library = find_library(args.library)
    measurement = measure(selection.design, selection.config, library, options_of(args))
    if args.json:
        print_json(measurement.to_json())
    else:
        show(measurement)
    return Status.OK


COLUMNS = (
    "target ns",
    "area um2",
    "min period ns",
    "fmax MHz",
    "leakage mW",
    "dynamic mW",
    "pJ/op",
    "GOPS",
    "GOPS/mm2",
    "GOPS/W",
    "multipliers",
    "adders",
)


def row(record: Record) -> list[str]:
    """Return the cells of a record below `COLUMNS`."""
    figures = [
        (record.target_period_ns, ".3f"),
        (record.area_um2, ".0f"),
        (record.min_period_ns, ".3f"),
        (record.fmax_mhz, ".0f"),
        (record.leakage_mw, ".3g"),
        (record.dynamic_mw, ".4g"),
        (record.energy_pj_per_op, ".3f"),
        (record.gops, ".4g"),
        (record.gops_per_mm2, ".4g"),
        (record.gops_per_w, ".4g"),
    ]
    return [
        *("-" if value is None else format(value, style) for value, style in figures),
        "booth" if record.booth else "plain",
        record.adders,
    ]


def show(measurement: Measurement) -> None:
    """Print a measurement for people."""
    first = measurement.records[0]
    print_table(COLUMNS, [row(record) for record in measurement.records], first.design)
    print()
    facts: list[list[object]] = [
        ["library", first.library],
        ["timer", first.timer],
        ["activity", first.activity or "not measured"],
        ["synthesis", ("flat" if first.flat else "hierarchical") + ", quick" * first.quick],
        ["flip-flops", first.flip_flops],
        ["memory bits, in no figure above", first.memory_bits],
        ["netlist of the first target", measurement.netlists[0]],
    ]
    if first.macs_per_cycle is not None:
        facts.append(["MACs a cycle", f"{first.macs_per_cycle:.2f} ({first.measured_on})"])
    facts += [
        [proof.subject, f"{proof.result} ({proof.method}, {proof.seconds:.1f} s)"]
        for proof in measurement.proofs
    ]
    if measurement.gates:
        facts.append(["netlist in the bench", measurement.gates])
    print_table(None, facts)
    print()
    modules = [
        [m.module, m.instances, f"{m.area_um2:.0f}", f"{m.area_um2 / first.area_um2:.1%}"]
        for m in measurement.modules
        if first.area_um2
    ]
    print_table(["module", "instances", "um2 of all", "share"], modules, "own cells, first target")
    print()
    steps = [[s.cell, s.instance, s.net, f"{s.arrival_ns:.3f}"] for s in measurement.path]
    title = f"critical path at {first.min_period_ns} ns, first target"
    print_table(["cell", "instance", "net", "arrival ns"], steps, title)
