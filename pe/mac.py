# amaranth: UnusedElaboratable=no
"""The plain multiply-accumulate PE: a product and one carry-propagate addition a cycle.

Source: the baseline MAC of "Exploring the Performance Improvement of Tensor Processing Engines
through Transformation in the Bit-weight Dimension of MACs" (HPCA 2025), section II.
"""

from amaranth.hdl import Module, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.element import PeConfig, operands
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
    a : In(a_shape), or an array of as many as there are terms
    b : In(b_shape), or an array
        With several terms, their products are summed.
    addend : In(accumulator_shape)
    sum : Out(accumulator_shape)
    """

    config: MacConfig

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(operands(config.a_shape, config.terms)),
                "b": In(operands(config.b_shape, config.terms)),
                "addend": In(config.accumulator_shape),
                "sum": Out(config.accumulator_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"multiply_add_{self.config.operands_slug}"

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.config.terms

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total: Value = self.addend.as_unsigned()
        for term in range(self.config.terms):
            single = self.config.terms == 1
            a, b = (self.a, self.b) if single else (self.a[term], self.b[term])
            product = Signal(_product_shape(self.config), name=f"product_{term}")
            # Extended first: modulo 2**width_acc, signed and unsigned sums agree.
            extended = Signal(self.config.width_acc, name=f"extended_{term}")
            m.d.comb += [product.eq(a * b), extended.eq(product)]
            total = (total + extended)[: self.config.width_acc]
        m.d.comb += self.sum.eq(total)
        return m


def _product_shape(config: MacConfig) -> Shape:
    width = config.width_a + config.width_b
    # Unsigned by signed needs no extra bit: the extreme, (2^wa - 1) * -2^(wb - 1), fits.
    return signed(width) if config.signed_a or config.signed_b else unsigned(width)
