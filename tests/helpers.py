"""What the tests of the hardware share."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hw.catalog import DESIGNS, Design, Kind
from hw.emit import Emission
from hw.lut_engine import LutEngine
from hw.pim_bank import PimBank
from pe.aligner import ActivationAligner
from pe.barrett import Barrett, BarrettReduce
from pe.bat import BatReduce
from pe.butterfly import Butterfly
from pe.config import Config, parameters
from pe.float_add import FloatAdder
from pe.gemv_unit import GemvUnit
from pe.lut_builder import LutBuilder
from pe.lut_pe import LutPe
from pe.modular_add import ModularAdd
from pe.montgomery import Montgomery
from pe.mx import MxDot
from pe.mx_accumulate import MxAccumulator
from pe.mx_scale import MxScale
from pe.serial import SerialPe
from pe.shoup import Shoup
from pe.solinas import Solinas
from pe.switchable import SwitchablePe
from pe.term_serial import TermSerialPe
from pe.ternary_lut import TernaryLut
from pe.w4a16 import ExactW4A16Pe, FloatW4A16Pe
from sim.job import Arrays
from sim.packing import Matrix
from sim.runner import Simulator, build
from sim.simulate import random_matrix

SEED = int(os.environ.get("RTLOOM_SEED", "1"))
"""Of all random sizes and operands; RTLOOM_SEED=2 and so on, up to 2**31 - 3, try others."""

WIRES = {"bit_encoder"}
"""Designs without a cell."""

UNPROVED = {
    ActivationAligner,
    Barrett,
    BarrettReduce,
    BatReduce,
    Butterfly,
    ExactW4A16Pe,
    FloatAdder,
    FloatW4A16Pe,
    GemvUnit,
    LutBuilder,
    LutEngine,
    LutPe,
    ModularAdd,
    Montgomery,
    MxAccumulator,
    MxDot,
    MxScale,
    PimBank,
    SerialPe,
    Shoup,
    Solinas,
    SwitchablePe,
    TermSerialPe,
    TernaryLut,
}
"""Function units of which no proof says that their RTL is their specification."""

Product = tuple[Matrix, Matrix]
Shape = tuple[int, int, int]


def designs(kind: Kind) -> list[Design]:
    """Designs of the catalogue that keep one of the contracts."""
    return [design for design in DESIGNS.values() if design.kind is kind]


def config_of(design: Design, **wanted: int | bool | str) -> Config:
    """Config of a design, with those of the wanted settings that it has.

    A cube is made cubic, and residues have one digit unless their modulus is wanted: arrays hold
    whole residues.
    """
    edges = [wanted[name] for name in ("rows", "cols", "lanes") if name in wanted]
    if design.name == "cube" and edges:
        wanted |= dict.fromkeys(("rows", "cols", "lanes"), edges[0])
    if design.name == "systolic_modular":
        wanted = {"modulus": 3, **wanted}
    settings = {
        path: wanted[path.rpartition(".")[2]]
        for path, _, _ in parameters(design.config())
        if path.rpartition(".")[2] in wanted
    }
    return design.config.from_settings(settings)


def random_generator() -> np.random.Generator:
    """Return a generator of `SEED`, which pytest shows where a test fails."""
    print(f"RTLOOM_SEED={SEED}")
    return np.random.default_rng(SEED)


def random_products(
    rng: np.random.Generator, operands: Config, shapes: Iterable[Shape]
) -> list[Product]:
    """Random A [m, k] and B [k, n] of the operands' widths for each (m, k, n)."""
    o = parameters_of(operands)
    return [
        (
            random_matrix(rng, m, k, o["width_a"], bool(o["signed_a"])),
            random_matrix(rng, k, n, o["width_b"], bool(o["signed_b"])),
        )
        for m, k, n in shapes
    ]


def parameters_of(config: Config) -> dict[str, int]:
    """Integers and flags of a config by the last part of their paths."""
    return {
        path.rpartition(".")[2]: value
        for path, _, value in parameters(config)
        if isinstance(value, int)
    }


def arrays_of(products: Sequence[Product]) -> Arrays:
    """Arrays of a bench's job."""
    return {
        f"{x}{i}": matrix for i, p in enumerate(products) for x, matrix in zip("ab", p, strict=True)
    }


class Edit(NamedTuple):
    """A change of emitted Verilog: a pattern that occurs once in one module, and its new text.

    The module is named by the start of its name; the replacement is as `re.sub` takes it.
    """

    module: str
    pattern: str
    replacement: str


def edited(emission: Emission, edits: Iterable[Edit]) -> Emission:
    """Apply changes to the Verilog of an emission."""
    text = emission.verilog
    for edit in edits:
        modules = re.findall(rf"^module {edit.module}.*?^endmodule", text, re.MULTILINE | re.DOTALL)
        assert len(modules) == 1, f"{len(modules)} modules are called {edit.module}..."
        changed, count = re.subn(edit.pattern, edit.replacement, modules[0])
        assert count == 1, f"{edit.pattern!r} occurs {count} times in {edit.module}..."
        assert changed != modules[0]
        text = text.replace(modules[0], changed)
    return replace(emission, verilog=text)


def build_in(
    folder: Path, emission: Emission, memories: Sequence[tuple[str, str]] = ()
) -> Simulator:
    """Build an emission from a folder of the test's own: other tests may use the same name."""
    verilog, _ = emission.write(folder)
    ports = [port["name"] for port in emission.description["ports"]]
    return build(verilog, emission.name, ports, memories)
