# amaranth: UnusedElaboratable=no
"""Negacyclic number-theoretic transforms: several butterflies a cycle, without conflicts.

The N words of a polynomial lie in 2P banks, for P butterflies that all work in every cycle of a
stage, in place or in constant geometry (`hw.ntt_geometry`). Banks hold several polynomials, each in
a slot of its own, and P products or sums of two of them are made in a cycle.

Source: P. Longa, M. Naehrig, "Speeding up the Number Theoretic Transform" (2016), for the order of
twiddle factors; the banks are those of Y. Ma, "An Effective Memory Addressing Scheme for FFT
Processors" (1999), for several butterflies; constant geometry is that of M. C. Pease, JACM 1968.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from hw.engine import lanes
from hw.memory import Memory, MemoryShape
from hw.ntt_geometry import Geometry, geometry_of
from hw.skew import delayed
from hw.stream_unit import StreamUnit
from hw.twiddles import (
    GENERATED,
    IN_PLACE,
    RingConfig,
    Twiddles,
    TwiddlesConfig,
    choose,
    give_constants,
)
from pe.butterfly import UNIFIED, Butterfly, ButterflyConfig
from pe.config import integer
from pe.product import BARRETT, SHOUP
from pe.roots import least_root
from pe.share import place, share


class Operation(enum.Enum, shape=3):
    """What a command does."""

    LOAD = 0
    STORE = 1
    FORWARD = 2
    INVERSE = 3
    ADD = 4
    MULTIPLY = 5


MOST_CODE = max(operation.value for operation in Operation)


class NttEngineConfig(RingConfig):
    """The ring, how its transforms are done, and how many polynomials are held."""

    slots: int = integer("polynomials that are held", 1, 64, default=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.butterfly

    @property
    def butterfly(self) -> ButterflyConfig:
        """Config of a butterfly."""
        return ButterflyConfig(**asdict(self.reduction), kind=UNIFIED, halve=True)

    @property
    def factors(self) -> TwiddlesConfig:
        """Config of the twiddle factors."""
        return TwiddlesConfig(
            **{field.name: getattr(self, field.name) for field in fields(RingConfig)}
        )

    @property
    def places(self) -> Geometry:
        """Where coefficients are."""
        return geometry_of(self.geometry, self.order)

    @property
    def radix_bits(self) -> int:
        """Products of polynomials are divided by two to this."""
        return self.butterfly.radix_bits

    @property
    def lead(self) -> int:
        """Cycles by which twiddle factors are asked for before the operands are read."""
        return self.factors.latency - 1

    @property
    def latency(self) -> int:
        """Cycles from a read of the banks until the results are written."""
        return self.butterfly.latency + 1

    @property
    def name(self) -> str:
        limbs = f"_limbs{self.limbs}" if self.limbs > 1 else ""
        slots = f"_slots{self.slots}" if self.slots > 1 else ""
        geometry = f"_{self.geometry}" if self.geometry != IN_PLACE else ""
        twiddles = f"_{self.twiddles}" if self.twiddles == GENERATED else ""
        reducer = f"_{self.reducer}" if self.reducer != BARRETT else ""
        stages = f"_stages{self.stages}" if self.stages > 1 else ""
        ring = f"ntt_q{self.modulus}{limbs}_n{self.size}_p{self.butterflies}"
        return f"{ring}{slots}{geometry}{twiddles}{reducer}{stages}"


class NttEngine(StreamUnit):
    """Negacyclic number-theoretic transform, forward and inverse; products and sums.

    Coefficients are in natural order, values in bit-reversed order: value i is that of the
    polynomial at the least root of order ``2 * size`` to the power ``2 * reversed(i) + 1``. The
    inverse halves in every butterfly, and has no other factor.

    A polynomial has residues of one modulus or, with `limbs`, of several, which each command takes
    in turn: those of a single polynomial already hide the pipeline.

    A command ends before the next one begins; one of no known operation does nothing. Slots are
    undefined until loaded. Products and sums are of coefficients or values, one by one: of values a
    product is that of the polynomials. With Montgomery's reduction it is divided by the radix. The
    last command is a `STORE`.

    Members
    -------
    i_command : In(stream)
        ``operation``: 0 `LOAD`, 1 `STORE`, 2 `FORWARD`, 3 `INVERSE`, 4 `ADD`, 5 `MULTIPLY`. The
        first four work on slots ``slot`` to ``other``, not below ``slot``, and transforms of
        several slots hide the pipeline. `ADD` and `MULTIPLY` put into ``slot`` what they make of
        ``slot`` and ``other``, one of them even and one odd; there is no `MULTIPLY` with
        reducer=shoup.
    i : In(stream)
        ``data``: `lanes` residues in order; ``size / lanes`` beats for each limb of each slot that
        is loaded.
    o : Out(stream)
        ``data``: `lanes` residues in order, ``size / lanes`` beats for each limb of each slot that
        is stored.
    """

    config: NttEngineConfig
    cycle_formula = (
        "k R + 1 to load or store k limbs, of all slots, 2 k R + D + T + 1 for a product or sum, "
        "and (log2(N) - 1) max(k R, W + D) + k R + D + T + 1 for a transform, and 1 at the end; "
        "R = N/2P, W = R in place and R/2 + 1 in constant geometry, at most R, D = butterfly "
        "latency + 1, T = product latency of generated factors"
    )

    def __init__(self, config: NttEngineConfig) -> None:
        residues = lanes(unsigned(config.bits), config.order.lanes)
        slot = Shape.cast(range(max(2, config.slots)))
        command = data.StructLayout({"operation": Operation, "slot": slot, "other": slot})
        beat = data.StructLayout({"data": residues})
        super().__init__(
            config,
            {
                "i_command": In(stream.Signature(command)),
                "i": In(stream.Signature(beat)),
                "o": Out(stream.Signature(beat)),
            },
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        """Modulus and root of each limb, and the latencies D - 1 and T of `cycle_formula`."""
        config = self.config
        return {
            "moduli": [*config.moduli],
            "roots": [least_root(q, config.size) for q in config.moduli],
            "butterfly_latency": config.butterfly.latency,
            "factor_latency": config.lead,
        }

    def transform_cycles(self, slots: int) -> int:
        """Cycles of a transform of as many slots."""
        config = self.config
        rows, latency = slots * config.limbs * config.order.rows, config.latency
        each = max(rows, config.places.settle_row + 1 + latency)
        stages = config.order.address_bits
        return (stages - 1) * each + rows + latency + config.lead + 1

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """One command after the other, and the last beat given."""
        rows, latency = self.config.order.rows, self.config.latency + self.config.lead
        rows *= self.config.limbs
        total = 1
        for code, slot, other in zip(
            *(columns[f"command_{field}"] for field in ("operation", "slot", "other")), strict=True
        ):
            match int(code):
                case Operation.LOAD.value | Operation.STORE.value:
                    total += (int(other) - int(slot) + 1) * rows + 1
                case Operation.ADD.value | Operation.MULTIPLY.value:
                    total += 2 * rows + latency + 1
                case Operation.FORWARD.value | Operation.INVERSE.value:
                    total += self.transform_cycles(int(other) - int(slot) + 1)
                case _:
                    total += 1
        return total

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, order, places = self.config, self.config.order, self.config.places
        command = self.i_command.payload
        idle = Signal(init=1)
        operation = Signal(Operation)
        first, other, slot = (
            Signal(len(command.slot), name=name) for name in ("first", "other", "slot")
        )
        stage = Signal(range(order.address_bits))
        limb = Signal(range(config.limbs))
        row = Signal(range(order.rows))
        half = Signal()
        issued = Signal()
        settled = Signal()
        loading, storing, forward, inverse, adding, multiplying, transforming = (
            Signal(name=name)
            for name in (
                "loading",
                "storing",
                "forward",
                "inverse",
                "adding",
                "multiplying",
                "transforming",
            )
        )
        pointwise = Signal()
        advance = Signal()
        start = Signal()
        accept = Signal()
        issue = Signal()
        give = Signal()
        step = Signal()
        first_slot = Signal()
        last_slot = Signal()
        opening = Signal()
        end_of_limb = Signal()
        last_limb = Signal()
        end_of_slot = Signal()
        last_stage = Signal()
        m.d.comb += [
            loading.eq(~idle & (operation == Operation.LOAD)),
            storing.eq(~idle & (operation == Operation.STORE)),
            forward.eq(operation == Operation.FORWARD),
            inverse.eq(operation == Operation.INVERSE),
            adding.eq(operation == Operation.ADD),
            multiplying.eq(operation == Operation.MULTIPLY),
            pointwise.eq(adding | multiplying),
            transforming.eq(forward | inverse),
            # The last beat stored may still wait in the banks' read registers.
            advance.eq(~self.o.valid | self.o.ready),
            self.i_command.ready.eq(idle & advance),
            start.eq(self.i_command.ready & self.i_command.valid),
            self.i.ready.eq(loading),
            accept.eq(loading & self.i.valid),
            issue.eq(~idle & ~issued & (pointwise | (transforming & (settled | ~opening)))),
            give.eq(storing & advance),
            step.eq(accept | issue | give),
        ]
        m.d.comb += [
            first_slot.eq((slot == first) & (limb == 0)),
            last_slot.eq(pointwise | (slot == other)),
            opening.eq(first_slot & (row == 0)),
            end_of_limb.eq(row.all() & (half | ~pointwise)),
            last_limb.eq(limb == config.limbs - 1),
            end_of_slot.eq(end_of_limb & last_limb),
            last_stage.eq(stage == Mux(inverse, order.address_bits - 1, 0)),
        ]
        # With an odd number of stages a transform leaves a polynomial on the other side.
        changes = places.sides > 1 and order.address_bits % 2
        sides = Signal(config.slots if changes else 0)
        # The first stage reads the side where a polynomial rests.
        turned = 0 if changes else forward
        now = _Moment(
            stage,
            slot,
            limb,
            self._side(sides, slot, transforming & (stage[0] ^ turned)),
            row,
            half,
            issue & end_of_slot & last_slot & last_stage,
        )
        line = delayed(m, "moments", Cat(*now), config.lead + config.latency)
        written = _Moment.of(now, line[-1])

        with m.If(start):
            m.d.sync += [
                idle.eq(command.operation.as_value() > MOST_CODE),
                operation.eq(command.operation),
                first.eq(command.slot),
                other.eq(command.other),
                slot.eq(command.slot),
                stage.eq(Mux(command.operation == Operation.FORWARD, order.address_bits - 1, 0)),
                settled.eq(1),
            ]
        with m.If(step):
            m.d.sync += half.eq(pointwise & ~half)
            with m.If(half | ~pointwise):
                m.d.sync += row.eq(row + 1)
            with m.If(end_of_limb):
                m.d.sync += limb.eq(Mux(last_limb, 0, limb + 1))
            with m.If(end_of_slot):
                m.d.sync += slot.eq(slot + 1)
                with m.If(last_slot):
                    m.d.sync += [slot.eq(first), stage.eq(Mux(inverse, stage + 1, stage - 1))]
                    with m.If(last_stage):
                        m.d.sync += [issued.eq(issue), idle.eq(~issue)]
                if changes:
                    for s, side in enumerate(sides):
                        with m.If(transforming & last_stage & (slot == s)):
                            m.d.sync += side.eq(~side)
        # Operands are read some cycles after their issue, and so need not wait for that long.
        settling = issue & (row == places.settle_row) & first_slot
        with m.If(delayed(m, "settling", settling, config.latency)[-1]):
            m.d.sync += settled.eq(1)
        with m.Elif(issue & opening):
            m.d.sync += settled.eq(0)
        with m.If(written.ends):
            m.d.sync += [issued.eq(0), idle.eq(1)]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(storing)

        taking = delayed(m, "issues", issue, config.lead)[-1]
        taken = line[config.lead]
        # Not every geometry needs all that is known of a moment.
        reading, writing = (
            Signal(len(taken), name=f"{name}_unused") for name in ("reading", "writing")
        )
        m.d.comb += [
            reading.eq(Mux(storing, Cat(*now), taken) if config.lead else taken),
            writing.eq(Mux(loading, Cat(*now), line[-1])),
        ]
        at, to = _Moment.of(now, reading), _Moment.of(now, writing)
        read = places.read(m, at.stage, at.row, Mux(pointwise, first, at.slot)[0], forward)
        write = places.write(m, to.stage, to.row, Mux(pointwise, first, to.slot)[0], inverse)
        fetch = Signal()
        m.d.comb += fetch.eq(taking | give)
        rest = Signal(len(read.rest))
        with m.If(fetch):
            m.d.sync += rest.eq(read.rest ^ at.half)
        # A bank whose lane is not of this half holds that of the other polynomial.
        theirs = [pointwise & (parity ^ read.rest[0] ^ at.half) for parity in (0, 1)]
        kept = [~pointwise | ~(parity ^ write.rest[0] ^ to.half) for parity in (0, 1)]
        computed = Signal()
        slot_bits = (config.slots - 1).bit_length()
        words = [Signal(config.bits, name=f"written_{b}") for b in range(order.lanes)]
        banks = []
        for b in range(order.lanes):
            word = Signal(config.bits, name=f"bank_word_{b}")
            parity = b >> places.exchanged[0] & 1
            own = Cat(at.side, Mux(pointwise, first, at.slot)[:slot_bits])
            read_slot = Mux(theirs[parity], Cat(self._side(sides, other), other[:slot_bits]), own)
            write_slot = Cat(
                (to.side ^ transforming)[: len(to.side)],
                Mux(pointwise, first, to.slot)[:slot_bits],
            )
            width = Shape.cast(range(self._bank.depth)).width
            share(
                m,
                platform,
                f"bank_{b}",
                Memory,
                self._bank,
                read_address=Cat(read.rows[b], read_slot, at.limb, Const(0, 1))[:width],
                read_enable=fetch,
                read_data=word,
                write_address=Cat(write.rows[b], write_slot, to.limb, Const(0, 1))[:width],
                write_enable=accept | (computed & kept[parity]),
                write_data=words[b],
            )
            banks.append(word)

        fetched = places.exchange(m, "fetched", banks, rest)
        m.d.comb += [self.o.payload.data[lane].eq(fetched[lane]) for lane in range(order.lanes)]
        operands = places.operands(fetched, _Moment.of(now, line[config.lead + 1]).stage, inverse)
        twiddles = place(m, platform, "twiddles", Twiddles, config.factors)
        m.d.comb += [
            twiddles.stage.eq(stage),
            twiddles.inverse.eq(inverse),
            twiddles.ones.eq(pointwise),
            twiddles.i_valid.eq(issue),
        ]
        if order.row_bits:
            m.d.comb += twiddles.row.eq(row)
        if config.limbs > 1:
            m.d.comb += twiddles.limb.eq(limb)
        fetched_limb = _Moment.of(now, line[config.lead + 1]).limb
        outputs, valid = self._butterflies(
            m, platform, operands, twiddles, inverse, multiplying, fetched_limb
        )
        m.d.comb += computed.eq(valid)
        results = places.results(outputs, written.stage, forward)
        returned = []
        for lane, value in enumerate(results):
            result = Signal(config.bits, name=f"result_{lane}")
            m.d.comb += result.eq(value)
            returned.append(Mux(loading, self.i.payload.data[lane], result))
        exchanged = places.exchange(m, "returned", returned, write.rest ^ to.half)
        m.d.comb += [word.eq(value) for word, value in zip(words, exchanged, strict=True)]
        return m

    @property
    def _bank(self) -> MemoryShape:
        config = self.config
        slots = ((config.limbs - 1) << (config.slots - 1).bit_length()) + config.slots
        depth = slots * config.places.sides * config.order.rows
        return MemoryShape(max(2, depth), unsigned(config.bits))

    def _side(self, sides: Signal, slot: Value, turned: Value | int = 0) -> Value:
        """Return on which side a polynomial is, or the other one; no bits of only one side."""
        width = self.config.places.sides - 1
        resting = choose(slot, [*sides]) if len(sides) else Const(0, 1)
        return (resting ^ turned)[:width]

    def _butterflies(
        self,
        m: Module,
        platform: object,
        operands: list[tuple[Value, Value]],
        twiddles: Any,
        inverse: Value,
        multiplying: Value,
        limb: Value,
    ) -> tuple[list[tuple[Value, Value]], Value]:
        """Return both results of each butterfly, and whether there are any."""
        config = self.config
        outputs: list[tuple[Value, Value]] = []
        valids = []
        for t, (u, v) in enumerate(operands):
            unit = place(m, platform, f"butterfly_{t}", Butterfly, config.butterfly)
            m.d.comb += [
                unit.u.eq(Mux(multiplying, 0, u)),
                unit.v.eq(v),
                unit.w.eq(Mux(multiplying, u, twiddles.factors.word_select(t, config.bits))),
                unit.gs.eq(inverse),
                unit.i_valid.eq(twiddles.o_valid),
                *give_constants(unit, config.butterfly, config.moduli, limb),
            ]
            if config.reducer == SHOUP:
                m.d.comb += unit.quotient.eq(twiddles.quotients.word_select(t, config.bits))
            outputs.append((unit.x, unit.y))
            valids.append(unit.o_valid)
        return outputs, Cat(valids).all()


class _Moment(NamedTuple):
    """What is read in a cycle.

    Attributes
    ----------
    stage, slot, limb, side, row, half
        Where from; `half` of the lanes of products and sums.
    ends
        With it the command is complete.
    """

    stage: Value
    slot: Value
    limb: Value
    side: Value
    row: Value
    half: Value
    ends: Value

    @classmethod
    def of(cls, like: "_Moment", bits: Value) -> "_Moment":
        """Take apart what was put together as `like`."""
        parts, start = [], 0
        for part in like:
            parts.append(bits[start : start + len(part)])
            start += len(part)
        return cls(*parts)
