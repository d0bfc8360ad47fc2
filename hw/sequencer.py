"""The sequencer of a GEMM core: one unit feeds the engine, one collects what it yields."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core_config import (
    SIZE_BITS,
    GemmCoreConfig,
    command_layout,
    job_layout,
    response_layout,
)
from pe.unit import Unit


class Feeder(Unit):
    """Walk the tiles of a product, N innermost, and offer the engine a K-slice a cycle.

    Members
    -------
    i_command : In(stream)
        The product; see `command_layout`.
    o_job : Out(stream)
        The same for the collector; see `job_layout`.
    now : In(32)
        Cycle counter.
    address_a, address_b, read_enable : Out
        Read both operand memories; the words go to the engine directly.
    beat_valid, beat_first, beat_last : Out(1), beat_ready : In(1)
        Valid and flags of the words read, and whether the engine takes them.
    """

    config: GemmCoreConfig

    def __init__(self, config: GemmCoreConfig) -> None:
        memories = config.memories
        super().__init__(
            config,
            {
                "i_command": In(stream.Signature(command_layout(memories))),
                "o_job": Out(stream.Signature(job_layout(memories))),
                "now": In(32),
                "address_a": Out(range(memories["a"].depth)),
                "address_b": Out(range(memories["b"].depth)),
                "read_enable": Out(1),
                "beat_valid": Out(1),
                "beat_first": Out(1),
                "beat_last": Out(1),
                "beat_ready": In(1),
            },
        )

    @property
    def name(self) -> str:
        return f"feeder_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.array.rows, self.config.array.cols
        m_size = Signal(SIZE_BITS)
        k_size = Signal(SIZE_BITS)
        n_size = Signal(SIZE_BITS)
        base_b = Signal.like(self.address_b)
        base_c = Signal.like(self.o_job.payload.base_c)
        active = Signal()
        walking = Signal()
        tile_a = Signal.like(self.address_a)
        k_left = Signal(SIZE_BITS)
        m_left = Signal(SIZE_BITS)
        n_left = Signal(SIZE_BITS)
        k_first = Signal()
        k_last = Signal()
        advance = Signal()
        next_a = Signal.like(self.address_a)
        taken = Signal()

        m.d.comb += [
            self.i_command.ready.eq(~active),
            taken.eq(self.i_command.valid & self.i_command.ready),
            advance.eq(~self.beat_valid | self.beat_ready),
            self.read_enable.eq(advance & walking),
            k_last.eq(k_left == 1),
            next_a.eq(self.address_a + 1),
            self.o_job.payload.m.eq(m_size),
            self.o_job.payload.n.eq(n_size),
            self.o_job.payload.base_c.eq(base_c),
        ]
        with m.If(advance):
            m.d.sync += [
                self.beat_valid.eq(walking),
                self.beat_first.eq(k_first),
                self.beat_last.eq(k_last),
            ]
        with m.If(self.read_enable):
            m.d.sync += [
                self.address_a.eq(next_a),
                self.address_b.eq(self.address_b + 1),
                k_left.eq(k_left - 1),
                k_first.eq(k_last),
            ]
            with m.If(k_last):
                m.d.sync += k_left.eq(k_size)
                with m.If(n_left > cols):
                    m.d.sync += [self.address_a.eq(tile_a), n_left.eq(n_left - cols)]
                with m.Else():
                    m.d.sync += [
                        tile_a.eq(next_a),
                        self.address_b.eq(base_b),
                        n_left.eq(n_size),
                        m_left.eq(m_left - rows),
                        walking.eq(m_left > rows),
                    ]
        with m.If(self.o_job.ready):
            m.d.sync += self.o_job.valid.eq(0)
        with m.If(taken):
            incoming = self.i_command.payload
            m.d.sync += [
                m_size.eq(incoming.m),
                k_size.eq(incoming.k),
                n_size.eq(incoming.n),
                base_b.eq(incoming.base_b),
                base_c.eq(incoming.base_c),
                self.o_job.payload.started.eq(self.now),
                self.o_job.valid.eq(1),
                active.eq(1),
                walking.eq(1),
                self.address_a.eq(incoming.base_a),
                tile_a.eq(incoming.base_a),
                self.address_b.eq(incoming.base_b),
                k_left.eq(incoming.k),
                m_left.eq(incoming.m),
                n_left.eq(incoming.n),
                k_first.eq(1),
            ]
        with m.Elif(~walking & ~self.o_job.valid):
            m.d.sync += active.eq(0)
        return m


class Collector(Unit):
    """Write the rows of C that the engine yields to their words, and answer each command.

    Members
    -------
    i_job : In(stream)
        What is being computed; see `job_layout`.
    row_valid, row_last : In(1), row_ready : Out(1)
        Handshake of the engine's rows of C, and the final one of a tile; the rows themselves go
        to the memory directly.
    now : In(32)
        Cycle counter.
    address_c, write_enable : Out
        Write the row's word.
    o_response : Out(stream)
        ``cycles`` of the command.
    """

    config: GemmCoreConfig

    def __init__(self, config: GemmCoreConfig) -> None:
        memories = config.memories
        super().__init__(
            config,
            {
                "i_job": In(stream.Signature(job_layout(memories))),
                "now": In(32),
                "row_valid": In(1),
                "row_last": In(1),
                "row_ready": Out(1),
                "address_c": Out(range(memories["c"].depth)),
                "write_enable": Out(1),
                "o_response": Out(stream.Signature(response_layout())),
            },
        )

    @property
    def name(self) -> str:
        return f"collector_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.array.rows, self.config.array.cols
        stride_c = Signal.like(self.address_c)
        n_size = Signal(SIZE_BITS)
        started = Signal(32)
        active = Signal()
        m_left = Signal(SIZE_BITS)
        n_left = Signal(SIZE_BITS)
        row = Signal(range(rows))
        tile_c = Signal.like(self.address_c)
        stripe_c = Signal.like(self.address_c)
        next_stripe = Signal.like(self.address_c)
        accept = Signal()

        m.d.comb += [
            self.i_job.ready.eq(~active & ~self.o_response.valid),
            self.row_ready.eq(active),
            accept.eq(active & self.row_valid),
            self.write_enable.eq(accept & (row < m_left)),
            self.address_c.eq(tile_c + row),
            next_stripe.eq(stripe_c + rows),
        ]
        with m.If(self.o_response.ready):
            m.d.sync += self.o_response.valid.eq(0)
        with m.If(accept):
            m.d.sync += row.eq(row + 1)
        with m.If(accept & self.row_last):
            m.d.sync += row.eq(0)
            with m.If(n_left > cols):
                m.d.sync += [n_left.eq(n_left - cols), tile_c.eq(tile_c + stride_c)]
            with m.Else():
                m.d.sync += [
                    n_left.eq(n_size),
                    m_left.eq(m_left - rows),
                    stripe_c.eq(next_stripe),
                    tile_c.eq(next_stripe),
                ]
                with m.If(m_left <= rows):
                    m.d.sync += [
                        active.eq(0),
                        self.o_response.valid.eq(1),
                        self.o_response.payload.cycles.eq(self.now - started + 1),
                    ]
        with m.If(self.i_job.valid & self.i_job.ready):
            incoming = self.i_job.payload
            m.d.sync += [
                stride_c.eq(incoming.m),
                n_size.eq(incoming.n),
                started.eq(incoming.started),
                active.eq(1),
                m_left.eq(incoming.m),
                n_left.eq(incoming.n),
                tile_c.eq(incoming.base_c),
                stripe_c.eq(incoming.base_c),
            ]
        return m
