# amaranth: UnusedElaboratable=no
"""A transform on an INT8 array: systolic array, merge and short reduction, pointwise product."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import SEED, config_of, random_generator

from golden.ntt import Ring
from hw.catalog import DESIGNS
from hw.systolic_modular import SystolicModularConfig
from pe.barrett import BarrettConfig
from pe.bat import BatReduceConfig
from scripts.cli import main
from sim.modular_array import ByteArray, LanedArray, ModularArray, ModularUnits, on_butterflies

RING = Ring.of(12289, 64)
CORE = {"array.rows": 4, "array.cols": 4, "depth_a": 512, "depth_b": 512, "depth_c": 512}


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_the_array_and_the_butterflies_agree(signed: bool, tmp_path: Path) -> None:
    """Forward and inverse, with digits of 7 bits on signed bytes and of 8 on unsigned ones."""
    a = random_generator().integers(0, RING.modulus, RING.size)
    settings = {**CORE, "array.signed_a": signed, "array.signed_b": signed}
    core = DESIGNS["gemm_core"].config.from_settings(settings)
    array = ModularArray(ByteArray(core, ModularUnits(tmp_path, SEED)), RING)
    values = array.forward(a, rows=8)
    assert (values == RING.forward(a)).all()
    assert (array.inverse(values, rows=8) == a).all()
    engine = config_of(DESIGNS["ntt_engine"], modulus=RING.modulus, size=RING.size, butterflies=4)
    assert (on_butterflies(engine, a, tmp_path, SEED) == values).all()
    assert (on_butterflies(engine, values, tmp_path, SEED, inverse=True) == a).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 4, "cols": 6, "pe": "opt1"},
        {"rows": 6, "cols": 4, "signed_a": False, "signed_b": False, "reducer": "word_montgomery"},
    ],
    ids=str,
)
def test_an_array_with_lanes(settings: dict[str, Any], tmp_path: Path) -> None:
    """In one netlist, the factors between the two passes of a transform at its edge."""
    a = random_generator().integers(0, RING.modulus, RING.size)
    config = config_of(DESIGNS["systolic_modular"], modulus=RING.modulus, k_max=16, **settings)
    assert isinstance(config, SystolicModularConfig)
    array = LanedArray(config, RING, tmp_path, SEED)
    values = array.forward(a, rows=8)
    assert (values == RING.forward(a)).all()
    assert (array.inverse(values, rows=8) == a).all()
    assert len(array.steps) == 4


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, error in (
        (["--n", "48"], "n: 48 is not a power of two"),
        (["--n", "64", "--modulus", "195"], "modulus: 195 is not prime; near it, for size=64: "),
        (["--n", "8", "--butterflies", "8"], "butterflies: 8 is not in 1..4, half of size=8"),
    ):
        assert main(["cross", *arguments]) == 2
        assert error in capsys.readouterr().err
    assert main(["cross", "--n", "16", "--modulus", "193", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert all(figures["equal"].values())
    assert [s["unit"] for s in figures["steps"]].count("gemm_core") == 4


def test_short_reduction() -> None:
    """Of 256 products of 28 bits, the factors of the quotient have 20 bits."""
    config = BatReduceConfig(modulus=268369921, terms=256)
    excess = config.merged_bits - config.bits
    assert (config.digits, excess) == (4, 18)
    assert (excess + 2, config.alpha + 1) == (20, 20)
    assert config.reduction.corrections == 1
    assert config.latency < BarrettConfig(modulus=268369921).latency + 1
