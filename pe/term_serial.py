# amaranth: UnusedElaboratable=no
"""A PE that knows no weight format: it adds activations, shifted by terms of their weights.

`pe.terms` makes terms of the codes of a format.

Sources: BitMoD (arXiv 2411.11745) for a bit-serial PE of terms that formats have in common;
ShiftAddViT (arXiv 2306.06446) for sums of powers of two. Exact integer sums are ours.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.config import Config, choice, flag, integer, same_as
from pe.element import PeConfig, extremes, sum_bits
from pe.terms import TERM_FORMATS, largest_number, shift_bits
from pe.unit import Unit


class TermSerialConfig(Config):
    """Activations of a term-serial PE, and the weights with the widest range that it runs."""

    width_a: int = same_as(PeConfig, "width_a", default=8)
    signed_a: bool = flag("A is two's complement", default=True)
    format: str = choice(
        "weight format with the widest range", lambda: TERM_FORMATS, default="e4m3"
    )
    k_max: int = integer("largest K that must not overflow", 1, 1 << 12, default=128)

    @property
    def shift_bits(self) -> int:
        """Bits of an exponent."""
        return shift_bits(TERM_FORMATS[self.format])

    @property
    def a_shape(self) -> Shape:
        """Shape of an activation."""
        return Shape(self.width_a, self.signed_a)

    @property
    def width_acc(self) -> int:
        """Bits of the accumulator."""
        largest = largest_number(TERM_FORMATS[self.format])
        return sum_bits(self.k_max, extremes(self.width_a, self.signed_a), (-largest, largest))

    @property
    def name(self) -> str:
        a = f"a{'' if self.signed_a else 'u'}{self.width_a}"
        return f"term_serial_pe_{a}shift{self.shift_bits}acc{self.width_acc}"


class TermSerialPe(Unit):
    """Term-serial PE: an activation, shifted by a term of its weight, is added each clock.

    Function unit with an accumulator: latency 2, initiation interval 1, a term each. A weight takes
    as many clocks as it has terms, and one where it is zero.

    Members
    -------
    a : In(width_a)
        Activation; taken with the first term of a weight, and held for the others.
    shift : In(shift_bits)
        Exponent of the term.
    negative, nonzero : In(1)
        The term is below zero; there is one at all.
    last : In(1)
        The last term of its weight.
    clear : In(1)
        The sum starts anew with this term.
    i_valid : In(1)
        A term is present.
    sum : Out(signed width_acc)
        Running sum modulo ``2**width_acc``, 0 before the first term.
    o_last : Out(1)
        `sum` has just taken in the last term of a weight.
    o_valid : Out(1)
        `sum` has just taken in a term.
    """

    config: TermSerialConfig
    latency = 2

    def __init__(self, config: TermSerialConfig) -> None:
        flags = ("negative", "nonzero", "last", "clear", "i_valid")
        super().__init__(
            config,
            {
                "a": In(config.a_shape),
                "shift": In(unsigned(config.shift_bits)),
                **dict.fromkeys(flags, In(1)),
                "sum": Out(signed(config.width_acc)),
                **dict.fromkeys(("o_last", "o_valid"), Out(1)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        a = Signal(config.a_shape, name="a_reg", reset_less=True)
        shift = Signal(config.shift_bits, name="shift_reg", reset_less=True)
        negative = Signal(name="negative_reg", reset_less=True)
        nonzero = Signal(name="nonzero_reg")
        clear = Signal(name="clear_reg", init=1)
        begins = Signal(init=1)
        last = Signal(name="last_reg")
        valid = Signal()
        with m.If(self.i_valid):
            m.d.sync += begins.eq(self.last)
        with m.If(self.i_valid & begins):
            m.d.sync += a.eq(self.a)
        operand = Signal(config.a_shape)
        number = operand if config.signed_a else Cat(operand, Const(0, 1)).as_signed()
        shifted = Signal(signed(config.width_acc))
        minus = Signal()
        row = Signal(config.width_acc)
        addend = Signal(config.width_acc)
        running = Signal(signed(config.width_acc), name="sum_reg", reset_less=True)
        m.d.comb += [
            # Gated before it is shifted.
            operand.eq(Mux(nonzero, a, 0)),
            minus.eq(negative & nonzero),
            shifted.eq(number << shift),
            row.eq(shifted ^ minus.replicate(config.width_acc)),
            addend.eq(Mux(clear, 0, running)),
            self.sum.eq(running),
        ]
        m.d.sync += [
            shift.eq(self.shift),
            negative.eq(self.negative),
            nonzero.eq(self.nonzero & self.i_valid),
            clear.eq(self.clear & self.i_valid),
            last.eq(self.last & self.i_valid),
            valid.eq(self.i_valid),
            self.o_last.eq(last),
            self.o_valid.eq(valid),
            running.eq(add(m, SKLANSKY, row, addend, minus)),
        ]
        return m
