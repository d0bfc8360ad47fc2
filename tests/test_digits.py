"""``rtloom digits``: distributions of operands, and what is printed of their digits."""

import json

import numpy as np
import pytest
from helpers import SEED, random_generator
from numpy.typing import NDArray

from golden.digits import RADIX, encode, statistics
from golden.gemm import integer_range
from scripts.cli import main
from scripts.digits import PUBLISHED, Published, normal_weights, populations
from scripts.ppa.operands import Operands, network_operands
from sim.player import PortField

INT8 = PortField("a", 8, True)
SIGMAS = (10, 20, 30, 40, 50)

# Sampled: normal values rounded to INT8, those beyond its range drawn again.
SAMPLED = {
    "booth": [1.925, 2.295, 2.530, 2.673, 2.770],
    "ent": [1.761, 2.115, 2.334, 2.490, 2.605],
    "csd": [1.730, 2.064, 2.258, 2.397, 2.501],
    "bits": [3.930, 3.975, 3.990, 3.993, 3.996],
}
SAMPLED_NONZERO = {
    10: [0.75, 0.718, 0.294, 0],
    20: [0.75, 0.735, 0.597, 0.034],
    30: [0.75, 0.740, 0.688, 0.156],
    40: [0.75, 0.743, 0.711, 0.287],
    50: [0.75, 0.745, 0.722, 0.389],
}


def within_int8(sigma: float) -> NDArray[np.float64]:
    """Weights of INT8 values, where values beyond the range are drawn again."""
    wide = normal_weights(sigma, PortField("a", 12, True))
    return wide[2048 - 128 : 2048 + 128]


@pytest.mark.parametrize("kind", RADIX)
def test_exact_averages_are_those_of_samples(kind: str) -> None:
    digits = encode(np.arange(-128, 128), kind=kind, width=8, signed=True)
    for sigma, average in zip(SIGMAS, SAMPLED[kind], strict=True):
        found = statistics(digits, within_int8(sigma))
        assert found.average == pytest.approx(average, abs=0.0025), sigma
        if kind == "ent":
            assert found.nonzero == pytest.approx(SAMPLED_NONZERO[sigma], abs=0.0025), sigma


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.source)
def test_published_averages_are_near_ours(entry: Published) -> None:
    digits = encode(np.arange(-128, 128), kind=entry.encoder, width=8, signed=True)
    for sigma in SIGMAS:
        ours = statistics(digits, within_int8(sigma)).average
        assert entry.averages[f"normal:{sigma}"] == pytest.approx(ours, abs=0.08)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("width", "sigma"), [(2, 1.0), (5, 3.3), (8, 90.0)])
def test_weights_are_those_of_drawn_operands(width: int, sigma: float, signed: bool) -> None:
    random_generator()
    field = PortField("a", width, signed)
    low, high = integer_range(width, signed)
    weights = normal_weights(sigma, field)
    assert len(weights) == high - low + 1 and weights.sum() == pytest.approx(1)
    count = 200_000
    drawn = Operands("normal", sigma).stream(count, [field], SEED)["a"]
    found = np.bincount(drawn - low, minlength=len(weights)) / count
    deviation = np.sqrt(weights * (1 - weights) / count)
    assert (np.abs(found - weights) <= 6 * deviation + 1e-5).all()


@pytest.mark.parametrize("sigma", [1e-300, 1e300])
def test_extreme_sigmas_have_weights(sigma: float) -> None:
    weights = normal_weights(sigma, INT8)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert weights[128 if sigma < 1 else [0, 255]].sum() == pytest.approx(1)


@pytest.mark.parametrize(("width", "signed"), [(8, True), (4, False), (16, True)])
def test_a_network_gives_all_its_operands(width: int, signed: bool) -> None:
    field = PortField("a", width, signed)
    found = populations(Operands("digits"), field)
    assert [p.name for p in found] == ["activations", "weights"]
    assert [len(p.values) for p in found] == [360 * (64 + 64 + 32), 64 * 64 + 64 * 32 + 32 * 10]
    for population, values in zip(found, network_operands(field), strict=True):
        assert np.array_equal(population.values, values)
        lowest, highest = integer_range(width, signed)
        assert lowest <= values.min() and values.max() <= highest and len(np.unique(values)) > 4
        assert str(len(values)) in population.rests_on


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["digits", *argv]) == 0
    return capsys.readouterr().out


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = [line.split() for line in printed(capsys).splitlines()]
    assert ["encoder", "digits", "uniform", *(f"normal:{s}" for s in SIGMAS)] == words[1][:8]
    assert words[1][8:] == ["activations", "weights"]
    assert ["booth", "4", "3.000", "1.925", "2.294", "2.530", "2.672", "2.756"] in [
        line[:8] for line in words
    ]
    assert ["ent,", "authors,", "K", "=", "32", "1.71", "2.05", "2.27", "2.45", "2.57"] in words
    assert ["ent", "uniform", "0.750", "0.750", "0.750", "0.668"] in words
    assert ["uniform", "exact", "over", "256", "codes"] in words


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--width", "4", "--unsigned", "--operands", "uniform", "normal:2", "uniform", "--json"]
    result = json.loads(printed(capsys, *argv))
    assert (result["width"], result["signed"], result["published"]) == (4, False, [])
    rows = result["encoders"]
    assert [(r["encoder"], r["operands"]) for r in rows] == [
        (kind, operands) for kind in RADIX for operands in ("uniform", "normal:2")
    ]
    (booth,) = [r for r in rows if (r["encoder"], r["operands"]) == ("booth", "uniform")]
    assert booth["digits"] == len(booth["nonzero"]) == len(booth["histogram"]) - 1 == 3
    assert booth["average"] == pytest.approx(sum(booth["nonzero"])) == pytest.approx(2.0)
    assert sum(booth["histogram"]) == pytest.approx(1)


def test_published_figures_stand_beside_int8_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert "authors" in printed(capsys, "--operands", "normal:10")
    assert "authors" not in printed(capsys, "--operands", "normal:15")
    assert "authors" not in printed(capsys, "--width", "7", "--operands", "normal:10")
    assert "authors" not in printed(capsys, "--unsigned", "--operands", "normal:10")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--width", "17"], "width: '17' is not an integer in 2..16"),
        (["--width", "x"], "width: 'x' is not an integer in 2..16"),
        (["--operands", "poisson"], "operands: 'poisson' is not one of uniform, normal:SIGMA"),
        (["--operands", "normal:0"], "operands: 'normal:0' is not one of uniform, normal:SIGMA"),
        (["--operands"], "operands: expected at least one argument"),
        (["--sigma", "3"], "--sigma: not an argument of digits"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    assert main(["digits", *argv]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rtloom: {message}") and error.count("\n") == 1
