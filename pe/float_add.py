"""Addition of floats.

Source: IEEE 754-2019, addition; J.-M. Muller et al., "Handbook of Floating-Point Arithmetic".
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice
from pe.formats import FLOATS, Specials, magnitude_parts, special
from pe.rounding import normalize, round_to_float
from pe.unit import Unit

IEEE_FLOATS = tuple(name for name, found in FLOATS.items() if found.specials is Specials.IEEE)


class FloatAdderConfig(Config):
    """The format of operands and sum."""

    format: str = choice("format of operands and sum", lambda: IEEE_FLOATS, default="fp32")

    @property
    def name(self) -> str:
        return f"float_adder_{self.format}"


class FloatAdder(Unit):
    """Sum of two floats, rounded to nearest even, subnormals included.

    Function unit, combinational: latency 0. NaN, and infinities of both signs, give the positive
    quiet NaN; beyond the largest finite number the sum is infinite. A sum of zero is +0, unless
    both operands are -0.

    Members
    -------
    a, b : In(width)
    sum : Out(width)
        Codes of the format.
    """

    config: FloatAdderConfig

    def __init__(self, config: FloatAdderConfig) -> None:
        word = unsigned(FLOATS[config.format].width)
        super().__init__(config, {"a": In(word), "b": In(word), "sum": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = FLOATS[self.config.format]
        swap = Signal()
        upper, lower = Signal(found.width), Signal(found.width)
        m.d.comb += [
            swap.eq(self.a[:-1] < self.b[:-1]),
            upper.eq(Mux(swap, self.b, self.a)),
            lower.eq(Mux(swap, self.a, self.b)),
        ]
        exponent, significand = magnitude_parts(m, "upper", upper, found)
        smaller_exponent, smaller = magnitude_parts(m, "lower", lower, found)
        # Of what is shifted out, three places decide the rounding: the last one takes in all
        # below it. Where more than one place is lost, none of the first two can cancel.
        width = len(significand) + 3
        gap = Signal(found.exponent)
        shifted = Signal(2 * width)
        lost = Signal()
        aligned = Cat(lost, shifted[width + 1 :])
        subtract = Signal()
        total = Signal(width + 1)
        wide = Cat(Const(0, width + 3), smaller)
        m.d.comb += [
            gap.eq(exponent - smaller_exponent),
            shifted.eq(wide >> Mux(gap > width, width, gap)),
            lost.eq(shifted[: width + 1].any()),
            subtract.eq(upper[-1] ^ lower[-1]),
            total.eq((significand << 3) + Mux(subtract, -aligned, aligned)),
        ]
        normalized, count = normalize(m, total)
        distance = Signal(range(-(1 << found.exponent) + 1, 1 << len(count)))
        m.d.comb += distance.eq(count - exponent)
        rounded = round_to_float(m, normalized, distance, found)

        nans, infinities = zip(*(special(x, found) for x in (upper, lower)), strict=True)
        nan, infinite, sign = Signal(), Signal(), Signal()
        result = Signal(found.width - 1)
        m.d.comb += [
            nan.eq(nans[0] | nans[1] | infinities[0] & infinities[1] & subtract),
            infinite.eq(infinities[0] | infinities[1] | (rounded > found.largest)),
            sign.eq(Mux(total.any(), upper[-1], upper[-1] & lower[-1])),
            result.eq(Mux(nan, found.nan or 0, Mux(infinite, found.infinity, rounded))),
            self.sum.eq(Cat(result, sign & ~nan)),
        ]
        return m
