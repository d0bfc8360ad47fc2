"""What of a netlist timing has to look at: one fan-in cone of each kind of path end.

An array repeats its cells, and a timer takes as long for the hundredth as for the first. Nets are
classed by all that their arrival and transition times depend on: the cell that drives them, the
pins that load them, and the classes of that cell's inputs, back to registers and ports. Path ends
whose inputs are of the same classes have the same slack. Of each such kind one is kept, with the
cells of its fan-in cone and, as mere loads, every other cell that the nets of the cone drive: what
is left times as the whole netlist does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.ppa.flat import GROUND, SUPPLY
from scripts.ppa.liberty import Cell
from scripts.ppa.netlist import Netlist

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

OPEN = -1
"""The net of a pin that is not connected."""


class _Flattened:
    """All cells and nets of a netlist; nets `GROUND` and `SUPPLY` are the constants.

    Attributes
    ----------
    types
        Library cells in use.
    kind
        [cells] index in `types`.
    pins
        [cells, most pins of a cell] net at each pin, in the library's order; `OPEN` for none.
    is_output, is_related
        [types, most pins of a cell] whether a pin is an output, and whether outputs depend on it.
    inputs, outputs
        Nets of the top's ports by name, from the low bit on.
    size
        One more than the highest net.
    """

    def __init__(self, netlist: Netlist) -> None:
        self._modules = netlist.parsed
        library = netlist.library.cells
        used = {
            cell["type"] for module in self._modules.values() for cell in module["cells"].values()
        }
        self.top = netlist.top
        self.types: list[Cell] = [library[name] for name in sorted(used & set(library))]
        index = {cell.name: i for i, cell in enumerate(self.types)}
        most = max((len(cell.pins) for cell in self.types), default=0)
        self.is_output = np.zeros((len(self.types), most), np.bool_)
        self.is_related = np.zeros((len(self.types), most), np.bool_)
        for i, cell in enumerate(self.types):
            related = {arc.related_pin for pin in cell.outputs for arc in pin.arcs}
            for j, pin in enumerate(cell.pins.values()):
                self.is_output[i, j] = pin.direction == "output"
                # The state of all inputs chooses among the arcs of a cell without a register.
                self.is_related[i, j] = not self.is_output[i, j] and (
                    pin.name in related or not cell.sequential
                )
        ports_of = {name: module["ports"] for name, module in self._modules.items()}
        self._local = {
            name: _Module(module, self.types, index, most, ports_of)
            for name, module in self._modules.items()
        }
        self._instances: list[tuple[str, str, Integers]] = []
        self.size = 2
        self._alias: dict[int, int] = {}
        self._place(netlist.top, "", [])
        kinds, pins = [np.zeros(0, np.int64)], [np.zeros((0, most), np.int64)]
        for _, module, nets in self._instances:
            kinds.append(self._local[module].kind)
            pins.append(nets[self._local[module].pins])
        self.kind = np.concatenate(kinds)
        canonical = np.append(np.arange(self.size), OPEN)
        for net in self._alias:
            canonical[net] = self._find(net)
        self.pins = canonical[np.concatenate(pins)]
        self._first = np.cumsum([0, *(len(part) for part in kinds[1:])])
        ports = self._modules[netlist.top]["ports"]
        nets = self._instances[0][2]
        of = {name: canonical[nets[_bits(port["bits"])]] for name, port in ports.items()}
        self.inputs = {n: bits for n, bits in of.items() if ports[n]["direction"] == "input"}
        self.outputs = {n: bits for n, bits in of.items() if ports[n]["direction"] == "output"}

    def _place(self, module: str, path: str, bound: Sequence[tuple[int, int]]) -> None:
        """Number the nets of an instance; those of its ports are `bound` to nets around it."""
        local = self._local[module]
        nets = np.arange(self.size, self.size + local.size + 1)
        self.size += local.size
        for inner, outer in bound:
            nets[inner] = outer
        nets[[GROUND, SUPPLY, OPEN]] = GROUND, SUPPLY, OPEN
        for inner, outer in bound:
            # A port that is a constant or another port inside joins two nets of the outside.
            self._join(int(nets[inner]), outer)
        self._instances.append((path, module, nets))
        for name, child, inner_bits, outer_bits in local.children:
            pairs = zip(inner_bits.tolist(), nets[outer_bits].tolist(), strict=True)
            inside = [(inner, outer) for inner, outer in pairs if outer != OPEN]
            self._place(child, f"{path}{name}/", inside)

    def _join(self, one: int, other: int) -> None:
        one, other = self._find(one), self._find(other)
        if one != other:
            self._alias[max(one, other)] = min(one, other)

    def _find(self, net: int) -> int:
        while net in self._alias:
            net = self._alias[net]
        return net

    def cell_name(self, cell: int) -> str:
        """Return the name of a cell, ``/`` between levels."""
        path, module, _, place = self._where(cell)
        return path + self._local[module].names[place]

    def net_name(self, cell: int, pin: int) -> str:
        """Return the name, beside a cell, of the net at one of its pins."""
        path, module, _, place = self._where(cell)
        return path + self._local[module].net_names.get(
            int(self._local[module].pins[place, pin]), ""
        )

    def _where(self, cell: int) -> tuple[str, str, Integers, int]:
        instance = int(np.searchsorted(self._first, cell, "right")) - 1
        return *self._instances[instance], cell - int(self._first[instance])


class _Module:
    """One module by itself: `kind`, `pins` and names of its own cells, and its children.

    Attributes
    ----------
    children
        Name, module, and bit by bit of the ports the nets inside and around.
    size
        One more than the highest net.
    net_names
        By net.
    """

    def __init__(
        self,
        module: Mapping[str, Any],
        types: Sequence[Cell],
        index: Mapping[str, int],
        most: int,
        ports: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.names: list[str] = []
        kinds, rows = [], []
        self.children: list[tuple[str, str, Integers, Integers]] = []
        for name, cell in module["cells"].items():
            connections = cell["connections"]
            if cell["type"] in index:
                kind = index[cell["type"]]
                row = [_bits(connections.get(pin, []))[:1] for pin in types[kind].pins]
                rows.append([bits[0] if len(bits) else OPEN for bits in row])
                rows[-1] += [OPEN] * (most - len(row))
                kinds.append(kind)
                self.names.append(name)
            else:
                inside = ports[cell["type"]]
                # An unconnected port has no bits around.
                outer = [_bits(bits) for bits in connections.values()]
                inner = [_bits(inside[p]["bits"][: len(connections[p])]) for p in connections]
                self.children.append(
                    (name, cell["type"], np.concatenate(inner), np.concatenate(outer))
                )
        self.kind = np.array(kinds, np.int64)
        self.pins = np.array(rows, np.int64).reshape(len(rows), most)
        self.net_names: dict[int, str] = {}
        for name, net in module["netnames"].items():
            for i, bit in enumerate(net["bits"]):
                text = name if len(net["bits"]) == 1 else f"{name}[{i}]"
                if isinstance(bit, int) and not (net["hide_name"] and bit in self.net_names):
                    self.net_names[bit] = text
        self.size = 2 + max(self.net_names, default=0)


def _bits(bits: Sequence[int | str]) -> Integers:
    constants = {"0": GROUND, "1": SUPPLY}
    return np.array([b if isinstance(b, int) else constants.get(b, OPEN) for b in bits], np.int64)


def _mixed(*parts: Hashes) -> Hashes:
    """Return a hash of each place of some arrays; their order matters."""
    state = np.zeros_like(parts[0])
    for part in parts:
        # The finaliser of splitmix64.
        state = (state * np.uint64(0x9E3779B97F4A7C15)) + part
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def _hashes(numbers: Integers, what: int) -> Hashes:
    """Return a hash of each of some numbers, another one for each of `what` they stand for."""
    found = numbers.astype(np.uint64)
    return _mixed(np.full_like(found, what), found)


_LOAD, _PORT, _DRIVER, _INPUT, _OPEN, _IDEAL, _END = range(1, 8)


@dataclass(frozen=True)
class _Classes:
    """Classes of nets, and who drives and reads them.

    Attributes
    ----------
    of_nets
        [nets] a hash of all that a net's arrival and transition depend on.
    driver
        [nets] the cell that drives it, or -1.
    sinks
        Place of each input pin in the flattened pins, sorted by net.
    first
        [nets + 1] of each net the first of its sinks.
    """

    of_nets: Hashes
    driver: Integers
    sinks: Integers
    first: Integers

    def reading(self, nets: Integers) -> Integers:
        """Return the place in the flattened pins of all input pins on some nets."""
        counts = self.first[nets + 1] - self.first[nets]
        begins = np.repeat(self.first[nets] - (np.cumsum(counts) - counts), counts)
        return self.sinks[begins + np.arange(len(begins))]


def _classes(design: _Flattened, clock: str) -> _Classes:
    """Class all nets."""
    most = design.pins.shape[1]
    flat = design.pins.ravel()
    is_output = design.is_output[design.kind].ravel()
    connected = flat != OPEN
    cell_of = np.repeat(np.arange(len(design.kind)), most)
    pin_of = (design.kind[:, None] * most + np.arange(most)).ravel()
    driver = np.full(design.size, -1)
    driver[flat[is_output & connected]] = cell_of[is_output & connected]
    places = np.flatnonzero(~is_output & connected)
    sinks = places[np.argsort(flat[places], kind="stable")]
    first = np.searchsorted(flat[sinks], np.arange(design.size + 1))
    # What loads a net: pins of cells, whatever the order, and ports of the design.
    loads = np.zeros(design.size, np.uint64)
    np.add.at(loads, flat[sinks], _hashes(pin_of[sinks], _LOAD))
    for bits in design.outputs.values():
        np.add.at(loads, bits, _hashes(np.zeros_like(bits), _PORT))
    classes = _mixed(_hashes(np.zeros(design.size, np.int64), _OPEN), loads)
    for bits in design.inputs.values():
        classes[bits] = _mixed(_hashes(np.zeros_like(bits), _INPUT), loads[bits])
    for bits in (design.inputs.get(clock, np.zeros(0, np.int64)), np.array([GROUND, SUPPLY])):
        # An ideal clock does not depend on its load.
        classes[bits] = _hashes(bits, _IDEAL)
    found = _Classes(classes, driver, sinks, first)

    def settle(cells: Integers) -> Integers:
        """Class the nets that some cells drive, and return them."""
        kinds = design.kind[cells]
        connected = design.is_related[kinds] & (design.pins[cells] != OPEN)
        seen = np.where(connected, classes[design.pins[cells]], np.uint64(0))
        inputs = _mixed(*seen.T) if most else np.zeros(0, np.uint64)
        rows, columns = np.nonzero(design.is_output[kinds] & (design.pins[cells] != OPEN))
        nets = design.pins[cells[rows], columns]
        own = _hashes(kinds[rows] * most + columns, _DRIVER)
        classes[nets] = _mixed(own, inputs[rows], loads[nets])
        return nets

    needed = ~is_output & connected & design.is_related[design.kind].ravel()
    needed &= driver[flat] >= 0
    waiting = np.bincount(cell_of[needed], minlength=len(design.kind))
    ready = np.flatnonzero(waiting == 0)
    done = 0
    while len(ready):
        done += len(ready)
        read = found.reading(settle(ready))
        read = cell_of[read[needed[read]]]
        np.subtract.at(waiting, read, 1)
        ready = np.unique(read[waiting[read] == 0])
    if done < len(design.kind):
        loop = design.cell_name(int(np.flatnonzero(waiting > 0)[0]))
        raise ValueError(f"netlist: {loop} of {design.top} is in or behind a combinational loop")
    return found


def _kept(design: _Flattened, classes: _Classes, clock: str) -> tuple[Mask, Mask]:
    """Return which cells and which nets are kept: cones, and cells that load them."""
    most = design.pins.shape[1]
    clocks = design.inputs.get(clock, np.zeros(0, np.int64))
    sequential = np.array([bool(cell.sequential) for cell in design.types], np.bool_)[design.kind]
    inputs = ~design.is_output[design.kind] & (design.pins != OPEN)
    # A gate that the clock goes through is where paths end, too.
    ends = np.flatnonzero(sequential | (inputs & np.isin(design.pins, clocks)).any(axis=1))
    seen = np.where(inputs[ends], classes.of_nets[design.pins[ends]], np.uint64(0))
    kind = _hashes(design.kind[ends], _END)
    _, chosen = np.unique(_mixed(kind, *seen.T), return_index=True)
    nets = np.zeros(design.size, np.bool_)
    nets[design.pins[ends[chosen]][inputs[ends[chosen]]]] = True
    if design.outputs:
        ports = np.concatenate(list(design.outputs.values()))
        _, first = np.unique(classes.of_nets[ports], return_index=True)
        nets[ports[first]] = True
    cone = np.zeros(len(design.kind), np.bool_)
    new = np.flatnonzero(nets)
    while len(new):
        cells = classes.driver[new]
        cells = np.unique(cells[cells >= 0])
        cells = cells[~cone[cells]]
        cone[cells] = True
        related = design.is_related[design.kind[cells]] & (design.pins[cells] != OPEN)
        new = np.unique(design.pins[cells][related])
        new = new[~nets[new]]
        nets[new] = True
    loaded = nets.copy()
    loaded[[GROUND, SUPPLY]] = False
    loaded[clocks] = False
    kept = cone.copy()
    kept[classes.reading(np.flatnonzero(loaded)) // most] = True
    return kept, nets


class Cones:
    """A part of a netlist that times as the whole does.

    Parameters
    ----------
    netlist
        The whole.
    clock
        Name of the port that is an ideal clock.

    Attributes
    ----------
    verilog
        One module of the same name as the netlist's top: cell 7 is ``u7``, net 5 ``n5``.

    Raises
    ------
    ValueError
        When combinational cells form a loop.
    """

    def __init__(self, netlist: Netlist, clock: str) -> None:
        self._design = _Flattened(netlist)
        self._classes = _classes(self._design, clock)
        kept, nets = _kept(self._design, self._classes, clock)
        self.verilog = self._written(kept, nets, clock)

    def _written(self, kept: Mask, nets: Mask, clock: str) -> str:
        design = self._design
        names = {GROUND: "1'b0", SUPPLY: "1'b1"}
        names |= {int(net): f"n{net}" for net in np.flatnonzero(nets) if net > SUPPLY}
        names |= dict.fromkeys(design.inputs.get(clock, np.zeros(0, np.int64)).tolist(), clock)
        inputs = [int(net) for bits in design.inputs.values() for net in bits if nets[net]]
        outputs = [int(net) for bits in design.outputs.values() for net in bits if nets[net]]
        outputs = self._outputs = [net for net in outputs if net > SUPPLY]
        ports = [*(names[net] for net in inputs), *(f"o{i}" for i in range(len(outputs)))]
        lines = [f"module {design.top} ({', '.join(ports)});"]
        lines += [f"  input {names[net]};" for net in inputs]
        lines += [f"  output o{i};\n  assign o{i} = {names[n]};" for i, n in enumerate(outputs)]
        for cell in np.flatnonzero(kept).tolist():
            kind = design.types[design.kind[cell]]
            pins = [
                f".{pin}({names[net]})"
                for pin, net in zip(kind.pins, design.pins[cell].tolist(), strict=False)
                if net in names
            ]
            lines.append(f"  {kind.name} u{cell} ({', '.join(pins)});")
        return "\n".join([*lines, "endmodule", ""])

    def cell_name(self, name: str) -> str:
        """Return the name in the netlist, ``/`` between levels, of a cell of `verilog`."""
        return self._design.cell_name(int(name[1:]))

    def net_name(self, name: str) -> str:
        """Return the name in the netlist, as its driver's module has it, of a net of `verilog`.

        One without a driver keeps its name.
        """
        net = self._outputs[int(name[1:])] if name.startswith("o") else int(name[1:])
        driver = int(self._classes.driver[net])
        if driver < 0:
            return name
        pin = int(np.flatnonzero(self._design.pins[driver] == net)[0])
        return self._design.net_name(driver, pin)
