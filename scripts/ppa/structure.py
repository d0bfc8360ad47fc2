"""Modules of a design as synthesis sees them: logic apart from structure and memories."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw.emit import Emission
from hw.yosys import run_yosys
from scripts.ppa.memories import PREFIX

LARGEST_FLAT = 256
"""Most instances of modules with registers that flat synthesis takes on, as in 16 x 16 cells."""

_REGISTERS = ("$dff", "$sdff", "$adff", "$aldff", "$dlatch", "$sr", "$ff")
_MULTIPLY = ("$mul", "$macc")
_ADD = ("$add", "$sub", "$alu", "$lt", "$le", "$gt", "$ge", "$neg", *_MULTIPLY)


@dataclass(frozen=True)
class Structure:
    """An elaborated design: word-level logic in modules that are each mapped once.

    Attributes
    ----------
    top
        Name of the top module.
    rtlil
        The design, memories as black boxes. Modules without state are part of their parents, so
        that no path through logic alone crosses into one.
    logic
        Names of the modules with cells of their own, deterministic order.
    structural
        Names of the modules that only connect others.
    counts
        Instances in the design, by module, memories included.
    ports
        Direction (``input`` or ``output``) and width in bits by port, by module, memories included.
    memory_bits
        Bits of all memories.
    multiplies, adds
        Names of the logic modules with multipliers, and with adders, comparators or multipliers.
    heaps
        Names of the other logic modules with XORs, where compressor trees may be written as gates.
    """

    top: str
    rtlil: Path
    logic: list[str]
    structural: list[str]
    counts: dict[str, int]
    ports: dict[str, dict[str, tuple[str, int]]]
    memory_bits: int
    multiplies: frozenset[str]
    adds: frozenset[str]
    heaps: frozenset[str]


def elaborate(emission: Emission, flat: bool, folder: Path) -> Structure:
    """Read a design's Verilog and sort its modules.

    Parameters
    ----------
    flat
        One module for all but the memories.
    folder
        Takes ``design.v``, ``design.il``.

    Raises
    ------
    ValueError
        When the design is too large to be flat, or has nothing to map.
    """
    source, rtlil, netlist = (folder / f"design.{suffix}" for suffix in ("v", "il", "json"))
    source.write_text(emission.verilog)
    report = folder / "statistics.json"
    run_yosys(
        [
            f'read_verilog -sv "{source}"',
            f"hierarchy -check -top {emission.name}",
            "proc",
            f'tee -q -o "{report}" stat -json',
            f'write_rtlil "{rtlil}"',
        ]
    )
    modules = _modules(report)
    memories = {name for name, module in modules.items() if module.get("num_memory_bits", 0)}
    memories &= {name for name in modules if name.startswith(PREFIX)}
    stateful = _stateful(modules, memories)
    counts = _counts(emission.name, modules)
    if flat:
        kept = {emission.name}
        leaves = sum(counts[name] for name in stateful if _own(modules[name], modules))
        if leaves > LARGEST_FLAT:
            raise ValueError(
                f"flat: {emission.name} has {leaves} instances of modules with registers; flat "
                f"synthesis takes at most {LARGEST_FLAT}"
            )
    else:
        kept = stateful | {emission.name}
    bits = sum(modules[name]["num_memory_bits"] * counts.get(name, 0) for name in memories)

    hidden = [f"blackbox {name}" for name in sorted(memories)]
    keep = [f"setattr -mod -set keep_hierarchy 1 {name}" for name in sorted(kept - memories)]
    run_yosys(
        [
            f'read_rtlil "{rtlil}"',
            *hidden,
            *keep,
            "flatten -noscopeinfo",
            f"hierarchy -top {emission.name}",
            "opt_expr",
            "opt_clean",
            "opt",
            "wreduce",
            "peepopt",
            "opt_clean",
            f'tee -q -o "{report}" stat -json',
            f'write_rtlil "{rtlil}"',
            f'write_json "{netlist}"',
        ]
    )
    modules = {name: m for name, m in _modules(report).items() if name not in memories}
    children = set(modules) | memories
    logic = [name for name, module in modules.items() if _own(module, children)]

    if not logic:
        raise ValueError(f"design: {emission.name} has only wires, and no logic to map to cells")

    def holding(kinds: tuple[str, ...]) -> frozenset[str]:
        own = {name: _own(modules[name], children) for name in logic}
        return frozenset(n for n, cells in own.items() if any(c.startswith(kinds) for c in cells))

    return Structure(
        top=emission.name,
        rtlil=rtlil,
        logic=sorted(logic),
        structural=sorted(set(modules) - set(logic)),
        counts=_counts(emission.name, modules),
        ports={
            name: {
                port: (description["direction"], len(description["bits"]))
                for port, description in module["ports"].items()
            }
            for name, module in json.loads(netlist.read_text())["modules"].items()
        },
        memory_bits=bits,
        multiplies=holding(_MULTIPLY),
        adds=holding(_ADD),
        heaps=holding(("$xor",)) - holding(_ADD),
    )


def check_flat(emission: Emission) -> None:
    """Refuse a design that is too large to be flat.

    Raises
    ------
    ValueError
        Saying how large it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        elaborate(emission, True, Path(folder))


def _modules(report: Path) -> dict[str, dict[str, Any]]:
    modules = json.loads(report.read_text())["modules"]
    return {name.removeprefix("\\"): module for name, module in modules.items()}


def _own(module: dict[str, Any], modules: Any) -> list[str]:
    cells = module["num_cells_by_type"]
    return [cell for cell in cells if cell.removeprefix("\\") not in modules]


def _stateful(modules: dict[str, dict[str, Any]], memories: set[str]) -> set[str]:
    """Return the modules with a register or a memory in them or below them."""
    found = set(memories)
    grown = True
    while grown:
        grown = False
        for name, module in modules.items():
            cells = [cell.removeprefix("\\") for cell in module["num_cells_by_type"]]
            if name not in found and any(c in found or c.startswith(_REGISTERS) for c in cells):
                found.add(name)
                grown = True
    return found


def _counts(top: str, modules: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how many instances of each module the design has."""
    counts: dict[str, int] = {}

    def add(name: str, number: int) -> None:
        counts[name] = counts.get(name, 0) + number
        for cell, each in modules.get(name, {}).get("num_cells_by_type", {}).items():
            child = cell.removeprefix("\\")
            if child in modules or child.startswith(PREFIX):
                add(child, number * each)

    add(top, 1)
    return counts
