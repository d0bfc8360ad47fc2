"""A PIM channel as Python sees it under cocotb: requests in, commands and data out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cocotb.triggers import RisingEdge

from golden.pim_commands import Command, Event
from golden.pim_trace import Op, Request
from hw.pim_channel import PimChannel
from hw.pim_config import Command as Code
from hw.pim_controller import PimOp
from sim.clock import CycleLimitError, SimulatorClock, start_clock
from sim.memory import memory_view
from sim.part import part_of

RESET_CYCLES = 3
DRAIN_CYCLES = 200
"""From the last command to the last of its data, at most."""


@dataclass
class Seen:
    """What came out of a channel.

    Attributes
    ----------
    events
        The command bus, from cycle 0 on, the first in which a request can be at a queue's head,
        to the command that serves the last request.
    reads, results
        Cycle of the first beat, and the word.
    error
        Whether a bank has complained.
    """

    events: list[Event] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    results: list[tuple[int, int]] = field(default_factory=list)
    error: bool = False


class _Queue:
    """Offers the requests of one queue, each in the cycle before it arrives or later."""

    def __init__(self, dut: Any, port: str, requests: list[tuple[int, dict[str, int]]]) -> None:
        self._dut, self._port, self._requests = dut, port, requests
        self._valid, self._ready = getattr(dut, f"{port}_valid"), getattr(dut, f"{port}_ready")
        self._next, self._offers = 0, False
        self._valid.value = 0

    def drive(self, cycle: int) -> None:
        self._offers = (
            self._next < len(self._requests) and self._requests[self._next][0] <= cycle + 1
        )
        self._valid.value = int(self._offers)
        if self._offers:
            for name, value in self._requests[self._next][1].items():
                getattr(self._dut, f"{self._port}_{name}").value = value

    def sample(self) -> None:
        self._next += self._offers and int(self._ready.value)


def fields_of(request: Request) -> dict[str, int]:
    """Fields of a request at the channel's ports."""
    if request.op.is_pim:
        op = PimOp[request.op.value].value
        names: tuple[str, ...] = ("bank", "row", "k", "gemvs", "after")
        return {"op": op, **{name: getattr(request, name) for name in names}}
    names = ("bank", "row", "column", "data", "after")
    write = int(request.op is Op.WRITE)
    return {"write": write, **{name: getattr(request, name) for name in names}}


class PimDriver:
    """Runs traces on a channel.

    Parameters
    ----------
    dut
        Handle of the simulated channel.
    channel
        The component it was emitted from.
    part
        Name of the channel in the design, where it is not the whole of it.
    """

    def __init__(self, dut: Any, channel: PimChannel, part: str | None = None) -> None:
        self._dut, self._path = part_of(dut, part)
        self._channel = channel
        self.clock: SimulatorClock = start_clock(dut)
        self.first_cycle = 0
        """What the clock counted when the present trace's cycle 0 began."""

    def cells(self, bank: int) -> Any:
        """Rows of a bank, [rows, bytes]."""
        return memory_view(f"{self._path}rows_{bank}.cells.storage")

    async def run(
        self,
        requests: list[Request],
        limit: int,
        on_read: Callable[[int], None] | None = None,
    ) -> Seen:
        """Reset the channel and run a trace, until `limit` cycles have passed.

        Parameters
        ----------
        on_read
            Called with each word read, at the edge that ends the cycle of its first beat.
        """
        dut, seen = self._dut, Seen()
        sides = {
            port: [(r.arrival, fields_of(r)) for r in requests if r.op.is_pim is pim]
            for port, pim in (("i_pim", True), ("i_mem", False))
        }
        order = {
            pim: [i for i, r in enumerate(requests) if r.op.is_pim is pim] for pim in (True, False)
        }
        queues = [_Queue(dut, port, fields) for port, fields in sides.items()]
        dut.rst.value = 1
        await self.clock.cycles(RESET_CYCLES)
        dut.rst.value = 0
        served = {True: 0, False: 0}
        last = -1
        for cycle in range(-1, limit):
            for queue in queues:
                queue.drive(cycle)
            await RisingEdge(dut.clk)
            if cycle < 0:
                self.first_cycle = self.clock.count
            for queue in queues:
                queue.sample()
            code = int(dut.command.value)
            left = any(served[pim] < len(order[pim]) for pim in order)
            if code != Code.NOP.value and left:
                event = self._event(cycle, code, requests, order, served)
                seen.events.append(event)
                last = cycle
            if int(dut.read_valid.value):
                seen.reads.append((cycle, int(dut.read_data.value)))
                if on_read:
                    on_read(seen.reads[-1][1])
            if int(dut.result_valid.value):
                seen.results.append((cycle, int(dut.result_data.value)))
            if not left and cycle > last + DRAIN_CYCLES:
                break
        else:
            done = sum(served.values())
            raise CycleLimitError(f"{done} of {len(requests)} requests served in {limit} cycles")
        seen.error = bool(int(dut.error.value))
        return seen

    def _event(
        self,
        cycle: int,
        code: int,
        requests: list[Request],
        order: dict[bool, list[int]],
        served: dict[bool, int],
    ) -> Event:
        """Command of a cycle; one that serves a request names the next of its queue."""
        dut = self._dut
        command = Command[Code(code).name]
        event: dict[str, int] = {"place": int(dut.place.value), "row": int(dut.row.value)}
        column, k, gemvs = (int(getattr(dut, n).value) for n in ("column", "k", "gemvs"))
        c = Command
        if command in (c.PRE, c.PREA, c.PPRE, c.PPREA, c.REF):
            event["row"] = 0
        if command in (c.RD, c.WR, c.GEMV, c.COMP, c.RDRESULT):
            event["column"] = column
        if command in (c.HEADER, c.GEMV, c.RDRESULT):
            event["k"] = k
        if command is c.HEADER:
            event["gemvs"] = gemvs
        serving = {c.RD: False, c.WR: False}
        serving |= dict.fromkeys((c.GWRITE, c.HEADER, c.GEMV, c.RDRESULT), True)
        if command in serving:
            pim = serving[command]
            if served[pim] == len(order[pim]):
                raise AssertionError(f"cycle {cycle}: {command.value} of no request")
            event["request"] = order[pim][served[pim]]
            served[pim] += 1
            if command is c.WR:
                event["data"] = requests[event["request"]].data
        return Event(cycle, command, **event)
