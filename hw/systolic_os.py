"""Output-stationary systolic array: every PE keeps one element of C.

A operands travel right along the rows, B operands travel down the columns, staggered so that
equal k meet. Two flags travel with A: `first` starts a sum anew, `capture`, one cycle behind the
last product, copies the sum into the cell's drain register. The drain registers of a column form
a shift register towards row 0, so a finished tile leaves row by row while the PEs work on the
next one.

Source: the systolic baseline of HPCA 2025 "Exploring the Performance Improvement of Tensor
Processing Engines through Transformation in the Bit-weight Dimension of MACs"; the drain
registers are ours.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.engine import Dataflow, EngineConfig, GemmEngine, ceil_div
from hw.skew import Skew, SkewShape, delayed
from pe.config import integer
from pe.mac import MacConfig
from pe.share import share
from pe.unit import Unit


class SystolicOsConfig(EngineConfig):
    """Size of an output-stationary array, and the PEs in it."""

    rows: int = integer("rows of PEs: rows of a tile of C", 1, 256, default=16)
    cols: int = integer("columns of PEs: columns of a tile of C", 1, 256, default=16)

    @property
    def name(self) -> str:
        slug = self.pe_config.operands_slug
        return f"systolic_os_{self.rows}x{self.cols}_{self.pe}_{slug}"


class CellOs(Unit):
    """One PE with its operand, accumulator and drain registers.

    Members
    -------
    i_a, o_a, i_b, o_b
        Operands, passed on after one cycle.
    i_first, o_first : In, Out(1)
        The product of the operands beside it starts a new sum; passed right.
    i_capture, o_capture : In, Out(1)
        The sum is complete: it follows a tile's last operands by one cycle; passed right.
    i_drain, o_drain
        Neighbouring drain registers: from the row below, to the row above.
    drain_enable : In(1)
        Shift the drain registers.
    """

    config: MacConfig

    def __init__(self, config: MacConfig) -> None:
        super().__init__(
            config,
            {
                "i_a": In(config.a_shape),
                "i_b": In(config.b_shape),
                "i_first": In(1),
                "i_capture": In(1),
                "i_drain": In(config.accumulator_shape),
                "drain_enable": In(1),
                "o_a": Out(config.a_shape),
                "o_b": Out(config.b_shape),
                "o_first": Out(1),
                "o_capture": Out(1),
                "o_drain": Out(config.accumulator_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"cell_os_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.config.accumulator_shape
        a = Signal(self.config.a_shape, reset_less=True)
        b = Signal(self.config.b_shape, reset_less=True)
        first = Signal()
        capture = Signal()
        addend = Signal(shape)
        total = Signal(shape)
        accumulator = Signal(shape, reset_less=True)
        drain = Signal(shape, reset_less=True)
        share(
            m, platform, "step", self.config.step, self.config, a=a, b=b, addend=addend, sum=total
        )
        m.d.comb += [
            addend.eq(Mux(first, 0, accumulator)),
            self.o_a.eq(a),
            self.o_b.eq(b),
            self.o_first.eq(first),
            self.o_capture.eq(capture),
            self.o_drain.eq(drain),
        ]
        m.d.sync += [
            a.eq(self.i_a),
            b.eq(self.i_b),
            first.eq(self.i_first),
            capture.eq(self.i_capture),
            accumulator.eq(total),
        ]
        with m.If(capture):
            m.d.sync += drain.eq(accumulator)
        with m.Elif(self.drain_enable):
            m.d.sync += drain.eq(self.i_drain)
        return m


def row_of_cells(cols: int, pe: MacConfig) -> ChainConfig:
    """A row: A and the flags enter at column 0 and travel right, B and the drain cross it."""
    return ChainConfig(
        name=f"row_os_{cols}_{pe.name}",
        summary="a row of cells; A and the flags travel right, B and the drain cross it",
        instance="col",
        unit_class=CellOs,
        unit_config=pe,
        count=cols,
        links=(
            ("a", Link.FORWARD_CLOSED),
            ("first", Link.FORWARD_CLOSED),
            ("capture", Link.FORWARD),
            ("i_b", Link.LANE),
            ("o_b", Link.LANE),
            ("drain_enable", Link.BROADCAST),
            ("i_drain", Link.LANE),
            ("o_drain", Link.LANE),
        ),
    )


def grid_of_cells(rows: int, cols: int, pe: MacConfig) -> ChainConfig:
    """A stack of rows: B travels down, finished sums travel up to row 0."""
    return ChainConfig(
        name=f"grid_os_{rows}x{cols}_{pe.name}",
        summary="a stack of rows; B travels down, finished sums travel up to row 0",
        instance="row",
        unit_class=Chain,
        unit_config=row_of_cells(cols, pe),
        count=rows,
        links=(
            ("i_a", Link.LANE),
            ("i_first", Link.LANE),
            ("i_capture", Link.LANE),
            ("o_capture", Link.LAST),
            ("b", Link.FORWARD_CLOSED),
            ("drain_enable", Link.BROADCAST),
            ("drain", Link.BACKWARD),
        ),
    )


class SystolicOs(GemmEngine):
    """Output-stationary systolic array of ``rows x cols`` PEs; see `GemmEngine` for the streams.

    A beat is taken only when A and B both offer one. The beat that completes a tile waits until
    the previous tile has left, because its drain registers are then free for certain: tiles follow
    each other without a gap from K = 2 rows + cols + 1 on.
    """

    config: SystolicOsConfig
    dataflow = Dataflow.OUTPUT_STATIONARY

    def __init__(self, config: SystolicOsConfig) -> None:
        super().__init__(
            config,
            lanes_a=config.rows,
            lanes_b=config.cols,
            tile_m=config.rows,
            tile_n=config.cols,
            slice_k=1,
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last beat taken to its first row of C offered."""
        return self.config.rows + self.config.cols + 1

    @property
    def macs_per_cycle(self) -> int:
        return self.config.rows * self.config.cols

    cycle_formula = (
        "K + (tiles - 1) * max(K, 2*rows + cols + 1) + 2*rows + cols, "
        "tiles = ceil(M/rows) * ceil(N/cols)"
    )

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles = ceil_div(m, self.tile_m) * ceil_div(n, self.tile_n)
        drained = self.latency + self.config.rows - 1
        return k + (tiles - 1) * max(k, drained + 1) + drained

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols, pe = self.config.rows, self.config.cols, self.config.pe_config

        accept = Signal()
        last = Signal()
        pending = Signal()
        may_accept = Signal()
        m.d.comb += [
            may_accept.eq(~(self.i_a.payload.last & pending)),
            self.i_a.ready.eq(self.i_b.valid & may_accept),
            self.i_b.ready.eq(self.i_a.valid & may_accept),
            accept.eq(self.i_a.valid & self.i_b.valid & may_accept),
            last.eq(accept & self.i_a.payload.last),
        ]

        # A bubble is a product of zeros, so that no PE needs an enable.
        operands_a = Signal(rows * pe.width_a)
        operands_b = Signal(cols * pe.width_b)
        staggered_a = Signal.like(operands_a)
        staggered_b = Signal.like(operands_b)
        m.d.comb += [
            operands_a.eq(Mux(accept, self.i_a.payload.data.as_value(), 0)),
            operands_b.eq(Mux(accept, self.i_b.payload.data.as_value(), 0)),
        ]
        skew_a, skew_b = SkewShape(rows, pe.width_a), SkewShape(cols, pe.width_b)
        share(m, platform, "skew_a", Skew, skew_a, i=operands_a, o=staggered_a)
        share(m, platform, "skew_b", Skew, skew_b, i=operands_b, o=staggered_b)

        capture = Signal()
        m.d.sync += capture.eq(last)
        first_taps = delayed(m, "first_line", accept & self.i_a.payload.first, rows - 1)
        capture_taps = delayed(m, "capture_line", capture, rows - 1)

        drain_enable = Signal()
        captured = Signal()
        drained = Signal(cols * pe.width_acc)
        share(
            m,
            platform,
            "grid",
            Chain,
            grid_of_cells(rows, cols, pe),
            i_a=staggered_a,
            i_first=Cat(first_taps),
            i_capture=Cat(capture_taps),
            o_capture=captured,
            i_b=staggered_b,
            drain_enable=drain_enable,
            i_drain=Const(0, cols * pe.width_acc),
            o_drain=drained,
        )

        # The row counter is one-hot: row r of the tile stands in drain register 0.
        row = Signal(rows, init=1)
        last_row = Signal()
        m.d.comb += [
            last_row.eq(row[-1]),
            self.o_c.payload.data.eq(drained),
            self.o_c.payload.last.eq(last_row),
            drain_enable.eq(self.o_c.valid & self.o_c.ready),
        ]
        with m.If(captured):
            m.d.sync += self.o_c.valid.eq(1)
        with m.If(drain_enable):
            m.d.sync += row.eq(row.rotate_left(1))
            with m.If(last_row):
                m.d.sync += self.o_c.valid.eq(0)
        with m.If(last):
            m.d.sync += pending.eq(1)
        with m.Elif(drain_enable & last_row):
            m.d.sync += pending.eq(0)
        return m
