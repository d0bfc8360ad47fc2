# amaranth: UnusedElaboratable=no
"""Systolic array with reduction lanes at its edge: products of residue matrices by digit products.

The array multiplies digits as it multiplies any integers. What leaves it are digit sums, a row for
each digit of a row of residues: each column adds them up at their weights, and lanes, as many times
fewer than columns, reduce the totals and multiply them by a factor each. Two passes are a
number-theoretic transform, the first one's factors between them.

Source: CROSS, arXiv 2501.07047, BAT and MAT; the arrangement around the array is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.engine import ceil_div, lanes
from hw.queue import Queue, QueueShape
from hw.skew import delayed
from hw.stream_unit import StreamUnit, packet_lengths
from hw.systolic_os import SystolicOs, SystolicOsConfig
from pe.barrett import BarrettReduce, BarrettReduceConfig
from pe.config import choice, flag, integer
from pe.element import INTEGER, PeConfig
from pe.product import BARRETT, REDUCERS, SHOUP, ModularProduct, ModularProductConfig
from pe.registry import PES
from pe.share import place, share
from pe.unit import Unit

DIGIT_PES = {
    name: pe
    for name, pe in PES.items()
    if pe.format_a == INTEGER and pe.format_b == INTEGER and pe.sums == 1
}
"""PEs that take integers on both sides."""

FACTOR_REDUCERS = tuple(reducer for reducer in REDUCERS if reducer != SHOUP)
"""Reductions that need no constant beside a factor."""

MOST_DIGIT = 8


class SystolicModularConfig(SystolicOsConfig):
    """Size and PEs of the array, the modulus, and what its lanes do."""

    pes: ClassVar[Mapping[str, type[PeConfig]]] = DIGIT_PES

    pe: str = choice("processing element", lambda: DIGIT_PES, default="mac")
    k_max: int = integer("most digit products of a sum", 1, 1 << 31, default=1024)
    modulus: int = integer("an odd number", 3, (1 << 64) - 1, default=268369921)
    factors: bool = flag("residues are multiplied by a factor each", default=True)
    reducer: str = choice(
        "reduction of products with factors", lambda: FACTOR_REDUCERS, default=BARRETT
    )
    lane_stages: int = integer("pipeline stages of a lane's multiplier", 1, 8, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chunk < 2:
            raise ValueError(
                f"width_b: {self.width_b} beside width_a={self.width_a} leaves digits of "
                f"{self.chunk} bits; at least 2 are needed"
            )
        _ = self.reduction, self.product
        for name in ("rows", "cols"):
            if getattr(self, name) % self.digit_count:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is not a multiple of {self.digit_count}, the "
                    f"digits of {self.chunk} bits of modulus={self.modulus}"
                )

    @property
    def bits(self) -> int:
        """Bits of the modulus."""
        return self.modulus.bit_length()

    @property
    def chunk(self) -> int:
        """Bits of a digit: those of an operand without its sign, 8 at most."""
        widths = (self.width_a - self.signed_a, self.width_b - self.signed_b)
        return min(MOST_DIGIT, *widths)

    @property
    def digit_count(self) -> int:
        """Digits of a residue."""
        return ceil_div(self.bits, self.chunk)

    @property
    def lanes(self) -> int:
        """Lanes at the edge: residues a cycle."""
        return self.cols // self.digit_count

    @property
    def total_bits(self) -> int:
        """Bits of a merged sum: of products of digits and residues."""
        most = self.k_max * ((1 << self.chunk) - 1) * (self.modulus - 1)
        return max(most.bit_length(), self.bits + 1)

    @property
    def reduction(self) -> BarrettReduceConfig:
        """Config of a lane's reduction."""
        return BarrettReduceConfig(
            modulus=self.modulus, excess=self.total_bits - self.bits, stages=self.lane_stages
        )

    @property
    def product(self) -> ModularProductConfig:
        """Config of a lane's product with a factor."""
        return ModularProductConfig(
            modulus=self.modulus, stages=self.lane_stages, reducer=self.reducer
        )

    @property
    def radix_bits(self) -> int:
        """Products with factors are divided by two to this."""
        return self.product.radix_bits if self.factors else 0

    @property
    def lane_latency(self) -> int:
        """Cycles from a merged sum to its residue."""
        return self.reduction.latency + (self.product.latency if self.factors else 0)

    @property
    def array(self) -> SystolicOsConfig:
        """Config of the array."""
        names = [field.name for field in fields(SystolicOsConfig)]
        return SystolicOsConfig(**{name: getattr(self, name) for name in names})

    @property
    def name(self) -> str:
        factors = f"_{self.reducer}" if self.factors else "_sums"
        stages = f"_stages{self.lane_stages}" if self.lane_stages > 1 else ""
        return (
            f"systolic_modular_{self.rows}x{self.cols}_q{self.modulus}_k{self.k_max}"
            f"{factors}{stages}_{self.pe_config.name}"
        )


class DigitMergeShape(NamedTuple):
    """Bits of a digit sum, of a digit and of the total, and digits of a residue."""

    sum: int
    chunk: int
    digits: int
    total: int


class DigitMerge(Unit):
    """Digit sums of one column, added up at their weights as they come, the low one first.

    The total so far moves down by a digit, so that each sum is added at the same place.

    Members
    -------
    i_sum : In(sum)
        A digit sum.
    take : In(1)
        It counts.
    first : In(1)
        It is the lowest of its residue.
    load : In(1)
        It is the last: the total is held.
    shift : In(1)
        The total of another column is held.
    i_total : In(total)
        That total.
    o_total : Out(total)
        The total that is held.
    """

    config: DigitMergeShape

    def __init__(self, config: DigitMergeShape) -> None:
        super().__init__(
            config,
            {
                "i_sum": In(config.sum),
                "take": In(1),
                "first": In(1),
                "load": In(1),
                "shift": In(1),
                "i_total": In(config.total),
                "o_total": Out(config.total),
            },
        )

    @property
    def name(self) -> str:
        return f"digit_merge_{self.config.digits}x{self.config.chunk}_{self.config.total}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        place = config.chunk * (config.digits - 1)
        # Before the high digits' sums come, those of the low ones stand too high.
        total = Signal(place + config.sum + 1)
        so_far = Signal(len(total) - config.chunk, reset_less=True)
        held = Signal(config.total, reset_less=True)
        m.d.comb += [
            total.eq(Mux(self.first, 0, so_far) + (self.i_sum << place)),
            self.o_total.eq(held),
        ]
        with m.If(self.take):
            m.d.sync += so_far.eq(total >> config.chunk)
        with m.If(self.load):
            m.d.sync += held.eq(total[: config.total])
        with m.Elif(self.shift):
            m.d.sync += held.eq(self.i_total)
        return m


class SystolicModular(StreamUnit):
    """Output-stationary systolic array whose edge makes residues of digit sums.

    A tile is a product of ``rows / D`` rows of residues with `cols` columns, D digits of w bits a
    residue. Row ``D * i + p`` of the array is given digit p of ``a * 2**(w * j) % modulus`` for
    every known residue a of row i and every digit j, and the columns are given the digits j of the
    other matrix, see `golden.bat`. Digits are not negative, whatever the operands' signs.

    Members
    -------
    i_a : In(stream)
        A beat a k: ``data``: `rows` digits; ``last``: the tile is complete.
    i_b : In(stream)
        ``data``: `cols` digits of the same k.
    i_w : In(stream)
        With `factors` only. ``factor``: a residue for each that leaves, beat for beat, times the
        radix for Montgomery's reduction.
    o : Out(stream)
        ``data``: ``cols / D`` residues of a row in order, D beats a row, rows in order; ``last``:
        of the tile.
    """

    config: SystolicModularConfig

    def __init__(self, config: SystolicModularConfig) -> None:
        self._array = SystolicOs(config.array)
        pe = config.pe_config
        residues = lanes(unsigned(config.bits), config.lanes)
        payloads = {
            "i_a": In(
                stream.Signature(
                    data.StructLayout({"data": lanes(pe.a_shape, config.rows), "last": 1})
                )
            ),
            "i_b": In(
                stream.Signature(data.StructLayout({"data": lanes(pe.b_shape, config.cols)}))
            ),
        }
        if config.factors:
            payloads["i_w"] = In(stream.Signature(data.StructLayout({"factor": residues})))
        payloads["o"] = Out(stream.Signature(data.StructLayout({"data": residues, "last": 1})))
        super().__init__(config, payloads)

    @property
    def longest(self) -> int:  # type: ignore[override]
        """Most beats of a tile."""
        return self.config.k_max

    @property
    def facts(self) -> Mapping[str, Any]:
        """D, w, and the exponent of the radix by which products with factors are divided."""
        config = self.config
        return {
            "digits_of_residue": config.digit_count,
            "digit_bits": config.chunk,
            "radix_bits": config.radix_bits,
        }

    @property
    def macs_per_cycle(self) -> int:
        """Digit products a cycle."""
        return self._array.macs_per_cycle

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a tile's last beat taken to its last residues offered."""
        config = self.config
        return self._array.latency + config.rows + config.digit_count + config.lane_latency

    @property
    def cycle_formula(self) -> str:  # type: ignore[override]
        """Cycles of tiles whose streams never pause."""
        return (
            f"sum of max(K, {self._array.gap}) over all tiles, of the first K alone, "
            f"and {self.latency}"
        )

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        first, *others = packet_lengths(columns["a_last"])
        return first + sum(max(k, self._array.gap) for k in others) + self.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        array = place(m, platform, "array", SystolicOs, config.array)
        a, row = self.i_a.payload, array.o_c.payload
        starts = Signal(init=1)
        with m.If(self.i_a.valid & self.i_a.ready):
            m.d.sync += starts.eq(a.last)
        m.d.comb += [
            array.i_a.valid.eq(self.i_a.valid),
            array.i_a.payload.data.eq(a.data),
            array.i_a.payload.first.eq(starts),
            array.i_a.payload.last.eq(a.last),
            self.i_a.ready.eq(array.i_a.ready),
            array.i_b.valid.eq(self.i_b.valid),
            array.i_b.payload.data.eq(self.i_b.payload.data),
            self.i_b.ready.eq(array.i_b.ready),
        ]

        digit = Signal(range(max(2, config.digit_count)))
        whole = Signal()
        take = Signal()
        # Beats of the totals held that are still to be issued, one bit each.
        left = Signal(config.digit_count)
        ends = Signal()
        issue = Signal()
        last = Signal()
        m.d.comb += [
            whole.eq(digit == config.digit_count - 1),
            array.o_c.ready.eq(~whole | (left[1:] == 0) & (issue | ~left[0])),
            take.eq(array.o_c.valid & array.o_c.ready),
            last.eq(ends & (left[1:] == 0)),
        ]
        with m.If(take):
            m.d.sync += digit.eq(Mux(whole, 0, digit + 1))
        with m.If(take & whole):
            m.d.sync += [left.eq((1 << config.digit_count) - 1), ends.eq(row.last)]
        with m.Elif(issue):
            m.d.sync += left.eq(left >> 1)
        totals = [Signal(config.total_bits, name=f"total_{c}") for c in range(config.cols)]
        # Digit sums are not negative, and so are accumulators without their sign.
        shape = DigitMergeShape(
            len(row.data[0]), config.chunk, config.digit_count, config.total_bits
        )
        for c, total in enumerate(totals):
            above = c + config.lanes
            share(
                m,
                platform,
                f"column_{c}",
                DigitMerge,
                shape,
                i_sum=row.data[c].as_unsigned(),
                take=take,
                first=digit == 0,
                load=take & whole,
                shift=issue,
                i_total=totals[above] if above < config.cols else Const(0, config.total_bits),
                o_total=total,
            )
        self._lanes(m, platform, totals[: config.lanes], left[0], last, issue)
        return m

    def _lanes(
        self,
        m: Module,
        platform: object,
        totals: Sequence[Signal],
        waiting: Value,
        last: Signal,
        issue: Signal,
    ) -> None:
        """Place lanes, and a queue with room for all that is in them: they cannot wait."""
        config = self.config
        room = config.lane_latency + 2
        free = Signal(range(room + 1), init=room)
        gone = Signal()
        word = Signal(Shape(config.lanes * config.bits + 1))
        can_issue = Signal()
        has_room = Signal()
        m.d.comb += [
            can_issue.eq(waiting & (free != 0)),
            gone.eq(self.o.valid & self.o.ready),
        ]
        if config.factors:
            m.d.comb += [
                issue.eq(can_issue & self.i_w.valid),
                self.i_w.ready.eq(can_issue),
            ]
            given = self.i_w.payload.factor.as_value()
            factors = delayed(m, "factors", given, config.reduction.latency)[-1]
        else:
            m.d.comb += issue.eq(can_issue)
        with m.If(issue & ~gone):
            m.d.sync += free.eq(free - 1)
        with m.Elif(gone & ~issue):
            m.d.sync += free.eq(free + 1)
        residues: list[Value] = []
        valids: list[Value] = []
        for lane, total in enumerate(totals):
            reduced = Signal(config.bits, name=f"reduced_{lane}")
            reduction = place(m, platform, f"reduction_{lane}", BarrettReduce, config.reduction)
            m.d.comb += [
                reduction.z.eq(total),
                reduction.i_valid.eq(issue),
                reduced.eq(reduction.remainder),
            ]
            valid = reduction.o_valid
            if config.factors:
                product = place(m, platform, f"scaling_{lane}", ModularProduct, config.product)
                m.d.comb += [
                    product.a.eq(reduced),
                    product.b.eq(factors.word_select(lane, config.bits)),
                    product.i_valid.eq(valid),
                ]
                reduced, valid = product.product, product.o_valid
            residues.append(reduced)
            valids.append(valid)
        m.d.comb += word.eq(Cat(*residues, delayed(m, "lasts", last, config.lane_latency)[-1]))
        share(
            m,
            platform,
            "queue",
            Queue,
            QueueShape(room, word.shape()),
            i_word=word,
            i_valid=Cat(*valids, has_room).all(),
            i_ready=has_room,
            o_word=Cat(self.o.payload.data, self.o.payload.last),
            o_valid=self.o.valid,
            o_ready=self.o.ready,
        )
