# amaranth: UnusedElaboratable=no
"""Dot products of microscaling blocks: every product of two elements, and 10**5 blocks a pair.

Units are evaluated as and-inverter graphs; some of the blocks go through the bench as well.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import SEED, random_generator

from golden.float_operands import random_blocks
from golden.formats import FORMATS as GOLDEN_FORMATS
from golden.formats import greatest_code
from golden.mx import accumulate, dot, grid, products
from hw.catalog import DESIGNS
from hw.emit import emit
from pe.config import Config
from pe.mx import (
    ELEMENTS,
    MxDot,
    MxDotConfig,
    MxPairConfig,
    MxProduct,
    element,
    largest_integer,
)
from pe.mx import grid as grid_of
from pe.mx_accumulate import MxAccumulatorConfig
from scripts.ppa.aig import Machine
from sim.runner import lint
from sim.simulate import run_operands

SETS = 10**5
PAIRS = [MxPairConfig(format_a=a, format_b=b) for a, b in product(ELEMENTS, repeat=2)]
DOTS = [
    *(MxDotConfig(format_a=name, format_b=name) for name in ELEMENTS),
    MxDotConfig(format_a="e4m3", format_b="e2m1"),
    MxDotConfig(format_a="mxint8", format_b="e5m2"),
    MxDotConfig(format_a="e2m3", format_b="e3m2", block=5),
    MxDotConfig(format_a="e5m2", format_b="e4m3", block=2),
    MxDotConfig(format_a="e5m2", format_b="e5m2", block=64),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    pairs = [(MxProduct, config) for config in PAIRS]
    dots = [(MxDot, config) for config in DOTS]
    return machines([*pairs, *dots], tmp_path_factory.mktemp("mx"))


@pytest.mark.parametrize("config", PAIRS, ids=lambda config: config.name)
def test_every_product(config: MxPairConfig, built: Mapping[Config, Machine]) -> None:
    widths = {"a": element(config.format_a).width, "b": element(config.format_b).width}
    count = 1 << sum(widths.values())
    a, b = np.divmod(np.arange(count, dtype=np.int64), 1 << widths["b"])
    found = products(a, b, format_a=config.format_a, format_b=config.format_b)
    nan, infinite = found["nan"] == 1, found["infinite"] == 1
    assert infinite.any() == ("e5m2" in (config.format_a, config.format_b))
    expected = {
        "product": found["product"],
        "nan": found["nan"],
        "plus": infinite & (found["negative"] == 0),
        "minus": infinite & (found["negative"] == 1),
    }
    wrong = differing(built[config], {"a": a, "b": b}, expected, widths)
    # A product of NaN or infinity is anything, and an infinite one may be NaN as well.
    assert not len(set(wrong.pop("product", np.array([]))) - set(np.flatnonzero(nan | infinite)))
    assert all(nan[sets].all() for sets in wrong.values()) and "nan" not in wrong


@pytest.mark.parametrize("config", DOTS, ids=lambda config: config.name)
def test_blocks(config: MxDotConfig, built: Mapping[Config, Machine]) -> None:
    rng = random_generator()
    blocks = random_blocks(rng, config.format_a, config.format_b, SETS, config.block)
    expected = dot(*blocks, format_a=config.format_a, format_b=config.format_b)
    code = expected["sum"]
    nans = np.mean(code == 0x7FC00000)
    assert 0 < nans < 0.5
    exponent = code >> 23 & 255
    subnormal = (exponent == 0) & (code & 0x7FFFFF > 0)
    for kind in (code == 0, code == 1 << 31, subnormal, exponent == 255, exponent == 254):
        assert kind.any()
    widths = {
        "a": element(config.format_a).width,
        "b": element(config.format_b).width,
        "scale_a": 8,
        "scale_b": 8,
    }
    wrong = differing(built[config], blocks._asdict(), expected, widths)
    assert not wrong, [x[wrong["sum"][0]] for x in blocks]


@pytest.mark.parametrize("config", DOTS[:2], ids=lambda config: config.name)
def test_blocks_in_the_bench(config: MxDotConfig, tmp_path: Path) -> None:
    rng = random_generator()
    blocks = random_blocks(rng, config.format_a, config.format_b, 20_000, config.block)
    operands: dict[str, Column] = blocks._asdict()
    outcome = run_operands(DESIGNS["mx_dot"], config, tmp_path, SEED, 20_000, operands=operands)
    assert outcome.result["sets"] == 20_000


@pytest.mark.parametrize(
    "config",
    [
        MxAccumulatorConfig(),
        MxAccumulatorConfig(format_a="mxint8", format_b="e2m1", block=8),
        MxAccumulatorConfig(format_a="e5m2", format_b="e4m3", block=3),
    ],
    ids=lambda config: config.name,
)
def test_running_sums(config: MxAccumulatorConfig, tmp_path: Path) -> None:
    """Blocks of all kinds, of which few keep a sum from being finite."""
    rng, count = random_generator(), 20_000
    blocks = random_blocks(rng, config.format_a, config.format_b, count, config.block)
    near = [rng.integers(115, 125, count) for _ in range(2)]
    blocks = blocks._replace(scale_a=near[0], scale_b=near[1])
    dots = dot(*blocks, format_a=config.format_a, format_b=config.format_b)["sum"]
    likely = np.where(dots >> 23 & 255 == 255, 0.02, 0.7)
    operands: dict[str, Column] = {
        **blocks._asdict(),
        "clear": (rng.random(count) < 0.1).astype(np.int64),
        "i_valid": (rng.random(count) < likely).astype(np.int64),
    }
    sums = accumulate(**operands, format_a=config.format_a, format_b=config.format_b)["sum"]
    assert (sums >> 23 & 255 < 255).mean() > 0.4 and len(set(sums)) > 2000
    outcome = run_operands(
        DESIGNS["mx_accumulator"], config, tmp_path, SEED, count, operands=operands
    )
    assert outcome.result["sets"] == count


@pytest.mark.parametrize("config", DOTS, ids=lambda config: config.name)
def test_lint_has_nothing_to_say(config: MxDotConfig, tmp_path: Path) -> None:
    verilog, _ = emit(MxDot, config).write(tmp_path)
    assert lint(verilog, config.name) == []


@pytest.mark.parametrize(
    ("config", "width"),
    [("e2m1", 9), ("e2m3", 13), ("e3m2", 19), ("e4m3", 37), ("e5m2", 65), ("mxint8", 16)],
)
def test_published_widths_of_products(config: str, width: int) -> None:
    assert MxPairConfig(format_a=config, format_b=config).shape.width == width


def test_a_product_is_one_module() -> None:
    instances = emit(MxDot, MxDotConfig(block=7)).description["instances"]
    assert instances["mx_product_e4m3_e4m3"] == 7


@pytest.mark.parametrize("name", ELEMENTS)
def test_both_tables_have_the_same_grids(name: str) -> None:
    found = element(name)
    assert grid_of(found) == grid(name)
    largest = greatest_code(name) + (GOLDEN_FORMATS[name].kind == "integer")
    ones = np.array([1])
    (product_of_largest,) = products(
        np.array([largest]), ones, format_a=name, format_b="mxint8"
    )["product"]  # fmt: skip
    assert abs(product_of_largest) == largest_integer(found)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format_b: 'fp16' is not one of e4m3, "):
        MxDotConfig(format_b="fp16")
    with pytest.raises(ValueError, match=r"^block: 65 is not in 2\.\.64$"):
        MxDotConfig(block=65)
