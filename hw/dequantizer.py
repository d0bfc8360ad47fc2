# amaranth: UnusedElaboratable=no
"""Dequantisers at the edge of an array, one a column: what turns sums of groups into rows of C.

Source: MixPE (arXiv 2411.16158); `golden.group`, which has the modes.
"""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.chain import ChainConfig, Link
from pe.float_add import FloatAdder, FloatAdderConfig
from pe.float_scale import FloatScale, FloatScaleConfig
from pe.share import share
from pe.unit import Unit

INTEGER_SCALE, POWER_OF_TWO_SCALE, FLOAT_SCALE = "integer", "power_of_two", "float"
MODES = (INTEGER_SCALE, POWER_OF_TWO_SCALE, FLOAT_SCALE)


class DequantizerShape(NamedTuple):
    """Mode, and shapes of what goes through a dequantiser.

    Attributes
    ----------
    mode
        One of `MODES`.
    sum, row_sum, zero, scale
        Of a group: sum of products, sum of A, zero point, scale.
    difference, total
        Signed: sum of products less zero point times sum of A; element of C.
    """

    mode: str
    sum: Shape
    row_sum: Shape
    zero: Shape
    scale: Shape
    difference: Shape
    total: Shape

    @property
    def slug(self) -> str:
        """Mode and shapes as they stand in module names."""
        word = {name: f"{'' if s.signed else 'u'}{s.width}" for name, s in self._shapes().items()}
        return (
            f"{self.mode}{self.scale.width}_s{word['sum']}r{word['row_sum']}z{word['zero']}"
            f"d{self.difference.width}acc{self.total.width}"
        )

    @property
    def product(self) -> Shape:
        """Shape of a difference that is scaled."""
        if self.mode == FLOAT_SCALE:
            return self.total
        most = self.scale.width if self.mode == INTEGER_SCALE else (1 << self.scale.width) - 1
        return signed(self.difference.width + most)

    def _shapes(self) -> dict[str, Shape]:
        return {"sum": self.sum, "row_sum": self.row_sum, "zero": self.zero}


class Dequantizer(Unit):
    """Sums of groups of one column, dequantised and added to the total of the groups before.

    A pipeline of three steps, all of which advance together: take off the zero point, scale, add.

    Members
    -------
    i_sum, i_row_sum : In(sum), In(row_sum)
        Sum of products, and of A.
    i_zero, i_scale : In(zero), In(scale)
        Of the group and column.
    advance : In(1)
        Take another step.
    first : In(1)
        The sum in the last step is of the first group: it is added to zero.
    i_total : In(total)
        Total before it otherwise.
    o_total : Out(total)
        Total with it, three steps after it came in.
    """

    config: DequantizerShape

    def __init__(self, config: DequantizerShape) -> None:
        super().__init__(
            config,
            {
                "i_sum": In(config.sum),
                "i_row_sum": In(config.row_sum),
                "i_zero": In(config.zero),
                "i_scale": In(config.scale),
                "advance": In(1),
                "first": In(1),
                "i_total": In(config.total),
                "o_total": Out(config.total),
            },
        )

    @property
    def name(self) -> str:
        return f"dequantizer_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        taken_off = self.i_zero * self.i_row_sum
        width = min(len(taken_off), config.difference.width)
        offset = Signal(Shape(width, taken_off.shape().signed))
        difference = Signal(config.difference, reset_less=True)
        scale = Signal(config.scale, reset_less=True)
        product = Signal(config.product)
        scaled = Signal(config.product, reset_less=True)
        so_far = Signal(config.total)
        added = Signal(config.total)
        total = Signal(config.total, reset_less=True)
        m.d.comb += [
            offset.eq(taken_off),
            so_far.eq(Mux(self.first, 0, self.i_total)),
            self.o_total.eq(total),
        ]
        if config.mode == FLOAT_SCALE:
            unit = FloatScaleConfig(width=config.difference.width)
            share(m, platform, "scale", FloatScale, unit, a=difference, b=scale, product=product)
            adder = FloatAdderConfig(format="fp32")
            share(m, platform, "add", FloatAdder, adder, a=so_far, b=scaled, sum=added)
        else:
            m.d.comb += [
                product.eq(_product(config.mode, difference, scale)),
                added.eq(so_far + scaled),
            ]
        with m.If(self.advance):
            m.d.sync += [
                difference.eq(self.i_sum - offset),
                scale.eq(self.i_scale),
                scaled.eq(product),
                total.eq(added),
            ]
        return m


def _product(mode: str, difference: Value, scale: Value) -> Value:
    return difference * scale if mode == INTEGER_SCALE else difference << scale


def row_of_dequantizers(cols: int, shape: DequantizerShape) -> ChainConfig:
    """The dequantisers of all columns."""
    return ChainConfig(
        name=f"dequantizers_{cols}_{shape.slug}",
        summary="the dequantisers of all columns",
        instance="col",
        unit_class=Dequantizer,
        unit_config=shape,
        count=cols,
        links=(
            ("i_sum", Link.LANE),
            ("i_row_sum", Link.BROADCAST),
            ("i_zero", Link.LANE),
            ("i_scale", Link.LANE),
            ("advance", Link.BROADCAST),
            ("first", Link.BROADCAST),
            ("i_total", Link.LANE),
            ("o_total", Link.LANE),
        ),
    )
