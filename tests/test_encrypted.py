# amaranth: UnusedElaboratable=no
"""Encrypted products: the toy scheme, and ciphertexts in RTL."""

import json

import numpy as np
import pytest
from helpers import random_generator

from golden import rns
from golden.bfv import Bfv
from scripts.cli import main

SCHEME = Bfv(64, 65537, (268369921, 268361729, 268271617))


def test_scheme() -> None:
    """Products with known messages are slot by slot, before and after a division."""
    rng = random_generator()
    key = SCHEME.secret_key(rng)
    message, factor = rng.integers(0, SCHEME.plain, (2, SCHEME.size))
    fresh = SCHEME.encrypt(SCHEME.encode(message), key, rng)
    polynomial, budget = SCHEME.decrypt(fresh, key)
    assert np.array_equal(SCHEME.decode(polynomial), message)
    known = rns.residues(SCHEME.encode(factor), SCHEME.moduli)
    product = np.stack([SCHEME.product(part, known) for part in fresh])
    polynomial, less = SCHEME.decrypt(product, key)
    assert np.array_equal(SCHEME.decode(polynomial), message * factor % SCHEME.plain)
    assert 0 < less < budget
    lower = SCHEME.without_last()
    scaled = np.stack([rns.rescale(part, SCHEME.moduli) for part in product])
    polynomial, _ = lower.decrypt(scaled, key)
    assert np.array_equal(SCHEME.decode(polynomial), message * factor % SCHEME.plain)
    other, _ = SCHEME.decrypt(fresh, SCHEME.secret_key(rng))
    assert not np.array_equal(SCHEME.decode(other), message)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, error in (
        (["--n", "48"], "48 is not a power of two"),
        (["--n", "64", "--limbs", "2"], "2"),
        (["--n", "16", "--butterflies", "16"], "butterflies: 16 is not in 1..8"),
    ):
        assert main(["fhe", *arguments]) == 2
        assert error in capsys.readouterr().err
    assert main(["fhe", "--n", "64", "--limbs", "3", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert all(figures["equal"].values())
    assert len({s["unit"] for s in figures["steps"]}) == 6
