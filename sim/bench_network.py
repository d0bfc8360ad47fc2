# amaranth: UnusedElaboratable=no
"""Bench of a whole network on a GEMM core: every layer's matrix product is done by the RTL."""

import time
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge, resume

from golden.gemm import matmul
from golden.mlp import QuantizedLayer, forward
from hw.gemm_core import GemmCore
from sim.bench_core import limit_of
from sim.core_driver import CoreDriver, Sample
from sim.gemm_golden import check_product, golden_product
from sim.job import Arrays, Job, load, save_result
from sim.packing import Matrix


def layers_of(job: Job, arrays: Arrays) -> list[QuantizedLayer]:
    """Layers out of the arrays of a job."""
    return [
        QuantizedLayer(
            weights=arrays[f"weights{i}"],
            bias=arrays[f"bias{i}"],
            multiplier=job.options["multipliers"][i],
            relu=job.options["relus"][i],
        )
        for i in range(len(job.options["relus"]))
    ]


@cocotb.test()
async def network(dut: Any) -> None:
    """Run the images of the job through all layers; compare each product bit for bit."""
    job, arrays = load()
    core: GemmCore = job.component()
    driver = CoreDriver(dut, core)
    await driver.reset()
    report: list[dict[str, Any]] = []
    samples: list[Sample] = []

    @resume
    async def on_core(a: Matrix, b: Matrix) -> Matrix:
        (m, k), n = a.shape, b.shape[1]
        formula = core.cycles(m, k, n)
        first_sample = len(samples)
        driver.load(a, b)
        await driver.start(m, k, n)
        cycles = await driver.response(limit_of(formula), job.options["sample_every"], samples)
        c = driver.read(m, n)
        expected = golden_product(core.config.array, a, b)
        check_product(c, expected, f"layer {len(report)}, {m} x {k} x {n}")
        assert cycles == formula, f"{m} x {k} x {n}: {cycles} cycles, formula says {formula}"
        report.append({"m": m, "k": k, "n": n, "cycles": cycles, "first_sample": first_sample})
        return c

    layers = layers_of(job, arrays)
    started = time.perf_counter()
    _, logits = await bridge(forward)(arrays["images"], layers, on_core)
    seconds = time.perf_counter() - started
    _, expected = forward(arrays["images"], layers, matmul)
    check_product(logits, expected, "logits")
    save_result(
        {"layers": report, "seconds": seconds},
        {
            "logits": logits,
            "golden_logits": expected,
            "cycle": np.array([s.cycle for s in samples]),
            "beats": np.array([s.beats for s in samples]),
        },
    )
