# amaranth: UnusedElaboratable=no
"""Weights as terms: a code of any low-bit format is a sum of few signed powers of two.

Sources: BitMoD (arXiv 2411.11745) for terms that number formats have in common; G. W. Reitwiesner,
"Binary Arithmetic" (1960). Exact integer sums, and the order of terms, are ours.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice
from pe.encoders import CSD, digits, paired_csd_digits
from pe.formats import FORMATS, Fixed, Float, Format, Powers, Specials, special
from pe.mx import largest_integer
from pe.unit import Unit


def _is_cut(found: Format) -> bool:
    match found:
        case Powers():
            return True
        case Fixed():
            return not found.fraction and 4 <= found.width <= 8
        case Float():
            return found.width <= 8
    return False


TERM_FORMATS = {
    name: found
    for name, found in FORMATS.items()
    if isinstance(found, Fixed | Float | Powers) and _is_cut(found)
}
"""Formats whose codes are cut in terms."""


def largest_number(found: Fixed | Float | Powers) -> int:
    """Return the largest magnitude of a finite number, in units of the least one above zero."""
    if isinstance(found, Powers):
        return found.terms << found.term.largest_shift
    return largest_integer(found)


def most_terms(found: Fixed | Float | Powers) -> int:
    """Return how many terms a code has at most."""
    match found:
        case Fixed():
            return (digits(found.width, True, CSD) + 1) // 2
        case Powers():
            return found.terms
    return (digits(found.mantissa + 1, False, CSD) + 1) // 2 if found.mantissa else 1


def largest_exponent(found: Fixed | Float | Powers) -> int:
    """Return the largest exponent of a term."""
    match found:
        case Fixed():
            return found.width - 1
        case Powers():
            return found.term.largest_shift
    finite = found.largest_shift - (found.specials is Specials.IEEE)
    return finite + (digits(found.mantissa + 1, False, CSD) - 1 if found.mantissa else 0)


def shift_bits(found: Fixed | Float | Powers) -> int:
    """Return the bits of an exponent."""
    return max(1, largest_exponent(found).bit_length())


class _Term(NamedTuple):
    """A term of a code, or none.

    Attributes
    ----------
    nonzero, negative
        1 bit each; the second counts only with the first.
    exponent
        Beside the shift of the whole code.
    """

    nonzero: Value
    negative: Value
    exponent: Value


class TermEncoderConfig(Config):
    """The format whose codes are cut in terms."""

    format: str = choice("number format", lambda: TERM_FORMATS, default="int8")

    @property
    def found(self) -> Fixed | Float | Powers:
        """The format itself."""
        return TERM_FORMATS[self.format]

    @property
    def most_terms(self) -> int:
        """Terms of a code at most."""
        return most_terms(self.found)

    @property
    def shift_bits(self) -> int:
        """Bits of an exponent."""
        return shift_bits(self.found)

    @property
    def name(self) -> str:
        return f"term_encoder_{self.format}"


class TermEncoder(Unit):
    """Terms of a code, signed powers of two, those that are not zero first.

    Function unit, combinational: latency 0. Of integers and of significands they are the
    canonical signed digits, the lowest first; of a sum of powers the powers, in their order.

    Members
    -------
    a : In(width)
        A code.
    shift : Out(most_terms * shift_bits)
        Exponents, that of the first term in the low bits; 0 where there is no term.
    negative, nonzero : Out(most_terms)
        Bit i: term i is below zero; there is a term i.
    last : Out(most_terms)
        One bit: the last term, of zero the first.
    nonfinite : Out(1)
        The code is NaN or infinity, and has no terms.
    """

    config: TermEncoderConfig

    def __init__(self, config: TermEncoderConfig) -> None:
        vectors = dict.fromkeys(("negative", "nonzero", "last"), Out(config.most_terms))
        super().__init__(
            config,
            {
                "a": In(unsigned(config.found.width)),
                "shift": Out(unsigned(config.most_terms * config.shift_bits)),
                **vectors,
                "nonfinite": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        base: Value = Const(0, 1)
        match config.found:
            case Powers(term=term):
                width = term.width
                parts = [self.a[i : i + width] for i in range(0, len(self.a), width)]
                found = [_power(part) for part in parts]
            case Float(mantissa=0):
                found = [_power(self.a)]
            case Float() as float_format:
                found, base = self._of_float(m, float_format)
            case _:
                found = _pairs(self.a, True, Const(0, 1))
        slots = _packed(m, found, config.most_terms)
        shifts = []
        for i, slot in enumerate(slots):
            shift = Signal(config.shift_bits, name=f"shift_{i}")
            m.d.comb += shift.eq(slot.exponent + Mux(slot.nonzero, base, 0))
            shifts.append(shift)
        nonzero = Cat(slot.nonzero for slot in slots)
        following = Cat(nonzero[1:], Const(0, 1))
        m.d.comb += [
            self.shift.eq(Cat(*shifts)),
            self.negative.eq(Cat(slot.negative for slot in slots)),
            self.nonzero.eq(nonzero),
            self.last.eq(Cat(nonzero[0] | ~following[0], nonzero[1:]) & ~following),
        ]
        return m

    def _of_float(self, m: Module, found: Float) -> tuple[list[_Term], Value]:
        """Place what takes a float apart; return the terms of its significand, and the shift."""
        field = self.a[found.mantissa : -1]
        normal = Signal()
        nan, infinite = special(self.a, found)
        significand = Signal(found.mantissa + 1)
        base = Signal(found.exponent)
        m.d.comb += [
            normal.eq(field.any()),
            self.nonfinite.eq(nan | infinite),
            significand.eq(Mux(self.nonfinite, 0, Cat(self.a[: found.mantissa], normal))),
            base.eq(field - normal),
        ]
        return _pairs(significand, False, self.a[-1]), base


def _power(code: Value) -> _Term:
    """Return the term of a power of two."""
    exponent = code[:-1]
    width = max(1, ((1 << len(exponent)) - 2).bit_length())
    return _Term(exponent.any(), code[-1], (exponent - 1)[:width])


def _pairs(number: Value, is_signed: bool, sign: Value) -> list[_Term]:
    """Return the terms of an integer; of two neighbours of its digits one is zero."""
    return [
        _Term(digit.one | digit.two, digit.negative ^ sign, Cat(digit.two, Const(i, range(i + 1))))
        for i, digit in enumerate(paired_csd_digits(number, is_signed))
    ]


def _packed(m: Module, found: list[_Term], count: int) -> list[_Term]:
    """Place a network that moves terms before those that are zero, and return `count` of them."""
    # One-hot: how many there are below.
    below: Value = Const(1, 1)
    chosen: list[Value] = []
    for place, term in enumerate(found):
        width = min(place + 1, count)
        choice = Signal(width, name=f"choice_{place}")
        m.d.comb += choice.eq(below & term.nonzero.replicate(width))
        chosen.append(choice)
        if place + 1 < len(found):
            next_below = Signal(min(place + 2, count), name=f"below_{place + 1}")
            m.d.comb += next_below.eq(Mux(term.nonzero, below << 1, below))
            below = next_below
    width = max(len(term.exponent) for term in found)
    slots = []
    for i in range(count):
        # Before term i there are no i others.
        picks = [(choice[i], term) for choice, term in zip(chosen[i:], found[i:], strict=True)]
        exponent = [
            Cat(pick & term.exponent[bit] for pick, term in picks if bit < len(term.exponent)).any()
            for bit in range(width)
        ]
        slots.append(
            _Term(
                Cat(pick for pick, _ in picks).any(),
                Cat(pick & term.negative for pick, term in picks).any(),
                Cat(*exponent),
            )
        )
    return slots
