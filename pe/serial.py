# amaranth: UnusedElaboratable=no
"""A bit-serial PE: a bit of the weight a clock, and an adder for a multiplier.

Source: MixPE (arXiv 2411.16158) for products by shift and add; bit-serial multiplication as in
P. Judd et al., "Stripes" (MICRO 2016).
"""

from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.config import Config, same_as
from pe.element import INTEGER, PeConfig, extremes, sum_bits
from pe.unit import Unit


class SerialConfig(Config):
    """Operands and accumulator of a bit-serial PE."""

    format_a: ClassVar[str] = INTEGER
    format_b: ClassVar[str] = INTEGER

    width_a: int = same_as(PeConfig, "width_a", default=8)
    width_b: int = same_as(PeConfig, "width_b", default=4)
    width_acc: int = same_as(PeConfig, "width_acc", default=19)
    signed_a: bool = same_as(PeConfig, "signed_a", default=True)
    signed_b: bool = same_as(PeConfig, "signed_b", default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = extremes(self.width_a, self.signed_a), extremes(self.width_b, self.signed_b)
        least = sum_bits(1, *ends)
        if self.width_acc < least:
            raise ValueError(
                f"width_acc: {self.width_acc} bits cannot hold a product; at least {least} are "
                "needed"
            )

    @property
    def name(self) -> str:
        b = f"w{'' if self.signed_b else 'u'}{self.width_b}"
        a = f"a{'' if self.signed_a else 'u'}{self.width_a}"
        return f"serial_pe_{b}{a}acc{self.width_acc}"


class SerialPe(Unit):
    """Bit-serial PE: a bit of B a clock, the lowest first, A shifted beside it.

    Function unit with an accumulator: latency 1 + width_b, initiation interval width_b. Operands
    come no sooner than that after those before.

    Members
    -------
    a, b : In(width_a), In(width_b)
        Operands, signed as the config says.
    clear : In(1)
        The sum starts anew with this product.
    i_valid : In(1)
        Operands are present.
    sum : Out(width_acc)
        Running sum modulo ``2**width_acc``, signed where an operand is; 0 before the first
        operands. While bits of an operand are added it is the sum so far.
    o_valid : Out(1)
        `sum` has just taken in the product.
    """

    config: SerialConfig

    def __init__(self, config: SerialConfig) -> None:
        total = Shape(config.width_acc, config.signed_a or config.signed_b)
        super().__init__(
            config,
            {
                "a": In(Shape(config.width_a, config.signed_a)),
                "b": In(Shape(config.width_b, config.signed_b)),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(total),
                "o_valid": Out(1),
            },
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from operands to the sum that their product is in."""
        return 1 + self.initiation_interval

    @property
    def initiation_interval(self) -> int:  # type: ignore[override]
        """Cycles from operands to the next: one a bit of B."""
        return int(self.config.width_b)

    @property
    def macs_per_cycle(self) -> float:
        """Multiply-accumulates a cycle, less than one."""
        return 1 / self.initiation_interval

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = config.width_b
        a = Signal(Shape(config.width_a + bits - 1, config.signed_a), name="a_reg", reset_less=True)
        # The bits that are left. Zeros follow them, which add nothing while nothing is valid.
        b = Signal(bits, name="b_reg")
        clear = Signal(name="clear_reg", reset_less=True)
        stage = Signal(bits)
        negative = Signal()
        row = Signal(a.shape())
        word = Cat(row, (row[-1] if config.signed_a else negative).replicate(config.width_acc))
        addend = Signal(config.width_acc)
        total = add(m, SKLANSKY, word[: config.width_acc], addend, negative)
        m.d.comb += [
            negative.eq(b[0] & stage[-1] if config.signed_b else 0),
            row.eq(Mux(b[0], a, 0) ^ negative.replicate(len(a))),
            addend.eq(Mux(stage[0] & clear, 0, self.sum)),
        ]
        m.d.sync += [
            a.eq(Mux(self.i_valid, self.a, a << 1)),
            b.eq(Mux(self.i_valid, self.b, b >> 1)),
            clear.eq(self.clear),
            stage.eq(Cat(self.i_valid, stage)),
            self.o_valid.eq(stage[-1]),
            self.sum.eq(total),
        ]
        return m
