"""Digit encoders: an integer as a sum of small digits, each times a power of the radix.

Radix 4: modified Booth (digits -2 to 2, independent of each other) and EN-T (digits -1 to 2 of the
magnitude, so that the multiplicand needs no negated double). Radix 2: canonical signed digit (-1,
0, 1, no two neighbours non-zero) and the plain bits of two's complement.

`booth_digits` and its like build the digits inside another unit; the encoders are units of their
own. The code of a zero digit is zero in each of them.

Sources: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), arXiv 2503.06342; EN-T, arXiv 2404.11887; O. L.
MacSorley, "High-Speed Arithmetic in Binary Computers" (1961); G. W. Reitwiesner, "Binary
Arithmetic" (1960).
"""

from typing import ClassVar, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from pe.config import Config, flag, integer, nearest
from pe.unit import Unit

BOOTH, ENT, CSD, BITS = "booth", "ent", "csd", "bits"
ENCODERS = (BOOTH, ENT, CSD, BITS)


def digits(width: int, signed: bool, kind: str) -> int:
    """Return how many digits an operand of `width` bits has.

    Radix 4 takes half as many digits as bits, rounded up: an operand of odd width is extended by
    a bit. An unsigned operand whose top digit may carry has one more.

    Parameters
    ----------
    width
        Bits of the operand.
    signed
        It is two's complement.
    kind
        One of `ENCODERS`.

    Raises
    ------
    ValueError
        When there is no such encoder or no such width.
    """
    if kind not in ENCODERS:
        raise ValueError(
            f"kind: {kind!r} is not one of {', '.join(ENCODERS)}{nearest(kind, ENCODERS)}"
        )
    if width < 1:
        raise ValueError(f"width: {width} is not at least 1")
    if kind in (BOOTH, ENT):
        return (width + 1) // 2 if signed else width // 2 + 1
    return width + (kind == CSD and not signed)


class BoothDigit(NamedTuple):
    """A digit -2, -1, 0, 1 or 2; all zero when the digit is.

    Attributes
    ----------
    one, two
        1 bit each: the magnitude, at most one of them set.
    negative
        1 bit: the digit is below zero.
    """

    one: Value
    two: Value
    negative: Value


class SignedBit(NamedTuple):
    """A digit -1, 0 or 1; both bits zero when the digit is.

    Attributes
    ----------
    nonzero
        1 bit: the magnitude.
    negative
        1 bit: the digit is below zero.
    """

    nonzero: Value
    negative: Value


def booth_digits(value: Value, signed: bool) -> list[BoothDigit]:
    """Return the modified Booth digits of `value`, least significant first.

    Digit i is ``-2 * a[2i + 1] + a[2i] + a[2i - 1]``.

    Parameters
    ----------
    value
        The operand, any width.
    signed
        Its bits are two's complement, whatever its shape says.
    """
    return [BoothDigit(*bits) for bits in zip(*_booth_vectors(value, signed), strict=True)]


def _booth_vectors(value: Value, signed: bool) -> BoothDigit:
    """Return the code of all digits, a bit for each."""
    return _recoded(
        Cat(Const(0, 1), _extended(value, signed, 2 * digits(len(value), signed, BOOTH)))
    )


def booth_digits_above(overlap: Value, value: Value) -> list[BoothDigit]:
    """Return the modified Booth digits of ``value + overlap``, least significant first.

    Parameters
    ----------
    overlap
        1 bit: the top one of digits below.
    value
        An even number of bits, two's complement.
    """
    return [BoothDigit(*bits) for bits in zip(*_recoded(Cat(overlap, value)), strict=True)]


def _recoded(bits: Value) -> BoothDigit:
    """Return the code of all digits of an odd number of bits, the lowest below the first digit."""
    low, middle, high = bits[:-1:2], bits[1::2], bits[2::2]
    one = middle ^ low
    return BoothDigit(one, two=~one & (high ^ middle), negative=high & ~(middle & low))


def ent_digits(value: Value, signed: bool) -> tuple[list[Value], Value]:
    """Return the EN-T digits of the magnitude of `value`, least significant first, and its sign.

    A carry runs through the radix-4 digits g of the magnitude: ``g + carry`` of 3 becomes -1, of 4
    becomes 0, and either carries one on.

    Parameters
    ----------
    value
        The operand, any width.
    signed
        Its bits are two's complement, whatever its shape says.

    Returns
    -------
    codes : list of Value
        2 bits a digit: 0 zero, 1 plus one, 2 plus two, 3 minus one.
    sign : Value
        1 bit: the operand is below zero, and so counts each digit negated.
    """
    magnitude, sign = _magnitude(value, signed)
    groups = _extended(magnitude, False, 2 * digits(len(value), signed, ENT))
    codes = _ent_codes(groups, _ent_carries(groups))
    return [codes[i : i + 2] for i in range(0, len(codes), 2)], sign


def _magnitude(value: Value, signed: bool) -> tuple[Value, Value]:
    """Return the magnitude, as wide as the operand, and the sign."""
    bits = value.as_unsigned()
    if not signed:
        return bits, Const(0, 1)
    # That of the most negative operand needs all its bits.
    return Mux(bits[-1], (-bits)[: len(bits)], bits), bits[-1]


def _ent_carries(groups: Value) -> Value:
    """Return the carry out of each group of two bits but the last."""
    carry: Value = Const(0, 1)
    carries = []
    for i in range(0, len(groups) - 2, 2):
        low, high = groups[i], groups[i + 1]
        carry = (high & low) | (high & carry)
        carries.append(carry)
    return Cat(carries)


def _ent_codes(groups: Value, carries: Value) -> Value:
    """Return each group plus the carry of the one below, modulo 4."""
    incoming = Cat(Const(0, 1), carries)
    return groups ^ Cat(Cat(c, c & groups[2 * i]) for i, c in enumerate(incoming))


def ent_decode(code: Value, sign: Value) -> BoothDigit:
    """Return an EN-T digit with the operand's sign in it.

    Parameters
    ----------
    code
        2 bits, as `ent_digits` gives them.
    sign
        1 bit: the operand's sign.
    """
    low, high = code[0], code[1]
    return BoothDigit(one=low, two=high & ~low, negative=(low | high) & (sign ^ (low & high)))


def placed_ent_digits(m: Module, name: str, value: Value, signed: bool) -> list[BoothDigit]:
    """Place the EN-T recoding of `value`, and return its digits with the sign in them.

    As `ent_digits` and `ent_decode`, but each part stands once in `m`, whatever the width.

    Parameters
    ----------
    name
        End of the names of its signals.
    """
    count = digits(len(value), signed, ENT)
    magnitude = Signal(2 * count, name=f"magnitude_{name}")
    carry = Signal(count - 1, name=f"carry_{name}")
    code = Signal(2 * count, name=f"code_{name}")
    number, sign = _magnitude(value, signed)
    m.d.comb += [
        magnitude.eq(number),
        carry.eq(_ent_carries(magnitude)),
        code.eq(_ent_codes(magnitude, carry)),
    ]
    return [ent_decode(code[2 * i : 2 * i + 2], sign) for i in range(count)]


def multiple(
    m: Module, name: str, digit: BoothDigit, b: Value, signed_b: bool, double: bool = True
) -> Value:
    """Return ``digit * b``, less 1 where the digit is negative, in two's complement.

    It is a bit wider than `b` where digits may be `double`; where `b` is unsigned the digit's sign
    stands above that.
    """
    single = [*b]
    selected: list[Value] = [x & digit.one for x in single]
    if double:
        single.append(b[-1] if signed_b else Const(0, 1))
        shifted = [Const(0, 1), *single]
        selected = [
            (x & digit.one) | (y & digit.two) for x, y in zip(single, shifted, strict=False)
        ]
    row = Signal(len(selected), name=name)
    m.d.comb += row.eq(Cat(bit ^ digit.negative for bit in selected))
    return (row if signed_b else Cat(row, digit.negative)).as_signed()


def csd_digits(value: Value, signed: bool) -> list[SignedBit]:
    """Return the canonical signed digits of `value`, least significant first.

    They are those of ``(a + a // 2) - a // 2``, subtracted bit by bit; the carry chain is that of
    the addition.

    Parameters
    ----------
    value
        The operand, any width.
    signed
        Its bits are two's complement, whatever its shape says.
    """
    number = value.as_signed() if signed else value.as_unsigned()
    count = digits(len(value), signed, CSD)
    vectors = _csd(number >> 1, number + (number >> 1))
    return [SignedBit(*bits) for bits in zip(*(v[:count] for v in vectors), strict=True)]


def paired_csd_digits(value: Value, signed: bool) -> list[BoothDigit]:
    """Return the canonical signed digits of `value` two by two, as radix-4 digits -2 to 2.

    Of two neighbours one is zero, so that a pair is a Booth digit; there are as many.

    Parameters
    ----------
    value
        The operand, any width.
    signed
        Its bits are two's complement, whatever its shape says.
    """
    found = csd_digits(value, signed)
    zero = SignedBit(Const(0, 1), Const(0, 1))
    found += [zero] * (len(found) % 2)
    return [
        BoothDigit(low.nonzero, high.nonzero, low.negative | high.negative)
        for low, high in zip(found[::2], found[1::2], strict=True)
    ]


def _csd(half: Value, total: Value) -> SignedBit:
    """Return the code of all digits, a bit for each."""
    return SignedBit(nonzero=total ^ half, negative=half & ~total)


def bit_digits(value: Value, signed: bool) -> list[SignedBit]:
    """Return the bits of `value` as digits: the top one is negative when the operand is signed.

    Parameters
    ----------
    value
        The operand, any width.
    signed
        Its bits are two's complement, whatever its shape says.
    """
    *lower, top = value.as_unsigned()
    zero = Const(0, 1)
    return [*(SignedBit(bit, zero) for bit in lower), SignedBit(top, top if signed else zero)]


def _extended(value: Value, signed: bool, width: int) -> Value:
    """Return the bits of `value`, with its sign or zeros above them, `width` in all."""
    top = value[-1] if signed else Const(0, 1)
    return Cat(value.as_unsigned(), top.replicate(width - len(value)))


class EncoderConfig(Config):
    """The operand of an encoder."""

    kind: ClassVar[str]

    width: int = integer("bits of the operand", 2, 16, default=8)
    signed: bool = flag("the operand is two's complement", default=True)

    @property
    def digits(self) -> int:
        """How many digits the operand has."""
        return digits(self.width, self.signed, self.kind)

    @property
    def shape(self) -> Shape:
        """Shape of the operand."""
        return Shape(self.width, self.signed)

    @property
    def name(self) -> str:
        return f"{self.kind}_encoder_{'' if self.signed else 'u'}{self.width}"


class BoothConfig(EncoderConfig):
    """The operand of a modified Booth encoder."""

    kind = BOOTH


class EntConfig(EncoderConfig):
    """The operand of an EN-T encoder."""

    kind = ENT


class CsdConfig(EncoderConfig):
    """The operand of a canonical signed digit encoder."""

    kind = CSD


class BitConfig(EncoderConfig):
    """The operand of an encoder of plain bits."""

    kind = BITS


class BoothEncoder(Unit):
    """Modified Booth digits of an integer: radix 4, -2 to 2.

    Function unit, combinational: latency 0. Digit i is ``one[i] + 2 * two[i]``, negated where
    ``negative[i]``.

    Members
    -------
    a : In(shape)
    one, two, negative : Out(digits)
    """

    def __init__(self, config: BoothConfig) -> None:
        outputs = dict.fromkeys(BoothDigit._fields, Out(config.digits))
        super().__init__(config, {"a": In(config.shape), **outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, vector in _booth_vectors(self.a, self.config.signed)._asdict().items():
            m.d.comb += getattr(self, name).eq(vector)
        return m


class EntEncoder(Unit):
    """EN-T digits of an integer's magnitude: radix 4, -1 to 2; and its sign.

    Function unit, combinational: latency 0.

    Members
    -------
    a : In(shape)
    code : Out(2 * digits)
        2 bits a digit, from the low bits on: 0 zero, 1 plus one, 2 plus two, 3 minus one.
    sign : Out(1)
        The operand is below zero: each digit counts negated.
    """

    def __init__(self, config: EntConfig) -> None:
        members = {"a": In(config.shape), "code": Out(2 * config.digits), "sign": Out(1)}
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        magnitude = Signal(2 * self.config.digits)
        carry = Signal(self.config.digits - 1)
        value, sign = _magnitude(self.a, self.config.signed)
        m.d.comb += [
            self.sign.eq(sign),
            magnitude.eq(value),
            carry.eq(_ent_carries(magnitude)),
            self.code.eq(_ent_codes(magnitude, carry)),
        ]
        return m


class CsdEncoder(Unit):
    """Canonical signed digits of an integer: radix 2, -1 to 1, sparse.

    Function unit, combinational: latency 0.

    Members
    -------
    a : In(shape)
    nonzero, negative : Out(digits)
    """

    def __init__(self, config: CsdConfig) -> None:
        outputs = dict.fromkeys(SignedBit._fields, Out(config.digits))
        super().__init__(config, {"a": In(config.shape), **outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        half = self.a >> 1
        total = Signal(Shape(self.config.digits, self.config.signed))
        nonzero, negative = _csd(half, total)
        m.d.comb += [
            total.eq(self.a + half),
            self.nonzero.eq(nonzero),
            self.negative.eq(negative),
        ]
        return m


class BitEncoder(Unit):
    """Bits of an integer as digits: radix 2, the top one of a signed operand negative.

    Function unit, combinational: latency 0.

    Members
    -------
    a : In(shape)
    nonzero, negative : Out(digits)
    """

    def __init__(self, config: BitConfig) -> None:
        outputs = dict.fromkeys(SignedBit._fields, Out(config.digits))
        super().__init__(config, {"a": In(config.shape), **outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nonzero, negative = zip(*bit_digits(self.a, self.config.signed), strict=True)
        m.d.comb += [self.nonzero.eq(Cat(nonzero)), self.negative.eq(Cat(negative))]
        return m
