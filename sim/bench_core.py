# amaranth: UnusedElaboratable=no
"""Benches of the GEMM core: whole products by command, and the host ports."""

import time
from typing import Any

import cocotb

from hw.gemm_core import GemmCore
from sim.core_driver import CoreDriver
from sim.gemm_golden import check_product, golden_product
from sim.job import load, save_result
from sim.packing import Matrix


def limit_of(cycles: int) -> int:
    """Cycles after which a product that should take `cycles` is given up."""
    return 2 * cycles + 1000


@cocotb.test()
async def products(dut: Any) -> None:
    """Run every product of the job, one after the other, against golden model and formula."""
    job, arrays = load()
    core: GemmCore = job.component()
    driver = CoreDriver(dut, core)
    await driver.reset()
    report, outputs = [], {}
    for index in range(len(arrays) // 2):
        a, b = arrays[f"a{index}"], arrays[f"b{index}"]
        (m, k), n = a.shape, b.shape[1]
        formula = core.cycles(m, k, n)
        started = time.perf_counter()
        driver.load(a, b)
        await driver.start(m, k, n)
        cycles = await driver.response(limit_of(formula))
        end = driver.clock.count
        c = driver.read(m, n)
        seconds = time.perf_counter() - started
        check_product(c, golden_product(core.config.array, a, b), f"{m} x {k} x {n}")
        assert cycles == formula, f"{m} x {k} x {n}: {cycles} cycles, formula says {formula}"
        sizes = {"m": m, "k": k, "n": n}
        times = {"cycles": cycles, "formula": formula, "end": end, "seconds": seconds}
        report.append(sizes | times)
        outputs[f"c{index}"] = c
    save_result({"products": report}, outputs)


@cocotb.test()
async def overlapped(dut: Any) -> None:
    """Queue products of different places in the memories; write the next while one runs."""
    job, arrays = load()
    core: GemmCore = job.component()
    driver = CoreDriver(dut, core)
    await driver.reset()
    pairs = [(arrays[f"a{i}"], arrays[f"b{i}"]) for i in range(len(arrays) // 2)]
    bases = []
    base = {"a": 0, "b": 0, "c": 0}
    for a, b in pairs:
        bases.append(dict(base))
        for name, words in core.words(a.shape[0], a.shape[1], b.shape[1]).items():
            base[name] += words

    async def write(index: int) -> None:
        a, b = pairs[index]
        await driver.write_words("a", driver.packed_a(a), bases[index]["a"])
        await driver.write_words("b", driver.packed_b(b), bases[index]["b"])

    await write(0)
    for index, (a, b) in enumerate(pairs):
        (m, k), n = a.shape, b.shape[1]
        await driver.start(m, k, n, bases[index]["a"], bases[index]["b"], bases[index]["c"])
        if index + 1 < len(pairs):
            await write(index + 1)
        if index > 0:
            await _finish(driver, core, pairs[index - 1], bases[index - 1]["c"])
    await _finish(driver, core, pairs[-1], bases[-1]["c"])
    save_result({"products": len(pairs)}, {})


async def _finish(
    driver: CoreDriver, core: GemmCore, pair: tuple[Matrix, Matrix], base_c: int
) -> None:
    a, b = pair
    (m, k), n = a.shape, b.shape[1]
    await driver.response(limit_of(core.cycles(m, k, n)))
    words = await driver.read_words(core.words(m, k, n)["c"], base_c)
    c = driver.unpacked_c(words, m, n)
    check_product(c, golden_product(core.config.array, a, b), f"{m} x {k} x {n}")
