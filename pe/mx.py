"""Dot products of microscaling (MX) blocks: an exact sum of products, rounded once.

Source: "OCP Microscaling Formats (MX) Specification" 1.0, which leaves precision and order of the
sum to the implementation.
"""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from pe.config import Config, choice, integer
from pe.formats import FLOATS, FORMATS, Fixed, Float, decode
from pe.rounding import normalize, round_to_float
from pe.share import place
from pe.unit import Unit

ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "mxint8")
RESULT = FLOATS["fp32"]
SCALE_BIAS = 127


def element(name: str) -> Float | Fixed:
    """Return an element format by its name."""
    found = FORMATS[name]
    assert isinstance(found, Float | Fixed)
    return found


def grid(found: Float | Fixed) -> int:
    """Exponent of the least value above zero: elements are integers times ``2**grid``."""
    return -found.fraction if isinstance(found, Fixed) else 1 - found.bias - found.mantissa


def largest_integer(found: Float | Fixed) -> int:
    """Largest magnitude of a finite element, in units of its grid."""
    if isinstance(found, Fixed):
        return 1 << (found.width - 1)
    exponent, mantissa = divmod(found.largest, 1 << found.mantissa)
    return (1 << found.mantissa | mantissa) << (exponent - 1)


class MxPairConfig(Config):
    """Formats of two elements."""

    format_a: str = choice("element format of A", lambda: ELEMENTS, default="e4m3")
    format_b: str = choice("element format of B", lambda: ELEMENTS, default="e4m3")

    @property
    def largest(self) -> int:
        """Largest magnitude of a finite product, in units of both grids."""
        return largest_integer(element(self.format_a)) * largest_integer(element(self.format_b))

    @property
    def shape(self) -> Shape:
        """Shape of a product."""
        return signed(self.largest.bit_length() + 1)

    @property
    def name(self) -> str:
        return f"mx_product_{self.format_a}_{self.format_b}"


class MxProduct(Unit):
    """Exact product of two elements as an integer, and what is special.

    Combinational: latency 0.

    Members
    -------
    a, b : In(width)
        Codes of the two formats.
    product : Out, signed
        In units of both grids; anything where one of the others is set.
    nan : Out(1)
        An element is NaN, or one is infinite and the other zero.
    plus, minus : Out(1)
        The product is infinite, if it is not NaN.
    """

    config: MxPairConfig

    def __init__(self, config: MxPairConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(unsigned(element(config.format_a).width)),
                "b": In(unsigned(element(config.format_b).width)),
                "product": Out(config.shape),
                **dict.fromkeys(("nan", "plus", "minus"), Out(1)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        a = decode(m, "a", self.a, element(config.format_a))
        b = decode(m, "b", self.b, element(config.format_b))
        significand = Signal(signed(len(a.significand) + len(b.significand)))
        zeros = [~parts.significand.any() for parts in (a, b)]
        infinite = a.infinite | b.infinite
        negative = a.negative ^ b.negative
        m.d.comb += [
            significand.eq(a.significand * b.significand),
            self.product.eq(significand << (a.shift + b.shift)),
            self.nan.eq(a.nan | b.nan | a.infinite & zeros[1] | b.infinite & zeros[0]),
            self.plus.eq(infinite & ~negative),
            self.minus.eq(infinite & negative),
        ]
        return m


class MxDotConfig(MxPairConfig):
    """Formats of the elements, and how many there are in a block."""

    block: int = integer("elements of a block", 2, 64, default=32)

    @property
    def pair(self) -> MxPairConfig:
        """Config of the product of two elements."""
        return MxPairConfig(format_a=self.format_a, format_b=self.format_b)

    @property
    def name(self) -> str:
        return f"mx_dot_{self.format_a}_{self.format_b}_{self.block}"


def block_members(config: MxDotConfig) -> dict[str, Member]:
    """Return the inputs of two blocks: arrays ``a`` and ``b``, ``scale_a`` and ``scale_b``."""
    members = {
        name: In(data.ArrayLayout(unsigned(element(format).width), config.block))
        for name, format in (("a", config.format_a), ("b", config.format_b))
    }
    return {**members, **dict.fromkeys(("scale_a", "scale_b"), In(8))}


class MxDot(Unit):
    """Dot product of two microscaling blocks: exact sum, times both scales, rounded once.

    Function unit, combinational: latency 0. The nearest float32, ties to even, subnormals
    included; beyond the largest, infinity. NaN is positive and quiet, an exact zero is +0.

    Members
    -------
    a, b : In, an array of codes
        Elements.
    scale_a, scale_b : In(8)
        E8M0: an exponent biased by 127; 255 is NaN.
    sum : Out(32)
        Code of float32.
    """

    config: MxDotConfig

    def __init__(self, config: MxDotConfig) -> None:
        super().__init__(config, {**block_members(config), "sum": Out(RESULT.width)})

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.config.block

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        products = []
        for i in range(config.block):
            ends = place(m, platform, f"product_{i}", MxProduct, config.pair)
            m.d.comb += [ends.a.eq(self.a[i]), ends.b.eq(self.b[i])]
            products.append(ends)
        total = _total(m, [ends.product for ends in products])
        nan = Signal()
        plus, minus = Signal(), Signal()
        m.d.comb += [
            plus.eq(Cat(ends.plus for ends in products).any()),
            minus.eq(Cat(ends.minus for ends in products).any()),
            nan.eq(
                Cat(ends.nan for ends in products).any()
                | plus & minus
                | self.scale_a.all()
                | self.scale_b.all()
            ),
        ]
        sign = Signal()
        magnitude = Signal(len(total) - 1)
        significand, count = normalize(m, magnitude)
        # Of the sum's topmost place, unbiased, with scales of 1.
        topmost = len(magnitude) - 1 + grid(element(config.format_a))
        topmost += grid(element(config.format_b))
        offset = 1 - RESULT.bias - topmost + 2 * SCALE_BIAS
        scales = 2 * ((1 << len(self.scale_a)) - 1)
        distance = Signal(range(offset - scales, offset + (1 << len(count))))
        m.d.comb += [
            sign.eq(total[-1]),
            magnitude.eq(Mux(sign, -total, total)),
            distance.eq(offset + count - (self.scale_a + self.scale_b)),
        ]
        rounded = round_to_float(m, significand, distance, RESULT)
        infinite = Signal()
        result = Signal(RESULT.width - 1)
        negative = Mux(plus | minus, minus, sign)
        m.d.comb += [
            infinite.eq(plus | minus | (rounded > RESULT.largest)),
            result.eq(Mux(nan, RESULT.nan or 0, Mux(infinite, RESULT.infinity, rounded))),
            self.sum.eq(Cat(result, negative & ~nan)),
        ]
        return m


def _total(m: Module, words: list[Value]) -> Value:
    """Place a tree of adders, each as wide as its sum needs, and return the sum."""
    level = 0
    while len(words) > 1:
        width = 1 + max(len(word) for word in words)
        sums: list[Value] = []
        for i in range(0, len(words) - 1, 2):
            total = Signal(signed(width), name=f"sum_{level}_{i // 2}")
            m.d.comb += total.eq(words[i] + words[i + 1])
            sums.append(total)
        words = sums + words[len(words) & ~1 :]
        level += 1
    return words[0]
