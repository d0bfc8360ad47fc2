"""Memories as timing sees them: a flip-flop of the library at each bit of each port.

No SRAM macro is known. A memory with registered address, data and output, as FPGAs and SRAM
compilers give it, is as fast as that: what it takes from its surroundings is set up before a clock
edge, what it gives comes after one. Its flip-flops are in no area and no power.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scripts.ppa.library import Library
from scripts.ppa.netlist import Netlist

PREFIX = "memory_"
"""Modules of this name are black boxes in netlists."""

_BOX = re.compile(rf"^module ({PREFIX}\w+)\(.*?^endmodule$", re.MULTILINE | re.DOTALL)

Ports = Mapping[str, tuple[str, int]]
"""Direction (``input`` or ``output``) and width in bits by port."""


def stub(name: str, ports: Ports) -> str:
    """Return an empty Verilog module."""
    return _module(name, ports, [])


def timed_memory(name: str, ports: Ports, library: Library, clock: str) -> str:
    """Return a memory as timing sees it: Verilog of flip-flops, instances ``PORT[BIT]``."""
    cell = library.cells[library.flip_flop]
    clocked = next(pin.name for pin in cell.inputs if pin.clock)
    data = next(pin.name for pin in cell.inputs if not pin.clock)
    output = cell.outputs[0].name
    return _module(
        name,
        ports,
        [
            f"  {cell.name} \\{port}[{bit}] (.{clocked}({clock}), "
            f".{data if kind == 'input' else output}({port}[{bit}]));\n"
            for port, (kind, width) in ports.items()
            if port != clock
            for bit in range(width)
        ],
    )


def timed_netlist(netlist: Netlist, folder: Path, clock: str) -> Netlist:
    """Return a netlist with memories as timing sees them; the file goes into a folder."""
    text = netlist.verilog.read_text()
    if not _BOX.search(text):
        return netlist

    def timed(box: re.Match[str]) -> str:
        ports = netlist.parsed[box[1]]["ports"]
        sizes = {name: (port["direction"], len(port["bits"])) for name, port in ports.items()}
        return timed_memory(box[1], sizes, netlist.library, clock)

    path = folder / netlist.verilog.name
    path.write_text(_BOX.sub(timed, text))
    return replace(netlist, verilog=path)


def _module(name: str, ports: Ports, cells: list[str]) -> str:
    declared = "".join(f"  {kind} [{width - 1}:0] {p};\n" for p, (kind, width) in ports.items())
    return f"module {name}({', '.join(ports)});\n{declared}{''.join(cells)}endmodule\n"
