# amaranth: UnusedElaboratable=no
"""The expert router where random tokens hardly take it, and its golden model by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED

from golden.router import chosen_expert, route_stream
from hw.catalog import DESIGNS
from hw.expert_router import ExpertRouterConfig
from sim.job import Arrays
from sim.simulate import build_design, run_beats

DESIGN = DESIGNS["expert_router"]
CONFIG = ExpertRouterConfig(experts=2, lanes=1, width=10, width_logit=2, depth=2, window=4)


def tokens(expert: list[int]) -> Arrays:
    """Return tokens 0, 1, ... for the experts given; results are tokens plus 100 or 200."""
    choice = np.array(expert)
    numbers = np.arange(len(expert))
    results = {f"result_{e}_data": numbers[choice == e, None] + 100 * (e + 1) for e in range(2)}
    logits = np.stack([-choice, choice - 1], axis=1)
    return {"token_data": numbers[:, None], "token_logits": logits, **results}


def test_golden_by_hand() -> None:
    beats = tokens([1, 0, 0, 1])
    assert chosen_expert(beats["token_logits"]).tolist() == [1, 0, 0, 1]
    found = {name: column[:, 0].tolist() for name, column in route_stream(**beats).items()}
    assert found == {
        "expert_0_data": [1, 2],
        "expert_1_data": [0, 3],
        "data": [200, 101, 102, 203],
    }


def test_ties_go_to_the_lowest() -> None:
    assert chosen_expert([[3, 3, 3], [-1, 0, 0], [-2, -2, -1]]).tolist() == [0, 1, 2]


def test_results_that_are_too_few() -> None:
    beats = tokens([0, 1]) | {"result_1_data": np.zeros((0, 1))}
    with pytest.raises(ValueError, match=r"^result_1_data: 0 results are not 1$"):
        route_stream(**beats)


def test_one_expert_gets_all_and_one_nothing(tmp_path: Path) -> None:
    simulator = build_design(DESIGN, CONFIG)
    for expert in range(2):
        for stall in (0.0, 0.6):
            beats = tokens([expert] * 100)
            outcome = run_beats(
                DESIGN, CONFIG, tmp_path, SEED, stall=stall, simulator=simulator, beats=beats
            )
            assert outcome.arrays[f"expert_{1 - expert}_data"].shape == (0, 1)
            assert outcome.arrays["data"][:, 0].tolist() == [
                i + 100 * (expert + 1) for i in range(100)
            ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"experts": 1}, "experts: 1 is not in 2..16"),
        ({"depth": 1}, "depth: 1 is not in 2..64"),
        ({"window": 3}, "window: 3 is not in 4..256"),
    ],
)
def test_bad_settings(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ExpertRouterConfig(**settings)
