"""Multiplication of floats: what products by integer addition are compared with.

Source: IEEE 754-2019, multiplication; J.-M. Muller et al., "Handbook of Floating-Point Arithmetic".
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, flag
from pe.formats import FLOATS, Float, Specials, magnitude_parts, special
from pe.rounding import normalize, round_to_float
from pe.unit import Unit


class FloatMultiplierConfig(Config):
    """The formats of operands and product."""

    format: str = choice("format of the operands", lambda: FLOATS, default="e4m3")
    saturate: bool = flag(
        "a product beyond the largest finite number becomes that one, not infinity or NaN",
        default=True,
    )

    result: str = choice(
        "format of the product", lambda: ("same", "bf16", "fp16", "fp32"), default="same"
    )

    @property
    def product_format(self) -> Float:
        """Format of the product."""
        return FLOATS[self.format if self.result == "same" else self.result]

    @property
    def name(self) -> str:
        kind = self.format if self.result == "same" else f"{self.format}_to_{self.result}"
        return f"float_multiplier_{kind}{'' if self.saturate else '_unsaturated'}"


class FloatMultiplier(Unit):
    """Product of two floats, rounded to nearest even, subnormals included.

    Function unit, combinational: latency 0. NaN, and infinity times zero, give the positive quiet
    NaN; infinity times another number is infinite. A zero product has the sign of any other one.

    Members
    -------
    a, b : In(width)
        Codes of the format.
    product : Out(width)
        Code of the format of the product.
    """

    config: FloatMultiplierConfig

    def __init__(self, config: FloatMultiplierConfig) -> None:
        word = unsigned(FLOATS[config.format].width)
        product = unsigned(config.product_format.width)
        super().__init__(config, {"a": In(word), "b": In(word), "product": Out(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found, target = FLOATS[self.config.format], self.config.product_format
        exponents, significands = zip(
            *(magnitude_parts(m, name, getattr(self, name), found) for name in "ab"), strict=True
        )
        word = Signal(2 * len(significands[0]))
        m.d.comb += word.eq(significands[0] * significands[1])
        normalized, count = normalize(m, word)
        bias = 2 * found.bias - target.bias
        least = bias - 2 * ((1 << found.exponent) - 1)
        distance = Signal(range(least, max(1, bias - 1 + (1 << len(count)))))
        m.d.comb += distance.eq(count - (exponents[0] + exponents[1]) + bias)
        rounded = round_to_float(m, normalized, distance, target)

        nans, infinities = zip(*(special(x, found) for x in (self.a, self.b)), strict=True)
        infinite, beyond, nan, sign = Signal(), Signal(), Signal(), Signal()
        clipped = self.config.saturate or target.specials is Specials.NONE
        overflow = target.largest if clipped else target.largest + 1
        undefined = nans[0] | nans[1] | infinite & ~word.any()
        if not clipped and target.specials is Specials.NAN:
            undefined = undefined | beyond
        result = Signal(target.width - 1)
        m.d.comb += [
            infinite.eq(infinities[0] | infinities[1]),
            beyond.eq(rounded > target.largest),
            nan.eq(undefined),
            sign.eq(self.a[-1] ^ self.b[-1]),
            result.eq(Mux(infinite, target.infinity, Mux(beyond, overflow, rounded))),
            self.product.eq(Mux(nan, target.nan or 0, Cat(result, sign))),
        ]
        return m
