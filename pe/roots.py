"""Roots of unity modulo a prime, by integers only.

Sources: Miller 1976, Rabin 1980; J. Sorenson, J. Webster, "Strong pseudoprimes to twelve prime
bases" (2015), for the bases that decide below 2**64.
"""

from functools import cache
from itertools import count, islice

MOST_MODULUS = (1 << 64) - 1

_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number: int) -> bool:
    """Tell whether an odd number from 3 to 2**64 is prime."""
    exponent = number - 1
    while exponent % 2 == 0:
        exponent //= 2
    for witness in _WITNESSES:
        if witness % number == 0:
            continue
        power, reached = exponent, pow(witness, exponent, number)
        while reached not in (1, number - 1) and 2 * power != number - 1:
            power, reached = 2 * power, reached * reached % number
        if reached != number - 1 and not (reached == 1 and power == exponent):
            return False
    return True


def check_ring(modulus: int, size: int) -> None:
    """Raise a `ValueError` where there is no primitive root of order ``2 * size``.

    It names the primes near the modulus that have one.
    """
    order = 2 * size
    prime = modulus % 2 == 1 and is_prime(modulus)
    if prime and modulus % order == 1:
        return
    start = (modulus - 1) // order * order + 1
    sides = range(start, order, -order), range(start + order, MOST_MODULUS, order)
    near = [q for side in sides for q in islice(filter(is_prime, side), 1)]
    reason = f"has no root of order {order}" if prime else "is not prime"
    named = " and ".join(map(str, near))
    raise ValueError(f"modulus: {modulus} {reason}; near it, for size={size}: {named}")


@cache
def residue_basis(modulus: int, size: int, limbs: int) -> tuple[int, ...]:
    """Return a modulus and the next smaller primes of as many bits with a root of that order.

    Raises
    ------
    ValueError
        When there are not as many as limbs.
    """
    order, bits = 2 * size, modulus.bit_length()
    moduli = _basis(modulus, order, limbs)
    if len(moduli) < limbs:
        largest = (((1 << more) - 2) // order * order + 1 for more in range(bits, 65))
        bases = (_basis(q, order, limbs) for q in largest)
        enough = next(basis for basis in bases if len(basis) == limbs)
        raise ValueError(
            f"limbs: {limbs} is not in 1..{len(moduli)}, the primes of {bits} bits from "
            f"modulus={modulus} down with a root of order {order}; modulus={enough[0]} has as many"
        )
    return moduli


def _basis(modulus: int, order: int, limbs: int) -> tuple[int, ...]:
    least = 1 << (modulus.bit_length() - 1)
    return tuple(islice(filter(is_prime, range(modulus, least, -order)), limbs))


@cache
def least_root(modulus: int, size: int) -> int:
    """Return the least primitive root of unity of order ``2 * size``."""
    root = next(
        root
        for base in count(2)
        if pow(root := pow(base, (modulus - 1) // (2 * size), modulus), size, modulus)
        == modulus - 1
    )
    powers = [root]
    for _ in range(size - 1):
        powers.append(powers[-1] * root * root % modulus)
    return min(powers)
