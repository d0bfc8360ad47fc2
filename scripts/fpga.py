"""``rtloom fpga``: what a design takes of an FPGA, as Yosys maps it; nothing is placed."""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from hw.emit import Emission, emit
from hw.yosys import run_yosys
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.settings import select
from scripts.status import Status


class Family(NamedTuple):
    """How Yosys maps to a family of FPGAs, and what its cells are, by patterns of their names.

    Attributes
    ----------
    command
        Of Yosys; the design is flat, and ports get no pads.
    luts
        Look-up tables that a cell takes, those that serve as memory or shift register included.
    memory_luts
        Patterns of those that do.
    flip_flops, multipliers, block_rams
        One each.
    """

    command: str
    luts: Mapping[str, int]
    memory_luts: tuple[str, ...]
    flip_flops: tuple[str, ...]
    multipliers: tuple[str, ...]
    block_rams: tuple[str, ...]


FAMILIES = {
    "xilinx": Family(
        "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
        {
            "LUT?": 1,
            "INV": 1,
            "SRL*": 1,
            "RAM32X1D": 2,
            "RAM64X1D": 2,
            "RAM128X1D": 4,
            "RAM32M": 4,
            "RAM64M": 4,
        },
        ("SRL*", "RAM32*", "RAM64*", "RAM128*"),
        ("FD?E",),
        ("DSP48E1",),
        ("RAMB18E1", "RAMB36E1"),
    ),
    "ecp5": Family(
        "synth_ecp5 -noiopad",
        {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
        ("TRELLIS_DPR16X4",),
        ("TRELLIS_FF",),
        ("MULT*",),
        ("DP16KD", "PDPW16KD"),
    ),
    "ice40": Family(
        "synth_ice40 -dsp",
        {"SB_LUT4": 1},
        (),
        ("SB_DFF*",),
        ("SB_MAC16",),
        ("SB_RAM40_4K*",),
    ),
}


class Resources(NamedTuple):
    """What a design takes.

    Attributes
    ----------
    luts, memory_luts
        Look-up tables, and which of them are memory or shift registers.
    flip_flops, multipliers, block_rams
        Cells.
    cells
        By name, all that there are.
    """

    luts: int
    memory_luts: int
    flip_flops: int
    multipliers: int
    block_rams: int
    cells: dict[str, int]


def resources(emission: Emission, family: Family) -> Resources:
    """Map a design to a family of FPGAs.

    Raises
    ------
    YosysError
        When a pass fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, found = Path(folder, "design.v"), Path(folder, "cells.json")
        source.write_text(emission.verilog)
        run_yosys(
            [
                f'read_verilog -sv "{source}"',
                f"{family.command} -top {emission.name}",
                f'tee -q -o "{found}" stat -json',
            ]
        )
        cells = Counter(json.loads(found.read_text())["design"]["num_cells_by_type"])
    cells = Counter({name: count for name, count in cells.items() if not name.startswith("$")})

    def count(patterns: Iterable[str]) -> int:
        return sum(n for cell, n in cells.items() if any(fnmatch(cell, p) for p in patterns))

    luts = {pattern: each * count([pattern]) for pattern, each in family.luts.items()}
    return Resources(
        sum(luts.values()),
        sum(
            n for pattern, n in luts.items() if any(fnmatch(pattern, p) for p in family.memory_luts)
        ),
        count(family.flip_flops),
        count(family.multipliers),
        count(family.block_rams),
        dict(sorted(cells.items())),
    )


def run(args: argparse.Namespace) -> int:
    """Map one design and print what it takes."""
    selection = select(args.design, args.settings, args.preset, args.config)
    emission = emit(selection.design.component, selection.config)
    family = FAMILIES[args.family]
    with step(f"mapping {emission.name} to {args.family}"):
        found = resources(emission, family)
    if args.json:
        print_json({"design": emission.name, "family": args.family, **found._asdict()})
        return Status.OK
    print_table(
        ["look-up tables", "of them memory", "flip-flops", "multipliers", "block RAMs"],
        [list(found[:5])],
        emission.name,
    )
    each = {
        cell: next((n for pattern, n in family.luts.items() if fnmatch(cell, pattern)), 0)
        for cell in found.cells
    }
    print_table(
        ["cell", "number", "look-up tables each"],
        [[cell, number, each[cell] or ""] for cell, number in found.cells.items()],
    )
    return Status.OK
