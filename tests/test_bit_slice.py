# amaranth: UnusedElaboratable=no
"""Bit-slice engines: bit-exact, and in exactly the cycles that the golden model counts."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED, Product, config_of, random_generator, random_products

from golden.gemm import integer_range
from hw.bit_slice import SLICE_PES, BitSlice, BitSliceConfig
from hw.catalog import DESIGNS
from hw.emit import emit
from pe.element import accumulator_bits
from scripts.ppa.operands import Operands
from scripts.ppa.workload import variable_rate
from sim.gemm_golden import golden_cycles
from sim.simulate import Outcome, build_design, run_products

DESIGN = DESIGNS["bit_slice"]


@dataclass(frozen=True)
class Case:
    """Size, PE and operands of an engine; its accumulator has no bit to spare."""

    pe: str
    rows: int = 3
    lanes: int = 0
    width_a: int = 8
    width_b: int = 8
    signed_a: bool = True
    signed_b: bool = True
    k_max: int = 40
    digits: str = "csd"
    stages: int = 1

    @property
    def config(self) -> BitSliceConfig:
        bits = accumulator_bits(
            self.k_max, self.width_a, self.width_b, self.signed_a, self.signed_b
        )
        config = config_of(DESIGN, **vars(self), width_acc=bits)
        assert isinstance(config, BitSliceConfig)
        return config

    def __str__(self) -> str:
        return self.config.name


CASES = [
    *(Case(pe) for pe in SLICE_PES),
    *(Case(pe, rows=1, stages=0) for pe in SLICE_PES),
    Case("opt3", width_a=5, width_b=7, signed_a=False, digits="booth", stages=2),
    Case("opt4c", rows=5, width_a=16, width_b=16, digits="ent"),
    Case("opt4c", width_a=3, width_b=2, signed_b=False),
    Case("opt4e", rows=4, lanes=3, width_a=7, width_b=5, signed_a=False, signed_b=False),
    Case("opt4e", lanes=1, width_b=9, digits="booth", stages=2),
    Case("opt4e", lanes=7, width_a=2, width_b=2, digits="ent"),
    Case("laconic", lanes=2, width_a=5, width_b=7, signed_b=False, stages=2),
    Case("laconic", lanes=5, width_a=2, width_b=9, signed_a=False),
]


def products_of(case: Case) -> list[Product]:
    """Sizes that are no multiples, no digits at all, the most there are, and the extremes."""
    rng = random_generator()
    config = case.config
    m, k = config.rows, config.lanes
    shapes = [
        (1, 1, 1),
        (max(1, m - 1), 1, 4),
        (2 * m, min(2 * k, case.k_max), 3),
        (m + 1, case.k_max, 5),
        (m + 2, max(1, k - 1), 2),
        (1, min(k + 1, case.k_max), 7),
    ]
    products = random_products(rng, config, shapes)
    ends_a, ends_b = (
        integer_range(w, s)
        for w, s in ((case.width_a, case.signed_a), (case.width_b, case.signed_b))
    )
    # 0101... has as many non-zero digits as there can be.
    dense = [int("01" * (end.bit_length() + 1 >> 1), 2) & end for end in (ends_a[1], ends_b[1])]
    for a, b in [
        (0, 0),
        (0, dense[1]),
        (dense[0], 0),
        dense,
        *np.dstack(np.meshgrid(ends_a, ends_b)).reshape(-1, 2).tolist(),
    ]:
        products.append(
            (np.full((m + 1, case.k_max), a, np.int64), np.full((case.k_max, 2), b, np.int64))
        )
    # Beats of all and of no digits take turns.
    a, b = products[-5]
    b = b * (np.arange(len(b)) // k % 2)[:, None]
    return [*products, (a, b)]


def runs(case: Case, folder: Path, *stalls: float) -> list[Outcome]:
    """Each stall has a seed, and hence power-up values, of its own."""
    products = products_of(case)
    simulator = build_design(DESIGN, case.config)
    return [
        run_products(
            DESIGN, case.config, products, folder / str(i), SEED + i, stall, simulator=simulator
        )
        for i, stall in enumerate(stalls)
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products(case: Case, tmp_path: Path) -> None:
    """The bench holds C to the golden product and, without stalls, cycles to the golden ones."""
    first, *others = runs(case, tmp_path, 0.0, 0.3, 0.9)
    engine = BitSlice(case.config)
    for found, (a, b) in zip(first.result["products"], products_of(case), strict=True):
        assert found["cycles"] == golden_cycles(DESIGN, engine, a, b)
        assert found["cycles"] <= engine.cycles(a.shape[0], a.shape[1], b.shape[1])
    for other in others:
        assert first.arrays.keys() == other.arrays.keys()
        assert all(np.array_equal(c, other.arrays[name]) for name, c in first.arrays.items())


@pytest.mark.parametrize("pe", SLICE_PES)
def test_power_up_state_does_not_show(pe: str, tmp_path: Path) -> None:
    first, *others = runs(Case(pe), tmp_path, 0.0, 0.0, 0.0)
    assert all(other.result == first.result for other in others)


def test_most_cycles_are_reached() -> None:
    for pe in ("opt3", "opt4c", "opt4e", "laconic"):
        engine = BitSlice(Case(pe).config)
        a, b = np.full((3, 32), 85), np.full((32, 2), 85)
        assert golden_cycles(DESIGN, engine, a, b) == engine.cycles(3, 32, 2)


def test_sparse_operands_are_faster() -> None:
    for pe in SLICE_PES:
        config = Case(pe, rows=16, k_max=512).config
        rates = [
            variable_rate(DESIGN, config, Operands.parse(text))
            for text in ("uniform", "normal:30", "normal:10")
        ]
        macs = [rate.macs_per_cycle for rate in rates if rate is not None]
        assert len(macs) == 3 and macs == sorted(macs)
        assert macs[-1] < BitSlice(config).macs_per_cycle


def test_encoders_are_shared_but_in_opt3() -> None:
    for pe, count in (("opt3", 5), ("opt4c", 1), ("opt4e", 1)):
        instances = emit(BitSlice, Case(pe, rows=5).config).description["instances"]
        found = [n for name, n in instances.items() if name.startswith("sparse_encoder_")]
        assert found == [count]
        assert [n for name, n in instances.items() if name.startswith("cell_")] == [5]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pe": "opt4d"}, "pe: 'opt4d' is not one of opt3, opt4c, opt4e, laconic; did you mean"),
        ({"pe": "opt4c", "lanes": 2}, "lanes: 2 is not in 1..1, the elements of K that pe=opt4c"),
        ({"pe": "opt4e", "lanes": 17}, "lanes: 17 is not in 1..16, the elements of K that pe="),
        ({"lanes": 65}, "lanes: 65 is not in 1..16"),
        ({"digits": "bits"}, "digits: 'bits' is not one of booth, ent, csd"),
        ({"pe": "laconic", "digits": "ent"}, "digits: 'ent' does not apply to pe=laconic; it does"),
        ({"encoder_at": "edge"}, "encoder_at: 'edge' does not apply to pe=opt4e; it does to no PE"),
        ({"stages": 3}, "stages: 3 is not in 0..2"),
        ({"rows": 0}, "rows: 0 is not in 1..256"),
    ],
)
def test_bad_input(settings: dict[str, str | int], says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        BitSliceConfig.from_settings(settings)
