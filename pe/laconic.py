# amaranth: UnusedElaboratable=no
"""The PE of Laconic: products of bits of both operands.

Either operand is a sum of terms, signed powers of two: its non-zero canonical signed digits. A lane
multiplies a term of A by one of B in a cycle, which is an addition of exponents. All lanes' powers
of two stand in one bit heap, whose columns are the histogram of the exponents; it is added up and
then to a running sum, which like those of OPT3 and its kin is in carry-save form.

Source: S. Sharify et al., "Laconic Deep Learning Inference Acceleration" (ISCA 2019). Its terms are
those of a Booth encoding; canonical signed digits are fewer. A negative power of two counts as
its complement and 1, so that positive and negative terms need no histograms of their own.
"""

from typing import ClassVar, NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from pe.bit_slice import SlicePeConfig
from pe.encoders import CSD, csd_digits, digits
from pe.heap import BitHeap
from pe.unit import Unit


class Term(NamedTuple):
    """A signed power of two, or zero when not valid.

    Attributes
    ----------
    exponent
        Binary.
    negative, valid
        1 bit each.
    """

    exponent: Value
    negative: Value
    valid: Value


class OperandShape(NamedTuple):
    """An operand that is cut in terms: its width in bits, and whether it is two's complement."""

    width: int
    signed: bool

    @property
    def digits(self) -> int:
        """Canonical signed digits of an operand."""
        return digits(self.width, self.signed, CSD)

    @property
    def most_terms(self) -> int:
        """Most terms of an operand: no two neighbours are non-zero."""
        return (self.digits + 1) // 2

    @property
    def term_width(self) -> int:
        """Bits of a term."""
        return (self.digits - 1).bit_length() + 2

    def term(self, bits: Value) -> Term:
        """Take a term apart."""
        return Term(bits[:-2], bits[-2], bits[-1])


class LaconicConfig(SlicePeConfig):
    """Laconic: of each lane a term of A times a term of B in a cycle."""

    kind = "laconic"
    default_terms: ClassVar[int] = 16

    @property
    def operand_a(self) -> OperandShape:
        """Operand A as terms."""
        return OperandShape(self.width_a, self.signed_a)

    @property
    def operand_b(self) -> OperandShape:
        """Operand B as terms."""
        return OperandShape(self.width_b, self.signed_b)

    @property
    def most_steps(self) -> int:
        return self.operand_a.most_terms * self.operand_b.most_terms

    @property
    def largest_exponent(self) -> int:
        """Of a product of terms."""
        return self.operand_a.digits + self.operand_b.digits - 2

    @property
    def largest(self) -> int:
        return self.terms << self.largest_exponent

    @property
    def operands_width(self) -> int:
        return self.terms * self.operand_a.term_width

    @property
    def fetch_width(self) -> int:
        return self.terms * self.operand_b.term_width

    @property
    def select_width(self) -> int:
        return 0

    @property
    def product_width(self) -> int:
        """Bits of a product of terms."""
        return self.largest_exponent.bit_length() + 2

    @property
    def fetched_width(self) -> int:
        return self.terms * self.product_width

    def fetch(self, m: Module, operands: Value, controls: Value) -> Value:
        products = []
        for lane in range(self.terms):
            a = self.operand_a.term(operands.word_select(lane, self.operand_a.term_width))
            b = self.operand_b.term(controls.word_select(lane, self.operand_b.term_width))
            exponent = Signal(self.product_width - 2, name=f"exponent_{lane}")
            valid = Signal(name=f"valid_{lane}")
            m.d.comb += [exponent.eq(a.exponent + b.exponent), valid.eq(a.valid & b.valid)]
            products.append(Cat(exponent, (a.negative ^ b.negative) & valid, valid))
        return Cat(*products)

    def fill(self, m: Module, heap: BitHeap, fetched: Value, controls: Value) -> None:
        for lane in range(self.terms):
            bits = fetched.as_unsigned().word_select(lane, self.product_width)
            product = Term(bits[:-2], bits[-2], bits[-1])
            row = Signal(self.largest_exponent + 1, name=f"power_{lane}")
            m.d.comb += row.eq(
                Cat(
                    (_equals(product.exponent, exponent) & product.valid) ^ product.negative
                    for exponent in range(len(row))
                )
            )
            heap.add(Cat(row, product.negative).as_signed())
            heap.add_bit(product.negative, 0)


def _equals(value: Value, number: int) -> Value:
    return Cat(bit if number >> i & 1 else ~bit for i, bit in enumerate(value)).all()


class TermSerializer(Unit):
    """The terms of an operand one after the other, the lowest first.

    Members
    -------
    i_element : In(width)
        Operand.
    o_count : Out(most_terms)
        Of the operand a cycle before: bit i tells of more than i terms.
    i_load : In(1)
        Take the operand.
    i_step : In(1)
        Give a term; none is given where this is 0.
    i_drop : In(1)
        Go on to the term after that.
    i_restart : In(1)
        Begin with the first term again.
    o_term : Out(term_width)
        The term, in the cycle after.
    """

    config: OperandShape

    def __init__(self, config: OperandShape) -> None:
        super().__init__(
            config,
            {
                "i_element": In(config.width),
                "o_count": Out(config.most_terms),
                "i_load": In(1),
                "i_step": In(1),
                "i_drop": In(1),
                "i_restart": In(1),
                "o_term": Out(config.term_width),
            },
        )

    @property
    def name(self) -> str:
        return f"term_serializer_{'' if self.config.signed else 'u'}{self.config.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.config.digits
        codes = csd_digits(self.i_element, self.config.signed)
        incoming = Signal(count)
        signs = Signal(count)
        nonzero = Signal(count, reset_less=True)
        negative = Signal(count, reset_less=True)
        pending = Signal(count, reset_less=True)
        above = Signal(count - 1)
        lowest = Cat(pending[0], above)
        m.d.comb += [
            incoming.eq(Cat(digit.nonzero for digit in codes)),
            signs.eq(Cat(digit.negative for digit in codes)),
            above.eq(Cat(pending[i] & ~pending[:i].any() for i in range(1, count))),
        ]
        m.d.sync += self.o_count.eq(_unary_count(m, incoming))
        with m.If(self.i_load):
            m.d.sync += [nonzero.eq(incoming), negative.eq(signs), pending.eq(incoming)]
        with m.Elif(self.i_restart):
            m.d.sync += pending.eq(nonzero)
        with m.Elif(self.i_drop):
            m.d.sync += pending.eq(pending & ~lowest)
        exponent = [
            Cat(lowest[i] for i in range(count) if i >> bit & 1).any()
            for bit in range(self.config.term_width - 2)
        ]
        term = Cat(*exponent, (lowest & negative).any(), pending.any())
        m.d.sync += self.o_term.eq(term & self.i_step.replicate(len(term)))
        return m


def _unary_count(m: Module, nonzero: Value) -> Value:
    """Return the number of digits that are set, no two of them neighbours; unary."""
    count: list[Value] = []
    for i in range(0, len(nonzero), 2):
        one = nonzero[i : i + 2].any()
        level = Signal(len(count) + 1, name=f"count_{i}")
        m.d.comb += level.eq(
            Cat(old | (one & below) for old, below in zip([*count, 0], [1, *count], strict=True))
        )
        count = list(level)
    return Cat(*count)
