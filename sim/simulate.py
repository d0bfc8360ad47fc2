# amaranth: UnusedElaboratable=no
"""From a config to checked results: emit, build, run a bench, read what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.catalog import Design, Kind
from hw.emit import Emission, emit
from hw.gemm_core import GemmCore
from hw.matmul_free import MatmulFreeCore
from hw.memory import Memory
from hw.pim_channel import PimChannel
from pe.config import Config, parameters
from sim.grouping import with_groups
from sim.job import FOLDER, Arrays, Job, read_result
from sim.player import Player, PlayerConfig, player_config
from sim.programs import Image
from sim.results import RunResult
from sim.runner import Simulator, build
from sim.runtime import Waves
from sim.side_by_side import SideBySide, SideBySideConfig
from sim.verilator import Optimize

BUILD = Path("build")
"""Folder of everything generated."""

BENCHES = {
    Kind.FUNCTION_UNIT: "sim.bench_function",
    Kind.GEMM_ENGINE: "sim.bench_engine",
    Kind.GROUPED_ENGINE: "sim.bench_engine",
    Kind.STREAM_UNIT: "sim.bench_stream",
    Kind.COMMAND_DEVICE: "sim.bench_core",
    Kind.PROCESSOR: "sim.bench_processor",
    Kind.PIM_CHANNEL: "sim.bench_pim",
}

OPERAND_SETS = 1 << 16
"""Sets of operands for a function unit that has too many to try all of them."""

BEATS = 1 << 15
"""Beats of a stream unit."""

Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What a bench found.

    Attributes
    ----------
    result, arrays
        As the bench wrote them.
    run
        Wall time, log and waveform of the simulation.
    """

    result: dict[str, Any]
    arrays: Arrays
    run: RunResult


def build_emission(
    emission: Emission,
    memories: Sequence[tuple[str, str]] = (),
    waves: bool | Waves = False,
    optimize: Optimize = "build",
    folder: Path = BUILD / "verilog",
) -> Simulator:
    """Write an emitted design to a folder and build its simulator."""
    verilog, _ = emission.write(folder)
    ports = [port["name"] for port in emission.description["ports"]]
    return build(verilog, emission.name, ports, memories, waves, optimize)


def operand_memories(design: Design, config: Config) -> Sequence[tuple[str, str]]:
    """Return (module, array) of each memory that the bench of a design loads or reads directly."""
    component = design.component(config)
    has_memories = isinstance(component, GemmCore | MatmulFreeCore | PimChannel)
    return component.operand_memories if has_memories else ()


def build_design(
    design: Design, config: Config, waves: bool | Waves = False, optimize: Optimize = "build"
) -> Simulator:
    """Emit a design and build its simulator; operand memories are open to the bench."""
    memories = operand_memories(design, config)
    return build_emission(emit(design.component, config), memories, waves, optimize)


def run_bench(
    simulator: Simulator,
    bench: str,
    job: Job,
    arrays: Arrays,
    workdir: Path,
    testcase: str | None = None,
    waves: bool = False,
) -> Outcome:
    """Run one bench on one job.

    Raises
    ------
    SimulationError
        When the bench finds a mismatch or cannot run.
    """
    workdir = workdir.resolve()
    job.save(workdir, arrays)
    run = simulator.run(
        bench,
        workdir,
        seed=job.seed,
        testcase=testcase,
        env={FOLDER: str(workdir)},
        waves=waves,
    )
    result, outputs = read_result(workdir)
    return Outcome(result, outputs, run)


def run_products(
    design: Design,
    config: Config,
    products: Sequence[tuple[Matrix, ...]],
    workdir: Path,
    seed: int = 1,
    stall: float = 0.0,
    waves: bool | Waves = False,
    simulator: Simulator | None = None,
) -> Outcome:
    """Run matrix products through an engine or a core and hold them to the golden model.

    Parameters
    ----------
    products
        A [m, k] and B [k, n] of each; of an engine of group-quantised weights also scales and zero
        points [groups, n], which are else random.
    stall
        Probability that a stream pauses in a cycle, 0 to less than 1; engines only.
    waves
        Write a waveform file; see `build`.
    simulator
        Of the design, where it is not to be built from the emitted Verilog.
    """
    simulator = simulator or build_design(design, config, waves)
    job = Job.of(design, config, seed, stall=stall)
    arrays = {
        f"{'absz'[j]}{i}": matrix for i, p in enumerate(products) for j, matrix in enumerate(p)
    }
    arrays = with_groups(config, arrays, seed)
    bench = BENCHES[design.kind]
    return run_bench(simulator, bench, job, arrays, workdir, testcase="products", waves=bool(waves))


def run_beats(
    design: Design,
    config: Config,
    workdir: Path,
    seed: int = 1,
    count: int = BEATS,
    stall: float = 0.0,
    waves: bool | Waves = False,
    simulator: Simulator | None = None,
    beats: Arrays | None = None,
) -> Outcome:
    """Run beats through a stream unit and hold every beat that leaves to the golden model.

    Parameters
    ----------
    count
        Random beats of a stream, about.
    stall
        Probability that a stream pauses in a cycle, 0 to less than 1; it comes and goes in bursts.
    waves
        Write a waveform file; see `build`.
    simulator
        Of the design, where it is not to be built from the emitted Verilog.
    beats
        Columns of the input streams (see `hw.stream_unit.StreamUnit`), where not random ones.
    """
    simulator = simulator or build_design(design, config, waves)
    job = Job.of(design, config, seed, stall=stall, count=count)
    bench = BENCHES[design.kind]
    return run_bench(simulator, bench, job, beats or {}, workdir, waves=bool(waves))


def run_trace(
    design: Design,
    config: Config,
    trace: str,
    workdir: Path,
    seed: int = 1,
    waves: bool | Waves = False,
    simulator: Simulator | None = None,
    cells: npt.NDArray[np.uint8] | None = None,
) -> Outcome:
    """Run a trace of requests through a PIM channel and hold it to its golden models.

    Parameters
    ----------
    trace
        Text, as `golden.pim_trace.read_trace` takes it.
    seed
        Of what the rows hold at the start.
    waves
        Write a waveform file; see `build`.
    simulator
        Of the design, where it is not to be built from the emitted Verilog.
    cells
        What the rows hold instead, [banks, rows, bytes].
    """
    simulator = simulator or build_design(design, config, waves)
    job = Job.of(design, config, seed, trace=trace)
    bench = BENCHES[design.kind]
    arrays = {} if cells is None else {"cells": cells}
    return run_bench(simulator, bench, job, arrays, workdir, testcase="trace", waves=bool(waves))


def run_batch(config: SideBySideConfig, data: Arrays, workdir: Path, seed: int = 1) -> Outcome:
    """Run two halves of a batch at one time, on a GEMM core and on a PIM channel.

    Parameters
    ----------
    data
        ``a`` [m, k] and ``b`` [k, n] of the core's product; ``q`` [heads, size], ``keys`` and
        ``values`` [heads, tokens, size] of the channel's attention. All INT8.
    """
    memories = [
        *GemmCore(config.core).operand_memories,
        *PimChannel(config.pim).operand_memories,
    ]
    simulator = build_emission(emit(SideBySide, config), memories)
    settings = {path: value for path, _, value in parameters(config)}
    job = Job("side_by_side", settings, seed)
    return run_bench(simulator, "sim.bench_side_by_side", job, data, workdir, testcase="batch")


def player_emission(
    design: Design, config: Config, count: int = OPERAND_SETS
) -> tuple[Emission, PlayerConfig, Sequence[tuple[str, str]]]:
    """Return the player around a function unit, its config, and its memories, open to the bench."""
    player = player_config(design.component, config, count)
    memories = {(Memory(shape).name, Memory.STORAGE) for shape in Player(player).memories}
    return emit(Player, player), player, sorted(memories)


def run_operands(
    design: Design,
    config: Config,
    workdir: Path,
    seed: int = 1,
    count: int = OPERAND_SETS,
    simulator: Simulator | None = None,
    waves: bool = False,
    operands: Arrays | None = None,
) -> Outcome:
    """Run operands through a function unit and hold every result to the golden model.

    Parameters
    ----------
    count
        Sets of operands, where there are too many to try all of them.
    simulator
        Of the player around the unit, where it is not to be built from the emitted Verilog.
    waves
        Write a waveform file; `simulator` must be able to.
    operands
        By port, [sets] or [sets, lanes], `count` sets: play these, and return the bits
        [sets, bits] of each output.
    """
    emission, player, memories = player_emission(design, config, count)
    simulator = simulator or build_emission(emission, memories)
    job = Job.of(design, config, seed, depth=player.depth)
    return run_bench(simulator, BENCHES[design.kind], job, operands or {}, workdir, waves=waves)


def words_of(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Words [sets] of an output's bits [sets, bits], as `run_operands` returns them."""
    words: npt.NDArray[np.int64] = (bits.astype(np.int64) << np.arange(bits.shape[1])).sum(axis=1)
    return words


def program_job(
    design: Design, config: Config, images: Sequence[Image], seed: int = 1
) -> tuple[Job, Arrays]:
    """Describe a job of a processor's bench: programs, and the memories that they work on."""
    programs = [(image.name, image.program.texts) for image in images]
    arrays: Arrays = {}
    for i, image in enumerate(images):
        arrays[f"program{i}"] = np.array(image.program.words, np.int64)
        arrays |= {f"data{i}": image.data, f"weights{i}": image.weights}
    return Job.of(design, config, seed, programs=programs), arrays


def run_programs(
    design: Design,
    config: Config,
    images: Sequence[Image],
    workdir: Path,
    seed: int = 1,
    waves: bool | Waves = False,
    simulator: Simulator | None = None,
) -> Outcome:
    """Run programs on a processor, and hold registers, memory and cycles to its golden model.

    Parameters
    ----------
    waves
        Write a waveform file; see `build`.
    simulator
        Of the design, where it is not to be built from the emitted Verilog.
    """
    simulator = simulator or build_design(design, config, waves)
    job, arrays = program_job(design, config, images, seed)
    return run_bench(simulator, BENCHES[design.kind], job, arrays, workdir, waves=bool(waves))


def random_matrix(
    rng: np.random.Generator, rows: int, cols: int, width: int, signed: bool
) -> Matrix:
    """Integers over the whole range of a width, the extremes well represented."""
    low, high = (-(1 << (width - 1)), 1 << (width - 1)) if signed else (0, 1 << width)
    matrix = rng.integers(low, high, (rows, cols), dtype=np.int64)
    extreme = rng.random((rows, cols))
    matrix[extreme < 0.05] = low
    matrix[extreme > 0.95] = high - 1
    return matrix
