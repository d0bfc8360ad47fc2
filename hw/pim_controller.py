# amaranth: UnusedElaboratable=no
"""The controller of a PIM channel: which command goes in which cycle.

Source: NeuPIMs, ASPLOS 2024, section 5. The guard of a header, the hold of memory's activates, the
bound on memory's waiting and the release of a parked row on demand are not in it.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from hw.pim_config import Command, PimConfig
from hw.pim_refresh import PimRefresh
from hw.pim_timer import any_of, first_of, named, pick
from hw.pim_timers import PimTimers, bank_states
from pe.share import place
from pe.unit import Unit

AFTER_BITS = 32
COUNT_BITS = 6


class PimOp(enum.Enum, shape=2):
    """Kinds of request in the PIM queue."""

    GWRITE = 0
    HEADER = 1
    GEMV = 2


def pim_request(config: PimConfig) -> data.StructLayout:
    """What a PIM request holds; `after` is how many memory requests must have gone before."""
    return data.StructLayout(
        {
            "op": 2,
            "bank": range(max(2, config.all_banks)),
            "row": range(config.bank_rows),
            "k": COUNT_BITS,
            "gemvs": COUNT_BITS,
            "after": AFTER_BITS,
        }
    )


def mem_request(config: PimConfig) -> data.StructLayout:
    """What a memory request holds; `after` is how many PIM requests must have gone before."""
    return data.StructLayout(
        {
            "write": 1,
            "bank": range(max(2, config.all_banks)),
            "row": range(config.bank_rows),
            "column": range(config.columns),
            "data": config.column_bytes * 8,
            "after": AFTER_BITS,
        }
    )


def command_members(config: PimConfig) -> dict[str, Shape]:
    """Fields of the command bus."""
    return {
        "command": unsigned(4),
        "place": Shape.cast(range(max(2, config.all_banks))),
        "row": Shape.cast(range(config.bank_rows)),
        "column": Shape.cast(range(max(config.columns, config.steps))),
        "k": unsigned(COUNT_BITS),
        "gemvs": unsigned(COUNT_BITS),
    }


class _Choice:
    """A command that one of the three stages would like to issue, at one of several places."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sites: list[tuple[Command, Signal, Value]] = []

    def issue(self, m: Module, command: Command, where: Any = 0) -> None:
        """Want a command, under the conditions that stand around."""
        wanted = Signal(name=f"{self._name}_{command.name.lower()}_{len(self._sites)}")
        m.d.comb += wanted.eq(1)
        self._sites.append((command, wanted, Value.cast(where)))

    @property
    def wants(self) -> dict[Command, Value]:
        commands = dict.fromkeys(command for command, _, _ in self._sites)
        return {c: any_of([s for each, s, _ in self._sites if each is c]) for c in commands}

    @property
    def valid(self) -> Value:
        return any_of([wanted for _, wanted, _ in self._sites])

    @property
    def place(self) -> Value:
        widest = max(self._sites, key=lambda site: len(site[2]))
        place = widest[2]
        for site in self._sites:
            if site is not widest:
                place = Mux(site[1], site[2], place)
        return place


class PimController(Unit):
    """Controller: the heads of two queues and the state of all banks in, commands out.

    One command a cycle, in the order: a due refresh or what it needs, the head of the PIM queue or
    what it needs, the head of the memory queue or what it needs.

    Members
    -------
    i_pim, i_mem : In(stream)
        See `pim_request` and `mem_request`; ready in the cycle in which a request is served.
    mem_..., pim_... : In
        State of all banks; `column` and `pre` say that the timer has run out.
    command, place, row, column, k, gemvs : Out
        The command bus; the place is a bank, of PACT a group, of REF a rank.
    data : Out
        What a WR writes.
    first : Out(1)
        A COMP is the first of a result.
    slot : Out(1)
        Results are due; see `PimTimers`.
    """

    config: PimConfig

    def __init__(self, config: PimConfig) -> None:
        super().__init__(
            config,
            {
                "i_pim": In(stream.Signature(pim_request(config))),
                "i_mem": In(stream.Signature(mem_request(config))),
                **{name: In(shape) for name, shape in bank_states(config).items()},
                **{name: Out(shape) for name, shape in command_members(config).items()},
                "data": Out(config.column_bytes * 8),
                "first": Out(1),
                "slot": Out(1),
            },
        )

    @property
    def name(self) -> str:
        return f"controller_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        self._timers = place(m, platform, "timers", PimTimers, config)
        self._left: Value | None = None
        self._pim, self._mem = self.i_pim.payload, self.i_mem.payload
        self._group = Signal(name="group_active")
        self._group_row = Signal(range(config.bank_rows), name="group_row")
        self._group_left = Signal(COUNT_BITS, name="group_left")
        self._group_k = Signal(COUNT_BITS, name="group_k")
        self._step = Signal(range(config.steps + 1), name="group_step")
        self._comps = Signal(COUNT_BITS, name="comps_done")
        self._slack = Signal(range(config.timing.t_refi + 1), name="slack")
        due = Signal(config.ranks)
        refreshed = Signal(config.ranks)
        if config.timing.t_refi:
            refresh = place(m, platform, "refresh", PimRefresh, config)
            m.d.comb += [due.eq(Mux(self._group, 0, refresh.due)), refresh.done.eq(refreshed)]
            self._left = refresh.left

        self._acts = {
            side: [
                named(m, f"{side}_act_of_{b}", Value.cast(getattr(self, f"{side}_act")[b]))
                for b in range(config.all_banks)
            ]
            for side in ("mem", "pim")
        }
        pim_there, mem_there = self._arrived(m)
        age = self._age(m, mem_there)
        wants = Signal()
        is_gwrite = self._pim.op == PimOp.GWRITE.value
        is_header = self._pim.op == PimOp.HEADER.value
        may_start = self._may_start(m, is_gwrite, is_header, age, mem_there)
        m.d.comb += wants.eq(pim_there & ~due.any() & may_start)
        claims, claimed = Signal(), Signal(range(config.bank_rows))
        m.d.comb += [
            claims.eq(self._group | (wants & is_header)),
            claimed.eq(Mux(self._group, self._group_row, self._pim.row)),
        ]

        chosen: list[tuple[Value, _Choice]] = []
        free: Value = Value.cast(1)
        if self._left is not None:
            refresh_choice = _Choice("refresh")
            self._refresh(m, refresh_choice, due)
            chosen.append((refresh_choice.valid, refresh_choice))
            free = ~refresh_choice.valid
        pim_choice = _Choice("pim")
        with m.If(is_gwrite):
            self._gwrite(m, pim_choice)
        with m.Elif(~self._group):
            self._header(m, pim_choice)
        with m.Else():
            self._compute(m, pim_choice)
        mem_choice = _Choice("mem")
        pending, held = self._held(m, claims, claimed)
        self._memory(m, mem_choice, claims, claimed, wants & is_gwrite, held, due)

        turn_pim = named(m, "turn_pim", free & wants)
        turn_mem = mem_there & free & ~(wants & pim_choice.valid)
        if not config.dual:
            turn_mem = turn_mem & ~(wants | self._group)
        turn_mem = named(m, "turn_mem", turn_mem)
        self._put(m, [*chosen, (turn_pim, pim_choice), (turn_mem, mem_choice)])
        row = Mux(self._group, self._group_row, self._pim.row)
        m.d.comb += self.row.eq(Mux(turn_mem, self._mem.row, row))
        for rank in range(config.ranks):
            m.d.comb += refreshed[rank].eq(self._is(Command.REF) & (self.place == rank))
        self._spend(m, pending)
        self._serve(m)
        return m

    # Helpers

    def _put(self, m: Module, chosen: list[tuple[Value, _Choice]]) -> None:
        """Put the command of the choice whose turn it is on the bus."""
        fires: dict[Command, list[Value]] = {}
        place = chosen[0][1].place
        for turn, choice in chosen:
            place = Mux(turn, choice.place, place)
            for command, wanted in choice.wants.items():
                fires.setdefault(command, []).append(turn & wanted)
        self._fires = {
            command: named(m, f"fires_{command.name.lower()}", any_of(fired))
            for command, fired in fires.items()
        }
        for bit in range(len(self.command)):
            setters = [s for command, s in self._fires.items() if command.value >> bit & 1]
            m.d.comb += self.command[bit].eq(any_of(setters))
        m.d.comb += self.place.eq(place)

    def _is(self, *commands: Command) -> Value:
        fires = [self._fires[command] for command in commands if command in self._fires]
        return any_of(fires) if fires else Value.cast(0)

    def _clash(self, one: Value, other: Value) -> Value:
        """Whether two rows cannot be open in the two buffers of a bank."""
        zone = self.config.bank.zone
        return zone(one) == zone(other)

    def _of(self, name: str, bank: Value) -> Value:
        """One bank's part of a state."""
        value = getattr(self, name)
        return pick([value[i] for i in range(self.config.all_banks)], bank)

    def _of_group(self, bits: Value, bank: Value) -> Value:
        """Bit of a bank's group."""
        config = self.config
        return pick([bits[i // config.banks] for i in range(config.all_banks)], bank)

    def _of_rank(self, bits: Value, bank: Value) -> Value:
        """Bit of a bank's rank."""
        config = self.config
        return pick([bits[i // config.banks_of_rank] for i in range(config.all_banks)], bank)

    def _arrived(self, m: Module) -> tuple[Signal, Signal]:
        """Heads whose predecessors in the other queue have gone."""
        pim_count = Signal(AFTER_BITS, name="pim_issued")
        mem_count = Signal(AFTER_BITS, name="mem_issued")
        pim_there, mem_there = Signal(name="pim_there"), Signal(name="mem_there")
        m.d.comb += [
            pim_there.eq(self.i_pim.valid & (mem_count >= self._pim.after)),
            mem_there.eq(self.i_mem.valid & (pim_count >= self._mem.after)),
        ]
        with m.If(self.i_pim.ready):
            m.d.sync += pim_count.eq(pim_count + 1)
        with m.If(self.i_mem.ready):
            m.d.sync += mem_count.eq(mem_count + 1)
        return pim_there, mem_there

    def _age(self, m: Module, mem_there: Value) -> Signal:
        """How long the head of the memory queue has waited."""
        age = Signal(range(max(2, self.config.max_wait + 1)))
        if self.config.max_wait:
            with m.If(~mem_there | self.i_mem.ready):
                m.d.sync += age.eq(0)
            with m.Elif(age != self.config.max_wait):
                m.d.sync += age.eq(age + 1)
        return age

    def _open_on(self, m: Module, row: Value, name: str) -> Signal:
        """Groups whose PIM buffers all have a row open."""
        config = self.config
        found = Signal(config.all_groups, name=name)
        for group in range(config.all_groups):
            banks = config.banks_of(group)
            m.d.comb += found[group].eq(
                Cat(self.pim_open[b] & (self.pim_row[b] == row) for b in banks).all()
            )
        return found

    def _wait(self, m: Module) -> Signal:
        """Cycles after the next until a PIM activate of the head's row can come in every group."""
        config = self.config
        longest: Value = self._timers.window
        for bank in range(config.all_banks):
            timers = [Mux(self.pim_open[bank], 0, self._acts["pim"][bank])]
            clashes = self._clash(self.mem_row[bank], self._pim.row)
            timers.append(Mux(clashes, self._acts["mem"][bank], 0))
            for count in timers:
                longer = Signal(range(config.timing.longest), name=f"longest_{bank}")
                m.d.comb += longer.eq(Mux(count > longest, count, longest))
                longest = longer
        wait = Signal(range(config.timing.longest), name="until_activate")
        m.d.comb += wait.eq(Mux(longest == 0, 0, longest - 1))
        return wait

    def _lengths(self, m: Module) -> tuple[Signal, Signal]:
        """Span and guard of the header that is the head of the PIM queue."""
        config, t = self.config, self.config.timing
        least = (t.t_ccd_l if config.dual else t.t_ccd_s) * t.fill
        steps = named(m, "steps_of_gemv", self._pim.k * t.t_ccd_l)
        # On shared bitlines an access just before a GEMV puts it off.
        late = t.t_ccd_l - 1 if config.dual and config.shared_gbl else 0
        period = named(m, "period", Mux(steps > least, steps, least) + (t.t_ccd_l + late))
        busy = named(m, "busy", self._pim.gemvs * period + (t.t_rcd - t.t_ccd_l + t.t_rtp))
        span = named(m, "span", Mux(busy > t.t_ras, busy, t.t_ras) + config.opening)
        guard = named(m, "guard", span + (config.refresh_tail + config.guard_margin))
        return span, guard

    def _may_start(
        self,
        m: Module,
        is_gwrite: Value,
        is_header: Value,
        age: Value,
        mem_there: Value,
    ) -> Value:
        """Whether the head of the PIM queue need not make way for refresh or for memory."""
        config, t = self.config, self.config.timing
        if not config.looks_ahead:
            return Value.cast(1)
        wait = self._wait(m)
        span, guard = self._lengths(m)
        copy = t.gwrite + config.refresh_tail
        self._needed = named(m, "until_refresh", Mux(is_gwrite, copy, wait + guard))
        fits: Value = Value.cast(1)
        if config.max_wait:
            held = named(m, "until_memory", Mux(is_gwrite, t.gwrite, wait + span))
            fits = fits & ~(mem_there & (age + held + config.service > config.max_wait))
        if self._left is not None:
            fits = fits & (self._needed <= self._left)
        return ~(is_gwrite | is_header) | self._group | fits

    # Stages

    def _refresh(self, m: Module, choice: _Choice, due: Signal) -> None:
        config = self.config
        size = config.banks_of_rank
        taken: Value = Value.cast(0)
        for rank in range(config.ranks):
            banks = range(rank * size, (rank + 1) * size)
            mem, mem_bank = first_of([self.mem_open[b] & self.mem_pre[b] for b in banks])
            pim, pim_bank = first_of([self.pim_open[b] & self.pim_pre[b] for b in banks])
            closed = ~Cat(self.mem_open[b] | self.pim_open[b] for b in banks).any()
            acts = [self._acts["mem"][b] == 0 for b in banks] + [
                self._acts["pim"][b] == 0 for b in banks
            ]
            rests = closed & Cat(*acts).all()
            # One rank a cycle: two commands would be ORed on the bus.
            mine = named(m, f"refreshes_{rank}", due[rank] & ~taken)
            taken = taken | (due[rank] & (mem | (pim if config.dual else 0) | rests))
            with m.If(mine & mem):
                choice.issue(m, Command.PRE, banks.start + mem_bank)
            if config.dual:
                with m.Elif(mine & pim):
                    choice.issue(m, Command.PPRE, banks.start + pim_bank)
            with m.Elif(mine & rests):
                choice.issue(m, Command.REF, rank)

    def _open(
        self, m: Module, choice: _Choice, bank: Value, row: Value, allowed: Value | int = 1
    ) -> None:
        """Bring a row into the memory buffer: the next precharge or activate that takes."""
        restored: Value = Value.cast(1)
        if self.config.dual:
            restored = ~self._clash(self._of("pim_row", bank), row) | pick(
                [count == 0 for count in self._acts["pim"]], bank
            )
        may_act = pick([count == 0 for count in self._acts["mem"]], bank) & self._of_group(
            self._timers.may_act, bank
        )
        with m.If(self._of("mem_open", bank)), m.If(self._of("mem_pre", bank)):
            choice.issue(m, Command.PRE, bank)
        with m.Elif(may_act & restored & allowed):
            choice.issue(m, Command.ACT, bank)

    def _gwrite(self, m: Module, choice: _Choice) -> None:
        bank, row = self._pim.bank, self._pim.row
        if self.config.dual:
            parked = self._of("pim_open", bank) & self._clash(self._of("pim_row", bank), row)
        else:
            parked = Value.cast(0)
        hit = self._of("mem_open", bank) & (self._of("mem_row", bank) == row)
        with m.If(parked), m.If(self._of("pim_pre", bank)):
            choice.issue(m, Command.PPRE, bank)
        with m.Elif(hit):
            may = self._of("mem_column", bank) & self._of_group(self._timers.may_copy, bank)
            with m.If(may):
                choice.issue(m, Command.GWRITE, bank)
        with m.Else():
            self._open(m, choice, bank, row)

    def _header(self, m: Module, choice: _Choice) -> None:
        config, row = self.config, self._pim.row
        is_open = self._open_on(m, row, "open_on_next")
        banks = range(config.all_banks)
        in_memory = [
            self.mem_open[b] & self._clash(self.mem_row[b], row) if config.dual else Value.cast(0)
            for b in banks
        ]
        closing = [self.pim_open[b] & ~is_open[b // config.banks] for b in banks]
        ready, bank = first_of([in_memory[b] & self.mem_pre[b] for b in banks])
        precharge = Command.PPRE if config.dual else Command.PRE
        with m.If(self._timers.may_start):
            with m.If(ready):
                choice.issue(m, Command.PRE, bank)
            with m.Elif(Cat(*closing).any()):
                if config.pre_all:
                    every = Cat(~self.pim_open[b] | self.pim_pre[b] for b in banks).all()
                    with m.If(every):
                        choice.issue(m, Command.PPREA if config.dual else Command.PREA)
                else:
                    close, bank = first_of([closing[b] & self.pim_pre[b] for b in banks])
                    with m.If(close):
                        choice.issue(m, precharge, bank)
            with m.Elif(~Cat(*in_memory).any()):
                choice.issue(m, Command.HEADER)

    def _compute(self, m: Module, choice: _Choice) -> None:
        config, row = self.config, self._group_row
        is_open = self._open_on(m, row, "open_on_group")
        ready = []
        for group in range(config.all_groups):
            may = self._timers.may_pact[group // config.groups] & ~is_open[group]
            for b in config.banks_of(group):
                may = may & ~self.pim_open[b] & (self._acts["pim"][b] == 0)
                if config.dual:
                    clashes = self._clash(self.mem_row[b], row)
                    may = may & (~clashes | (self._acts["mem"][b] == 0))
            ready.append(may)
        opens, first = first_of(ready)
        banks = range(config.all_banks)
        compute = (
            self._timers.may_compute & is_open.all() & Cat(self.pim_column[b] for b in banks).all()
        )
        with m.If(opens):
            choice.issue(m, Command.PACT, first)
        with m.Elif(compute):
            if config.dual:
                choice.issue(m, Command.GEMV)
            else:
                with m.If(self._comps < self._group_k):
                    choice.issue(m, Command.COMP)
                with m.Elif(self._timers.may_result):
                    choice.issue(m, Command.RDRESULT)

    def _held(self, m: Module, claims: Value, claimed: Value) -> tuple[Value, Value]:
        """Ranks in which a PIM activate is still to come, and where memory's wait for it."""
        config = self.config
        if not config.dual:
            return Const(0, config.ranks), Const(0, config.ranks)
        is_open = self._open_on(m, claimed, "open_on_claimed")
        pending = Signal(config.ranks)
        for rank in range(config.ranks):
            groups = is_open[rank * config.groups : (rank + 1) * config.groups]
            m.d.comb += pending[rank].eq(claims & ~groups.all())
        if config.hold_act:
            return pending, pending
        if self._left is None:
            return pending, Const(0, config.ranks)
        short = self._group & (self._slack < config.timing.t_faw)
        return pending, Mux(short, pending, 0)

    def _spend(self, m: Module, pending: Value) -> None:
        """Account for memory's activates that put off a header which is under way."""
        if self._left is None or self.config.hold_act or not self.config.dual:
            return
        delays = self._is(Command.ACT) & self._group & self._of_rank(pending, self.place)
        with m.If(self._is(Command.HEADER)):
            m.d.sync += self._slack.eq(self._left - self._needed)
        with m.Elif(delays):
            m.d.sync += self._slack.eq(self._slack - self.config.timing.t_faw)

    def _memory(
        self,
        m: Module,
        choice: _Choice,
        claims: Value,
        claimed: Value,
        copying: Value,
        held: Value,
        due: Signal,
    ) -> None:
        config = self.config
        bank, row = self._mem.bank, self._mem.row
        skip = self._of_rank(due, bank) | (copying & (self._pim.bank == bank))
        parked: Value = Value.cast(0)
        if config.dual:
            skip = skip | (claims & self._clash(claimed, row))
            parked = self._of("pim_open", bank) & self._clash(self._of("pim_row", bank), row)
        hit = self._of("mem_open", bank) & (self._of("mem_row", bank) == row)
        may = Mux(
            self._mem.write,
            self._timers.may_write,
            self._of_group(self._timers.may_read, bank),
        )
        with m.If(skip):
            pass
        with m.Elif(parked), m.If(self._of("pim_pre", bank)):
            choice.issue(m, Command.PPRE, bank)
        with m.Elif(hit), m.If(self._of("mem_column", bank) & may):
            with m.If(self._mem.write):
                choice.issue(m, Command.WR, bank)
            with m.Else():
                choice.issue(m, Command.RD, bank)
        with m.Else():
            self._open(m, choice, bank, row, ~self._of_rank(held, bank) if config.dual else 1)

    def _serve(self, m: Module) -> None:
        """What follows from the command: requests that are done, and the state of a group."""
        config, c = self.config, Command
        last = self._is(c.GEMV, c.RDRESULT)
        group = [b // config.banks for b in range(config.all_banks)]
        m.d.comb += [
            self.i_pim.ready.eq(self._is(c.GWRITE, c.HEADER) | last),
            self.i_mem.ready.eq(self._is(c.RD, c.WR)),
            self.k.eq(Mux(self._group, self._group_k, self._pim.k)),
            self.gemvs.eq(self._pim.gemvs),
            self.data.eq(self._mem.data),
            self.first.eq(self._comps == 0),
            self.slot.eq(self._timers.slot),
            self._timers.command.eq(self.command),
            self._timers.k.eq(self.k),
            self._timers.group.eq(Mux(self._is(c.PACT), self.place, pick(group, self.place))),
            self.column.eq(Mux(self._is(c.RD, c.WR), self._mem.column, self._step + self._comps)),
        ]
        with m.If(self._is(c.HEADER)):
            m.d.sync += [
                self._group.eq(1),
                self._group_row.eq(self._pim.row),
                self._group_left.eq(self._pim.gemvs),
                self._group_k.eq(self._pim.k),
                self._step.eq(0),
            ]
        with m.If(self._is(c.COMP)):
            m.d.sync += self._comps.eq(self._comps + 1)
        with m.If(last):
            m.d.sync += [
                self._comps.eq(0),
                self._step.eq(self._step + self._group_k),
                self._group_left.eq(self._group_left - 1),
                self._group.eq(self._group_left != 1),
            ]
