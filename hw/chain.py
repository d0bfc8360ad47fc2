# amaranth: UnusedElaboratable=no
"""A chain: the same unit a number of times, side by side.

Rows of cells and stacks of rows are chains. Each port of the unit is linked in one of a few ways,
and the links say everything about the structure.
"""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import enum
from amaranth.lib.wiring import In, Out

from pe.share import Collector, Port, SharedModule, share
from pe.unit import StructuralUnit, Unit


class Link(enum.Enum):
    """How a port of the repeated unit is connected.

    BROADCAST: one signal drives the input of all.
    LANE: unit ``i`` has lane ``i`` of a wide port, unit 0 in the low bits.
    FORWARD, BACKWARD: ``i_x`` and ``o_x`` pass a value from each unit to the next, or to the one
    before; the chain has the ``i_x`` of the unit at the start and the ``o_x`` of the one at the
    end. FORWARD_CLOSED, BACKWARD_CLOSED: the same without that ``o_x``.
    LAST: the output of the last unit; the others are not used.
    """

    BROADCAST = 0
    LANE = 1
    FORWARD = 2
    FORWARD_CLOSED = 3
    BACKWARD = 4
    BACKWARD_CLOSED = 5
    LAST = 6

    @property
    def passes(self) -> bool:
        """The link joins an input of one unit to an output of its neighbour."""
        return self in (
            Link.FORWARD,
            Link.FORWARD_CLOSED,
            Link.BACKWARD,
            Link.BACKWARD_CLOSED,
        )

    @property
    def backward(self) -> bool:
        return self in (Link.BACKWARD, Link.BACKWARD_CLOSED)

    @property
    def closed(self) -> bool:
        return self in (Link.FORWARD_CLOSED, Link.BACKWARD_CLOSED)


@dataclass(frozen=True)
class ChainConfig:
    """What is repeated, how often, and how it is linked.

    Attributes
    ----------
    name
        Name of the module.
    summary
        What it is, in one line.
    instance
        Name of the unit within it.
    links
        Pairs of a port name and its `Link`; for a passing link the name without ``i_``, ``o_``.
    """

    name: str
    summary: str
    instance: str
    unit_class: type[Unit]
    unit_config: Any
    count: int
    links: tuple[tuple[str, Link], ...]


class Chain(StructuralUnit):
    """The unit of a `ChainConfig`, `count` times."""

    config: ChainConfig

    def __init__(self, config: ChainConfig) -> None:
        unit = config.unit_class(config.unit_config)
        members: dict[str, Any] = {}
        for name, link in config.links:
            if link.passes:
                shape = getattr(unit, f"i_{name}").shape()
                members[f"i_{name}"] = In(shape)
                if not link.closed:
                    members[f"o_{name}"] = Out(shape)
                continue
            shape = getattr(unit, name).shape()
            width = config.count * shape.width if link is Link.LANE else shape
            members[name] = (
                In(width) if name.startswith("i_") or link is Link.BROADCAST else Out(width)
            )
        super().__init__(config, members)

    @property
    def summary(self) -> str:
        return self.config.summary

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.config.count
        connections: list[dict[str, Any]] = [{} for _ in range(count)]
        for name, link in self.config.links:
            if link.passes:
                entry = getattr(self, f"i_{name}")
                outputs = [Signal(entry.shape(), name=f"{name}_{i}") for i in range(count)]
                order = range(count)[:: -1 if link.backward else 1]
                for i in order:
                    connections[i] |= {f"i_{name}": entry, f"o_{name}": outputs[i]}
                    entry = outputs[i]
                if not link.closed:
                    m.d.comb += getattr(self, f"o_{name}").eq(entry)
                continue
            port = getattr(self, name)
            if link is Link.BROADCAST:
                parts = [port] * count
            elif link is Link.LANE:
                width = len(port) // count
                parts = [port[i * width : (i + 1) * width] for i in range(count)]
            else:
                parts = [Signal(port.shape(), name=f"{name}_{i}") for i in range(count)]
                m.d.comb += port.eq(parts[-1])
            for i, part in enumerate(parts):
                connections[i][name] = part
        for i in range(count):
            share(
                m,
                platform,
                f"{self.config.instance}_{i}",
                self.config.unit_class,
                self.config.unit_config,
                **connections[i],
            )
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return self._unit(collector, count=0).clocks

    def verilog_body(self, collector: Collector) -> str:
        module = self._unit(collector, self.config.count)
        widths = {port.name: port for port in module.ports}
        before: list[str] = []
        pins = [f".{clock}({clock})" for clock in module.clocks]
        after: list[str] = []
        unused: list[str] = []
        for name, link in self.config.links:
            if link.passes:
                self._pass(name, link, widths[f"i_{name}"].width, before, pins, after, unused)
            elif link is Link.BROADCAST:
                pins.append(f".{name}({name})")
            elif link is Link.LANE:
                pins.append(f".{name}({name}{_lane('i', widths[name].width)})")
            else:
                self._take_last(name, widths[name], before, pins, after, unused)
        if unused:
            after.append(f"wire unused = &{{1'b0, {', '.join(unused)}}};")
        lines = [
            *before,
            "genvar i;",
            "generate",
            f"  for (i = 0; i < {self.config.count}; i = i + 1) begin : {self.config.instance}",
            f"    {module.name} unit (",
            *(f"      {pin}{',' if pin is not pins[-1] else ''}" for pin in pins),
            "    );",
            "  end",
            "endgenerate",
            *after,
        ]
        return "".join(f"  {line}\n" for line in lines)

    def _unit(self, collector: Collector, count: int) -> SharedModule:
        return collector.collect(self.config.unit_class, self.config.unit_config, count)

    def _pass(
        self,
        name: str,
        link: Link,
        width: int,
        before: list[str],
        pins: list[str],
        after: list[str],
        unused: list[str],
    ) -> None:
        """Link neighbours through a bus with one lane more than there are units."""
        count = self.config.count
        start, end = (count, 0) if link.backward else (0, count)
        source, target = ("i + 1", "i") if link.backward else ("i", "i + 1")
        before += [
            f"wire [{width * (count + 1) - 1}:0] {name};",
            f"assign {name}{_range(start, width)} = i_{name};",
        ]
        pins += [
            f".i_{name}({name}{_lane(source, width)})",
            f".o_{name}({name}{_lane(target, width)})",
        ]
        if link.closed:
            unused.append(f"{name}{_range(end, width)}")
        else:
            after.append(f"assign o_{name} = {name}{_range(end, width)};")

    def _take_last(
        self,
        name: str,
        port: Port,
        before: list[str],
        pins: list[str],
        after: list[str],
        unused: list[str],
    ) -> None:
        count, width = self.config.count, port.width
        bus = f"{name}_all"
        before.append(f"wire [{width * count - 1}:0] {bus};")
        pins.append(f".{name}({bus}{_lane('i', width)})")
        after.append(f"assign {name} = {bus}{_range(count - 1, width)};")
        if count > 1:
            unused.append(f"{bus}[{width * (count - 1) - 1}:0]")


def _lane(index: str, width: int) -> str:
    scaled = f"({index}) * {width}" if " " in index else f"{index} * {width}"
    return f"[{scaled} +: {width}]"


def _range(lane: int, width: int) -> str:
    return f"[{(lane + 1) * width - 1}:{lane * width}]"
