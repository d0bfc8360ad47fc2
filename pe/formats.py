"""Number formats of operands, and their decoder.

A decoder takes a code apart into a signed significand and a left shift, so that exact integer
arithmetic goes on from there: the value is ``significand * 2**shift`` in units of the least value
above zero that the format has.

Sources: "OCP 8-bit Floating Point Specification" 1.0; "OCP Microscaling Formats (MX)
Specification" 1.0; IEEE 754-2019; M. Elhoushi et al., "DeepShift", arXiv 1905.13298.
"""

from enum import Enum
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice
from pe.unit import Unit


class Specials(Enum):
    """Which codes of a float are not finite numbers."""

    NONE = "none"
    NAN = "magnitude of all ones is NaN"
    IEEE = "exponent of all ones is infinity or NaN"


class Float(NamedTuple):
    """Sign, exponent field, mantissa field, the sign at the top.

    Attributes
    ----------
    exponent, mantissa
        Bits of the fields. Exponent field 0 is zero and the subnormals.
    bias
        Of the exponent.
    specials
        Codes that are not finite numbers.
    """

    exponent: int
    mantissa: int
    bias: int
    specials: Specials

    @property
    def width(self) -> int:
        """Bits of a code."""
        return 1 + self.exponent + self.mantissa

    @property
    def significand(self) -> Shape:
        """Shape of a decoded significand."""
        return signed(self.mantissa + 2)

    @property
    def largest_shift(self) -> int:
        """That of the topmost exponent, whether its codes are finite or not."""
        return (1 << self.exponent) - 2

    @property
    def infinity(self) -> int:
        """Magnitude of infinity in an IEEE format."""
        return ((1 << self.exponent) - 1) << self.mantissa

    @property
    def nan(self) -> int | None:
        """Canonical NaN, positive and quiet; none where the format has no NaN."""
        if self.specials is Specials.NONE:
            return None
        if self.specials is Specials.NAN:
            return (1 << (self.width - 1)) - 1
        return self.infinity | (1 << self.mantissa >> 1)

    @property
    def largest(self) -> int:
        """Magnitude of the largest finite number."""
        if self.specials is Specials.IEEE:
            return self.infinity - 1
        return (1 << (self.width - 1)) - (1 if self.specials is Specials.NONE else 2)


class Fixed(NamedTuple):
    """Two's complement, the last place of which is ``2**-fraction``."""

    width: int
    fraction: int = 0

    @property
    def significand(self) -> Shape:
        """Shape of a decoded significand."""
        return signed(self.width)

    @property
    def largest_shift(self) -> int:
        """An integer is not shifted."""
        return 0


class Powers(NamedTuple):
    """Signed powers of two side by side, which are added; each a float without a mantissa."""

    term: Float
    terms: int

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.term.width * self.terms

    @property
    def significand(self) -> Shape:
        """Shape of the sum, in units of the least power."""
        return signed((self.terms << self.term.largest_shift).bit_length() + 1)

    @property
    def largest_shift(self) -> int:
        """The terms are shifted, their sum is not."""
        return 0


class Scale(NamedTuple):
    """An exponent alone, biased by 127; all ones is NaN."""

    width: int = 8

    @property
    def significand(self) -> Shape:
        """Shape of the 1 that is shifted."""
        return signed(2)

    @property
    def largest_shift(self) -> int:
        """NaN included."""
        return (1 << self.width) - 1


Format = Float | Fixed | Powers | Scale


def _power(width: int) -> Float:
    """Signed power of two of at most 1."""
    return Float(width - 1, 0, (1 << (width - 1)) - 1, Specials.NONE)


FLOATS: dict[str, Float] = {
    "e4m3": Float(4, 3, 7, Specials.NAN),
    "e5m2": Float(5, 2, 15, Specials.IEEE),
    "e3m2": Float(3, 2, 3, Specials.NONE),
    "e2m3": Float(2, 3, 1, Specials.NONE),
    "e2m1": Float(2, 1, 1, Specials.NONE),
    "bf16": Float(8, 7, 127, Specials.IEEE),
    "fp16": Float(5, 10, 15, Specials.IEEE),
    "fp32": Float(8, 23, 127, Specials.IEEE),
}
"""Floats that have a mantissa, by name."""

FORMATS: dict[str, Format] = {
    **FLOATS,
    "mxint8": Fixed(8, 6),
    "e8m0": Scale(),
    **{f"pot{width}": _power(width) for width in range(2, 6)},
    **{f"pot{width}x{n}": Powers(_power(width), n) for width in range(2, 6) for n in (2, 3)},
    **{f"int{width}": Fixed(width) for width in range(2, 17)},
}
"""Every format, by name."""


class Decoded(NamedTuple):
    """Parts of a code.

    Attributes
    ----------
    significand
        Signed, of the format's shape. Of infinity and NaN, what their fields would be worth if
        they were finite.
    shift
        At least 0, at most `largest_shift`.
    negative
        1 bit: the sign, also of zero.
    nan, infinite
        1 bit each.
    """

    significand: Value
    shift: Value
    negative: Value
    nan: Value
    infinite: Value


def decode(m: Module, name: str, code: Value, found: Format) -> Decoded:
    """Place the decoder of `code` in `m`, and return its parts.

    Parameters
    ----------
    name
        End of the names of its signals.
    code
        As many bits as the format has.
    """
    zero = Const(0, 1)
    match found:
        case Fixed():
            return Decoded(code.as_signed(), zero, code[-1], zero, zero)
        case Scale():
            return Decoded(Const(1, signed(2)), code, zero, code.all(), zero)
        case Powers():
            total = Signal(found.significand, name=f"total_{name}")
            terms: list[Value] = []
            for i in range(found.terms):
                bits = code[found.term.width * i : found.term.width * (i + 1)]
                term = decode(m, f"{name}_{i}", bits, found.term)
                terms.append(term.significand << term.shift)
            m.d.comb += total.eq(sum(terms[1:], terms[0]))
            return Decoded(total, zero, total[-1], zero, zero)
    exponent = code[found.mantissa : -1]
    normal = Signal(name=f"normal_{name}")
    shift = Signal(found.exponent, name=f"shift_{name}")
    significand = Signal(found.significand, name=f"significand_{name}")
    magnitude = Cat(code[: found.mantissa], normal)
    m.d.comb += [
        normal.eq(exponent.any()),
        shift.eq(exponent - normal),
        significand.eq(Mux(code[-1], -magnitude, magnitude)),
    ]
    return Decoded(significand, shift, code[-1], *special(code, found))


def special(code: Value, found: Float) -> tuple[Value, Value]:
    """Return whether a float is NaN, and whether it is infinite, 1 bit each."""
    if found.specials is Specials.NONE:
        return Const(0, 1), Const(0, 1)
    if found.specials is Specials.NAN:
        return code[:-1].all(), Const(0, 1)
    topmost, fraction = code[found.mantissa : -1].all(), code[: found.mantissa].any()
    return topmost & fraction, topmost & ~fraction


def magnitude_parts(m: Module, name: str, code: Value, found: Float) -> tuple[Value, Value]:
    """Return biased exponent, at least 1, and significand with its hidden bit."""
    field = code[found.mantissa : -1]
    normal = Signal(name=f"normal_{name}")
    m.d.comb += normal.eq(field.any())
    return field | ~normal, Cat(code[: found.mantissa], normal)


class FormatDecoderConfig(Config):
    """The format that is decoded."""

    format: str = choice("number format", lambda: FORMATS, default="e4m3")

    @property
    def name(self) -> str:
        return f"format_decoder_{self.format}"


class FormatDecoder(Unit):
    """Decoder of a number format: signed significand, shift, and what is special.

    Function unit, combinational: latency 0. The value is ``significand * 2**shift`` in units of
    the least value above zero; of a scale, ``2**-127``.

    Members
    -------
    a : In(width)
        A code.
    significand : Out, signed
        Of a float two bits more than its mantissa has; of an integer the integer.
    shift : Out
        Of a float as wide as its exponent; 1 bit, always 0, where nothing is shifted.
    negative : Out(1)
        The sign, also of zero.
    nan, infinite : Out(1)
        Then `significand` and `shift` are those of the fields.
    """

    config: FormatDecoderConfig

    def __init__(self, config: FormatDecoderConfig) -> None:
        found = FORMATS[config.format]
        shift = max(1, found.largest_shift.bit_length())
        flags = dict.fromkeys(("negative", "nan", "infinite"), Out(1))
        super().__init__(
            config,
            {
                "a": In(unsigned(found.width)),
                "significand": Out(found.significand),
                "shift": Out(unsigned(shift)),
                **flags,
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts = decode(m, "a", self.a, FORMATS[self.config.format])
        for port, value in parts._asdict().items():
            m.d.comb += getattr(self, port).eq(value)
        return m
