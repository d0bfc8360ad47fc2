# amaranth: UnusedElaboratable=no
"""``rtloom layer``: real weights in the format of a PE, and their products in an array of it."""

import argparse
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from golden.codes import HALF, numbers, split, sums_of_halves
from golden.formats import decode, format_of
from golden.mx import ELEMENTS
from golden.schemes import group_quantized, paired, product_scale, quantized
from hw.catalog import Design, Kind
from hw.dequantizer import FLOAT_SCALE, MODES
from hw.engine import EngineConfig
from hw.grouped import GroupedConfig
from hw.lut_engine import COLUMN, LAYOUTS
from pe.config import Config
from pe.element import INTEGER
from scripts.aligned_layer import (
    ALIGNED_PE,
    ALIGNER,
    PLACES,
    WEIGHT_BITS,
    AlignedLayer,
    aligned_layer,
    run_aligned,
    settings_of,
)
from scripts.look_up_layer import DESIGN, engine_config, look_up_layer, run_look_up
from scripts.mx_layer import BLOCK, MxLayer, mx_layer, run_mx
from scripts.mx_layer import DESIGN as MX_DESIGN
from scripts.output import print_json, print_table
from scripts.ppa.curve import Options, measure
from scripts.ppa.library import find_library
from scripts.progress import step
from scripts.settings import Selection, select
from scripts.simulate import check_product, workdir_of
from scripts.status import Status
from scripts.unit_layer import Unit, UnitLayer, run_unit, unit_layer, unit_of
from sim.simulate import run_products

DEFAULT_PES = ("mac", "mix", "ternary", "shift", "fp4")
"""Those of them that an engine has, or else all that it has."""
GROUPED = "systolic_grouped"
"""Array of weights in groups."""
GROUPS = range(32, 257)
"""Sizes of groups that may be asked for."""
PLANES = range(1, 9)
"""Bits of a weight in binary codes."""
SCALE_BITS = 32
"""Storage of a scale."""
CODED = {"BF16": "bf16", "F8_E4M3": "e4m3", "F8_E5M2": "e5m2"}
"""Types of ``.safetensors`` that NumPy has not, as `golden.formats` calls them."""

LEAST, GREATEST = 2.0**-100, 2.0**100
"""Of the greatest magnitude of a matrix, with room for sums and for scales in float32."""

Reals = npt.NDArray[np.float64]
Row = dict[str, Any]
Found = TypeVar("Found")


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
) -> tuple[list[Layer], list[str]]:
    """Return the matrices of a file, each with random normal activations, and what else it has.

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
    arrays = _read(path, names)
    found = []
    for name, array in _matrices(path, arrays, names):
        weights = array.T if transpose else array
        found.append(Layer(name, rng.normal(size=(rows, weights.shape[0])), weights))
    taken = {layer.name for layer in found}
    others = [
        f"{name}, {list(array.shape)} of {array.dtype}"
        for name, array in arrays.items()
        if name not in taken
    ]
    if not found:
        held = f"only {_some(others)}" if others else "it is empty"
        raise ValueError(f"file: {path} has no two-dimensional matrix of floats, {held}")
    return found, [] if names else others


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return "; ".join(texts[:3]) + more


def _matrices(
    path: Path, arrays: dict[str, npt.NDArray[Any]], names: Sequence[str]
) -> Iterator[tuple[str, Reals]]:
    """Yield the matrices of a file that are named, or all of them."""
    for name in names:
        if name not in arrays:
            raise ValueError(f"matrix: {name!r} is not in {path}: {', '.join(arrays)}")
    for name in names or arrays:
        array = arrays[name]
        fits = array.ndim == 2 and np.issubdtype(array.dtype, np.floating)
        if fits:
            with np.errstate(over="ignore"):
                weights = array.astype(np.float64)
            largest = float(np.abs(weights).max(initial=0))
            if np.isfinite(largest) and largest and not LEAST <= largest <= GREATEST:
                raise ValueError(
                    f"matrix: the greatest magnitude in {name!r} is {largest:.3g} and not in "
                    f"{LEAST:.3g}..{GREATEST:.3g}, what scales of 32 bits hold"
                )
            yield name, weights
        elif names:
            kind = f"{array.ndim}-dimensional {array.dtype}"
            raise ValueError(f"matrix: {name!r} is {kind}, and not a 2-dimensional float")


def _read(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"file: {path} is not a .npz or .safetensors file")
    try:
        if path.suffix == ".safetensors":
            return dict(_tensors(path.read_bytes(), names))
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                return dict(file)
    except OSError as error:
        raise ValueError(f"file: {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Each library has errors of its own for a file that is none of its format.
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"file: {path} is not readable as {path.suffix}: {text}") from error


def _tensors(data: bytes, names: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the tensors of a file; of types that NumPy has not, only those named are decoded."""
    from safetensors import deserialize

    for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
        kind, shape = tensor["dtype"], tensor["shape"]
        if names and name not in names:
            yield name, np.frombuffer(tensor["data"], np.uint8)
        elif kind in CODED:
            form = CODED[kind]
            codes = np.frombuffer(tensor["data"], f"<u{format_of(form).width // 8}")
            yield name, decode(codes, form).reshape(shape)
        elif match := re.fullmatch(r"([FIUC])(8|16|32|64)|BOOL", kind):
            dtype = f"<{match[1].lower()}{int(match[2]) // 8}" if match[1] else "?"
            yield name, np.frombuffer(tensor["data"], dtype).reshape(shape)
        else:
            raise ValueError(f"{name}: numbers of type {kind} are not taken")


class Quantized(NamedTuple):
    """A layer as an array takes it, and how to come back from it.

    Attributes
    ----------
    operands
        A and B; with groups also their scales and zero points.
    factors
        By which an element of C is multiplied, shaped as NumPy broadcasts it.
    weights : float64 array, shape [k, n]
        Those that the operands stand for.
    bits_per_weight
        Of storage, scales and zero points included.
    half_bits
        Of each of two sums that an element of C holds, of neighbouring columns of weights; 0 where
        it is one sum.
    """

    operands: tuple[npt.NDArray[np.int64], ...]
    factors: Reals
    weights: Reals
    bits_per_weight: float
    half_bits: int = 0


def quantize(layer: Layer, config: EngineConfig) -> Quantized:
    """Quantise a layer to the formats of an engine's PE, weights in groups if it has them.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity, or the engine takes other operands than
        quantised matrices.
    """
    _check_operands(config)
    a = quantized(layer.activations, config.format_a, config.width_a, axis=1)
    k = layer.weights.shape[0]
    if isinstance(config, GroupedConfig):
        g = group_quantized(
            layer.weights, config.group, config.width_b, config.mode, config.width_scale
        )
        stored = config.width_scale + config.zero_shape.width
        # A factor is one a column, and none of float scales is needed.
        bits = config.width_b + stored * len(g.scales) / k
        bits += 0 if config.mode == FLOAT_SCALE else SCALE_BITS / k
        operands = (a.codes, g.codes, g.scales, g.zeros)
        return Quantized(operands, a.scales * g.factors, g.real, bits)
    _, half_bits = split(config.format_b)
    form, width = (INTEGER, HALF) if half_bits else (config.format_b, config.width_b)
    b = quantized(layer.weights, form, width, axis=0)
    rounded = numbers(b.codes, form, width) * b.scales
    bits = width + SCALE_BITS * b.scales.size / b.codes.size
    factors = a.scales * b.scales * product_scale(form)
    codes = paired(b.codes) if half_bits else b.codes
    return Quantized((a.codes, codes), factors, rounded, bits, half_bits)


def _check_operands(config: EngineConfig) -> None:
    """Refuse an engine whose operands are not those that `quantize` makes."""
    for name in ("signed_a", "signed_b"):
        if not getattr(config, name):
            raise ValueError(f"{name}: false is not allowed, quantised matrices are signed")
    if isinstance(config, GroupedConfig) and config.format_b != INTEGER:
        raise ValueError(f"pe: {config.pe!r} does not take integers, as groups have them")


def quantize_all(layers: Sequence[Layer], selection: Selection) -> list[Quantized]:
    """Quantise layers to the formats of an engine's PE.

    Raises
    ------
    ValueError
        As `quantize` does, or when the engine cannot hold a product; the layer is named.
    """
    config = selection.config
    assert isinstance(config, EngineConfig)
    found = []
    for layer in layers:
        try:
            m, k = layer.activations.shape
            check_product(selection, m, k, layer.weights.shape[1])
            found.append(quantize(layer, config))
        except ValueError as error:
            raise ValueError(f"{layer.name}: {error}") from error
    return found


def run_layers(
    layers: Sequence[Layer], found: Sequence[Quantized], selection: Selection, seed: int
) -> list[Row]:
    """Run quantised layers on an engine, and return what was found."""
    config = selection.config
    assert isinstance(config, EngineConfig)
    products = [layer.operands for layer in found]
    outcome = run_products(selection.design, config, products, workdir_of(config), seed=seed)
    group = config.group if isinstance(config, GroupedConfig) else None
    rows = []
    for i, (layer, q) in enumerate(zip(layers, found, strict=True)):
        c: npt.NDArray[Any] = outcome.arrays[f"c{i}"]
        if isinstance(config, GroupedConfig) and config.mode == FLOAT_SCALE:
            c = decode(c, "fp32")
        elif q.half_bits:
            sums = np.stack(sums_of_halves(c, q.half_bits), axis=-1)
            c = sums.reshape(len(c), -1)[:, : layer.weights.shape[1]]
        product = outcome.result["products"][i]
        rows.append(
            _row(
                layer,
                config.pe,
                product["cycles"],
                q.bits_per_weight,
                q.weights,
                c * q.factors,
                group=group,
            )
        )
    return rows


def run_in_planes(layers: Sequence[Layer], planes: int, layout: str, seed: int) -> list[Row]:
    """Run layers in binary codes on the look-up engine, and return what was found.

    `layout` says where scales stand, one of `hw.lut_engine.LAYOUTS`.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity; the layer is named.
    """
    rows = []
    for layer in layers:
        found = _named(layer, partial(look_up_layer, planes, layout))
        product, cycles = run_look_up(found, workdir_of(found.config), seed)
        bits, weights = found.bits_per_weight, found.real_weights
        output = product * found.factors
        mu = found.config.mu
        name = "look-up" if layout == COLUMN else f"look-up {layout}"
        rows.append(_row(layer, name, cycles, bits, weights, output, planes=planes, multiple=mu))
    return rows


def run_in_blocks(layers: Sequence[Layer], found: Sequence[MxLayer], seed: int) -> list[Row]:
    """Run layers in microscaling blocks on one accumulator, and return what was found."""
    rows = []
    for layer, blocks in zip(layers, found, strict=True):
        output, cycles = run_mx(blocks, workdir_of(blocks.config), seed)
        bits, weights = blocks.bits_per_weight, blocks.real_weights
        name = f"mx {blocks.config.format_b}"
        rows.append(_row(layer, name, cycles, bits, weights, output, group=BLOCK))
    return rows


def align_all(layers: Sequence[Layer], places: int, selection: Selection) -> list[AlignedLayer]:
    """Quantise layers to FP16 activations and 4-bit weights.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity, or the engine cannot hold a product; the
        layer is named.
    """

    def aligned(activations: Reals, weights: Reals) -> AlignedLayer:
        m, k = activations.shape
        check_product(selection, m, k, weights.shape[1])
        return aligned_layer(places, activations, weights)

    return [_named(layer, aligned) for layer in layers]


def run_with_aligners(
    layers: Sequence[Layer], found: Sequence[AlignedLayer], selection: Selection, seed: int
) -> list[Row]:
    """Run layers of aligned FP16 activations on an engine, and return what was found."""
    config = selection.config
    assert isinstance(config, EngineConfig)
    rows = []
    for layer, aligned in zip(layers, found, strict=True):
        output, cycles = run_aligned(aligned, selection.design, config, workdir_of(config), seed)
        name = f"{config.pe} aligned {aligned.aligner.places}"
        bits = WEIGHT_BITS + SCALE_BITS / len(aligned.weights)
        rows.append(_row(layer, name, cycles, bits, aligned.real_weights, output))
    return rows


def run_on_unit(
    layers: Sequence[Layer], found: Sequence[UnitLayer], unit: Unit, config: Config, seed: int
) -> list[Row]:
    """Run layers on one stand-alone unit, and return what was found.

    Raises
    ------
    ValueError
        When a float sum is beyond the largest number; the layer is named.
    """
    room = max(layer.sets for layer in found)
    rows = []
    for layer, taken in zip(layers, found, strict=True):
        try:
            output, cycles = run_unit(unit, config, taken, room, workdir_of(config), seed)
        except ValueError as error:
            raise ValueError(f"{layer.name}: {error}") from error
        bits = taken.width + SCALE_BITS / len(taken.weights)
        rows.append(_row(layer, unit.label, cycles, bits, taken.real_weights, output))
    return rows


def _row(
    layer: Layer,
    pe: str,
    cycles: int,
    bits_per_weight: float,
    weights: Reals,
    output: Reals,
    group: int | None = None,
    planes: int | None = None,
    multiple: int | None = None,
) -> Row:
    m, k = layer.activations.shape
    multiple = multiple or group
    return {
        "layer": layer.name,
        "pe": pe,
        "group": group,
        "planes": planes,
        "m": m,
        "k": k,
        "n": layer.weights.shape[1],
        "multiple_of": multiple,
        "padded_k": multiple and -(-k // multiple) * multiple,
        "bit_exact": True,  # the bench fails otherwise
        "cycles": cycles,
        "bits_per_weight": bits_per_weight,
        "weight_error": _relative(weights, layer.weights),
        "output_error": _relative(output, layer.activations @ layer.weights),
    }


def _named(layer: Layer, quantise: Callable[[Reals, Reals], Found]) -> Found:
    """Quantise a layer, and name it where that is refused."""
    try:
        return quantise(layer.activations, layer.weights)
    except ValueError as error:
        raise ValueError(f"{layer.name}: {error}") from error


def _relative(found: Reals, exact: Reals) -> float:
    """Return the root mean square of an error over that of what it should be."""
    error, whole = float(np.linalg.norm(found - exact)), float(np.linalg.norm(exact))
    return error / whole if whole else error


def run(args: argparse.Namespace) -> int:
    """Run layers on arrays of several PEs, and in groups."""
    chosen = select(args.design, [])
    if not isinstance(chosen.config, EngineConfig) or chosen.design.kind is not Kind.GEMM_ENGINE:
        raise ValueError(f"design: {args.design!r} is not a GEMM engine")
    if not args.group and any(setting.startswith("pe=") for setting in args.settings):
        raise ValueError("pe: is chosen with --pe, which may be repeated, and not with -s")
    there = chosen.config.pes
    pes = args.pe or [pe for pe in DEFAULT_PES if pe in there] or list(there)
    for places in args.aligned:
        if ALIGNED_PE not in there:
            raise ValueError(
                f"aligned: {places} needs pe={ALIGNED_PE}, which {args.design!r} does not have"
            )
    selections = [select(args.design, [*args.settings, f"pe={pe}"]) for pe in pes]
    mode = FLOAT_SCALE if args.mode is None else args.mode
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is not one of {', '.join(MODES)}")
    if args.mode is not None and not args.group:
        raise ValueError(f"mode: {mode!r} is for weights in groups, and --group is not given")
    for group in args.group:
        if group not in GROUPS:
            raise ValueError(f"group: {group} is not in {GROUPS[0]}..{GROUPS[-1]}")
        grouping = [f"group={group}", f"mode={mode}"]
        selections.append(select(GROUPED, [*args.settings, *grouping]))
    layout = COLUMN if args.layout is None else args.layout
    if layout not in LAYOUTS:
        raise ValueError(f"layout: {layout!r} is not one of {', '.join(LAYOUTS)}")
    if args.layout is not None and not args.planes:
        raise ValueError(f"layout: {layout!r} is for bit planes, and --planes is not given")
    for planes in args.planes:
        if planes not in PLANES:
            raise ValueError(f"planes: {planes} is not in {PLANES[0]}..{PLANES[-1]}")
    for form in args.mx:
        if form not in ELEMENTS:
            raise ValueError(f"mx: {form!r} is not one of {', '.join(ELEMENTS)}")
    for places in args.aligned:
        if places not in PLACES:
            raise ValueError(f"aligned: {places} is not in {PLACES[0]}..{PLACES[-1]}")
    units = [unit_of(text) for text in args.unit]
    if args.file is None:
        for option in ("matrix", "transpose"):
            if getattr(args, option):
                raise ValueError(f"{option}: is for matrices of a file, and no FILE is given")
        layers, others = network_layers(), list[str]()
    else:
        layers, others = file_layers(args.file, args.matrix, args.transpose, args.rows, args.seed)
    blocks = [[_named(layer, partial(mx_layer, form)) for layer in layers] for form in args.mx]
    most_k = max(layer.weights.shape[0] for layer in layers)
    taken = [[_named(layer, partial(unit_layer, unit)) for layer in layers] for unit in units]
    unit_configs = [unit.config(most_k) for unit in units]
    integers = [
        select(args.design, [*args.settings, *settings_of(places)]) for places in args.aligned
    ]
    aligned = [
        align_all(layers, places, selection)
        for places, selection in zip(args.aligned, integers, strict=True)
    ]
    # Bad input is told before anything runs.
    operands = [quantize_all(layers, selection) for selection in selections]
    rows: list[Row] = []
    for selection, quantised in zip(selections, operands, strict=True):
        with step(f"running {len(layers)} layers on {selection.config.name}"):
            found = run_layers(layers, quantised, selection, args.seed)
        energy = _energy(selection.design, selection.config, args.energy)
        if energy and quantised[0].half_bits:
            energy /= 2
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for planes in args.planes:
        with step(f"running {len(layers)} layers in {planes} bit planes"):
            found = run_in_planes(layers, planes, layout, args.seed)
        # That of the engine is of a bit.
        bit = _energy(DESIGN, engine_config(planes, most_k, layout), args.energy)
        energy = bit and bit * planes
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for form, in_blocks in zip(args.mx, blocks, strict=True):
        with step(f"running {len(layers)} layers in blocks of {form}"):
            found = run_in_blocks(layers, in_blocks, args.seed)
        energy = _energy(MX_DESIGN, in_blocks[0].config, args.energy)
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for selection, of_places in zip(integers, aligned, strict=True):
        with step(f"running {len(layers)} layers behind aligners"):
            found = run_with_aligners(layers, of_places, selection, args.seed)
        energy = _energy(selection.design, selection.config, args.energy)
        each = _energy(ALIGNER, of_places[0].aligner, args.energy)
        if energy and each:
            # An aligned activation goes to all columns.
            energy += each / selection.design.component(selection.config).tile_n
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for unit, config, on_unit in zip(units, unit_configs, taken, strict=True):
        with step(f"running {len(layers)} layers on one {unit.label}"):
            found = run_on_unit(layers, on_unit, unit, config, args.seed)
        each = _energy(unit.design, config, args.energy)
        for row, layer in zip(found, on_unit, strict=True):
            # What is measured is that of a set of operands.
            energy = each and each * layer.sets / (row["m"] * row["k"] * row["n"])
            rows.append(row | {"energy_pj_per_mac": energy})
    if args.json:
        print_json(rows)
        return Status.OK
    hidden = {"multiple_of", "padded_k"} | {
        name
        for name in ("group", "planes", "energy_pj_per_mac")
        if all(row[name] is None for row in rows)
    }
    shown = [{key: x for key, x in row.items() if key not in hidden} for row in rows]
    cells = [[_text(key, value) for key, value in row.items()] for row in shown]
    print_table([key.replace("_", " ") for key in shown[0]], cells)
    if others:
        print(f"left out, as they are no two-dimensional floats: {_some(others)}")
    for row in rows:
        if row["multiple_of"] and row["padded_k"] != row["k"]:
            print(
                f"{row['pe']}, {row['layer']}: K = {row['k']} is no multiple of "
                f"{row['multiple_of']}, and is filled up with zeros to {row['padded_k']}"
            )
    return Status.OK


def _energy(design: Design, config: Config, period: float | None) -> float | None:
    """Return picojoules a MAC of a design at a period in ns, if one is asked for."""
    if not period:
        return None
    measured = measure(design, config, find_library(None), Options(periods_ns=(period,)))
    return measured.records[0].energy_pj_per_op


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key.endswith("error"):
        return f"{value:.2%}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
