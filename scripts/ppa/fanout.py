"""Buffer trees on nets that cross module boundaries.

ABC buffers inside one module and does not see what a port drives in other modules. In an array
one control bit reaches every cell; without a tree its delay would be an artefact of the hierarchy.
The clock is ideal and left alone.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hw.yosys import run_yosys
from scripts.ppa.library import Library
from scripts.ppa.timing import CLOCK

FANOUT = 12
"""Most inputs of its own kind that a buffer, or what drives a tree, is given."""

_INSTANCE = re.compile(r"^  (\w+) \S+ \(\n(.*?)^  \);", re.MULTILINE | re.DOTALL)
_CONNECTION = re.compile(r"\.(\w+)\(([^()]*?) ?\)")
_BIT = re.compile(r"\\?([\w.]+)(?: ?\[(\d+)\])?$")

Loads = dict[str, list[float]]
"""Capacitance in fF that each bit of each input port drives."""


def leaf_loads(verilog: str, ports: Mapping[str, tuple[str, int]], library: Library) -> Loads:
    """Return what the input ports of a mapped module without child modules drive."""
    loads = {port: [0.0] * width for port, (kind, width) in ports.items() if kind == "input"}
    for instance in _INSTANCE.finditer(verilog):
        cell = library.cells.get(instance[1])
        if cell is None:
            continue
        for pin, net in _CONNECTION.findall(instance[2]):
            bit = _BIT.match(net)
            if bit and bit[1] in loads and cell.pins[pin].direction == "input":
                loads[bit[1]][int(bit[2] or 0)] += cell.pins[pin].capacitance_ff
    return loads


def buffer_boundaries(
    parents: Mapping[str, str],
    loads: dict[str, Loads],
    ports: Mapping[str, Mapping[str, tuple[str, int]]],
    library: Library,
    folder: Path,
) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """Insert buffer trees into modules that have child modules.

    Parameters
    ----------
    parents
        Verilog of those modules, by name.
    loads
        Of the modules without children; those of the parents are added.
    ports
        Of every module.
    folder
        For intermediate files.

    Returns
    -------
    verilog, buffers
        The parents' new text, and the buffers in each.
    """
    before, after = folder / "parents.v", folder / "parents.json"
    before.write_text("\n".join(parents.values()))
    run_yosys([f'read_verilog "{before}"', f'write_json "{after}"'])
    design = json.loads(after.read_text())
    added: dict[str, Counter[str]] = {}
    for name in _children_first(design["modules"]):
        module = design["modules"][name]
        inserted, loads[name] = _buffer(module, loads, ports, library)
        added[name] = Counter({library.buffers()[0].name: 0}) + Counter(inserted)
    after.write_text(json.dumps(design))
    run_yosys(
        [
            f'read_json "{after}"',
            "opt_clean",
            f'write_verilog -noattr -noexpr -simple-lhs "{before}"',
        ]
    )
    text = re.sub(r"^( *(?:wire|input|output)) signed ", r"\1 ", before.read_text(), flags=re.M)
    modules = re.findall(r"^(module (\S+?) ?\(.*?^endmodule\n)", text, re.MULTILINE | re.DOTALL)
    return {name.removeprefix("\\"): body for body, name in modules}, added


def _children_first(modules: Mapping[str, Any]) -> list[str]:
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for cell in modules[name]["cells"].values():
            if cell["type"] in modules and cell["type"] not in order:
                visit(cell["type"])
        order[name] = None

    for name in modules:
        if name not in order:
            visit(name)
    return list(order)


def _buffer(
    module: dict[str, Any],
    loads: Mapping[str, Loads],
    ports: Mapping[str, Mapping[str, tuple[str, int]]],
    library: Library,
) -> tuple[list[str], Loads]:
    buffers = library.buffers()
    buffer = buffers[min(2, len(buffers) - 1)]
    pin_in, pin_out = buffer.inputs[0], buffer.outputs[0].name
    limit = FANOUT * pin_in.capacitance_ff

    # Of a net: what it drives, each as the list of bits where it stands, the index and the load.
    sinks: dict[int, list[tuple[list[Any], int, float]]] = defaultdict(list)
    crossing: set[int] = set()
    highest = 1
    for cell in module["cells"].values():
        library_cell = library.cells.get(cell["type"])
        for port, bits in cell["connections"].items():
            highest = max([highest, *(bit for bit in bits if isinstance(bit, int))])
            if library_cell is not None:
                pin = library_cell.pins[port]
                drives, driven = pin.direction != "input", [pin.capacitance_ff] * len(bits)
            else:
                drives = ports[cell["type"]][port][0] != "input"
                driven = loads.get(cell["type"], {}).get(port, [0.0] * len(bits))
            if drives:
                continue
            for i, bit in enumerate(bits):
                if isinstance(bit, int):
                    sinks[bit].append((bits, i, driven[i]))
                    if library_cell is None:
                        crossing.add(bit)
    for description in module["ports"].values():
        highest = max([highest, *(bit for bit in description["bits"] if isinstance(bit, int))])
    clock = set(module["ports"].get(CLOCK, {"bits": []})["bits"])

    inserted: list[str] = []
    for net in sorted(crossing - clock):
        level = sinks[net]
        while len(level) > 1 and sum(load for _, _, load in level) > limit:
            groups: list[list[tuple[list[Any], int, float]]] = [[]]
            for sink in sorted(level, key=lambda item: -item[2]):
                if groups[-1] and sum(load for _, _, load in groups[-1]) + sink[2] > limit:
                    groups.append([])
                groups[-1].append(sink)
            above = []
            for group in groups:
                highest += 1
                for bits, i, _ in group:
                    bits[i] = highest
                name = f"fanout_{len(inserted)}"
                connections = {pin_in.name: [net], pin_out: [highest]}
                module["cells"][name] = {
                    "hide_name": 0,
                    "type": buffer.name,
                    "parameters": {},
                    "attributes": {},
                    "port_directions": {pin_in.name: "input", pin_out: "output"},
                    "connections": connections,
                }
                inserted.append(buffer.name)
                above.append((connections[pin_in.name], 0, pin_in.capacitance_ff))
            level = above
        sinks[net] = level
    inputs = {
        port: [sum(load for _, _, load in sinks.get(bit, ())) for bit in description["bits"]]
        for port, description in module["ports"].items()
        if description["direction"] == "input"
    }
    return inserted, inputs
