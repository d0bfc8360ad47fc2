"""Accumulation of microscaling dot products in float32.

Source: "OCP Microscaling Formats (MX) Specification" 1.0, which leaves precision and order of the
sum to the implementation.
"""

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from pe.float_add import FloatAdder, FloatAdderConfig
from pe.mx import RESULT, MxDot, MxDotConfig, block_members
from pe.share import place
from pe.unit import Unit


class MxAccumulatorConfig(MxDotConfig):
    """Formats of the elements, and how many there are in a block."""

    @property
    def dot(self) -> MxDotConfig:
        """Config of the dot product of two blocks."""
        return MxDotConfig(format_a=self.format_a, format_b=self.format_b, block=self.block)

    @property
    def name(self) -> str:
        return f"mx_accumulator_{self.format_a}_{self.format_b}_{self.block}"


class MxAccumulator(Unit):
    """Running float32 sum of dot products of microscaling blocks.

    Function unit with an accumulator: latency 2, initiation interval 1. A dot product is rounded to
    float32, and so is each sum; order is that of the blocks.

    Members
    -------
    a, b : In, an array of codes
    scale_a, scale_b : In(8)
        As `pe.mx.MxDot` takes them.
    clear : In(1)
        The sum starts anew, at +0, with these blocks.
    i_valid : In(1)
        Blocks are present.
    sum : Out(32)
        Code of float32; +0 before the first blocks, and holds while nothing is valid.
    o_valid : Out(1)
        `sum` has just taken in a dot product.
    """

    config: MxAccumulatorConfig
    latency = 2

    def __init__(self, config: MxAccumulatorConfig) -> None:
        super().__init__(
            config,
            {
                **block_members(config),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(unsigned(RESULT.width)),
                "o_valid": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.config.block

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dot = place(m, platform, "dot", MxDot, self.config.dot)
        adder = place(m, platform, "adder", FloatAdder, FloatAdderConfig(format="fp32"))
        product = Signal(RESULT.width, reset_less=True)
        anew = Signal(reset_less=True)
        valid = Signal()
        running = Signal(RESULT.width)
        m.d.comb += [
            *(
                Value.cast(getattr(dot, port)).eq(getattr(self, port))
                for port in block_members(self.config)
            ),
            adder.a.eq(Mux(anew, 0, running)),
            adder.b.eq(product),
            self.sum.eq(running),
        ]
        m.d.sync += [
            product.eq(dot.sum),
            anew.eq(self.clear),
            valid.eq(self.i_valid),
            self.o_valid.eq(valid),
        ]
        with m.If(valid):
            m.d.sync += running.eq(adder.sum)
        return m
