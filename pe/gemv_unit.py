# amaranth: UnusedElaboratable=no
"""The arithmetic of a bank that multiplies: lanes of products, a tree and a result latch.

Sources: Newton, MICRO 2020, and NeuPIMs, ASPLOS 2024, section 5.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, integer
from pe.element import extremes, sum_bits
from pe.float_add import FloatAdder, FloatAdderConfig
from pe.float_multiply import FloatMultiplier, FloatMultiplierConfig
from pe.share import place
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
    format: str = choice("of an element", lambda: ("int", "bf16", "fp16"), default="int")
    element_bits: int = integer("bits of an integer element, signed", 2, 8, default=WIDTH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format != "int" and self.element_bits != WIDTH:
            raise ValueError(
                f"element_bits: {self.element_bits} does not apply to format={self.format}"
            )

    @property
    def name(self) -> str:
        kind = f"w{self.element_bits}" if self.format == "int" else self.format
        return f"gemv_unit_{self.lanes}x{kind}"

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return self.element_bits if self.format == "int" else 16

    @property
    def latency(self) -> int:
        """Cycles from a step to the latch that has taken it in."""
        levels = (self.lanes - 1).bit_length()
        return 3 + (0 if self.format == "int" else levels)


class GemvUnit(Unit):
    """GEMV unit of a bank: dot product of a slice of a row and of the vector, accumulated.

    Function unit with a result latch: initiation interval 1; latency 3, and with floats one more
    for each level of the tree. The latch of integers wraps, which a row of fewer than 2**17
    elements cannot make it do. Of floats each product, each sum of the tree, neighbours first, and
    each sum of the latch, step after step from +0, is rounded to float32, to nearest even.

    Members
    -------
    row, vector : In, an array of `lanes` of signed element_bits, or of codes
        Elements of the row and of the vector.
    clear : In(1)
        The sum starts anew, at this step's.
    i_valid : In(1)
        A step is present.
    result : Out(signed 32), of floats Out(32)
        Sum of the steps so far, of floats its code; 0 before the first, and holds while nothing
        is valid.
    o_valid : Out(1)
        `result` has just taken in a step.
    """

    config: GemvUnitConfig

    def __init__(self, config: GemvUnitConfig) -> None:
        integers = config.format == "int"
        shape = signed if integers else unsigned
        lanes = data.ArrayLayout(shape(config.bits), config.lanes)
        super().__init__(
            config,
            {
                "row": In(lanes),
                "vector": In(lanes),
                "clear": In(1),
                "i_valid": In(1),
                "result": Out(shape(RESULT_BITS)),
                "o_valid": Out(1),
            },
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        return self.config.latency

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.config.lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, bits = self.config.lanes, self.config.bits
        row = Signal(lanes * bits, name="row_reg", reset_less=True)
        vector = Signal(lanes * bits, name="vector_reg", reset_less=True)
        flags = [Signal(2, name=f"flags_{stage}") for stage in range(self.latency - 1)]
        m.d.sync += [
            row.eq(Value.cast(self.row)),
            vector.eq(Value.cast(self.vector)),
            flags[0].eq(Cat(self.i_valid, self.clear)),
            *(later.eq(flag) for flag, later in pairwise(flags)),
            self.o_valid.eq(flags[-1][0]),
        ]
        parts = [slice(lane * bits, (lane + 1) * bits) for lane in range(lanes)]
        pairs = [(row[part], vector[part]) for part in parts]
        valid, clear = flags[-1][0], flags[-1][1]
        latch = Mux(clear, 0, self.result)
        if self.config.format == "int":
            total = latch + self._integers(m, pairs)
        else:
            total = self._add(m, platform, "latch", latch, self._floats(m, platform, pairs))
        with m.If(valid):
            m.d.sync += self.result.eq(total)
        return m

    def _integers(self, m: Module, pairs: list[tuple[Value, Value]]) -> Value:
        """Sum of the products, a cycle later."""
        bits = self.config.bits
        element = extremes(bits, True)
        width = sum_bits(len(pairs), element, element)
        step = Signal(signed(width), name="step", reset_less=True)
        products: list[Value] = []
        for lane, (a, b) in enumerate(pairs):
            product = Signal(signed(2 * bits), name=f"product_{lane}")
            m.d.comb += product.eq(a.as_signed() * b.as_signed())
            products.append(product)
        m.d.sync += step.eq(tree(products))
        return step

    def _floats(self, m: Module, platform: object, pairs: list[tuple[Value, Value]]) -> Value:
        """Sum of the products, a cycle later and another one for each level of the tree."""
        config = FloatMultiplierConfig(format=self.config.format, saturate=False, result="fp32")
        values: list[Value] = []
        for lane, (a, b) in enumerate(pairs):
            unit = place(m, platform, f"multiplier_{lane}", FloatMultiplier, config)
            m.d.comb += [unit.a.eq(a), unit.b.eq(b)]
            values.append(self._later(m, f"product_{lane}", unit.product))
        level = 0
        while len(values) > 1:
            sums = [
                self._add(m, platform, f"level_{level}_{i}", a, b)
                for i, (a, b) in enumerate(zip(values[::2], values[1::2], strict=False))
            ]
            sums += values[len(values) & ~1 :]
            values = [self._later(m, f"sum_{level}_{i}", value) for i, value in enumerate(sums)]
            level += 1
        return values[0]

    def _add(self, m: Module, platform: object, name: str, a: Value, b: Value) -> Value:
        unit = place(m, platform, f"{name}_adder", FloatAdder, FloatAdderConfig(format="fp32"))
        m.d.comb += [unit.a.eq(a), unit.b.eq(b)]
        return Value.cast(unit.sum)

    def _later(self, m: Module, name: str, value: Value) -> Value:
        register = Signal(RESULT_BITS, name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register
