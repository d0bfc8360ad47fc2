# amaranth: UnusedElaboratable=no
"""``rtloom layer``: real weights in the format of a PE, and their products in an array of it."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from golden.mx import ELEMENTS
from hw.catalog import Design, Kind
from hw.dequantizer import FLOAT_SCALE, MODES
from hw.engine import EngineConfig
from hw.grouped import GroupedConfig
from hw.lut_engine import COLUMN, LAYOUTS
from pe.aligner import ActivationAlignerConfig
from pe.config import Config
from scripts.aligned_layer import (
    ALIGNED_PE,
    ALIGNER,
    PLACES,
    Halves,
    halves,
    operand_sets,
    run_aligner,
    settings_of,
)
from scripts.look_up_layer import DESIGN, engine_config, look_up_layer, run_look_up
from scripts.mx_layer import BLOCK, MxLayer, mx_layer, run_mx
from scripts.mx_layer import DESIGN as MX_DESIGN
from scripts.output import print_json, print_table
from scripts.ppa.curve import Options, measure
from scripts.ppa.library import find_library
from scripts.progress import step
from scripts.quantized_layer import (
    SCALE_BITS,
    Quantized,
    Weights,
    quantize,
    quantized_weights,
    run_quantized,
)
from scripts.settings import Selection, select
from scripts.simulate import check_product, workdir_of
from scripts.status import Status
from scripts.unit_layer import UnitForm, UnitLayer, run_unit, unit_layer, unit_of
from scripts.weight_files import Layer, Reals, file_layers, network_layers, some

DEFAULT_PES = ("mac", "mix", "ternary", "shift", "fp4")
"""Those of them that an engine has, or else all that it has."""
GROUPED = "systolic_grouped"
"""Array of weights in groups."""
GROUPS = range(32, 257)
"""Sizes of groups that may be asked for."""
PLANES = range(1, 9)
"""Bits of a weight in binary codes."""
Row = dict[str, Any]
Found = TypeVar("Found")


def for_engine(
    layers: Sequence[Layer],
    selection: Selection,
    quantise: Callable[[Reals, Reals, EngineConfig], Found],
) -> list[Found]:
    """Quantise layers to the formats of an engine's PE.

    Raises
    ------
    ValueError
        As `quantise` does, or when the engine cannot hold a product; the layer is named.
    """
    config = selection.config
    assert isinstance(config, EngineConfig)

    def checked(activations: Reals, weights: Reals) -> Found:
        m, k = activations.shape
        check_product(selection, m, k, weights.shape[1])
        return quantise(activations, weights, config)

    return [_named(layer, checked) for layer in layers]


def run_layers(
    layers: Sequence[Layer], found: Sequence[Quantized], selection: Selection, seed: int
) -> list[Row]:
    """Run quantised layers on an engine, and return what was found."""
    config = selection.config
    assert isinstance(config, EngineConfig)
    outputs = run_quantized(found, selection.design, config, workdir_of(config), seed)
    group = config.group if isinstance(config, GroupedConfig) else None
    return [
        _row(layer, config.pe, cycles, q.weights.bits_per_weight, q.weights.real, c, group=group)
        for layer, q, (c, cycles) in zip(layers, found, outputs, strict=True)
    ]


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


def as_halves(activations: Reals, weights: Reals, config: EngineConfig) -> tuple[Halves, Weights]:
    """Round activations to FP16, and quantise weights to the format of an engine's PE."""
    found = quantized_weights(weights, config)
    return halves(activations), found


def run_with_aligners(
    layers: Sequence[Layer],
    found: Sequence[tuple[Halves, Weights]],
    selection: Selection,
    places: int,
    seed: int,
) -> list[Row]:
    """Run layers of aligned FP16 activations on an engine, and return what was found."""
    aligner = ActivationAlignerConfig(places=places)
    room = max(operand_sets(layer.activations) for layer in layers)
    aligned = [
        run_aligner(activations, aligner, room, workdir_of(aligner), seed)
        for activations, _ in found
    ]
    operands = [
        Quantized(a.codes, a.scales, weights)
        for a, (_, weights) in zip(aligned, found, strict=True)
    ]
    rows = run_layers(layers, operands, selection, seed)
    return [
        row | {"pe": f"{row['pe']} aligned {places}", "cycles": row["cycles"] + a.cycles}
        for row, a in zip(rows, aligned, strict=True)
    ]


def run_on_unit(
    layers: Sequence[Layer], found: Sequence[UnitLayer], unit: UnitForm, config: Config, seed: int
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
    others_asked = args.group or args.planes or args.aligned or args.mx or args.unit
    defaults = [] if others_asked else [pe for pe in DEFAULT_PES if pe in there] or list(there)
    pes = args.pe or defaults
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
    grouped = [(GROUPED, [f"group={group}", f"mode={mode}"]) for group in args.group]
    selections += [select(design, [*args.settings, *grouping]) for design, grouping in grouped]
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
    behind_aligners = [
        (places, select(design, [*args.settings, *settings_of(places), *grouping]))
        for places in args.aligned
        for design, grouping in [(args.design, list[str]()), *grouped]
    ]
    aligned = [for_engine(layers, selection, as_halves) for _, selection in behind_aligners]
    # Bad input is told before anything runs.
    operands = [for_engine(layers, selection, quantize) for selection in selections]
    rows: list[Row] = []
    count = f"{len(layers)} layer{'s' * (len(layers) > 1)} (the first time it is built)"
    for selection, quantised in zip(selections, operands, strict=True):
        with step(f"running {count} on {selection.config.name}"):
            found = run_layers(layers, quantised, selection, args.seed)
        energy = _energy(selection.design, selection.config, args.energy)
        for row, q in zip(found, quantised, strict=True):
            # What is measured is that of an element of B, which may hold two weights.
            elements = q.weights.operands[0].shape[1] / row["n"]
            rows.append(row | {"energy_pj_per_mac": energy and energy * elements})
    for planes in args.planes:
        with step(f"running {count} in {planes} bit planes"):
            found = run_in_planes(layers, planes, layout, args.seed)
        # That of the engine is of a bit.
        bit = _energy(DESIGN, engine_config(planes, most_k, layout), args.energy)
        energy = bit and bit * planes
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for form, in_blocks in zip(args.mx, blocks, strict=True):
        with step(f"running {count} in blocks of {form}"):
            found = run_in_blocks(layers, in_blocks, args.seed)
        energy = _energy(MX_DESIGN, in_blocks[0].config, args.energy)
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for (places, selection), of_places in zip(behind_aligners, aligned, strict=True):
        with step(f"running {count} behind aligners, {selection.config.name}"):
            found = run_with_aligners(layers, of_places, selection, places, args.seed)
        energy = _energy(selection.design, selection.config, args.energy)
        each = _energy(ALIGNER, ActivationAlignerConfig(places=places), args.energy)
        if energy and each:
            # An aligned activation goes to all columns.
            energy += each / selection.design.component(selection.config).tile_n
        rows += [row | {"energy_pj_per_mac": energy} for row in found]
    for unit, config, on_unit in zip(units, unit_configs, taken, strict=True):
        with step(f"running {count} on one {unit.label}"):
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
    if args.file is not None:
        print(
            f"weights are [{'n, k' if args.transpose else 'k, n'}] in {args.file}, activations "
            f"random, {args.rows} rows"
        )
    if others:
        print(f"left out, as they are no two-dimensional floats: {some(others)}")
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
