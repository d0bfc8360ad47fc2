"""State of a bank's controller, command by command."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.pim_timing import Timing

_NOP, _ACT, _PRE, _RD, _WR, _REF, _GWRITE, _HEADER = range(8)
_PACT, _GEMV, _COMP, _RDRESULT, _PPRE, _PREA, _PPREA = range(8, 15)


class _Buffer:
    def __init__(self, subarray: int) -> None:
        self.open, self.row, self.subarray = False, 0, subarray
        self.act = self.column = self.pre = 0

    def has(self, row: int, now: int) -> bool:
        same = self.row // self.subarray == row // self.subarray
        return same and (self.open or self.act > now)

    def state(self, now: int) -> list[int]:
        times = [max(0, at - now) for at in (self.act, self.column, self.pre)]
        return [int(self.open), self.row, *times]


class _Bank:
    """A bank that knows in which cycle each command may come."""

    def __init__(self, dual: bool, timing: Timing, subarray: int) -> None:
        self.dual, self.t = dual, timing
        self.mem = _Buffer(subarray)
        self.pim = _Buffer(subarray) if dual else self.mem
        self.busy = 0

    def legal(self, command: int, row: int, now: int) -> bool:
        mem, pim, dual = self.mem, self.pim, self.dual
        if command in (_ACT, _PACT):
            own, other = (mem, pim) if command == _ACT else (pim, mem)
            return not own.open and own.act <= now and not (dual and other.has(row, now))
        if command in (_PRE, _PPRE):
            own = mem if command == _PRE else pim
            return own.open and own.pre <= now and (dual or command == _PRE)
        if command in (_RD, _WR, _GWRITE):
            return mem.open and mem.row == row and mem.column <= now
        if command in (_GEMV, _COMP, _RDRESULT):
            ready = pim.open and pim.row == row and max(pim.column, self.busy) <= now
            return ready and dual == (command == _GEMV)
        if command == _REF:
            return not any(b.open or b.act > now for b in (mem, pim))
        return True

    def run(self, command: int, row: int, k: int, now: int) -> None:
        t, mem, pim = self.t, self.mem, self.pim
        if command in (_ACT, _PACT):
            own, other = (mem, pim) if command == _ACT else (pim, mem)
            own.open, own.row = True, row
            own.act = max(own.act, now + t.t_rc)
            own.column = max(own.column, now + t.t_rcd)
            own.pre = max(own.pre, now + t.t_ras)
            if self.dual:
                other.act = max(other.act, now + t.t_xact)
        elif command in (_PRE, _PPRE):
            own = mem if command == _PRE else pim
            own.open, own.act = False, max(own.act, now + t.t_rp)
        elif command == _RD:
            mem.pre = max(mem.pre, now + t.t_rtp)
        elif command == _WR:
            mem.pre = max(mem.pre, now + t.write_to_pre)
        elif command == _GWRITE:
            mem.pre = max(mem.pre, now + t.gwrite)
            mem.column = max(mem.column, now + t.gwrite)
        elif command == _GEMV:
            self.busy = now + t.gemv_to_gemv(k)
            pim.pre = max(pim.pre, now + t.stream(k) + t.t_rtp)
        elif command in (_COMP, _RDRESULT):
            self.busy = now + t.t_ccd_l
            if command == _RDRESULT:
                pim.pre = max(pim.pre, now + t.t_rtp)
        elif command == _REF:
            mem.act, pim.act = (max(b.act, now + t.t_rfc) for b in (mem, pim))


def bank(
    command: NDArray[Any],
    row: NDArray[Any],
    i_valid: NDArray[Any],
    k: NDArray[Any] | None = None,
    *,
    dual: bool,
    bank_rows: int,
    subarray_rows: int,
    timing: Any,
) -> dict[str, NDArray[np.int64]]:
    """Time series of a bank's controller that starts with all rows closed.

    Parameters
    ----------
    command, row, i_valid, k
        Integers [t]: commands by their codes, where `i_valid`, one a cycle; `k` with two buffers.
    subarray_rows
        Rows that both buffers cannot hold two of; 0 for each its own.
    timing
        Distances, with the names of `golden.pim_timing.Timing`.

    Returns
    -------
    dict
        By port, [t]: state of both buffers after each command, and whether it was illegal, which
        changes nothing. Rows beyond `bank_rows` and codes of no command do not count.
    """
    t = Timing(**{name: getattr(timing, name) for name in Timing.__dataclass_fields__})
    model = _Bank(dual, t, subarray_rows or 1)
    series = []
    lengths = np.zeros_like(command) if k is None else k
    steps = zip(command.tolist(), row.tolist(), lengths.tolist(), i_valid.tolist(), strict=True)
    for now, (code, place, length, valid) in enumerate(steps):
        error = bool(valid) and code <= _PPREA and not model.legal(code, place % bank_rows, now)
        if valid and not error:
            model.run(code, place % bank_rows, length, now)
        state = model.mem.state(now + 1) + model.pim.state(now + 1)
        series.append([*state, int(error)])
    names = [f"{side}_{name}" for side in ("mem", "pim") for name in _STATE] + ["error"]
    return dict(zip(names, np.array(series, np.int64).T, strict=True))


_STATE = ("open", "row", "act", "column", "pre")
