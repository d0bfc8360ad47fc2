# amaranth: UnusedElaboratable=no
"""Bench of a GEMM core beside a PIM channel: two halves of a batch at one time.

The channel multiplies queries with K while memory reads weights from it; each word read goes into
the core's B memory, and the core multiplies a tile of columns as soon as its weights are there.
"""

from typing import Any

import cocotb
import numpy as np
from cocotb.queue import Queue

from golden.pim_trace import Op
from hw.gemm_core import GemmCore
from hw.pim_channel import PimChannel
from sim.bench_core import limit_of
from sim.bench_pim import check_run, expected_run, load_cells, report
from sim.core_driver import CoreDriver
from sim.gemm_golden import check_product, golden_product
from sim.job import load, save_result
from sim.pim_driver import PimDriver
from sim.pim_setup import organisation_of, timing_of
from sim.side_by_side import SideBySideConfig, plan_of


@cocotb.test()
async def batch(dut: Any) -> None:
    """Run both halves: cycles, commands and data of each against its golden models."""
    job, arrays = load()
    config = SideBySideConfig.from_settings(job.settings)
    activations, weights = arrays["a"], arrays["b"]
    queries, keys, values = (arrays[name] for name in ("q", "keys", "values"))
    (m, k), n = activations.shape, weights.shape[1]
    heads, tokens, size = keys.shape
    plan = plan_of(config, heads, size, tokens, k, n)
    contents = plan.cells(weights, keys, values)
    cells = {place: contents[place] for place in np.ndindex(*contents.shape[:2])}
    requests = plan.trace(queries)
    run = expected_run(config.pim, requests)

    core = GemmCore(config.core)
    core.check_fits(m, k, n)
    pim_driver = PimDriver(dut, PimChannel(config.pim), "pim")
    core_driver = CoreDriver(dut, core, "core")
    load_cells(pim_driver, organisation_of(config.pim), cells)
    core_driver.load(activations, np.zeros((k, n), np.int64))

    words: Queue[int] = Queue()
    loaded: Queue[int] = Queue()
    started: Queue[int] = Queue()
    ends: list[tuple[int, int]] = []

    async def write() -> None:
        for tile in range(len(plan.tiles)):
            for at in range(k):
                word = np.frombuffer(
                    (await words.get()).to_bytes(config.pim.column_bytes, "little"), np.uint8
                )
                await core_driver.write_words("b", [word], tile * k + at)
            loaded.put_nowait(tile)

    async def multiply() -> None:
        for tile, columns in enumerate(plan.tiles):
            assert await loaded.get() == tile
            await core_driver.start(m, k, len(columns), 0, tile * k, tile * m)
            started.put_nowait(tile)

    async def collect() -> None:
        for tile, columns in enumerate(plan.tiles):
            assert await started.get() == tile
            formula = core.cycles(m, k, len(columns))
            cycles = await core_driver.response(run.end + limit_of(formula))
            assert cycles == formula, f"{cycles} cycles of a tile, the formula says {formula}"
            ends.append((core_driver.clock.count - 1, cycles))

    tasks = [cocotb.start_soon(part()) for part in (write, multiply, collect)]
    seen = await pim_driver.run(requests, 2 * run.end + 1000, words.put_nowait)
    for task in tasks:
        await task
    results = check_run(config.pim, requests, cells, run, seen, pim_driver)
    c = core_driver.read(m, n)
    check_product(c, golden_product(config.core.array, activations, weights), "product")

    _, groups = plan.attention.logits_trace(queries)
    gemvs = [index for index, request in enumerate(requests) if request.op is Op.GEMV]
    logits = plan.attention.logits(dict(zip(gemvs, results, strict=True)), groups)
    check_product(logits, np.einsum("hd,htd->ht", queries, keys), "logits")
    first = pim_driver.first_cycle
    spans = [(end - cycles - first, cycles) for end, cycles in ends]
    save_result(
        {**report(run, seen, timing_of(config.pim)), "products": spans}, {"c": c, "logits": logits}
    )
