# amaranth: UnusedElaboratable=no
"""Decoder of the core for MatMul-free language models."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.matmul_free_isa import FIELDS, OPCODES, SCALARS, UNITS, VECTORS, MatmulFreeConfig
from pe.unit import Unit

FLAGS = {
    "store": "STV",
    "subtract": "VSUB",
    "multiply": "VMUL",
    "scale": "SCALE",
    "silu": "SILU",
}
"""What units need to know beside fields: whether it is one instruction."""


class Decoder(Unit):
    """Fields of an instruction, and what it needs; combinational.

    Members
    -------
    word : In(32)
        Instruction.
    vd, va, vb, s, shift, factor, address, weights, rows, cols : Out
        Its fields, addresses and sizes as wide as the memories and registers need.
    store, subtract, multiply, scale, silu : Out(1)
        It is STV, VSUB, VMUL, SCALE, SILU.
    units, vectors, scalars : Out
        Its unit and its registers, a bit each; no unit of HALT.
    """

    config: MatmulFreeConfig

    def __init__(self, config: MatmulFreeConfig) -> None:
        index = range(config.length)
        ports = {name: Out(FIELDS[name].width) for name in ("vd", "va", "vb", "s")}
        ports |= {name: Out(FIELDS[name].width) for name in ("shift", "factor")}
        ports |= {
            "address": Out(range(config.depth_data)),
            "weights": Out(range(config.depth_weights)),
            "rows": Out(index),
            "cols": Out(index),
            **{name: Out(1) for name in FLAGS},
            "units": Out(len(UNITS)),
            "vectors": Out(VECTORS),
            "scalars": Out(SCALARS),
        }
        super().__init__(config, {"word": In(32), **ports})

    @property
    def name(self) -> str:
        depths = f"{self.config.depth_data}x{self.config.depth_weights}"
        return f"decoder_{depths}x{self.config.length}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = {name: field.of(self.word) for name, field in FIELDS.items()}
        op = fields.pop("op")
        m.d.comb += [getattr(self, name).eq(value) for name, value in fields.items()]
        number = {}
        for name, opcode in OPCODES.items():
            number[name] = Signal(name=f"is_{name.lower()}")
            m.d.comb += number[name].eq(op == opcode.number)
        m.d.comb += [getattr(self, flag).eq(number[name]) for flag, name in FLAGS.items()]
        has = {}
        for field in ("vd", "va", "vb", "s"):
            has[field] = Signal(name=f"has_{field}")
            m.d.comb += has[field].eq(
                _any(number[name] for name, code in OPCODES.items() if field in code.registers)
            )
        for i, unit in enumerate(UNITS):
            m.d.comb += self.units[i].eq(
                _any(number[name] for name, code in OPCODES.items() if code.unit == unit)
            )
        for i in range(VECTORS):
            m.d.comb += self.vectors[i].eq(
                _any(has[v] & (fields[v] == Const(i, 3)) for v in ("vd", "va", "vb"))
            )
        for i in range(SCALARS):
            m.d.comb += self.scalars[i].eq(has["s"] & (fields["s"] == Const(i, 2)))
        return m


def _any(bits: Iterable[Value]) -> Value:
    return reduce(or_, bits)
