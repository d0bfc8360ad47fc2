"""The product of an FP16 number and a small integer, before it is shifted to its place."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from pe.adders import SKLANSKY, add
from pe.encoders import booth_digits, multiple
from pe.formats import FLOATS
from pe.heap import BitHeap

FP16 = FLOATS["fp16"]
LARGEST_SHIFT = FP16.largest_shift - 1
"""Of a finite number."""
GREATEST = ((1 << (FP16.mantissa + 1)) - 1) << LARGEST_SHIFT
"""The greatest finite number, in units of the least above zero."""


class Fp16Product(NamedTuple):
    """A product ``value << shift`` in units of 2**-24.

    Attributes
    ----------
    value
        Two's complement; 0 of an infinite number and of NaN.
    shift
        0..`LARGEST_SHIFT`, or one more of what is not finite.
    nonfinite
        1 bit.
    """

    value: Value
    shift: Value
    nonfinite: Value


def fp16_product(m: Module, a: Value, b: Value, signed_b: bool = True) -> Fp16Product:
    """Place the product of a code of FP16 and an integer, without its shift.

    The significand is multiplied by Booth digits of the integer.
    """
    field, sign = a[FP16.mantissa : -1], a[-1]
    normal, nonfinite = Signal(), Signal()
    magnitude = Signal(FP16.mantissa + 1)
    m.d.comb += [
        normal.eq(field.any()),
        nonfinite.eq(field.all()),
        magnitude.eq(Mux(nonfinite, 0, Cat(a[: FP16.mantissa], normal))),
    ]
    width = len(magnitude) + len(b) + (not signed_b)
    heap = BitHeap(width)
    for i, digit in enumerate(booth_digits(b, signed_b)):
        # The sign of the number is that of each digit.
        flipped = Signal(name=f"negative_{i}")
        m.d.comb += flipped.eq(digit.negative ^ sign)
        own = digit._replace(negative=flipped)
        heap.add(multiple(m, f"multiple_{i}", own, magnitude, False), 2 * i)
        heap.add_bit(flipped, 2 * i)
    heap.reduce(m)
    product = Signal(signed(width), name="product")
    m.d.comb += product.eq(add(m, SKLANSKY, *heap.rows()))
    return Fp16Product(product, (field - normal)[: FP16.exponent], nonfinite)
