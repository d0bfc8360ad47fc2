"""What a design takes of an FPGA."""

from fnmatch import fnmatch

import pytest
from helpers import config_of
from test_commands import refused, run_json

from hw.catalog import DESIGNS
from hw.emit import emit
from scripts.fpga import FAMILIES, Family, resources

UNCOUNTED = ("CARRY4", "MUXF?", "SB_CARRY", "PFUMX", "L6MUX21")
"""Cells beside look-up tables, which take none."""


def known(family: Family) -> tuple[str, ...]:
    cells = (*family.luts, *family.flip_flops, *family.multipliers, *family.block_rams)
    return (*cells, *UNCOUNTED)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cell_is_counted(family: str) -> None:
    """An engine with memories of several sizes has look-up tables of both kinds, and more."""
    design = DESIGNS["ntt_engine"]
    config = config_of(design, size=256, modulus=7681, butterflies=2)
    found = resources(emit(design.component, config), FAMILIES[family])
    patterns = known(FAMILIES[family])
    assert [c for c in found.cells if not any(fnmatch(c, pattern) for pattern in patterns)] == []
    assert found.luts > found.memory_luts and found.flip_flops > 100
    assert found.multipliers >= 2
    assert found.block_rams + found.memory_luts > 0


def test_multiply_and_add_is_one_multiplier() -> None:
    design = DESIGNS["mac"]
    found = resources(emit(design.component, config_of(design)), FAMILIES["xilinx"])
    assert found.multipliers == found.cells["DSP48E1"] == 1 and found.block_rams == 0
    assert found.flip_flops == sum(n for cell, n in found.cells.items() if cell.startswith("FD"))
    assert found.luts < 8


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["mac", "-s", "width_a=2", "-s", "width_b=2", "-s", "width_acc=4", "--family", "ice40"]
    found = run_json(capsys, "fpga", *small)
    assert found["family"] == "ice40" and found["luts"] == found["cells"]["SB_LUT4"] > 4
    assert "family" in refused(capsys, "fpga", "mac", "--family", "virtex")
