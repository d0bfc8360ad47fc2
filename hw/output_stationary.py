# amaranth: UnusedElaboratable=no
"""What output-stationary engines share: taking beats, recoding operands, letting tiles leave."""

from amaranth.hdl import Module, Mux, Signal, Value

from hw.drain import leave, output_latency
from hw.edge import encode_a, encode_b
from hw.engine import Dataflow, EngineConfig, GemmEngine
from hw.nest import Dimension, Loop, Nest, Order, engine_nest
from pe.primitives import Scope

MOST_BEAT_BITS = 60_000
"""Bits of a beat of A and one of B together: Amaranth bounds the ports of a module."""


class OutputStationaryConfig(EngineConfig):
    """Base of the configs of output-stationary engines."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rows, cols = self.tile
        bits = self.terms * (rows * self.width_a + cols * self.width_b)
        if bits > MOST_BEAT_BITS:
            raise ValueError(
                f"lanes: {self.terms} elements of K make beats of {bits} bits for {rows} rows and "
                f"{cols} columns; at most {MOST_BEAT_BITS} are allowed"
            )

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of a tile of C, a PE for each element."""
        raise NotImplementedError


class OutputStationary(GemmEngine):
    """Base of output-stationary engines: each PE keeps one element of C.

    A beat is taken only when A and B both offer one. The beat that completes a tile waits until
    the previous tile has left, because its drain registers are then free for certain.
    """

    config: OutputStationaryConfig
    dataflow = Dataflow.OUTPUT_STATIONARY

    order: Order
    """How operands come to the PEs of a row or a column."""

    def __init__(self, config: OutputStationaryConfig) -> None:
        rows, cols = config.tile
        super().__init__(
            config,
            lanes_a=rows * config.terms,
            lanes_b=cols * config.terms,
            tile_m=rows,
            tile_n=cols,
            slice_k=config.terms,
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last beat taken to its first row of C offered."""
        return self.nest.stagger + 3 + self.delay + output_latency(self.config.pe_config)

    @property
    def delay(self) -> int:
        """Cycles that flags wait for the operands beside them: encoder and pipelined PE."""
        pe = self.config.pe_config
        return (pe.encoder is not None) + pe.latency

    @property
    def macs_per_cycle(self) -> int:
        return self.tile_m * self.tile_n * self.slice_k

    @property
    def gap(self) -> int:
        """Least cycles between the last beats of two tiles."""
        return self.latency + self.tile_m - output_latency(self.config.pe_config)

    @property
    def steady_k(self) -> int:
        return self.gap * self.slice_k

    @property
    def nest(self) -> Nest:
        rows, cols = self.config.tile
        return engine_nest(
            (
                Loop(Dimension.M, Order.TEMPORAL),
                Loop(Dimension.N, Order.TEMPORAL),
                Loop(Dimension.K, Order.TEMPORAL),
                Loop(Dimension.M, self.order, rows),
                Loop(Dimension.N, self.order, cols),
            ),
            self.config.pe_config,
            {
                Scope.OPERAND: (0, 1, 2, 3),
                Scope.STEP: (0, 1, 2, 3, 4),
                Scope.RESULT: (0, 1, 3, 4),
            },
        )

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        tiles_m, tiles_n, beats = map(self.nest.trip_text, range(3))
        name = "K" if beats == "K" else "beats"
        where = "" if beats == "K" else f"beats = {beats}, "
        return (
            f"{name} + (tiles - 1) * max({name}, {self.gap}) + {self.latency + self.tile_m - 1}, "
            f"{where}tiles = {tiles_m} * {tiles_n}"
        )

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles_m, tiles_n, beats, *_ = self.nest.trips(m, k, n)
        follow = (tiles_m * tiles_n - 1) * max(beats, self.gap)
        return beats + follow + self.latency + self.tile_m - 1

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
        """Place the PEs.

        Parameters
        ----------
        codes, operands_b
            Codes of A and elements of B of a beat, zeros where none is taken, `delay` less the
            latency of a PE cycles after the flags.
        first, last
            A beat is taken that is of the first or the last K-slice of its tile.

        Returns
        -------
        captured, drained
            A tile is in the drain registers from the next cycle on; those of row 0.
        """
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = self.config.pe_config
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
        operands_a = Signal(len(self.i_a.payload.data.as_value()))
        operands_b = Signal(len(self.i_b.payload.data.as_value()))
        m.d.comb += [
            operands_a.eq(Mux(accept, self.i_a.payload.data.as_value(), 0)),
            operands_b.eq(Mux(accept, self.i_b.payload.data.as_value(), 0)),
        ]
        drain_enable = Signal()
        captured, drained = self.array(
            m,
            platform,
            codes=encode_a(m, platform, pe, operands_a, self.tile_m * pe.terms),
            operands_b=encode_b(m, platform, pe, operands_b, self.tile_n * pe.terms),
            first=accept & self.i_a.payload.first,
            last=last,
            drain_enable=drain_enable,
        )
        enable, done = leave(
            m,
            platform,
            pe,
            rows=self.tile_m,
            cols=self.tile_n,
            captured=captured,
            drained=drained,
            o_c=self.o_c,
        )
        m.d.comb += drain_enable.eq(enable)
        with m.If(last):
            m.d.sync += pending.eq(1)
        with m.Elif(done):
            m.d.sync += pending.eq(0)
        return m
