"""What the units of modular arithmetic answer, set by set.

Ports are integer arrays [t]; results are arrays of Python integers. A modulus given at run time is
`q`, else it is the parameter `modulus`. Of the other ports, which hold constants that follow from
the modulus or say that a set is valid, `i_tag` comes back as ``o_tag``.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Barrett, Integers, Montgomery, halve, integers, shoup_product

Columns = dict[str, Integers]


def add(
    a: ArrayLike,
    b: ArrayLike,
    subtract: ArrayLike,
    halve: ArrayLike,
    q: ArrayLike | None = None,
    *,
    modulus: int,
    **others: ArrayLike,
) -> Columns:
    """Sums or differences of residues, or halves of them."""
    moduli = _moduli(a, q, modulus)
    total = (integers(a) + np.where(integers(subtract) == 1, -1, 1) * integers(b)) % moduli
    return {"sum": np.where(integers(halve) == 1, _halves(total, moduli), total)} | _tag(others)


def barrett_reduce(
    z: ArrayLike,
    q: ArrayLike | None = None,
    *,
    modulus: int,
    excess: int,
    alpha: int,
    drop: int,
    lazy: bool,
    **others: ArrayLike,
) -> Columns:
    """Remainders; lazy ones are those of the estimated quotient."""
    moduli = _moduli(z, q, modulus)
    if not lazy:
        return {"remainder": integers(z) % moduli} | _tag(others)
    rest = [
        Barrett(m, excess, alpha, drop).remainder(x)
        for x, m in zip(integers(z), moduli, strict=True)
    ]
    return {"remainder": np.array(rest, object)} | _tag(others)


def barrett(
    a: ArrayLike,
    b: ArrayLike,
    q: ArrayLike | None = None,
    shift: ArrayLike = 0,
    *,
    modulus: int,
    excess_bits: int,
    alpha: int,
    drop: int,
    lazy: bool,
    **others: ArrayLike,
) -> Columns:
    """Modular products; a modulus given at run time is shifted to full width."""
    scaled = (integers(a) << integers(shift)) * integers(b)
    rest = barrett_reduce(
        scaled, q=q, modulus=modulus, excess=excess_bits, alpha=alpha, drop=drop, lazy=lazy
    )
    return {"product": rest["remainder"] >> integers(shift)} | _tag(others)


def montgomery(
    a: ArrayLike,
    b: ArrayLike,
    q: ArrayLike | None = None,
    *,
    modulus: int,
    radix_bits: int,
    lazy: bool,
    **others: ArrayLike,
) -> Columns:
    """Products divided by the radix; lazy ones are never negative, as the modulus is added."""
    moduli = _moduli(a, q, modulus)
    rest = [
        Montgomery(m, radix_bits).reduce(z)
        for z, m in zip(integers(a) * integers(b), moduli, strict=True)
    ]
    found = np.array(rest, object)
    return {"product": found + moduli if lazy else found % moduli} | _tag(others)


def shoup(
    x: ArrayLike,
    factor: ArrayLike,
    q: ArrayLike | None = None,
    *,
    modulus: int,
    operand_bits: int,
    lazy: bool,
    **others: ArrayLike,
) -> Columns:
    """Products with known factors."""
    moduli = _moduli(x, q, modulus)
    found = [
        shoup_product(*values, operand_bits)
        for values in zip(integers(x), integers(factor), moduli, strict=True)
    ]
    products = np.array(found, object)
    return {"product": products if lazy else products % moduli} | _tag(others)


def solinas(z: ArrayLike, *, modulus: int, **others: ArrayLike) -> Columns:
    """Remainders."""
    return {"remainder": integers(z) % modulus} | _tag(others)


def bat_reduce(
    q: ArrayLike | None = None,
    *,
    modulus: int,
    chunk: int,
    digits: int,
    **others: ArrayLike,
) -> Columns:
    """Residues of merged digit sums ``sum_0``, ``sum_1``, ..."""
    merged = sum(integers(others[f"sum_{i}"]) << chunk * i for i in range(digits))
    return {"remainder": merged % _moduli(merged, q, modulus)} | _tag(others)


def butterfly(
    u: ArrayLike,
    v: ArrayLike,
    w: ArrayLike,
    q: ArrayLike | None = None,
    gs: ArrayLike | None = None,
    *,
    modulus: int,
    kind: str,
    reducer: str,
    lazy: bool,
    halve: bool,
    radix_bits: int,
    **others: ArrayLike,
) -> Columns:
    """Butterflies: where `gs` the sum first, else the product; half of the former with `halve`.

    Lazy products are what their reduction leaves, and twice the modulus is subtracted once where
    that leaves nothing negative.
    """
    moduli = _moduli(u, q, modulus)
    chosen = np.full(len(moduli), kind == "gs") if gs is None else integers(gs) == 1
    u, v, w = integers(u), integers(v), integers(w)
    twice = moduli * (2 if lazy else 1)
    low = np.where(u >= twice, u - twice, u)
    total = np.where(u + v >= twice, u + v - twice, u + v)
    rest = u - v + twice if lazy else (u - v) % moduli
    if halve:
        total, rest = _halves(total, moduli), _halves(rest, moduli)
    t = _products(np.where(chosen, rest, v), w, moduli, reducer, lazy, radix_bits)
    first, second = low + t, low - t + (twice if lazy else 0)
    if not lazy:
        first, second = first % moduli, second % moduli
    return {"x": np.where(chosen, total, first), "y": np.where(chosen, t, second)} | _tag(others)


def _products(
    a: Integers, b: Integers, moduli: Integers, reducer: str, lazy: bool, radix_bits: int
) -> Integers:
    """Return products with twiddle factors as each reduction leaves them."""
    found = []
    for x, y, m in zip(a, b, moduli, strict=True):
        bits = int(m).bit_length()
        if radix_bits:
            rest = Montgomery(m, radix_bits).reduce(x * y)
            found.append(rest + m if lazy else rest % m)
        elif not lazy:
            found.append(x * y % m)
        elif reducer == "shoup":
            found.append(shoup_product(x, y, m, bits + 2))
        else:
            found.append(Barrett(m, bits + 2, bits + 3, 2).remainder(x * y))
    return np.array(found, object)


def _moduli(operand: ArrayLike, q: ArrayLike | None, modulus: int) -> Integers:
    return np.full(np.shape(operand), modulus, object) if q is None else integers(q)


def _halves(values: Integers, moduli: Integers) -> Integers:
    return np.array([halve(x, q) for x, q in zip(values, moduli, strict=True)], object)


def _tag(others: Mapping[str, ArrayLike]) -> Columns:
    return {"o_tag": integers(others["i_tag"])} if "i_tag" in others else {}
