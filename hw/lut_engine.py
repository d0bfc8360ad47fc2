# amaranth: UnusedElaboratable=no
"""Look-up engine: one table of activations, and read-accumulate PEs that share it.

It multiplies binary-coded weights, a bit plane at a time: a beat is a bit of `mu` weights of each
row. Scales are signed powers of two, or sums of a few, and stand in one of two places:

column: one for each bit plane and k, which the activations are multiplied by before the table is
built; each bit plane has a table of its own, and PEs do not shift.

block: one for each bit plane and block of rows, for all `mu` weights of a beat; PEs shift what
they look up, and one table serves all bit planes.

Sources: H. You et al., "ShiftAddLLM", arXiv 2406.05981, for the layouts; G. Park et al., "FIGLUT",
arXiv 2503.06862, for a half table in flip-flops that many units share.
"""

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from pe.config import choice, integer
from pe.lut_builder import LutBuilder, LutBuilderConfig
from pe.lut_pe import LutCell, LutCellShape, LutPeConfig, code_width, greatest_shift, scaled, total
from pe.share import place
from pe.unit import Unit

COLUMN, BLOCK = "column", "block"
LAYOUTS = (COLUMN, BLOCK)

LEAD = 2
"""Cycles from activations to the first keys that find them in the table."""


class LutEngineConfig(LutPeConfig):
    """Table, PEs and scales of a look-up engine."""

    terms: int = integer("signed powers of two of a scale", 1, 3, default=1)
    rows: int = integer("PEs that share the table: rows of weights", 1, 256, default=8)
    layout: str = choice(
        "scales: of each column, or of blocks of rows", lambda: LAYOUTS, default=BLOCK
    )
    rows_per_scale: int = integer("rows of a block; 1 in layout column", 1, 256, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout == COLUMN and self.rows_per_scale != 1:
            raise ValueError(
                f"rows_per_scale: {self.rows_per_scale} is not 1, as layout={COLUMN} allows"
            )
        if self.rows % self.rows_per_scale:
            raise ValueError(
                f"rows_per_scale: {self.rows_per_scale} does not divide rows={self.rows}"
            )

    @property
    def scaled_shape(self) -> Shape:
        """Shape of an activation that the table is built from."""
        if self.layout == BLOCK:
            return signed(self.width_a)
        most = self.terms << greatest_shift(self.width_exponent) + self.width_a - 1
        return signed(most.bit_length() + 1)

    @property
    def builder(self) -> LutBuilderConfig:
        """Config of the table; a product with a scale of either sign is as large up as down."""
        return LutBuilderConfig(
            mu=self.mu, width=self.scaled_shape.width, least=self.layout == BLOCK
        )

    @property
    def cell(self) -> LutCellShape:
        """What goes through the cell of a PE; it scales only what the table does not."""
        terms = self.terms if self.layout == BLOCK else 0
        return LutCellShape(
            self.mu, self.builder.entry_shape, terms, self.width_exponent, self.width_acc
        )

    @property
    def scales(self) -> int:
        """Scales of a beat."""
        return self.mu if self.layout == COLUMN else self.rows // self.rows_per_scale

    @property
    def name(self) -> str:
        blocks = f"by{self.rows_per_scale}" if self.layout == BLOCK else ""
        return (
            f"lut_engine_{self.layout}{blocks}_{self.rows}x{self.mu}a{self.width_a}"
            f"e{self.width_exponent}x{self.terms}acc{self.width_acc}"
        )


class LutEngine(Unit):
    """Products of binary-coded weights by look-up: a table that read-accumulate PEs share.

    Function unit with accumulators: latency 2 from keys to sums, initiation interval 1. The table
    has the activations of a cycle for the keys that come two cycles later, and keeps them until
    others are loaded.

    Members
    -------
    x : In, an array of mu signed numbers of width_a bits
        Activations of consecutive k; zeros where K is no multiple of mu.
    load : In(1)
        There are activations.
    key : In, an array of mu bits for each row
        Signs of weights, bit j of activation j; 1 is plus.
    scale : In, an array of codes of width_exponent + 2 bits
        All terms of the first scale first: with `x`, a scale for each activation, in layout
        ``"column"``; with `key`, a scale for each block of rows, in layout ``"block"``. Codes are
        those of `pe.lut_pe.LutPe`.
    clear : In(1)
        The sums start anew with these keys.
    i_valid : In(1)
        There are keys.
    sum : Out, an array of signed width_acc for each row
        0 before the first keys; holds while nothing is valid.
    o_valid : Out(1)
        The sums have just taken in keys.
    """

    config: LutEngineConfig
    latency = 2

    def __init__(self, config: LutEngineConfig) -> None:
        scales = config.scales * config.terms
        super().__init__(
            config,
            {
                "x": In(data.ArrayLayout(signed(config.width_a), config.mu)),
                "load": In(1),
                "key": In(data.ArrayLayout(unsigned(config.mu), config.rows)),
                "scale": In(data.ArrayLayout(unsigned(code_width(config.width_exponent)), scales)),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(data.ArrayLayout(signed(config.width_acc), config.rows)),
                "o_valid": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle, of weights of one bit."""
        return self.config.rows * self.config.mu

    def cycles(self, m: int, k: int, n: int, planes: int) -> int:
        """Cycles from the first activations to the last sums of Y [n, m] = W [n, k] X [k, m].

        Both included; beats without a pause.
        """
        beats = -(-n // self.config.rows) * m * planes * -(-k // self.config.mu)
        return LEAD + beats + self.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        builder = place(m, platform, "builder", LutBuilder, config.builder)
        pes = place(m, platform, "pes", Chain, _pes(config.rows, config.cell))
        valid = Signal()
        anew = Signal(init=1)
        loaded = Signal()
        m.d.sync += [
            valid.eq(self.i_valid),
            anew.eq(self.clear & self.i_valid),
            self.o_valid.eq(valid),
            loaded.eq(self.load),
        ]
        m.d.comb += [
            builder.i_valid.eq(loaded),
            pes.entries.eq(builder.entries),
            pes.i_key.eq(self.key),
            pes.valid.eq(valid),
            pes.anew.eq(anew),
            self.sum.eq(pes.o_sum),
        ]
        scales = Value.cast(self.scale)
        width = len(scales) // config.scales
        if config.layout == BLOCK:
            held = Signal(len(scales), name="scale_reg", reset_less=True)
            m.d.sync += held.eq(scales)
            of_rows = (
                held.word_select(n // config.rows_per_scale, width) for n in range(config.rows)
            )
            m.d.comb += pes.i_scale.eq(Cat(of_rows))
        for j in range(config.mu):
            x: Value = self.x[j]
            if config.layout == COLUMN:
                codes = scales.word_select(j, width)
                words = [
                    scaled(
                        m, f"x_{j}_{t}", x, codes.word_select(t, width // config.terms), Const(0)
                    )
                    for t in range(config.terms)
                ]
                x = total(m, f"x_{j}", config.scaled_shape.width, words)
            product = Signal(config.scaled_shape, name=f"product_{j}", reset_less=True)
            m.d.sync += product.eq(x)
            m.d.comb += builder.x[j].eq(product)
        return m


def _pes(rows: int, shape: LutCellShape) -> ChainConfig:
    """The cells of all PEs, side by side."""
    scale = (("i_scale", Link.LANE),) if shape.terms else ()
    return ChainConfig(
        name=shape.name.replace("cell", f"cells_{rows}"),
        summary="read-accumulate PEs that share a table",
        instance="row",
        unit_class=LutCell,
        unit_config=shape,
        count=rows,
        links=(
            ("entries", Link.BROADCAST),
            ("i_key", Link.LANE),
            *scale,
            ("valid", Link.BROADCAST),
            ("anew", Link.BROADCAST),
            ("o_sum", Link.LANE),
        ),
    )
