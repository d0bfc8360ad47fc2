"""Modules of a mapped netlist one by one: cells, and one number a net, for simulation and power."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from scripts.ppa.library import Library
from scripts.ppa.netlist import Netlist

GROUND, SUPPLY = 0, 1
"""Nets that never switch; an unconnected input counts as grounded."""

MODULE = "netlist"
"""Name of the module that `FlatNetlist.to_verilog` writes."""


@dataclass(frozen=True)
class FlatCell:
    """A cell: instance name, library cell, and the net at each signal pin."""

    name: str
    type: str
    pins: dict[str, int]


@dataclass(frozen=True)
class FlatPort:
    """A port and its nets from the low bit on; ``INSTANCE.PORT`` is one of a child module."""

    name: str
    is_input: bool
    nets: list[int]


class PortBit(NamedTuple):
    """One bit of a port, and its net."""

    port: str
    place: int
    net: int


@dataclass(frozen=True)
class FlatNetlist:
    """Cells and nets of one module.

    Its children are cut out: their outputs count as inputs of the module, their inputs as outputs.

    Attributes
    ----------
    module
        Its name.
    library
        Of the cells.
    is_top
        Its outputs leave the design and bear the library's load; those of another module end at
        pins which the modules around it count.
    cells, ports
        What there is. Every output pin of a cell has a net, if only one of its own.
    """

    module: str
    library: Library
    is_top: bool
    cells: list[FlatCell]
    ports: list[FlatPort]

    @cached_property
    def pin_loads_ff(self) -> dict[int, float]:
        """Capacitance in fF of the cell pins on each net. Wires have none: nothing is placed."""
        loads: dict[int, float] = {}
        cells = self.library.cells
        for cell in self.cells:
            for pin in cells[cell.type].inputs:
                net = cell.pins[pin.name]
                loads[net] = loads.get(net, 0.0) + pin.capacitance_ff
        return loads

    @cached_property
    def loads_ff(self) -> dict[int, float]:
        """Capacitance in fF that delays each net: pins, and the library's load at an output."""
        loads = dict(self.pin_loads_ff)
        for net in self.output_nets:
            loads[net] = loads.get(net, 0.0) + 1000 * self.library.load_pf
        return loads

    @cached_property
    def nets(self) -> list[int]:
        """Nets at cells that can switch, in order."""
        return sorted({n for c in self.cells for n in c.pins.values()} - {GROUND, SUPPLY})

    @cached_property
    def driven(self) -> set[int]:
        """Nets that cells drive."""
        cells = self.library.cells
        return {c.pins[pin.name] for c in self.cells for pin in cells[c.type].outputs}

    @cached_property
    def input_bits(self) -> list[PortBit]:
        """Bits of inputs that cells read."""
        read = set(self.nets) - self.driven
        return [bit for bit in self._bits(is_input=True) if bit.net in read]

    @cached_property
    def output_bits(self) -> list[PortBit]:
        """Bits of outputs that cells drive; a net may stand at several."""
        return [bit for bit in self._bits(is_input=False) if bit.net in self.driven]

    @cached_property
    def input_nets(self) -> list[int]:
        """Nets of `input_bits`."""
        return [bit.net for bit in self.input_bits]

    @cached_property
    def output_nets(self) -> list[int]:
        """Nets of `output_bits`, each once."""
        return list(dict.fromkeys(bit.net for bit in self.output_bits))

    def _bits(self, is_input: bool) -> list[PortBit]:
        ports = [port for port in self.ports if port.is_input == is_input]
        return [PortBit(port.name, i, net) for port in ports for i, net in enumerate(port.nets)]

    def to_verilog(self) -> str:
        """Return one module `MODULE`: net 5 is the wire ``n5``, cell 7 the instance ``u7``.

        No vectors and no escaped names, so that every tool spells them alike.
        """
        inputs, outputs = self.input_nets, self.output_nets
        lines = [f"module {MODULE} ({', '.join(f'n{net}' for net in inputs + outputs)});"]
        lines += [f"  input n{net};" for net in inputs]
        lines += [f"  output n{net};" for net in outputs]
        lines += [f"  wire n{net};" for net in self.nets]
        for index, cell in enumerate(self.cells):
            pins = ", ".join(f".{pin}({_net_text(net)})" for pin, net in cell.pins.items())
            lines.append(f"  {cell.type} u{index} ({pins});")
        return "\n".join([*lines, "endmodule", ""])


@dataclass(frozen=True)
class Instances:
    """A module with cells of its own, and the paths of its instances below the top module."""

    flat: FlatNetlist
    paths: list[tuple[str, ...]]


def _net_text(net: int) -> str:
    return f"1'b{net}" if net in (GROUND, SUPPLY) else f"n{net}"


def read_modules(netlist: Netlist) -> list[Instances]:
    """Read the modules of a mapped netlist that have cells of their own.

    Raises
    ------
    ValueError
        When it holds a cell that is neither the library's nor a module of it.
    """
    modules = netlist.parsed
    paths: dict[str, list[tuple[str, ...]]] = {}

    def visit(module: str, path: tuple[str, ...]) -> None:
        paths.setdefault(module, []).append(path)
        for name, cell in modules[module]["cells"].items():
            if cell["type"] in modules:
                visit(cell["type"], (*path, name))

    visit(netlist.top, ())
    found = []
    for module, instances in paths.items():
        flat = _flat(module, modules, netlist)
        if flat.cells:
            found.append(Instances(flat, instances))
    return found


def read_whole(netlist: Netlist) -> list[Instances]:
    """Read a mapped netlist as one module."""
    return [Instances(_flat(netlist.top, netlist.parsed_whole, netlist), [()])]


def _flat(module: str, modules: Mapping[str, Any], netlist: Netlist) -> FlatNetlist:
    description = modules[module]
    library = netlist.library
    cells: list[FlatCell] = []
    ports = [
        FlatPort(name, port["direction"] == "input", _nets(port["bits"]))
        for name, port in description["ports"].items()
    ]
    # The numbers 0 and 1, which Yosys does not give to nets, are the constants.
    unused = 1 + max(n for net in description["netnames"].values() for n in _nets(net["bits"]))
    for name, cell in description["cells"].items():
        kind = cell["type"]
        connections = {pin: _nets(bits) for pin, bits in cell["connections"].items()}
        if kind in modules:
            directions = modules[kind]["ports"]
            ports += [
                FlatPort(f"{name}.{port}", directions[port]["direction"] != "input", nets)
                for port, nets in connections.items()
            ]
            continue
        if kind not in library.cells:
            raise ValueError(f"netlist: {name} of {module} is a {kind}, no cell of {library.name}")
        pins = {}
        for pin in library.cells[kind].pins.values():
            if connections.get(pin.name):
                pins[pin.name] = connections[pin.name][0]
            elif pin.direction == "output":
                pins[pin.name], unused = unused, unused + 1
            else:
                pins[pin.name] = GROUND
        cells.append(FlatCell(name, kind, pins))
    return FlatNetlist(module, library, module == netlist.top, cells, ports)


def _nets(bits: list[int | str]) -> list[int]:
    return [bit if isinstance(bit, int) else int(bit == "1") for bit in bits]
