"""The clock of a bench, made by the simulator's main loop: a cycle costs no VPI call."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from cocotb.triggers import FallingEdge, RisingEdge, Timer, with_timeout
from cocotb.triggers import SimTimeoutError as _SimTimeoutError
from cocotb.utils import get_sim_steps


class CycleLimitError(AssertionError):
    """A signal did not reach its level within the given number of cycles."""


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.rtloom_clock_start.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
    library.rtloom_clock_start.restype = ctypes.c_int
    library.rtloom_clock_to_rise.restype = ctypes.c_uint64
    library.rtloom_clock_rising_edges.restype = ctypes.c_uint64
    return library


class SimulatorClock:
    """A running clock on a top-level input; made by `start_clock`.

    A coroutine that an edge wakes (`cycles`, or cocotb's ``RisingEdge``) runs before the design
    has seen this edge: it reads the values that the edge samples, and what it writes to ports
    takes effect after the edge.
    """

    def __init__(self, period_steps: int) -> None:
        self.period_steps = period_steps

    @property
    def count(self) -> int:
        """Rising edges since the start."""
        return int(_library().rtloom_clock_rising_edges())

    async def cycles(self, count: int) -> None:
        """Wait for the rising edge number `count` (1 or more) from now."""
        if count < 1:
            raise ValueError(f"count: {count} is not 1 or more")
        to_rise = int(_library().rtloom_clock_to_rise())
        await Timer(to_rise + (count - 1) * self.period_steps, "step")

    async def until(self, signal: Any, level: int, limit: int) -> int:
        """Wait until a 1-bit signal has a level, without running Python at each cycle.

        Parameters
        ----------
        signal
            Handle of a public 1-bit signal.
        level
            0 or 1.
        limit
            Number of cycles to wait at most.

        Returns
        -------
        int
            Rising edges that passed.

        Raises
        ------
        CycleLimitError
            When the limit passes.
        """
        started = self.count
        if int(signal.value) == level:
            return 0
        edge = RisingEdge(signal) if level else FallingEdge(signal)
        try:
            await with_timeout(edge, limit * self.period_steps, "step")
        except _SimTimeoutError:
            raise CycleLimitError(
                f"{signal._name} is still {int(not level)} after {limit} cycles"
            ) from None
        return self.count - started

    def stop(self) -> None:
        """Stop the clock at its present level."""
        _library().rtloom_clock_stop()


def start_clock(dut: Any, port: str = "clk", period_ns: int = 10) -> SimulatorClock:
    """Start the clock of a design: low now, its first rising edge after half a period.

    Parameters
    ----------
    dut
        Handle of the top module.
    port
        Name of its clock input, 1 bit and public.
    period_ns
        Period in nanoseconds, 1 or more.

    Raises
    ------
    ValueError
        When `port` is not such an input, or the period is too short.
    """
    if period_ns < 1:
        raise ValueError(f"period_ns: {period_ns} is not 1 or more")
    half_period = get_sim_steps(period_ns, "ns") // 2
    if _library().rtloom_clock_start(port.encode(), half_period):
        raise ValueError(f"port: {port!r} is not a public 1-bit input of {dut._name}")
    return SimulatorClock(2 * half_period)
