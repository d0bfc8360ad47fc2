"""Estimates, assignment and split of a batch, and the planner."""

import numpy as np
import pytest

from golden.pim_schedule import (
    Costs,
    Estimate,
    Model,
    Npu,
    Overlap,
    Work,
    assign,
    interleaved,
    plans,
    round_robin,
    serial,
    split,
)
from scripts.cli import main

ESTIMATE = Estimate()
SCRIPT = Estimate(heads=32, embedding=1024)
"""What the published script computes: it does not divide the heads by the devices."""

GOLDEN = {
    1: (568, 6688, 7256, 27320),
    32: (568, 6688, 7256, 27320),
    33: (936, 6688, 7624, 27688),
    80: (1304, 6688, 7992, 28056),
    96: (1304, 6688, 7992, 28056),
    376: (4616, 6688, 11304, 31368),
    512: (6088, 6688, 12776, 32840),
    513: (6456, 13376, 19832, 59960),
    1024: (11976, 13376, 25352, 65480),
    2048: (23752, 26752, 50504, 130760),
}


@pytest.mark.parametrize("tokens", GOLDEN)
def test_estimate(tokens: int) -> None:
    found = (ESTIMATE.k_part(tokens), ESTIMATE.v_part(tokens), ESTIMATE(tokens), SCRIPT(tokens))
    assert found == GOLDEN[tokens]


def test_assignment() -> None:
    channels = assign([5, 8, 3, 2, 7], [[4, 6], [8, 1], [3, 9]], SCRIPT)
    assert channels == [[4, 6, 8, 3], [8, 1, 7, 2], [3, 9, 5]]
    assert [sum(map(SCRIPT, c)) for c in channels] == [109280, 109280, 81960]
    channels = assign([600, 500, 400, 300, 200, 100], [[], [], []], ESTIMATE)
    assert channels == [[600, 100], [500, 200], [400, 300]]
    assert [sum(map(ESTIMATE, c)) for c in channels] == [28928, 22240, 22240]


def test_round_robin() -> None:
    assert round_robin([5, 8, 3, 2, 7], 2) == [[5, 3, 7], [8, 2]]


def test_split() -> None:
    first, second = split([[1, 2, 3], [4, 5], [6, 7, 8, 9, 10], [11]])
    assert first == [[1, 2], [4], [6, 7, 8], []] or list(map(len, first)) == [2, 1, 2, 1]
    assert list(map(len, second)) == [1, 1, 3, 0]
    assert [a + b for a, b in zip(first, second, strict=True)] == [
        [1, 2, 3],
        [4, 5],
        [6, 7, 8, 9, 10],
        [11],
    ]


def test_stages() -> None:
    half = Costs(Work(10), 30.0, Work(20))
    assert serial(half, 3) == 180
    # QKV 10, attention 30 behind it, twice 2 x 30 for stages C and D, 30 and 20 to end with.
    assert interleaved(half, half, 3) == 10 + 30 + 2 * 60 + 30 + 20


def test_memory_is_slow_only_beside_pim() -> None:
    overlap = Overlap(memory=0.5, pim=1.0)
    assert overlap.stage(Work(0, 100), 40) == 120
    assert overlap.stage(Work(0, 10), 40) == 40
    assert overlap.stage(Work(300, 100), 40) == 300


def batch(size: int) -> list[int]:
    rng = np.random.default_rng(1)
    return [int(n) for n in np.clip(rng.lognormal(np.log(228) - 0.5, 1.0, size), 1, 2000)]


def rates(tokens: list[int], channels: int = 32, npu: Npu | None = None) -> list[float]:
    return [plan.tokens_per_second for plan in plans(Model(), tokens, channels, npu=npu)]


def test_ablation() -> None:
    """Two buffers and bin packing help; sub-batches do where the batch is large."""
    blocked, dual, packed, sub_batches = rates(batch(64))
    assert blocked < dual < packed > sub_batches
    blocked, dual, packed, sub_batches = rates(batch(257))
    assert blocked < dual < packed < sub_batches


def test_each_channel_feeds_the_npu_32_bytes_a_cycle() -> None:
    tokens = batch(64)
    assert rates(tokens) == rates(tokens, npu=Npu(bytes_per_cycle=1024))
    assert rates(tokens, 16) == rates(tokens, 16, Npu(bytes_per_cycle=512))
    assert max(rates(tokens, 16)) < max(rates(tokens, 16, Npu(bytes_per_cycle=1024)))


def test_a_batch_that_does_not_fit() -> None:
    """Each channel has its share of the weights beside the K and V of its requests."""
    says = (
        r"^tokens: 2 requests of a channel take 24320 rows beside the 12288 of the weights, and a "
    )
    with pytest.raises(ValueError, match=says):
        plans(Model(), [3000] * 16, channels=8)
    says = r"^channels: 2 are too few for the weights, which take 49152 rows of a bank, and it has "
    with pytest.raises(ValueError, match=says):
        plans(Model(), [1, 1], channels=2)


REFUSED = {
    "--devices 64": "devices: 64 do not divide 32 heads",
    "--devices 3": "devices: 3 do not divide 32 heads",
    "--tokens 2001": "tokens: 2001 is more than the 2000 of a request",
}


@pytest.mark.parametrize("options", REFUSED)
def test_bad_plans(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim-plan", *options.split()]) == 2
    assert capsys.readouterr().err == f"rtloom: {REFUSED[options]}\n"
