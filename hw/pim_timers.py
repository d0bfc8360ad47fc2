"""Distances between commands of a PIM channel that no bank sees by itself."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hw.pim_config import Command, PimConfig
from hw.pim_timer import Load, Plus, any_of, drive_timer, named, stream_of
from pe.unit import Unit


class PimTimers(Unit):
    """Timers of groups, ranks and the channel, and the bookings of the data bus.

    Members
    -------
    command : In(4), group : In, k : In(6)
        The command of this cycle, the bank group of its bank, and the steps of a GEMV or of the
        GEMVs that a header announces.
    may_act : Out(groups of the channel)
        An activate for memory keeps tRRD and has room in tFAW.
    may_pact : Out(ranks)
        A PIM activate has room in tFAW: all of it.
    may_read, may_write : Out
        A column access of each group keeps its distances, and its burst is free; a write is alike
        for all groups.
    may_copy : Out(groups of the channel)
        A GWRITE does: no burst, but no vector in use or in the making.
    may_start, may_compute, may_result : Out(1)
        A header, a GEMV or COMP, and with one buffer a RDRESULT may come.
    window : Out
        Cycles until the whole of tFAW is free in every rank, and until tRCD before the vector that
        is copied is there; only where headers look ahead.
    slot : Out(1)
        The results of a GEMV are due: with two buffers some time after it, with one at RDRESULT.
    """

    config: PimConfig

    def __init__(self, config: PimConfig) -> None:
        groups = config.all_groups
        t = config.timing
        latest = max(t.t_faw, t.gwrite)
        super().__init__(
            config,
            {
                "command": In(4),
                "group": In(range(max(2, groups))),
                "k": In(6),
                "may_act": Out(groups),
                "may_pact": Out(config.ranks),
                "may_read": Out(groups),
                "may_write": Out(1),
                "may_copy": Out(groups),
                "may_start": Out(1),
                "may_compute": Out(1),
                **({} if config.dual else {"may_result": Out(1)}),
                **({"window": Out(range(latest + 1))} if config.looks_ahead else {}),
                "slot": Out(1),
            },
        )

    @property
    def name(self) -> str:
        return f"timers_{self.config.name}"

    def _timer(self, m: Module, name: str, loads: list[Load]) -> Signal:
        longest = 0
        for _, cycles in loads:
            if isinstance(cycles, int):
                longest = max(longest, cycles - 1)
            else:
                longest = max(longest, 63 * self.config.timing.t_ccd_l + cycles.cycles - 1)
        count = Signal(range(longest + 1), name=f"{name}_timer")
        drive_timer(m, count, loads)
        return count

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, t, c = self.config, self.config.timing, Command
        does = {}
        for each in Command:
            does[each] = Signal(name=f"is_{each.name.lower()}")
            m.d.comb += does[each].eq(self.command == each.value)
        stream = stream_of(m, self.k, t.t_ccd_l, t.fill)
        copying = self._timer(m, "copy", [(does[c.GWRITE], t.gwrite)])

        bus_read, bus_write = self._bus(m, does, stream)
        windows = [self._window(m, rank, does) for rank in range(config.ranks)]
        for rank, counts in enumerate(windows):
            m.d.comb += self.may_pact[rank].eq(Cat(count == 0 for count in counts).all())
        if config.looks_ahead:
            counts = [count for timers in windows for count in timers]
            early = t.t_rcd
            counts.append(named(m, "copied", Mux(copying > early, copying - early, 0)))
            latest: Value = counts[0]
            for count in counts[1:]:
                latest = Mux(count > latest, count, latest)
            m.d.comb += self.window.eq(latest)

        write = self._timer(m, "write", [(does[c.RD], t.read_to_write), (does[c.WR], t.t_ccd_l)])
        bitlines: Value = Value.cast(1)
        if config.dual and config.shared_gbl:
            steps = named(
                m, "steps_less_one", (self.k * t.t_ccd_l - 1)[: 6 + t.t_ccd_l.bit_length()]
            )
            bitlines = self._timer(m, "bitlines", [(does[c.GEMV], Plus(steps, 1))]) == 0
        m.d.comb += self.may_write.eq((write == 0) & bus_write & bitlines)

        using = Signal(range(63 * t.t_ccd_l + 1), name="use_timer")
        with m.If(does[c.GEMV]):
            m.d.sync += using.eq(stream - 1)
        with m.Elif(using != 0):
            m.d.sync += using.eq(using - 1)
        unused: Value = using == 0
        if config.gbuf_depth == 2:
            spare = Signal(name="vector_spare")
            with m.If(does[c.GEMV]):
                m.d.sync += spare.eq(1)
            with m.Elif(does[c.GWRITE]):
                m.d.sync += spare.eq(0)
            unused = unused | spare
        for group in range(config.all_groups):
            rank = group // config.groups
            here, of_rank = Signal(name=f"in_{group}"), Signal(name=f"in_rank_of_{group}")
            m.d.comb += [
                here.eq(self.group == group),
                of_rank.eq(self._in_rank(rank)),
            ]
            act = self._timer(
                m,
                f"act_{group}",
                [
                    (does[c.ACT] & of_rank & ~here, t.t_rrd_s),
                    (does[c.ACT] & here, t.t_rrd_l),
                ],
            )
            read = self._timer(
                m,
                f"read_{group}",
                [
                    (does[c.RD] & of_rank, t.t_ccd_l),
                    (does[c.RD] & ~of_rank, t.burst + t.t_rtrs),
                    (does[c.WR] & of_rank & ~here, t.write_to_read_other),
                    (does[c.WR] & here, t.write_to_read),
                    (does[c.GWRITE], t.t_ccd_l),
                ],
            )
            counts = windows[rank]
            m.d.comb += [
                self.may_act[group].eq((act == 0) & Cat(count == 0 for count in counts).any()),
                self.may_read[group].eq((read == 0) & bus_read & bitlines),
                self.may_copy[group].eq((read == 0) & bitlines & (copying == 0) & unused),
            ]

        loads: list[Load] = [
            (does[c.GWRITE], t.gwrite),
            (does[c.PACT], t.t_rcd),
            (does[c.GEMV], Plus(stream, t.t_ccd_l)),
            (does[c.COMP] | does[c.RDRESULT], t.t_ccd_l),
        ]
        if config.dual and config.shared_gbl:
            loads.append((does[c.RD] | does[c.WR], t.t_ccd_l))
        if not config.dual:
            loads += [(does[c.WR], t.write_to_read), (does[c.RD], t.t_ccd_l)]
        compute = self._timer(m, "compute", loads)
        m.d.comb += [
            self.may_start.eq((copying == 0) | (config.gbuf_depth == 2)),
            self.may_compute.eq(compute == 0),
        ]
        if config.dual:
            count = Signal(range(63 * t.t_ccd_l + 1), name="slot_count")
            with m.If(does[c.GEMV]):
                m.d.sync += count.eq(stream)
            with m.Elif(count != 0):
                m.d.sync += count.eq(count - 1)
            m.d.comb += self.slot.eq(count == 1)
        else:
            self._single(m, does)
        return m

    def _in_rank(self, rank: int) -> Value:
        """Whether the command's group is one of a rank."""
        groups = range(rank * self.config.groups, (rank + 1) * self.config.groups)
        return any_of([self.group == group for group in groups])

    def _single(self, m: Module, does: dict[Command, Signal]) -> None:
        """With one buffer: the pipeline must have filled since the first of a result's steps."""
        t = self.config.timing
        started = Signal()
        with m.If(does[Command.COMP]):
            m.d.sync += started.eq(1)
        with m.Elif(does[Command.RDRESULT]):
            m.d.sync += started.eq(0)
        steps, fill = named(m, "steps", self.k * t.t_ccd_l), t.t_ccd_s * t.fill
        length = named(m, "length", Mux(steps > fill, steps, fill))
        result = Signal(len(length), name="result_timer")
        with m.If(does[Command.COMP] & ~started):
            m.d.sync += result.eq(length - 1)
        with m.Elif(result != 0):
            m.d.sync += result.eq(result - 1)
        m.d.comb += [self.may_result.eq(result == 0), self.slot.eq(does[Command.RDRESULT])]

    def _window(self, m: Module, rank: int, does: dict[Command, Signal]) -> list[Signal]:
        """Four timers, one an activate: memory's takes the first that is free, PIM's all."""
        t = self.config.timing
        here = self._in_rank(rank)
        act, pact = does[Command.ACT] & here, does[Command.PACT] & here
        counts = [Signal(range(t.t_faw + 1), name=f"window_{rank}_{i}") for i in range(4)]
        taken: Value = Mux(0, 0, 0)
        for count in counts:
            takes = Signal(name=f"{count.name}_takes")
            m.d.comb += takes.eq(pact | (act & (count == 0) & ~taken))
            taken = taken | (act & (count == 0))
            drive_timer(m, count, [(takes, t.t_faw)])
        return counts

    def _bus(self, m: Module, does: dict[Command, Signal], stream: Signal) -> tuple[Value, Value]:
        """Whether the bursts of a read and of a write of this cycle are free."""
        t, c = self.config.timing, Command
        same, other = t.burst - 1, t.burst + t.t_rtrs - 1
        last = t.cl + 63 * t.t_ccd_l * self.config.dual
        reads = _Bookings("read", min(t.cl - same, t.cwl - other), last)
        writes = _Bookings("write", min(t.cwl - same, t.cl - other), t.cwl)
        at_once = does[c.RD] if self.config.dual else does[c.RD] | does[c.RDRESULT]
        booked: list[tuple[Value, Value]] = [(at_once, reads.bit(t.cl))]
        if self.config.dual:
            booked.append((does[c.GEMV], reads.bit(t.cl) << stream))
        reads.book(m, booked)
        writes.book(m, [(does[c.WR], writes.bit(t.cwl))])
        free_read = ~(reads.any(t.cl, same) | writes.any(t.cl, other))
        free_write = ~(writes.any(t.cwl, same) | reads.any(t.cwl, other))
        return free_read, free_write


class _Bookings:
    """Bursts of one direction that are to come: a bit for each cycle in which one begins.

    Parameters
    ----------
    first, last
        Cycles from now of the first that is still asked about, and of the last there can be.
    """

    def __init__(self, name: str, first: int, last: int) -> None:
        self._first = first
        self._register = Signal(last - first, name=f"{name}_bursts")

    def bit(self, cycles: int) -> Value:
        """A burst so many cycles from now, as the next cycle sees it."""
        at = cycles - 1 - self._first
        return Value.cast(1 << at if at >= 0 else 0)

    def book(self, m: Module, bookings: list[tuple[Value, Value]]) -> None:
        """Let a cycle pass, and book a burst where a condition holds."""
        coming: Value = self._register[1:]
        for condition, bit in bookings:
            coming = coming | Mux(condition, bit, 0)
        m.d.sync += self._register.eq(coming)

    def any(self, cycles: int, around: int) -> Value:
        """Whether a burst begins so many cycles from now, or up to `around` before or after."""
        start = max(0, cycles - around - self._first)
        return self._register[start : cycles + around + 1 - self._first].any()


def bank_states(config: PimConfig) -> dict[str, object]:
    """Shapes of the state of all banks, by the names of a bank's ports."""
    banks = config.all_banks
    count = data.ArrayLayout(range(config.timing.longest), banks)
    row = data.ArrayLayout(range(config.bank_rows), banks)
    shapes = {"open": banks, "row": row, "act": count, "column": banks, "pre": banks}
    return {f"{side}_{name}": shape for side in ("mem", "pim") for name, shape in shapes.items()}
