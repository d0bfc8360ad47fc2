"""Operands that units of modular arithmetic may get: residues, and constants that go with them.

Each function returns integer arrays [count] by port. Where all combinations, of all moduli if those
are operands, are few enough, they are all among the valid ones. Else operands are random, with
those well represented at which reductions go wrong: around 0, half the modulus, multiples of it,
and the largest word.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from golden.modular import Integers, shoup_quotient

Columns = dict[str, Integers]
Bounds = Callable[[Integers], Columns]

FEW = 16
"""Products that are drawn for a sum; more repeat them."""

CORNERS = 0.3
"""Share of operands that are taken from the corners."""

VALID = 0.9
"""Share of operands that are valid."""


def add(count: int, seed: int, *, modulus: int, runtime: bool) -> Columns:
    """Residues, and every choice of what is done with them."""

    def bounds(q: Integers) -> Columns:
        return {"a": q, "b": q, "subtract": q * 0 + 2, "halve": q * 0 + 2}

    columns, _ = _draw(count, seed, modulus, runtime, bounds)
    return columns


def barrett_reduce(
    count: int, seed: int, *, modulus: int, runtime: bool, excess: int, alpha: int
) -> Columns:
    """Any words; a modulus given at run time has its top bit set, and may be even."""
    size = 1 << (modulus.bit_length() + excess)
    columns, _ = _draw(count, seed, modulus, runtime, lambda q: {"z": q * 0 + size})
    return columns | (_scaled(columns["q"], modulus, alpha) if runtime else {})


def barrett(
    count: int, seed: int, *, modulus: int, runtime: bool, alpha: int, lazy: bool
) -> Columns:
    """Residues, lazy ones below twice the modulus; a modulus at run time is shifted."""
    columns, moduli = _draw(count, seed, modulus, runtime, _factors(lazy))
    if runtime:
        columns |= _scaled(moduli, modulus, alpha) | {"shift": _shifts(moduli, modulus)}
    return columns


def montgomery(
    count: int, seed: int, *, modulus: int, runtime: bool, word: int, radix_bits: int, lazy: bool
) -> Columns:
    """Residues, lazy ones below twice the modulus."""
    step = 1 << max(1, word)
    columns, moduli = _draw(count, seed, modulus, runtime, _factors(lazy), step)
    if runtime and not word:
        inverses = [pow(int(q), -1, 1 << radix_bits) for q in moduli]
        columns["inverse"] = np.array(inverses, object)
    return columns


def shoup(count: int, seed: int, *, modulus: int, runtime: bool, operand_bits: int) -> Columns:
    """Any words, and residues with their quotients."""

    def bounds(q: Integers) -> Columns:
        return {"x": q * 0 + (1 << operand_bits), "factor": q}

    columns, moduli = _draw(count, seed, modulus, runtime, bounds)
    quotients = [
        shoup_quotient(int(f), int(q), operand_bits)
        for f, q in zip(columns["factor"], moduli, strict=True)
    ]
    return columns | {"quotient": np.array(quotients, object)}


def solinas(count: int, seed: int, *, modulus: int, excess: int) -> Columns:
    """Any words."""
    size = 1 << (modulus.bit_length() + excess)
    columns, _ = _draw(count, seed, modulus, False, lambda q: {"z": q * 0 + size})
    return columns


def bat_reduce(
    count: int,
    seed: int,
    *,
    modulus: int,
    runtime: bool,
    chunk: int,
    digits: int,
    terms: int,
    alpha: int,
) -> Columns:
    """Sums of products of digits of residues with any digits; the greatest often."""
    rng = np.random.default_rng(seed)
    columns, moduli = _draw(count, seed, modulus, runtime, lambda _: {}, full=True)
    few = min(terms, FEW)
    residues = _below(rng, np.tile(moduli - 1, few * digits), np.tile(moduli, few * digits))
    factors = rng.integers(0, 1 << chunk, len(residues)).astype(object)
    # All at their greatest, for some sets.
    greatest = np.tile(rng.random(count) < 0.1, few * digits)
    residues = np.where(greatest, np.tile(moduli - 1, few * digits), residues)
    factors = np.where(greatest, (1 << chunk) - 1, factors)
    for i in range(digits):
        products = (residues >> chunk * i) % (1 << chunk) * factors
        sums = products.reshape(-1, count).sum(axis=0) * (terms // few)
        columns[f"sum_{i}"] = sums
    if runtime:
        columns["mu"] = (1 << (modulus.bit_length() + alpha)) // moduli
    return columns


def butterfly(
    count: int,
    seed: int,
    *,
    modulus: int,
    runtime: bool,
    kind: str,
    reducer: str,
    lazy: bool,
    word: int,
    radix_bits: int,
) -> Columns:
    """Residues, lazy ones below four times the modulus or, where sums are first, below twice."""
    bits = modulus.bit_length()
    times = (2 if kind == "gs" else 4) if lazy else 1

    def bounds(q: Integers) -> Columns:
        highs = {"u": q * times, "v": q * times, "w": q}
        return highs | ({"gs": q * 0 + 2} if kind == "unified" else {})

    step = 1 << max(1, word)
    columns, moduli = _draw(count, seed, modulus, runtime, bounds, step, full=True)
    if lazy and kind == "unified":
        for name in "uv":
            first = columns[name] % (2 * moduli)
            columns[name] = np.where(columns["gs"] == 1, first, columns[name])
    if reducer == "shoup":
        width = bits + 2 * lazy
        columns["quotient"] = (columns["w"] << width) // moduli
    elif runtime and reducer == "barrett":
        columns["mu"] = (1 << (2 * bits + (3 if lazy else 1))) // moduli
    elif runtime and not word:
        inverses = [pow(int(q), -1, 1 << radix_bits) for q in moduli]
        columns["inverse"] = np.array(inverses, object)
    return columns


def _factors(lazy: bool) -> Bounds:
    return lambda q: {"a": q * (1 + lazy), "b": q * (1 + lazy)}


def _shifts(moduli: Integers, largest: int) -> Integers:
    return np.array([largest.bit_length() - int(q).bit_length() for q in moduli], object)


def _scaled(moduli: Integers, largest: int, alpha: int) -> Columns:
    q = moduli << _shifts(moduli, largest)
    return {"q": q, "mu": (1 << (largest.bit_length() + alpha)) // q}


def _draw(
    count: int,
    seed: int,
    modulus: int,
    runtime: bool,
    bounds: Bounds,
    step: int = 2,
    full: bool = False,
) -> tuple[Columns, Integers]:
    """Return operands below their bounds with ``i_valid`` and perhaps ``q``, and the moduli.

    A modulus given at run time is 1 modulo `step` and as long as `modulus` at most, or exactly
    with `full`.
    """
    rng = np.random.default_rng(seed)
    moduli = np.full(count, modulus, object)
    if runtime:
        moduli = _random_moduli(rng, count, modulus, step)
        top = 1 << (modulus.bit_length() - 1)
        if full:
            moduli = np.where(moduli < top, moduli + top, moduli)
    columns = {name: _below(rng, high, moduli) for name, high in bounds(moduli).items()}
    valid = (rng.random(count) < VALID).astype(object)
    places = np.flatnonzero(valid == 1)
    candidates = np.array([modulus], object)
    if runtime:
        least = top + 1 if full else step + 1
        candidates = np.arange(least, min(2 * top, 1 << 12), step).astype(object)
    highs = bounds(candidates)
    sizes = np.prod(np.stack([candidates * 0 + 1, *highs.values()]), axis=0)
    if highs and modulus < 1 << 12 and sizes.sum() <= len(places):
        code = np.concatenate([np.arange(int(size)) for size in sizes]).astype(object)
        order = np.resize(np.arange(len(code)), len(places))
        code = code[order]
        moduli[places] = np.repeat(candidates, sizes.astype(int))[order]
        for name, high in bounds(moduli[places]).items():
            columns[name][places] = code % high
            code = code // high
    columns["i_valid"] = valid
    return columns | ({"q": moduli} if runtime else {}), moduli


def _random_moduli(rng: Generator, count: int, modulus: int, step: int) -> Integers:
    """Return moduli of all lengths up to that of `modulus`, half of them of any size."""
    most = ((1 << modulus.bit_length()) - 2) // step
    lengths = np.where(rng.random(count) < 0.5, 0, rng.integers(0, modulus.bit_length(), count))
    limits = np.maximum(most >> lengths.astype(object), 1)
    moduli: Integers = step * (_words(rng, count, most.bit_length()) % limits + 1) + 1
    chosen = rng.random(count)
    moduli[chosen < 0.1] = modulus
    moduli[chosen > 0.9] = step * most + 1
    return moduli


def _words(rng: Generator, count: int, bits: int) -> Integers:
    """Return words of at least 32 bits more than `bits`, so that their residues are uniform."""
    words = np.zeros(count, object)
    for _ in range(bits // 32 + 2):
        words = (words << 32) + rng.integers(0, 1 << 32, count).astype(object)
    return words


def _below(rng: Generator, highs: Integers, moduli: Integers) -> Integers:
    """Return numbers below `highs`, some of them at the corners of the moduli."""
    count = len(highs)
    values = _words(rng, count, int(highs.max()).bit_length()) % highs
    multiples = _words(rng, count, 64) % (highs // moduli + 1) * moduli
    near = [0, 1, 2, -1, -2, moduli // 2, (moduli + 1) // 2, highs - 1, highs - 2]
    near += [multiples, multiples - 1, multiples + 1, (moduli - 1) ** 2, highs // 2]
    table = np.stack([x + moduli * 0 for x in near]) % highs
    corners = table[rng.integers(0, len(near), count), np.arange(count)]
    found: Integers = np.where(rng.random(count) < CORNERS, corners, values)
    return found
