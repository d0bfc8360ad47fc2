# amaranth: UnusedElaboratable=no
"""The array of group-quantised weights against the golden model and its own cycle formula.

As in `test_engines`, many products share one simulation, back to back.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SEED, Product, random_generator, random_products

from golden.codes import numbers
from hw.catalog import DESIGNS
from hw.grouped import GroupedConfig, SystolicGrouped
from pe.element import INTEGER, extremes
from sim.gemm_golden import golden_product
from sim.grouping import random_groups
from sim.packing import Matrix
from sim.results import SimulationError
from sim.simulate import run_products

DESIGN = DESIGNS["systolic_grouped"]
STALLS = (0.0, 0.3, 0.7)

Grouped = tuple[Matrix, ...]
"""A, B, scales and zero points."""


@dataclass(frozen=True)
class Case:
    """Settings of an array."""

    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, **settings: Any) -> "Case":
        return cls(tuple(settings.items()))

    @property
    def config(self) -> GroupedConfig:
        return GroupedConfig(**dict(self.settings))

    def __str__(self) -> str:
        return "-".join(str(value) for _, value in self.settings)


UNSIGNED: dict[str, Any] = {"signed_b": False, "signed_zero": False}
SIGNED: dict[str, Any] = {"signed_b": True, "signed_zero": True}
CASES = [
    Case.of(rows=1, cols=1, group=1, k_max=9, **UNSIGNED),
    Case.of(rows=2, cols=1, group=3, k_max=9, width_zero=1, signed_a=False, signed_b=False),
    Case.of(rows=1, cols=3, group=4, k_max=23, pe="mac", width_b=5, signed_a=False, **SIGNED),
    Case.of(rows=4, cols=1, group=64, k_max=40, width_a=16, width_scale=16, **UNSIGNED),
    # The sums of a group take 9 cycles to leave.
    *(Case.of(rows=3, cols=2, group=group, k_max=50, **UNSIGNED) for group in (8, 9, 10)),
    Case.of(rows=3, cols=2, group=5, k_max=30, mode="power_of_two", **SIGNED),
    Case.of(rows=1, cols=2, group=3, k_max=30, mode="power_of_two", width_scale=5, width_zero=7),
    Case.of(rows=3, cols=2, group=5, k_max=30, mode="float", **UNSIGNED),
    Case.of(rows=2, cols=3, group=2, k_max=12, mode="float", width_a=16, width_b=7, pe="fused"),
    Case.of(rows=3, cols=1, group=6, k_max=20, pe="opt1", encoder_at="edge", stages=1, width_a=6),
    Case.of(rows=2, cols=2, group=7, k_max=20, pe="ternary", signed_a=False),
    Case.of(rows=2, cols=2, group=7, k_max=20, pe="shift", mode="float"),
]


def corners(config: GroupedConfig) -> list[Grouped]:
    """Everything at one of its ends, as many products as totals must hold."""
    m, k, n = config.rows + 1, config.k_max, config.cols + 1
    codes = np.arange(*extremes(config.width_b, config.signed_b))
    codes = np.append(codes, codes[-1] + 1)
    values = numbers(codes, config.format_b, config.width_b)
    ends_b = int(codes[values.argmin()]), int(codes[values.argmax()])
    ends_a = extremes(config.width_a, config.signed_a)
    ends_zero = extremes(config.zero_shape.width, config.signed_zero)
    scale = 0x42FF0123 if config.mode == "float" else (1 << config.width_scale) - 1
    groups = -(-k // config.group)
    return [
        (
            np.full((m, k), a),
            np.full((k, n), b),
            np.full((groups, n), scale),
            np.full((groups, n), zero),
        )
        for a, b, zero in itertools.product(ends_a, ends_b, ends_zero)
    ]


def with_specials(product: Grouped) -> Grouped:
    """Take zeros, subnormals, infinities and NaN as scales, and a row of A that is zero."""
    a, b, scales, zeros = (x.copy() for x in product)
    codes = [0, 1 << 31, 1, 0x80000001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0xFFC00001]
    scales[:] = np.resize(np.array(codes), scales.shape[::-1]).T
    a[0] = 0
    return a, b, scales, zeros


def products_of(config: GroupedConfig) -> list[Grouped]:
    """Least products, edge tiles, K below, at and above whole groups, and extremes."""
    rng = random_generator()
    rows, cols, most = config.rows, config.cols, config.k_max
    sizes = {1, 2, config.group - 1, config.group, config.group + 1, 2 * config.group, most - 1}
    shapes = [(2 * rows + 1, k, cols + 1) for k in sorted(sizes) if 0 < k <= most]
    shapes += [(1, 1, 1), (rows, most, 3 * cols), (max(1, rows - 1), most, 1)]
    plain: list[Product] = random_products(rng, config, shapes)
    found: list[Grouped] = [
        (a, b, *random_groups(config, b.shape[0], b.shape[1], SEED)) for a, b in plain
    ]
    if config.mode == "float":
        found += [with_specials(product) for product in found[-2:]]
    return found + corners(config)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products(case: Case, tmp_path: Path) -> None:
    """Each stall has a seed, and hence power-up values, of its own; none may show in C."""
    config = case.config
    products = products_of(config)
    first, *others = (
        run_products(DESIGN, config, products, tmp_path / str(stall), SEED + i, stall)
        for i, stall in enumerate(STALLS)
    )
    assert len(first.arrays) == len(products)
    for other in others:
        for name, matrix in first.arrays.items():
            assert np.array_equal(matrix, other.arrays[name]), name


FULL = [
    Case.of(rows=4, cols=4, **UNSIGNED),
    Case.of(rows=4, cols=4, digits="bits", **SIGNED),
    Case.of(rows=4, cols=4, pe="mac", width_a=8, width_b=4, signed_b=True, signed_zero=False),
]


@pytest.mark.parametrize("case", FULL, ids=str)
def test_ten_thousand_groups_of_128(case: Case, tmp_path: Path) -> None:
    """W4A8 with every zero point, and extremes, without pauses: in the cycles of the formula."""
    rng = random_generator()
    config = case.config
    assert (config.group, config.width_a, config.zero_shape.width) == (128, 8, 4)
    m, groups, n = 25, 25, 16
    ((a, b),) = random_products(rng, config, [(m, 128 * groups, n)])
    _, high = extremes(config.width_a, config.signed_a)
    a[0], a[1], a[2, ::2] = high, -high - 1, high
    low, high = extremes(config.width_b, config.signed_b)
    b[:, 0], b[:, 1], b[::2, 2] = low, high, high
    low, high = extremes(config.zero_shape.width, config.signed_zero)
    zeros = rng.permutation(np.resize(np.arange(low, high + 1), groups * n)).reshape(groups, n)
    scales, _ = random_groups(config, 128 * groups, n, SEED)
    outcome = run_products(DESIGN, config, [(a, b, scales, zeros)], tmp_path, SEED)
    assert m * groups * n == 10_000 and len(np.unique(zeros)) == 16
    (product,) = outcome.result["products"]
    assert product["cycles"] == SystolicGrouped(config).cycles(m, 128 * groups, n)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_extremes_reach_the_bound_of_the_totals(case: Case) -> None:
    """Or else the test above does not say that they are wide enough."""
    config = case.config
    if config.mode == "float":
        return
    totals = [golden_product(config, *product) for product in corners(config)]
    low, high = extremes(config.width_acc - 1, True)
    assert min(x.min() for x in totals) < low or max(x.max() for x in totals) > high


def test_widths() -> None:
    """W4A8 with groups of 128, by hand: 19 bits of a sum, 15 of a row sum."""
    config = GroupedConfig(k_max=4096, **UNSIGNED)
    assert config.pe_config.accumulator_shape.width == config.difference_shape.width == 19
    assert config.row_sum_shape.width == 15
    assert config.width_acc == 8 + 1 + 4 + 8 + 12 - 1
    assert GroupedConfig(mode="power_of_two", k_max=4096).width_acc == 8 + 4 + 15 + 12
    assert GroupedConfig(mode="float").width_acc == 32


def test_groups_longer_than_k_max_are_not_paid_for() -> None:
    long, short = (GroupedConfig(group=group, k_max=32) for group in (1024, 32))
    assert long.difference_shape == short.difference_shape
    assert long.row_sum_shape == short.row_sum_shape


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": 0}, "group: 0 is not in 1..1024"),
        ({"mode": "int"}, "mode: 'int' is not one of integer, power_of_two, float"),
        ({"pe": "fp4"}, "pe: 'fp4' is not one of mac, fused, opt1, opt2, mix, ternary, shift"),
        ({"width_zero": 17}, "width_zero: 17 is not in 0..16"),
        ({"width_scale": 17}, "width_scale: 17 is not in 1..16, as mode=integer allows"),
        (
            {"width_scale": 6, "mode": "power_of_two"},
            "width_scale: 6 is not in 1..5, as mode=power_of_two allows",
        ),
        ({"width_scale": 8, "mode": "float"}, "width_scale: 8 is not 32, as mode=float allows"),
        ({"width_acc": 40, "mode": "float"}, "width_acc: 40 is not 32, as mode=float allows"),
        (
            {"mode": "float", "width_b": 16},
            "mode: 'float' does not hold differences of 31 bits, as group=128 and A of 8 bits make",
        ),
        (
            {"mode": "power_of_two", "width_scale": 5, "k_max": 1 << 31},
            "width_scale: 5 makes elements of C of 74 bits with k_max=2147483648 and mode=",
        ),
        ({"width_acc": 20}, "width_acc: 20 is not in 36..63, the bits that k_max=65536 products"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        GroupedConfig(**settings)
    assert "\n" not in str(error.value)


def test_zero_points_out_of_range_are_refused(tmp_path: Path) -> None:
    config = GroupedConfig(rows=1, cols=1, group=1, k_max=9, **UNSIGNED)
    one = np.ones((1, 1), np.int64)
    message = re.escape("zeros[0, 0]: 16 is not in 0..15 (4-bit unsigned)")
    with pytest.raises((SimulationError, ValueError), match=message):
        run_products(DESIGN, config, [(one, one, one, 16 * one)], tmp_path)


def test_formula_is_in_words() -> None:
    engine = SystolicGrouped(GroupedConfig(rows=3, cols=2, group=5))
    names = {"tiles": 4 * 3, "groups": 3, "first": 5, "last": 2}
    formula = engine.cycle_formula.partition(", tiles")[0]
    assert eval(formula, {"max": max}, names) == engine.cycles(10, 12, 5)


def test_pes_take_integers_of_a() -> None:
    assert all(pe.format_a == INTEGER for pe in GroupedConfig.pes.values())
