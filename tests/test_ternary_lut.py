# amaranth: UnusedElaboratable=no
"""Look-up of ternary dot products: every key, and a plain dot product of the same trits."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED, random_generator

from golden.ternary_lut import entries, keys, sums, trits_of
from hw.catalog import DESIGNS
from pe.ternary_lut import TernaryLutConfig
from sim.simulate import run_operands

DESIGN = DESIGNS["ternary_lut"]


KEYS = [(2, 4, 4), (3, 13, 5), (4, 40, 7), (5, 121, 8)]


@pytest.mark.parametrize(("group", "most", "bits"), KEYS)
def test_keys_are_all_groups_of_trits(group: int, most: int, bits: int) -> None:
    trits = np.array(list(product((-1, 0, 1), repeat=group)))
    codes = keys(trits)
    assert entries(group) == most
    assert len(set(codes.tolist())) == 3**group and codes.max() < 1 << bits
    assert np.array_equal(trits_of(codes, group), trits)
    everything = trits_of(np.arange(1 << bits), group)
    assert set(map(tuple, everything.tolist())) == set(map(tuple, trits.tolist()))


@pytest.mark.parametrize("group", [3, 4, 5])
def test_golden_is_a_plain_dot_product(group: int) -> None:
    rng = random_generator()
    trits = rng.integers(-1, 1, (10_000, 6, group), endpoint=True)
    a = rng.integers(-128, 127, (10_000, group), endpoint=True)
    expected = np.einsum("tg,tcg->tc", a, trits)
    assert np.array_equal(sums(a, keys(trits), group=group)["sum"], expected)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^group: 6 is not in 2\.\.5$"):
        keys(np.zeros((1, 6), np.int64))
    with pytest.raises(ValueError, match=r"^trits: one of them is not -1, 0 or 1$"):
        keys([0, 2, 1])


@pytest.mark.parametrize(("group", "width_a"), [(3, 4), (4, 3), (5, 2)])
def test_every_key_with_all_activations(group: int, width_a: int, tmp_path: Path) -> None:
    config = TernaryLutConfig(group=group, width_a=width_a, cols=1)
    assert run_operands(DESIGN, config, tmp_path, SEED).result["exhaustive"]


@pytest.mark.parametrize("group", [3, 5])
def test_columns_of_random_weights(group: int, tmp_path: Path) -> None:
    """8-bit activations of either sign against weights as they are, not as the golden has them."""
    rng = random_generator()
    config = TernaryLutConfig(group=group, cols=3)
    count = 100_000
    a = rng.choice([-128, 127, 0, *rng.integers(-128, 127, 60)], (count, group))
    trits = rng.integers(-1, 1, (count, 3, group), endpoint=True)
    a[:2], trits[0], trits[1] = -128, 1, -1
    operands = {"a": a, "b": keys(trits)}
    outcome = run_operands(DESIGN, config, tmp_path, SEED, count, operands=operands)
    width = config.sum.width
    bits = outcome.arrays["sum"].reshape(count, 3, width).astype(np.int64)
    found = (bits << np.arange(width)).sum(axis=-1) - (bits[..., -1] << width)
    assert np.array_equal(found, np.einsum("tg,tcg->tc", a, trits))
