"""Modular arithmetic of wide words: what the units of homomorphic encryption compute.

All of it is in Python's integers: no logarithm or quotient of constants is ever a float. Functions
of arrays take integer arrays of any dtype and return arrays of Python integers.

Sources: P. Barrett, CRYPTO 1986; J.-F. Dhem, "Design of an efficient public-key cryptographic
library for RISC-based smart cards" (1998), for the two parameters of the generalisation;
P. L. Montgomery, "Modular Multiplication Without Trial Division" (1985); A. C. Mert and others,
"A Flexible and Scalable NTT Hardware" (2020), for the word-level form; D. Harvey, "Faster
arithmetic for number-theoretic transforms" (2014), for V. Shoup's product; J. A. Solinas,
"Generalized Mersenne Numbers" (1999).
"""

from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.object_]


def integers(values: ArrayLike) -> Integers:
    """Return an array of Python integers."""
    found = np.asarray(values)
    # NumPy makes floats of a list with integers of 64 bits and others.
    return np.asarray(values, object) if found.dtype.kind == "f" else found.astype(object)


class Barrett(NamedTuple):
    """Constants of a generalised Barrett reduction of ``z < 2**(k + excess)``.

    ``quotient = ((z >> (k - drop)) * mu) >> (alpha + drop)`` is never above ``z // modulus``.

    Attributes
    ----------
    modulus
        Of exactly k bits, no power of two.
    excess
        Bits of z beyond those of the modulus.
    alpha
        The reciprocal is ``mu = 2**(k + alpha) // modulus``.
    drop
        Bits of the modulus' width that z keeps below its low bits: -beta of the literature.
    """

    modulus: int
    excess: int
    alpha: int
    drop: int

    @property
    def bits(self) -> int:
        """Bits k of the modulus."""
        return self.modulus.bit_length()

    @property
    def mu(self) -> int:
        """The reciprocal."""
        return (1 << (self.bits + self.alpha)) // self.modulus

    def quotient(self, z: int) -> int:
        """Estimate ``z // modulus``, never too large."""
        return ((z >> (self.bits - self.drop)) * self.mu) >> (self.alpha + self.drop)

    def remainder(self, z: int) -> int:
        """What is left of z before any correction."""
        return z - self.quotient(z) * self.modulus

    @property
    def largest(self) -> int:
        """Bound on every remainder before corrections.

        With ``s = alpha + drop``, ``rho = 2**(k + alpha) % modulus`` and z cut in ``b`` and
        ``z0``, exactly ``z / q = b * mu / 2**s + b * rho / (q * 2**s) + z0 / q``; the floor of the
        first term takes at most ``(2**s - 1) / 2**s``.
        """
        scale = 1 << (self.alpha + self.drop)
        rho = (1 << (self.bits + self.alpha)) % self.modulus
        b = ((1 << (self.bits + self.excess)) - 1) >> (self.bits - self.drop)
        low = (1 << (self.bits - self.drop)) - 1
        return (self.modulus * (scale - 1) + b * rho) // scale + low

    @property
    def corrections(self) -> int:
        """Subtractions of the modulus that reduce every remainder."""
        return self.largest // self.modulus


def barrett_corrections(bits: int, excess: int, alpha: int, drop: int) -> int:
    """Return the subtractions that suffice for every modulus of exactly `bits` bits.

    As ``rho < q`` and ``q > 2**(bits - 1)``, a remainder is below ``q * (1 + b / 2**s) + z0``.
    """
    b = ((1 << (bits + excess)) - 1) >> (bits - drop)
    bound = 1 + Fraction(b, 1 << (alpha + drop))
    bound += Fraction((1 << (bits - drop)) - 1, (1 << (bits - 1)) + 1)
    return ceil(bound) - 1


class Montgomery(NamedTuple):
    """Montgomery's reduction: ``z`` times the inverse of ``radix = 2**radix_bits``."""

    modulus: int
    radix_bits: int

    @property
    def inverse(self) -> int:
        """The inverse of the modulus modulo the radix."""
        return pow(self.modulus, -1, 1 << self.radix_bits)

    @property
    def square(self) -> int:
        """Square of the radix, which brings numbers into Montgomery's domain."""
        return pow(2, 2 * self.radix_bits, self.modulus)

    def reduce(self, z: int) -> int:
        """Return ``z / radix`` modulo the modulus: above -modulus, at most ``z / radix``."""
        t = z * self.inverse % (1 << self.radix_bits)
        return (z >> self.radix_bits) - (t * self.modulus >> self.radix_bits)

    def reduce_words(self, z: int, word: int) -> int:
        """Return the same, `word` bits at a time, for a modulus that is 1 modulo ``2**word``."""
        high = self.modulus >> word
        for left in range(self.radix_bits, 0, -word):
            size = min(word, left)
            z = (z >> size) - (high << (word - size)) * (z % (1 << size))
        return z


def shoup_quotient(factor: int, modulus: int, bits: int) -> int:
    """Return the constant beside a known factor for operands of `bits` bits."""
    return (factor << bits) // modulus


def shoup_product(x: int, factor: int, modulus: int, bits: int) -> int:
    """Return x times a known factor, below twice the modulus for every ``x < 2**bits``."""
    estimate = (x * shoup_quotient(factor, modulus, bits)) >> bits
    return x * factor - estimate * modulus


def halve(x: int, modulus: int) -> int:
    """Return half of x modulo an odd modulus, without a product."""
    return (x >> 1) + (x & 1) * ((modulus + 1) // 2)


def solinas_exponents(modulus: int) -> tuple[int, int] | None:
    """Return a and b of a modulus ``2**a - 2**b + 1``, where it is one."""
    a = modulus.bit_length()
    b = ((1 << a) + 1 - modulus).bit_length() - 1
    return (a, b) if 0 < b < a and modulus == (1 << a) - (1 << b) + 1 else None


def solinas_fold(z: int, a: int, b: int) -> int:
    """Replace the part of z above ``2**a`` by what is congruent to it; z may be negative."""
    high = z >> a
    return (z - (high << a)) + (high << b) - high


def goldilocks(z: int) -> int:
    """Return z below 2**128 modulo ``2**64 - 2**32 + 1``."""
    modulus = (1 << 64) - (1 << 32) + 1
    low, middle, high = z % (1 << 64), (z >> 64) % (1 << 32), z >> 96
    total = low + middle * ((1 << 32) - 1) - high
    return total + modulus if total < 0 else total - modulus if total >= modulus else total
