"""Multiplication of floats: what products by integer addition are compared with.

Source: IEEE 754-2019, multiplication; J.-M. Muller et al., "Handbook of Floating-Point Arithmetic".
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, flag
from pe.formats import FLOATS, Specials, magnitude_parts, special
from pe.rounding import normalize, round_to_float
from pe.unit import Unit


class FloatMultiplierConfig(Config):
    """The format of operands and product."""

    format: str = choice("format of operands and product", lambda: FLOATS, default="e4m3")
    saturate: bool = flag(
        "a product beyond the largest finite number becomes that one, not infinity or NaN",
        default=True,
    )

    @property
    def name(self) -> str:
        return f"float_multiplier_{self.format}{'' if self.saturate else '_unsaturated'}"


class FloatMultiplier(Unit):
    """Product of two floats, rounded to nearest even, subnormals included.

    Function unit, combinational: latency 0. NaN, and infinity times zero, give the positive quiet
    NaN; infinity times another number is infinite. A zero product has the sign of any other one.

    Members
    -------
    a, b : In(width)
    product : Out(width)
        Codes of the format.
    """

    config: FloatMultiplierConfig

    def __init__(self, config: FloatMultiplierConfig) -> None:
        word = unsigned(FLOATS[config.format].width)
        super().__init__(config, {"a": In(word), "b": In(word), "product": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = FLOATS[self.config.format]
        exponents, significands = zip(
            *(magnitude_parts(m, name, getattr(self, name), found) for name in "ab"), strict=True
        )
        word = Signal(2 * len(significands[0]))
        m.d.comb += word.eq(significands[0] * significands[1])
        normalized, count = normalize(m, word)
        least = found.bias - 2 * ((1 << found.exponent) - 1)
        distance = Signal(range(least, found.bias - 1 + (1 << len(count))))
        m.d.comb += distance.eq(count - (exponents[0] + exponents[1]) + found.bias)
        rounded = round_to_float(m, normalized, distance, found)

        nans, infinities = zip(*(special(x, found) for x in (self.a, self.b)), strict=True)
        infinite, beyond, nan, sign = Signal(), Signal(), Signal(), Signal()
        clipped = self.config.saturate or found.specials is Specials.NONE
        overflow = found.largest if clipped else found.largest + 1
        undefined = nans[0] | nans[1] | infinite & ~word.any()
        if not clipped and found.specials is Specials.NAN:
            undefined = undefined | beyond
        result = Signal(found.width - 1)
        m.d.comb += [
            infinite.eq(infinities[0] | infinities[1]),
            beyond.eq(rounded > found.largest),
            nan.eq(undefined),
            sign.eq(self.a[-1] ^ self.b[-1]),
            result.eq(Mux(infinite, found.infinity, Mux(beyond, overflow, rounded))),
            self.product.eq(Mux(nan, found.nan or 0, Cat(result, sign))),
        ]
        return m
