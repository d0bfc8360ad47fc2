# amaranth: UnusedElaboratable=no
"""Units of modular arithmetic: configs that a proof does not cover, and moduli of all widths."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SEED, config_of

from golden import modular, modular_operands, primes
from hw.catalog import DESIGNS
from pe.barrett import BarrettConfig, BarrettReduceConfig, Reduction
from pe.roots import is_prime, least_root
from pe.solinas import corrections, folds
from sim.simulate import run_operands

GOLDILOCKS = (1 << 64) - (1 << 32) + 1
P60 = 1152921504606584833


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("modular_add", {"modulus": 194}, "modulus: 194 is even; it must be odd"),
        ("barrett", {"modulus": 1 << 64}, f"modulus: {1 << 64} is not in 3..{(1 << 64) - 1}"),
        (
            "barrett",
            {"drop": 9},
            "drop: 9 is not in 0..8, the bits of modulus=193",
        ),
        (
            "barrett",
            {"guard": 0, "drop": 1, "corrections": "1", "runtime": True},
            "corrections: 1 cannot cover remainders below 3 * modulus, which need 2",
        ),
        (
            "barrett",
            {"corrections": "2"},
            "corrections: 2 are more than it takes for remainders below 2 * modulus, which need 1",
        ),
        ("barrett", {"lazy": True, "corrections": "1"}, "corrections: '1' is not auto"),
        (
            "barrett",
            {"lazy": True, "drop": 0, "runtime": True},
            "lazy: true needs remainders below 2 * modulus; guard=1 and drop=0 leave up to 4 *",
        ),
        ("montgomery", {"word": 7}, "word: 7 is not in 0..6, modulus=193 is 1 modulo 2**6 at most"),
        ("solinas", {"modulus": 3329}, "modulus: 3329 is not 2**a - 2**b + 1 with 0 < b < a"),
        ("butterfly", {"halve": True}, "halve: true is not false, all that kind=ct allows"),
        (
            "butterfly",
            {"reducer": "solinas", "lazy": True},
            "lazy: true is not false, all that reducer=solinas allows",
        ),
        (
            "butterfly",
            {"reducer": "solinas", "runtime": True},
            "runtime: true is not false, all that reducer=solinas allows",
        ),
        (
            "butterfly",
            {"reducer": "solinas", "modulus": 3329},
            "modulus: 3329 is not 2**a - 2**b + 1",
        ),
        ("ntt_engine", {"size": 24}, "size: 24 is not a power of two"),
        ("ntt_engine", {"butterflies": 3}, "butterflies: 3 is not a power of two"),
        ("ntt_engine", {"butterflies": 16}, "butterflies: 16 is not in 1..8, half of size=16"),
        ("ntt_engine", {"butterflies": 65}, "butterflies: 65 is not in 1..64"),
        (
            "ntt_engine",
            {"modulus": 194},
            "modulus: 194 is not prime; near it, for size=16: 193 and 257",
        ),
        (
            "ntt_engine",
            {"modulus": 12289, "size": 4096},
            "modulus: 12289 has no root of order 8192; near it, for size=4096: 40961",
        ),
        (
            "ntt_engine",
            {"modulus": 225},
            "modulus: 225 is not prime; near it, for size=16: 193 and 257",
        ),
        (
            "ntt_engine",
            {"modulus": (1 << 64) - 1},
            "modulus: 18446744073709551615 is not prime; near it, for size=16: 18446744073709551",
        ),
        (
            "systolic_modular",
            {"modulus": (1 << 31) - 1},
            "rows: 16 is not a multiple of 5, the digits of 7 bits of modulus=2147483647",
        ),
        (
            "systolic_modular",
            {"width_a": 2},
            "width_b: 8 beside width_a=2 leaves digits of 1 bits; at least 2 are needed",
        ),
        (
            "systolic_modular",
            {"reducer": "solinas", "modulus": 3329, "rows": 2, "cols": 2},
            "modulus: 3329 is not 2**a - 2**b + 1",
        ),
        ("systolic_modular", {"pe": "ternary"}, "pe: 'ternary' "),
    ],
)
def test_what_no_proof_covers_is_refused(name: str, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        config_of(DESIGNS[name], **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("runtime", [False, True])
@pytest.mark.parametrize("modulus", [3, 63, 193, 12289, 268369921, P60, (1 << 64) - 59])
def test_corrections_are_those_of_the_golden_theorem(modulus: int, runtime: bool) -> None:
    k = modulus.bit_length()
    for excess, guard, drop in [
        (k, 1, 2),
        (k, 0, 1),
        (k, 0, 0),
        (k, 0, k),
        (k + 2, 1, 2),
        (9, 1, 2),
    ]:
        found = Reduction(modulus, runtime, excess, excess + guard, drop)
        if runtime:
            expected = modular.barrett_corrections(k, excess, excess + guard, drop)
        else:
            golden = modular.Barrett(modulus, excess, excess + guard, drop)
            expected = golden.corrections
            assert found.width == golden.largest.bit_length()
        assert found.corrections == expected


def test_textbook_and_recommended() -> None:
    """Corrections of the literature's choices, for the config's own names."""
    bits: Any = {"modulus": (1 << 32) - 5, "runtime": True}
    assert BarrettConfig(**bits).steps == 1
    assert BarrettConfig(**bits, guard=0, drop=1).steps == 2
    assert BarrettConfig(**bits, guard=0, drop=0).steps == 3
    assert BarrettConfig(**bits, guard=0, drop=32).steps == 1
    assert BarrettConfig(**bits, lazy=True).steps == 0
    assert BarrettReduceConfig(**bits, excess=10).steps == 1
    assert BarrettConfig(modulus=0x7FE01001, guard=0, drop=1).steps == 2


def test_roots_are_those_of_the_golden_model() -> None:
    for modulus in range(3, 2000, 2):
        assert is_prime(modulus) == primes.is_prime(modulus)
    for modulus, size in [(97, 16), (12289, 1024), (65537, 4096), (P60, 1024)]:
        assert least_root(modulus, size) == primes.psi(modulus, size)


def test_folds_of_goldilocks() -> None:
    assert len(folds(GOLDILOCKS, 128)) == 2
    assert corrections(GOLDILOCKS, folds(GOLDILOCKS, 128)[-1]) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "sizes"),
    [
        ("add", {"modulus": 13, "runtime": False}, 13 * 13 * 4),
        ("add", {"modulus": 15, "runtime": True}, sum(4 * q * q for q in range(3, 16, 2))),
        (
            "montgomery",
            {"modulus": 61, "runtime": True, "word": 2, "radix_bits": 6, "lazy": False},
            sum(q * q for q in range(5, 64, 4)),
        ),
        ("solinas", {"modulus": 13, "excess": 4}, 1 << 8),
    ],
)
def test_all_operands_where_they_are_few(name: str, arguments: Any, sizes: int) -> None:
    columns = getattr(modular_operands, name)(1 << 15, SEED, **arguments)
    valid = columns.pop("i_valid") == 1
    columns.pop("inverse", None)
    sets = set(zip(*(column[valid].tolist() for column in columns.values()), strict=True))
    assert len(sets) == sizes


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("barrett", {"modulus": 63, "runtime": True, "stages": 2, "tag": 3}, 60_000),
        ("montgomery", {"modulus": P60, "word": 17, "lazy": True, "stages": 2}, 100_000),
        ("solinas", {"modulus": GOLDILOCKS, "excess": 64}, 100_000),
        (
            "butterfly",
            {"modulus": P60, "kind": "unified", "lazy": True, "halve": True, "reducer": "shoup"},
            50_000,
        ),
    ],
    ids=str,
)
def test_moduli(name: str, settings: Any, count: int, tmp_path: Path) -> None:
    """All moduli of up to 6 bits with all their residues, and wide ones."""
    design = DESIGNS[name]
    run_operands(design, config_of(design, **settings), tmp_path, SEED, count=count)


def test_a_product_that_needs_its_second_subtraction(tmp_path: Path) -> None:
    """TFHE-rs issue 2037: with one subtraction the product would be 360086499."""
    design = DESIGNS["barrett"]
    config = config_of(design, modulus=0x7FE01001, guard=0, drop=1)
    x = np.full(10, 0x6E63593A)
    given = {"a": x, "b": x, "i_valid": x * 0 + 1}
    outcome = run_operands(design, config, tmp_path, SEED, 10, operands=given)
    products = outcome.arrays["product"] @ (1 << np.arange(31))
    assert set(products.tolist()) == {364272609}
