"""Reductions: their theorems, published vectors, and all operands of small moduli."""

import random

import pytest
from helpers import SEED

from golden import modular
from golden.modular import Barrett, Montgomery, barrett_corrections, shoup_product
from golden.primes import is_prime, nearest_primes, ntt_primes, psi

SMALL = range(3, 64, 2)
WIDE = (12289, 65537, 268369921, 1073479681, 2147352577, 1152921504606584833)


def corners(modulus: int) -> set[int]:
    q, k = modulus, modulus.bit_length()
    return {0, 1, 2, q - 2, q - 1, q // 2, (q + 1) // 2, 1 << (k - 1), (1 << k) - 1}


def recommended(modulus: int) -> Barrett:
    k = modulus.bit_length()
    return Barrett(modulus, k, k + 1, 2)


@pytest.mark.parametrize(
    ("excess", "alpha", "drop", "corrections"),
    [(0, 0, 1, 2), (0, 0, 0, 3), (1, 1, 1, 2), (0, 1, 2, 1), (1, 2, 2, 1), (2, 3, 2, 1)],
)
def test_corrections_of_the_literature(
    excess: int, alpha: int, drop: int, corrections: int
) -> None:
    """The table of choices: alpha and the excess relative to the modulus' bits."""
    for k in range(4, 65):
        assert barrett_corrections(k, k + excess, k + alpha, drop) == corrections
        assert barrett_corrections(k, k, k, k) == 1


@pytest.mark.parametrize("modulus", SMALL)
def test_every_barrett_of_a_small_modulus(modulus: int) -> None:
    """The estimate is never above the quotient, and the bound is kept for every z."""
    k = modulus.bit_length()
    for excess, alpha, drop in [(k, k, 1), (k, k, 0), (k, k + 1, 2), (k + 2, k + 3, 2), (k, k, k)]:
        reduction = Barrett(modulus, excess, alpha, min(drop, k))
        rest = [reduction.remainder(z) for z in range(1 << (k + excess))]
        assert min(rest) >= 0 and max(rest) <= reduction.largest
        assert reduction.corrections <= barrett_corrections(k, excess, alpha, min(drop, k))
        assert [r % modulus for r in rest] == [z % modulus for z in range(1 << (k + excess))]


def test_both_branches_of_the_correction_are_taken() -> None:
    generator = random.Random(SEED)
    for modulus in WIDE:
        reduction = recommended(modulus)
        assert reduction.corrections == 1
        rest = [
            reduction.remainder(generator.randrange(modulus) * generator.randrange(modulus))
            for _ in range(2000)
        ]
        assert 0.05 < sum(r >= modulus for r in rest) / 2000 < 0.5
        if modulus != 65537:  # nearly a power of two, the estimate is exact
            assert reduction.remainder((modulus - 1) ** 2) == modulus + 1


def test_a_product_that_takes_two_subtractions_without_the_extra_bits() -> None:
    """TFHE-rs issue 2037: with one subtraction the result is wrong."""
    modulus, x = 0x7FE01001, 0x6E63593A
    textbook = Barrett(modulus, 31, 31, 1)
    rest = textbook.remainder(x * x)
    assert textbook.corrections == 2 and rest // modulus == 2
    assert rest - 2 * modulus == 364272609
    assert x * x % modulus == 364272609
    assert recommended(modulus).remainder(x * x) // modulus <= 1


def test_published_barrett_vectors() -> None:
    mus = {
        268369921: 537002014,
        1073479681: 2148008062,
        2147352577: 4295229454,
        1152921504606584833: 2305843009214218238,
        12289: 43687,
    }
    for modulus, mu in mus.items():
        assert recommended(modulus).mu == mu
    first = recommended(268369921)
    assert first.quotient(268369920**2) == 268369918
    assert first.quotient(123456789 * 200000003) == 92004938
    assert 123456789 * 200000003 % 268369921 == 227700469
    modulus = 4440955546175441
    for z, rest in [
        (41834706795195925, 1866106879616956),
        (4670328046076965, 229372499901524),
    ]:
        assert recommended(modulus).remainder(z) % modulus == z % modulus == rest


def test_lazy_products_stay_below_twice_the_modulus() -> None:
    lazy = Barrett(245, 10, 11, 2)
    assert all(lazy.remainder(x * y) < 490 for x in range(490) for y in range(490))
    closer = Barrett(245, 10, 10, 2)
    assert closer.remainder(441 * 485) == 490


def test_a_short_reduction_of_byte_products() -> None:
    short = Barrett(268369921, 10, 11, 2)
    assert short.mu == 2048
    assert short.quotient(53096574906) == 197 and short.remainder(53096574906) == 227700469
    assert Barrett(12289, 9, 10, 2).mu == 1365
    assert Barrett(12289, 9, 10, 2).remainder(1086640) == 5208


@pytest.mark.parametrize("modulus", SMALL)
def test_every_montgomery_of_a_small_modulus(modulus: int) -> None:
    bits = modulus.bit_length()
    full = Montgomery(modulus, bits)
    for z in range(modulus << bits):
        result = full.reduce(z)
        assert -modulus < result < modulus and (result << bits) % modulus == z % modulus
    assert full.reduce(modulus << bits) == modulus
    assert full.reduce(full.reduce(full.square) % modulus) % modulus == 1
    for word in range(1, bits):
        if modulus % (1 << word) == 1:
            for z in range(modulus << bits):
                assert full.reduce_words(z, word) == full.reduce(z)


@pytest.mark.parametrize("modulus", WIDE)
def test_wide_montgomery(modulus: int) -> None:
    """With two bits more of the radix, products of numbers below 2q stay there after adding q."""
    generator = random.Random(SEED)
    bits = modulus.bit_length()
    word = min(17, ((modulus - 1) & -(modulus - 1)).bit_length() - 1)
    lazy = Montgomery(modulus, bits + 2)
    operands = [*corners(modulus), 2 * modulus - 1]
    operands += [generator.randrange(2 * modulus) for _ in range(60)]
    for x in operands:
        for y in operands:
            result = lazy.reduce(x * y)
            assert 0 < result + modulus < 2 * modulus
            assert result == lazy.reduce_words(x * y, word)
            assert (result << lazy.radix_bits) % modulus == x * y % modulus


@pytest.mark.parametrize("modulus", SMALL)
def test_every_product_with_a_known_factor(modulus: int) -> None:
    for bits in (modulus.bit_length(), modulus.bit_length() + 2):
        for factor in range(modulus):
            for x in range(1 << bits):
                result = shoup_product(x, factor, modulus, bits)
                assert 0 <= result < 2 * modulus and (result - x * factor) % modulus == 0


def test_solinas() -> None:
    assert modular.solinas_exponents(193) == (8, 6)
    assert modular.solinas_exponents(65537) == (17, 16)
    assert modular.solinas_exponents(3329) is None
    assert modular.solinas_exponents(268369921) == (28, 16)
    assert modular.solinas_exponents((1 << 64) - (1 << 32) + 1) == (64, 32)
    pairs = "20,18 23,20 27,21 29,18 29,26 30,18 31,17 31,27 32,20 32,30 36,20 41,29 47,20 47,24"
    pairs += " 47,25 49,30 52,20 54,24 55,29 56,32 60,18 61,26 64,24 64,32 64,40 28,16 26,16"
    for a, b in (map(int, pair.split(",")) for pair in pairs.split()):
        modulus = (1 << a) - (1 << b) + 1
        assert is_prime(modulus) and modular.solinas_exponents(modulus) == (a, b)
        for z in (0, 1, modulus, modulus**2, (1 << (2 * a)) - 1, -modulus):
            assert (modular.solinas_fold(z, a, b) - z) % modulus == 0


def test_goldilocks() -> None:
    modulus = (1 << 64) - (1 << 32) + 1
    assert pow(2, 96, modulus) == modulus - 1 == pow(8, 32, modulus)
    generator = random.Random(SEED)
    edges = [0, modulus - 1, modulus, (1 << 128) - 1, (1 << 96) - 1, ((1 << 32) - 1) << 96]
    for z in edges + [generator.randrange(1 << 128) for _ in range(1000)]:
        assert modular.goldilocks(z) == z % modulus


@pytest.mark.parametrize("modulus", SMALL)
def test_every_half(modulus: int) -> None:
    assert all(2 * modular.halve(x, modulus) % modulus == x for x in range(modulus))


def test_primes() -> None:
    assert [n for n in range(60) if is_prime(n)] == [
        n for n in range(2, 60) if all(n % d for d in range(2, n))
    ]
    assert not is_prime(536838145) and not is_prime(2147418113)
    table = {
        20: (786433, 786433),
        24: (16515073, 8519681),
        27: (132120577, 67239937),
        28: (268042241, 134348801),
        30: (1073479681, 537133057),
        31: (2147352577, 1073872897),
        36: (68718428161, 34362228737),
        48: (281474976317441, 140737488486401),
        54: (18014398506729473, 9007199255658497),
        60: (1152921504606584833, 576460752308273153),
        61: (2305843009211596801, 1152921504614055937),
    }
    for bits, (largest, smallest) in table.items():
        assert next(ntt_primes(bits, 1 << 16)) == largest
        assert next(ntt_primes(bits, 1 << 16, largest=False)) == smallest


def test_a_missing_root_names_primes_that_have_one() -> None:
    assert psi(268369921, 4096) == 62736 and psi(268369921, 16384) == 10360
    assert nearest_primes(12289, 2048) == [12289, 40961]
    with pytest.raises(ValueError, match=r"^modulus: 12289 has no root of order 8192.*40961 work"):
        psi(12289, 4096)
    with pytest.raises(ValueError, match=r"^modulus: 15 is not prime; near it, 13 and 17 work"):
        psi(15, 2)
    with pytest.raises(ValueError, match=r"^size: 6 is not a power of two"):
        psi(13, 6)
