# amaranth: UnusedElaboratable=no
"""Broadcast engines: A along rows and B along columns of PEs, to all of them at once.

No operand is passed from PE to PE, and no edge is staggered. The PEs may take several elements of
K at once and sum their products in one tree:

2D matrix
    One element of K a cycle: M and N are spatial.
cube
    As many elements of K as rows and columns: M, N and K are spatial.
multiplier-adder tree
    One row: N and K are spatial, a tree for each column.

Sources: the classic engines of "Exploring the Performance Improvement of Tensor Processing Engines
through Transformation in the Bit-weight Dimension of MACs" (HPCA 2025), section II; drain registers
as in `hw.systolic_os`.
"""

from collections.abc import Mapping
from typing import ClassVar

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.drain import accumulate_and_drain
from hw.edge import held
from hw.nest import Order
from hw.output_stationary import OutputStationary, OutputStationaryConfig
from hw.skew import delayed
from pe.config import choice, integer
from pe.element import PeConfig
from pe.mac import MacConfig
from pe.registry import BROADCAST_PES
from pe.share import share
from pe.unit import Unit


class BroadcastConfig(OutputStationaryConfig):
    """Base of the configs of broadcast engines: equal tiles and terms are the same hardware."""

    pes: ClassVar[Mapping[str, type[PeConfig]]] = BROADCAST_PES

    pe: str = choice("processing element", lambda: BROADCAST_PES, default=MacConfig.kind)

    @property
    def name(self) -> str:
        rows, cols = self.tile
        return f"broadcast_{rows}x{cols}x{self.terms}_{self.pe_config.name}"


class MatrixConfig(BroadcastConfig):
    """Size of a 2D matrix of PEs."""

    rows: int = integer("rows of PEs: rows of a tile of C", 1, 256, default=16)
    cols: int = integer("columns of PEs: columns of a tile of C", 1, 256, default=16)
    lanes: int = integer("elements of K that a PE takes at once", 1, 64, default=1)

    @property
    def tile(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def terms(self) -> int:
        return self.lanes


class CubeConfig(BroadcastConfig):
    """Size of a cube of multipliers: as many rows as columns as elements of K."""

    rows: int = integer("rows of PEs: rows of a tile of C", 1, 32, default=8)
    cols: int = integer("columns of PEs, as many as rows", 1, 32, default=8)
    lanes: int = integer("elements of K that a PE takes at once, as many as rows", 1, 32, default=8)

    def __post_init__(self) -> None:
        for name in ("cols", "lanes"):
            if getattr(self, name) != self.rows:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is not {self.rows}, the rows of the cube; "
                    "design matrix takes any three"
                )
        super().__post_init__()

    @property
    def tile(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def terms(self) -> int:
        return self.lanes


class AdderTreeConfig(BroadcastConfig):
    """Size of a multiplier-adder tree engine."""

    cols: int = integer("trees: columns of a tile of C", 1, 256, default=16)
    lanes: int = integer("elements of K that a tree sums", 1, 64, default=16)

    @property
    def tile(self) -> tuple[int, int]:
        return 1, self.cols

    @property
    def terms(self) -> int:
        return self.lanes


class CellBroadcast(Unit):
    """One PE with its accumulator and drain registers.

    Members
    -------
    i_a, i_b : In(a_port), In(b_port)
        Operands, `PeConfig.latency` less 1 cycles ahead of the flags.
    i_first : In(1)
        In the next cycle operands start a new sum.
    i_capture : In(1)
        In the next cycle the sum is complete.
    i_drain, o_drain
        Neighbouring drain registers: from the row below, to the row above.
    drain_enable : In(1)
        Shift the drain registers; a cycle later where sums are to be resolved.
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
                "o_drain": Out(config.state_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"cell_broadcast_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Flags are registered where they are used: what they drive here is a net of its own.
        first = Signal()
        capture = Signal()
        m.d.sync += [first.eq(self.i_first), capture.eq(self.i_capture)]
        drain = accumulate_and_drain(
            m,
            platform,
            self.config,
            a=self.i_a,
            b=self.i_b,
            first=first,
            capture=capture,
            drain_enable=self.drain_enable,
            i_drain=self.i_drain,
        )
        m.d.comb += self.o_drain.eq(drain)
        return m


def row_of_cells(cols: int, pe: PeConfig) -> ChainConfig:
    """A row: all cells take the same A, each its own B."""
    return ChainConfig(
        name=f"row_broadcast_{cols}_{pe.name}",
        summary="a row of cells; all take the same A, each its own B",
        instance="col",
        unit_class=CellBroadcast,
        unit_config=pe,
        count=cols,
        links=(
            ("i_a", Link.BROADCAST),
            ("i_b", Link.LANE),
            ("i_first", Link.BROADCAST),
            ("i_capture", Link.BROADCAST),
            ("drain_enable", Link.BROADCAST),
            ("i_drain", Link.LANE),
            ("o_drain", Link.LANE),
        ),
    )


def grid_of_cells(rows: int, cols: int, pe: PeConfig) -> ChainConfig:
    """A stack of rows: all take the same B, each its own A; finished sums travel up to row 0."""
    return ChainConfig(
        name=f"grid_broadcast_{rows}x{cols}_{pe.name}",
        summary="a stack of rows; all take the same B, finished sums travel up to row 0",
        instance="row",
        unit_class=Chain,
        unit_config=row_of_cells(cols, pe),
        count=rows,
        links=(
            ("i_a", Link.LANE),
            ("i_b", Link.BROADCAST),
            ("i_first", Link.BROADCAST),
            ("i_capture", Link.BROADCAST),
            ("drain_enable", Link.BROADCAST),
            ("drain", Link.BACKWARD),
        ),
    )


class Broadcast(OutputStationary):
    """A broadcast engine; see `GemmEngine` for the streams.

    Tiles follow each other without a gap from K = `gap` beats on.
    """

    config: BroadcastConfig
    order = Order.BROADCAST

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
        (rows, cols), pe = self.config.tile, self.config.pe_config
        capture = Signal()
        captured = Signal()
        m.d.sync += capture.eq(last)
        first_at_pe = delayed(m, "first_line", first, self.delay)[-1]
        capture_at_pe = delayed(m, "capture_line", capture, self.delay)[-1]
        m.d.sync += captured.eq(capture_at_pe)
        drained = Signal(cols * pe.state_shape.width)
        share(
            m,
            platform,
            "grid",
            Chain,
            grid_of_cells(rows, cols, pe),
            i_a=held(m, "codes_reg", codes),
            i_b=held(m, "operands_b_in", operands_b),
            i_first=first_at_pe,
            i_capture=capture_at_pe,
            drain_enable=drain_enable,
            i_drain=Const(0, len(drained)),
            o_drain=drained,
        )
        return captured, drained
