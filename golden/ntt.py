"""Negacyclic number-theoretic transforms: values of a polynomial modulo ``x**N + 1``.

Order: coefficients natural, values bit-reversed. Value i is that of the polynomial at ``psi`` to
the power ``2 * reversed(i) + 1``, with psi the least primitive root of order 2N by default.
Butterflies in place, in constant geometry, and three matrix products give the same order.

Sources: P. Longa, M. Naehrig, "Speeding up the Number Theoretic Transform" (2016); M. C. Pease,
JACM 1968, for constant geometry; CROSS, arXiv 2501.07047, for the three steps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden import primes
from golden.modular import Integers, integers

Array = NDArray[np.int64] | Integers


def words(values: ArrayLike, modulus: int) -> Array:
    """Return an array in which products of two residues are exact."""
    if modulus.bit_length() <= 31:
        return np.asarray(values).astype(np.int64)
    return integers(values)


def reversed_bits(size: int) -> NDArray[np.int64]:
    """Return the permutation that reverses the bits of ``0 .. size - 1``."""
    order = np.zeros(1, np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


class Ring(NamedTuple):
    """Polynomials modulo ``x**size + 1`` and a prime.

    Attributes
    ----------
    modulus, size
        Of the ring.
    psi
        Primitive root of unity of order ``2 * size``.
    """

    modulus: int
    size: int
    psi: int

    @classmethod
    def of(cls, modulus: int, size: int) -> "Ring":
        """Return the ring with the least root; see `golden.primes.psi` for what is refused."""
        return cls(modulus, size, primes.psi(modulus, size))

    def powers(self, root: int, count: int) -> list[int]:
        """Return the powers of a root from 0 on."""
        found = [1]
        while len(found) < count:
            found.append(found[-1] * root % self.modulus)
        return found

    def twiddles(self, inverse: bool = False) -> Array:
        """Return psi, or its inverse, to the power of the reversed bits of each index."""
        root = pow(self.psi, -1, self.modulus) if inverse else self.psi
        powers = words(self.powers(root, self.size), self.modulus)
        return powers[reversed_bits(self.size)]

    def forward(self, a: ArrayLike) -> Array:
        """Transform coefficients [N], below the modulus, to values [N], by butterflies in place."""
        x = self.checked(a)
        table, m = self.twiddles(), 1
        while m < self.size:
            u, v = np.moveaxis(x.reshape(m, 2, -1), 1, 0)
            t = v * table[m : 2 * m, None] % self.modulus
            x = np.stack([(u + t) % self.modulus, (u - t) % self.modulus], axis=1).ravel()
            m *= 2
        return x

    def inverse(self, a: ArrayLike) -> Array:
        """Transform values [N] to coefficients [N]; each butterfly halves, no pass divides by N."""
        x = self.checked(a)
        table, m = self.twiddles(inverse=True), self.size // 2
        half = (self.modulus + 1) // 2
        while m:
            u, v = np.moveaxis(x.reshape(m, 2, -1), 1, 0)
            total = (u + v) % self.modulus * half % self.modulus
            rest = (u - v) % self.modulus * half % self.modulus
            x = np.stack([total, rest * table[m : 2 * m, None] % self.modulus], axis=1).ravel()
            m //= 2
        return x

    def forward_constant_geometry(self, a: ArrayLike) -> Array:
        """Return `forward` by stages that all read and write the same addresses."""
        x = self.checked(a)
        table, half = self.twiddles(), self.size // 2
        m = 1
        while m < self.size:
            t = x[half:] * table[m + np.arange(half) % m] % self.modulus
            u = x[:half]
            x = np.stack([(u + t) % self.modulus, (u - t) % self.modulus], axis=1).ravel()
            m *= 2
        return x

    def inverse_constant_geometry(self, a: ArrayLike) -> Array:
        """Return `inverse` by stages that all read and write the same addresses."""
        x = self.checked(a)
        table, pairs = self.twiddles(inverse=True), self.size // 2
        half, m = (self.modulus + 1) // 2, self.size // 2
        while m:
            u, v = x[0::2] * half % self.modulus, x[1::2] * half % self.modulus
            factor = table[m + np.arange(pairs) % m]
            low, high = (u + v) % self.modulus, (u - v) % self.modulus * factor % self.modulus
            x = np.concatenate([low, high])
            m //= 2
        return x

    def product(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Return the product of two polynomials, coefficients [N], through their values."""
        return self.inverse(self.forward(a) * self.forward(b) % self.modulus)

    def matrices(self, rows: int) -> tuple[Array, Array, Array]:
        """Return the three matrices of the forward transform on ``rows x (size / rows)``."""
        i, r, c, j = self._indices(rows)
        cols = self.size // rows
        return (
            self._psi(2 * cols * i[:, None] * r + cols * r),
            self._psi(2 * i[:, None] * c + c),
            self._psi(2 * rows * c[:, None] * j),
        )

    def inverse_matrices(self, rows: int) -> tuple[Array, Array, Array]:
        """Return the matrices of the inverse: right factor, pointwise factor, left factor."""
        i, r, c, j = self._indices(rows)
        cols = self.size // rows
        per_col, per_row = (pow(n, -1, self.modulus) for n in (cols, rows))
        right = self._psi(-2 * rows * j[:, None] * c)
        middle = self._psi(-2 * i[:, None] * c - c) * per_col % self.modulus
        left = self._psi(-2 * cols * r[:, None] * i - cols * r[:, None]) * per_row % self.modulus
        return right, middle, left

    def forward_by_matrices(self, a: ArrayLike, rows: int) -> Array:
        """Return `forward` by a matrix product, a pointwise and another matrix product."""
        left, middle, right = self.matrices(rows)
        x = self._matmul(left, self.checked(a).reshape(rows, -1)) * middle % self.modulus
        return self._matmul(x, right).ravel()

    def inverse_by_matrices(self, a: ArrayLike, rows: int) -> Array:
        """Return `inverse` by a matrix product, a pointwise and another matrix product."""
        right, middle, left = self.inverse_matrices(rows)
        x = self._matmul(self.checked(a).reshape(rows, -1), right) * middle % self.modulus
        return self._matmul(left, x).ravel()

    def automorphism(self, a: ArrayLike, power: int) -> Array:
        """Return coefficients [N] of the polynomial at ``x**power``, for an odd power."""
        a = self.checked(a)
        target = np.arange(self.size) * power % (2 * self.size)
        result = np.zeros_like(a)
        result[target % self.size] = np.where(target < self.size, a, -a) % self.modulus
        return result

    def automorphism_of_values(self, power: int) -> NDArray[np.int64]:
        """Return the permutation of values which is the automorphism: ``out = values[found]``."""
        order = reversed_bits(self.size)
        exponents = (2 * order + 1) * power % (2 * self.size)
        found: NDArray[np.int64] = order[(exponents - 1) // 2]
        return found

    def _indices(self, rows: int) -> tuple[NDArray[np.int64], ...]:
        cols = self.size // rows
        if rows < 1 or rows * cols != self.size:
            raise ValueError(f"rows: {rows} does not divide size={self.size}")
        return reversed_bits(rows), np.arange(rows), np.arange(cols), reversed_bits(cols)

    def _psi(self, exponents: NDArray[np.int64]) -> Array:
        table = words(self.powers(self.psi, 2 * self.size), self.modulus)
        return table[exponents % (2 * self.size)]

    def _matmul(self, a: Array, b: Array) -> Array:
        product = a.astype(object) @ b.astype(object) % self.modulus
        return words(product, self.modulus)

    def checked(self, a: ArrayLike) -> Array:
        """Return a polynomial [N] whose products are exact; refuse what is none of the ring."""
        x = words(a, self.modulus)
        if x.shape != (self.size,):
            raise ValueError(f"a: shape {x.shape} is not ({self.size},)")
        if x.min() < 0 or x.max() >= self.modulus:
            raise ValueError(f"a: an element is not in 0..{self.modulus - 1}")
        return x


def negacyclic_product(a: ArrayLike, b: ArrayLike, modulus: int) -> Integers:
    """Return the product modulo ``x**N + 1`` through one product of two long integers."""
    left, right = (np.asarray(x).astype(object).tolist() for x in (a, b))
    size = len(left)
    octets = (2 * modulus.bit_length() + size.bit_length()) // 8 + 1
    packed = [
        int.from_bytes(b"".join(x.to_bytes(octets, "little") for x in xs), "little")
        for xs in (left, right)
    ]
    digits = (packed[0] * packed[1]).to_bytes(2 * size * octets, "little")
    full = [int.from_bytes(digits[i : i + octets], "little") for i in range(0, len(digits), octets)]
    result = [(low - high) % modulus for low, high in zip(full[:size], full[size:], strict=True)]
    return np.array(result, object)
