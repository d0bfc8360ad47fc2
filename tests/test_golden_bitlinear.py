"""BitLinear quantisers and the layers made of them, against what their source states."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.bitlinear import (
    ROUNDINGS,
    bit_linear,
    glu,
    mlgru,
    quantize_activations,
    quantize_weights,
    rms_norm,
    rounded,
    sigmoid,
    silu,
)


@pytest.mark.parametrize(
    ("rounding", "expected"), [("even", [-2, -2, 0, 0, 2, 2]), ("away", [-3, -2, -1, 1, 2, 3])]
)
def test_ties(rounding: str, expected: list[int]) -> None:
    assert rounded([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], rounding).tolist() == expected


@given(st.floats(-1e9, 1e9), st.sampled_from(ROUNDINGS))
def test_rounded_is_nearest(value: float, rounding: str) -> None:
    error = abs(Fraction(value) - int(rounded(value, rounding)))
    assert error <= Fraction(1, 2)


def test_just_below_a_half_is_no_tie() -> None:
    assert rounded(np.nextafter(0.5, 0), "away") == 0


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_activations_of_a_token(rounding: str) -> None:
    x = np.random.default_rng(1).normal(0, 3, (50, 33))
    q, scale = quantize_activations(x, rounding)
    assert scale.shape == (50, 1)
    assert (np.abs(q).max(axis=-1) == 127).all()
    assert (np.abs(q / scale - x) <= 0.5 / scale * (1 + 1e-12)).all()


def test_corners_of_activations() -> None:
    q, scale = quantize_activations(np.zeros(4))
    assert q.tolist() == [0] * 4 and scale == 127 / 1e-5
    q, _ = quantize_activations([0.001, -1000.0, 0.0, -0.001])
    assert q.tolist() == [0, -127, 0, 0]  # one outlier
    q, _ = quantize_activations([1e-6, -1e-5])
    assert q.tolist() == [13, -127]
    # 254 steps of a half: each odd one is a tie.
    x = np.arange(-254, 255)
    assert quantize_activations(x, "even")[0].tolist() == np.rint(x / 2).tolist()
    away = quantize_activations(x, "away")[0]
    assert (np.abs(away) == (np.abs(x) + 1) // 2).all()


def test_weights() -> None:
    w = np.random.default_rng(2).normal(0, 0.02, (256, 256))
    t, scale = quantize_weights(w)
    assert scale == 1 / np.abs(w).mean()
    assert set(t.ravel().tolist()) == {-1, 0, 1}
    assert 0.30 < np.mean(t == 0) < 0.32
    t, scale = quantize_weights(np.zeros((3, 3)))
    assert not t.any() and scale == pytest.approx(1e5)
    w = np.array([0.5, -1.5])  # half of the mean magnitude is a tie
    assert quantize_weights(w, "even")[0].tolist() == [0, -1]
    assert quantize_weights(w, "away")[0].tolist() == [1, -1]


def test_rms_norm_of_nothing_is_nothing() -> None:
    assert not rms_norm(np.zeros(5), np.ones(5)).any()
    x = np.random.default_rng(3).normal(0, 7, (4, 64))
    assert np.sqrt((rms_norm(x) ** 2).mean(axis=-1)) == pytest.approx(1)


def test_bit_linear_is_close_to_the_layer_with_ternary_weights() -> None:
    rng = np.random.default_rng(4)
    x, w = rng.normal(0, 1, (8, 64)), rng.normal(0, 1, (32, 64))
    t, scale = quantize_weights(w)
    exact = rms_norm(x) @ t.T / scale
    error = bit_linear(x, w) - exact
    assert np.linalg.norm(error) < 0.02 * np.linalg.norm(exact)


def test_sigmoid_and_silu() -> None:
    x = np.linspace(-700, 700, 1001)
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1)
    assert silu(x) - silu(-x) == pytest.approx(x)
    assert sigmoid([0.0, 1000.0, -1000.0]).tolist() == [0.5, 1, 0]


def test_mlgru_keeps_its_state_where_it_forgets_nothing() -> None:
    rng = np.random.default_rng(5)
    d = 16
    weights = {name: rng.normal(0, 1, (d, d)) for name in "figo"}
    gains = {name: np.ones(d) for name in ("f", "i", "g", "o", "norm")}
    x, h = rng.normal(0, 1, d), rng.normal(0, 1, d)
    output, state = mlgru(x, h, weights, gains, 1 - 1e-12)
    assert state == pytest.approx(h)
    assert output.shape == (d,)
    _, state = mlgru(x, np.zeros(d), weights, gains)
    forget = sigmoid(bit_linear(x, weights["f"]))
    assert state == pytest.approx((1 - forget) * silu(bit_linear(x, weights["i"])))


def test_glu_quantises_gate_and_up_as_one_matrix() -> None:
    rng = np.random.default_rng(6)
    weights = {"g": rng.normal(0, 9, (24, 8)), "u": rng.normal(0, 1, (24, 8)), "d": np.eye(8, 24)}
    gains = {"gu": np.ones(8), "d": np.ones(24)}
    x = rng.normal(0, 1, (3, 8))
    assert glu(x, weights, gains).shape == (3, 8)
    scales = [quantize_weights(weights[name])[1] for name in "gu"]
    both = quantize_weights(np.concatenate([weights["g"], weights["u"]]))[1]
    assert scales[0] < both < scales[1]


@pytest.mark.parametrize(
    ("values", "rounding", "message"),
    [
        ([1.0], "up", "rounding: 'up' is not one of even, away"),
        ([np.nan], "even", "values: one of them is not finite"),
    ],
)
def test_what_is_refused(values: list[float], rounding: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        quantize_activations(values, rounding)
