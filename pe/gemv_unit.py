# amaranth: UnusedElaboratable=no
"""The arithmetic of a bank that multiplies: lanes of INT8 products and a result latch.

Sources: Newton, MICRO 2020, and NeuPIMs, ASPLOS 2024, section 5.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pe.config import Config, integer
from pe.element import extremes, sum_bits
from pe.unit import Unit

WIDTH = 8
"""Bits of INT8."""

RESULT_BITS = 32


def tree(values: list[Value]) -> Value:
    """Sum of the values, neighbours first."""
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [a + b for a, b in pairs] + values[len(values) & ~1 :]
    return values[0]


class GemvUnitConfig(Config):
    """Lanes of a GEMV unit."""

    lanes: int = integer("products of a step", 1, 64, default=16)
    element_bits: int = integer("bits of an element, signed", 2, 8, default=8)

    @property
    def name(self) -> str:
        return f"gemv_unit_{self.lanes}xw{self.element_bits}"


class GemvUnit(Unit):
    """GEMV unit of a bank: dot product of a slice of a row and of the vector, accumulated.

    Function unit with a result latch: latency 3, initiation interval 1. The latch wraps, which a
    row of up to 2**17 elements cannot make it do.

    Members
    -------
    row, vector : In, an array of `lanes` of signed element_bits
        Elements of the row and of the vector.
    clear : In(1)
        The sum starts anew, at this step's.
    i_valid : In(1)
        A step is present.
    result : Out(signed 32)
        Sum of the steps so far; 0 before the first, and holds while nothing is valid.
    o_valid : Out(1)
        `result` has just taken in a step.
    """

    config: GemvUnitConfig
    latency = 3

    def __init__(self, config: GemvUnitConfig) -> None:
        lanes = data.ArrayLayout(signed(config.element_bits), config.lanes)
        super().__init__(
            config,
            {
                "row": In(lanes),
                "vector": In(lanes),
                "clear": In(1),
                "i_valid": In(1),
                "result": Out(signed(RESULT_BITS)),
                "o_valid": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.config.lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, bits = self.config.lanes, self.config.element_bits
        element = extremes(bits, True)
        width = sum_bits(lanes, element, element)
        row = Signal(lanes * bits, name="row_reg", reset_less=True)
        vector = Signal(lanes * bits, name="vector_reg", reset_less=True)
        step = Signal(signed(width), reset_less=True)
        flags = [Signal(2, name=f"flags_{stage}") for stage in range(2)]
        m.d.sync += [
            row.eq(Value.cast(self.row)),
            vector.eq(Value.cast(self.vector)),
            flags[0].eq(Cat(self.i_valid, self.clear)),
            flags[1].eq(flags[0]),
            self.o_valid.eq(flags[1][0]),
        ]
        products: list[Value] = []
        for lane in range(lanes):
            part = slice(lane * bits, (lane + 1) * bits)
            product = Signal(signed(2 * bits), name=f"product_{lane}")
            m.d.comb += product.eq(row[part].as_signed() * vector[part].as_signed())
            products.append(product)
        m.d.sync += step.eq(tree(products))
        valid, clear = flags[1][0], flags[1][1]
        with m.If(valid):
            m.d.sync += self.result.eq(Mux(clear, 0, self.result) + step)
        return m
