# amaranth: UnusedElaboratable=no
"""PEs of a float activation and a 4-bit integer weight.

exact
    The significand times the weight is shifted by the exponent and added to an integer, on the
    grid of the least FP16 number: sums are exact, in any order.
float
    The activation times powers of two, an addition to its exponent, is summed by float adders.

Sums of activations aligned beforehand, by `pe.aligner`, are those of integers: any PE does them.

Sources: MixPE (arXiv 2411.16158) for W4A16 by addition to exponents; U. Kulisch for exact sums.
Widths, orders and what is special are ours.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, integer
from pe.element import extremes, sum_bits
from pe.encoders import (
    BITS,
    ENT,
    BoothDigit,
    ent_decode,
    ent_digits,
)
from pe.float_add import IEEE_FLOATS, FloatAdder, FloatAdderConfig
from pe.formats import FLOATS
from pe.fp16_product import FP16, GREATEST, LARGEST_SHIFT, fp16_product
from pe.share import place
from pe.unit import Unit

WEIGHT_BITS = 4


class ExactW4A16Config(Config):
    """Accumulator of an exact W4A16 PE."""

    k_max: int = integer("largest K that must not overflow", 1, 1 << 16, default=128)

    @property
    def width_acc(self) -> int:
        """Bits of the accumulator."""
        return sum_bits(self.k_max, (-GREATEST, GREATEST), extremes(WEIGHT_BITS, True))

    @property
    def name(self) -> str:
        return f"exact_w4a16_pe_acc{self.width_acc}"


class FloatW4A16Config(Config):
    """Format of activations and sums, and terms of the weight."""

    format: str = choice("format of activations and sums", lambda: IEEE_FLOATS, default="fp16")
    digits: str = choice("digit set of the weight", lambda: (BITS, ENT), default=BITS)

    @property
    def product_adders(self) -> int:
        """Float adders of a product: one less than it has terms."""
        return {BITS: 2, ENT: 1}[self.digits]

    @property
    def name(self) -> str:
        return f"float_w4a16_pe_{self.format}_{self.digits}"


class _Line(NamedTuple):
    """What goes with operands, from register to register.

    Attributes
    ----------
    clear
        The sum starts anew, where the product is added to it.
    o_last, o_valid
        As a PE shows them.
    """

    clear: Value
    o_last: Value
    o_valid: Value


def _line(m: Module, clear: Value, last: Value, valid: Value, latency: int) -> _Line:
    """Place the registers beside operands, product and sum."""
    # After reset the sum starts anew until registers that reset does not reach have run empty.
    clears = Signal(latency - 1, name="clear_reg", init=-1)
    lasts = Signal(latency, name="last_reg")
    valids = Signal(latency, name="valid_reg")
    m.d.sync += [
        clears.eq(Cat(clear & valid, clears)),
        lasts.eq(Cat(last & valid, lasts)),
        valids.eq(Cat(valid, valids)),
    ]
    return _Line(clears[-1], lasts[-1], valids[-1])


class ExactW4A16Pe(Unit):
    """W4A16 PE with exact sums: FP16 activations, 4-bit weights, an integer accumulator.

    Function unit with an accumulator: latency 3, initiation interval 1.

    Members
    -------
    a : In(16)
        Activation, a code of FP16.
    b : In(signed 4)
        Weight.
    clear : In(1)
        The sum starts anew with this product.
    last : In(1)
        The product is the last one of a group.
    i_valid : In(1)
        Operands are present.
    sum : Out(signed width_acc)
        Running sum in units of 2**-24, modulo ``2**width_acc``; 0 before the first operands.
    nan : Out(1)
        An activation in the sum is infinite or NaN; it counts as zero there.
    o_last : Out(1)
        `sum` and `nan` are those of a group.
    o_valid : Out(1)
        `sum` has just taken in the product.
    """

    config: ExactW4A16Config
    latency = 3
    macs_per_cycle = 1

    def __init__(self, config: ExactW4A16Config) -> None:
        super().__init__(
            config,
            {
                "a": In(unsigned(FP16.width)),
                "b": In(signed(WEIGHT_BITS)),
                **dict.fromkeys(("clear", "last", "i_valid"), In(1)),
                "sum": Out(signed(config.width_acc)),
                **dict.fromkeys(("nan", "o_last", "o_valid"), Out(1)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = _line(m, self.clear, self.last, self.i_valid, self.latency)
        # Without operands the sum takes in a product of zero, and so needs no enable.
        a = Signal(FP16.width, name="a_reg")
        b = Signal(WEIGHT_BITS, name="b_reg", reset_less=True)
        found = fp16_product(m, a, b)
        product = Signal(found.value.shape(), name="product_reg", reset_less=True)
        shift = Signal(FP16.exponent, name="shift_reg", reset_less=True)
        special = Signal(name="nonfinite_reg", reset_less=True)
        shifted = Signal(signed(len(product) + LARGEST_SHIFT))
        running = Signal(signed(self.config.width_acc), name="sum_reg", reset_less=True)
        nan = Signal(name="nan_reg", reset_less=True)
        m.d.comb += [shifted.eq(product << shift), self.sum.eq(running), self.nan.eq(nan)]
        m.d.sync += [
            a.eq(Mux(self.i_valid, self.a, 0)),
            b.eq(self.b),
            product.eq(found.value),
            shift.eq(found.shift),
            special.eq(found.nonfinite),
            running.eq(Mux(line.clear, 0, running) + shifted),
            nan.eq(nan & ~line.clear | special),
        ]
        m.d.comb += [self.o_last.eq(line.o_last), self.o_valid.eq(line.o_valid)]
        return m


class FloatW4A16Pe(Unit):
    """W4A16 PE by float additions: a product is a sum of the activation times powers of two.

    Function unit with an accumulator: latency 4, with EN-T digits 3, initiation interval 1. Terms
    are exact, but infinite beyond the largest number; they are added the lowest digit of the weight
    first, and then to the running sum. Each sum is rounded to nearest even, subnormals included.
    Digits are those of the weight's magnitude: terms of both signs would make NaN of a product
    beyond the largest number.

    Members
    -------
    a : In(width)
        Activation, a code of the format.
    b : In(signed 4)
        Weight.
    clear : In(1)
        The sum starts anew, at +0, with this product.
    last : In(1)
        The product is the last one of a group.
    i_valid : In(1)
        Operands are present.
    sum : Out(width)
        Code; +0 before the first operands. Infinite or NaN activations make it NaN until it
        starts anew, whatever the weights.
    o_last : Out(1)
        `sum` is that of a group.
    o_valid : Out(1)
        `sum` has just taken in the product.
    """

    config: FloatW4A16Config
    macs_per_cycle = 1

    def __init__(self, config: FloatW4A16Config) -> None:
        word = unsigned(FLOATS[config.format].width)
        super().__init__(
            config,
            {
                "a": In(word),
                "b": In(signed(WEIGHT_BITS)),
                **dict.fromkeys(("clear", "last", "i_valid"), In(1)),
                "sum": Out(word),
                **dict.fromkeys(("o_last", "o_valid"), Out(1)),
            },
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from operands to the sum that they are in."""
        return 2 + self.config.product_adders

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = FLOATS[self.config.format]
        adder = FloatAdderConfig(format=self.config.format)
        line = _line(m, self.clear, self.last, self.i_valid, self.latency)
        # Without operands the sum takes in a zero of either sign, and so needs no enable: it is
        # never -0 itself.
        a = Signal(found.width, name="a_reg")
        b = Signal(WEIGHT_BITS, name="b_reg", reset_less=True)
        total, *others = self._terms(m, a, b)
        nan = a[found.mantissa : -1].all()
        # An addition between any two registers; NaN of the first one goes on.
        for i in range(self.config.product_adders):
            ends = place(m, platform, f"product_adder_{i}", FloatAdder, adder)
            m.d.comb += [ends.a.eq(total), ends.b.eq(others[0])]
            result = ends.sum if i else Mux(nan, found.nan or 0, ends.sum)
            total = _held(m, f"total_{i}", result)
            others = [_held(m, f"term_{i}_{j}", term) for j, term in enumerate(others[1:])]
        running = Signal(found.width, name="sum_reg", reset_less=True)
        ends = place(m, platform, "adder", FloatAdder, adder)
        m.d.comb += [
            ends.a.eq(Mux(line.clear, 0, running)),
            ends.b.eq(total),
            self.sum.eq(running),
            self.o_last.eq(line.o_last),
            self.o_valid.eq(line.o_valid),
        ]
        m.d.sync += [
            a.eq(Mux(self.i_valid, self.a, 0)),
            b.eq(self.b),
            running.eq(ends.sum),
        ]
        return m

    def _terms(self, m: Module, a: Value, b: Value) -> list[Value]:
        """Return the activation times each digit of the weight, +0 where that is zero."""
        times = {1: a[:-1]}
        for factor in (2, 4, 8):
            times[factor] = self._double(m, f"times_{factor}", times[factor // 2])
        if self.config.digits == ENT:
            codes, sign = ent_digits(b, True)
            found = [ent_decode(code, sign) for code in codes]
            pairs = [(times[4**i], times[2 * 4**i]) for i in range(len(found))]
        else:
            bits = Signal(WEIGHT_BITS, name="bits")
            m.d.comb += bits.eq(Mux(b[-1], -b, b))
            # Where the topmost bit is set, it is the only one.
            zero = Const(0, 1)
            found = [BoothDigit(bits[0], bits[3], b[-1])]
            found += [BoothDigit(bit, zero, b[-1]) for bit in bits[1:3]]
            pairs = [(times[1], times[8]), (times[2], times[2]), (times[4], times[4])]
        terms: list[Value] = []
        for i, (digit, (single, double)) in enumerate(zip(found, pairs, strict=True)):
            term = Signal(len(a), name=f"term_{i}")
            magnitude = Mux(digit.one, single, Mux(digit.two, double, 0))
            sign = (a[-1] ^ digit.negative) & (digit.one | digit.two)
            m.d.comb += term.eq(Cat(magnitude, sign))
            terms.append(term)
        return terms

    def _double(self, m: Module, name: str, magnitude: Value) -> Value:
        """Place the double of a magnitude: zero and subnormals too, infinite beyond the largest."""
        found = FLOATS[self.config.format]
        field = magnitude[found.mantissa :]
        double = Signal(len(magnitude), name=name)
        m.d.comb += double.eq(
            Mux(
                field[1:].all(),
                found.infinity,
                Mux(
                    field.any(),
                    Cat(magnitude[: found.mantissa], (field + 1)[: found.exponent]),
                    magnitude << 1,
                ),
            )
        )
        return double


def _held(m: Module, name: str, value: Value) -> Value:
    """Place a register that only delays."""
    register = Signal(len(value), name=f"{name}_reg", reset_less=True)
    m.d.sync += register.eq(value)
    return register
