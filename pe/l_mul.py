"""Multiplication of floats by integer addition: Mitchell's logarithm, and L-Mul.

Sources: J. N. Mitchell, "Computer Multiplication and Division Using Binary Logarithms" (1962);
H. Luo, W. Sun, "Addition is All You Need for Energy-efficient Language Models", arXiv 2410.00907.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, flag, integer
from pe.formats import FLOATS, Specials, special
from pe.unit import Unit

NONE, PAPER, ULPS = "none", "paper", "ulps"
OFFSETS = (NONE, PAPER, ULPS)
ALWAYS, NONZERO, DIFFER = "always", "nonzero", "differ"
GATES = (ALWAYS, NONZERO, DIFFER)


class LMulConfig(Config):
    """The format, and what is added to the mantissas."""

    format: str = choice("format of operands and product", lambda: FLOATS, default="e4m3")
    offset: str = choice(
        "added to the mantissas: none is Mitchell's product, paper is L-Mul's offset",
        lambda: OFFSETS,
        default=NONE,
    )
    ulps: int = integer("offset=ulps: units of the last place", 0, (1 << 23) - 1, default=1)
    offset_when: str = choice(
        "always, where both mantissas are nonzero, or where besides their top bits differ",
        lambda: GATES,
        default=ALWAYS,
    )
    saturate: bool = flag(
        "a product beyond the largest finite number becomes that one, not infinity or NaN",
        default=True,
    )
    signed_zero: bool = flag("a product of zero has a sign", default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ulps >> FLOATS[self.format].mantissa:
            largest = (1 << FLOATS[self.format].mantissa) - 1
            raise ValueError(f"ulps: {self.ulps} is not in 0..{largest}, for format={self.format}")
        if self.offset != ULPS and self.ulps != self.__dataclass_fields__["ulps"].default:
            raise ValueError(
                f"ulps: {self.ulps} does not apply to offset={self.offset}; it does to offset=ulps"
            )

    @property
    def added(self) -> int:
        """Offset in units of the last place."""
        if self.offset != PAPER:
            return self.ulps if self.offset == ULPS else 0
        mantissa = FLOATS[self.format].mantissa
        return 1 if mantissa <= 3 else 1 << (mantissa - (3 if mantissa == 4 else 4))

    @property
    def name(self) -> str:
        fields = self.__dataclass_fields__
        texts = {
            "offset": self.offset if self.offset != ULPS else "",
            "ulps": f"ulps{self.ulps}",
            "offset_when": self.offset_when,
            "saturate": "unsaturated",
            "signed_zero": "unsigned_zero",
        }
        shown = [
            text
            for key, text in texts.items()
            if getattr(self, key) != fields[key].default or (key == "ulps" == self.offset)
        ]
        return "_".join(["l_mul", self.format, *filter(None, shown)])


class LMul(Unit):
    """Product of two floats by one integer addition: Mitchell's, or L-Mul's with its offset.

    Function unit, combinational: latency 0. Exponent and mantissa fields are added as one integer,
    less the bias. Operands and products below the least normal number count as zero. NaN, and
    infinity times zero, give the positive quiet NaN; infinity times another number is infinite.

    Members
    -------
    a, b : In(width)
    product : Out(width)
        Codes of the format.
    """

    config: LMulConfig

    def __init__(self, config: LMulConfig) -> None:
        word = unsigned(FLOATS[config.format].width)
        super().__init__(config, {"a": In(word), "b": In(word), "product": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        found = FLOATS[config.format]
        magnitudes = [x[:-1] for x in (self.a, self.b)]
        sign = Signal()
        total = Signal(signed(found.width + 1))
        zeros = Signal(2)
        m.d.comb += [
            sign.eq(self.a[-1] ^ self.b[-1]),
            zeros.eq(Cat(~x[found.mantissa :].any() for x in magnitudes)),
            total.eq(magnitudes[0] + magnitudes[1] + self._offset(magnitudes)),
        ]
        zero, beyond = Signal(), Signal()
        nans, infinities = zip(*(special(x, found) for x in (self.a, self.b)), strict=True)
        nan, infinite = Signal(), Signal()
        clipped = config.saturate or found.specials is Specials.NONE
        overflow = found.largest if clipped else found.largest + 1
        undefined = infinities[0] & zeros[1] | infinities[1] & zeros[0] | nans[0] | nans[1]
        if not clipped and found.specials is Specials.NAN:
            undefined = undefined | beyond
        result = Signal(found.width - 1)
        signs = sign if config.signed_zero else sign & (~zero | infinite)
        m.d.comb += [
            zero.eq(zeros.any() | (total < (1 << found.mantissa))),
            beyond.eq(~zero & (total > found.largest)),
            infinite.eq(infinities[0] | infinities[1]),
            nan.eq(undefined),
            result.eq(Mux(infinite, found.infinity, Mux(zero, 0, Mux(beyond, overflow, total)))),
            self.product.eq(Mux(nan, found.nan or 0, Cat(result, signs))),
        ]
        return m

    def _offset(self, magnitudes: list[Value]) -> Value:
        """Return what is added to the sum of exponent and mantissa fields."""
        config = self.config
        found = FLOATS[config.format]
        bias = found.bias << found.mantissa
        if not config.added or config.offset_when == ALWAYS:
            return Const(config.added - bias)
        x, y = (magnitude[: found.mantissa] for magnitude in magnitudes)
        gate = x.any() & y.any()
        if config.offset_when == DIFFER:
            gate = gate & (x[-1] ^ y[-1])
        return Mux(gate, config.added - bias, -bias)
