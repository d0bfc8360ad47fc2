# amaranth: UnusedElaboratable=no
"""PEs for W8A8 and for two W4A8 products, chosen from cycle to cycle.

The four Booth digits of an 8-bit weight are two pairs. Each pair has an accumulator of its own, and
only the bit that the pairs share tells the modes apart: without it the upper pair is the recoding
of the upper four bits by themselves. Where weights are wide, the sum is that of both halves, the
upper one sixteen times, which is added once a result, outside the loop.

`SwitchablePe` stands by itself, with a port for the mode. In an array the mode comes with each
weight, as a bit of its code, and both sums are in one word (`SwitchablePeConfig`).

Source: MixPE (arXiv 2411.16158) for precisions that change from layer to layer; the split of the
Booth digits and of the accumulator is ours.
"""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.coded import CodedConfig, Row
from pe.config import Config, integer, same_as
from pe.element import PeConfig, extremes, sum_bits
from pe.encoders import BoothDigit, booth_digits, booth_digits_above, multiple
from pe.heap import BitHeap
from pe.primitives import Placed, Primitive, Scope
from pe.unit import Unit

WIDTH_A, WIDTH_B, HALF = 8, 8, 4


def half_bits(k: int, a: Shape) -> int:
    """Return the least bits that hold every sum of `k` products with halves of weights."""
    # Half of a wide weight may count one more than its four bits.
    half = 1 << (HALF - 1)
    return sum_bits(k, extremes(a.width, a.signed), (-half, half))


class SwitchablePeConfig(CodedConfig):
    """B is two weights of 4 bits, the first in the low bits, or one of 8 where bit 8 of it is set.

    The running sum is ``low + (high << width_acc / 2)``, `low` and `high` being those of
    `SwitchablePe`, two's complement both.
    """

    kind = "switchable"
    allowed_widths = (range(2, 17), range(9, 10))
    bit_weights = WIDTH_B // 2
    sums = 2

    width_b: int = same_as(PeConfig, "width_b", default=WIDTH_B + 1)
    width_acc: int = same_as(PeConfig, "width_acc", default=38)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_acc % 2:
            raise ValueError(
                f"width_acc: {self.width_acc} is not even, as pe={self.kind} needs: two sums"
            )

    # Of an instance and not of the class, as it depends on the accumulator.
    @property
    def format_b(self) -> str:  # type: ignore[override]
        """Codes of two weights, and how far apart their sums are."""
        return f"halves{self.width_acc // 2}"

    @classmethod
    def sum_bits(cls, k: int, a: Shape, _b: Shape, /) -> int:
        return 2 * half_bits(k, a)

    @property
    def meanings(self) -> dict[str, str]:
        return {
            "b": "two weights of 4 bits, the first lowest, or one of 8 where bit 8 is set",
            "c": f"low + (high << {self.width_acc // 2}), both signed: sums of the first and the "
            "second weights, or low + 16 * high where all of a sum are wide",
        }

    @property
    def primitives(self) -> tuple[Placed, ...]:
        return (
            Placed(Primitive.ENCODE, Scope.TERM),
            Placed(Primitive.MAP, Scope.DIGIT),
            Placed(Primitive.SHIFT, Scope.DIGIT),
            Placed(Primitive.HALF_REDUCE, Scope.STEP),
            Placed(Primitive.ADD, Scope.STEP),
        )

    def rows(self, m: Module, a: Value, b: Value) -> list[Row]:
        found = []
        for half, digits in enumerate(_digits_of_halves(m, b[:WIDTH_B], b[-1])):
            for i, digit in enumerate(digits):
                value = multiple(m, f"multiple_{half}_{i}", digit, a, self.signed_a)
                found.append(Row(value, digit.negative, half * self.width_acc // 2 + 2 * i))
        return found


def _digits_of_halves(m: Module, b: Value, wide: Value) -> list[list[BoothDigit]]:
    """Return the Booth digits of the lower and of the upper half of a weight."""
    overlap = Signal(name="overlap")
    m.d.comb += overlap.eq(wide & b[HALF - 1])
    return [booth_digits(b[:HALF], True), booth_digits_above(overlap, b[HALF:])]


class SwitchableConfig(Config):
    """Accumulators of a switchable PE."""

    k_max: int = integer("largest K that must not overflow", 1, 1 << 31, default=128)

    @property
    def width_acc(self) -> int:
        """Bits of each accumulator."""
        return half_bits(self.k_max, Shape(WIDTH_A, True))

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
        low, high = _digits_of_halves(m, b, wide)
        for name, output, digits in (("low", self.low, low), ("high", self.high, high)):
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
