# amaranth: UnusedElaboratable=no
"""``rtloom sim`` and ``rtloom compare``: designs in simulation against their golden models."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from golden.gemm import check_matrix, wrap
from hw.catalog import Kind
from hw.dequantizer import FLOAT_SCALE
from hw.engine import EngineConfig
from hw.gemm_core import GemmCore
from hw.grouped import GroupedConfig
from hw.matmul_free_isa import MatmulFreeConfig
from hw.pim_config import PimConfig
from pe.config import Config
from pe.element import INTEGER
from scripts.output import print_json, print_table
from scripts.pim import run_trace_command
from scripts.programs import run_processor
from scripts.progress import step
from scripts.settings import Selection, select
from scripts.status import Status
from sim.grouping import random_groups
from sim.simulate import (
    BUILD,
    Matrix,
    Outcome,
    random_matrix,
    run_beats,
    run_operands,
    run_products,
)

DEFAULT_SIZE = 64
LARGEST_MATRIX = 1 << 24
_WITHOUT_MATRICES = (Kind.FUNCTION_UNIT, Kind.STREAM_UNIT)
WORK = BUILD / "sim-work"


def workdir_of(config: Config) -> Path:
    """Folder for one simulation of this process, so that two at once do not meet."""
    return WORK / config.name / str(os.getpid())


def operands_of(selection: Selection) -> EngineConfig:
    """Config of the engine of an engine or a core.

    Raises
    ------
    ValueError
        When the design multiplies no matrices.
    """
    config = selection.config
    if isinstance(config, EngineConfig):
        return config
    array = getattr(config, "array", None)
    if isinstance(array, EngineConfig):
        return array
    raise ValueError(
        f"design: {selection.design.name!r} is a {selection.design.kind.value}, not a GEMM engine "
        "or core"
    )


def check_product(selection: Selection, m: int, k: int, n: int) -> None:
    """Refuse a product that the design cannot hold.

    Raises
    ------
    ValueError
        When K is beyond `k_max`, a matrix is too large to simulate, or a core's memories are too
        small.
    """
    engine = operands_of(selection)
    for name, rows, cols in (("a", m, k), ("b", k, n), ("c", m, n)):
        if rows * cols > LARGEST_MATRIX:
            raise ValueError(
                f"{name}: {rows} x {cols} is more than the {LARGEST_MATRIX} elements that a "
                "simulation takes"
            )
    if k > engine.k_max:
        raise ValueError(f"k: {k} is not in 1..{engine.k_max}, the k_max of the design")
    component = selection.design.component(selection.config)
    if isinstance(component, GemmCore):
        component.check_fits(m, k, n)


def _load(
    path: Path, name: str, width: int, signed: bool, floats: bool = False, form: str = INTEGER
) -> Matrix:
    """Return the integers of a file; where `floats` are wanted, the codes of its float32.

    Codes of another format may stand in the file as numbers with or without a sign.
    """
    try:
        matrix = np.load(path, allow_pickle=False)
    except OSError as error:
        raise ValueError(f"{name}: {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {path} is not a .npy matrix") from error
    if not isinstance(matrix, np.ndarray):
        raise ValueError(f"{name}: {path} is an archive and not a .npy matrix")
    if floats and matrix.dtype == np.float32:
        matrix = np.ascontiguousarray(matrix).view(np.uint32)
    elif floats and np.issubdtype(matrix.dtype, np.floating):
        raise ValueError(f"{name}: dtype {matrix.dtype} is not float32")
    if form != INTEGER and np.issubdtype(matrix.dtype, np.integer) and (matrix >= 0).all():
        return wrap(check_matrix(name, matrix, width, False), width, signed)
    return check_matrix(name, matrix, width, signed)


def _product(args: argparse.Namespace, selection: Selection) -> tuple[Matrix, Matrix]:
    """Return A and B: from files, or random with the sizes asked for."""
    engine = operands_of(selection)
    given: dict[str, Matrix] = {}
    if args.a is not None:
        given["a"] = _load(args.a, "a", engine.width_a, engine.signed_a, form=engine.format_a)
    if args.b is not None:
        given["b"] = _load(args.b, "b", engine.width_b, engine.signed_b, form=engine.format_b)
    sizes: dict[str, int] = {}
    for name, axes in (("a", "mk"), ("b", "kn")):
        for axis, size in zip(axes, given[name].shape if name in given else (), strict=False):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"b: {size} rows do not fit a, which has {sizes[axis]} columns")
    for axis in "mkn":
        asked = getattr(args, axis)
        if asked is not None and sizes.setdefault(axis, asked) != asked:
            raise ValueError(f"{axis}: {asked} is not {sizes[axis]}, as the matrix given has it")
    m, n = (sizes.get(axis, DEFAULT_SIZE) for axis in "mn")
    k = sizes.get("k", min(DEFAULT_SIZE, engine.k_max))
    check_product(selection, m, k, n)
    rng = np.random.default_rng(args.seed)
    a = random_matrix(rng, m, k, engine.width_a, engine.signed_a)
    b = random_matrix(rng, k, n, engine.width_b, engine.signed_b)
    return given.get("a", a), given.get("b", b)


def _groups(args: argparse.Namespace, selection: Selection, b: Matrix) -> tuple[Matrix, ...]:
    """Return scales and zero points of a grouped engine, those not given random; else nothing."""
    config = selection.config
    given = {name: getattr(args, name) for name in ("scales", "zeros")}
    if not isinstance(config, GroupedConfig):
        for name, path in given.items():
            if path is not None:
                raise ValueError(f"{name}: {selection.design.name!r} has no groups")
        return ()
    shapes = {"scales": config.scale_shape, "zeros": config.zero_shape}
    found = dict(zip(given, random_groups(config, b.shape[0], b.shape[1], args.seed), strict=True))
    for name, path in given.items():
        if path is not None:
            floats = name == "scales" and config.mode == FLOAT_SCALE
            matrix = _load(path, name, shapes[name].width, shapes[name].signed, floats)
            if matrix.shape != found[name].shape:
                raise ValueError(
                    f"{name}: shape {matrix.shape} is not {found[name].shape}, [groups of "
                    f"{config.group}, n]"
                )
            found[name] = matrix
    return tuple(found.values())


def _save(path: Path, c: Matrix, config: Config) -> None:
    """Write a product, int64 or float32, at once."""
    if isinstance(config, GroupedConfig) and config.mode == FLOAT_SCALE:
        c = c.astype(np.uint32).view(np.float32)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.npy")
    try:
        np.save(scratch, c)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ValueError(f"c: {path} cannot be written: {error.strerror}") from error


def _figures(selection: Selection, outcome: Outcome) -> dict[str, Any]:
    product = outcome.result["products"][0]
    component = selection.design.component(selection.config)
    macs = product["m"] * product["k"] * product["n"]
    return {
        "design": selection.config.name,
        "m": product["m"],
        "k": product["k"],
        "n": product["n"],
        "bit_exact": True,  # the bench fails otherwise
        "cycles": product["cycles"],
        "formula_cycles": product["formula"],
        "macs_per_cycle": macs / product["cycles"],
        "utilisation": macs / (product["cycles"] * component.macs_per_cycle),
        "seconds": outcome.run.seconds,
    }


def _show(figures: dict[str, Any]) -> list[tuple[str, object]]:
    shown = dict(figures)
    if "utilisation" in shown:
        shown["utilisation"] = f"{shown['utilisation']:.1%}"
        shown["macs_per_cycle"] = f"{shown['macs_per_cycle']:.2f}"
    shown["seconds"] = f"{shown['seconds']:.1f}"
    labels = {"formula_cycles": "formula cycles, without stalls"}
    return [(labels.get(key, key.replace("_", " ")), value) for key, value in shown.items()]


def _run_unit(
    args: argparse.Namespace, selection: Selection, workdir: Path
) -> tuple[dict[str, Any], Outcome]:
    """Simulate a unit on random operands or beats."""
    design, config = selection.design, selection.config
    kind = design.kind.value
    for name in ("m", "k", "n", "a", "b", "c", "scales", "zeros"):
        if getattr(args, name) is not None:
            raise ValueError(f"{name}: {design.name!r} is a {kind} and takes no matrix")
    if design.kind is Kind.STREAM_UNIT:
        with step(f"building and simulating {config.name}"):
            stall = args.stalls / 100
            outcome = run_beats(design, config, workdir, args.seed, stall=stall, waves=args.waves)
        found = {
            "beats_in": sum(outcome.result["taken"].values()),
            "beats_out": sum(outcome.result["given"].values()),
            "cycles": outcome.result["cycles"],
            "formula_cycles": outcome.result["formula"],
        }
    else:
        if args.waves or args.stalls:
            name = "waves" if args.waves else "stalls"
            raise ValueError(f"{name}: not for a {kind}")
        with step(f"building and simulating {config.name}"):
            outcome = run_operands(design, config, workdir, args.seed)
        found = {
            "operand_sets": outcome.result["sets"],
            "exhaustive": outcome.result["exhaustive"],
        }
    # The bench fails otherwise.
    always = {"bit_exact": True, "seconds": outcome.run.seconds}
    return {"design": config.name} | found | always, outcome


def run_sim(args: argparse.Namespace) -> int:
    """Simulate one design."""
    selection = select(args.design, args.settings, args.preset, args.config)
    design, config = selection.design, selection.config
    if isinstance(config, PimConfig):
        return run_trace_command(args, config)
    if args.trace is not None:
        raise ValueError(f"trace: {design.name!r} is no PIM channel and takes none")
    workdir = workdir_of(config)
    if isinstance(config, MatmulFreeConfig):
        return run_processor(args, design, config, workdir)
    if args.program is not None:
        raise ValueError(f"program: {design.name!r} is no processor")
    if design.kind in _WITHOUT_MATRICES:
        figures, outcome = _run_unit(args, selection, workdir)
    else:
        if args.stalls and design.kind is Kind.COMMAND_DEVICE:
            raise ValueError(f"stalls: {design.name!r} has no streams to pause; only engines do")
        if args.c is not None and (args.c.suffix != ".npy" or not args.c.parent.is_dir()):
            raise ValueError(f"c: {args.c} is not a .npy file in a folder that there is")
        a, b = _product(args, selection)
        groups = _groups(args, selection, b)
        with step(f"building and simulating {config.name}"):
            outcome = run_products(
                design,
                config,
                [(a, b, *groups)],
                workdir,
                seed=args.seed,
                stall=args.stalls / 100,
                waves=args.waves,
            )
        if args.c is not None:
            _save(args.c, outcome.arrays["c0"], config)
        figures = _figures(selection, outcome)
        if isinstance(config, GroupedConfig):
            figures["k_of_last_group"] = (b.shape[0] - 1) % config.group + 1
    figures |= {"seed": args.seed, "log": str(outcome.run.log)}
    if outcome.run.waveform:
        figures["waveform"] = str(outcome.run.waveform)
    if args.json:
        print_json(figures)
    else:
        print_table(None, _show(figures))
    return Status.OK


def run_compare(args: argparse.Namespace) -> int:
    """Run several designs on the same product."""
    selections = [select(name, args.settings) for name in args.designs]
    engines = [operands_of(selection) for selection in selections]
    m, k, n = (getattr(args, axis) or DEFAULT_SIZE for axis in "mkn")
    for selection in selections:
        check_product(selection, m, k, n)
    rng = np.random.default_rng(args.seed)
    a = _common(rng, m, k, [(e.width_a, e.signed_a) for e in engines])
    b = _common(rng, k, n, [(e.width_b, e.signed_b) for e in engines])
    rows = []
    for selection in selections:
        with step(f"building and simulating {selection.config.name}"):
            workdir = workdir_of(selection.config)
            outcome = run_products(selection.design, selection.config, [(a, b)], workdir, args.seed)
        rows.append(_figures(selection, outcome))
    if args.json:
        print_json(rows)
    else:
        print_table(
            [key.replace("_", " ") for key in rows[0]],
            [[value for _, value in _show(row)] for row in rows],
            f"{m} x {k} x {n}, seed {args.seed}",
        )
    return Status.OK


def _common(
    rng: np.random.Generator, rows: int, cols: int, kinds: list[tuple[int, bool]]
) -> Matrix:
    """A random matrix that every one of the given widths and signednesses can hold."""
    if all(signed for _, signed in kinds):
        return random_matrix(rng, rows, cols, min(width for width, _ in kinds), True)
    return random_matrix(rng, rows, cols, min(width - signed for width, signed in kinds), False)
