# amaranth: UnusedElaboratable=no
"""Negacyclic number-theoretic transforms in place: several butterflies a cycle, no conflicts.

The N words of a polynomial lie in 2P banks, for P butterflies. The bank of an address is the XOR
of all its digits of ``log2(2P)`` bits, and its row is the address without the low digit. In every
cycle 2P addresses are read that differ in one bit of each place within a digit, among them the bit
that the stage's butterflies span: they lie in different banks, and which lane is in which bank is
an XOR with one number. Results return to where their operands were.

Banks hold several polynomials, each in a slot of its own. In odd slots the low bit of the bank is
the other one: half the lanes of two polynomials, one in an even slot and one in an odd, then lie in
different banks too, and P products or sums of the two are made in a cycle.

Source: P. Longa, M. Naehrig, "Speeding up the Number Theoretic Transform" (2016), for the order of
twiddle factors; the banks are those of Y. Ma, "An Effective Memory Addressing Scheme for FFT
Processors" (1999), for several butterflies.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from hw.engine import lanes
from hw.memory import Memory, MemoryShape
from hw.ntt_order import NttOrder, with_bit, without_bit
from hw.skew import delayed
from hw.stream_unit import StreamUnit
from hw.twiddles import TwiddleRom, TwiddleRomConfig
from pe.butterfly import BARRETT, REDUCERS, SHOUP, UNIFIED, Butterfly, ButterflyConfig
from pe.config import Config, choice, integer
from pe.roots import check_ring
from pe.share import place, share


class Operation(enum.Enum, shape=3):
    """What a command does."""

    LOAD = 0
    STORE = 1
    FORWARD = 2
    INVERSE = 3
    ADD = 4
    MULTIPLY = 5


class NttEngineConfig(Config):
    """The ring, how much of a stage is done at once, and how many polynomials are held."""

    modulus: int = integer(
        "a prime that is 1 modulo twice the size", 97, (1 << 62) - 1, default=193
    )
    size: int = integer("coefficients of a polynomial, a power of two", 8, 1 << 16, default=16)
    butterflies: int = integer("butterflies a cycle, a power of two", 1, 64, default=1)
    slots: int = integer("polynomials that are held", 1, 64, default=2)
    reducer: str = choice("reduction of products", lambda: REDUCERS, default=BARRETT)
    stages: int = integer("pipeline stages of a multiplier", 1, 8, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size & (self.size - 1):
            raise ValueError(f"size: {self.size} is not a power of two")
        if self.butterflies & (self.butterflies - 1):
            raise ValueError(f"butterflies: {self.butterflies} is not a power of two")
        if 2 * self.butterflies > self.size:
            raise ValueError(
                f"butterflies: {self.butterflies} is not in 1..{self.size // 2}, half of "
                f"size={self.size}"
            )
        check_ring(self.modulus, self.size)
        _ = self.butterfly

    @property
    def butterfly(self) -> ButterflyConfig:
        """Config of a butterfly."""
        return ButterflyConfig(
            modulus=self.modulus,
            stages=self.stages,
            kind=UNIFIED,
            reducer=self.reducer,
            halve=True,
        )

    @property
    def twiddles(self) -> TwiddleRomConfig:
        """Config of the twiddle factors."""
        return TwiddleRomConfig(
            modulus=self.modulus,
            size=self.size,
            butterflies=self.butterflies,
            reducer=self.reducer,
        )

    @property
    def order(self) -> NttOrder:
        """Order of coefficients in banks."""
        return NttOrder(self.size, self.butterflies)

    @property
    def bits(self) -> int:
        """Bits of the modulus."""
        return self.modulus.bit_length()

    @property
    def radix_bits(self) -> int:
        """Products of polynomials are divided by two to this."""
        return self.butterfly.radix_bits

    @property
    def latency(self) -> int:
        """Cycles from a read of the banks until the results are written."""
        return self.butterfly.latency + 1

    @property
    def name(self) -> str:
        slots = f"_slots{self.slots}" if self.slots > 1 else ""
        reducer = f"_{self.reducer}" if self.reducer != BARRETT else ""
        stages = f"_stages{self.stages}" if self.stages > 1 else ""
        return f"ntt_q{self.modulus}_n{self.size}_p{self.butterflies}{slots}{reducer}{stages}"


class NttEngine(StreamUnit):
    """Negacyclic number-theoretic transform, forward and inverse, in place; products and sums.

    Coefficients are in natural order, values in bit-reversed order: value i is that of the
    polynomial at the least root of order ``2 * size`` to the power ``2 * reversed(i) + 1``. The
    inverse halves in every butterfly, and has no other factor.

    A command ends before the next one begins. Slots are undefined until loaded. Products and sums
    are of coefficients or values, one by one: of values a product is that of the polynomials. With
    Montgomery's reduction it is divided by the radix. The last command is a `STORE`.

    Members
    -------
    i_command : In(stream)
        ``operation``: an `Operation`. `LOAD`, `STORE`, `FORWARD` and `INVERSE` work on slots
        ``slot`` to ``other``, not below ``slot``, and transforms of several slots hide the
        pipeline. `ADD` and `MULTIPLY` put into ``slot`` what they make of ``slot`` and ``other``,
        one of them even and one odd; there is no `MULTIPLY` with reducer=shoup.
    i : In(stream)
        ``data``: `lanes` residues in order; ``size / lanes`` beats for each slot that is loaded.
    o : Out(stream)
        ``data``: `lanes` residues in order, ``size / lanes`` beats for each slot that is stored.
    """

    config: NttEngineConfig
    cycle_formula = (
        "k N/2P + 1 to load or store k slots, N/P + D + 1 for a product or sum, and (log2(N) - 1) "
        "max(k N/2P, N/2P + D) + k N/2P + D + 1 for a transform, D = butterfly latency + 1; and 1"
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

    def transform_cycles(self, slots: int) -> int:
        """Cycles of a transform of as many slots."""
        rows, latency = self.config.order.rows, self.config.latency
        each = max(slots * rows, rows + latency)
        return (self.config.order.address_bits - 1) * each + slots * rows + latency + 1

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """One command after the other, and the last beat given."""
        rows, latency = self.config.order.rows, self.config.latency
        total = 1
        for code, slot, other in zip(
            *(columns[f"command_{field}"] for field in ("operation", "slot", "other")), strict=True
        ):
            match Operation(int(code)):
                case Operation.LOAD | Operation.STORE:
                    total += (int(other) - int(slot) + 1) * rows + 1
                case Operation.ADD | Operation.MULTIPLY:
                    total += 2 * rows + latency + 1
                case _:
                    total += self.transform_cycles(int(other) - int(slot) + 1)
        return total

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, order = self.config, self.config.order
        command = self.i_command.payload
        idle = Signal(init=1)
        operation = Signal(Operation)
        first, other, slot = (
            Signal(len(command.slot), name=name) for name in ("first", "other", "slot")
        )
        stage = Signal(range(order.address_bits))
        row = Signal(range(order.rows))
        half = Signal()
        issued = Signal()
        settled = Signal()
        loading, storing, inverse, adding, multiplying, transforming = (
            Signal(name=name)
            for name in ("loading", "storing", "inverse", "adding", "multiplying", "transforming")
        )
        pointwise = Signal()
        advance = Signal()
        start = Signal()
        accept = Signal()
        issue = Signal()
        fetch = Signal()
        step = Signal()
        first_slot = Signal()
        last_slot = Signal()
        opening = Signal()
        end_of_slot = Signal()
        last_stage = Signal()
        m.d.comb += [
            loading.eq(~idle & (operation == Operation.LOAD)),
            storing.eq(~idle & (operation == Operation.STORE)),
            inverse.eq(operation == Operation.INVERSE),
            adding.eq(operation == Operation.ADD),
            multiplying.eq(operation == Operation.MULTIPLY),
            pointwise.eq(adding | multiplying),
            transforming.eq((operation == Operation.FORWARD) | inverse),
            # The last beat stored may still wait in the banks' read registers.
            advance.eq(~self.o.valid | self.o.ready),
            self.i_command.ready.eq(idle & advance),
            start.eq(self.i_command.ready & self.i_command.valid),
            self.i.ready.eq(loading),
            accept.eq(loading & self.i.valid),
            issue.eq(~idle & ~issued & (pointwise | (transforming & (settled | ~opening)))),
            fetch.eq(issue | (storing & advance)),
            step.eq(accept | fetch),
        ]
        m.d.comb += [
            first_slot.eq(slot == first),
            last_slot.eq(pointwise | (slot == other)),
            opening.eq(first_slot & (row == 0)),
            end_of_slot.eq(row.all() & (half | ~pointwise)),
            last_stage.eq(stage == Mux(inverse, order.address_bits - 1, 0)),
        ]
        now = _Moment(
            stage,
            slot,
            row,
            half,
            issue & end_of_slot & first_slot,
            issue & end_of_slot & last_slot & last_stage,
        )
        line = delayed(m, "moments", Cat(*now), config.latency)
        written = _Moment.of(now, line[-1])

        with m.If(start):
            m.d.sync += [
                idle.eq(0),
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
            with m.If(end_of_slot):
                m.d.sync += slot.eq(slot + 1)
                with m.If(last_slot):
                    m.d.sync += [slot.eq(first), stage.eq(Mux(inverse, stage + 1, stage - 1))]
                    with m.If(last_stage):
                        m.d.sync += [issued.eq(issue), idle.eq(~issue)]
        with m.If(written.settles):
            m.d.sync += settled.eq(1)
        with m.Elif(issue & opening):
            m.d.sync += settled.eq(0)
        with m.If(written.ends):
            m.d.sync += [issued.eq(0), idle.eq(1)]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(storing)

        read = self._addresses(m, "read", stage, row, Mux(pointwise, first, slot))
        at = _Moment.of(now, Mux(loading, Cat(*now), line[-1]))
        write = self._addresses(m, "write", at.stage, at.row, Mux(pointwise, first, at.slot))
        rest = Signal(order.lane_bits)
        with m.If(fetch):
            m.d.sync += rest.eq(read.rest ^ half)
        # A bank whose lane is not of this half holds that of the other polynomial.
        theirs = [pointwise & (parity ^ read.rest[0] ^ half) for parity in (0, 1)]
        kept = [~pointwise | ~(parity ^ write.rest[0] ^ at.half) for parity in (0, 1)]
        computed = Signal()
        words = [Signal(config.bits, name=f"written_{b}") for b in range(order.lanes)]
        banks = []
        for b in range(order.lanes):
            word = Signal(config.bits, name=f"bank_word_{b}")
            read_slot = Mux(theirs[b & 1], other, Mux(pointwise, first, slot))
            write_slot = Mux(pointwise, first, at.slot)
            width = Shape.cast(range(self._bank.depth)).width
            share(
                m,
                platform,
                f"bank_{b}",
                Memory,
                self._bank,
                read_address=Cat(read.rows[b], read_slot)[:width],
                read_enable=fetch,
                read_data=word,
                write_address=Cat(write.rows[b], write_slot)[:width],
                write_enable=accept | (computed & kept[b & 1]),
                write_data=words[b],
            )
            banks.append(word)

        fetched = _exchange(m, "fetched", banks, rest)
        m.d.comb += [self.o.payload.data[lane].eq(fetched[lane]) for lane in range(order.lanes)]
        twiddles = self._twiddles(m, platform, stage, row, inverse, pointwise)
        spans = [Const(s % order.lane_bits, 3) for s in range(order.address_bits)]
        operands, outcome = (
            _choose(_Moment.of(now, tap).stage, spans) for tap in (line[1], line[-1])
        )
        results, valid = self._butterflies(
            m, platform, fetched, twiddles, inverse, multiplying, operands, outcome, issue
        )
        m.d.comb += computed.eq(valid)
        returned = [
            Mux(loading, self.i.payload.data[lane], result) for lane, result in enumerate(results)
        ]
        exchanged = _exchange(m, "returned", returned, write.rest ^ at.half)
        m.d.comb += [word.eq(value) for word, value in zip(words, exchanged, strict=True)]
        return m

    @property
    def _bank(self) -> MemoryShape:
        return MemoryShape(
            max(2, self.config.slots * self.config.order.rows), unsigned(self.config.bits)
        )

    def _addresses(self, m: Module, name: str, stage: Value, row: Value, slot: Value) -> "_Step":
        config = self.config
        n, width = config.order.address_bits, config.order.lane_bits
        rest = Signal(width, name=f"{name}_rest")
        rests = zip(*(_rest(config, s, row) for s in range(n)), strict=True)
        m.d.comb += rest.eq(Cat(_choose(stage, bits) for bits in rests) ^ slot[0])
        rows: list[Value] = []
        for b in range(config.order.lanes):
            lane = [rest[j] ^ (b >> j & 1) for j in range(width)]
            bits = zip(*(_address(config, s, lane, row)[width:] for s in range(n)), strict=True)
            rows.append(Cat(_choose(stage, choices) for choices in bits))
        return _Step(rest, rows)

    def _twiddles(
        self, m: Module, platform: object, stage: Value, row: Value, inverse: Value, ones: Value
    ) -> dict[str, Value]:
        """Return the twiddle factors of all butterflies, and with Shoup's their quotients."""
        config = self.config.twiddles
        order = config.order
        start = [
            _choose(stage, [Const(start, range(config.depth)) for start in starts])
            for starts in config.starts
        ]
        group = _choose(stage, [row[order.repeats(s) :] for s in range(order.address_bits)])
        address = Signal(range(config.depth), name="twiddle_address")
        m.d.comb += address.eq(Mux(ones, 0, Mux(inverse, start[1], start[0]) + group))
        names = ("factors", "quotients") if config.quotient_bits else ("factors",)
        found = {name: Signal(config.butterflies * config.bits, name=name) for name in names}
        share(m, platform, "twiddles", TwiddleRom, config, address=address, **found)
        return {**found}

    def _butterflies(
        self,
        m: Module,
        platform: object,
        fetched: list[Value],
        twiddles: dict[str, Value],
        inverse: Value,
        multiplying: Value,
        operands: Value,
        outcome: Value,
        issue: Value,
    ) -> tuple[list[Value], Value]:
        """Return the results of all lanes and whether there are any.

        Lanes of a butterfly differ in one bit, which its operands and its results choose.
        """
        config = self.config
        outputs = []
        present = Signal()
        m.d.sync += present.eq(issue)
        valids = []
        for t in range(config.butterflies):
            unit = place(m, platform, f"butterfly_{t}", Butterfly, config.butterfly)
            pairs = [
                [with_bit(t, j, side) for side in (0, 1)] for j in range(config.order.lane_bits)
            ]
            m.d.comb += [
                unit.u.eq(
                    Mux(multiplying, 0, _choose(operands, [fetched[low] for low, _ in pairs]))
                ),
                unit.v.eq(_choose(operands, [fetched[high] for _, high in pairs])),
                unit.w.eq(
                    Mux(
                        multiplying,
                        fetched[2 * t],
                        twiddles["factors"].word_select(t, config.bits),
                    )
                ),
                unit.gs.eq(inverse),
                unit.i_valid.eq(present),
            ]
            if config.reducer == SHOUP:
                m.d.comb += unit.quotient.eq(twiddles["quotients"].word_select(t, config.bits))
            outputs.append((unit.x, unit.y))
            valids.append(unit.o_valid)
        results: list[Value] = []
        for lane in range(config.order.lanes):
            sources = [
                outputs[without_bit(lane, j)][lane >> j & 1] for j in range(config.order.lane_bits)
            ]
            result = Signal(config.bits, name=f"result_{lane}")
            m.d.comb += result.eq(_choose(outcome, sources))
            results.append(result)
        return results, Cat(valids).all()


class _Moment(NamedTuple):
    """What is read in a cycle.

    Attributes
    ----------
    stage, slot, row, half
        Where from; `half` of the lanes of products and sums.
    settles, ends
        With it the first slot of a stage, or the whole command, is complete.
    """

    stage: Value
    slot: Value
    row: Value
    half: Value
    settles: Value
    ends: Value

    @classmethod
    def of(cls, like: "_Moment", bits: Value) -> "_Moment":
        """Take apart what was put together as `like`."""
        parts, start = [], 0
        for part in like:
            parts.append(bits[start : start + len(part)])
            start += len(part)
        return cls(*parts)


class _Step(NamedTuple):
    """What a step of a stage needs.

    Attributes
    ----------
    rest
        Lanes are exchanged by it.
    rows
        Of each bank.
    """

    rest: Value
    rows: list[Value]


def _address(config: NttEngineConfig, stage: int, lane: Sequence[Value], row: Value) -> list[Value]:
    """Return the bits of the address of a lane in a step of a stage."""
    varied = config.order.varied(stage)
    others = iter(row)
    return [
        lane[varied.index(i)] if i in varied else next(others)
        for i in range(config.order.address_bits)
    ]


def _rest(config: NttEngineConfig, stage: int, row: Value) -> list[Value]:
    """Return the XOR of an address' digits without the bits that lanes vary."""
    others = [i for i in range(config.order.address_bits) if i not in config.order.varied(stage)]
    return [
        reduce(
            xor,
            [
                bit
                for i, bit in zip(others, row, strict=True)
                if i % config.order.lane_bits == place
            ],
            Const(0, 1),
        )
        for place in range(config.order.lane_bits)
    ]


def _choose(index: Value, values: Sequence[Value]) -> Value:
    """Return the value of an index, by a tree of multiplexers."""
    if len(values) == 1:
        return values[0]
    half = 1 << ((len(values) - 1).bit_length() - 1)
    low, high = _choose(index, values[:half]), _choose(index, values[half:])
    return Mux(index[half.bit_length() - 1], high, low)


def _exchange(m: Module, name: str, words: Sequence[Value], by: Value) -> list[Value]:
    """Return the words with word i in place of ``i ^ by``."""
    for j in range(len(by)):
        swapped = [Signal(len(word), name=f"{name}_{j}_{i}") for i, word in enumerate(words)]
        for i, word in enumerate(words):
            m.d.comb += swapped[i].eq(Mux(by[j], words[i ^ (1 << j)], word))
        words = swapped
    return [*words]
