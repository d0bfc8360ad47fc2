"""Commands of a PIM channel, and what a run of it consists of."""

from dataclasses import dataclass, field
from enum import Enum


class Command(Enum):
    """What goes over the command bus."""

    ACT = "ACT"
    PRE = "PRE"
    PREA = "PREA"
    RD = "RD"
    WR = "WR"
    REF = "REF"
    GWRITE = "GWRITE"
    HEADER = "HEADER"
    PACT = "PACT"
    GEMV = "GEMV"
    COMP = "COMP"
    RDRESULT = "RDRESULT"
    PPRE = "PPRE"
    PPREA = "PPREA"


@dataclass(frozen=True)
class Event:
    """A command in its cycle.

    Attributes
    ----------
    place
        Bank of ACT, PRE, PPRE, RD, WR and GWRITE; bank group of PACT; rank of REF; else 0.
    column
        Of RD and WR; the first step of a GEMV, or the step of a COMP.
    k, gemvs
        Steps of a GEMV, and of the GEMVs of a header, which are `gemvs`.
    data
        What a WR writes.
    request
        Index of the trace's request that it serves, -1 for a refresh's.
    """

    cycle: int
    command: Command
    place: int = 0
    row: int = 0
    column: int = 0
    k: int = 0
    gemvs: int = 0
    data: int = 0
    request: int = -1


@dataclass
class Run:
    """What a channel did.

    Attributes
    ----------
    events
        Its commands in order.
    pim_end, mem_end
        Cycle after the last beat of PIM results and of memory data; 0 where there is none.
    waits
        The longest that the head of the memory queue waited.
    """

    events: list[Event] = field(default_factory=list)
    pim_end: int = 0
    mem_end: int = 0
    waits: int = 0

    @property
    def end(self) -> int:
        return max(self.pim_end, self.mem_end)

    def cycles_of(self, command: Command) -> list[int]:
        return [event.cycle for event in self.events if event.command is command]
