# amaranth: UnusedElaboratable=no
"""PEs whose operands are codes: a product is a row that is added or subtracted.

ternary
    B is 0, 1 or -1: A is added, subtracted or left out.
shift
    B is a signed power of two: A is shifted.
fp4
    Both are FP4 E2M1 numbers, on a grid of halves: a product is one of few magnitudes.
w4a16
    A is FP16, B a small integer: the significand times B is shifted by the exponent.

A row of a product of sign s is ``magnitude ^ s``, and s itself is the carry into the adder, so that
nothing is negated by an adder of its own.

Sources: MatMul-free LM (arXiv 2406.02528); DeepShift, ShiftAddViT (arXiv 2306.06446); OCP
Microscaling Formats 1.0. Exact integer sums, and the forms of the codes, are ours.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.config import same_as
from pe.element import INTEGER, Ends, PeConfig
from pe.fp16_product import GREATEST, LARGEST_SHIFT, fp16_product
from pe.heap import BitHeap
from pe.primitives import Placed, Primitive, Scope
from pe.share import share
from pe.unit import Unit

TERNARY, POWER_OF_TWO, E2M1, HALF = "ternary", "pot", "e2m1", "fp16"

E2M1_GREATEST = 12
"""Twice the greatest FP4 E2M1 number."""


class Row(NamedTuple):
    """A product, or a part of one, in two parts, which add up to it.

    Attributes
    ----------
    value
        Two's complement.
    negative
        1 bit.
    weight
        Of both, as an exponent of 2.
    """

    value: Value
    negative: Value
    weight: int = 0


class CodedConfig(PeConfig):
    """Base of the PEs whose operands are codes."""

    bit_weights = 1

    def __post_init__(self) -> None:
        for name in ("signed_a", "signed_b"):
            if self.is_coded(name[-1]) and not getattr(self, name):
                raise ValueError(f"{name}: False is not true, all that pe={self.kind} allows")
        super().__post_init__()

    def is_coded(self, operand: str) -> bool:
        """Tell whether operand ``"a"`` or ``"b"`` is a code and no integer."""
        formats = {"a": self.format_a, "b": self.format_b}
        return formats[operand] != INTEGER

    @property
    def a_shape(self) -> Shape:
        return unsigned(self.width_a) if self.is_coded("a") else super().a_shape

    @property
    def b_shape(self) -> Shape:
        return unsigned(self.width_b) if self.is_coded("b") else super().b_shape

    @property
    def primitives(self) -> tuple[Placed, ...]:
        several = self.terms > self.code_terms
        reduce = [Placed(Primitive.HALF_REDUCE, Scope.STEP)] if several else []
        return (Placed(Primitive.MAP, Scope.TERM), *reduce, Placed(Primitive.ADD, Scope.STEP))

    @property
    def units(self) -> tuple[Unit, ...]:
        return (CodedStep(self),)

    def step(self, m: Module, platform: object, a: Value, b: Value, addend: Value) -> Value:
        total = Signal(self.state_shape)
        share(m, platform, "step", CodedStep, self, a=a, b=b, addend=addend, sum=total)
        return total

    def rows(self, m: Module, a: Value, b: Value) -> list[Row]:
        """Return what adds up to the product of a code of A and one of B."""
        return [self.row(m, a, b)]

    def row(self, m: Module, a: Value, b: Value) -> Row:
        """Return the product of a code of A and one of B."""
        raise NotImplementedError


class TernaryConfig(CodedConfig):
    """B is -1, 0 or 1: bit 0 of its code says that it is not zero, bit 1 that it is below zero."""

    kind = "ternary"
    allowed_widths = (range(2, 17), range(2, 3))
    format_b = TERNARY

    width_b: int = same_as(PeConfig, "width_b", default=2)

    @classmethod
    def ends_b(cls, _shape: Shape, /) -> Ends:
        return -1, 1

    @property
    def meanings(self) -> dict[str, str]:
        return {"b": "0, 1, 0, -1 for codes 0 to 3"}

    def row(self, m: Module, a: Value, b: Value) -> Row:
        nonzero, negative = b[0], b[0] & b[1]
        bits = (a ^ b[1].replicate(len(a))) & nonzero.replicate(len(a))
        # The sign of an unsigned operand that is subtracted.
        return Row((bits if self.signed_a else Cat(bits, negative)).as_signed(), negative)


class ShiftConfig(CodedConfig):
    """B is a signed power of two or zero.

    The top bit of its code is the sign, the others are e: 2**(e - 1) counted in the least power,
    or zero where e is 0.
    """

    kind = "shift"
    allowed_widths = (range(2, 17), range(2, 6))
    format_b = POWER_OF_TWO

    width_b: int = same_as(PeConfig, "width_b", default=5)

    @classmethod
    def ends_b(cls, shape: Shape, /) -> Ends:
        greatest = 1 << _top_exponent(shape.width)
        return -greatest, greatest

    @property
    def meanings(self) -> dict[str, str]:
        top = _top_exponent(self.width_b)
        return {
            "b": f"top bit the sign, the others e: 2^(e - 1), or 0 for e = 0; up to 2^{top}",
        }

    def row(self, m: Module, a: Value, b: Value) -> Row:
        exponent, sign = b[:-1], b[-1]
        negative = sign & exponent.any()
        number = a.as_signed() if self.signed_a else Cat(a, Const(0, 1)).as_signed()
        # Gated before it is shifted; the sign of A then stands for bits above.
        operand = Signal(number.shape(), name="operand")
        shifted = Signal(len(number) + _top_exponent(self.width_b), name="shifted")
        below = Signal(name="unused_place")
        m.d.comb += [
            operand.eq(Mux(exponent.any(), number, 0)),
            Cat(below, shifted).eq(operand << exponent),
        ]
        return Row((shifted ^ negative.replicate(len(shifted))).as_signed(), negative)


class Fp4Config(CodedConfig):
    """Both operands are FP4 E2M1 numbers; sums count quarters."""

    kind = "fp4"
    allowed_widths = (range(4, 5), range(4, 5))
    format_a = E2M1
    format_b = E2M1

    width_a: int = same_as(PeConfig, "width_a", default=4)
    width_b: int = same_as(PeConfig, "width_b", default=4)

    @classmethod
    def ends_a(cls, _shape: Shape, /) -> Ends:
        return -E2M1_GREATEST, E2M1_GREATEST

    @classmethod
    def ends_b(cls, shape: Shape, /) -> Ends:
        return cls.ends_a(shape)

    @property
    def meanings(self) -> dict[str, str]:
        return dict.fromkeys("ab", "FP4 E2M1, the sign in the top bit") | {"c": "counts quarters"}

    def row(self, m: Module, a: Value, b: Value) -> Row:
        magnitude = Signal(8, name="magnitude")
        negative = a[3] ^ b[3]
        (number_a, shift_a), (number_b, shift_b) = _significand(a), _significand(b)
        m.d.comb += magnitude.eq((number_a * number_b) << (shift_a + shift_b))
        row = Cat(magnitude, Const(0, 1)) ^ negative.replicate(9)
        return Row(row.as_signed(), negative)


class W4A16Config(CodedConfig):
    """A is FP16, B an integer of few bits; sums count 2**-24 and are exact.

    Infinite and NaN elements of A count as zero.
    """

    kind = "w4a16"
    allowed_widths = (range(16, 17), range(2, 9))
    format_a = HALF

    width_a: int = same_as(PeConfig, "width_a", default=16)
    width_b: int = same_as(PeConfig, "width_b", default=4)
    width_acc: int = same_as(PeConfig, "width_acc", default=51)

    @classmethod
    def ends_a(cls, _shape: Shape, /) -> Ends:
        return -GREATEST, GREATEST

    @property
    def meanings(self) -> dict[str, str]:
        return {"a": "FP16; infinity and NaN count as zero", "c": "counts 2^-24"}

    def row(self, m: Module, a: Value, b: Value) -> Row:
        product = fp16_product(m, a, b, self.signed_b)
        row = Signal(signed(len(product.value) + LARGEST_SHIFT), name="row")
        m.d.comb += row.eq(product.value << product.shift)
        return Row(row, Const(0, 1))


def _significand(code: Value) -> tuple[Value, Value]:
    """Return what is shifted to make the magnitude of an E2M1 number, and by how much."""
    mantissa, exponent = code[0], code[1:3]
    return Cat(mantissa, exponent.any()), Mux(exponent.any(), exponent - 1, 0)[:2]


def _top_exponent(width: int) -> int:
    """Return the greatest exponent of a power-of-two code on the grid of the least."""
    return (1 << (width - 1)) - 2


class CodedStep(Unit):
    """One accumulation step of a PE whose operands are codes.

    Combinational: ``sum = addend + a * b`` modulo ``2**width_acc``, products of all terms added.

    Members
    -------
    a, b : In(a_port), In(b_port)
        Operands.
    addend, sum : In(state_shape), Out(state_shape)
        Running sum, before and after.
    """

    config: CodedConfig

    def __init__(self, config: CodedConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_port),
                "b": In(config.b_port),
                "addend": In(config.state_shape),
                "sum": Out(config.state_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"step_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = self.config
        rows: list[Row] = []
        for i in range(pe.terms // pe.code_terms):
            a = self.a.as_unsigned().word_select(i, pe.code_width)
            b = self.b.as_unsigned().word_select(i, pe.code_width_b)
            rows += pe.rows(m, a, b)
        if len(rows) == 1:
            # The carry-in, as a column below the lowest.
            (row,) = rows
            below = Signal(name="unused_place")
            extended = Cat(row.value, row.value[-1].replicate(pe.width_acc))[: pe.width_acc]
            total = Cat(row.negative, extended) + Cat(Const(1, 1), self.addend)
            m.d.comb += Cat(below, self.sum).eq(total)
            return m
        heap = BitHeap(pe.width_acc)
        heap.add(self.addend.as_unsigned())
        for row in rows:
            heap.add(row.value, row.weight)
            heap.add_bit(row.negative, row.weight)
        heap.reduce(m)
        m.d.comb += self.sum.eq(add(m, SKLANSKY, *heap.rows()))
        return m
