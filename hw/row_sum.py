"""Sums of A at the edge of an array, one a row: what zero points of B are multiplied by.

Source: MixPE (arXiv 2411.16158); `golden.group`.
"""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from hw.chain import ChainConfig, Link
from pe.unit import Unit


class RowSumShape(NamedTuple):
    """Shapes of an element of A and of a sum, which is as wide or wider."""

    element: Shape
    sum: Shape

    @property
    def slug(self) -> str:
        """Shapes as they stand in module names."""
        sign = "" if self.element.signed else "u"
        return f"a{sign}{self.element.width}acc{self.sum.width}"


class RowSum(Unit):
    """Sum of a row of A over a group, and a register in which it waits to leave with the row of C.

    Members
    -------
    i_a : In(element)
        Element of A.
    enable, first, last : In(1)
        An element is taken; it starts a sum; it completes it, and the sum moves on to `o_drain`.
    shift : In(1)
        Take the sum of the next row.
    i_drain, o_drain : In, Out(sum)
        Sums that wait: of the next row, of this one.
    """

    config: RowSumShape

    def __init__(self, config: RowSumShape) -> None:
        super().__init__(
            config,
            {
                "i_a": In(config.element),
                "enable": In(1),
                "first": In(1),
                "last": In(1),
                "shift": In(1),
                "i_drain": In(config.sum),
                "o_drain": Out(config.sum),
            },
        )

    @property
    def name(self) -> str:
        return f"row_sum_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        running = Signal(self.config.sum, reset_less=True)
        drain = Signal(self.config.sum, reset_less=True)
        so_far = Signal(self.config.sum)
        total = Signal(self.config.sum)
        m.d.comb += [
            so_far.eq(Mux(self.first, 0, running)),
            total.eq(so_far + self.i_a),
            self.o_drain.eq(drain),
        ]
        with m.If(self.enable):
            m.d.sync += running.eq(total)
        with m.If(self.enable & self.last):
            m.d.sync += drain.eq(total)
        with m.Elif(self.shift):
            m.d.sync += drain.eq(self.i_drain)
        return m


def column_of_row_sums(rows: int, shape: RowSumShape) -> ChainConfig:
    """The row sums of all rows; they leave at row 0."""
    return ChainConfig(
        name=f"row_sums_{rows}_{shape.slug}",
        summary="the sums of A of all rows; they leave at row 0",
        instance="row",
        unit_class=RowSum,
        unit_config=shape,
        count=rows,
        links=(
            ("i_a", Link.LANE),
            ("enable", Link.BROADCAST),
            ("first", Link.BROADCAST),
            ("last", Link.BROADCAST),
            ("shift", Link.BROADCAST),
            ("drain", Link.BACKWARD),
        ),
    )
