# amaranth: UnusedElaboratable=no
"""Negacyclic number-theoretic transforms in place: several butterflies a cycle, no conflicts.

The N words of a polynomial lie in 2P banks, for P butterflies. The bank of an address is the XOR
of all its digits of ``log2(2P)`` bits, and its row is the address without the low digit. In every
cycle 2P addresses are read that differ in one bit of each place within a digit, among them the bit
that the stage's butterflies span: they lie in different banks, and which lane is in which bank is
an XOR with one number. Results return to where their operands were.

Source: P. Longa, M. Naehrig, "Speeding up the Number Theoretic Transform" (2016), for the order of
twiddle factors; the banks are those of Y. Ma, "An Effective Memory Addressing Scheme for FFT
Processors" (1999), for several butterflies.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
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


class NttEngineConfig(Config):
    """The ring, and how much of a stage is done at once."""

    modulus: int = integer(
        "a prime that is 1 modulo twice the size", 97, (1 << 62) - 1, default=193
    )
    size: int = integer("coefficients of a polynomial, a power of two", 8, 1 << 16, default=16)
    butterflies: int = integer("butterflies a cycle, a power of two", 1, 64, default=1)
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
    def bits(self) -> int:
        """Bits of the modulus."""
        return self.modulus.bit_length()

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
    def name(self) -> str:
        reducer = f"_{self.reducer}" if self.reducer != BARRETT else ""
        stages = f"_stages{self.stages}" if self.stages > 1 else ""
        return f"ntt_q{self.modulus}_n{self.size}_p{self.butterflies}{reducer}{stages}"


class NttEngine(StreamUnit):
    """Negacyclic number-theoretic transform, forward and inverse, in place.

    Coefficients are in natural order, values in bit-reversed order: value i is that of the
    polynomial at the least root of order ``2 * size`` to the power ``2 * reversed(i) + 1``. The
    inverse halves in every butterfly, and has no other factor.

    Members
    -------
    i : In(stream)
        ``data``: `lanes` residues in order; ``inverse``: transform values to coefficients, in the
        first beat of ``size / lanes``.
    o : Out(stream)
        ``data``: `lanes` residues in order.
    """

    config: NttEngineConfig
    cycle_formula = "2 N/2P + log2(N) (N/2P + butterfly latency + 1) a polynomial, and 1"

    def __init__(self, config: NttEngineConfig) -> None:
        residues = lanes(unsigned(config.bits), config.order.lanes)
        i = data.StructLayout({"data": residues, "inverse": 1})
        o = data.StructLayout({"data": residues})
        super().__init__(config, {"i": In(stream.Signature(i)), "o": Out(stream.Signature(o))})

    @property
    def stage_cycles(self) -> int:
        """Cycles of a stage: rows, and until the last results are written."""
        return self.config.order.rows + Butterfly(self.config.butterfly).latency + 1

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """A polynomial after the other: in, all stages, out."""
        config = self.config
        each = 2 * config.order.rows + config.order.address_bits * self.stage_cycles
        return len(columns["inverse"]) // config.order.rows * each + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        n, rows = config.order.address_bits, config.order.rows
        loading = Signal(init=1)
        running = Signal()
        draining = Signal()
        inverse = Signal()
        stage = Signal(range(n))
        count = Signal(range(self.stage_cycles))
        row = count[: rows.bit_length() - 1]
        issue = Signal()
        accept = Signal()
        advance = Signal()
        m.d.comb += [
            self.i.ready.eq(loading),
            accept.eq(loading & self.i.valid),
            # The last beat of the polynomial before may still wait in the banks' read registers.
            issue.eq(running & advance & (count < rows)),
            advance.eq(~self.o.valid | self.o.ready),
        ]
        backward = Mux(count == 0, self.i.payload.inverse, inverse)
        with m.If(accept):
            m.d.sync += [count.eq(count + 1), inverse.eq(backward)]
            with m.If(count == rows - 1):
                m.d.sync += [
                    count.eq(0),
                    loading.eq(0),
                    running.eq(1),
                    stage.eq(Mux(backward, 0, n - 1)),
                ]
        with m.If(running & advance):
            m.d.sync += count.eq(count + 1)
            with m.If(count == self.stage_cycles - 1):
                m.d.sync += [count.eq(0), stage.eq(Mux(inverse, stage + 1, stage - 1))]
                with m.If(stage == Mux(inverse, n - 1, 0)):
                    m.d.sync += [running.eq(0), draining.eq(1)]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(draining)
            with m.If(draining):
                m.d.sync += count.eq(count + 1)
                with m.If(count == rows - 1):
                    m.d.sync += [count.eq(0), draining.eq(0), loading.eq(1)]

        latency = Butterfly(config.butterfly).latency
        row_line = delayed(m, "row_line", row, 1 + latency)
        read = self._addresses(m, "read", stage, row)
        write = self._addresses(m, "write", stage, row_line[-1])
        aside = Cat(*_rest(config, 0, row))
        fetch = Signal()
        rest = Signal(config.order.lane_bits)
        m.d.comb += fetch.eq(issue | (draining & advance))
        with m.If(fetch):
            m.d.sync += rest.eq(Mux(running, read.rest, aside))
        computed = Signal()
        written = [Signal(config.bits, name=f"written_{b}") for b in range(config.order.lanes)]
        banks = []
        for b in range(config.order.lanes):
            word = Signal(config.bits, name=f"bank_word_{b}")
            addresses = {
                f"{end}_address": Signal(range(self._bank.depth), name=f"{end}_address_{b}")
                for end in ("read", "write")
            }
            m.d.comb += [
                addresses["read_address"].eq(Mux(running, read.rows[b], row)),
                addresses["write_address"].eq(Mux(running, write.rows[b], row)),
            ]
            share(
                m,
                platform,
                f"bank_{b}",
                Memory,
                self._bank,
                **addresses,
                read_enable=fetch,
                read_data=word,
                write_enable=accept | computed,
                write_data=written[b],
            )
            banks.append(word)

        fetched = _exchange(m, "fetched", banks, rest)
        m.d.comb += [
            self.o.payload.data[lane].eq(fetched[lane]) for lane in range(config.order.lanes)
        ]
        twiddles = self._twiddles(m, platform, stage, row, inverse)
        spanned = _choose(stage, [Const(s % config.order.lane_bits, 3) for s in range(n)])
        results, valid = self._butterflies(m, platform, fetched, twiddles, inverse, spanned, issue)
        returned = _exchange(m, "returned", results, write.rest)
        loaded = _exchange(m, "loaded", [*self.i.payload.data], aside)
        m.d.comb += computed.eq(valid)
        m.d.comb += [
            word.eq(Mux(running, mine, theirs))
            for word, mine, theirs in zip(written, returned, loaded, strict=True)
        ]
        return m

    @property
    def _bank(self) -> MemoryShape:
        return MemoryShape(max(2, self.config.order.rows), unsigned(self.config.bits))

    def _addresses(self, m: Module, name: str, stage: Value, row: Value) -> "_Step":
        config = self.config
        n, width = config.order.address_bits, config.order.lane_bits
        rest = Signal(width, name=f"{name}_rest")
        rests = zip(*(_rest(config, s, row) for s in range(n)), strict=True)
        m.d.comb += rest.eq(Cat(_choose(stage, bits) for bits in rests))
        rows: list[Value] = []
        for b in range(config.order.lanes):
            lane = [rest[j] ^ (b >> j & 1) for j in range(width)]
            bits = zip(*(_address(config, s, lane, row)[width:] for s in range(n)), strict=True)
            rows.append(Cat(_choose(stage, choices) for choices in bits))
        return _Step(rest, rows)

    def _twiddles(
        self, m: Module, platform: object, stage: Value, row: Value, inverse: Value
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
        m.d.comb += address.eq(Mux(inverse, start[1], start[0]) + group)
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
        spanned: Value,
        issue: Value,
    ) -> tuple[list[Value], Value]:
        """Return the results of all lanes and whether there are any.

        Lanes of a butterfly differ in the one bit that is spanned.
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
                unit.u.eq(_choose(spanned, [fetched[low] for low, _ in pairs])),
                unit.v.eq(_choose(spanned, [fetched[high] for _, high in pairs])),
                unit.w.eq(twiddles["factors"].word_select(t, config.bits)),
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
            m.d.comb += result.eq(_choose(spanned, sources))
            results.append(result)
        return results, Cat(valids).all()


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
