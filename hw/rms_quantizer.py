# amaranth: UnusedElaboratable=no
"""RMSQ of the core for MatMul-free language models: normalise, and quantise to 8 bits.

What is quantised does not depend on the root mean square, which cancels: elements of x times gain
are divided by the largest of them. The root goes into their scale. Root and quotients come a digit
a cycle.
"""

import math

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.matmul_free_isa import AWAY, FIELDS, SCALAR_BITS, MatmulFreeConfig
from hw.vector_port import VectorPort, latched, later, walk

ROOT_BITS = 8
"""More bits of fraction of a root mean square than elements have."""
LEAST_SQUARE = 1e-8
"""What is added to a mean square."""
LARGEST = 127
QUOTIENT_BITS = 7


class RmsQuantizer(VectorPort):
    """RMSQ: elements of 8 bits to the register vd, and their scale to a scalar register.

    Members beside those of `VectorPort`
    ------------------------------------
    cols : In
        Last element that counts; those behind it become 0.
    scale_enable, scale : Out
        Write the scalar register.
    """

    prefix = "rms_quantizer"
    reads = ("a", "b")

    def __init__(self, config: MatmulFreeConfig) -> None:
        super().__init__(
            config, cols=In(range(config.length)), scale_enable=Out(1), scale=Out(SCALAR_BITS)
        )

    @property
    def root_bits(self) -> int:
        """Bits of the number of elements times their root mean square."""
        return self.config.width + 14

    @property
    def scale_bits(self) -> int:
        """Bits of the numerator of the scale."""
        return 2 * self.config.width + 6 + SCALAR_BITS + ROOT_BITS - self.config.fraction

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.config.width
        cols = latched(m, self.start, cols=self.cols)
        count = Signal(FIELDS["cols"].width + 1)
        element = Signal(range(self.config.length), reset_less=True)
        digit = Signal(range(max(self.root_bits, self.scale_bits)), reset_less=True)
        m.d.comb += count.eq(cols + 1)

        read = walk(m, "read", self.start, self.config.length, cols)
        multiply = later(m, "multiply", read)
        gather = later(m, "gather", multiply)
        product = Signal(signed(2 * width), reset_less=True)
        square = Signal(2 * width - 1, reset_less=True)
        magnitude = Signal(2 * width - 1)
        squares = Signal(2 * width + 5, reset_less=True)
        peak = Signal(2 * width - 1, reset_less=True)
        m.d.sync += [
            product.eq(self.element_a * self.element_b),
            square.eq(self.element_a * self.element_a),
        ]
        m.d.comb += magnitude.eq(Mux(product[-1], -product, product))
        with m.If(self.start):
            m.d.sync += [squares.eq(0), peak.eq(0)]
        with m.Elif(gather.active):
            m.d.sync += squares.eq(squares + square)
            with m.If(magnitude > peak):
                m.d.sync += peak.eq(magnitude)

        radicand = Signal(2 * self.root_bits, reset_less=True)
        root = Signal(self.root_bits, reset_less=True)
        root_rest = Signal(self.root_bits + 2, reset_less=True)
        trial = Signal(self.root_bits + 2)
        root_next = Signal(self.root_bits + 4)
        m.d.comb += [trial.eq(Cat(Const(1, 2), root)), root_next.eq(Cat(radicand[-2:], root_rest))]
        root_digit = Signal()
        m.d.comb += root_digit.eq(root_next >= trial)

        divisor = Signal(max(self.root_bits + 7, 2 * width - 1), reset_less=True)
        dividend = Signal(self.scale_bits, reset_less=True)
        rest = Signal(len(divisor), reset_less=True)
        next_rest = Signal(len(divisor) + 1)
        quotient_digit = Signal()
        rounded = Signal(self.scale_bits + 1)
        m.d.comb += [
            next_rest.eq(Cat(dividend[-1], rest)),
            quotient_digit.eq(next_rest >= divisor),
            rounded.eq(dividend + self._round_up(rest, divisor, dividend[0])),
            self.read_index.eq(Mux(read.active, read.at, element)),
            self.scale.eq(Mux(rounded[SCALAR_BITS:].any(), (1 << SCALAR_BITS) - 1, rounded)),
            self.write_index.eq(element),
            self.write_data.eq(Mux(product[-1], -rounded[:8], rounded[:8])),
        ]
        scaled = Signal(2 * width + 6)
        m.d.comb += scaled.eq(Mux(element > cols, 0, magnitude * LARGEST))
        more = self.config.fraction + ROOT_BITS
        least = max(1, round(math.ldexp(LEAST_SQUARE, 2 * more)))
        # Bits of a product that are always zero are none.
        even = (least & -least).bit_length() - 1
        floor = (count * count * (least >> even)) << even

        # A step is active in the cycle after the one before ended.
        radicand_step = Signal()
        root_step = Signal()
        scale_step = Signal()
        divide_scale = Signal()
        write_scale = Signal()
        fetch = Signal()
        multiply_element = Signal()
        take_element = Signal()
        divide_element = Signal()
        write_element = Signal()
        last_digit = digit == 0
        last_element = element == self.config.length - 1
        m.d.sync += [
            radicand_step.eq(gather.last),
            root_step.eq(radicand_step | (root_step & ~last_digit)),
            scale_step.eq(root_step & last_digit),
            divide_scale.eq(scale_step | (divide_scale & ~last_digit)),
            write_scale.eq(divide_scale & last_digit),
            fetch.eq(write_scale | (write_element & ~last_element)),
            multiply_element.eq(fetch),
            take_element.eq(multiply_element),
            divide_element.eq(take_element | (divide_element & ~last_digit)),
            write_element.eq(divide_element & last_digit),
        ]
        m.d.comb += [
            self.scale_enable.eq(write_scale),
            self.write_enable.eq(write_element),
            self.done.eq(write_element & last_element),
        ]
        with m.If(self.start):
            m.d.sync += element.eq(0)
        with m.If(radicand_step):
            m.d.sync += [
                radicand.eq(((squares * count) << 2 * ROOT_BITS) + floor),
                root.eq(0),
                root_rest.eq(0),
                digit.eq(self.root_bits - 1),
            ]
        with m.If(root_step):
            m.d.sync += [
                radicand.eq(radicand << 2),
                root.eq(Cat(root_digit, root)),
                root_rest.eq(Mux(root_digit, root_next - trial, root_next)),
                digit.eq(digit - 1),
            ]
        with m.If(scale_step):
            m.d.sync += [
                dividend.eq((peak * count) << (SCALAR_BITS + ROOT_BITS - self.config.fraction)),
                divisor.eq(root * LARGEST),
                rest.eq(0),
                digit.eq(self.scale_bits - 1),
            ]
        with m.If(write_scale):
            m.d.sync += divisor.eq(Mux(peak.any(), peak, 1))
        with m.If(take_element):
            m.d.sync += [
                rest.eq(scaled[QUOTIENT_BITS:]),
                dividend.eq(scaled[:QUOTIENT_BITS] << (self.scale_bits - QUOTIENT_BITS)),
                digit.eq(QUOTIENT_BITS - 1),
            ]
        with m.If(divide_scale | divide_element):
            m.d.sync += [
                rest.eq(Mux(quotient_digit, next_rest - divisor, next_rest)),
                dividend.eq(Cat(quotient_digit, dividend[:-1])),
                digit.eq(digit - 1),
            ]
        with m.If(write_element):
            m.d.sync += element.eq(element + 1)
        return m

    def _round_up(self, rest: Value, divisor: Value, odd: Value) -> Value:
        twice = rest << 1
        tie_up = Const(1, 1) if self.config.rounding == AWAY else odd
        return (twice > divisor) | ((twice == divisor) & tie_up)
