"""``rtloom emit``: the Verilog of a design, and the JSON that describes it."""

import os
from argparse import Namespace

from hw.emit import emit
from scripts.output import print_json, print_table
from scripts.settings import select
from scripts.status import Status


def run(args: Namespace) -> int:
    """Write ``NAME.v`` and ``NAME.json`` and print where they are."""
    selection = select(args.design, args.settings, args.preset, args.config)
    before = _cpu_seconds()
    emission = emit(selection.design.component, selection.config)
    cpu_seconds = _cpu_seconds() - before
    verilog, description = emission.write(args.output)
    if args.json:
        print_json(
            {
                "design": selection.design.name,
                "name": emission.name,
                "verilog": str(verilog),
                "json": str(description),
                "bytes": verilog.stat().st_size,
                "modules": len(emission.description["instances"]),
                "cpu_seconds": round(cpu_seconds, 3),
            }
        )
        return Status.OK
    modules = len(emission.description["instances"])
    size = f"{verilog.stat().st_size / 1000:.1f} kB, {modules} modules"
    print_table(("file", "what"), [(verilog, f"Verilog, {size}"), (description, "description")])
    return Status.OK


def _cpu_seconds() -> float:
    """CPU time of this process and of its finished children, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
