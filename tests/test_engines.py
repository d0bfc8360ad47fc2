# amaranth: UnusedElaboratable=no
"""Every GEMM engine of the catalogue against the golden model and its own cycle formula.

The bench checks each element of C, the flags and the stability of the rows and, where nothing
stalls, the cycles. Many products share one simulation, back to back, because starting a simulator
costs more than running it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    SEED,
    Product,
    config_of,
    designs,
    parameters_of,
    random_generator,
    random_products,
)

from golden.codes import numbers, products
from hw.broadcast import BroadcastConfig
from hw.catalog import DESIGNS, Design, Kind
from hw.engine import EngineConfig, GemmEngine
from pe.config import Config
from pe.element import INTEGER, PeConfig
from pe.registry import BROADCAST_PES
from sim.simulate import Outcome, run_products

DEPTH = 4
"""Rows of a tile, for engines where that is a parameter: M has more than one tile at once."""


@dataclass(frozen=True)
class Case:
    """Size and operands of an engine; `spare` bits more than its accumulator needs."""

    rows: int
    cols: int
    width_a: int
    width_b: int
    signed_a: bool
    signed_b: bool
    k_max: int
    spare: int = 0
    pe: str = "mac"
    lanes: int = 1
    digits: str = "booth"
    encoder_at: str = "pe"
    stages: int = 0

    def config(self, design: Design) -> Config:
        settings = {**vars(self), "width_acc": 0, "depth": DEPTH}
        least = parameters_of(config_of(design, **settings))["width_acc"]
        return config_of(design, **{**settings, "width_acc": self.spare + least})

    def __str__(self) -> str:
        signs = "".join("us"[signed] for signed in (self.signed_a, self.signed_b))
        options = f"{self.pe}-{self.digits}-{self.encoder_at}-{self.stages}"
        return f"{self.rows}x{self.cols}-{self.width_a}x{self.width_b}{signs}-{options}"


SIZES = [
    Case(1, 1, 8, 8, True, True, k_max=9),
    Case(1, 3, 2, 5, False, True, k_max=23),
    Case(4, 1, 16, 3, True, False, k_max=32),
    Case(4, 4, 8, 8, True, True, k_max=31, spare=10, lanes=3),
    Case(2, 5, 16, 16, True, True, k_max=24),
]
PE_CASES = [
    *(
        Case(3, 2, *operands, k_max=21, spare=4, pe=name, lanes=2)
        for name, pe in BROADCAST_PES.items()
        for operands in [
            (7, 5, False, False)
            if pe.format_a == pe.format_b == INTEGER
            else (pe().width_a, pe().width_b, True, True)
        ]
    ),
    Case(2, 3, 8, 8, True, True, 40, spare=11, pe="opt1", lanes=4, encoder_at="edge", stages=1),
    Case(3, 1, 8, 6, True, False, 17, pe="opt2", lanes=4, encoder_at="edge", stages=3),
    Case(1, 2, 8, 8, True, True, 17, pe="opt1", lanes=3, digits="ent", encoder_at="edge"),
    Case(2, 2, 5, 9, True, True, 20, pe="fused", lanes=2, digits="ent", stages=2),
    Case(4, 2, 8, 2, True, True, 21, pe="ternary_look_up", lanes=4),
    Case(6, 1, 3, 2, True, True, 40, pe="ternary_look_up", lanes=6),
]
ENGINES = [design.name for design in designs(Kind.GEMM_ENGINE) if not design.golden_cycles]
RECTANGULAR = [
    name
    for name in ENGINES
    if {"rows", "cols"} <= {*parameters_of(DESIGNS[name].config())} and name != "cube"
]
"""Engines of any rows and columns."""
ALIKE = {name for name in ENGINES if issubclass(DESIGNS[name].config, BroadcastConfig)} - {"cube"}
"""Engines of the generator of `cube`, which runs every PE; these run some."""


def pes_of(name: str) -> Mapping[str, type[PeConfig]]:
    config = DESIGNS[name].config()
    assert isinstance(config, EngineConfig)
    return config.pes


PAIRS = [
    (name, case)
    for name in ENGINES
    for case in [*(SIZES if name in RECTANGULAR else SIZES[:2]), *PE_CASES]
    if case.pe in pes_of(name) and (name not in ALIKE or case in (*SIZES, *PE_CASES[::4]))
]


def engine_of(design: Design, config: Config) -> GemmEngine:
    engine = design.component(config)
    assert isinstance(engine, GemmEngine)
    return engine


def extremes(width: int, signed: bool) -> tuple[int, int]:
    return (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)


def extreme_codes(form: str, width: int, signed: bool) -> list[int]:
    """Return the codes of the least and of the greatest number of a format."""
    low, high = extremes(width, signed)
    codes = np.arange(low, high + 1)
    values = numbers(codes, form, width)
    return [int(codes[values.argmin()]), int(codes[values.argmax()])]


def corners(case: Case, engine: GemmEngine, m: int, n: int) -> list[Product]:
    """All least and all greatest operands, as many as the accumulator must hold."""
    config = engine.config
    return [
        (np.full((m, case.k_max), a, np.int64), np.full((case.k_max, n), b, np.int64))
        for a in extreme_codes(config.format_a, case.width_a, case.signed_a)
        for b in extreme_codes(config.format_b, case.width_b, case.signed_b)
    ]


def products_of(case: Case, engine: GemmEngine) -> list[Product]:
    """Least products, edge tiles, whole tiles, K across the point of overlap, and extremes."""
    rng = random_generator()
    m, k, n = engine.tile_m, engine.slice_k, engine.tile_n
    shapes = [
        (1, 1, 1),
        (max(1, m - 1), 1, n + 1),
        (2 * m, min(2 * k, case.k_max), 2 * n),
        (m + 1, case.k_max, 2 * n + 1),
        (1, case.k_max, 3 * n),
        *((2 * m, size, n) for size in sorted({min(size, case.k_max) for size in range(1, 25, 4)})),
    ]
    shapes += [
        (
            int(rng.integers(1, 2 * m + 2)),
            int(rng.integers(1, case.k_max + 1)),
            int(rng.integers(1, 2 * n + 2)),
        )
        for _ in range(4)
    ]
    return random_products(rng, engine.config, shapes) + corners(case, engine, m + 1, n + 1)


def same_results(outcomes: list[Outcome]) -> None:
    first, *others = outcomes
    for other in others:
        assert first.arrays.keys() == other.arrays.keys()
        for name, matrix in first.arrays.items():
            assert np.array_equal(matrix, other.arrays[name]), name


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=str)
def test_products(name: str, case: Case, tmp_path: Path) -> None:
    """Each stall has a seed, and hence power-up values, of its own; none may show in C."""
    design = DESIGNS[name]
    config = case.config(design)
    products = products_of(case, engine_of(design, config))
    outcomes = [
        run_products(design, config, products, tmp_path / str(stall), SEED + i, stall)
        for i, stall in enumerate((0.0, 0.3, 0.7))
    ]
    assert len(outcomes[0].result["products"]) == len(products)
    same_results(outcomes)


@pytest.mark.parametrize("name", ENGINES)
def test_power_up_state_does_not_show(name: str, tmp_path: Path) -> None:
    case = SIZES[0]
    design = DESIGNS[name]
    config = case.config(design)
    products = products_of(case, engine_of(design, config))
    outcomes = [
        run_products(design, config, products, tmp_path / str(seed), seed) for seed in (1, 2, 3)
    ]
    same_results(outcomes)
    assert all(outcome.result == outcomes[0].result for outcome in outcomes)


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=str)
def test_extremes_reach_the_bound_of_the_accumulator(name: str, case: Case) -> None:
    """Or else the tests above do not say that it is wide enough."""
    engine = engine_of(DESIGNS[name], case.config(DESIGNS[name]))
    config, shape = engine.config, engine.config.pe_config.accumulator_shape
    forms = (config.format_a, config.format_b, case.width_a, case.width_b)
    sums = [int(products(a, b.T, *forms).sum()) for a, b in corners(case, engine, 1, 1)]
    low, high = extremes(shape.width - 1 - case.spare, shape.signed)
    assert min(sums) < low or max(sums) > high
