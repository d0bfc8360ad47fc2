"""Encoder of number formats: from a float to a narrower number, rounded to nearest.

Sources: those of `pe.formats`.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, flag
from pe.formats import FLOATS, FORMATS, Fixed, Float, Specials, special
from pe.unit import Unit

SOURCES = ("bf16", "fp16", "fp32")
TARGETS = tuple(name for name, found in FORMATS.items() if isinstance(found, Float | Fixed))


def normalized(m: Module, code: Value, found: Float) -> tuple[Value, Value]:
    """Place a normalizer of subnormals in `m`.

    Returns
    -------
    significand : Value
        Mantissa bits and one more, which is 1 but for zero.
    exponent : Value, signed
        Biased; below 1 where the number is subnormal.
    """
    width = found.mantissa + 1
    normal = code[found.mantissa : -1].any()
    word: Value = Cat(code[: found.mantissa], normal)
    counts: list[Value] = []
    for i in reversed(range((width - 1).bit_length())):
        empty = Signal(name=f"empty_{1 << i}")
        shifted = Signal(width, name=f"shifted_{1 << i}")
        m.d.comb += [
            empty.eq(~word[-(1 << i) :].any()),
            shifted.eq(Mux(empty, word << (1 << i), word)),
        ]
        counts.insert(0, empty)
        word = shifted
    exponent = Signal(signed(found.exponent + 1), name="exponent")
    m.d.comb += exponent.eq((code[found.mantissa : -1] | ~normal) - Cat(*counts))
    return word, exponent


class FormatEncoderConfig(Config):
    """From what to what is encoded."""

    source: str = choice("format of the operand", lambda: SOURCES, default="bf16")
    format: str = choice("format of the result", lambda: TARGETS, default="e4m3")
    saturate: bool = flag(
        "a result beyond the largest finite one becomes that one, not infinity or NaN",
        default=True,
    )

    @property
    def name(self) -> str:
        overflow = "" if self.saturate else "_unsaturated"
        return f"format_encoder_{self.source}_{self.format}{overflow}"


class FormatEncoder(Unit):
    """Encoder of a number format: a float rounded to nearest, ties to the even code.

    Function unit, combinational: latency 0. A format without NaN saturates in any case, and takes
    NaN for +0; others have one NaN, the positive quiet one. A float keeps the sign of a number
    that rounds to zero.

    Members
    -------
    a : In(width)
        A code of `source`.
    code : Out(width)
        A code of `format`.
    """

    config: FormatEncoderConfig

    def __init__(self, config: FormatEncoderConfig) -> None:
        source, target = FLOATS[config.source], FORMATS[config.format]
        super().__init__(
            config, {"a": In(unsigned(source.width)), "code": Out(unsigned(target.width))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, target = FLOATS[self.config.source], FORMATS[self.config.format]
        assert isinstance(target, Float | Fixed)
        significand, exponent = _significand(m, self.a, source, target)
        # How far the last place of the result is above where a number of the source's topmost
        # place in its own topmost place has it.
        fixed = isinstance(target, Fixed)
        keep = target.width if isinstance(target, Fixed) else target.mantissa + 1
        offset = source.bias + _least_exponent(target)
        shape = exponent.shape()
        least = 2 - (1 << source.mantissa.bit_length()) if shape.signed else 1
        distance = Signal(range(offset - (1 << source.exponent) + 1, offset - least + 1))
        amount = Signal(range(keep + 2))
        above = Signal(len(distance) - 1)
        m.d.comb += [
            distance.eq(offset - exponent),
            amount.eq(Mux(distance[-1], 0, Mux(distance > keep + 1, keep + 1, distance))),
            above.eq(Mux(distance[-1] & significand[-1], -distance, 0)),
        ]
        spare = max(0, keep - len(significand)) + keep + 1
        word = Signal(len(significand) + spare)
        m.d.comb += word.eq(Cat(Const(0, spare), significand) >> amount)
        kept, half, rest = word[-keep:], word[-keep - 1], word[: -keep - 1].any()

        lower = Signal(keep if fixed else max(keep, len(above) + keep - 1) + 1)
        rounded = Signal(len(lower) + 1)
        m.d.comb += [
            lower.eq(kept if fixed else (above << (keep - 1)) + kept),
            rounded.eq(lower + (half & (rest | lower[0]))),
        ]
        nan, infinite = special(self.a, source)
        beyond = Signal()
        sign = self.a[-1]
        if isinstance(target, Fixed):
            half_range = 1 << (target.width - 1)
            limit = Signal(target.width)
            magnitude = Signal(target.width)
            m.d.comb += [
                limit.eq(half_range - 1 + sign),
                beyond.eq(infinite | above.any() | (rounded > limit)),
                magnitude.eq(Mux(nan, 0, Mux(beyond, limit, rounded))),
                self.code.eq(Mux(sign, -magnitude, magnitude)),
            ]
            return m
        m.d.comb += beyond.eq(infinite | (rounded > target.largest))
        clipped = self.config.saturate or target.specials is Specials.NONE
        overflow = target.largest if clipped else target.largest + 1
        unsigned_nan = nan if clipped or target.specials is Specials.IEEE else nan | beyond
        result = Signal(target.width - 1)
        m.d.comb += [
            result.eq(Mux(nan, target.nan or 0, Mux(beyond, overflow, rounded))),
            self.code.eq(Cat(result, sign & ~unsigned_nan)),
        ]
        return m


def _least_exponent(target: Float | Fixed) -> int:
    """Exponent of a number whose topmost place is the topmost one of the least binade or word."""
    if isinstance(target, Fixed):
        return target.width - 1 - target.fraction
    return 1 - target.bias


def _significand(
    m: Module, code: Value, source: Float, target: Float | Fixed
) -> tuple[Value, Value]:
    """Return significand and biased exponent, normalized where a subnormal may not round to 0."""
    least = -target.fraction if isinstance(target, Fixed) else 1 - target.bias - target.mantissa
    if 1 - source.bias > least - 1:
        return normalized(m, code, source)
    exponent = code[source.mantissa : -1]
    normal = Signal(name="normal")
    m.d.comb += normal.eq(exponent.any())
    return Cat(code[: source.mantissa], normal), exponent | ~normal
