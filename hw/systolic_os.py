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
from hw.drain import accumulate_and_drain, leave, output_latency
from hw.edge import encode, held
from hw.engine import Dataflow, EngineConfig, GemmEngine, ceil_div
from hw.skew import Skew, SkewShape, delayed
from pe.config import integer
from pe.element import PeConfig
from pe.share import share
from pe.unit import Unit


class SystolicOsConfig(EngineConfig):
    """Size of an output-stationary array, and the PEs in it."""

    rows: int = integer("rows of PEs: rows of a tile of C", 1, 256, default=16)
    cols: int = integer("columns of PEs: columns of a tile of C", 1, 256, default=16)

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
        pe = self.config.pe_config
        return self.config.rows + self.config.cols + 1 + self._delay + output_latency(pe)

    @property
    def _delay(self) -> int:
        """Cycles that flags wait for the operands beside them: encoder and pipelined PE."""
        pe = self.config.pe_config
        return (pe.encoder is not None) + pe.latency

    @property
    def macs_per_cycle(self) -> int:
        return self.config.rows * self.config.cols

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        drained = self.latency + self.config.rows - 1
        return (
            f"K + (tiles - 1) * max(K, {self._gap}) + {drained}, "
            f"tiles = ceil(M/{self.config.rows}) * ceil(N/{self.config.cols})"
        )

    @property
    def _gap(self) -> int:
        """Least cycles between the last beats of two tiles."""
        return self.latency + self.config.rows - output_latency(self.config.pe_config)

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles = ceil_div(m, self.tile_m) * ceil_div(n, self.tile_n)
        return k + (tiles - 1) * max(k, self._gap) + self.latency + self.config.rows - 1

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
        m.d.comb += [
            operands_a.eq(Mux(accept, self.i_a.payload.data.as_value(), 0)),
            operands_b.eq(Mux(accept, self.i_b.payload.data.as_value(), 0)),
        ]
        codes = encode(m, platform, pe, operands_a, rows)
        if pe.encoder:
            operands_b = held(m, "operands_b_reg", operands_b)
        staggered_a = Signal.like(codes)
        staggered_b = Signal.like(operands_b)
        skew_a, skew_b = SkewShape(rows, pe.code_width), SkewShape(cols, pe.width_b)
        share(m, platform, "skew_a", Skew, skew_a, i=codes, o=staggered_a)
        share(m, platform, "skew_b", Skew, skew_b, i=operands_b, o=staggered_b)

        capture = Signal()
        m.d.sync += capture.eq(last)
        lines = rows - 1 + self._delay
        first_taps = delayed(m, "first_line", accept & self.i_a.payload.first, lines)
        capture_taps = delayed(m, "capture_line", capture, lines)

        drain_enable = Signal()
        done = Signal()
        captured = Signal()
        drained = Signal(cols * pe.state_shape.width)
        share(
            m,
            platform,
            "grid",
            Chain,
            grid_of_cells(rows, cols, pe),
            i_a=staggered_a,
            i_first=Cat(first_taps[self._delay :]),
            i_capture=Cat(capture_taps[self._delay :]),
            o_capture=captured,
            i_b=staggered_b,
            drain_enable=drain_enable,
            i_drain=Const(0, cols * pe.state_shape.width),
            o_drain=drained,
        )
        leaving = leave(
            m,
            platform,
            pe,
            rows=rows,
            cols=cols,
            captured=captured,
            drained=drained,
            o_c=self.o_c,
        )
        m.d.comb += [drain_enable.eq(leaving[0]), done.eq(leaving[1])]
        with m.If(last):
            m.d.sync += pending.eq(1)
        with m.Elif(done):
            m.d.sync += pending.eq(0)
        return m
