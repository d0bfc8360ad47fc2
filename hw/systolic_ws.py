"""Weight-stationary systolic array: every PE keeps one element of B.

Rows of the array are k, columns are n. A operands travel right, partial sums travel down and grow
by one product a row. Below each column a pair of accumulator banks takes the K-slices together:
one bank fills while the other leaves. Weights enter at the bottom row and are shifted up into a
second register of each PE while the first is in use; a flag that travels with A swaps them in.

Source: the dataflow of "In-Datacenter Performance Analysis of a Tensor Processing Unit"
(ISCA 2017), section 2, with its double-buffered weights and accumulators.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.edge import encode_a
from hw.engine import Dataflow, EngineConfig, GemmEngine
from hw.memory import Memory, MemoryShape
from hw.nest import Dimension, Loop, Nest, Order, engine_nest
from hw.skew import Skew, SkewShape, delayed
from pe.config import integer
from pe.element import PeConfig
from pe.primitives import Primitive, Scope
from pe.share import share
from pe.unit import Unit


class SystolicWsConfig(EngineConfig):
    """Size of a weight-stationary array, and the PEs in it."""

    rows: int = integer("rows of PEs: elements of K in a K-slice", 1, 256, default=16)
    cols: int = integer("columns of PEs: columns of a tile of C", 1, 256, default=16)
    depth: int = integer(
        "rows of a tile of C: words of an accumulator bank", 2, 1 << 16, default=256
    )

    @property
    def name(self) -> str:
        return f"systolic_ws_{self.rows}x{self.cols}x{self.depth}_{self.pe_config.name}"


class CellWs(Unit):
    """One PE with its operand, weight and partial-sum registers.

    Members
    -------
    i_a, o_a
        Operand of A, passed right after one cycle.
    i_swap, o_swap : In, Out(1)
        The operand beside it is the first to meet the next weight; passed right.
    i_b, o_b
        Next weight, from the row below, to the row above.
    load : In(1)
        Shift the next weights up.
    i_sum, o_sum
        Partial sum, passed down after one cycle.
    """

    config: PeConfig

    def __init__(self, config: PeConfig) -> None:
        super().__init__(
            config,
            {
                "i_a": In(config.a_port),
                "i_swap": In(1),
                "i_b": In(config.b_port),
                "load": In(1),
                "i_sum": In(config.state_shape),
                "o_a": Out(config.a_port),
                "o_swap": Out(1),
                "o_b": Out(config.b_port),
                "o_sum": Out(config.state_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"cell_ws_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal(self.config.a_port, reset_less=True)
        swap = Signal()
        weight = Signal(self.config.b_port, reset_less=True)
        next_weight = Signal(self.config.b_port, reset_less=True)
        partial_sum = Signal(self.config.state_shape, reset_less=True)
        total = self.config.step(m, platform, a, weight, self.i_sum)
        m.d.comb += [
            self.o_a.eq(a),
            self.o_swap.eq(swap),
            self.o_b.eq(next_weight),
            self.o_sum.eq(partial_sum),
        ]
        m.d.sync += [a.eq(self.i_a), swap.eq(self.i_swap), partial_sum.eq(total)]
        with m.If(self.i_swap):
            m.d.sync += weight.eq(next_weight)
        with m.If(self.load):
            m.d.sync += next_weight.eq(self.i_b)
        return m


def row_of_cells(cols: int, pe: PeConfig) -> ChainConfig:
    """A row: A travels right, partial sums and next weights cross it."""
    return ChainConfig(
        name=f"row_ws_{cols}_{pe.name}",
        summary="a row of cells; A travels right, partial sums and next weights cross it",
        instance="col",
        unit_class=CellWs,
        unit_config=pe,
        count=cols,
        links=(
            ("a", Link.FORWARD_CLOSED),
            ("swap", Link.FORWARD_CLOSED),
            ("load", Link.BROADCAST),
            ("i_b", Link.LANE),
            ("o_b", Link.LANE),
            ("i_sum", Link.LANE),
            ("o_sum", Link.LANE),
        ),
    )


def grid_of_cells(rows: int, cols: int, pe: PeConfig) -> ChainConfig:
    """A stack of rows: partial sums travel down, next weights travel up."""
    return ChainConfig(
        name=f"grid_ws_{rows}x{cols}_{pe.name}",
        summary="a stack of rows; partial sums travel down, next weights travel up",
        instance="row",
        unit_class=Chain,
        unit_config=row_of_cells(cols, pe),
        count=rows,
        links=(
            ("i_a", Link.LANE),
            ("i_swap", Link.LANE),
            ("load", Link.BROADCAST),
            ("b", Link.BACKWARD_CLOSED),
            ("sum", Link.FORWARD),
        ),
    )


class Accumulator(Unit):
    """Two accumulator banks below one column: one takes partial sums in, the other leaves.

    Members
    -------
    i_sum : In
        Partial sum out of the column, one cycle behind `i_step`.
    i_step, o_step : In, Out
        What to do with the next partial sum, passed right: fields `valid`, `first` (of the K
        loop: replace the word, do not add to it), `bank`, `address`, low bits first.
    leave_bank, leave_address, leave_enable : In
        Word to read out of the bank that leaves.
    o_c : Out
        That word, one cycle later, held while `leave_enable` is low.
    """

    config: MemoryShape

    def __init__(self, config: MemoryShape) -> None:
        address = Signal(range(config.depth)).shape()
        super().__init__(
            config,
            {
                "i_sum": In(config.word),
                "i_step": In(3 + address.width),
                "leave_bank": In(1),
                "leave_address": In(address),
                "leave_enable": In(1),
                "o_step": Out(3 + address.width),
                "o_c": Out(config.word),
            },
        )

    @property
    def name(self) -> str:
        return f"accumulator_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.config.word
        step = Signal(len(self.i_step))
        valid = Signal()
        first = Signal()
        bank = Signal()
        address = Signal(len(self.leave_address))
        left_bank = Signal()
        so_far = Signal(word)
        total = Signal(word)
        words = [Signal(word, name=f"word_{b}") for b in range(2)]
        i_valid, i_bank, i_address = self.i_step[0], self.i_step[2], self.i_step[3:]
        m.d.sync += step.eq(self.i_step)
        with m.If(self.leave_enable):
            m.d.sync += left_bank.eq(self.leave_bank)
        m.d.comb += [
            self.o_step.eq(step),
            Cat(valid, first, bank, address).eq(step),
            so_far.eq(Mux(first, 0, Mux(bank, words[1], words[0]))),
            total.eq(so_far + self.i_sum),
            self.o_c.eq(Mux(left_bank, words[1], words[0])),
        ]
        for b in range(2):
            fill = Signal(name=f"fill_{b}")
            leave = Signal(name=f"leave_{b}")
            m.d.comb += [
                fill.eq(i_valid & (i_bank == b)),
                leave.eq(self.leave_enable & (self.leave_bank == b)),
            ]
            share(
                m,
                platform,
                f"bank_{b}",
                Memory,
                self.config,
                read_address=Mux(leave, self.leave_address, i_address),
                read_enable=fill | leave,
                read_data=words[b],
                write_address=address,
                write_enable=valid & (bank == b),
                write_data=total,
            )
        return m


def row_of_accumulators(cols: int, shape: MemoryShape) -> ChainConfig:
    """The accumulators of all columns: `step` travels right as the partial sums' stagger needs."""
    return ChainConfig(
        name=f"accumulators_{cols}x{shape.slug}",
        summary="the accumulators of all columns",
        instance="col",
        unit_class=Accumulator,
        unit_config=shape,
        count=cols,
        links=(
            ("step", Link.FORWARD_CLOSED),
            ("i_sum", Link.LANE),
            ("leave_bank", Link.BROADCAST),
            ("leave_address", Link.BROADCAST),
            ("leave_enable", Link.BROADCAST),
            ("o_c", Link.LANE),
        ),
    )


class ResolvedColumn(Unit):
    """The carry-propagate adder at the bottom of a column.

    Members
    -------
    i_state : In(state_shape)
        Running sum.
    o_number : Out(accumulator_shape)
        The number it stands for, one cycle after `PeConfig.resolve` has it: the accumulator adds
        to it in a cycle of its own.
    """

    config: PeConfig

    def __init__(self, config: PeConfig) -> None:
        members = {"i_state": In(config.state_shape), "o_number": Out(config.accumulator_shape)}
        super().__init__(config, members)

    @property
    def name(self) -> str:
        return f"resolve_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = Signal(self.config.accumulator_shape, reset_less=True)
        m.d.sync += number.eq(self.config.resolve(m, self.i_state))
        m.d.comb += self.o_number.eq(number)
        return m


def row_of_resolvers(cols: int, pe: PeConfig) -> ChainConfig:
    """The carry-propagate adders of all columns."""
    return ChainConfig(
        name=f"resolvers_{cols}_{pe.name}",
        summary="the carry-propagate adders of all columns",
        instance="col",
        unit_class=ResolvedColumn,
        unit_config=pe,
        count=cols,
        links=(("i_state", Link.LANE), ("o_number", Link.LANE)),
    )


class SystolicWs(GemmEngine):
    """Weight-stationary systolic array of ``rows x cols`` PEs; see `GemmEngine` for the streams.

    The first A beat of a K-slice waits until the `rows` B beats of that slice are in. A tile may
    have 1 to `depth` rows. The first beat of a tile waits until one of the two accumulator banks
    is free.
    """

    config: SystolicWsConfig
    dataflow = Dataflow.WEIGHT_STATIONARY

    def __init__(self, config: SystolicWsConfig) -> None:
        super().__init__(
            config,
            lanes_a=config.rows,
            lanes_b=config.cols,
            tile_m=config.depth,
            tile_n=config.cols,
            slice_k=config.rows,
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last beat of A taken to its first row of C offered."""
        return self.config.rows + self.config.cols + 2 + self._sum_delay

    @property
    def _edge_delay(self) -> int:
        """Cycles in which operands are recoded at the edge."""
        return int(self.config.pe_config.encoder is not None)

    @property
    def _sum_delay(self) -> int:
        """Cycles that a partial sum takes longer: encoder, pipelined PE, resolution of carries."""
        pe = self.config.pe_config
        resolve = 0 if pe.resolve_latency is None else pe.resolve_latency + 1
        return self._edge_delay + pe.latency + resolve

    @property
    def macs_per_cycle(self) -> int:
        return self.config.rows * self.config.cols

    @property
    def weight_cycles(self) -> int:
        """Least cycles between the first A beats of two K-slices.

        The swap crosses the array, then the next weights are shifted in.
        """
        return self.config.rows + max(1, self._crossing)

    @property
    def _crossing(self) -> int:
        """Cycles from the first A beat of a K-slice to the swap of the last weight."""
        return self.config.rows + self.config.cols - 2 + self._edge_delay

    @property
    def nest(self) -> Nest:
        config = self.config
        nest = engine_nest(
            (
                Loop(Dimension.M, Order.TEMPORAL),
                Loop(Dimension.N, Order.TEMPORAL),
                Loop(Dimension.K, Order.TEMPORAL),
                Loop(Dimension.M, Order.TEMPORAL, config.depth),
                Loop(Dimension.K, Order.SYSTOLIC, config.rows),
                Loop(Dimension.N, Order.SYSTOLIC, config.cols),
            ),
            config.pe_config,
            {
                Scope.OPERAND: (0, 1, 2, 3, 4),
                Scope.STEP: (0, 1, 2, 3, 4, 5),
                Scope.RESULT: (0, 1, 2, 3, 5),
            },
        )
        accumulate = (Primitive.ADD, (0, 1, 2, 3, 5))
        return nest._replace(primitives=(*nest.primitives, accumulate))

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        rows = self.config.rows
        return (
            f"about {rows} + {self.nest.trip_text(2)} * "
            f"sum over tiles of max(M_tile, {self.weight_cycles}) "
            f"+ {self.latency} + M_last; exactly: SystolicWs.cycles"
        )

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles_m, tiles_n, slices, *_ = self.nest.trips(m, k, n)
        heights = [min(self.tile_m, m - i * self.tile_m) for i in range(tiles_m)]
        start = self.config.rows  # of the next tile's first A beat
        left = 0  # when the tile before has left its bank
        bank_free = [0, 0]
        tiles = [height for height in heights for _ in range(tiles_n)]
        for index, height in enumerate(tiles):
            start = max(start, bank_free[index % 2])
            interval = max(height, self.weight_cycles)
            last_beat = start + (slices - 1) * interval + height - 1
            left = max(last_beat + self.latency - 1, left) + height
            bank_free[index % 2] = left + 1
            start += slices * interval
        return left + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols, pe = self.config.rows, self.config.cols, self.config.pe_config
        bank_shape = MemoryShape(self.config.depth, pe.accumulator_shape)
        address_range = range(self.config.depth)

        slice_start = Signal(init=1)
        fill_bank = Signal()
        leave_bank = Signal()
        row = Signal(address_range)
        occupied = Signal(2)
        complete = Signal(2)
        last_rows = [Signal(address_range, name=f"last_row_{b}") for b in range(2)]

        # Weights: `rows` beats fill the shadow registers; a swap empties them once it has crossed.
        load = Signal()
        weights_ready = Signal()
        loaded = Signal(range(rows + 1))
        crossing = Signal(range(max(1, self._crossing)))
        m.d.comb += [
            weights_ready.eq(loaded == rows),
            self.i_b.ready.eq(~weights_ready & (crossing == 0)),
            load.eq(self.i_b.valid & self.i_b.ready),
        ]
        with m.If(load):
            m.d.sync += loaded.eq(loaded + 1)
        with m.If(crossing != 0):
            m.d.sync += crossing.eq(crossing - 1)

        # Operands: a bubble is a row of zeros, and no step for the accumulators.
        accept = Signal()
        swap = Signal()
        tile_start = Signal()
        slice_end = Signal()
        tile_end = Signal()
        m.d.comb += [
            tile_start.eq(slice_start & self.i_a.payload.first),
            self.i_a.ready.eq(
                ~slice_start
                | (weights_ready & ~(tile_start & Mux(fill_bank, occupied[1], occupied[0])))
            ),
            accept.eq(self.i_a.valid & self.i_a.ready),
            swap.eq(accept & slice_start),
            slice_end.eq(accept & self.i_a.payload.end),
            tile_end.eq(slice_end & self.i_a.payload.last),
        ]
        with m.If(swap):
            m.d.sync += [loaded.eq(0), crossing.eq(max(0, self._crossing - 1))]
        with m.If(accept):
            m.d.sync += [slice_start.eq(self.i_a.payload.end), row.eq(row + 1)]
        with m.If(slice_end):
            m.d.sync += row.eq(0)
        with m.If(tile_end):
            m.d.sync += fill_bank.eq(~fill_bank)
            for b in range(2):
                with m.If(fill_bank == b):
                    m.d.sync += last_rows[b].eq(row)

        operands = Signal(rows * pe.width_a)
        m.d.comb += operands.eq(Mux(accept, self.i_a.payload.data.as_value(), 0))
        codes = encode_a(m, platform, pe, operands, rows)
        staggered = Signal.like(codes)
        sums = Signal(cols * pe.state_shape.width)
        swap_taps = delayed(m, "swap_line", swap, rows - 1 + self._edge_delay)
        share(m, platform, "skew", Skew, SkewShape(rows, pe.code_width), i=codes, o=staggered)
        share(
            m,
            platform,
            "grid",
            Chain,
            grid_of_cells(rows, cols, pe),
            i_a=staggered,
            i_swap=Cat(swap_taps[self._edge_delay :]),
            load=load,
            i_b=self.i_b.payload.data,
            i_sum=Const(0, cols * pe.state_shape.width),
            o_sum=sums,
        )
        numbers = sums
        if pe.resolve_latency is not None:
            numbers = Signal(cols * pe.width_acc)
            share(
                m,
                platform,
                "resolvers",
                Chain,
                row_of_resolvers(cols, pe),
                i_state=sums,
                o_number=numbers,
            )

        # Accumulators: the step of a beat meets its partial sum at the bottom of the array.
        step = Cat(accept, self.i_a.payload.first, fill_bank, row)
        step_at_bottom = delayed(m, "step_line", step, rows + self._sum_delay)[-1]
        end_at_bottom = delayed(m, "end_line", tile_end, rows + cols + self._sum_delay)[-1]
        leave_row = Signal(address_range)
        leave_enable = Signal()
        leave_last = Signal()
        share(
            m,
            platform,
            "accumulators",
            Chain,
            row_of_accumulators(cols, bank_shape),
            i_step=step_at_bottom,
            i_sum=numbers,
            leave_bank=leave_bank,
            leave_address=leave_row,
            leave_enable=leave_enable,
            o_c=self.o_c.payload.data,
        )
        m.d.comb += [
            leave_enable.eq(
                Mux(leave_bank, complete[1], complete[0]) & (~self.o_c.valid | self.o_c.ready)
            ),
            leave_last.eq(leave_row == Mux(leave_bank, last_rows[1], last_rows[0])),
        ]
        with m.If(leave_enable):
            m.d.sync += [
                self.o_c.valid.eq(1),
                self.o_c.payload.last.eq(leave_last),
                leave_row.eq(Mux(leave_last, 0, leave_row + 1)),
            ]
            with m.If(leave_last):
                m.d.sync += leave_bank.eq(~leave_bank)
        with m.Elif(self.o_c.ready):
            m.d.sync += self.o_c.valid.eq(0)

        complete_bank = Signal()
        with m.If(end_at_bottom):
            m.d.sync += complete_bank.eq(~complete_bank)
        # A bank is free once the sink has its last row: the row waits in the bank's read register.
        gone_bank = Signal()
        tile_gone = Signal()
        m.d.comb += tile_gone.eq(self.o_c.valid & self.o_c.ready & self.o_c.payload.last)
        with m.If(tile_gone):
            m.d.sync += gone_bank.eq(~gone_bank)
        for b in range(2):
            with m.If(swap & tile_start & (fill_bank == b)):
                m.d.sync += occupied[b].eq(1)
            with m.Elif(tile_gone & (gone_bank == b)):
                m.d.sync += occupied[b].eq(0)
            with m.If(end_at_bottom & (complete_bank == b)):
                m.d.sync += complete[b].eq(1)
            with m.Elif(leave_enable & leave_last & (leave_bank == b)):
                m.d.sync += complete[b].eq(0)
        return m
