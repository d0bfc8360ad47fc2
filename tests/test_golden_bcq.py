"""Binary-coded quantization."""

import numpy as np
import pytest

from golden.bcq import decode, encode, fit, of_integers


def test_every_code_of_a_group() -> None:
    assert decode([0, 1, 2, 3], [0.5, 2.0]).tolist() == [-2.5, -1.5, 1.5, 2.5]
    assert decode([0, 1], [-0.25]).tolist() == [0.25, -0.25]


def test_groups_broadcast() -> None:
    scales = np.array([[1.0, 4.0], [0.5, 8.0]])
    codes = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    values = decode(codes, scales[:, None, :])
    assert values.tolist() == [[-5, -3, 3, 5], [8.5, 7.5, -7.5, -8.5]]
    assert np.array_equal(encode(values, scales[:, None, :]), codes)


@pytest.mark.parametrize("bits", range(1, 9))
def test_nearest_level(bits: int) -> None:
    rng = np.random.default_rng(bits)
    scales = rng.normal(size=bits)
    values = np.append(rng.normal(size=2000) * 2, [-1e30, 1e30, np.inf, -np.inf])
    levels = decode(np.arange(2**bits), scales)
    found = decode(encode(values, scales), scales)
    inside = np.clip(values, levels.min(), levels.max())
    assert np.array_equal(np.abs(found - inside), np.abs(inside[:, None] - levels).min(axis=1))


@pytest.mark.parametrize("bits", range(1, 9))
def test_integers_are_a_special_case(bits: int) -> None:
    codes = np.arange(2**bits)
    scales, offset = of_integers(bits, 0.25, 3)
    assert np.array_equal(decode(codes, scales) + offset, 0.25 * (codes - 3))


def error(values: np.ndarray, bits: int, rounds: int) -> float:
    scales = fit(values, bits, rounds)
    assert scales.shape == (*values.shape[:-1], bits)
    found = decode(encode(values, scales[..., None, :]), scales[..., None, :])
    return float(np.linalg.norm(found - values) / np.linalg.norm(values))


def test_fit() -> None:
    """The mean magnitude for one bit; more bits and more rounds come nearer."""
    values = np.random.default_rng(1).normal(size=(20, 64))
    assert np.allclose(fit(values, 1)[:, 0], np.abs(values).mean(axis=1))
    greedy, better = ([error(values, bits, n) for bits in range(1, 5)] for n in (0, 10))
    assert greedy == sorted(greedy, reverse=True) and better == sorted(better, reverse=True)
    assert all(x < y for x, y in zip(better[1:], greedy[1:], strict=True))
    exact = decode(np.arange(8), [0.5, 2.0, 4.0])
    assert error(exact, 3, 10) == pytest.approx(0, abs=1e-12)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^scales: shape \(0,\) is not \[\.\.\., bits\]"):
        decode([0], [])
    with pytest.raises(ValueError, match=r"^scales: one of them is not finite$"):
        decode([0], [np.inf])
    with pytest.raises(ValueError, match=r"^codes: a code is not in 0\.\.3$"):
        decode([4], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^values: NaN is not a number"):
        encode([np.nan], [1.0])
    with pytest.raises(ValueError, match=r"^bits: 9 is not in 1\.\.8$"):
        of_integers(9, 1.0, 0)
    with pytest.raises(ValueError, match=r"^bits: 0 is not in 1\.\.8$"):
        fit([1.0], 0)
    with pytest.raises(ValueError, match=r"^values: one of them is not finite$"):
        fit([np.nan], 1)
