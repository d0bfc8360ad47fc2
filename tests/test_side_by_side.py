# amaranth: UnusedElaboratable=no
"""A GEMM core and a PIM channel in one simulation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SEED, random_generator

from hw.emit import emit
from scripts.cli import main
from sim.runner import lint
from sim.side_by_side import SideBySide, SideBySideConfig, plan_of
from sim.simulate import run_batch

SMALL: dict[str, Any] = {
    "core.array.rows": 4,
    "core.array.cols": 4,
    "core.depth_a": 64,
    "core.depth_b": 128,
    "core.depth_c": 64,
    "pim.lanes": 4,
    "pim.steps": 16,
    "pim.columns": 16,
    "pim.bank_rows": 64,
}
M, K, N = 6, 16, 22
HEADS, SIZE, TOKENS = 3, 20, 18


def config(**settings: Any) -> SideBySideConfig:
    return SideBySideConfig.from_settings(SMALL | settings)


def test_both_at_one_time(tmp_path: Path) -> None:
    """The bench holds every command, word, result, product and cycle to the golden models."""
    rng = random_generator()
    data = {
        "a": rng.integers(-128, 128, (M, K)),
        "b": rng.integers(-128, 128, (K, N)),
        "q": rng.integers(-128, 128, (HEADS, SIZE)),
        "keys": rng.integers(-128, 128, (HEADS, TOKENS, SIZE)),
        "values": rng.integers(-128, 128, (HEADS, TOKENS, SIZE)),
    }
    ends = []
    for dual in (False, True):
        found = run_batch(config(**{"pim.dual": dual}), data, tmp_path / str(dual), SEED)
        assert np.array_equal(found.arrays["c"], data["a"] @ data["b"])
        logits = np.einsum("hd,htd->ht", data["q"], data["keys"])
        assert np.array_equal(found.arrays["logits"], logits)
        result = found.result
        ends.append(max(result["pim_end"], sum(result["products"][-1])))
        at_work = [start < result["pim_end"] for start, _ in result["products"]]
        assert any(at_work) is dual
    assert ends[1] < ends[0]


def test_lint(tmp_path: Path) -> None:
    emission = emit(SideBySide, config())
    verilog, _ = emission.write(tmp_path)
    assert lint(verilog, emission.name) == []


def test_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"^core.array.cols: 8 weights of 8 bits are not the 4 "):
        config(**{"core.array.cols": 8})
    with pytest.raises(ValueError, match=r"^core.array.width_b: signed weights of 4 bits are not"):
        config(**{"core.array.width_b": 4})
    with pytest.raises(ValueError, match=r"^k: 12 is less than 2 \* rows \+ cols \+ 1 = 13, so"):
        plan_of(config(), HEADS, SIZE, TOKENS, 12, N)
    with pytest.raises(ValueError, match=r"^n: weights of 16 x 2200 and the attention take \d+ "):
        plan_of(config(), HEADS, SIZE, TOKENS, K, 2200)
    with pytest.raises(ValueError, match=r"^max_wait: 300 is less than the 518 cycles that an "):
        plan_of(config(**{"pim.max_wait": 300}), HEADS, SIZE, TOKENS, K, N)
    assert main(["side-by-side", "-s", "pim.dual=true"]) == 2
    assert "pim.dual: true is not to be set" in capsys.readouterr().err
