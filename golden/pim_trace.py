"""Traces of a PIM channel: requests in program order, and the text that holds them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from golden.pim_timing import (
    Organisation,
    Policy,
    Timing,
    copy_guard,
    guard,
    longest_guard,
    longest_hold,
    longest_work,
    service,
    span,
)


class Op(Enum):
    """A request; the first three are PIM's, and wait in a queue of their own."""

    GWRITE = "GWRITE"
    HEADER = "HEADER"
    GEMV = "GEMV"
    READ = "READ"
    WRITE = "WRITE"

    @property
    def is_pim(self) -> bool:
        return self in (Op.GWRITE, Op.HEADER, Op.GEMV)


FIELDS: dict[Op, tuple[str, ...]] = {
    Op.GWRITE: ("bank", "row"),
    Op.HEADER: ("row", "k", "gemvs"),
    Op.GEMV: ("k",),
    Op.READ: ("bank", "row", "column"),
    Op.WRITE: ("bank", "row", "column", "data"),
}
"""What follows a request's name in a line, in order; `data` is hexadecimal."""

LARGEST_K = 63
LARGEST_GEMVS = 63
LARGEST_ARRIVAL = 1_000_000
LONGEST_WORD = 20
"""Characters of a number, so that one that is out of range is shown in a line."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    op, bank, row, column
        What and where; `bank` counts through the channel.
    k, gemvs
        Steps of a GEMV, and how many of them a header announces.
    data
        What a write writes, its first byte lowest.
    arrival
        First cycle in which the channel sees it.
    after
        How many requests of the other queue must have been issued before it: see `ordered`.
    """

    op: Op
    bank: int = 0
    row: int = 0
    column: int = 0
    k: int = 0
    gemvs: int = 0
    data: int = 0
    arrival: int = 0
    after: int = 0


def ordered(requests: Iterable[Request]) -> list[Request]:
    """Fill in `after` so that whoever writes or reads a row keeps to program order.

    A header waits for the older writes of its row, a GWRITE for those of its bank's row; a write
    waits for the older GEMVs of its row and the older GWRITEs of its bank's row. Requests of one
    queue keep their order anyway.
    """
    written: dict[tuple[int, int], int] = {}
    written_in_any: dict[int, int] = {}
    multiplied: dict[int, int] = {}
    copied: dict[tuple[int, int], int] = {}
    pim = mem = row = 0
    result = []
    for request in requests:
        after, place = 0, (request.bank, request.row)
        if request.op.is_pim:
            pim += 1
            if request.op is Op.HEADER:
                row = request.row
                after = written_in_any.get(row, 0)
            elif request.op is Op.GWRITE:
                after = written.get(place, 0)
                copied[place] = pim
            else:
                multiplied[row] = pim
        else:
            mem += 1
            if request.op is Op.WRITE:
                after = max(multiplied.get(request.row, 0), copied.get(place, 0))
                written[place] = written_in_any[request.row] = mem
        result.append(replace(request, after=after))
    return result


def _limits(org: Organisation) -> dict[str, int]:
    """One past the largest value of each field."""
    return {
        "bank": org.all_banks,
        "row": org.rows,
        "column": org.columns,
        "k": LARGEST_K + 1,
        "gemvs": LARGEST_GEMVS + 1,
    }


def _check_fields(request: Request, org: Organisation, where: str) -> None:
    limits = _limits(org)
    for name in FIELDS[request.op]:
        value = getattr(request, name)
        if name == "data":
            if value >> (8 * org.column_bytes):
                size = (value.bit_length() + 7) // 8
                raise ValueError(
                    f"{where}: data has {size} bytes, and a column has {org.column_bytes}"
                )
            continue
        low = int(name in ("k", "gemvs"))
        if not low <= value < limits[name]:
            raise ValueError(f"{where}: {name} {value} is not in {low}..{limits[name] - 1}")
    if not 0 <= request.arrival <= LARGEST_ARRIVAL:
        raise ValueError(f"{where}: arrival {request.arrival} is not in 0..{LARGEST_ARRIVAL}")


def _check_header(
    request: Request, org: Organisation, timing: Timing, policy: Policy, where: str
) -> None:
    k, gemvs = request.k, request.gemvs
    if gemvs * k > org.steps:
        raise ValueError(
            f"{where}: {gemvs} GEMVs of {k} steps are more than the {org.steps} of a row"
        )
    needed = guard(org, timing, policy, k, gemvs)
    allowed = longest_guard(org, timing, policy)
    if timing.t_refi and needed > allowed:
        raise ValueError(
            f"{where}: the header needs {needed} cycles, and refresh leaves {max(0, allowed)}"
        )
    held = span(org, timing, policy, k, gemvs) + timing.t_faw
    if policy.max_wait and held > longest_hold(org, timing, policy):
        raise ValueError(
            f"{where}: the header holds memory for {held} cycles, and max_wait leaves "
            f"{longest_hold(org, timing, policy)}"
        )


def _check_row_of_memory(
    request: Request, org: Organisation, timing: Timing, policy: Policy, where: str
) -> None:
    """What a GWRITE and an access, which open a row first, need between two refreshes."""
    copies = request.op is Op.GWRITE
    needed = timing.t_rcd + (copy_guard(org, timing) if copies else 1)
    allowed = longest_work(org, timing, policy)
    if timing.t_refi and needed > allowed:
        raise ValueError(
            f"{where}: the {request.op.value} needs {needed} cycles, and refresh every "
            f"t_refi={timing.t_refi} leaves {max(0, allowed)}"
        )
    held = longest_hold(org, timing, policy)
    if copies and policy.max_wait and timing.gwrite > held:
        least = policy.max_wait + timing.gwrite - held
        raise ValueError(
            f"max_wait: {policy.max_wait} is less than the {least} cycles that memory may wait "
            f"for the GWRITE of {where}"
        )


def check(
    requests: Sequence[Request],
    org: Organisation,
    timing: Timing,
    policy: Policy,
    lines: Sequence[int] = (),
) -> None:
    """Refuse a trace that the channel cannot run.

    Parameters
    ----------
    lines
        Line of each request in its file; by default requests count from 1.

    Raises
    ------
    ValueError
        One line: a trace without requests, or a bound on memory's wait that no access keeps;
        otherwise the first request that has a field out of its range, is a GEMV that no header
        announces, breaks off a header's GEMVs, multiplies past the end of its row, or takes longer
        than refresh or the bound leaves time for.
    """
    if not requests:
        raise ValueError("trace: it has no request")
    least = service(org, timing)
    if 0 < policy.max_wait < least:
        raise ValueError(
            f"max_wait: {policy.max_wait} is less than the {least} cycles that an access may take"
        )
    left = k = 0
    header = ""
    for index, request in enumerate(requests):
        where = f"line {lines[index] if lines else index + 1}"
        _check_fields(request, org, where)
        if request.op is Op.GEMV:
            if not left:
                raise ValueError(f"{where}: a GEMV without a header")
            if request.k != k:
                raise ValueError(f"{where}: k {request.k} is not {k}, as its header announces")
            left -= 1
        elif request.op.is_pim and left:
            raise ValueError(f"{where}: {left} GEMVs of the header before it are missing")
        if request.op is Op.HEADER:
            left, k, header = request.gemvs, request.k, where
            _check_header(request, org, timing, policy, where)
        elif request.op is not Op.GEMV:
            _check_row_of_memory(request, org, timing, policy, where)
    if left:
        raise ValueError(f"{header}: {left} GEMVs of the last header are missing")


def write_trace(requests: Iterable[Request]) -> str:
    """Text of a trace, a request a line; `@CYCLE` before one that arrives later than at 0."""
    lines = []
    for request in requests:
        words = [f"@{request.arrival}"] if request.arrival else []
        words.append(request.op.value)
        for name in FIELDS[request.op]:
            value = getattr(request, name)
            words.append(f"{value:x}" if name == "data" else str(value))
        lines.append(" ".join(words))
    return "".join(f"{line}\n" for line in lines)


def read_trace(text: str, org: Organisation, timing: Timing, policy: Policy) -> list[Request]:
    """Read, check and order a trace; `#` begins a comment.

    Raises
    ------
    ValueError
        One line with the number of the line: an unknown request, a missing or unreadable field, or
        what `check` finds.
    """
    requests, lines = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            requests.append(_request(words, f"line {number}"))
            lines.append(number)
    check(requests, org, timing, policy, lines)
    return ordered(requests)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."


def _number(text: str, name: str, where: str) -> int:
    """Plain digits; `int` alone takes underscores and digits of other scripts."""
    pattern = "[0-9a-fA-F]+" if name == "data" else f"-?[0-9]{{1,{LONGEST_WORD}}}"
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{where}: {name} {_short(text)!r} is not a number")
    return int(text, 16 if name == "data" else 10)


def _request(words: list[str], where: str) -> Request:
    arrival = 0
    if words[0].startswith("@"):
        arrival = _number(words[0][1:], "arrival", where)
        words = words[1:]
        if not words or arrival < 0:
            raise ValueError(f"{where}: @CYCLE stands before a request, and is not negative")
    known = {op.value: op for op in Op}
    if words[0] not in known:
        raise ValueError(f"{where}: {_short(words[0])!r} is not one of {', '.join(known)}")
    op = known[words[0]]
    names = FIELDS[op]
    if len(words) - 1 != len(names):
        raise ValueError(f"{where}: {op.value} takes {', '.join(names)}")
    values = {name: _number(word, name, where) for name, word in zip(names, words[1:], strict=True)}
    return Request(op, arrival=arrival, **values)
