# amaranth: UnusedElaboratable=no
"""What the units of the core for MatMul-free language models share: how they walk over vectors.

A unit starts in the cycle of the issue, reads an element of its vector registers a cycle from the
next on, and writes one a cycle. `done` goes with the last write.
"""

from typing import Any, NamedTuple

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.matmul_free_isa import MatmulFreeConfig
from pe.unit import Unit


class Walk(NamedTuple):
    """A way once through a vector, an element a cycle.

    Attributes
    ----------
    active
        There is an element in this cycle.
    at
        Its index.
    last
        It is the last one.
    """

    active: Value
    at: Value
    last: Value


def walk(m: Module, name: str, start: Value, length: int, last: Value | None = None) -> Walk:
    """Place a counter that is active from the cycle after `start`, to `last` or `length` - 1."""
    w = Walk(
        Signal(name=f"{name}_active"),
        Signal(range(length), name=f"{name}_index", reset_less=True),
        Signal(name=f"{name}_last"),
    )
    m.d.comb += w.last.eq(w.active & (w.at == (length - 1 if last is None else last)))
    with m.If(start):
        m.d.sync += [w.active.eq(1), w.at.eq(0)]
    with m.Elif(w.last):
        m.d.sync += w.active.eq(0)
    with m.Elif(w.active):
        m.d.sync += w.at.eq(w.at + 1)
    return w


def later(m: Module, name: str, stage: Walk) -> Walk:
    """Return the same a cycle later."""
    after = Walk(
        Signal(name=f"{name}_active"),
        Signal(len(stage.at), name=f"{name}_index", reset_less=True),
        Signal(name=f"{name}_last"),
    )
    m.d.sync += [out.eq(value) for out, value in zip(after, stage, strict=True)]
    return after


def latched(m: Module, start: Value, **inputs: Value) -> Any:
    """Return what inputs were at the last `start`."""
    held = []
    for name, value in inputs.items():
        register = Signal(value.shape(), name=f"{name}_reg", reset_less=True)
        with m.If(start):
            m.d.sync += register.eq(value)
        held.append(register)
    return held[0] if len(held) == 1 else held


class VectorPort(Unit):
    """Base of the units: ports to the core and to its vector registers.

    Members
    -------
    start : In(1)
        Take an instruction; its fields are ports too.
    read_index : Out
        Element of the registers that are read; it follows a cycle later.
    element_a, element_b : In
        Elements of the registers va and vb, or their low bits.
    write_enable, write_index, write_data : Out
        Write an element of the register vd.
    done : Out(1)
        The instruction ends in this cycle.
    """

    config: MatmulFreeConfig
    prefix: str
    reads: tuple[str, ...] = ("a",)
    """Registers that are read, one or both."""

    def __init__(self, config: MatmulFreeConfig, **members: Any) -> None:
        index, element = range(config.length), config.element
        ports: dict[str, Any] = {
            "start": In(1),
            "read_index": Out(index),
            **{f"element_{name}": In(element) for name in self.reads},
            "write_enable": Out(1),
            "write_index": Out(index),
            "write_data": Out(element),
            "done": Out(1),
        }
        super().__init__(config, {**ports, **members})

    @property
    def name(self) -> str:
        return f"{self.prefix}_{self.config.slug}"

    def write(self, m: Module, stage: Walk, data: Value) -> None:
        """Write `data` to the element of a `Walk`; its last one is done."""
        m.d.comb += [
            self.write_enable.eq(stage.active),
            self.write_index.eq(stage.at),
            self.write_data.eq(data),
            self.done.eq(stage.last),
        ]
