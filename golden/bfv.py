"""A toy of the BFV scheme over residue limbs. A test vehicle for the hardware: it is NOT secure.

Messages are N numbers modulo a prime that splits ``x**N + 1``, so that products of polynomials are
products slot by slot. There is one secret key, and no relinearisation: enough for the product of a
ciphertext with a known polynomial, and for the division by the last modulus.

Sources: J. Fan, F. Vercauteren, "Somewhat Practical Fully Homomorphic Encryption" (2012); slots of
N. Smart, F. Vercauteren, "Fully Homomorphic SIMD Operations" (2011).
"""

from math import log2, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from golden import rns
from golden.modular import Integers, integers
from golden.ntt import Ring

DEVIATION = 3.2
"""Of the error of an encryption."""


class Bfv(NamedTuple):
    """Parameters of the scheme.

    Attributes
    ----------
    size
        Coefficients of a polynomial, a power of two.
    plain
        Modulus t of messages, a prime that is 1 modulo ``2 * size``.
    moduli
        Of the limbs of a ciphertext, the same kind of primes.
    """

    size: int
    plain: int
    moduli: tuple[int, ...]

    @property
    def whole(self) -> int:
        """Product Q of the moduli."""
        return prod(self.moduli)

    def without_last(self) -> "Bfv":
        """Return the scheme of ciphertexts that were divided by the last modulus."""
        return self._replace(moduli=self.moduli[:-1])

    def encode(self, message: ArrayLike) -> Integers:
        """Return the polynomial [N] with numbers [N] modulo t in its slots, centred."""
        coefficients = integers(Ring.of(self.plain, self.size).inverse(message))
        centred: Integers = np.where(
            coefficients > self.plain // 2, coefficients - self.plain, coefficients
        )
        return centred

    def decode(self, polynomial: ArrayLike) -> Integers:
        """Return the numbers [N] in the slots of a polynomial [N]."""
        ring = Ring.of(self.plain, self.size)
        return integers(ring.forward(integers(polynomial) % self.plain))

    def secret_key(self, rng: np.random.Generator) -> Integers:
        """Return a polynomial [N] of -1, 0 and 1."""
        return integers(rng.integers(-1, 2, self.size))

    def encrypt(self, polynomial: ArrayLike, key: ArrayLike, rng: np.random.Generator) -> Integers:
        """Return a ciphertext [2, limbs, N] of a polynomial [N]."""
        scaled = (integers(polynomial) * self.whole * 2 + self.plain) // (2 * self.plain)
        error = integers(np.rint(rng.normal(0, DEVIATION, self.size)).astype(np.int64))
        mask = np.stack([integers(rng.integers(0, q, self.size)) for q in self.moduli])
        hidden = self.product(mask, rns.residues(key, self.moduli))
        body = rns.residues(scaled + error, self.moduli) - hidden
        return np.stack([body % self._column(), mask])

    def product(self, a: ArrayLike, b: ArrayLike) -> Integers:
        """Multiply polynomials [limbs, N], limb by limb."""
        limbs = zip(self.moduli, integers(a), integers(b), strict=True)
        return np.stack([integers(Ring.of(q, self.size).product(x, y)) for q, x, y in limbs])

    def decrypt(self, ciphertext: ArrayLike, key: ArrayLike) -> tuple[Integers, float]:
        """Return the polynomial [N] modulo t of a ciphertext [2, limbs, N], and its noise budget.

        The budget is the bits by which the noise could grow before a coefficient is wrong.
        """
        body, mask = integers(ciphertext)
        limbs = (body + self.product(mask, rns.residues(key, self.moduli))) % self._column()
        scaled = rns.combine(limbs, self.moduli) * self.plain
        rounded = (2 * scaled + self.whole) // (2 * self.whole)
        noise = max(abs(int(x)) for x in scaled - rounded * self.whole)
        return rounded % self.plain, log2(self.whole / (2 * max(1, noise)))

    def _column(self) -> Integers:
        return integers(self.moduli)[:, None]
