# amaranth: UnusedElaboratable=no
"""A PE for W8A8 and for two W4A8 products, chosen from cycle to cycle.

The four Booth digits of an 8-bit weight are two pairs. Each pair has an accumulator of its own, and
only the bit that the pairs share tells the modes apart: without it the upper pair is the recoding
of the upper four bits by themselves. Where weights are wide, the sum is that of both halves, the
upper one sixteen times, which is added once a result, outside the loop.

Source: MixPE (arXiv 2411.16158) for precisions that change from layer to layer; the split of the
Booth digits and of the accumulator is ours.
"""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.config import Config, integer
from pe.element import extremes, sum_bits
from pe.encoders import BoothDigit, booth_digits, booth_digits_above, multiple
from pe.heap import BitHeap
from pe.unit import Unit

WIDTH_A, WIDTH_B, HALF = 8, 8, 4


class SwitchableConfig(Config):
    """Accumulators of a switchable PE."""

    k_max: int = integer("largest K that must not overflow", 1, 1 << 31, default=128)

    @property
    def width_acc(self) -> int:
        """Bits of each accumulator."""
        # Half of a wide weight may count one more than its four bits.
        half = 1 << (HALF - 1)
        return sum_bits(self.k_max, extremes(WIDTH_A, True), (-half, half))

    @property
    def name(self) -> str:
        return f"switchable_pe_acc{self.width_acc}"


class SwitchablePe(Unit):
    """W8A8 or twice W4A8, with registered operands and two running sums.

    Function unit with accumulators: latency 2, initiation interval 1. Activations and weights are
    signed.

    Members
    -------
    a : In(signed 8)
        Activation.
    b : In(8)
        A weight of 8 bits where `wide`, else two of 4 bits.
    wide : In(1)
        The weight is one of 8 bits.
    clear : In(1)
        The sums start anew with these products.
    i_valid : In(1)
        Operands are present.
    low, high : Out(signed width_acc)
        Sums of products with the lower and with the upper half of the weight; those of 8-bit
        weights are ``low + 16 * high``.
    o_valid : Out(1)
        The sums have just taken in the products.
    """

    config: SwitchableConfig
    latency = 2

    def __init__(self, config: SwitchableConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(signed(WIDTH_A)),
                "b": In(unsigned(WIDTH_B)),
                "wide": In(1),
                "clear": In(1),
                "i_valid": In(1),
                "low": Out(signed(config.width_acc)),
                "high": Out(signed(config.width_acc)),
                "o_valid": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle of wide weights; narrow ones are twice as many."""
        return 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal(signed(WIDTH_A), name="a_reg")
        b = Signal(WIDTH_B, name="b_reg", reset_less=True)
        wide = Signal(name="wide_reg", reset_less=True)
        clear = Signal(name="clear_reg", init=1)
        valid = Signal()
        m.d.sync += [
            a.eq(Mux(self.i_valid, self.a, 0)),
            b.eq(self.b),
            wide.eq(self.wide),
            clear.eq(self.clear & self.i_valid),
            valid.eq(self.i_valid),
            self.o_valid.eq(valid),
        ]
        overlap = Signal()
        m.d.comb += overlap.eq(wide & b[HALF - 1])
        halves = (
            ("low", self.low, booth_digits(b[:HALF], True)),
            ("high", self.high, booth_digits_above(overlap, b[HALF:])),
        )
        for name, output, digits in halves:
            running = Signal(signed(self.config.width_acc), name=f"{name}_reg", reset_less=True)
            addend = Mux(clear, 0, running)
            m.d.sync += running.eq(self._sum(m, name, a, digits, addend))
            m.d.comb += output.eq(running)
        return m

    def _sum(
        self, m: Module, name: str, a: Value, digits: list[BoothDigit], addend: Value
    ) -> Value:
        heap = BitHeap(self.config.width_acc)
        for i, digit in enumerate(digits):
            heap.add(multiple(m, f"{name}_multiple_{i}", digit, a, True), 2 * i)
            heap.add_bit(digit.negative, 2 * i)
        heap.add(addend.as_unsigned())
        heap.reduce(m)
        return add(m, SKLANSKY, *heap.rows())
