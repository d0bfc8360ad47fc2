"""PEs for FP8 E4M3 numbers whose sums are exact: a product is a significand, shifted to its place.

fp8
    Significands are multiplied.
mitchell
    Exponent and mantissa of the operands are added as one integer, Mitchell's product.
l_mul
    The same with the offset of L-Mul, a unit of the last place of the mantissa.

No product overflows or underflows: the sum of two exponents has a bit more, and the running sum is
in fixed point, so that it does not depend on the order. NaN counts as zero.

Sources: OCP 8-bit Floating Point Specification 1.0; J. N. Mitchell, "Computer Multiplication and
Division Using Binary Logarithms" (1962); L-Mul, arXiv 2410.00907. Sums in fixed point are ours.
"""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from pe.coded import CodedConfig, Row
from pe.config import same_as
from pe.element import Ends, PeConfig, sum_bits
from pe.formats import FLOATS, magnitude_parts

E4M3 = FLOATS["e4m3"]
GREATEST = (E4M3.largest % (1 << E4M3.mantissa) + (1 << E4M3.mantissa)) << E4M3.largest_shift
"""The greatest number, in units of the least above zero."""
LEAST, MOST = 2, 2 * (E4M3.largest >> E4M3.mantissa)
"""Sum of two exponents, that of subnormal numbers being 1."""


class Fp8Config(CodedConfig):
    """Both operands are FP8 E4M3 numbers; sums count 2**-18."""

    kind = "fp8"
    allowed_widths = (range(8, 9), range(8, 9))
    format_a = "e4m3"
    format_b = "e4m3"

    width_acc: int = same_as(PeConfig, "width_acc", default=44)

    @classmethod
    def ends_a(cls, _shape: Shape, /) -> Ends:
        return -GREATEST, GREATEST

    @classmethod
    def ends_b(cls, shape: Shape, /) -> Ends:
        return cls.ends_a(shape)

    @property
    def meanings(self) -> dict[str, str]:
        return dict.fromkeys("ab", "FP8 E4M3; NaN counts as zero") | {"c": "counts 2^-18"}

    def row(self, m: Module, a: Value, b: Value) -> Row:
        (field_a, significand_a), (field_b, significand_b) = (
            magnitude_parts(m, name, code, E4M3) for name, code in (("a", a), ("b", b))
        )
        product = Signal(2 * len(significand_a), name="product")
        m.d.comb += product.eq(Mux(_is_nan(a) | _is_nan(b), 0, significand_a * significand_b))
        return _placed(m, product, field_a + field_b, MOST, a[-1] ^ b[-1])


class MitchellConfig(Fp8Config):
    """As `Fp8Config`, but numbers are multiplied by addition, subnormal ones are zero.

    Sums count 2**-15.
    """

    kind = "mitchell"
    format_a = "mitchell"
    format_b = "mitchell"
    offset: ClassVar[int] = 0
    """Added to the mantissas, in units of the last place."""

    width_acc: int = same_as(PeConfig, "width_acc", default=41)

    @classmethod
    def sum_bits(cls, k: int, _a: Shape, _b: Shape, /) -> int:
        exponent, mantissa = divmod(2 * E4M3.largest + cls.offset, 1 << E4M3.mantissa)
        greatest = (1 << E4M3.mantissa) + mantissa << (exponent - LEAST)
        return sum_bits(k, (-greatest, greatest), (1, 1))

    @property
    def meanings(self) -> dict[str, str]:
        text = "FP8 E4M3; subnormal numbers and NaN count as zero"
        return dict.fromkeys("ab", text) | {"c": "counts 2^-15"}

    def row(self, m: Module, a: Value, b: Value) -> Row:
        total = Signal(E4M3.width, name="total")
        m.d.comb += total.eq(a[:-1] + b[:-1] + self.offset)
        mantissa, exponent = total[: E4M3.mantissa], total[E4M3.mantissa :]
        zero = ~a[E4M3.mantissa : -1].any() | ~b[E4M3.mantissa : -1].any()
        significand = Mux(zero | _is_nan(a) | _is_nan(b), 0, Cat(mantissa, Const(1, 1)))
        # A carry out of the mantissas is one more.
        return _placed(m, significand, exponent, MOST + 1, a[-1] ^ b[-1])


class LMulPeConfig(MitchellConfig):
    """As `MitchellConfig`, with the offset of L-Mul."""

    kind = "l_mul"
    format_a = "l_mul"
    format_b = "l_mul"
    offset = 1


def _is_nan(code: Value) -> Value:
    return code[:-1].all()


def _placed(m: Module, significand: Value, exponent: Value, most: int, negative: Value) -> Row:
    """Return the row of a magnitude, shifted by how far its exponent is above the least one.

    Parameters
    ----------
    exponent
        Sum of two exponents, `LEAST` to `most` unless the significand is 0.
    """
    magnitude = Signal(len(significand) + most - LEAST, name="magnitude")
    below = Signal(LEAST, name="unused_places")
    # By the exponent itself, so that nothing is subtracted from it.
    m.d.comb += Cat(below, magnitude).eq(significand << exponent)
    row = Cat(magnitude, Const(0, 1)) ^ negative.replicate(len(magnitude) + 1)
    return Row(row.as_signed(), negative)
