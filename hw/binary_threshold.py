# amaranth: UnusedElaboratable=no
"""Threshold of a tensor at its own mean: bits of attention, without a quotient of its elements.

An integer is greater than the mean where N x > sum of x. That is a multiplier a lane; x > t with t
the greatest integer for which N t <= sum of x is the same, and t is found once a tensor, a bit a
cycle, by subtracting N. Two banks of memory let a tensor come in while the one before leaves.

Source: ShiftAddViT (arXiv 2306.06446), binary queries and keys; the arrangement is ours.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.engine import lanes
from hw.memory import Memory, MemoryShape
from hw.stream_unit import StreamUnit, packet_lengths
from pe.config import Config, flag, integer
from pe.share import share


class BinaryThresholdConfig(Config):
    """Elements of a beat, and beats of a tensor."""

    lanes: int = integer("elements of a beat", 1, 256, default=8)
    width: int = integer("bits of an element", 2, 16, default=8)
    signed: bool = flag("elements are two's complement", default=True)
    depth: int = integer("most beats of a tensor", 1, 4096, default=64)

    @property
    def element(self) -> Shape:
        """Shape of an element."""
        return Shape(self.width, self.signed)

    @property
    def count_width(self) -> int:
        """Bits of the number of elements of a tensor."""
        return (self.lanes * self.depth).bit_length()

    @property
    def name(self) -> str:
        sign = "" if self.signed else "u"
        return f"binary_threshold_{self.lanes}x{sign}{self.width}_d{self.depth}"


class BinaryThreshold(StreamUnit):
    """Bits that say which elements of a tensor are greater than the mean of all.

    Members
    -------
    i : In(stream)
        ``x``: `lanes` elements; ``last``: the beat ends its tensor, of up to `depth` beats.
    o : Out(stream)
        The beats in their order. ``bits``: 1 where the element is greater; ``last``.
    """

    config: BinaryThresholdConfig

    def __init__(self, config: BinaryThresholdConfig) -> None:
        i = data.StructLayout({"x": lanes(config.element, config.lanes), "last": 1})
        o = data.StructLayout({"bits": lanes(unsigned(1), config.lanes), "last": 1})
        super().__init__(config, {"i": In(stream.Signature(i)), "o": Out(stream.Signature(o))})

    @property
    def longest(self) -> int:  # type: ignore[override]
        return self.config.depth

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tensor's last beat taken to its first beat offered."""
        return self.config.width + 3

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """A beat a cycle in and out; what a tensor waits for are the bank and the search."""
        filled = found = 0
        lefts = [0, 0]
        for beats in packet_lengths(columns["last"]):
            filled = max(filled, lefts[-2]) + beats
            found = max(filled, found) + self.config.width + 1
            first = max(found, lefts[-1])
            found = first + 1
            lefts.append(first + beats)
        return lefts[-1] + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        sum_width = config.count_width + config.width
        shape = MemoryShape(2 * config.depth, unsigned(config.lanes * config.width + 1))
        # Elements as unsigned numbers in the same order.
        elements = [self._unsigned(self.i.payload.x[lane]) for lane in range(config.lanes)]
        index_shape = range(max(2, config.depth))
        filling = Signal()
        index = Signal(index_shape)
        so_far = Signal(sum_width)
        total = Signal(sum_width)
        accept = Signal()
        complete = Signal()
        full = Signal(2)
        m.d.comb += [
            self.i.ready.eq(~Mux(filling, full[1], full[0])),
            accept.eq(self.i.valid & self.i.ready),
            complete.eq(accept & self.i.payload.last),
            total.eq(so_far + reduce(add, elements)),
        ]
        with m.If(accept):
            m.d.sync += [
                index.eq(Mux(complete, 0, index + 1)),
                so_far.eq(Mux(complete, 0, total)),
                filling.eq(filling ^ complete),
            ]
        sums = self._banks(m, "sum", total, complete, filling)
        ends = self._banks(m, "end", index, complete, filling)

        # `untried` is one-hot: the bit of the threshold that is tried; `left` is what of the sum
        # the bits found so far leave.
        searched = Signal()
        untried = Signal(config.width)
        found = Signal()
        left = Signal(sum_width, reset_less=True)
        # The number of elements, without the zeros that a number of lanes ends in.
        zeros = (config.lanes & -config.lanes).bit_length() - 1
        odd = Signal(config.count_width - zeros, reset_less=True)
        count = Cat(Const(0, zeros), odd)
        quotient = Signal(config.width, reset_less=True)
        high = Signal(config.count_width + 1)
        fits = Signal()
        m.d.comb += [high.eq(left[config.width - 1 :]), fits.eq(high >= count)]
        kept = Mux(fits, high - count, high)[: config.count_width]
        with m.If(untried.any()):
            m.d.sync += [
                untried.eq(untried << 1),
                left.eq(Cat(0, left[: config.width - 1], kept)),
                quotient.eq(Cat(fits, quotient)),
            ]
        with m.Elif(Mux(searched, full[1], full[0]) & ~found):
            m.d.sync += [
                untried.eq(1),
                left.eq(Mux(searched, sums[1], sums[0])),
                odd.eq((Mux(searched, ends[1], ends[0]) + 1) * (config.lanes >> zeros)),
                searched.eq(~searched),
            ]

        leaving = Signal()
        going = Signal()
        read_index = Signal(index_shape)
        threshold = Signal(config.width, reset_less=True)
        advance = Signal()
        read = Signal()
        gone = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            read.eq(advance & (going | found)),
            gone.eq(read & (read_index == Mux(leaving, ends[1], ends[0]))),
        ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(read)
        with m.If(read):
            m.d.sync += [
                going.eq(~gone),
                read_index.eq(Mux(gone, 0, read_index + 1)),
                leaving.eq(leaving ^ gone),
            ]
        # The beat before has left, and its threshold may change.
        starts = Signal()
        m.d.comb += starts.eq(read & ~going)
        with m.If(starts):
            m.d.sync += threshold.eq(quotient)
        m.d.sync += [
            found.eq(untried[-1] | (found & ~starts)),
            full.eq(
                (full | Cat(complete & ~filling, complete & filling))
                & ~Cat(gone & ~leaving, gone & leaving)
            ),
        ]
        words = Signal(config.lanes * config.width)
        read_address = Signal(range(2 * config.depth))
        write_address = Signal(range(2 * config.depth))
        m.d.comb += [
            read_address.eq(Mux(leaving, config.depth, 0) + read_index),
            write_address.eq(Mux(filling, config.depth, 0) + index),
        ]
        share(
            m,
            platform,
            "memory",
            Memory,
            shape,
            read_address=read_address,
            read_enable=read,
            read_data=Cat(words, self.o.payload.last),
            write_address=write_address,
            write_enable=accept,
            write_data=Cat(elements, self.i.payload.last),
        )
        m.d.comb += [
            self.o.payload.bits[lane].eq(words.word_select(lane, config.width) > threshold)
            for lane in range(config.lanes)
        ]
        return m

    def _banks(self, m: Module, name: str, value: Value, write: Value, bank: Value) -> list[Signal]:
        """Place a register for each bank, and return both."""
        registers = []
        for i, chosen in enumerate((~bank, bank)):
            register = Signal(value.shape(), name=f"{name}_{i}", reset_less=True)
            with m.If(write & chosen):
                m.d.sync += register.eq(value)
            registers.append(register)
        return registers

    def _unsigned(self, element: Value) -> Value:
        bits = element.as_unsigned()
        return Cat(bits[:-1], ~bits[-1]) if self.config.signed else bits
