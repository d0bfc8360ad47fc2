"""A schematic of one module as SVG: word-level cells and child modules, and what connects them."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from hw.emit import Emission
from hw.yosys import run_yosys

# What Yosys calls a cell, and what a schematic does.
_SYMBOLS = {
    "$add": "+",
    "$sub": "-",
    "$mul": "*",
    "$neg": "-",
    "$and": "and",
    "$logic_and": "and",
    "$or": "or",
    "$logic_or": "or",
    "$xor": "xor",
    "$not": "not",
    "$logic_not": "not",
    "$mux": "mux",
    "$pmux": "mux",
    "$eq": "=",
    "$ne": "!=",
    "$lt": "<",
    "$le": "<=",
    "$gt": ">",
    "$ge": ">=",
    "$reduce_or": "any",
    "$reduce_bool": "any",
    "$reduce_and": "all",
}
_ROW, _GAP = 40, 60
_SWEEPS = 8
_CLOCKS = ("clk", "rst")
_STYLE = (
    "text{font:11px sans-serif;text-anchor:middle;dominant-baseline:central}"
    "rect{fill:#fff;stroke:#333}rect.port{fill:#eef}rect.register{fill:#fed}rect.module{fill:#efe}"
    "path{fill:none;stroke:#789}"
)


def schematic(emission: Emission) -> str:
    """Draw the top module of an emission; clock and reset are left out."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "design.v"), Path(folder, "design.json")
        source.write_text(emission.verilog)
        run_yosys(
            [
                f'read_verilog -sv "{source}"',
                f"hierarchy -check -top {emission.name}",
                "proc",
                "opt_expr",
                "opt_clean",
                "opt_dff",
                "wreduce",
                "opt_clean",
                f'write_json "{target}"',
            ]
        )
        module = json.loads(target.read_text())["modules"][emission.name]
    boxes, wires = _graph(module)
    return _draw(boxes, wires)


def _graph(module: Mapping[str, Any]) -> tuple[dict[str, tuple[str, str]], dict[Any, int]]:
    """Return (text, kind) by box, and the width in bits of each (from, to)."""
    boxes: dict[str, tuple[str, str]] = {}
    drivers: dict[int, str] = {}
    readers: dict[int, set[str]] = defaultdict(set)
    for name, port in module["ports"].items():
        if name in _CLOCKS:
            continue
        boxes[f"port {name}"] = (name, "port")
        for bit in port["bits"]:
            if port["direction"] == "input":
                drivers[bit] = f"port {name}"
            else:
                readers[bit].add(f"port {name}")
    for name, cell in module["cells"].items():
        kind = cell["type"]
        if "dff" in kind:
            q = cell["connections"]["Q"]
            named = [n for n, net in module["netnames"].items() if net["bits"] == q]
            boxes[name] = (min(named, key=len) if named else "register", "register")
        elif kind.startswith("$"):
            boxes[name] = (_SYMBOLS.get(kind, kind.strip("$")), "cell")
        else:
            boxes[name] = (name, "module")
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "output":
                drivers |= dict.fromkeys((b for b in bits if isinstance(b, int)), name)
            elif pin.lower() not in (*_CLOCKS, "srst"):
                for bit in bits:
                    readers[bit].add(name)
    wires: dict[Any, int] = defaultdict(int)
    for bit, names in readers.items():
        for name in names:
            if bit in drivers:
                wires[drivers[bit], name] += 1
    return boxes, wires


def _ranks(boxes: Mapping[str, tuple[str, str]], wires: Mapping[Any, int]) -> dict[str, int]:
    """Return the column of each box: one right of what drives it, loops through registers aside."""
    drivers: dict[str, list[str]] = defaultdict(list)
    for start, end in sorted(wires):
        drivers[end].append(start)
    ranks: dict[str, int] = {}

    def rank(name: str, below: frozenset[str]) -> int:
        if name not in ranks:
            inside = below | {name}
            found = [rank(driver, inside) for driver in drivers[name] if driver not in inside]
            ranks[name] = 1 + max(found, default=-1)
        return ranks[name]

    for name in boxes:
        rank(name, frozenset())
    return ranks


def _columns(ranks: Mapping[str, int], wires: Mapping[Any, int]) -> list[list[str]]:
    """Return the boxes of each column, ordered so that few wires cross (barycentre method)."""
    columns: list[list[str]] = [[] for _ in range(1 + max(ranks.values()))]
    for name, rank in ranks.items():
        columns[rank].append(name)
    neighbours: dict[str, list[str]] = defaultdict(list)
    for start, end in wires:
        neighbours[start].append(end)
        neighbours[end].append(start)
    for _ in range(_SWEEPS):
        place = {name: i - len(c) / 2 for c in columns for i, name in enumerate(c)}
        for column in columns:
            middle = {
                name: sum(place[n] for n in neighbours[name]) / max(1, len(neighbours[name]))
                for name in column
            }
            column.sort(key=lambda name: (middle[name], name))
            place |= {name: i - len(column) / 2 for i, name in enumerate(column)}
    return columns


def _draw(boxes: Mapping[str, tuple[str, str]], wires: Mapping[Any, int]) -> str:
    columns = _columns(_ranks(boxes, wires), wires)
    height = _ROW * max(map(len, columns))
    centre: dict[str, tuple[float, float, float]] = {}
    left = 10.0
    for column in columns:
        widths = [34.0 if len(boxes[n][0]) < 4 else 14 + 7 * len(boxes[n][0]) for n in column]
        for i, (name, wide) in enumerate(zip(column, widths, strict=True)):
            y = 10 + (height - _ROW * len(column)) / 2 + _ROW * (i + 0.5)
            centre[name] = left + max(widths) / 2, y, wide
        left += max(widths) + _GAP
    body = []
    for (start, end), width in sorted(wires.items()):
        (from_x, y0, from_wide), (to_x, y1, to_wide) = centre[start], centre[end]
        x0, x1 = from_x + from_wide / 2, to_x - to_wide / 2
        bend = max(30.0, abs(x1 - x0) / 2)
        body.append(
            f'<path d="M{x0:.0f} {y0:.0f}C{x0 + bend:.0f} {y0:.0f} {x1 - bend:.0f} {y1:.0f} '
            f'{x1:.0f} {y1:.0f}" stroke-width="{1 if width == 1 else 2}">'
            f"<title>{width} bits</title></path>"
        )
    for name, (middle, y, wide) in centre.items():
        text, kind = boxes[name]
        body.append(
            f'<rect class="{kind}" x="{middle - wide / 2:.0f}" y="{y - 13:.0f}" width="{wide:.0f}" '
            f'height="26" rx="3"/><text x="{middle:.0f}" y="{y:.0f}">{escape(text)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left - _GAP + 10:.0f}" '
        f'height="{height + 20:.0f}"><style>{_STYLE}</style>{"".join(body)}</svg>'
    )
