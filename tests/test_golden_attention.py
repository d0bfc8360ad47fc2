"""Golden models of binary attention against sums written out, and their corners."""

import itertools

import numpy as np
import pytest

from golden.attention import (
    above_mean,
    additive_attention,
    attention_stream,
    hamming_dot,
    packets,
    threshold_stream,
)


def test_threshold_is_strict_and_exact() -> None:
    assert above_mean([5, 5, 5]).tolist() == [0, 0, 0]
    assert above_mean([7]).tolist() == [0]
    assert above_mean([1, 2, 3]).tolist() == [0, 0, 1]
    # The mean is -1/3: 0 is above it, and -1 is not.
    assert above_mean([-1, -1, 1]).tolist() == [0, 0, 1]
    assert above_mean([-1, 0, 0]).tolist() == [0, 1, 1]


def test_threshold_is_that_of_quotients() -> None:
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 64, 1000):
        x = rng.integers(-128, 128, n)
        # Means of so few small integers are far enough from any integer for float64.
        assert np.array_equal(above_mean(x), x > x.sum() / n)


@pytest.mark.parametrize("signs", [False, True])
def test_attention_is_the_sum_over_all_pairs(signs: bool) -> None:
    rng = np.random.default_rng(2)
    q, k = rng.integers(0, 2, (3, 4)), rng.integers(0, 2, (5, 4))
    v = rng.integers(-128, 128, (5, 2))
    expected = np.zeros((3, 2), np.int64)
    for i, n, j in itertools.product(range(3), range(5), range(4)):
        a, b = int(q[i, j]), int(k[n, j])
        expected[i] += v[n] * ((2 * a - 1) * (2 * b - 1) if signs else a * b)
    assert np.array_equal(additive_attention(q, k, v, signs=signs), expected)


def test_masks_of_nothing_and_of_everything() -> None:
    v = np.array([[3, -4], [5, 7]])
    none, every = np.zeros((2, 3)), np.ones((2, 3))
    assert not additive_attention(every, none, v, signs=False).any()
    assert additive_attention(every, every, v, signs=False).tolist() == [[24, 9]] * 2
    assert additive_attention(every, none, v, signs=True).tolist() == [[-24, -9]] * 2
    assert additive_attention(none, none, v, signs=True).tolist() == [[24, 9]] * 2


def test_signs_are_twice_the_masked_less_all() -> None:
    rng = np.random.default_rng(3)
    key, value = rng.integers(0, 2, (9, 1)), rng.integers(-8, 8, (9, 1))
    masked = additive_attention([[1]], key, value, signs=False)
    signed = additive_attention([[1]], key, value, signs=True)
    assert signed == 2 * masked - value.sum()


def test_hamming_dot() -> None:
    codes = np.arange(16)
    a, b = np.repeat(codes, 16), np.tile(codes, 16)
    expected = [4 - 2 * int(x ^ y).bit_count() for x, y in zip(a, b, strict=True)]
    assert hamming_dot(a, b, width=4)["dot"].tolist() == expected


def test_streams_are_packets_one_after_the_other() -> None:
    last = np.array([0, 1, 1])
    x = np.array([[1, 2], [3, 4], [5, 5]])
    found = threshold_stream(x, last)
    assert found["bits"].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert found["last"].tolist() == [0, 1, 1]
    key = np.array([[1], [1], [0]])
    query = np.array([[1], [0], [1]])
    rows = attention_stream(key, x, last, query, np.array([1, 0, 1]), signs=False)
    assert rows["data"].tolist() == [[4, 6], [0, 0], [0, 0]]
    assert rows["last"].tolist() == [1, 0, 1]


def test_a_packet_has_an_end() -> None:
    with pytest.raises(ValueError, match=r"^last: the last of 2 beats is not marked$"):
        packets(np.zeros((2, 1), np.int64), np.array([1, 0]))
