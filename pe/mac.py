# amaranth: UnusedElaboratable=no
"""The plain multiply-accumulate PE: a product and one carry-propagate addition a cycle.

Source: the baseline MAC of "Exploring the Performance Improvement of Tensor Processing Engines
through Transformation in the Bit-weight Dimension of MACs" (HPCA 2025), section II.
"""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.element import PeConfig
from pe.primitives import Placed, Primitive, Scope
from pe.share import share
from pe.unit import Unit


class MacConfig(PeConfig):
    """Widths and signedness of a plain MAC."""

    kind = "mac"

    @property
    def bit_weights(self) -> int:
        """Radix-4 digits of A, as a multiplier with Booth recoding adds; without, a row a bit."""
        return (self.width_a + (not self.signed_a) + 1) // 2

    @property
    def primitives(self) -> tuple[Placed, ...]:
        return (
            Placed(Primitive.ENCODE, Scope.TERM),
            Placed(Primitive.MAP, Scope.DIGIT),
            Placed(Primitive.SHIFT, Scope.DIGIT),
            Placed(Primitive.HALF_REDUCE, Scope.TERM),
            Placed(Primitive.ADD, Scope.TERM),
            Placed(Primitive.ADD, Scope.TERM),
        )

    @property
    def units(self) -> tuple[Unit, ...]:
        return (MultiplyAdd(self),)

    def step(self, m: Module, platform: object, a: Value, b: Value, addend: Value) -> Value:
        total = Signal(self.state_shape)
        share(m, platform, "step", MultiplyAdd, self, a=a, b=b, addend=addend, sum=total)
        return total


class MultiplyAdd(Unit):
    """One accumulation step, ``sum = addend + a * b`` modulo ``2**width_acc``.

    Function unit, combinational: latency 0. This is what an engine places in each of its cells;
    the engine owns the operand, accumulator and drain registers around it.

    Members
    -------
    a : In(a_port)
    b : In(b_port)
        With several terms, their products are summed.
    addend : In(accumulator_shape)
    sum : Out(accumulator_shape)
    """

    macs_per_cycle = 1

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_port),
                "b": In(config.b_port),
                "addend": In(config.accumulator_shape),
                "sum": Out(config.accumulator_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"multiply_add_{self.config.operands_slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total: Value = self.addend.as_unsigned()
        for term, (a, b) in enumerate(zip(*self._operands(), strict=True)):
            product = Signal(_product_shape(self.config), name=f"product_{term}")
            # Extended first: modulo 2**width_acc, signed and unsigned sums agree.
            extended = Signal(self.config.width_acc, name=f"extended_{term}")
            m.d.comb += [product.eq(a * b), extended.eq(product)]
            total = (total + extended)[: self.config.width_acc]
        m.d.comb += self.sum.eq(total)
        return m

    def _operands(self) -> tuple[list[Value], list[Value]]:
        config = self.config
        if config.terms == 1:
            return [self.a], [self.b]
        return (
            _elements(self.a, config.width_a, config.signed_a),
            _elements(self.b, config.width_b, config.signed_b),
        )


class MultiplyAccumulate(Unit):
    """The stand-alone MAC PE: registered operands, a product, one accumulator.

    Function unit with an accumulator: latency 2, initiation interval 1.

    Members
    -------
    a : In(a_shape)
    b : In(b_shape)
    clear : In(1)
        The sum starts anew with this product.
    i_valid : In(1)
        Operands are present.
    sum : Out(accumulator_shape)
        Running sum modulo ``2**width_acc``; holds while nothing is valid.
    o_valid : Out(1)
        `sum` has just taken in a product.
    """

    latency = 2
    macs_per_cycle = 1

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_shape),
                "b": In(config.b_shape),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(config.accumulator_shape),
                "o_valid": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal.like(self.a, name="a_reg")
        b = Signal.like(self.b, name="b_reg")
        clear = Signal(name="clear_reg")
        valid = Signal()
        addend = Signal.like(self.sum)
        next_sum = Signal.like(self.sum)
        m.d.comb += addend.eq(Mux(clear, 0, self.sum))
        share(
            m,
            platform,
            "multiply_add",
            MultiplyAdd,
            self.config,
            a=a,
            b=b,
            addend=addend,
            sum=next_sum,
        )
        m.d.sync += [valid.eq(self.i_valid), self.o_valid.eq(valid)]
        with m.If(self.i_valid):
            m.d.sync += [a.eq(self.a), b.eq(self.b), clear.eq(self.clear)]
        with m.If(valid):
            m.d.sync += self.sum.eq(next_sum)
        return m


def _product_shape(config: MacConfig) -> Shape:
    width = config.width_a + config.width_b
    # Unsigned by signed needs no extra bit: the extreme, (2^wa - 1) * -2^(wb - 1), fits.
    return signed(width) if config.signed_a or config.signed_b else unsigned(width)


def _elements(value: Value, width: int, is_signed: bool) -> list[Value]:
    lanes = [value[i : i + width] for i in range(0, len(value), width)]
    return [lane.as_signed() for lane in lanes] if is_signed else lanes
