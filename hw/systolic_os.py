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

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.drain import accumulate_and_drain
from hw.nest import Order
from hw.output_stationary import OutputStationary, OutputStationaryConfig
from hw.skew import Skew, SkewShape, delayed
from pe.config import integer
from pe.element import PeConfig
from pe.share import share
from pe.unit import Unit


class SystolicOsConfig(OutputStationaryConfig):
    """Size of an output-stationary array, and the PEs in it."""

    rows: int = integer("rows of PEs: rows of a tile of C", 1, 256, default=16)
    cols: int = integer("columns of PEs: columns of a tile of C", 1, 256, default=16)

    @property
    def tile(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def name(self) -> str:
        return f"systolic_os_{self.rows}x{self.cols}_{self.pe_config.name}"


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

    config: PeConfig

    def __init__(self, config: PeConfig) -> None:
        super().__init__(
            config,
            {
                "i_a": In(config.a_port),
                "i_b": In(config.b_port),
                "i_first": In(1),
                "i_capture": In(1),
                "i_drain": In(config.state_shape),
                "drain_enable": In(1),
                "o_a": Out(config.a_port),
                "o_b": Out(config.b_port),
                "o_first": Out(1),
                "o_capture": Out(1),
                "o_drain": Out(config.state_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"cell_os_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal(self.config.a_port, reset_less=True)
        b = Signal(self.config.b_port, reset_less=True)
        first = Signal()
        capture = Signal()
        drain = accumulate_and_drain(
            m,
            platform,
            self.config,
            a=a,
            b=b,
            first=first,
            capture=capture,
            drain_enable=self.drain_enable,
            i_drain=self.i_drain,
        )
        m.d.sync += [
            a.eq(self.i_a),
            b.eq(self.i_b),
            first.eq(self.i_first),
            capture.eq(self.i_capture),
        ]
        m.d.comb += [
            self.o_a.eq(a),
            self.o_b.eq(b),
            self.o_first.eq(first),
            self.o_capture.eq(capture),
            self.o_drain.eq(drain),
        ]
        return m


def row_of_cells(cols: int, pe: PeConfig) -> ChainConfig:
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


def grid_of_cells(rows: int, cols: int, pe: PeConfig) -> ChainConfig:
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


class SystolicOs(OutputStationary):
    """Output-stationary systolic array of ``rows x cols`` PEs; see `GemmEngine` for the streams.

    Tiles follow each other without a gap from K = `gap` on: 2 rows + cols + 1 with plain MACs.
    """

    config: SystolicOsConfig

    order = Order.SYSTOLIC

    def array(
        self,
        m: Module,
        platform: object,
        *,
        codes: Value,
        operands_b: Value,
        first: Value,
        last: Value,
        drain_enable: Value,
    ) -> tuple[Value, Value]:
        rows, cols, pe = self.config.rows, self.config.cols, self.config.pe_config
        staggered_a = Signal(len(codes))
        staggered_b = Signal(len(operands_b))
        skew_a, skew_b = SkewShape(rows, pe.code_width), SkewShape(cols, pe.width_b)
        share(m, platform, "skew_a", Skew, skew_a, i=codes, o=staggered_a)
        share(m, platform, "skew_b", Skew, skew_b, i=operands_b, o=staggered_b)

        capture = Signal()
        m.d.sync += capture.eq(last)
        first_taps = delayed(m, "first_line", first, self.delay + rows - 1)
        capture_taps = delayed(m, "capture_line", capture, self.delay + rows - 1)

        captured = Signal()
        drained = Signal(cols * pe.state_shape.width)
        share(
            m,
            platform,
            "grid",
            Chain,
            grid_of_cells(rows, cols, pe),
            i_a=staggered_a,
            i_first=Cat(first_taps[self.delay :]),
            i_capture=Cat(capture_taps[self.delay :]),
            o_capture=captured,
            i_b=staggered_b,
            drain_enable=drain_enable,
            i_drain=Const(0, len(drained)),
            o_drain=drained,
        )
        return captured, drained
