"""Verilator's -Wall has nothing to say about any emitted design."""

from pathlib import Path

import pytest
from helpers import config_of, designs, parameters_of

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from hw.presets import PRESETS
from pe.config import Config
from pe.registry import BROADCAST_PES, PES
from pe.unit import Unit
from sim.runner import lint

LARGEST = 32
"""Rows or columns; linting 256 x 256 takes minutes, and tells no more about the same modules."""

WITH_ARRAY = [name for name in DESIGNS if "rows" in parameters_of(DESIGNS[name].config())]


def warnings(unit_class: type[Unit], config: object, folder: Path) -> list[str]:
    emission = emit(unit_class, config)
    verilog, _ = emission.write(folder)
    return lint(verilog, emission.name)


def small(config: Config) -> bool:
    values = parameters_of(config)
    return max(values.get("rows", 1), values.get("cols", 1)) <= LARGEST


@pytest.mark.parametrize("name", DESIGNS)
def test_default(name: str, tmp_path: Path) -> None:
    config = DESIGNS[name].config()
    assert small(config)
    assert warnings(DESIGNS[name].component, config, tmp_path) == []


@pytest.mark.parametrize("name", WITH_ARRAY)
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 5), (5, 1), (3, 2)])
def test_sizes(name: str, rows: int, cols: int, tmp_path: Path) -> None:
    """With the least tile and memories, widths that differ, and one unsigned operand."""
    config = config_of(
        DESIGNS[name],
        rows=rows,
        cols=cols,
        width_a=3,
        width_b=16,
        signed_a=False,
        depth=2,
        depth_a=2,
        depth_b=3,
        depth_c=2,
    )
    assert warnings(DESIGNS[name].component, config, tmp_path) == []


@pytest.mark.parametrize("twiddles", ["stored", "generated"])
@pytest.mark.parametrize("geometry", ["in_place", "constant"])
@pytest.mark.parametrize(
    ("size", "butterflies", "limbs", "slots"), [(16, 2, 3, 1), (32, 4, 1, 3), (16, 8, 1, 2)]
)
def test_transforms(
    size: int,
    butterflies: int,
    limbs: int,
    slots: int,
    geometry: str,
    twiddles: str,
    tmp_path: Path,
) -> None:
    config = config_of(
        DESIGNS["ntt_engine"],
        modulus=12289,
        size=size,
        butterflies=butterflies,
        limbs=limbs,
        slots=slots,
        geometry=geometry,
        twiddles=twiddles,
    )
    assert warnings(DESIGNS["ntt_engine"].component, config, tmp_path) == []


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str, tmp_path: Path) -> None:
    design = DESIGNS[PRESETS[name].design]
    settings = dict(PRESETS[name].settings)
    if not small(design.config.from_settings(settings)):
        settings |= {"rows": 12, "cols": 12}
    config = design.config.from_settings(settings)
    assert warnings(design.component, config, tmp_path) == []


@pytest.mark.parametrize("name", [design.name for design in designs(Kind.FUNCTION_UNIT)])
@pytest.mark.parametrize("signed", [False, True])
def test_function_units(name: str, signed: bool, tmp_path: Path) -> None:
    config = config_of(
        DESIGNS[name],
        width=7,
        signed=signed,
        width_a=2,
        width_b=7,
        width_acc=9,
        signed_a=signed,
        signed_b=signed,
    )
    assert warnings(DESIGNS[name].component, config, tmp_path) == []


@pytest.mark.parametrize("pe", BROADCAST_PES)
def test_processing_elements(pe: str, tmp_path: Path) -> None:
    """By itself, one product a step, where there is such a PE; several in an engine."""
    for design in (DESIGNS["pe"], DESIGNS["cube"])[pe not in PES :]:
        config = config_of(design, pe=pe, rows=2, cols=2, width_acc=60)
        assert warnings(design.component, config, tmp_path) == []
