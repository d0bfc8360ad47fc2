# amaranth: UnusedElaboratable=no
"""Shared scales of microscaling blocks: every magnitude of 15 bits, and random blocks."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import SEED, random_generator

from golden.float_operands import to_scale
from golden.formats import FORMATS
from golden.mx import scale_of
from hw.emit import emit
from pe.config import Config
from pe.mx import ELEMENTS
from pe.mx_scale import SCALE_RULES, SOURCES, MxScale, MxScaleConfig
from scripts.ppa.aig import Machine
from sim.runner import lint

SINGLE = [
    MxScaleConfig(source=source, format=name, scale_rule=rule, block=1)
    for source, name, rule in product(SOURCES, ELEMENTS, SCALE_RULES)
]
BLOCKS = [
    MxScaleConfig(),
    MxScaleConfig(source="fp32", format="mxint8", scale_rule="ceil", block=5),
    MxScaleConfig(source="fp16", format="e2m1", block=2),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    units = [(MxScale, config) for config in SINGLE + BLOCKS]
    return machines(units, tmp_path_factory.mktemp("mx_scale"))


def check(config: MxScaleConfig, machine: Machine, a: Column) -> Column:
    """Hold a unit to the golden model, and return the scales."""
    expected = scale_of(
        a,
        source=config.source,
        format=config.format,
        scale_rule=config.scale_rule,
        block=config.block,
    )
    wrong = differing(machine, {"a": a}, expected, {"a": FORMATS[config.source].width - 1})
    assert not wrong, a[wrong["scale"][:2]]
    return expected["scale"]


@pytest.mark.parametrize("config", SINGLE, ids=lambda config: config.name)
def test_every_magnitude(config: MxScaleConfig, built: Mapping[Config, Machine]) -> None:
    width = FORMATS[config.source].width
    codes = np.arange(2**15, dtype=np.int64)
    if width == 32:
        # All exponents with the ends of the mantissas, and with random ones.
        low = random_generator().choice([0, 0, 1, 2**15, 2**16 - 1, 12345], 2**15)
        codes = np.concatenate([codes << 16 | low, codes, codes | 0x7F0000, codes << 8])
    scales = check(config, built[config], codes)
    assert scales.min() == 0 and scales.max() == 255
    if config.source != "fp16":
        assert len(set(scales)) > 240


@pytest.mark.parametrize("config", BLOCKS, ids=lambda config: config.name)
def test_blocks(config: MxScaleConfig, built: Mapping[Config, Machine]) -> None:
    random_generator()
    kind = {"source": config.source, "format": config.format, "block": config.block}
    a = to_scale(20_000, SEED, **kind)["a"]  # type: ignore[arg-type]
    scales = check(config, built[config], a)
    for scale in (0, 255):
        assert 0.05 < np.mean(scales == scale) < 0.5


@pytest.mark.parametrize("config", SINGLE + BLOCKS, ids=lambda config: config.name)
def test_lint_has_nothing_to_say(config: MxScaleConfig, tmp_path: Path) -> None:
    verilog, _ = emit(MxScale, config).write(tmp_path)
    assert lint(verilog, config.name) == []


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^scale_rule: 'round' is not one of floor, ceil$"):
        MxScaleConfig(scale_rule="round")
    with pytest.raises(ValueError, match=r"^a: shape \(1, 3\) is not \[\.\.\., 2\]$"):
        scale_of([[0, 0, 0]], source="fp16", format="e2m1", scale_rule="floor", block=2)
