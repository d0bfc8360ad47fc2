"""Primes and roots of unity for number-theoretic transforms.

Sources: Miller 1976, Rabin 1980; the bases that decide primality below 3.3e24 are those of
J. Sorenson, J. Webster, "Strong pseudoprimes to twelve prime bases" (2015).
"""

from collections.abc import Iterator
from itertools import islice

_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number: int) -> bool:
    """Tell whether a number below 2**64 is prime."""
    if number < 2:
        return False
    for base in _BASES:
        if number % base == 0:
            return number == base
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _BASES:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def ntt_primes(bits: int, size: int, largest: bool = True) -> Iterator[int]:
    """Yield the primes of exactly `bits` bits that are 1 modulo ``2 * size``.

    Parameters
    ----------
    largest
        Begin with the largest one, else with the smallest.
    """
    step = 2 * size
    first, last = (1 << (bits - 1)) // step + 1, ((1 << bits) - 2) // step
    multiples = range(last, first - 1, -1) if largest else range(first, last + 1)
    return (q for q in (step * i + 1 for i in multiples) if q.bit_length() == bits and is_prime(q))


def nearest_primes(modulus: int, size: int) -> list[int]:
    """Return the primes nearest to a modulus that are 1 modulo ``2 * size``, above it and not.

    None of them is above ``2**64``.
    """
    step = 2 * size
    start = (modulus - 1) // step * step + 1
    below = next((q for q in range(start, 1, -step) if is_prime(q)), None)
    above = next((q for q in range(start + step, 1 << 64, step) if is_prime(q)), None)
    return [q for q in (below, above) if q is not None]


def residue_basis(modulus: int, size: int, limbs: int) -> list[int]:
    """Return a modulus and the next smaller primes that are 1 modulo ``2 * size``."""
    step = 2 * size
    return list(islice((q for q in range(modulus, step, -step) if is_prime(q)), limbs))


def psi(modulus: int, size: int) -> int:
    """Return the least primitive root of unity of order ``2 * size``.

    Raises
    ------
    ValueError
        When the modulus is not a prime, or has no such root: primes near it that have one are
        named.
    """
    check_size(size)
    near = " and ".join(map(str, nearest_primes(modulus, size)))
    if not is_prime(modulus):
        raise ValueError(f"modulus: {modulus} is not prime; near it, {near} work for size={size}")
    if (modulus - 1) % (2 * size):
        raise ValueError(
            f"modulus: {modulus} has no root of order {2 * size}, it is not 1 modulo {2 * size}; "
            f"near it, {near} work"
        )
    root = next(
        root
        for base in range(2, modulus)
        if pow(root := pow(base, (modulus - 1) // (2 * size), modulus), size, modulus)
        == modulus - 1
    )
    square, least, power = root * root % modulus, root, root
    for _ in range(size - 1):
        power = power * square % modulus
        least = min(least, power)
    return least


def check_size(size: int) -> None:
    """Raise a `ValueError` when a transform has no such size."""
    if size < 2 or size & (size - 1):
        raise ValueError(f"size: {size} is not a power of two from 2 on")
