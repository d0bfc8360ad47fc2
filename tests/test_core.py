# amaranth: UnusedElaboratable=no
"""The GEMM core: any product that fits, its host ports, its cycles, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from helpers import (
    SEED,
    Edit,
    arrays_of,
    build_in,
    edited,
    random_generator,
    random_products,
)

from hw.catalog import find
from hw.core_config import GemmCoreConfig
from hw.emit import emit
from hw.gemm_core import GemmCore
from hw.systolic_os import SystolicOsConfig
from sim.job import Job
from sim.results import SimulationError
from sim.simulate import BENCHES, build_design, run_bench, run_products

CORE = find("gemm_core")
SMALLEST = GemmCoreConfig(array=SystolicOsConfig(rows=1, cols=1), depth_a=2, depth_b=2, depth_c=2)
MIXED = GemmCoreConfig(
    array=SystolicOsConfig(
        rows=3, cols=2, width_a=5, width_b=3, signed_a=False, k_max=16, width_acc=12
    ),
    depth_a=48,
    depth_b=64,
    depth_c=36,
)
SQUARE = GemmCoreConfig(
    array=SystolicOsConfig(rows=4, cols=4), depth_a=256, depth_b=256, depth_c=256
)


def test_smallest_core(tmp_path: Path) -> None:
    shapes = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 1, 1)]
    run_products(
        CORE,
        SMALLEST,
        random_products(random_generator(), SMALLEST, shapes),
        tmp_path,
        SEED,
    )


def test_products_fill_the_memories_and_leave_edges(tmp_path: Path) -> None:
    core = GemmCore(MIXED)
    full = (9, 16, 8)
    assert core.words(*full) == {"a": 48, "b": 64, "c": 36}
    shapes = [full, (1, 1, 1), (3, 16, 2), (4, 7, 3), (8, 1, 7), (2, 5, 1), (1, 16, 8), full]
    rng = random_generator()
    for _ in range(12):
        m, k, n = (int(rng.integers(1, size, endpoint=True)) for size in full)
        core.check_fits(m, k, n)
        shapes.append((m, k, n))
    products = random_products(rng, MIXED, shapes)
    a = np.full((9, 16), 31, np.int64)
    products += [(a, np.full((16, 8), b, np.int64)) for b in (-4, 3)]
    outcome = run_products(CORE, MIXED, products, tmp_path, SEED)
    sizes = [(p["m"], p["k"], p["n"]) for p in outcome.result["products"]]
    assert sizes == [*shapes, full, full]
    least = outcome.arrays[f"c{len(shapes)}"].min()
    assert least == 16 * 31 * -4  # it takes the accumulator's 12 bits


def test_utilisation(tmp_path: Path) -> None:
    m, k, n = 16, 64, 16
    outcome = run_products(
        CORE,
        SQUARE,
        random_products(random_generator(), SQUARE, [(m, k, n)]),
        tmp_path,
        SEED,
    )
    cycles = outcome.result["products"][0]["cycles"]
    assert m * k * n / (cycles * GemmCore(SQUARE).macs_per_cycle) >= 0.95


def test_utilisation_of_the_issue() -> None:
    core = GemmCore(GemmCoreConfig())
    core.check_fits(512, 512, 512)
    assert 512**3 / (core.cycles(512, 512, 512) * core.macs_per_cycle) >= 0.95


def test_host_ports_work_while_a_product_runs(tmp_path: Path) -> None:
    shapes = [(5, 20, 6), (4, 30, 4), (1, 1, 1), (7, 3, 9), (8, 40, 8)]
    needed = [GemmCore(SQUARE).words(*shape) for shape in shapes]
    assert all(sum(words[x] for words in needed) <= 256 for x in "abc")
    products = random_products(random_generator(), SQUARE, shapes)
    outcome = run_bench(
        build_design(CORE, SQUARE),
        BENCHES[CORE.kind],
        Job.of(CORE, SQUARE, SEED),
        arrays_of(products),
        tmp_path,
        testcase="overlapped",
    )
    assert outcome.result == {"products": len(shapes)}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 1, 1), "m: 0 is not 1 or more"),
        ((1, -2, 1), "k: -2 is not 1 or more"),
        ((1, 1, 0), "n: 0 is not 1 or more"),
        ((1, 17, 1), "k: 17 is more than k_max=16"),
        ((10, 16, 1), "depth_a: 10 x 16 x 1 needs 64 words, the memory has 48"),
        ((1, 16, 9), "depth_b: 1 x 16 x 9 needs 80 words, the memory has 64"),
        ((19, 1, 3), "depth_c: 19 x 1 x 3 needs 38 words, the memory has 36"),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        GemmCore(MIXED).check_fits(*shape)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            Edit("gemm_core", r"assign feeder__beat_ready = .*;", "assign feeder__beat_ready = 0;"),
            r"o_response_valid is still 0 after \d+ cycles; 0 K-slices taken",
        ),
        (
            Edit("feeder", r"assign k_last = .*;", "assign k_last = 0;"),
            r"o_response_valid is still 0 after \d+ cycles; [1-9]\d+ K-slices taken",
        ),
        (
            Edit("feeder", r"assign i_command_ready = .*;", "assign i_command_ready = 0;"),
            r"i_command_ready is still 0 after \d+ cycles",
        ),
    ],
    ids=["never takes a beat", "never ends a tile", "never takes a command"],
)
def test_a_core_that_hangs_is_stopped(edit: Edit, message: str, tmp_path: Path) -> None:
    simulator = build_in(
        tmp_path, edited(emit(GemmCore, MIXED), [edit]), GemmCore(MIXED).operand_memories
    )
    products = random_products(random_generator(), MIXED, [(4, 7, 3)])
    job = Job.of(CORE, MIXED, SEED)
    with pytest.raises(SimulationError, match=message) as error:
        run_bench(
            simulator, BENCHES[CORE.kind], job, arrays_of(products), tmp_path, testcase="products"
        )
    assert error.value.cause.startswith("products: CycleLimitError: ")
