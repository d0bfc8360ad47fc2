"""Encoder of number formats: from a float to a narrower number, rounded to nearest.

Sources: those of `pe.formats`.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, flag
from pe.formats import FLOATS, FORMATS, Fixed, Float, Specials, special
from pe.rounding import align, nearest, normalize, round_to_float
from pe.unit import Unit

SOURCES = ("bf16", "fp16", "fp32")
TARGETS = tuple(name for name, found in FORMATS.items() if isinstance(found, Float | Fixed))


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
        offset = source.bias + _least_exponent(target)
        shape = exponent.shape()
        least = 2 - (1 << source.mantissa.bit_length()) if shape.signed else 1
        distance = Signal(range(offset - (1 << source.exponent) + 1, offset - least + 1))
        m.d.comb += distance.eq(offset - exponent)
        if isinstance(target, Fixed):
            self._to_integer(m, significand, distance, source, target)
        else:
            self._to_float(m, significand, distance, source, target)
        return m

    def _to_integer(
        self, m: Module, significand: Value, distance: Value, source: Float, target: Fixed
    ) -> None:
        nan, infinite = special(self.a, source)
        sign = self.a[-1]
        parts = align(m, significand, distance, target.width)
        rounded = nearest(m, parts.kept, parts.half, parts.rest)
        limit = Signal(target.width)
        beyond = Signal()
        magnitude = Signal(target.width)
        m.d.comb += [
            limit.eq((1 << (target.width - 1)) - 1 + sign),
            beyond.eq(infinite | parts.above.any() | (rounded > limit)),
            magnitude.eq(Mux(nan, 0, Mux(beyond, limit, rounded))),
            self.code.eq(Mux(sign, -magnitude, magnitude)),
        ]

    def _to_float(
        self, m: Module, significand: Value, distance: Value, source: Float, target: Float
    ) -> None:
        nan, infinite = special(self.a, source)
        rounded = round_to_float(m, significand, distance, target)
        clipped = self.config.saturate or target.specials is Specials.NONE
        overflow = target.largest if clipped else target.largest + 1
        beyond = Signal()
        unsigned_nan = nan if clipped or target.specials is Specials.IEEE else nan | beyond
        result = Signal(target.width - 1)
        m.d.comb += [
            beyond.eq(infinite | (rounded > target.largest)),
            result.eq(Mux(nan, target.nan or 0, Mux(beyond, overflow, rounded))),
            self.code.eq(Cat(result, self.a[-1] & ~unsigned_nan)),
        ]


def _least_exponent(target: Float | Fixed) -> int:
    """Exponent of a number whose topmost place is the topmost one of the least binade or word."""
    if isinstance(target, Fixed):
        return target.width - 1 - target.fraction
    return 1 - target.bias


def _significand(
    m: Module, code: Value, source: Float, target: Float | Fixed
) -> tuple[Value, Value]:
    """Return significand and biased exponent, normalized where a subnormal may not round to 0.

    The exponent is signed if they are normalized.
    """
    field = code[source.mantissa : -1]
    normal = Signal(name="normal")
    m.d.comb += normal.eq(field.any())
    word = Cat(code[: source.mantissa], normal)
    least = -target.fraction if isinstance(target, Fixed) else 1 - target.bias - target.mantissa
    if 1 - source.bias <= least - 1:
        return word, field | ~normal
    shifted, count = normalize(m, word)
    exponent = Signal(signed(source.exponent + 1), name="exponent")
    m.d.comb += exponent.eq((field | ~normal) - count)
    return shifted, exponent
