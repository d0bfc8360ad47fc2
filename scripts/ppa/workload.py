# amaranth: UnusedElaboratable=no
"""What a design works on while its power is measured: vectors for modules of its netlist."""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hw.catalog import Design, Kind
from hw.matmul_free_isa import MatmulFreeConfig
from pe.config import Config
from scripts.ppa.flat import Instances
from scripts.ppa.operands import Operands, operand_fields
from scripts.ppa.power import Energy, Power, module_energy, power
from scripts.ppa.sdf import opensta_delays
from scripts.ppa.testbench import find_icarus, simulate_cycles, simulate_delays
from scripts.ppa.timing import find_opensta
from scripts.ppa.traces import BenchWaveform, Path_, all_names, instance_vectors
from scripts.ppa.vectors import Vectors, unit_vectors
from sim.blocks import random_blocks
from sim.cache import content_key
from sim.gemm_golden import golden_cycles
from sim.simulate import BUILD, Outcome, run_beats, run_products, run_programs
from sim.tools import MissingTool

SAMPLES = 2
"""Instances of a module that are simulated; the others are taken to switch as these do."""

UNIT_CYCLES, QUICK_CYCLES = 1000, 200
"""Cycles for which a function unit is measured, and where it is to be quick."""

FILLING_ROWS = 8
"""Rows of C that leave an engine before it is measured, at least."""

ENGINE_CYCLES = 256
"""Cycles for which an engine or a core is measured, at least."""

STREAM_BEATS = 512
"""Beats of a stream unit; it is measured in the second half of the time that they take."""


RATE_TILES = 32
"""Tiles over which the rate of a design of variable time is taken."""


@dataclass(frozen=True)
class Workload:
    """Cycle by cycle stimulus of some instances of each module.

    Attributes
    ----------
    description
        For a report: operands, product, utilisation.
    cycles, operations
        Measured, of the whole design; a MAC is one operation here.
    vectors
        By path of an instance.
    """

    description: str
    cycles: int
    operations: int
    vectors: dict[Path_, Vectors]


def workload(
    design: Design,
    config: Config,
    modules: Sequence[Instances],
    operands: Operands,
    seed: int = 1,
    quick: bool = False,
) -> Workload:
    """Run the bench of a design on operands and take the vectors of sampled instances from it.

    A function unit gets operands as fast as it takes them, its golden model says what it shows; a
    stream unit random beats without pauses. An engine or a core runs two products; the second is
    measured, from its first beat to its last row. A processor runs a program of each block; the
    last one is measured.

    Raises
    ------
    SimulationError
        When the bench finds a mismatch.
    """
    component = design.component(config)
    if design.kind is Kind.FUNCTION_UNIT:
        cycles = QUICK_CYCLES if quick else UNIT_CYCLES
        vectors = unit_vectors(design, config, operands, cycles, seed)
        done = vectors.cycles - vectors.first
        operations = round(done * getattr(component, "macs_per_cycle", 1))
        return Workload(f"{operands} operands, {done} cycles", done, operations, {(): vectors})
    if design.kind is Kind.STREAM_UNIT:
        return _stream_workload(design, config, modules, seed)
    folder = BUILD / "ppa" / "work" / config.name / str(os.getpid())
    if isinstance(config, MatmulFreeConfig):
        images = random_blocks(config, seed)
        outcome = run_programs(design, config, images, folder, seed, waves="vcd")
        measured = outcome.result["programs"][-1]
        cycles, macs = measured["cycles"], measured["macs"]
        return Workload(
            f"one {measured['name']} block, {_busy(macs, cycles, component)}",
            cycles,
            macs,
            _vectors(outcome, config, modules, range(measured["end"] - cycles, measured["end"])),
        )
    engine = getattr(component, "engine", component)
    a, b = operand_fields(config)
    rows, n = min(64, engine.tile_m), engine.tile_n
    k = min(engine.config.k_max, max(64, engine.steady_k))
    while k > 1 and not fits(component, rows, k, n):
        k //= 2
    m = rows
    product = operands.pair(m, k, n, a, b, seed + 1)
    while golden_cycles(design, component, *product) < ENGINE_CYCLES and fits(
        component, m + rows, k, n
    ):
        m += rows
        product = operands.pair(m, k, n, a, b, seed + 1)
    # Until a buffer behind an engine has been filled once, its registers hold anything.
    before = rows * -(-FILLING_ROWS // rows)
    before = before if fits(component, before, min(k, 8), n) else rows
    products = [operands.pair(before, min(k, 8), n, a, b, seed), product]
    outcome = run_products(design, config, products, folder, seed, waves="vcd")
    measured = outcome.result["products"][1]
    window = range(measured["end"] - measured["cycles"], measured["end"])
    vectors_of = _vectors(outcome, config, modules, window)
    busy = _busy(m * k * n, len(window), component)
    return Workload(
        f"{operands} operands, product of {m} x {k} x {n}, {busy}",
        len(window),
        m * k * n,
        vectors_of,
    )


def _busy(macs: int, cycles: int, component: Any) -> str:
    return f"{macs / (cycles * component.macs_per_cycle):.0%} of the MACs busy"


def _stream_workload(
    design: Design, config: Config, modules: Sequence[Instances], seed: int
) -> Workload:
    """Measure random beats without pauses, those of its second half."""
    folder = BUILD / "ppa" / "work" / config.name / str(os.getpid())
    outcome = run_beats(design, config, folder, seed, count=STREAM_BEATS, waves="vcd")
    end, cycles = outcome.result["end"], outcome.result["cycles"]
    window = range(end - cycles // 2, end)
    given = sum(outcome.result["given"].values())
    return Workload(
        f"{given} random beats in {cycles} cycles",
        len(window),
        max(1, given * len(window) // cycles),
        _vectors(outcome, config, modules, window),
    )


def _vectors(
    outcome: Outcome, config: Config, modules: Sequence[Instances], window: range
) -> dict[Path_, Vectors]:
    """Take the vectors of sampled instances from the waveform of a bench, and remove it."""
    chosen = {path: i.flat for i in modules for path in sample(i)}
    assert outcome.run.waveform is not None
    waveform = BenchWaveform(outcome.run.waveform, config.name, all_names(chosen))
    outcome.run.waveform.unlink()
    return {path: instance_vectors(waveform, flat, path, window) for path, flat in chosen.items()}


@dataclass(frozen=True)
class Rate:
    """How fast a design of variable time is on some operands.

    Attributes
    ----------
    description
        Operands and product.
    macs_per_cycle
        Exact, from the golden model of its cycles.
    """

    description: str
    macs_per_cycle: float


def variable_rate(design: Design, config: Config, operands: Operands, seed: int = 1) -> Rate | None:
    """Return the rate of a design of variable time over `RATE_TILES` tiles; `None` of others."""
    if not design.golden_cycles:
        return None
    engine = design.component(config)
    a, b = operand_fields(config)
    m, n = engine.tile_m, RATE_TILES * engine.tile_n
    k = min(engine.config.k_max, engine.steady_k)
    cycles = golden_cycles(design, engine, *operands.pair(m, k, n, a, b, seed))
    return Rate(f"{operands} operands, product of {m} x {k} x {n}", m * k * n / cycles)


def fits(component: Any, m: int, k: int, n: int) -> bool:
    """Tell whether the memories of a core, if it has any, can hold a product."""
    if not hasattr(component, "check_fits"):
        return True
    try:
        component.check_fits(m, k, n)
    except ValueError:
        return False
    return True


def sample(instances: Instances) -> list[Path_]:
    """Return the paths of the instances of a module that are simulated."""
    last = len(instances.paths) - 1
    chosen = np.linspace(0, last, min(SAMPLES, last + 1)).round().astype(int)
    return [instances.paths[i] for i in dict.fromkeys(chosen.tolist())]


def activity_source(delays: bool | None = None) -> str:
    """Return where switching activity comes from here.

    Parameters
    ----------
    delays
        Insist on a simulation with delays, or on one without; by default with delays where
        OpenSTA and Icarus Verilog are installed.

    Raises
    ------
    MissingTool
        When delays are insisted on and a tool is absent.
    """
    if delays is not False:
        try:
            sta, icarus = find_opensta(), find_icarus()[0]
            return f"delay-annotated, OpenSTA {sta.version} and Icarus Verilog {icarus.version}"
        except MissingTool:
            if delays:
                raise
    return "zero-delay, Verilator"


def measure_powers(
    netlists: Sequence[tuple[Sequence[Instances], float]], work: Workload, source: str
) -> list[Power]:
    """Simulate sampled instances of every module and work out the power of each netlist.

    A module that several netlists share is simulated once, at the shortest of their periods: as
    long as it settles, its toggles do not depend on the period.

    Parameters
    ----------
    netlists
        Modules of each, and its period in ns.
    source
        What `activity_source` returned.

    Raises
    ------
    FlowError
        When an output of a netlist is not what the workload says.
    """
    jobs: dict[str, tuple[Instances, float]] = {}
    for modules, period_ns in netlists:
        for instances in modules:
            key = _identity(instances)
            shortest = min(period_ns, jobs[key][1]) if key in jobs else period_ns
            jobs[key] = (instances, shortest)
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        # The longest ones first, so that none is left to run alone.
        order = sorted(jobs, key=lambda key: -len(jobs[key][0].flat.cells))
        done = workers.map(lambda key: _module_energies(*jobs[key], work, source), order)
        energies = dict(zip(order, done, strict=True))
    powers = []
    for modules, period_ns in netlists:
        total = Energy()
        for instances in modules:
            found = energies[_identity(instances)]
            for energy in found:
                total.add(energy, len(instances.paths) / len(found))
        powers.append(power(total, period_ns, work.cycles, work.operations))
    return powers


def _identity(instances: Instances) -> str:
    flat = instances.flat
    return content_key([repr((flat.module, flat.cells, flat.ports, instances.paths))])


def _module_energies(
    instances: Instances, period_ns: float, work: Workload, source: str
) -> list[Energy]:
    """Return what each sampled instance of a module takes."""
    flat = instances.flat
    found = []
    delays = None
    for path in sample(instances):
        with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
            folder = Path(scratch)
            if source.startswith("zero-delay"):
                activity = simulate_cycles(flat, work.vectors[path], folder)
            else:
                delays = delays or opensta_delays(flat, folder)
                activity = simulate_delays(flat, work.vectors[path], period_ns, delays, folder)
            found.append(module_energy(activity))
    return found
