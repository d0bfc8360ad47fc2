"""The fifteen invariants of a PIM channel, watched command by command.

The monitor knows commands, not a controller: it takes what was on the command bus, with the data
that came of it, and says which invariant a command breaks. It shares no rule with the model.

====  ==========================================================================================
I1    a read or write has its row open in the memory buffer, tRCD after the activate
I2    a GEMV finds the header's row open in every PIM buffer
I3    no row is in both buffers of a bank, and no two of a subarray
I4    all distances between commands, and the sliding four-activate window, a PIM activate as four
I5    one command a cycle
I6    no two bursts overlap on the data bus, and a change of direction takes two cycles
I7    no PIM precharge while a GEMV streams, nor before tRAS
I8    a refresh finds all rows of its rank closed, and tRP passed
I9    no refresh falls due inside the group of a header
I10   the memory buffers keep their rows and data whatever PIM does
I11   reads and GEMVs give what the array holds in program order
I12   the global vector is not written between a header and its last GEMV
I13   a header has exactly its GEMVs, in order, and each result starts from nothing
I14   every request and every refresh is served within its bound
I15   one buffer or two, the results are the same
====  ==========================================================================================
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from golden.pim_commands import Command, Event
from golden.pim_data import Cells, Elements, Row, codes, decode, gemv
from golden.pim_timing import Organisation, Policy, Timing
from golden.pim_trace import Request

C = Command
_COMPUTE = (C.GEMV, C.COMP)
_RESULT = (C.GEMV, C.RDRESULT)


@dataclass(frozen=True)
class Violation:
    """An invariant that a command breaks."""

    invariant: str
    cycle: int
    text: str

    def __str__(self) -> str:
        return f"cycle {self.cycle}: {self.invariant}: {self.text}"


def _rules(t: Timing, dual: bool, shared: bool) -> list[tuple[str, Command, Command, str, int]]:
    """Invariant, earlier and later command, where both are, and the cycles between them."""
    rules: list[tuple[str, Command, Command, str, int]] = []

    def rule(
        invariant: str,
        earlier: Sequence[Command],
        later: Sequence[Command],
        scope: str,
        gap: int,
    ) -> None:
        rules.extend((invariant, a, b, scope, gap) for a in earlier for b in later)

    columns = [C.RD, C.WR, C.GWRITE]
    rule("I1", [C.ACT], columns, "bank", t.t_rcd)
    rule("I4", [C.ACT], [C.PRE], "bank", t.t_ras)
    rule("I4", [C.ACT], [C.ACT], "bank", t.t_ras + t.t_rp)
    rule("I4", [C.ACT], [C.ACT], "group", t.t_rrd_l)
    rule("I4", [C.ACT], [C.ACT], "rank", t.t_rrd_s)
    rule("I4", [C.PRE], [C.ACT], "bank", t.t_rp)
    rule("I8", [C.PRE, C.PPRE], [C.REF], "rank", t.t_rp)
    rule("I4", [C.REF], [C.ACT, C.PACT, C.REF], "rank", t.t_rfc)
    rule("I4", [C.PACT], [C.PACT], "group", t.t_ras + t.t_rp)
    rule("I4", [C.PACT], [C.PACT, C.ACT], "rank", t.t_faw)
    rule("I2", [C.PACT], _COMPUTE, "channel", t.t_rcd)
    rule("I4", [C.RD], [C.RD], "channel", t.burst)
    rule("I4", [C.RD], [C.RD], "other rank", t.burst + t.t_rtrs)
    rule("I4", [C.RD], [C.WR], "channel", t.cl + t.burst + t.t_rtrs - t.cwl)
    rule("I4", [C.WR], [C.WR], "channel", t.burst)
    rule("I4", [C.WR], [C.RD, C.GWRITE], "group", t.cwl + t.burst + t.t_wtr_l)
    rule("I4", [C.WR], [C.RD, C.GWRITE], "rank", t.cwl + t.burst + t.t_wtr_s)
    rule("I4", [C.RD], [C.GWRITE], "rank", t.t_ccd_l)
    rule("I4", [C.RD], [C.PRE], "bank", t.t_rtp)
    rule("I4", [C.WR], [C.PRE], "bank", t.cwl + t.burst + t.t_wr)
    copied = (t.t_ccd_s + t.t_ccd_l) * t.row_transfers
    rule("I4", [C.GWRITE], [C.PRE, C.RD, C.WR], "bank", copied)
    rule("I4", [C.GWRITE], [C.RD], "channel", t.t_ccd_l)
    rule("I12", [C.GWRITE], [C.GWRITE, *_COMPUTE], "channel", copied)
    rule("I4", [C.COMP], [C.COMP, C.RDRESULT], "channel", t.t_ccd_l)
    rule("I4", [C.RDRESULT], [C.COMP], "channel", t.t_ccd_l)
    if dual:
        rule("I4", [C.PPRE], [C.PACT], "bank", t.t_rp)
        rule("I7", [C.PACT], [C.PPRE], "bank", t.t_ras)
        rule("I4", [C.ACT], [C.PACT], "bank", t.t_xact)
        rule("I4", [C.PACT], [C.ACT], "bank", t.t_xact)
        if shared:
            rule("I4", [C.RD, C.WR], [C.GEMV], "channel", t.t_ccd_l)
    else:
        rule("I4", [C.PRE], [C.PACT], "bank", t.t_rp)
        rule("I7", [C.PACT], [C.PRE], "bank", t.t_ras)
        rule("I4", [C.ACT], [C.PACT], "bank", t.t_ras + t.t_rp)
        rule("I4", [C.RDRESULT], [C.PRE], "channel", t.t_rtp)
        rule("I1", [C.PACT], columns, "bank", t.t_rcd)
        rule("I2", [C.ACT], _COMPUTE, "channel", t.t_rcd)
        rule("I4", [C.RD], _COMPUTE, "channel", t.t_ccd_l)
        rule("I4", [C.WR], _COMPUTE, "channel", t.cwl + t.burst + t.t_wtr_l)
    return rules


class Checker:
    """Watches one run.

    Parameters
    ----------
    org, timing, policy
        Of the channel; of `policy` only what a user may rely on.
    requests
        The trace that is run.
    cells
        Contents at the start, by bank and row.
    element
        Number format of the elements.
    """

    def __init__(
        self,
        org: Organisation,
        timing: Timing,
        policy: Policy,
        requests: Sequence[Request],
        cells: Mapping[tuple[int, int], Row] | None = None,
        element: str = "int8",
    ) -> None:
        self.org, self.timing, self.policy = org, timing, policy
        self.requests, self.element = requests, element
        self.violations: list[Violation] = []
        self.commands = 0
        self._rules: dict[Command, list[tuple[str, Command, str, int]]] = {}
        for invariant, earlier, later, scope, gap in _rules(timing, policy.dual, org.shared_gbl):
            self._rules.setdefault(later, []).append((invariant, earlier, scope, gap))
        self._last: dict[tuple[Command, str, int], int] = {}
        self._last_column: tuple[int, int] | None = None  # cycle and rank of a RD
        self._cycle = -1
        self._mem: dict[int, int] = {}
        self._pim: dict[int, int] = {} if policy.dual else self._mem
        self._restoring: dict[tuple[int, int], int] = {}
        self._windows: list[deque[tuple[int, int]]] = [deque() for _ in range(org.ranks)]
        self._bursts: deque[tuple[int, bool]] = deque()
        self._stream_end = self._next_gemv = 0
        self._steps_end = 0  # of a GEMV whose bank's columns no one else may use
        self._copies = 0  # GWRITEs since the last GEMV
        self._first_comp: int | None = None
        self._header: Event | None = None
        self._header_done = 0
        self._step = 0
        self._steps_in_latch = 0
        self._cells = Cells(org, dict(cells or {}))
        self._snapshot: dict[int, Row] = {}
        self._vector = np.zeros(org.row_bytes, np.uint8)
        self._results: dict[int, Elements] = {}
        self._served: dict[int, int] = {}
        self._order = {
            side: [i for i, r in enumerate(requests) if r.op.is_pim is side]
            for side in (False, True)
        }
        self._done = {False: 0, True: 0}
        self._done_at: dict[bool, list[int]] = {False: [], True: []}
        interval = timing.t_refi if policy.refresh_all else timing.t_refi // org.ranks
        self._due = [
            timing.t_refi if policy.refresh_all else interval * (rank + 1)
            for rank in range(org.ranks)
        ]

    @property
    def results(self) -> dict[int, Elements]:
        """Results of GEMVs by the index of their request."""
        return self._results

    def observe(self, event: Event, outcome: int | Elements | None = None) -> None:
        """Check one command, with the word of a RD or the results of a GEMV or RDRESULT."""
        self.commands += 1
        self._expect("I5", event.cycle > self._cycle, event, "not after the command before it")
        self._cycle = event.cycle
        places = self._places(event)
        self._distances(event, places)
        handler = {
            C.ACT: self._activate,
            C.PACT: self._pim_activate,
            C.PRE: self._precharge,
            C.PPRE: self._precharge,
            C.PREA: self._precharge,
            C.PPREA: self._precharge,
            C.RD: self._column,
            C.WR: self._column,
            C.GWRITE: self._gwrite,
            C.HEADER: self._open_group,
            C.COMP: self._compute,
            C.GEMV: self._compute,
            C.RDRESULT: self._compute,
            C.REF: self._refresh,
        }[event.command]
        handler(event, outcome)
        self._expect("I3", self._distinct(event), event, "a row is in both buffers of a bank")
        self._overdue(event)
        self._remember(event, places)

    def finish(self, contents: Cells | None = None) -> list[Violation]:
        """Check that all is done, and the contents where given; return every violation."""
        missing = [i for i in range(len(self.requests)) if i not in self._served]
        if missing:
            self._add("I14", self._cycle, f"request {missing[0]} was not served")
        if self._header is not None:
            self._add("I13", self._cycle, "a header without its last GEMV")
        if contents is not None:
            for place in {*contents.rows, *self._cells.rows}:
                if not np.array_equal(contents[place], self._cells[place]):
                    self._add("I11", self._cycle, f"bank and row {place} differ at the end")
        return self.violations

    # Helpers

    def _add(self, invariant: str, cycle: int, text: str) -> None:
        self.violations.append(Violation(invariant, cycle, text))

    def _expect(self, invariant: str, holds: bool, event: Event, text: str) -> None:
        if not holds:
            self._add(invariant, event.cycle, f"{event.command.value} {event.place}: {text}")

    def _places(self, event: Event) -> dict[str, set[int]]:
        """Banks, groups and ranks that a command is in."""
        org, command, place = self.org, event.command, event.place
        if command is C.PACT:
            banks = set(org.banks_of(place))
        elif command is C.REF:
            banks = set(range(place * org.banks_of_rank, (place + 1) * org.banks_of_rank))
        elif command in (C.PREA, C.PPREA):
            banks = set(self._pim)
        elif command in (C.ACT, C.PRE, C.PPRE, C.RD, C.WR, C.GWRITE):
            banks = {place}
        else:
            banks = set()
        return {
            "bank": banks,
            "group": {org.group_of(bank) for bank in banks},
            "rank": {org.rank_of(bank) for bank in banks},
            "channel": {0},
        }

    def _alike(self, command: Command) -> Command:
        return {C.PREA: C.PRE, C.PPREA: C.PPRE}.get(command, command)

    def _remember(self, event: Event, places: dict[str, set[int]]) -> None:
        command = self._alike(event.command)
        for scope, where in places.items():
            for place in where:
                self._last[command, scope, place] = event.cycle
        if command is C.RD:
            self._last_column = (event.cycle, self.org.rank_of(event.place))

    def _distances(self, event: Event, places: dict[str, set[int]]) -> None:
        for invariant, earlier, scope, gap in self._rules.get(self._alike(event.command), ()):
            if scope == "other rank":
                last = self._last_column
                if last and last[1] != self.org.rank_of(event.place):
                    self._expect(
                        invariant, event.cycle - last[0] >= gap, event, "read of another rank"
                    )
                continue
            for place in places[scope]:
                since = event.cycle - self._last.get((earlier, scope, place), -(1 << 30))
                self._expect(
                    invariant,
                    since >= gap,
                    event,
                    f"{since} after {earlier.value} of the {scope}, not {gap}",
                )

    def _window(self, event: Event, rank: int, weight: int) -> None:
        window = self._windows[rank]
        while window and window[0][0] + self.timing.t_faw <= event.cycle:
            window.popleft()
        window.append((event.cycle, weight))
        total = sum(count for _, count in window)
        self._expect("I4", total <= 4, event, f"{total} activates in tFAW")

    def _distinct(self, event: Event) -> bool:
        if not self.policy.dual or event.command not in (C.ACT, C.PACT):
            return True
        return not any(self.org.clash(self._mem.get(bank), row) for bank, row in self._pim.items())

    def _burst(self, event: Event, start: int, write: bool) -> None:
        while self._bursts and self._bursts[0][0] + 256 < event.cycle:
            self._bursts.popleft()
        for other, direction in self._bursts:
            gap = self.timing.burst + (self.timing.t_rtrs if direction != write else 0)
            self._expect(
                "I6", abs(other - start) >= gap, event, f"its burst at {start} meets one at {other}"
            )
        self._bursts.append((start, write))

    def _overdue(self, event: Event) -> None:
        if not self.timing.t_refi:
            return
        latest = 2 * self.org.banks_of_rank + self.timing.t_ras + self.timing.t_rp
        latest += (self.timing.t_ccd_s + self.timing.t_ccd_l) * self.timing.row_transfers
        latest += self.timing.t_rfc * (self.org.ranks > 1) + 2
        for rank, due in enumerate(self._due):
            if event.cycle > due + latest:
                self._add("I14", event.cycle, f"rank {rank} was due for refresh at {due}")
                self._due[rank] += self.timing.t_refi

    def _serve(self, event: Event) -> None:
        """Note that a request is done: it must be its queue's next, and within its bound."""
        index = event.request
        request = self.requests[index]
        side = request.op.is_pim
        expected = self._order[side][self._done[side]]
        self._expect("I11", index == expected, event, f"serves request {index}, not {expected}")
        other = self._done_at[not side]
        late = len(other) < request.after
        self._expect("I11", not late, event, f"request {index} overtakes one that it depends on")
        since = [request.arrival, self._done_at[side][-1] + 1 if self._done_at[side] else 0]
        if request.after and not late:
            since.append(other[request.after - 1] + 1)
        waited = event.cycle - max(since)
        if not side and self.policy.max_wait:
            bound = self.policy.max_wait
            self._expect(
                "I14", waited <= bound, event, f"waited {waited} cycles, more than {bound}"
            )
        self._done[side] += 1
        self._done_at[side].append(event.cycle)
        self._served[index] = event.cycle

    # Commands

    def _activate(self, event: Event, _: object) -> None:
        bank = event.place
        self._expect("I1", bank not in self._mem, event, "the memory buffer is open")
        self._expect("I4", self._is_restored(event, bank), event, "its row is being restored")
        self._mem[bank] = event.row
        self._window(event, self.org.rank_of(bank), 1)

    def _pim_activate(self, event: Event, _: object) -> None:
        banks = self.org.banks_of(event.place)
        self._expect("I13", self._header is not None, event, "no header announces it")
        for bank in banks:
            self._expect("I2", bank not in self._pim, event, f"bank {bank} is open")
            self._expect("I4", self._is_restored(event, bank), event, "its row is being restored")
            self._pim[bank] = event.row
            self._snapshot[bank] = self._cells[bank, event.row]
        self._window(event, event.place // self.org.groups, 4)

    def _zone(self, row: int) -> int:
        """What a row shares with those that clash with it."""
        return row // (self.org.subarray_rows or 1)

    def _is_restored(self, event: Event, bank: int) -> bool:
        return event.cycle >= self._restoring.get((bank, self._zone(event.row)), 0)

    def _precharge(self, event: Event, _: object) -> None:
        pim = event.command in (C.PPRE, C.PPREA)
        every = event.command in (C.PREA, C.PPREA)
        side = self._pim if pim else self._mem
        if pim or not self.policy.dual:
            after = event.cycle - self._stream_end
            self._expect("I7", after >= self.timing.t_rtp, event, "a GEMV streams")
            self._expect("I7", self._header is None, event, "inside the group of a header")
        for bank in list(side) if every else [event.place]:
            if bank not in side:
                self._add(
                    "I8" if event.request < 0 else "I1", event.cycle, f"bank {bank} is closed"
                )
                continue
            self._restoring[bank, self._zone(side.pop(bank))] = event.cycle + self.timing.t_rp

    def _column(self, event: Event, outcome: int | Elements | None) -> None:
        bank, write = event.place, event.command is C.WR
        self._expect("I4", event.cycle >= self._steps_end, event, "a GEMV has the bitlines")
        self._expect("I1", self._mem.get(bank) == event.row, event, f"row {event.row} is not open")
        self._burst(event, event.cycle + (self.timing.cwl if write else self.timing.cl), write)
        self._serve(event)
        if write:
            self._cells.write((bank, event.row), event.column, event.data)
        elif outcome is not None:
            size = self.org.column_bytes
            at = event.column * size
            word = self._cells[bank, event.row][at : at + size].tobytes()
            self._expect(
                "I10",
                outcome == int.from_bytes(word, "little"),
                event,
                "reads what was not written",
            )

    def _gwrite(self, event: Event, _: object) -> None:
        bank = event.place
        self._expect("I4", event.cycle >= self._steps_end, event, "a GEMV has the bitlines")
        self._expect("I1", self._mem.get(bank) == event.row, event, f"row {event.row} is not open")
        self._copies += 1
        busy = event.cycle < self._stream_end and self._copies >= self.policy.gbuf_depth
        self._expect("I12", self._header is None and not busy, event, "the vector is in use")
        self._serve(event)
        self._vector = self._cells[bank, event.row]

    def _open_group(self, event: Event, _: object) -> None:
        self._expect("I13", self._header is None, event, "the header before it lacks GEMVs")
        self._serve(event)
        self._header, self._header_done, self._step = event, 0, 0
        row = event.row
        if self.policy.dual:
            clear = not any(self.org.clash(row, other) for other in self._mem.values())
            self._expect("I3", clear, event, "its row is open for memory")

    def _compute(self, event: Event, outcome: int | Elements | None) -> None:
        header = self._header
        if header is None:
            self._add("I13", event.cycle, "no header announces a GEMV")
            return
        rows = {self._pim.get(bank) for bank in range(self.org.all_banks)}
        self._expect("I2", rows == {header.row}, event, f"row {header.row} is not open everywhere")
        if event.command is not C.RDRESULT:
            self._expect("I4", event.cycle >= self._next_gemv, event, "a GEMV streams")
            self._expect("I13", event.column == self._step, event, f"not from step {self._step}")
        t = self.timing
        if event.command is C.COMP:
            self._first_comp = event.cycle if self._first_comp is None else self._first_comp
            self._step += 1
            self._steps_in_latch += 1
            return
        slot = event.cycle
        if event.command is C.GEMV:
            slot += t.t_ccd_l * max(event.k, t.fill)
            self._next_gemv = slot + t.t_ccd_l
            if self.org.shared_gbl:
                self._steps_end = event.cycle + t.t_ccd_l * event.k
            self._step += event.k
        else:
            first = event.cycle - (self._first_comp or 0)
            self._expect("I4", first >= t.t_ccd_s * t.fill, event, "the pipeline is not through")
            self._expect("I13", self._steps_in_latch == header.k, event, "not all steps are in it")
            self._first_comp, self._steps_in_latch = None, 0
        self._stream_end, self._copies = slot, 0
        self._burst(event, slot + t.cl, False)
        self._serve(event)
        if outcome is not None:
            self._check_results(event, np.asarray(outcome), header.k)
        self._header_done += 1
        if self._header_done == header.gemvs:
            self._header = None
            due = min(self._due)
            inside = bool(t.t_refi) and header.cycle < due < slot
            self._expect("I9", not inside, event, f"refresh at {due} fell into its group")

    def _check_results(self, event: Event, results: Elements, k: int) -> None:
        self._results[event.request] = results
        opened = [self._pim.get(bank) for bank in range(self.org.all_banks)]
        rows = np.stack(
            [
                self._snapshot[bank]
                if self.policy.dual and bank in self._snapshot
                else self._cells[bank, row or 0]  # one buffer: memory may have written to it
                for bank, row in enumerate(opened)
            ]
        )
        elements, vector = decode(rows, self.element), decode(self._vector, self.element)
        right = gemv(elements, vector, self.org.lanes, self._step - k, k)
        same = np.array_equal(codes(results), codes(right))
        self._expect("I11", same, event, "the results are not those of the rows")

    def _refresh(self, event: Event, _: object) -> None:
        rank = event.place
        banks = range(rank * self.org.banks_of_rank, (rank + 1) * self.org.banks_of_rank)
        closed = not any(bank in side for bank in banks for side in (self._mem, self._pim))
        self._expect("I8", closed, event, "a row of the rank is open")
        self._expect("I9", self._header is None, event, "inside the group of a header")
        self._due[rank] += self.timing.t_refi


def same_results(one: Checker, other: Checker) -> list[Violation]:
    """Compare two runs of one trace: I15."""
    found = []
    for index in sorted({*one.results, *other.results}):
        a, b = one.results.get(index), other.results.get(index)
        if a is None or b is None or not np.array_equal(codes(a), codes(b)):
            found.append(Violation("I15", 0, f"results of request {index} differ"))
    return found
