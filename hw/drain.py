# amaranth: UnusedElaboratable=no
"""How finished sums leave an array: drain registers in its cells, carry resolution at its edge.

The drain registers of a column form a shift register towards row 0, so that a finished tile leaves
row by row while the PEs work on the next one. Running sums that are numbers leave as they are.
Others go through one carry-propagate adder a column and a buffer behind it, so that neither the
adder nor a stall of the sink reaches into the array within a cycle.
"""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from pe.element import PeConfig
from pe.share import share
from pe.unit import Unit


def output_latency(pe: PeConfig) -> int:
    """Cycles between a row in drain register 0 and the same row offered on the stream."""
    return 0 if pe.resolve_latency is None else 2 + pe.resolve_latency


def buffer_depth(pe: PeConfig) -> int:
    """Rows in the buffer behind the adders: as many as are on their way when one is asked for."""
    return output_latency(pe) + 1


def accumulate_and_drain(
    m: Module,
    platform: object,
    pe: PeConfig,
    *,
    a: Value,
    b: Value,
    first: Value,
    capture: Value,
    drain_enable: Value,
    i_drain: Value,
) -> Value:
    """Place a PE with its running sum and its drain register; return the latter.

    Parameters
    ----------
    a, b
        Operands, `PeConfig.latency` cycles ahead of `first` and `capture`.
    first
        The operands start a new sum.
    capture
        The sum is complete: one cycle after its last operands.
    drain_enable
        Shift the drain registers; a cycle later where sums are to be resolved.
    i_drain
        Drain register of the next row.
    """
    shape = pe.state_shape
    accumulator = Signal(shape, reset_less=True)
    addend = Signal(shape)
    drain = Signal(shape, reset_less=True)
    shift = Signal()
    m.d.comb += addend.eq(Mux(first, 0, accumulator))
    m.d.sync += accumulator.eq(pe.step(m, platform, a, b, addend))
    m.d["comb" if pe.resolve_latency is None else "sync"] += shift.eq(drain_enable)
    with m.If(capture):
        m.d.sync += drain.eq(accumulator)
    with m.Elif(shift):
        m.d.sync += drain.eq(i_drain)
    return drain


def leave(
    m: Module,
    platform: object,
    pe: PeConfig,
    *,
    rows: int,
    cols: int,
    captured: Value,
    drained: Value,
    o_c: Any,
) -> tuple[Value, Value]:
    """Place what takes the rows of a tile out of drain register 0 onto a stream.

    Parameters
    ----------
    captured
        A tile is in the drain registers from the next cycle on.
    drained
        The `cols` drain registers of row 0.
    o_c
        Stream with the fields ``data`` and ``last``.

    Returns
    -------
    drain_enable, done
        Shift the drain registers; the last row is leaving them.
    """
    # The row counter is one-hot: row r of the tile stands in drain register 0.
    row = Signal(rows, init=1)
    full = Signal()
    drain_enable = Signal()
    done = Signal()
    m.d.comb += done.eq(drain_enable & row[-1])
    with m.If(captured):
        m.d.sync += full.eq(1)
    with m.If(drain_enable):
        m.d.sync += row.eq(row.rotate_left(1))
    with m.If(done):
        m.d.sync += full.eq(0)
    if pe.resolve_latency is None:
        m.d.comb += [
            o_c.payload.data.eq(drained),
            o_c.payload.last.eq(row[-1]),
            o_c.valid.eq(full),
            drain_enable.eq(full & o_c.ready),
        ]
        return drain_enable, done

    # A row is asked for when the buffer has room for it and for all that are on their way.
    depth = buffer_depth(pe)
    room = Signal(depth, init=(1 << depth) - 1)
    taken = Signal()
    on_the_way = Signal(output_latency(pe) - 1)
    lasts_on_the_way = Signal(output_latency(pe) - 1)
    m.d.comb += [taken.eq(o_c.valid & o_c.ready), drain_enable.eq(full & room[0])]
    m.d.sync += [
        on_the_way.eq(Cat(drain_enable, on_the_way)),
        lasts_on_the_way.eq(Cat(done, lasts_on_the_way)),
    ]
    # Thermometer code: bit r tells of room for more than r rows.
    with m.If(drain_enable & ~taken):
        m.d.sync += room.eq(Cat(room[1:], 0))
    with m.Elif(~drain_enable & taken):
        m.d.sync += room.eq(Cat(1, room))
    write = Signal(depth, init=1)
    push = Signal(depth)
    read = Signal(depth, init=1)
    filled = Signal(depth)
    lasts = Signal(depth)
    m.d.comb += o_c.valid.eq((filled & read).any())
    m.d.sync += push.eq(Mux(on_the_way[-2], write, 0))
    with m.If(on_the_way[-2]):
        m.d.sync += write.eq(write.rotate_left(1))
    with m.If(taken):
        m.d.sync += read.eq(read.rotate_left(1))
    for i in range(depth):
        with m.If(push[i]):
            m.d.sync += [filled[i].eq(1), lasts[i].eq(lasts_on_the_way[-1])]
        with m.Elif(taken & read[i]):
            m.d.sync += filled[i].eq(0)
    m.d.comb += o_c.payload.last.eq((lasts & read).any())
    share(
        m,
        platform,
        "output",
        Chain,
        row_of_outputs(cols, pe),
        i_state=drained,
        push=push,
        read=read,
        o_data=o_c.payload.data,
    )
    return drain_enable, done


class OutputColumn(Unit):
    """The carry-propagate adder of a column, and a buffer of a few rows behind it.

    Members
    -------
    i_state : In(state_shape)
        Running sum.
    push : In(buffer_depth)
        One-hot: where the number resolved in this cycle goes, none if it is not to be kept.
    read : In(buffer_depth)
        One-hot: the word to show.
    o_data : Out(accumulator_shape)
        That word.
    """

    config: PeConfig

    def __init__(self, config: PeConfig) -> None:
        super().__init__(
            config,
            {
                "i_state": In(config.state_shape),
                "push": In(buffer_depth(config)),
                "read": In(buffer_depth(config)),
                "o_data": Out(config.accumulator_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"output_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.config.accumulator_shape
        number = Signal(shape)
        m.d.comb += number.eq(self.config.resolve(m, self.i_state))
        shown = []
        for i in range(len(self.push)):
            word = Signal(shape, name=f"word_{i}", reset_less=True)
            with m.If(self.push[i]):
                m.d.sync += word.eq(number)
            shown.append(Mux(self.read[i], word.as_unsigned(), 0))
        m.d.comb += self.o_data.eq(reduce(or_, shown))
        return m


def row_of_outputs(cols: int, pe: PeConfig) -> ChainConfig:
    """The outputs of all columns."""
    return ChainConfig(
        name=f"outputs_{cols}_{pe.name}",
        summary="the carry-propagate adders and output buffers of all columns",
        instance="col",
        unit_class=OutputColumn,
        unit_config=pe,
        count=cols,
        links=(
            ("i_state", Link.LANE),
            ("push", Link.BROADCAST),
            ("read", Link.BROADCAST),
            ("o_data", Link.LANE),
        ),
    )
