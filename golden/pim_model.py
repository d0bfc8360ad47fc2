"""Cycle-accurate model of a PIM channel and its controller: which command goes in which cycle.

The contract: one command a cycle. A due refresh goes first, then the head of the PIM queue with
what it needs, then the head of the memory queue with what that needs. Both queues keep their
order.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from golden.pim_commands import Command, Event, Run
from golden.pim_timing import (
    Organisation,
    Policy,
    Timing,
    copy_guard,
    guard,
    refresh_interval,
    service,
    span,
)
from golden.pim_trace import Op, Request


@dataclass
class Buffer:
    """A row buffer: its open row, and the first cycle in which each command may come."""

    row: int | None = None
    last: int | None = None  # row that is open or was last: being restored until `act`
    act: int = 0
    column: int = 0
    pre: int = 0


@dataclass
class _Rank:
    """What activates and columns of a rank wait for."""

    window: deque[tuple[int, int]] = field(default_factory=deque)
    due: int = 0


class _Bus:
    """The data bus: bursts that are booked, each with its direction."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._bursts: deque[tuple[int, bool]] = deque()

    def free(self, start: int, write: bool) -> bool:
        """Whether a burst can begin at `start`."""
        for begin, other in self._bursts:
            gap = self._timing.burst + (self._timing.t_rtrs if write is not other else 0)
            if abs(begin - start) < gap:
                return False
        return True

    def book(self, now: int, start: int, write: bool) -> int:
        """Book a burst, and return the cycle after it."""
        while self._bursts and self._bursts[0][0] + 4 * self._timing.burst < now:
            self._bursts.popleft()
        self._bursts.append((start, write))
        return start + self._timing.burst


class Channel:
    """A channel that runs one trace.

    Parameters
    ----------
    org, timing, policy
        Its organisation, timings and choices.
    requests
        The trace, in program order, checked and ordered.
    """

    def __init__(
        self, org: Organisation, timing: Timing, policy: Policy, requests: Sequence[Request]
    ) -> None:
        self.org, self.timing, self.policy = org, timing, policy
        self.requests = requests
        self.mem = [Buffer() for _ in range(org.all_banks)]
        self.pim = [Buffer() for _ in range(org.all_banks)] if policy.dual else self.mem
        self.run = Run()
        self._pim_queue = deque(i for i, r in enumerate(requests) if r.op.is_pim)
        self._mem_queue = deque(i for i, r in enumerate(requests) if not r.op.is_pim)
        self._pim_issued = self._mem_issued = 0
        self._ranks = [_Rank() for _ in range(org.ranks)]
        self._act = [0] * org.all_groups  # after an ACT of the group or rank
        self._bus = _Bus(timing)
        self._columns = [(0, 0)] * org.all_groups  # first cycle of a RD and of a WR
        self._gemv = 0  # first cycle of a GEMV, COMP or RDRESULT
        self._pim_free = 0
        self._gwrite = 0
        self._stream_end = 0
        self._bitlines = 0  # first cycle of a column access, where bitlines are shared
        self._spare = True  # no copy has come since the last GEMV
        self._group: tuple[int, int, int] | None = None  # row, GEMVs left, next step
        self._comps = 0
        self._result = 0
        self._age = 0
        self._slack = 0
        interval = refresh_interval(org, timing, policy)
        for index, rank in enumerate(self._ranks):
            rank.due = timing.t_refi if policy.refresh_all else interval * (index + 1)

    def run_all(self, limit: int = 1 << 30) -> Run:
        """Run to the end of the trace.

        Raises
        ------
        RuntimeError
            When it has not ended after `limit` cycles.
        """
        cycle = 0
        while self._pim_queue or self._mem_queue:
            if cycle == limit:
                raise RuntimeError(f"cycle {cycle}: the trace has not ended")
            self.step(cycle)
            cycle += 1
        return self.run

    def step(self, t: int) -> None:
        """Issue at most one command in cycle `t`."""
        pim, mem = self._head(self._pim_queue, t), self._head(self._mem_queue, t)
        due = [r for r in range(self.org.ranks) if self._due(r, t)]
        wants = pim is not None and not due and self._may_start(pim, t, mem)
        before = self._mem_issued
        if not (due and self._refresh(t, due)) and not (
            wants and pim is not None and self._step_pim(pim, t)
        ):
            blocked = not self.policy.dual and (wants or self._group is not None)
            if mem is not None and not blocked:
                wanted = self.requests[pim] if wants and pim is not None else None
                self._step_mem(mem, t, wanted, due)
        waiting = mem is not None and self._mem_issued == before
        self._age = self._age + 1 if waiting else 0
        self.run.waits = max(self.run.waits, self._age)

    def _head(self, queue: deque[int], t: int) -> int | None:
        """The oldest request, if it has arrived and what it must come after has been issued."""
        if not queue:
            return None
        request = self.requests[queue[0]]
        issued = self._mem_issued if request.op.is_pim else self._pim_issued
        return queue[0] if request.arrival <= t and issued >= request.after else None

    def _due(self, rank: int, t: int) -> bool:
        return bool(self.timing.t_refi) and t >= self._ranks[rank].due and self._group is None

    # Refresh

    def _refresh(self, t: int, due: list[int]) -> bool:
        for rank in due:
            banks = range(rank * self.org.banks_of_rank, (rank + 1) * self.org.banks_of_rank)
            for side, command in ((self.mem, Command.PRE), (self.pim, Command.PPRE)):
                if command is Command.PPRE and not self.policy.dual:
                    continue
                for bank in banks:
                    if side[bank].row is not None and side[bank].pre <= t:
                        self._precharge(t, side, command, bank, -1)
                        return True
            sides = [b for s in (self.mem, self.pim) for b in (s[bank] for bank in banks)]
            if all(b.row is None and b.act <= t for b in sides):
                for buffer in sides:
                    buffer.act = t + self.timing.t_rfc
                self._ranks[rank].due += self.timing.t_refi
                self._issue(Event(t, Command.REF, rank))
                return True
        return False

    def _next_refresh(self) -> int:
        return min(rank.due for rank in self._ranks)

    # PIM

    def _may_start(self, index: int, t: int, mem: int | None) -> bool:
        """Whether the head of the PIM queue need not make way for refresh or for memory."""
        request = self.requests[index]
        if request.op is Op.GEMV:
            return True
        if request.op is Op.HEADER:
            if self._group is not None:
                return True
            wait = self._wait(t, request.row)
            until_refresh = wait + guard(
                self.org, self.timing, self.policy, request.k, request.gemvs
            )
            until_memory = wait + span(self.org, self.timing, self.policy, request.k, request.gemvs)
        else:
            until_memory = self.timing.gwrite
            until_refresh = copy_guard(self.org, self.timing)
        bound = self.policy.max_wait
        held = self._age + until_memory + service(self.org, self.timing)
        if bound and mem is not None and held > bound:
            return False
        return not self.timing.t_refi or t + until_refresh <= self._next_refresh()

    def _wait(self, t: int, row: int) -> int:
        """Cycles after the next until a PIM activate of `row` can come in every group.

        One tRCD before the vector is there counts as that, too.
        """
        ready = [self._gwrite - self.timing.t_rcd]
        ready += [b.act for b in self.pim if b.row is None]
        ready += [b.act for b in self.mem if self.org.clash(b.last, row)]
        ready += [begin + self.timing.t_faw for rank in self._ranks for begin, _ in rank.window]
        return max(0, max(ready) - (t + 1))

    def _step_pim(self, index: int, t: int) -> bool:
        request = self.requests[index]
        if request.op is Op.GWRITE:
            return self._step_gwrite(index, request, t)
        if self._group is None:
            return self._step_header(index, request, t)
        if self._step_open(index, t):
            return True
        return self._step_gemv(index, request, t)

    def _step_gwrite(self, index: int, request: Request, t: int) -> bool:
        bank, row = request.bank, request.row
        mem, pim = self.mem[bank], self.pim[bank]
        if self.policy.dual and self.org.clash(pim.row, row):
            if pim.pre <= t:
                self._precharge(t, self.pim, Command.PPRE, bank, index)
                return True
            return False
        if mem.row == row:
            unused = self._stream_end <= t or (self.policy.gbuf_depth == 2 and self._spare)
            columns = max(self._columns[self.org.group_of(bank)][0], self._bitlines)
            ready = max(mem.column, columns) <= t
            if not (ready and unused and max(self._pim_free, self._gwrite) <= t):
                return False
            end = t + self.timing.gwrite
            mem.column, mem.pre = end, max(mem.pre, end)
            self._gwrite = end
            self._spare = False
            self._gemv = max(self._gemv, end)
            if self.policy.gbuf_depth == 1:
                self._pim_free = end
            self._hold_columns(t, bank)
            self._pop_pim()
            self._issue(Event(t, Command.GWRITE, bank, row, request=index))
            return True
        return self._open(t, bank, row, index)

    def _hold_columns(self, t: int, bank: int) -> None:
        """A GWRITE's first transfer is a column access, as another bank's read sees it."""
        for group in range(self.org.all_groups):
            read, write = self._columns[group]
            self._columns[group] = (max(read, t + self.timing.t_ccd_l), write)

    def _step_header(self, index: int, request: Request, t: int) -> bool:
        if self._pim_free > t:
            return False
        row = request.row
        todo = []
        if self.policy.dual:
            todo = [b for b in range(self.org.all_banks) if self.org.clash(self.mem[b].row, row)]
            for bank in todo:
                if self.mem[bank].pre <= t:
                    self._precharge(t, self.mem, Command.PRE, bank, index)
                    return True
        closing = [
            bank
            for group in range(self.org.all_groups)
            if not self._is_open(group, row)
            for bank in self.org.banks_of(group)
            if self.pim[bank].row is not None
        ]
        if closing and self.policy.pre_all:
            opened = [buffer for buffer in self.pim if buffer.row is not None]
            if all(buffer.pre <= t for buffer in opened):
                command = Command.PPREA if self.policy.dual else Command.PREA
                for buffer in opened:
                    self._close(t, buffer)
                self._issue(Event(t, command, request=index))
                return True
        elif closing:
            command = Command.PPRE if self.policy.dual else Command.PRE
            for bank in closing:
                if self.pim[bank].pre <= t:
                    self._precharge(t, self.pim, command, bank, index)
                    return True
        if todo or closing:
            return False
        self._group = (row, request.gemvs, 0)
        needed = guard(self.org, self.timing, self.policy, request.k, request.gemvs)
        self._slack = self._next_refresh() - (t + self._wait(t, row) + needed)
        self._pop_pim()
        self._issue(
            Event(t, Command.HEADER, row=row, k=request.k, gemvs=request.gemvs, request=index)
        )
        return True

    def _is_open(self, group: int, row: int) -> bool:
        return all(self.pim[bank].row == row for bank in self.org.banks_of(group))

    def _step_open(self, index: int, t: int) -> bool:
        """Activate the first group that is closed and ready."""
        assert self._group
        row = self._group[0]
        for group in range(self.org.all_groups):
            banks = self.org.banks_of(group)
            if self._is_open(group, row):
                continue
            ready = all(self.pim[b].act <= t for b in banks)
            if self.policy.dual:  # a row just closed is still being restored
                ready = ready and all(self._restored(self.mem[b], t, row) for b in banks)
            rank = group // self.org.groups
            if ready and self._in_window(rank, t, 4):
                for bank in banks:
                    buffer = self.pim[bank]
                    buffer.row = buffer.last = row
                    buffer.pre = t + self.timing.t_ras
                    buffer.column = t + self.timing.t_rcd
                    buffer.act = t + self.timing.t_rc
                    if self.policy.dual:
                        self.mem[bank].act = max(self.mem[bank].act, t + self.timing.t_xact)
                self._gemv = max(self._gemv, t + self.timing.t_rcd)
                self._ranks[rank].window.append((t, 4))
                self._issue(Event(t, Command.PACT, group, row, request=index))
                return True
        return False

    def _restored(self, buffer: Buffer, t: int, row: int) -> bool:
        """Whether the array has the row, if the buffer was the last to hold one that clashes."""
        return not self.org.clash(buffer.last, row) or buffer.act <= t

    def _claimed(self, pim: Request | None) -> int | None:
        """Row that a header claims in all banks: the open group's, or the next one's."""
        if self._group is not None:
            return self._group[0]
        return pim.row if pim is not None and pim.op is Op.HEADER else None

    def _pending(self, rank: int, row: int | None) -> bool:
        """Whether a PIM activate of a claimed row in the rank is still to come."""
        if row is None:
            return False
        groups = range(rank * self.org.groups, (rank + 1) * self.org.groups)
        return any(not self._is_open(group, row) for group in groups)

    def _step_gemv(self, index: int, request: Request, t: int) -> bool:
        assert self._group
        row, _, step = self._group
        if self._gemv > t or any(b.row != row or b.column > t for b in self.pim):
            return False
        if self.policy.dual:
            slot = t + self.timing.stream(request.k)
            if not self._bus.free(slot + self.timing.cl, False):
                return False
            self._gemv = t + self.timing.gemv_to_gemv(request.k)
            if self.org.shared_gbl:
                self._bitlines = t + self.timing.t_ccd_l * request.k
            self._finish(t, slot, index, Command.GEMV, request.k, step)
            return True
        if self._comps < request.k:
            if not self._comps:
                self._result = t + self.timing.comps(request.k)
            self._gemv = t + self.timing.t_ccd_l
            event = Event(t, Command.COMP, row=row, column=step + self._comps, request=index)
            self._comps += 1
            self._issue(event)
            return True
        if self._result <= t and self._bus.free(t + self.timing.cl, False):
            self._gemv = t + self.timing.t_ccd_l
            self._comps = 0
            self._finish(t, t, index, Command.RDRESULT, request.k, step)
            return True
        return False

    def _finish(self, t: int, slot: int, index: int, command: Command, k: int, step: int) -> None:
        """Book a result's burst and the end of its stream."""
        assert self._group
        row, left, _ = self._group
        self.run.pim_end = self._bus.book(t, slot + self.timing.cl, False)
        self._stream_end = slot
        self._spare = True
        for buffer in self.pim:
            buffer.pre = max(buffer.pre, slot + self.timing.t_rtp)
        self._group = (row, left - 1, step + k) if left > 1 else None
        self._pop_pim()
        self._issue(Event(t, command, row=row, column=step, k=k, request=index))

    def _pop_pim(self) -> None:
        self._pim_queue.popleft()
        self._pim_issued += 1

    # Memory

    def _step_mem(self, index: int, t: int, pim: Request | None, due: list[int]) -> bool:
        request = self.requests[index]
        bank, row = request.bank, request.row
        if self.org.rank_of(bank) in due:
            return False
        if pim is not None and pim.op is Op.GWRITE and pim.bank == bank:
            return False
        claimed = self._claimed(pim)
        if self.policy.dual:
            if self.org.clash(claimed, row):
                return False
            if self.org.clash(self.pim[bank].row, row):
                if self.pim[bank].pre <= t:
                    self._precharge(t, self.pim, Command.PPRE, bank, index)
                    return True
                return False
        mem = self.mem[bank]
        if mem.row is None:
            return self._activate(t, bank, row, index, claimed)
        if mem.row != row:
            return self._open(t, bank, row, index)
        group, write = self.org.group_of(bank), request.op is Op.WRITE
        start = t + (self.timing.cwl if write else self.timing.cl)
        ready = max(mem.column, self._columns[group][write], self._bitlines) <= t
        if not (ready and self._bus.free(start, write)):
            return False
        self._column(t, bank, write)
        self.run.mem_end = self._bus.book(t, start, write)
        self._mem_queue.popleft()
        self._mem_issued += 1
        command = Command.WR if write else Command.RD
        self._issue(Event(t, command, bank, row, request.column, data=request.data, request=index))
        return True

    def _activate(self, t: int, bank: int, row: int, index: int, claimed: int | None) -> bool:
        """Activate for memory, unless a PIM activate that is still to come forbids it.

        Where it does not, a header that is under way is put off by at most tFAW, which must not
        bring a refresh into its group.
        """
        if not self._pending(self.org.rank_of(bank), claimed):
            return self._open(t, bank, row, index)
        spends = self._group is not None and bool(self.timing.t_refi)
        if self.policy.hold_act or (spends and self._slack < self.timing.t_faw):
            return False
        opened = self._open(t, bank, row, index)
        if opened and spends:
            self._slack -= self.timing.t_faw
        return opened

    def _column(self, t: int, bank: int, write: bool) -> None:
        timing, here = self.timing, self.org.group_of(bank)
        mem = self.mem[bank]
        mem.pre = max(mem.pre, t + (timing.write_to_pre if write else timing.t_rtp))
        if not self.policy.dual:
            self._gemv = max(self._gemv, t + (timing.write_to_read if write else timing.t_ccd_l))
        elif self.org.shared_gbl:
            self._gemv = max(self._gemv, t + timing.t_ccd_l)
        for group in range(self.org.all_groups):
            same_rank = group // self.org.groups == here // self.org.groups
            if write:
                read = timing.write_to_read if group == here else timing.write_to_read_other
                read = read if same_rank else 0
                after = (read, timing.t_ccd_l)
            else:
                read = timing.t_ccd_l if same_rank else timing.read_to_read_rank
                after = (read, timing.read_to_write)
            old = self._columns[group]
            self._columns[group] = (max(old[0], t + after[0]), max(old[1], t + after[1]))

    # Both

    def _open(self, t: int, bank: int, row: int, index: int) -> bool:
        """Bring a row into the memory buffer: the next precharge or activate that takes."""
        mem = self.mem[bank]
        if mem.row is not None:
            if mem.pre > t:
                return False
            self._precharge(t, self.mem, Command.PRE, bank, index)
            return True
        if self.policy.dual and not self._restored(self.pim[bank], t, row):
            return False
        group, rank = self.org.group_of(bank), self.org.rank_of(bank)
        if mem.act > t or self._act[group] > t or not self._in_window(rank, t, 1):
            return False
        mem.row = mem.last = row
        mem.pre = t + self.timing.t_ras
        mem.column, mem.act = t + self.timing.t_rcd, t + self.timing.t_rc
        for other in range(rank * self.org.groups, (rank + 1) * self.org.groups):
            gap = self.timing.t_rrd_l if other == group else self.timing.t_rrd_s
            self._act[other] = t + gap
        self.pim[bank].act = max(self.pim[bank].act, t + self.timing.t_xact)
        self._ranks[rank].window.append((t, 1))
        self._issue(Event(t, Command.ACT, bank, row, request=index))
        return True

    def _in_window(self, rank: int, t: int, weight: int) -> bool:
        """Whether the four-activate window has room for `weight` more."""
        window = self._ranks[rank].window
        while window and window[0][0] + self.timing.t_faw <= t:
            window.popleft()
        return sum(count for _, count in window) + weight <= 4

    def _precharge(
        self, t: int, side: list[Buffer], command: Command, bank: int, index: int
    ) -> None:
        self._close(t, side[bank])
        self._issue(Event(t, command, bank, request=index))

    def _close(self, t: int, buffer: Buffer) -> None:
        buffer.row = None
        buffer.act = max(buffer.act, t + self.timing.t_rp)

    def _issue(self, event: Event) -> None:
        self.run.events.append(event)


def simulate(org: Organisation, timing: Timing, policy: Policy, requests: Iterable[Request]) -> Run:
    """Run a trace to its end, and return what the channel did."""
    return Channel(org, timing, policy, list(requests)).run_all()
