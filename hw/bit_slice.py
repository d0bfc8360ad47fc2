# amaranth: UnusedElaboratable=no
"""Bit-slice engines: a column of PEs that skips the zero digits of the operand they share.

Output stationary, a tile of `rows` x 1. Each PE has its own row of A, and all take the same beat
of B, `lanes` consecutive k, as a few non-zero digits a cycle; a beat is done when its digits are,
and takes a cycle at least.

The running sums themselves are the shift register through which a finished tile leaves: they stand
still for it, and are zero behind it. So a PE has no drain registers, and nothing clears a sum.

Source: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), sections III and IV. There A is recoded and its
columns of PEs have each their own B; a column here is that, transposed, so that C leaves element by
element through one carry-propagate adder.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Member, Out

from hw.chain import Chain, ChainConfig, Link
from hw.digit_control import digit_control
from hw.drain import leave, output_latency
from hw.engine import Dataflow, EngineConfig, GemmEngine, ceil_div
from hw.nest import Dimension, Loop, Nest, Order
from hw.skew import delayed
from hw.term_control import LOOKAHEAD, term_control
from pe.bit_slice import (
    Accumulate,
    DigitPeConfig,
    Opt3Config,
    Opt4cConfig,
    Opt4eConfig,
    SlicePeConfig,
    shapes,
)
from pe.config import choice, integer, same_as
from pe.element import PeConfig
from pe.heap import BitHeap
from pe.laconic import LaconicConfig
from pe.primitives import Primitive
from pe.share import place, share
from pe.sparse_encoder import SparseEncoder
from pe.unit import Unit

DERIVED = 0

SLICE_PES: Mapping[str, type[SlicePeConfig]] = {
    pe.kind: pe for pe in (Opt3Config, Opt4cConfig, Opt4eConfig, LaconicConfig)
}


class BitSliceConfig(EngineConfig):
    """Size and PE of a bit-slice engine."""

    pes: ClassVar[Mapping[str, type[PeConfig]]] = SLICE_PES

    pe: str = choice("processing element", lambda: SLICE_PES, default=Opt4eConfig.kind)
    rows: int = integer("PEs: rows of a tile of C", 1, 256, default=16)
    lanes: int = integer("elements of K in a beat; 0 is what the PE has", 0, 64, default=DERIVED)
    digits: str = same_as(DigitPeConfig, "digits", default="csd")
    stages: int = same_as(SlicePeConfig, "stages", default=1)

    def __post_init__(self) -> None:
        pe = SLICE_PES.get(self.pe)
        if pe is not None:
            if self.lanes == DERIVED:
                object.__setattr__(self, "lanes", pe.default_terms)
            if type(self.lanes) is int and not 0 <= self.lanes <= pe.most_terms:
                raise ValueError(
                    f"lanes: {self.lanes} is not in 1..{pe.most_terms}, "
                    f"the elements of K that pe={self.pe} takes"
                )
        super().__post_init__()

    @property
    def name(self) -> str:
        return f"bit_slice_{self.rows}x1_{self.pe_config.name}"

    @property
    def terms(self) -> int:
        return self.lanes

    @property
    def pe_config(self) -> SlicePeConfig:
        pe = super().pe_config
        assert isinstance(pe, SlicePeConfig)
        return pe


class CellBitSlice(Unit):
    """One PE with its fetched multiples and its running sum.

    Members
    -------
    i_a : In(operands_width)
        Its elements of a beat of A.
    i_fetch, i_select : In(fetch_width), In(select_width)
        Controls of the step that is fetched in this cycle, and of the one before. With an encoder
        of its own a PE has `i_b`, `i_load`, `i_step`, `i_go` and `o_final` instead, those of
        `SparseEncoder`.
    i_sum, o_sum : In(state_shape), Out(state_shape)
        Running sum of the row below, and this one's.
    i_shift : In(1)
        In the next cycle the running sum is that of the row below; what the step before fetched is
        lost.
    """

    config: SlicePeConfig

    def __init__(self, config: SlicePeConfig) -> None:
        members: dict[str, Member] = {"i_a": In(config.operands_width)}
        if has_encoder(config):
            ports = SparseEncoder(config).signature.members  # type: ignore[arg-type]
            members |= {name: ports[name] for name in ENCODER_PORTS}
        else:
            members["i_fetch"] = In(config.fetch_width)
            if config.select_width:
                members["i_select"] = In(config.select_width)
        members |= {
            "i_sum": In(config.state_shape),
            "i_shift": In(1),
            "o_sum": Out(config.state_shape),
        }
        super().__init__(config, members)

    @property
    def name(self) -> str:
        return f"cell_bit_slice_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = self.config
        if has_encoder(pe):
            controls = place(m, platform, "encoder", SparseEncoder, pe)
            for name in ENCODER_PORTS:
                inner, outer = getattr(controls, name), getattr(self, name)
                m.d.comb += outer.eq(inner) if name == "o_final" else inner.eq(outer)
            fetch, select = controls.o_fetch, controls.o_select
        else:
            fetch = self.i_fetch
            select = self.i_select if pe.select_width else Cat()
        fetched = Signal(pe.fetched_width, reset_less=True)
        m.d.sync += fetched.eq(pe.fetch(m, self.i_a, fetch))
        heap = pe.heap(m, fetched, select)
        for stage in range(pe.stages):
            pe.advance(m, heap, stage)
            reduced = Cat(heap.flatten())
            held = Signal(len(reduced), name=f"bits_{stage}", reset_less=True)
            m.d.sync += held.eq(reduced)
            heap = BitHeap.unflatten(held, *shapes(pe)[stage])
        if not pe.stages:
            pe.advance(m, heap, -1)
        total = Signal(pe.state_shape)
        running = Signal(pe.state_shape, reset_less=True)
        bits = Cat(heap.flatten())
        m.d.comb += self.o_sum.eq(running)
        share(m, platform, "accumulate", Accumulate, pe, i=bits, addend=running, sum=total)
        shift = Signal()
        m.d.sync += [shift.eq(self.i_shift), running.eq(Mux(shift, self.i_sum, total))]
        return m


ENCODER_PORTS = ("i_b", "i_load", "i_step", "i_go", "o_final")


def has_encoder(pe: SlicePeConfig) -> bool:
    """Tell whether each PE recodes B itself."""
    return isinstance(pe, DigitPeConfig) and pe.own_encoder


def column_of_cells(rows: int, pe: SlicePeConfig) -> ChainConfig:
    """A column: all cells take the same B, each its own A; finished sums travel up to row 0."""
    if has_encoder(pe):
        shared = tuple((name, Link.BROADCAST) for name in ENCODER_PORTS[:-1])
        shared += ((ENCODER_PORTS[-1], Link.LAST),)
    else:
        names = ("i_fetch", "i_select") if pe.select_width else ("i_fetch",)
        shared = tuple((name, Link.BROADCAST) for name in names)
    return ChainConfig(
        name=f"column_{rows}_{pe.name}",
        summary="a column of cells; all take the same B, finished sums travel up to row 0",
        instance="row",
        unit_class=CellBitSlice,
        unit_config=pe,
        count=rows,
        links=(
            ("i_a", Link.LANE),
            *shared,
            ("i_shift", Link.BROADCAST),
            ("sum", Link.BACKWARD),
        ),
    )


class BitSlice(GemmEngine):
    """A bit-slice engine; see `GemmEngine` for the streams.

    A beat of B is taken one before that of A, which stays on the stream while its steps last.
    Between two tiles the PEs stand still for `gap` cycles.
    """

    config: BitSliceConfig
    dataflow = Dataflow.OUTPUT_STATIONARY
    variable_time = True

    def __init__(self, config: BitSliceConfig) -> None:
        super().__init__(
            config,
            lanes_a=config.rows * config.terms,
            lanes_b=config.terms,
            tile_m=config.rows,
            tile_n=1,
            slice_k=config.terms,
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last step fetched to its first row of C offered."""
        return self.config.pe_config.latency + 1 + output_latency(self.config.pe_config)

    @property
    def gap(self) -> int:
        """Cycles from the last step of a tile to the first of the next one."""
        lead = 4 if isinstance(self.config.pe_config, LaconicConfig) else 0
        return self.config.pe_config.latency + self.tile_m + lead

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle when every beat takes but one."""
        return self.tile_m * self.slice_k

    @property
    def steady_k(self) -> int:
        """K of which the gap between tiles is a small part."""
        return 16 * self.tile_m

    @property
    def nest(self) -> Nest:
        pe = self.config.pe_config
        outer = (
            Loop(Dimension.M, Order.TEMPORAL),
            Loop(Dimension.N, Order.TEMPORAL),
            Loop(Dimension.K, Order.TEMPORAL),
        )
        rows = Loop(Dimension.M, Order.BROADCAST, self.tile_m)
        digit = (0, 1, 2, 3, 4, 5)
        step: tuple[int, ...] = digit
        encoded: tuple[int, ...] = (0, 1, 2, 3)
        if isinstance(pe, LaconicConfig):
            inner = (
                Loop(Dimension.K, Order.BROADCAST, pe.terms),
                Loop(Dimension.WEIGHT, Order.SPARSE, pe.most_steps),
            )
            step = (0, 1, 2, 4, 5)
        elif isinstance(pe, Opt4eConfig):
            inner = (
                Loop(Dimension.WEIGHT, Order.BROADCAST, pe.weights),
                Loop(Dimension.K, Order.SPARSE, pe.terms),
            )
            step, encoded = (0, 1, 2, 4, 5), (0, 1, 2, 4)
        else:
            assert isinstance(pe, DigitPeConfig)
            inner = (
                Loop(Dimension.K, Order.SPARSE, pe.terms),
                Loop(Dimension.WEIGHT, Order.SPARSE, pe.weights),
            )
            encoded = (0, 1, 2, 3, 5) if has_encoder(pe) else encoded
        primitives = (
            (Primitive.ENCODE, encoded),
            (Primitive.MAP, digit),
            (Primitive.SHIFT, digit),
            (Primitive.HALF_REDUCE, step),
            (Primitive.ADD, (0, 1, 5)),
        )
        return Nest((*outer, *inner, rows), primitives)

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        return (
            f"steps + (tiles - 1) * {self.gap} + {self._overhead}, steps those of the beats of all "
            f"tiles, tiles = ceil(M/{self.tile_m}) * N"
        )

    @property
    def _overhead(self) -> int:
        return 2 + self.latency + self.tile_m - 1

    @property
    def golden_arguments(self) -> dict[str, Any]:
        """What `golden.bit_slice.cycles` needs to know besides the operands."""
        c = self.config
        return {
            "pe": c.pe,
            "rows": c.rows,
            "lanes": c.lanes,
            "digits": c.digits,
            "width_a": c.width_a,
            "width_b": c.width_b,
            "signed_a": c.signed_a,
            "signed_b": c.signed_b,
            "latency": self._overhead,
            "gap": self.gap,
            "least": LOOKAHEAD if isinstance(self.config.pe_config, LaconicConfig) else 1,
        }

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles = ceil_div(m, self.tile_m) * n
        steps = tiles * ceil_div(k, self.slice_k) * self.config.pe_config.most_steps
        return steps + (tiles - 1) * self.gap + self._overhead

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe, rows = self.config.pe_config, self.tile_m
        # What running sums and registers hold at power-up is shifted out before the first beat.
        flush = rows + pe.latency
        flushing = Signal(range(flush + 1), init=flush)
        ready = Signal()
        m.d.sync += ready.eq(~flushing.any())
        with m.If(flushing.any()):
            m.d.sync += flushing.eq(flushing - 1)
        blocked = Signal()
        when = {"ready": ready, "blocked": blocked}
        if isinstance(pe, LaconicConfig):
            operands, controls, finished = term_control(m, platform, pe, self, **when)
        else:
            assert isinstance(pe, DigitPeConfig)
            operands, controls, finished = digit_control(m, platform, pe, self, **when)
        shift = Signal()
        drained = Signal(pe.state_shape)
        share(
            m,
            platform,
            "column",
            Chain,
            column_of_cells(rows, pe),
            i_a=operands,
            **controls,
            i_shift=shift,
            i_sum=Const(0, pe.state_shape),
            o_sum=drained,
        )
        drain_enable, done = leave(
            m,
            platform,
            pe,
            rows=rows,
            cols=1,
            captured=delayed(m, "finished_line", finished, pe.latency)[-1],
            drained=drained,
            o_c=self.o_c,
        )
        m.d.comb += shift.eq(drain_enable | ~ready)
        with m.If(finished):
            m.d.sync += blocked.eq(1)
        with m.Elif(done):
            m.d.sync += blocked.eq(0)
        return m
