# amaranth: UnusedElaboratable=no
"""Every function unit of the catalogue against its golden model."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED, config_of, designs, random_generator

from hw.catalog import DESIGNS, Design, Kind
from pe.config import Config
from pe.gemv_unit import GemvUnitConfig
from sim.player import PlayerConfig, fields, is_exhaustive, sets
from sim.simulate import run_operands

UNITS = [design.name for design in designs(Kind.FUNCTION_UNIT)]
SMALL = [
    (name, config)
    for name in UNITS
    for config in dict.fromkeys(
        config_of(
            DESIGNS[name],
            width=5,
            signed=signed_a,
            width_a=4,
            width_b=4,
            width_acc=8,
            signed_a=signed_a,
            signed_b=signed_b,
        )
        for signed_a, signed_b in product((False, True), repeat=2)
    )
]


def tried(design: Design, config: Config, count: int) -> dict[str, object]:
    """Return what the bench says that it has tried, asked for `count` sets at most."""
    inputs, _ = fields(PlayerConfig(design.component, config, 1))
    return {"sets": sets(inputs, count), "exhaustive": is_exhaustive(inputs)}


@pytest.mark.parametrize("name", UNITS)
def test_default(name: str, tmp_path: Path) -> None:
    random_generator()
    design, config = DESIGNS[name], DESIGNS[name].config()
    outcome = run_operands(design, config, tmp_path, SEED, count=10_000)
    assert outcome.result == tried(design, config, 10_000)


@pytest.mark.parametrize(("name", "config"), SMALL, ids=str)
def test_small(name: str, config: Config, tmp_path: Path) -> None:
    """All operands, or long random sequences where the unit remembers them."""
    random_generator()
    outcome = run_operands(DESIGNS[name], config, tmp_path, SEED, count=1 << 14)
    assert outcome.result == tried(DESIGNS[name], config, 1 << 14)


@pytest.mark.parametrize("name", UNITS)
def test_mixed_widths(name: str, tmp_path: Path) -> None:
    random_generator()
    config = config_of(DESIGNS[name], width=16, width_a=2, width_b=16, width_acc=63, signed_a=False)
    run_operands(DESIGNS[name], config, tmp_path, SEED, count=5_000)


@pytest.mark.parametrize(
    "settings",
    [
        {"pe": "mac", "terms": 3},
        {"pe": "fused", "terms": 2, "stages": 1},
        {"pe": "opt1", "digits": "ent", "stages": 3, "width_acc": 63},
        {"pe": "opt2", "terms": 5, "signed_a": False, "width_acc": 23, "width_b": 5},
        {"pe": "mix", "signed_b": False, "stages": 1},
        {"pe": "mix", "digits": "bits", "terms": 3, "width_b": 6},
        {"pe": "ternary", "terms": 4},
        {"pe": "shift", "width_b": 4, "signed_a": False},
        {"pe": "switchable", "width_acc": 40},
        {"pe": "switchable", "width_acc": 30, "width_a": 5, "signed_a": False, "terms": 2},
        {"pe": "fp4", "terms": 2},
        {"pe": "fp8", "width_acc": 44},
        {"pe": "mitchell", "width_acc": 63},
        {"pe": "l_mul", "width_acc": 41, "terms": 3},
        {"pe": "w4a16", "width_acc": 51, "width_b": 5, "signed_b": False},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_pes(settings: dict[str, int | str], tmp_path: Path) -> None:
    """Several terms, pipelines, sums in carry-save form."""
    random_generator()
    design = DESIGNS["pe"]
    run_operands(design, config_of(design, **settings), tmp_path, SEED, count=10_000)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_gemv_units_of_floats(name: str, tmp_path: Path) -> None:
    random_generator()
    design = DESIGNS["gemv_unit"]
    run_operands(design, config_of(design, format=name, lanes=5), tmp_path, SEED, count=10_000)


def test_bits_of_integers_are_refused_for_floats() -> None:
    with pytest.raises(ValueError, match=r"^element_bits: 4 does not apply to format=bf16$"):
        GemvUnitConfig(format="bf16", element_bits=4)


@pytest.mark.parametrize(
    "settings",
    [
        {"words": 3, "width": 6, "signed": False, "counters": "4:2"},
        {"words": 4, "width": 5, "output": "kogge_stone", "schedule": "wallace"},
        {"words": 64, "width": 32, "output": "ripple"},
        {"words": 17, "width": 9, "counters": "4:2"},
    ],
    ids=lambda settings: "x".join(str(settings[size]) for size in ("words", "width")),
)
def test_compressor_trees(settings: dict[str, int | str], tmp_path: Path) -> None:
    random_generator()
    design = DESIGNS["compressor_tree"]
    config = config_of(design, **settings)
    outcome = run_operands(design, config, tmp_path, SEED, count=10_000)
    assert outcome.result == tried(design, config, 10_000)


def test_operands_of_ones_own_choice(tmp_path: Path) -> None:
    """They are played in order, and the bits of the outputs come back."""
    design = DESIGNS["compressor_tree"]
    config = config_of(design, words=3, width=4)
    words = random_generator().integers(-8, 8, (100, 3))
    outcome = run_operands(design, config, tmp_path, SEED, 100, operands={"a": words})
    rows = outcome.arrays["sum"].reshape(100, 2, 6) << np.arange(6)
    sums = words.sum(axis=1)
    assert np.array_equal(rows.sum(axis=(1, 2)) % 64, sums % 64)


def test_some_unit_is_tried_on_all_operands_and_some_remembers_them() -> None:
    """Or else a test above says less than it seems to."""
    inputs = [
        fields(PlayerConfig(DESIGNS[name].component, config_of(DESIGNS[name], width_acc=32), 1))[0]
        for name in UNITS
    ]
    remembers = [any(f.name == "i_valid" for f in ports) for ports in inputs]
    assert any(remembers) and not all(remembers)
