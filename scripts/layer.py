# amaranth: UnusedElaboratable=no
"""``rtloom layer``: real weights in the format of a PE, and their products in an array of it."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from golden.codes import numbers
from golden.schemes import quantized
from hw.catalog import Kind
from hw.engine import EngineConfig
from scripts.output import print_json, print_table
from scripts.ppa.curve import Options, measure
from scripts.ppa.library import find_library
from scripts.progress import step
from scripts.settings import Selection, select
from scripts.simulate import check_product, workdir_of
from scripts.status import Status
from sim.simulate import run_products

DEFAULT_PES = ("mac", "mix", "ternary", "shift", "fp4")
SCALE_BITS = 32
"""Storage of a scale."""

Reals = npt.NDArray[np.float64]


class Layer(NamedTuple):
    """A product of real matrices.

    Attributes
    ----------
    name
        For tables.
    activations : float64 array, shape [m, k]
    weights : float64 array, shape [k, n]
    """

    name: str
    activations: Reals
    weights: Reals


def network_layers() -> list[Layer]:
    """Return the layers of the demo's network, on the images that it never saw."""
    # Training needs scikit-learn, which takes seconds to load.
    from scripts.network import train_digits

    with step("training the demo's network"):
        products = train_digits().products
    return [Layer(f"digits {i}", a, b) for i, (a, b) in enumerate(products)]


def file_layers(
    path: Path, names: Sequence[str], transpose: bool, rows: int, seed: int
) -> list[Layer]:
    """Return the matrices of a file, each with random normal activations.

    Parameters
    ----------
    path
        ``.npz`` or ``.safetensors``.
    names
        Matrices to take; all that are two-dimensional by default.
    transpose
        Weights are [n, k], as PyTorch stores them.
    rows
        Rows of activations.

    Raises
    ------
    ValueError
        When the file cannot be read, or has no such matrix.
    """
    rng = np.random.default_rng(seed)
    found = []
    for name, array in _arrays(path, names):
        weights = array.T if transpose else array
        found.append(Layer(name, rng.normal(size=(rows, weights.shape[0])), weights))
    if not found:
        raise ValueError(f"file: {path} has no two-dimensional matrix of floats")
    return found


def _arrays(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Reals]]:
    arrays = _read(path)
    for name in names:
        if name not in arrays:
            raise ValueError(f"matrix: {name!r} is not in {path}: {', '.join(arrays)}")
    for name in names or arrays:
        array = arrays[name]
        fits = array.ndim == 2 and np.issubdtype(array.dtype, np.floating)
        if fits:
            yield name, array.astype(np.float64)
        elif names:
            kind = f"{array.ndim}-dimensional {array.dtype}"
            raise ValueError(f"matrix: {name!r} is {kind}, and not a 2-dimensional float")


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"file: {path} is not a .npz or .safetensors file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        from safetensors.numpy import load_file

        return dict(load_file(path))
    except OSError as error:
        raise ValueError(f"file: {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Each library has errors of its own for a file that is none of its format.
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"file: {path} is not readable as {path.suffix}: {text}") from error


def run_layers(layers: Sequence[Layer], selection: Selection, seed: int) -> list[dict[str, Any]]:
    """Quantise layers to the formats of an engine's PE, run them, and return what was found."""
    config = selection.config
    assert isinstance(config, EngineConfig)
    operands = []
    for layer in layers:
        try:
            m, k = layer.activations.shape
            check_product(selection, m, k, layer.weights.shape[1])
            a = quantized(layer.activations, config.format_a, config.width_a, axis=1)
            b = quantized(layer.weights, config.format_b, config.width_b, axis=0)
        except ValueError as error:
            raise ValueError(f"{layer.name}: {error}") from error
        operands.append((a, b))
    products = [(a.codes, b.codes) for a, b in operands]
    outcome = run_products(selection.design, config, products, workdir_of(config), seed=seed)
    rows = []
    for i, (layer, (a, b)) in enumerate(zip(layers, operands, strict=True)):
        real = outcome.arrays[f"c{i}"] * a.scales * b.scales
        rounded = numbers(b.codes, config.format_b, config.width_b) * b.scales
        product = outcome.result["products"][i]
        rows.append(
            {
                "layer": layer.name,
                "pe": config.pe,
                **{size: product[size] for size in "mkn"},
                "bit_exact": True,  # the bench fails otherwise
                "cycles": product["cycles"],
                "bits_per_weight": config.width_b + SCALE_BITS * b.scales.size / b.codes.size,
                "weight_error": _relative(rounded, layer.weights),
                "output_error": _relative(real, layer.activations @ layer.weights),
            }
        )
    return rows


def _relative(found: Reals, exact: Reals) -> float:
    """Return the root mean square of an error over that of what it should be."""
    error, whole = float(np.linalg.norm(found - exact)), float(np.linalg.norm(exact))
    return error / whole if whole else error


def run(args: argparse.Namespace) -> int:
    """Run layers on arrays of several PEs."""
    pes = args.pe or list(DEFAULT_PES)
    if select(args.design, []).design.kind is not Kind.GEMM_ENGINE:
        raise ValueError(f"design: {args.design!r} is not a GEMM engine")
    selections = {pe: select(args.design, [*args.settings, f"pe={pe}"]) for pe in pes}
    if args.file is None:
        layers = network_layers()
    else:
        layers = file_layers(args.file, args.matrix, args.transpose, args.rows, args.seed)
    rows: list[dict[str, Any]] = []
    energies: dict[str, float | None] = {}
    for pe, selection in selections.items():
        with step(f"running {len(layers)} layers on {selection.config.name}"):
            rows += run_layers(layers, selection, args.seed)
        if args.energy:
            options = Options(periods_ns=(args.energy,))
            found = measure(selection.design, selection.config, find_library(None), options)
            energies[pe] = found.records[0].energy_pj_per_op
    for row in rows:
        row["energy_pj_per_mac"] = energies.get(row["pe"])
    if args.json:
        print_json(rows)
        return Status.OK
    cells = [[_text(key, value) for key, value in row.items()] for row in rows]
    print_table([key.replace("_", " ") for key in rows[0]], cells)
    return Status.OK


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key.endswith("error"):
        return f"{value:.2%}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
