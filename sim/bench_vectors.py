"""Bench of a Verilog test bench that plays test vectors by itself and only needs a clock."""

from typing import Any

import cocotb

from sim.clock import start_clock
from sim.job import load, save_result


@cocotb.test()
async def plays(dut: Any) -> None:
    """Run to the end, and report what the test bench found wrong."""
    job, _ = load()
    clock = start_clock(dut)
    await clock.until(dut.done, 1, limit=job.options["cycles"] + 2)
    found = {"wrong": int(dut.wrong.value), "cycle": int(dut.cycle.value)}
    save_result(found | {"period_steps": clock.period_steps}, {})
