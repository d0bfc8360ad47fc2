# amaranth: UnusedElaboratable=no
"""Product of an integer and a float32.

Source: IEEE 754-2019, multiplication.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, integer
from pe.formats import FLOATS, special
from pe.rounding import normalize, round_to_float
from pe.unit import Unit

RESULT = FLOATS["fp32"]

WIDEST = 2 + RESULT.mantissa
"""Bits of an integer, its sign included, so that float32 holds all of them exactly."""


class FloatScaleConfig(Config):
    """The integer, two's complement."""

    width: int = integer("bits of the integer", 2, WIDEST, default=20)

    @property
    def name(self) -> str:
        return f"float_scale_{self.width}"


class FloatScale(Unit):
    """Product of an integer and a float32, rounded to nearest even, subnormals included.

    Combinational: latency 0. NaN, and zero times infinity, give the positive quiet NaN; beyond the
    largest finite number the product is infinite. Zero times a negative float is -0.

    Members
    -------
    a : In(signed(width))
    b : In(32)
        Code of float32.
    product : Out(32)
        Code of float32.
    """

    config: FloatScaleConfig

    def __init__(self, config: FloatScaleConfig) -> None:
        word = unsigned(RESULT.width)
        members = {"a": In(signed(config.width)), "b": In(word), "product": Out(word)}
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        field = self.b[RESULT.mantissa : -1]
        normal = Signal()
        magnitude = Signal(self.config.width)
        significand = Signal(RESULT.mantissa + 1)
        word = Signal(len(magnitude) + len(significand))
        m.d.comb += [
            normal.eq(field.any()),
            magnitude.eq(Mux(self.a[-1], -self.a, self.a)),
            significand.eq(Cat(self.b[: RESULT.mantissa], normal)),
            word.eq(magnitude * significand),
        ]
        normalized, count = normalize(m, word)
        # The last place of the word is worth as much as that of the significand.
        above = len(word) - 1 - RESULT.mantissa
        distance = Signal(range(-above - (1 << RESULT.exponent), 1 << len(count)))
        m.d.comb += distance.eq(count - (field | ~normal) + 1 - above)
        rounded = round_to_float(m, normalized, distance, RESULT)

        is_nan, is_infinite = special(self.b, RESULT)
        nan = Signal()
        infinite = Signal()
        result = Signal(RESULT.width - 1)
        m.d.comb += [
            nan.eq(is_nan | is_infinite & ~self.a.any()),
            # An infinite float is as one beyond the largest.
            infinite.eq(rounded > RESULT.largest),
            result.eq(Mux(nan, RESULT.nan or 0, Mux(infinite, RESULT.infinity, rounded))),
            self.product.eq(Cat(result, (self.a[-1] ^ self.b[-1]) & ~nan)),
        ]
        return m
