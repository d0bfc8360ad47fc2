"""The contract of every GEMM engine: three streams, a tile, and a published number of cycles.

An engine computes one tile of C = A B at a time. Along K a tile is cut into K-slices. Of each
K-slice the engine takes a few beats of A on `i_a` and of B on `i_b`; a finished tile leaves row
by row on `o_c`. No stream loses or repeats a beat under any stall. Two dataflows say what a beat
is (`Dataflow`). Padding a partial tile is the caller's work: surplus lanes hold anything,
surplus K must be zero in B.
"""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Member, Out

from hw.nest import Nest
from pe.bit_weight import PE, BitWeightConfig
from pe.config import integer, same_as
from pe.registry import DERIVED, PeChoice
from pe.unit import Unit


class Dataflow(enum.Enum):
    """What stays in place, and hence what a beat of A and B holds.

    OUTPUT_STATIONARY: a K-slice is `slice_k` consecutive k, and a beat. One A beat is a column of
    the A tile for each of them (lane ``row * slice_k + k``), one B beat a row of the B tile for
    each (lane ``column * slice_k + k``).

    WEIGHT_STATIONARY: a K-slice is `slice_k` consecutive k. A B beat is one row of the slice of B
    (a lane a column), `slice_k` beats in increasing k; an A beat is one row of the slice of A (a
    lane a k), as many beats as the tile has rows; the last of them has `end` set.
    """

    OUTPUT_STATIONARY = "output_stationary"
    WEIGHT_STATIONARY = "weight_stationary"


class EngineConfig(PeChoice):
    """Operands, accumulator and PE: what every GEMM engine has."""

    encoder_at: str = same_as(BitWeightConfig, "encoder_at", default=PE)
    k_max: int = integer("largest K that must not overflow", 1, 1 << 31, default=1 << 16)
    width_acc: int = integer("bits of an element of C; 0 derives them", 0, 63, default=DERIVED)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.least_acc
        if self.width_acc == DERIVED:
            object.__setattr__(self, "width_acc", least)
        if least > 63:
            raise ValueError(
                f"k_max: {self.k_max} products of pe={self.pe} need accumulators of {least} bits, "
                "and at most 63 are allowed"
            )
        if not least <= self.width_acc <= 63:
            raise ValueError(
                f"width_acc: {self.width_acc} is not in {least}..63, the bits that k_max="
                f"{self.k_max} products of {self.width_a} x {self.width_b} bits need"
            )

        self.check_options()
        # Refused here rather than when it is built.
        _ = self.pe_config

    @property
    def least_acc(self) -> int:
        """Least bits that hold every element of C of up to `k_max` products, and a step's."""
        return self.sum_bits(max(self.k_max, self.terms))

    @property
    def terms(self) -> int:
        """Products that a PE sums in a cycle: elements of K that it takes at once."""
        return 1

    @property
    def pe_slug(self) -> str:
        """The PE and its operands as they stand in module names."""
        return self.pe_config.name


class GemmEngine(Unit):
    """Base of all GEMM engines.

    Parameters
    ----------
    lanes_a, lanes_b : int
        Elements of A and of B in a beat.
    tile_m, tile_n : int
        Most rows and columns of a tile of C; `tile_n` elements leave in a beat.
    slice_k : int
        Elements of K in a K-slice.
    c_shape : Shape
        Of an element of C; by default an accumulator of the PE.
    members : mapping
        Ports beside those below.

    Members
    -------
    i_a : In(stream)
        ``data``: `lanes_a` elements of A; ``first``, ``last``: the beat belongs to the first or
        last K-slice of its tile; ``end`` (weight stationary only): last beat of its K-slice.
    i_b : In(stream)
        ``data``: `lanes_b` elements of B.
    o_c : Out(stream)
        ``data``: one row of C, `tile_n` accumulators, rows in increasing order; ``last``: the
        final row of its tile.
    """

    config: EngineConfig
    dataflow: Dataflow
    c_shape: Shape
    """Shape of an element of C."""
    variable_time = False
    """Cycles depend on the operands: the golden model of the design gives them, not `cycles`."""

    def __init__(
        self,
        config: EngineConfig,
        *,
        lanes_a: int,
        lanes_b: int,
        tile_m: int,
        tile_n: int,
        slice_k: int,
        c_shape: Shape | None = None,
        members: Mapping[str, Member] | None = None,
    ) -> None:
        self.tile_m, self.tile_n, self.slice_k = tile_m, tile_n, slice_k
        pe = config.pe_config
        self.c_shape = c_shape or pe.accumulator_shape
        flags = {"first": 1, "last": 1}
        if self.dataflow is Dataflow.WEIGHT_STATIONARY:
            flags["end"] = 1
        beat_a = data.StructLayout({"data": lanes(pe.a_shape, lanes_a), **flags})
        beat_b = data.StructLayout({"data": lanes(pe.b_shape, lanes_b)})
        beat_c = data.StructLayout({"data": lanes(self.c_shape, tile_n), "last": 1})
        super().__init__(
            config,
            {
                "i_a": In(stream.Signature(beat_a)),
                "i_b": In(stream.Signature(beat_b)),
                **(members or {}),
                "o_c": Out(stream.Signature(beat_c)),
            },
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.config.pe_config.facts

    @property
    def nest(self) -> Nest:
        """Which loops are spatial or temporal, and where operands are recoded and added."""
        raise NotImplementedError

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle when every PE is busy."""
        raise NotImplementedError

    @property
    def steady_k(self) -> int:
        """K from which tiles follow each other without a gap, or nearly so."""
        return self.slice_k

    def cycles(self, m: int, k: int, n: int) -> int:
        """Cycles from the first beat taken to the last row of C given, both included.

        For an M x K x N product whose tiles follow each other with N innermost, streams that
        always offer a beat and a sink that always takes one. The most that it can take where time
        is variable.
        """
        raise NotImplementedError


def lanes(shape: Shape, count: int) -> data.ArrayLayout:
    """Layout of `count` elements, element 0 in the low bits."""
    return data.ArrayLayout(shape, count)


def ceil_div(x: int, y: int) -> int:
    """Return ``x / y`` rounded up."""
    return -(-x // y)
