"""The plain multiply-accumulate PE: a product and one carry-propagate addition a cycle.

Source: the baseline MAC of "Exploring the Performance Improvement of Tensor Processing Engines
through Transformation in the Bit-weight Dimension of MACs" (HPCA 2025), section II.
"""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, flag, integer
from pe.share import share
from pe.unit import Unit


def accumulator_bits(k: int, width_a: int, width_b: int, signed_a: bool, signed_b: bool) -> int:
    """Return the least width in bits that holds every sum of `k` products exactly.

    The accumulator is signed when either operand is.
    """
    lowest_a, highest_a = _extremes(width_a, signed_a)
    lowest_b, highest_b = _extremes(width_b, signed_b)
    products = [x * y for x in (lowest_a, highest_a) for y in (lowest_b, highest_b)]
    highest, lowest = k * max(products), k * min(products)
    magnitude = max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0)
    return magnitude + (signed_a or signed_b)


def _extremes(width: int, is_signed: bool) -> tuple[int, int]:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)


class MacConfig(Config):
    """Widths and signedness of a plain MAC."""

    width_a: int = integer("bits of operand A", 2, 16, default=8)
    width_b: int = integer("bits of operand B", 2, 16, default=8)
    width_acc: int = integer("bits of the accumulator", 4, 63, default=32)
    signed_a: bool = flag("operand A is two's complement", default=True)
    signed_b: bool = flag("operand B is two's complement", default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = accumulator_bits(1, self.width_a, self.width_b, self.signed_a, self.signed_b)
        if self.width_acc < least:
            raise ValueError(
                f"width_acc: {self.width_acc} bits cannot hold one product; "
                f"at least {least} are needed"
            )

    @property
    def operands_slug(self) -> str:
        """Operand and accumulator widths as they stand in module names, e.g. ``w8a8acc32``."""
        b = f"w{'' if self.signed_b else 'u'}{self.width_b}"
        a = f"a{'' if self.signed_a else 'u'}{self.width_a}"
        return f"{b}{a}acc{self.width_acc}"

    @property
    def name(self) -> str:
        return f"mac_{self.operands_slug}"

    @property
    def a_shape(self) -> Shape:
        """Shape of operand A."""
        return Shape(self.width_a, self.signed_a)

    @property
    def b_shape(self) -> Shape:
        """Shape of operand B."""
        return Shape(self.width_b, self.signed_b)

    @property
    def accumulator_shape(self) -> Shape:
        """Shape of the running sum; signed when either operand is."""
        return Shape(self.width_acc, self.signed_a or self.signed_b)

    @property
    def step(self) -> type["MultiplyAdd"]:
        """The component that adds one product to a running sum."""
        return MultiplyAdd


class MultiplyAdd(Unit):
    """One accumulation step, ``sum = addend + a * b`` modulo ``2**width_acc``.

    Function unit, combinational: latency 0. This is what an engine places in each of its cells;
    the engine owns the operand, accumulator and drain registers around it.

    Members
    -------
    a : In(a_shape)
    b : In(b_shape)
    addend : In(accumulator_shape)
    sum : Out(accumulator_shape)
    """

    macs_per_cycle = 1

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_shape),
                "b": In(config.b_shape),
                "addend": In(config.accumulator_shape),
                "sum": Out(config.accumulator_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"multiply_add_{self.config.operands_slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        product = Signal(_product_shape(self.config))
        # Extended to the accumulator first: modulo 2**width_acc, signed and unsigned sums agree.
        extended = Signal(self.config.width_acc)
        m.d.comb += [
            product.eq(self.a * self.b),
            extended.eq(product),
            self.sum.eq(self.addend.as_unsigned() + extended),
        ]
        return m


class MultiplyAccumulate(Unit):
    """The stand-alone MAC PE: registered operands, a product, one accumulator.

    Function unit with an accumulator: latency 2, initiation interval 1.

    Members
    -------
    a : In(a_shape)
    b : In(b_shape)
    clear : In(1)
        The sum starts anew with this product.
    i_valid : In(1)
        Operands are present.
    sum : Out(accumulator_shape)
        Running sum modulo ``2**width_acc``; holds while nothing is valid.
    o_valid : Out(1)
        `sum` has just taken in a product.
    """

    latency = 2
    macs_per_cycle = 1

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_shape),
                "b": In(config.b_shape),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(config.accumulator_shape),
                "o_valid": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal.like(self.a, name="a_reg")
        b = Signal.like(self.b, name="b_reg")
        clear = Signal(name="clear_reg")
        valid = Signal()
        addend = Signal.like(self.sum)
        next_sum = Signal.like(self.sum)
        m.d.comb += addend.eq(Mux(clear, 0, self.sum))
        share(
            m,
            platform,
            "multiply_add",
            MultiplyAdd,
            self.config,
            a=a,
            b=b,
            addend=addend,
            sum=next_sum,
        )
        m.d.sync += [valid.eq(self.i_valid), self.o_valid.eq(valid)]
        with m.If(self.i_valid):
            m.d.sync += [a.eq(self.a), b.eq(self.b), clear.eq(self.clear)]
        with m.If(valid):
            m.d.sync += self.sum.eq(next_sum)
        return m


def _product_shape(config: MacConfig) -> Shape:
    width = config.width_a + config.width_b
    # Unsigned by signed needs no extra bit: the extreme, (2^wa - 1) * -2^(wb - 1), fits.
    return signed(width) if config.signed_a or config.signed_b else unsigned(width)
