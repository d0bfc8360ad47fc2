# amaranth: UnusedElaboratable=no
"""Systolic array of group-quantised weights: sums of a group leave it, and are dequantised there.

The array is an output-stationary one whose tiles are groups: it drains the sums of a group while
it computes the next. Zero points and scales are the same for all k of a group and stay outside.
One accumulator a row of the array sums A for the zero points; one dequantiser a column takes off
the zero point, scales, and adds group to group in a memory of a word a row.

Source: MixPE (arXiv 2411.16158); the arrangement around the array is ours.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In

from hw.chain import Chain
from hw.dequantizer import (
    FLOAT_SCALE,
    INTEGER_SCALE,
    MODES,
    POWER_OF_TWO_SCALE,
    DequantizerShape,
    row_of_dequantizers,
)
from hw.engine import Dataflow, GemmEngine, lanes
from hw.memory import Memory, MemoryShape
from hw.nest import Nest
from hw.row_sum import RowSumShape, column_of_row_sums
from hw.systolic_os import SystolicOs, SystolicOsConfig
from pe.bit_weight import MixConfig
from pe.config import choice, flag, integer
from pe.element import INTEGER, Ends, PeConfig, extremes, sum_bits
from pe.float_scale import WIDEST
from pe.registry import DERIVED, PES
from pe.share import place, share

SCALE_WIDTHS = {INTEGER_SCALE: 8, POWER_OF_TWO_SCALE: 4, FLOAT_SCALE: 32}
"""Bits of a scale where they are not chosen."""

MOST_SCALE_BITS = {INTEGER_SCALE: 16, POWER_OF_TWO_SCALE: 5, FLOAT_SCALE: 32}

GROUP_PES = {name: pe for name, pe in PES.items() if pe.format_a == INTEGER and pe.sums == 1}
"""PEs that take integers of A, as a row sum adds them, and have one sum."""

STEPS = 3
"""Of a dequantiser."""


class GroupedConfig(SystolicOsConfig):
    """Size and PEs of the array, and the groups of its weights."""

    pes: ClassVar[Mapping[str, type[PeConfig]]] = GROUP_PES

    pe: str = choice("processing element", lambda: GROUP_PES, default=MixConfig.kind)
    group: int = integer("consecutive k with one scale and zero point", 1, 1024, default=128)
    mode: str = choice(
        "scales: unsigned integers, exponents of 2, or float32", lambda: MODES, default="integer"
    )
    width_scale: int = integer(
        "bits of a scale: 1..16 of integers, 1..5 of exponents, 32 of floats; 0: 8, 4, 32",
        0,
        32,
        default=DERIVED,
    )
    width_zero: int = integer("bits of a zero point; 0: as of B", 0, 16, default=DERIVED)
    signed_zero: bool = flag("zero points are two's complement", default=True)

    def __post_init__(self) -> None:
        if self.mode in MODES and self.width_scale == DERIVED:
            object.__setattr__(self, "width_scale", SCALE_WIDTHS[self.mode])
        super().__post_init__()
        object.__setattr__(self, "width_zero", self.zero_shape.width)

    @property
    def least_acc(self) -> int:
        self._check_groups()
        if self.mode == FLOAT_SCALE:
            bits = self.difference_shape.width
            if bits > WIDEST:
                raise ValueError(
                    f"mode: {self.mode!r} does not hold differences of {bits} bits, as group="
                    f"{self.group} and A of {self.width_a} bits make them, exactly; at most "
                    f"{WIDEST} are allowed, more in modes {INTEGER_SCALE} and {POWER_OF_TWO_SCALE}"
                )
            return SCALE_WIDTHS[FLOAT_SCALE]
        most = (1 << self.width_scale) - 1
        factor = most if self.mode == INTEGER_SCALE else 1 << most
        bits = self._signed_bits(self.k_max * factor)
        if bits > 63:
            raise ValueError(
                f"width_scale: {self.width_scale} makes elements of C of {bits} bits with "
                f"k_max={self.k_max} and mode={self.mode}; at most 63 are allowed"
            )
        return bits

    def _check_groups(self) -> None:
        most = MOST_SCALE_BITS[self.mode]
        least = most if self.mode == FLOAT_SCALE else 1
        if not least <= self.width_scale <= most:
            text = f"{most}" if least == most else f"in {least}..{most}"
            raise ValueError(
                f"width_scale: {self.width_scale} is not {text}, as mode={self.mode} allows"
            )
        if self.mode == FLOAT_SCALE and self.width_acc not in (DERIVED, 32):
            raise ValueError(f"width_acc: {self.width_acc} is not 32, as mode={self.mode} allows")

    @property
    def zero_shape(self) -> Shape:
        """Shape of a zero point."""
        return Shape(self.width_zero or self.width_b, self.signed_zero)

    @property
    def scale_shape(self) -> Shape:
        """Shape of a scale."""
        return unsigned(self.width_scale)

    @property
    def dequantized_ends(self) -> tuple[Ends, Ends]:
        """The least and the greatest of A, and of an element of B less a zero point."""
        a, (low, high) = self.ends
        least, most = extremes(self.zero_shape.width, self.zero_shape.signed)
        return a, (low - most, high - least)

    @property
    def longest(self) -> int:
        """Most k that a group sums."""
        return min(self.group, self.k_max)

    @property
    def difference_shape(self) -> Shape:
        """Shape of a group's sum, zero points taken off."""
        return signed(self._signed_bits(self.longest))

    def _signed_bits(self, k: int) -> int:
        """Return the bits, a sign in any case, of sums of `k` products less their zero points."""
        ends_a, ends_b = self.dequantized_ends
        return sum_bits(k, ends_a, ends_b) + (min(*ends_a, *ends_b) >= 0)

    @property
    def row_sum_shape(self) -> Shape:
        """Shape of a group's sum of A."""
        return Shape(sum_bits(self.longest, self.ends[0], (1, 1)), self.signed_a)

    @property
    def c_shape(self) -> Shape:
        """Shape of an element of C."""
        return unsigned(self.width_acc) if self.mode == FLOAT_SCALE else signed(self.width_acc)

    @property
    def array(self) -> SystolicOsConfig:
        """Config of the array, whose tiles are groups."""
        settings = {field.name: getattr(self, field.name) for field in fields(SystolicOsConfig)}
        return SystolicOsConfig(**{**settings, "k_max": self.longest, "width_acc": DERIVED})

    @property
    def pe_config(self) -> PeConfig:
        return self.array.pe_config

    @property
    def dequantizer(self) -> DequantizerShape:
        """What goes through a dequantiser."""
        return DequantizerShape(
            mode=self.mode,
            sum=self.pe_config.accumulator_shape,
            row_sum=self.row_sum_shape,
            zero=self.zero_shape,
            scale=self.scale_shape,
            difference=self.difference_shape,
            total=self.c_shape,
        )

    @property
    def name(self) -> str:
        zero = f"z{'' if self.signed_zero else 'u'}{self.zero_shape.width}"
        return (
            f"systolic_grouped_{self.rows}x{self.cols}_g{self.group}_{self.mode}"
            f"{self.width_scale}{zero}acc{self.width_acc}_{self.pe_config.name}"
        )


class SystolicGrouped(GemmEngine):
    """Output-stationary systolic array with a group dequantiser; see `GemmEngine` for the streams.

    A beat is one k. A group ends after `group` beats, or with the tile: a K that is no multiple of
    `group` makes the last group shorter, as if A were filled up with zeros. The beat that completes
    a group waits until the sums of the group before have left the array. A total cannot overflow.

    Members
    -------
    i_s : In(stream)
        A beat a group, in the order of the groups, tile after tile. ``scale``, ``zero``: of each
        column. It is taken with the last row of the group that leaves the array.
    o_c : Out(stream)
        As of every engine; ``data``: exact sums, or codes of float32 in mode ``"float"``.
    """

    config: GroupedConfig
    dataflow = Dataflow.OUTPUT_STATIONARY

    def __init__(self, config: GroupedConfig) -> None:
        self._array = SystolicOs(config.array)
        beat = {
            "scale": lanes(config.scale_shape, config.cols),
            "zero": lanes(config.zero_shape, config.cols),
        }
        super().__init__(
            config,
            lanes_a=config.rows,
            lanes_b=config.cols,
            tile_m=config.rows,
            tile_n=config.cols,
            slice_k=1,
            c_shape=config.c_shape,
            members={"i_s": In(stream.Signature(data.StructLayout(beat)))},
        )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last beat taken to its first row of C offered."""
        return self._array.latency + STEPS

    @property
    def gap(self) -> int:
        """Least cycles between the last beats of two groups."""
        return self._array.latency + self.tile_m

    @property
    def macs_per_cycle(self) -> int:
        return self._array.macs_per_cycle

    @property
    def steady_k(self) -> int:
        """K of a whole group, or of as many as take as long as one may."""
        return max(self.config.group, self.gap)

    @property
    def nest(self) -> Nest:
        """That of the array; dequantisers are not in it."""
        return self._array.nest

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        tiles_m, tiles_n, _ = map(self.nest.trip_text, range(3))
        group, gap, end = self.config.group, self.gap, self.latency + self.tile_m - 1
        return (
            f"first - max(first, {gap}) + tiles * ((groups - 1) * {max(group, gap)} + "
            f"max(last, {gap})) + {end}, tiles = {tiles_m} * {tiles_n}, "
            f"groups = ceil(K/{group}), first = min(K, {group}), last = K - (groups - 1) * {group}"
        )

    def cycles(self, m: int, k: int, n: int) -> int:
        tiles_m, tiles_n, *_ = self.nest.trips(m, k, n)
        group, gap = self.config.group, self.gap
        groups = self.groups(k)
        first, last = min(k, group), k - (groups - 1) * group
        tile = (groups - 1) * max(group, gap) + max(last, gap)
        end = self.latency + self.tile_m - 1
        return first - max(first, gap) + tiles_m * tiles_n * tile + end

    def groups(self, k: int) -> int:
        """Return how many groups a K makes."""
        return -(-k // self.config.group)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        array = place(m, platform, "array", SystolicOs, config.array)

        # `left` counts the beats that a group has before its last one.
        left = Signal(range(max(2, config.group)), init=config.group - 1)
        whole = Signal()
        starts = Signal(init=1)
        ends = Signal()
        pending = Signal()
        may_accept = Signal()
        accept = Signal()
        m.d.comb += [
            whole.eq(left == 0),
            ends.eq(whole | self.i_a.payload.last),
            may_accept.eq(~(ends & pending)),
            array.i_a.valid.eq(self.i_a.valid & may_accept),
            array.i_b.valid.eq(self.i_b.valid & may_accept),
            self.i_a.ready.eq(array.i_a.ready & may_accept),
            self.i_b.ready.eq(array.i_b.ready & may_accept),
            accept.eq(self.i_a.valid & self.i_a.ready),
            array.i_a.payload.data.eq(self.i_a.payload.data),
            array.i_a.payload.first.eq(starts),
            array.i_a.payload.last.eq(ends),
            array.i_b.payload.data.eq(self.i_b.payload.data),
        ]
        # The group that comes in is the first of its tile.
        opens = Signal()
        opens_reg = Signal()
        # The group whose sums leave is the first, the last of its tile.
        first = Signal()
        last = Signal()
        taken = Signal()
        done = Signal()
        m.d.comb += opens.eq(Mux(starts, self.i_a.payload.first, opens_reg))
        with m.If(accept):
            m.d.sync += [
                starts.eq(ends),
                opens_reg.eq(opens),
                left.eq(Mux(ends, config.group - 1, left - 1)),
            ]
        with m.If(accept & ends):
            m.d.sync += [pending.eq(1), first.eq(opens), last.eq(self.i_a.payload.last)]
        with m.Elif(done):
            m.d.sync += pending.eq(0)

        row_sum = Signal(config.row_sum_shape)
        share(
            m,
            platform,
            "row_sums",
            Chain,
            column_of_row_sums(config.rows, RowSumShape(config.pe_config.a_shape, row_sum.shape())),
            i_a=self.i_a.payload.data,
            enable=accept,
            first=starts,
            last=ends,
            shift=taken,
            i_drain=Const(0, row_sum.shape()),
            o_drain=row_sum,
        )

        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o_c.valid | self.o_c.ready),
            array.o_c.ready.eq(self.i_s.valid & advance),
            taken.eq(array.o_c.valid & array.o_c.ready),
            done.eq(taken & array.o_c.payload.last),
            self.i_s.ready.eq(array.o_c.valid & array.o_c.payload.last & advance),
        ]
        totals = Signal(len(self.o_c.payload.data.as_value()))
        so_far = Signal(len(totals))
        valid = Signal(STEPS)
        firsts = Signal(STEPS - 1)
        lasts = Signal(STEPS)
        with m.If(advance):
            m.d.sync += [
                valid.eq(Cat(taken, valid)),
                firsts.eq(Cat(first, firsts)),
                lasts.eq(Cat(last, lasts)),
            ]
        share(
            m,
            platform,
            "dequantizers",
            Chain,
            row_of_dequantizers(config.cols, config.dequantizer),
            i_sum=array.o_c.payload.data,
            i_row_sum=row_sum,
            i_zero=self.i_s.payload.zero,
            i_scale=self.i_s.payload.scale,
            advance=advance,
            first=firsts[-1],
            i_total=so_far,
            o_total=totals,
        )
        read = Signal()
        m.d.comb += read.eq(advance & valid[0])
        row = self._row(m, "row", advance & valid[-1])
        share(
            m,
            platform,
            "memory",
            Memory,
            MemoryShape(max(2, config.rows), unsigned(len(totals))),
            read_address=self._row(m, "read_row", read),
            read_enable=read,
            read_data=so_far,
            write_address=row,
            write_enable=valid[-1] & ~lasts[-1],
            write_data=totals,
        )
        m.d.comb += [
            self.o_c.valid.eq(valid[-1] & lasts[-1]),
            self.o_c.payload.data.eq(totals),
            self.o_c.payload.last.eq(row == config.rows - 1),
        ]
        return m

    def _row(self, m: Module, name: str, enable: Value) -> Signal:
        """Place a counter of the rows of a tile and return it."""
        row = Signal(range(max(2, self.tile_m)), name=name)
        with m.If(enable):
            m.d.sync += row.eq(Mux(row == self.tile_m - 1, 0, row + 1))
        return row
