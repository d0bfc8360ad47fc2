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


def _draw(boxes: Mapping[str, tuple[str, str]], wires: Mapping[Any, int]) -> str:
    from grandalf.graphs import Edge, Graph, Vertex
    from grandalf.layouts import SugiyamaLayout, VertexViewer

    # The layout is drawn from top to bottom; sides are swapped so that data flows to the right.
    vertices = {name: Vertex(name) for name in sorted(boxes)}
    for name, vertex in vertices.items():
        text, kind = boxes[name]
        wide = 34 if kind == "cell" and len(text) < 4 else 14 + 7 * len(text)
        vertex.view = VertexViewer(w=26, h=wide)
    edges = [
        Edge(vertices[start], vertices[end], data=width)
        for (start, end), width in sorted(wires.items())
        if start != end
    ]
    body, offset, right = [], 0.0, 0.0
    for part in Graph(list(vertices.values()), edges).C:
        layout = SugiyamaLayout(part)
        layout.xspace, layout.yspace = 14, 50
        sources = [v for v in part.sV if not v.e_in()] or [next(iter(part.sV))]
        layout.init_all(roots=sources, optimize=True)
        layout.draw(6)
        tops = [v.view.xy[0] - v.view.w / 2 for v in part.sV]
        lefts = [v.view.xy[1] - v.view.h / 2 for v in part.sV]
        down, across = offset - min(tops) + 10, 10 - min(lefts)
        for edge in part.sE:
            (x0, y0, h0), (x1, y1, h1) = (
                (v.view.xy[1] + across, v.view.xy[0] + down, v.view.h) for v in edge.v
            )
            start, end = x0 + h0 / 2, x1 - h1 / 2
            bend = max(30.0, abs(end - start) / 2)
            body.append(
                f'<path d="M{start:.0f} {y0:.0f}C{start + bend:.0f} {y0:.0f} {end - bend:.0f} '
                f'{y1:.0f} {end:.0f} {y1:.0f}" stroke-width="{1 if edge.data == 1 else 2}">'
                f"<title>{edge.data} bits</title></path>"
            )
        for vertex in part.sV:
            text, kind = boxes[vertex.data]
            x, y = vertex.view.xy[1] + across, vertex.view.xy[0] + down
            w, h = vertex.view.h, vertex.view.w
            body.append(
                f'<rect class="{kind}" x="{x - w / 2:.0f}" y="{y - h / 2:.0f}" width="{w:.0f}" '
                f'height="{h:.0f}" rx="3"/><text x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
            )
            right = max(right, x + w / 2)
        offset = down + max(v.view.xy[0] + v.view.w / 2 for v in part.sV)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right + 10:.0f}" '
        f'height="{offset + 10:.0f}"><style>{_STYLE}</style>{"".join(body)}</svg>'
    )
