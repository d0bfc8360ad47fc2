# amaranth: UnusedElaboratable=no
"""Sharing of modules: each distinct unit is elaborated and emitted once, then instantiated.

Amaranth emits a module for every submodule instance. `share` avoids that: while a `Collector` is
the elaboration platform, a unit is converted the first time it is met and each further use is an
`Instance` of its name. On any other platform (Amaranth's simulator) the unit itself is added.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from amaranth.back.rtlil import convert_fragment
from amaranth.hdl import (
    ClockSignal,
    Fragment,
    Instance,
    Module,
    ResetSignal,
    Shape,
    Signal,
    Value,
)
from amaranth.hdl._ir import PortDirection
from amaranth.lib import data
from amaranth.lib.wiring import In

from pe.unit import StructuralUnit, Unit


@dataclass(frozen=True)
class Port:
    """One port of an emitted module; clock and reset are not among them.

    A stream becomes a port for each field of its payload, beside ``valid`` and ``ready``. A port of
    several elements, the first lowest, has their shape.
    """

    name: str
    path: tuple[str | int, ...]
    is_input: bool
    width: int
    signed: bool
    element: Shape | None = None


@dataclass
class SharedModule:
    """A unit that has been converted, and what its instances need to know.

    Attributes
    ----------
    rtlil, body
        What the module consists of: RTLIL, or for a `StructuralUnit` the Verilog between its
        port list and ``endmodule``; the other is empty.
    instances
        How many modules of each name stand directly in it.
    """

    unit: Unit
    ports: list[Port]
    clocks: list[str]
    rtlil: str
    body: str
    instances: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.unit.name


class Collector:
    """Elaboration platform that gathers every distinct unit of a design, children first."""

    def __init__(self) -> None:
        self.modules: dict[str, SharedModule] = {}
        self._by_key: dict[tuple[type[Unit], Any], SharedModule] = {}
        self._parents: list[Counter[str]] = []

    def collect(self, unit_class: type[Unit], config: Any, count: int = 1) -> SharedModule:
        """Convert the unit on its first use, count `count` instances, and return its module.

        Raises
        ------
        ValueError
            When two different units claim the same module name.
        """
        key = (unit_class, config)
        module = self._by_key.get(key)
        if module is None:
            module = self._convert(unit_class(config))
            if module.name in self.modules:
                raise ValueError(f"name: two different units are called {module.name!r}")
            self._by_key[key] = self.modules[module.name] = module
        if self._parents:
            self._parents[-1][module.name] += count
        return module

    def totals(self, top: str) -> Counter[str]:
        """Count how often each module stands in the elaborated design below `top`."""
        totals = Counter({top: 1})
        for module in reversed(self.modules.values()):
            for name, count in module.instances.items():
                totals[name] += count * totals[module.name]
        return totals

    def _convert(self, unit: Unit) -> SharedModule:
        self._parents.append(Counter())
        ports = list(ports_of(unit))
        if isinstance(unit, StructuralUnit):
            text, body = "", unit.verilog_body(self)
            clocks = unit.clocks(self)
        else:
            text, body = _to_rtlil(unit, ports, self), ""
            clocks = [c for c in ("clk", "rst") if f" \\{c}\n" in text]
        return SharedModule(unit, ports, clocks, text, body, self._parents.pop())


def share(
    m: Module, platform: object, name: str, unit_class: type[Unit], config: Any, **connections: Any
) -> None:
    """Place the unit ``unit_class(config)`` in `m` as `name`.

    Parameters
    ----------
    connections
        For each member of the unit's signature, the value or interface at its other end.

    Raises
    ------
    TypeError
        When a member is not connected.
    """
    if isinstance(platform, Collector):
        module = platform.collect(unit_class, config)
        signals = {"clk": ClockSignal(), "rst": ResetSignal()}
        arguments: dict[str, Any] = {f"i_{clock}": signals[clock] for clock in module.clocks}
        for port in module.ports:
            value = _connection(port, connections)
            arguments[f"{'i' if port.is_input else 'o'}_{port.name}"] = value
        # Kept: Yosys would drop an instance none of whose outputs is read, a memory for instance.
        m.submodules[name] = Instance(module.name, a_keep=1, **arguments)
        return
    unit = unit_class(config)
    m.submodules[name] = unit
    for port in ports_of(unit):
        outer, inner = _connection(port, connections), _value(unit, port.path)
        m.d.comb += inner.eq(outer) if port.is_input else outer.eq(inner)


def place(m: Module, platform: object, name: str, unit_class: type[Unit], config: Any) -> Any:
    """Place a unit as `share` does, and return the interface of its ports' other ends."""
    ends = unit_class(config).signature.create(path=(name,))
    connections = {member: getattr(ends, member) for member in ends.signature.members}
    share(m, platform, name, unit_class, config, **connections)
    return ends


def _to_rtlil(unit: Unit, ports: list[Port], collector: Collector) -> str:
    fragment = Fragment.get(unit, collector)
    signals = {}
    for port in ports:
        value = _value(unit, port.path)
        if not isinstance(value, Signal):  # a field of a payload
            outside = Signal(value.shape(), name=port.name)
            statement = value.eq(outside) if port.is_input else outside.eq(value)
            fragment.add_statements("comb", statement)
            value = outside
        direction = PortDirection.Input if port.is_input else PortDirection.Output
        signals[port.name] = (value, direction)
    text: str
    text, _ = convert_fragment(fragment, signals, name=unit.name, emit_src=False)
    # Amaranth repeats each field of a structure as a wire of its own, for waveforms.
    text = re.sub(r"^(  wire|connect) .*?\\\w+\.\S+.*\n", "", text, flags=re.MULTILINE)
    if len(re.findall(r"\\rst\b", text)) == 1:  # declared with the clock domain, but not used
        text = re.sub(r"  wire width 1 input \d+ +\\rst\n", "", text)
    return text


def ports_of(unit: Unit) -> Iterator[Port]:
    """Yield the ports of the module that a unit becomes."""
    for path, member, value in unit.signature.flatten(unit):
        for leaf, leaf_path in _leaves(value, path):
            name = "_".join(str(step) for step in leaf_path if step != "payload")
            shape, element = Value.cast(leaf).shape(), None
            if isinstance(leaf, data.View) and isinstance(leaf.shape(), data.ArrayLayout):
                element = Shape.cast(leaf.shape().elem_shape)
            is_input = member.flow == In
            yield Port(name, leaf_path, is_input, shape.width, bool(shape.signed), element)


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    if isinstance(value, data.View) and isinstance(value.shape(), data.StructLayout):
        for name, _ in value.shape():
            yield from _leaves(value[name], (*path, name))
    else:
        yield value, path


def _value(root: Any, path: tuple[str | int, ...]) -> Value:
    for step in path:
        root = root[step] if isinstance(step, int) else getattr(root, step)
    return Value.cast(root)


def _connection(port: Port, connections: dict[str, Any]) -> Value:
    head = str(port.path[0])
    if head in connections:
        return _value(connections[head], port.path[1:])
    raise TypeError(f"{head}: the port is not connected")
