# amaranth: UnusedElaboratable=no
"""Look-up units: products of integer and of real weights, and what they refuse."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SEED, random_generator

from golden.lut import Planes, of_integers, product, quantize
from hw.catalog import DESIGNS
from hw.emit import emit
from hw.lut_engine import BLOCK, COLUMN, LEAD, LutEngine, LutEngineConfig
from pe.lut_builder import LutBuilder, LutBuilderConfig
from pe.lut_pe import LutPe, LutPeConfig
from scripts.network import train_digits
from sim.lut import program, results
from sim.packing import Matrix
from sim.simulate import run_operands

COUNT = 10_000
"""Cycles that a simulator has room for, the same as in other tests."""

ENGINES = [
    LutEngineConfig(layout=COLUMN),
    LutEngineConfig(layout=BLOCK, terms=2, width_exponent=3, rows_per_scale=4, planes=8, rows=4),
    LutEngineConfig(layout=COLUMN, mu=8, rows=8),
    LutEngineConfig(layout=BLOCK, mu=8, terms=2, rows_per_scale=4, rows=4),
]
Work = tuple[Planes, Matrix]


def run(config: LutEngineConfig, work: Sequence[Work], folder: Path) -> None:
    """Run products one after the other, and hold them to dense ones, and to their cycles."""
    design = DESIGNS["lut_engine"]
    programs = [program(config, weights, x) for weights, x in work]
    operands = {
        name: np.concatenate([p.operands[name] for p in programs]) for name in programs[0].operands
    }
    found = run_operands(design, config, folder, SEED, COUNT, operands=operands).arrays["sum"]
    bits = found.astype(np.int64).reshape(-1, config.rows, config.width_acc)
    weights = 1 << np.arange(config.width_acc)
    weights[-1] *= -1
    start = 0
    for (planes, x), each in zip(work, programs, strict=True):
        cycles = len(each.operands["load"])
        n, k = planes.bits.shape[1:]
        formula = LutEngine(config).cycles(x.shape[1], k, n, len(planes.bits))
        assert each.ends[-1, -1] + 1 == cycles == formula - LutEngine.latency
        got = results(config, each, bits[start : start + cycles] @ weights, n)
        assert np.array_equal(got, product(planes.bits, planes.scales, x))
        start += cycles


@pytest.mark.parametrize("config", ENGINES, ids=lambda config: f"{config.layout}-{config.mu}")
def test_int4_weights(config: LutEngineConfig, tmp_path: Path) -> None:
    """Signed weights, K and N no multiples of anything, and the extremes at the largest K."""
    rng = random_generator()
    weights, x = rng.integers(-8, 8, (13, 22)), rng.integers(-128, 128, (22, 3))
    planes = of_integers(weights + 8, 4, 8)
    assert np.array_equal(product(planes.bits, planes.scales, x), 2 * weights @ x)
    extremes = [
        (Planes(np.full((4, 3, 128), bit), np.full((4, 1, 1), scale)), np.full((128, 2), a))
        for bit, scale, a in [(0, 8, -128), (1, 8, -128), (1, -8, -128), (0, 8, 127)]
    ]
    run(config, [(planes, x), *extremes], tmp_path)


def test_every_width_and_zero_point(tmp_path: Path) -> None:
    """INT1 to INT8 on one engine, a zero point for each block of rows."""
    rng = random_generator()
    config = ENGINES[1]
    work = []
    for bits in range(1, 9):
        codes, x = rng.integers(0, 1 << bits, (5, 10)), rng.integers(-128, 128, (10, 2))
        zeros = np.repeat(rng.integers(1, 1 << bits, 2), config.rows_per_scale)[:5]
        planes = of_integers(codes, bits, zeros)
        assert np.array_equal(
            product(planes.bits, planes.scales, x), 2 * (codes - zeros[:, None]) @ x
        )
        work.append((planes, x))
    run(config, work, tmp_path)


def test_real_weights(tmp_path: Path) -> None:
    """A layer of a network as binary codes of 3 bits, in both layouts."""
    network = train_digits()
    layer = network.layers[0].weights.T[:16, :40].astype(np.float64)
    x = random_generator().integers(-128, 128, (40, 2))
    errors = []
    for config, rows, columns in ((ENGINES[0], 16, 1), (ENGINES[1], 4, 4)):
        form = {"width_exponent": config.width_exponent, "terms": config.terms}
        planes, unit = quantize(layer, 3, rows=rows, columns=columns, **form)
        decoded = ((2 * planes.bits - 1) * planes.scales).sum(axis=0)
        errors.append(np.linalg.norm(decoded * unit - layer) / np.linalg.norm(layer))
        assert np.array_equal(product(planes.bits, planes.scales, x), decoded @ x)
        run(config, [(planes, x)], tmp_path)
    assert errors[0] < 0.5 and errors[1] < 0.3


def test_a_block_of_all_rows_is_a_column(tmp_path: Path) -> None:
    """One bit, and a negative scale that all rows share: either layout computes it."""
    rng = random_generator()
    bits, x = rng.integers(0, 2, (1, 4, 8)), rng.integers(-128, 128, (8, 1))
    scales = np.repeat([[[-4, 0]]], 4, axis=2)
    for config in ENGINES[:2]:
        run(config, [(Planes(bits, scales), x)], tmp_path)


def test_the_published_number_of_additions() -> None:
    """10 for 4 activations, 134 for 8."""
    for mu, additions in ((4, 10), (8, 134)):
        verilog = emit(LutBuilder, LutBuilderConfig(mu=mu)).verilog
        text = "\n".join(x for x in verilog.splitlines() if not x.startswith("//"))
        assert text.count(" + ") + text.count(" - ") == additions


def test_widths() -> None:
    """s11 for 4 activations of s8, s12 for 8, and a bit less where -128 does not occur."""
    widths = [
        LutBuilderConfig(mu=mu, least=least).entry_shape.width
        for mu in (4, 8)
        for least in (True, False)
    ]
    assert widths == [11, 10, 12, 11]
    # W_a + 1 + ceil(log2 K) + shift + ceil(log2(planes * terms)) bits
    assert LutPeConfig(k_max=4096).width_acc == 8 + 1 + 12 + 3 + 2
    assert LutPe(LutPeConfig()).macs_per_cycle == 4
    assert LutEngine(LutEngineConfig()).macs_per_cycle == 32


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (LutBuilderConfig, {"mu": 5}, r"^mu: 5 is not one of 4, 8$"),
        (LutPeConfig, {"mu": 16}, r"^mu: 16 is not one of 4, 8$"),
        (LutPeConfig, {"planes": 0}, r"^planes: 0 is not in 1\.\.8$"),
        (LutPeConfig, {"planes": 9}, r"^planes: 9 is not in 1\.\.8$"),
        (LutPeConfig, {"width_exponent": 5}, r"^width_exponent: 5 is not in 1\.\.4$"),
        (LutPeConfig, {"terms": 4}, r"^terms: 4 is not in 0\.\.3$"),
        (LutEngineConfig, {"terms": 0}, r"^terms: 0 is not in 1\.\.3$"),
        (
            LutEngineConfig,
            {"layout": "column", "rows_per_scale": 2},
            r"^rows_per_scale: 2 is not 1, as layout=column allows$",
        ),
        (
            LutEngineConfig,
            {"rows_per_scale": 3},
            r"^rows_per_scale: 3 does not divide rows=8$",
        ),
        (LutEngineConfig, {"layout": "blok"}, r"^layout: 'blok' .* did you mean 'block'\?$"),
        (
            LutPeConfig,
            {"k_max": 1 << 31, "width_a": 16, "width_exponent": 4},
            r"^k_max: 2147483648 makes sums of 65 bits; at most 63 are allowed$",
        ),
    ],
    ids=str,
)
def test_bad_settings(config: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_bad_products() -> None:
    config = ENGINES[0]
    planes = Planes(np.ones((1, 2, 8), np.int64), np.ones((1, 1, 1), np.int64))
    x = np.ones((8, 1), np.int64)
    with pytest.raises(ValueError, match=r"^x: shape \(7, 1\) does not fit weights of 2 x 8$"):
        program(config, planes, x[:7])
    with pytest.raises(ValueError, match=r"^x\[0, 0\]: 128 "):
        program(config, planes, x * 128)
    with pytest.raises(ValueError, match=r"^scales: they differ where layout=column has one"):
        program(config, planes._replace(scales=np.array([[[1], [2]]])), x)
    with pytest.raises(ValueError, match=r"^scales: they differ where layout=block has one"):
        program(ENGINES[1], planes._replace(scales=np.arange(8).reshape(1, 1, 8)), x)
    with pytest.raises(ValueError, match=r"^scales: 16 is no sum of 1 signed powers of two"):
        program(config, planes._replace(scales=planes.scales * 16), x)
    long = Planes(np.ones((4, 1, 1024), np.int64), np.full((4, 1, 1), 8))
    with pytest.raises(ValueError, match=r"^k_max: 128 allows sums below 2\*\*20, this one may be"):
        program(config, long, np.ones((1024, 1), np.int64))
    assert LEAD == 2
