# amaranth: UnusedElaboratable=no
"""Loads and stores, and arithmetic on vectors, of the core for MatMul-free language models."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.matmul_free_isa import FIELDS, SCALAR_BITS, MatmulFreeConfig
from hw.vector_port import VectorPort, latched, later, walk

RESULT_SHIFT = (1 << FIELDS["shift"].width) - 1
"""Largest shift of a result."""


class LoadStore(VectorPort):
    """LDV and STV: a vector register from and to the data memory.

    Members beside those of `VectorPort`
    ------------------------------------
    store : In(1)
        STV.
    address : In
        First word.
    load_address, load_enable, load_data
        Read the data memory.
    store_address, store_enable, store_data
        Write it.
    """

    prefix = "load_store"

    def __init__(self, config: MatmulFreeConfig) -> None:
        address = range(config.depth_data)
        super().__init__(
            config,
            store=In(1),
            address=In(address),
            load_address=Out(address),
            load_enable=Out(1),
            load_data=In(config.element),
            store_address=Out(address),
            store_enable=Out(1),
            store_data=Out(config.element),
        )

    @property
    def name(self) -> str:
        return f"{self.prefix}_{self.config.depth_data}_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        store, address = latched(m, self.start, store=self.store, address=self.address)
        read = walk(m, "read", self.start, self.config.length)
        write = later(m, "write", read)
        m.d.comb += [
            self.read_index.eq(read.at),
            self.load_address.eq(address + read.at),
            self.load_enable.eq(read.active & ~store),
            self.store_address.eq(address + write.at),
            self.store_enable.eq(write.active & store),
            self.store_data.eq(self.element_a),
        ]
        self.write(m, write, self.load_data)
        m.d.comb += self.write_enable.eq(write.active & ~store)
        return m


class VectorArithmetic(VectorPort):
    """VADD, VSUB, VMUL and SCALE: an exact result, shifted, rounded to nearest even, saturated.

    Members beside those of `VectorPort`
    ------------------------------------
    subtract, multiply, scale : In(1)
        VSUB, VMUL or SCALE, else VADD.
    shift : In(6)
        Places that the exact result is shifted to the right.
    scalar : In(24), factor : In(11)
        Of SCALE.
    """

    prefix = "vector_arithmetic"
    reads = ("a", "b")

    def __init__(self, config: MatmulFreeConfig) -> None:
        super().__init__(
            config,
            subtract=In(1),
            multiply=In(1),
            scale=In(1),
            shift=In(FIELDS["shift"].width),
            scalar=In(SCALAR_BITS),
            factor=In(FIELDS["factor"].width),
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        names = ("subtract", "multiply", "scale", "shift", "scalar", "factor")
        subtract, multiply, scale, shift, scalar, factor = latched(
            m, self.start, **{name: getattr(self, name) for name in names}
        )
        read = walk(m, "read", self.start, self.config.length)
        compute = later(m, "compute", read)
        write = later(m, "write", compute)

        scaling = Signal(len(scalar) + len(factor))
        m.d.sync += scaling.eq(scalar * factor)
        by = Signal(signed(len(scaling) + 1))
        product = Signal(signed(self.config.width + len(by)))
        exact = Signal.like(product, reset_less=True)
        m.d.comb += [by.eq(Mux(scale, scaling, self.element_b)), product.eq(self.element_a * by)]
        with m.If(multiply | scale):
            m.d.sync += exact.eq(product)
        with m.Elif(subtract):
            m.d.sync += exact.eq(self.element_a - self.element_b)
        with m.Else():
            m.d.sync += exact.eq(self.element_a + self.element_b)

        # Below the point there are as many places as the largest shift can fill.
        shifted = Signal(signed(len(exact) + RESULT_SHIFT))
        m.d.comb += shifted.eq(Cat(Const(0, RESULT_SHIFT), exact).as_signed() >> shift)
        kept = shifted[RESULT_SHIFT:].as_signed()
        half, rest = shifted[RESULT_SHIFT - 1], shifted[: RESULT_SHIFT - 1].any()
        up = Signal()
        rounded = Signal(signed(len(kept) + 1))
        m.d.comb += [
            self.read_index.eq(read.at),
            up.eq(half & (rest | kept[0])),
            rounded.eq(kept + up),
        ]
        self.write(m, write, saturated(rounded, self.config.width))
        return m


def saturated(value: Value, width: int) -> Value:
    """Return a signed value in fewer bits, or the extreme that is nearest."""
    above = value[width - 1 :]
    fits = above.all() | ~above.any()
    extreme = Cat((~value[-1]).replicate(width - 1), value[-1])
    return Mux(fits, value[:width], extreme)
