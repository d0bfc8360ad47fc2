"""Remainders modulo ``2**a - 2**b + 1`` by folding: no multiplier.

What stands above ``2**a`` counts ``2**b - 1`` times below it. Each fold takes off ``a - b`` bits;
the range of what is left is followed exactly, and says when to stop and what to correct. Where
``a = 2 * b``, as of Goldilocks, ``2**64 - 2**32 + 1``, also ``2**(3 * b) = -1``, and one fold is
enough for products.

Source: J. A. Solinas, "Generalized Mersenne Numbers" (1999).
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from pe.config import integer
from pe.modular import ModularUnit, Q, TaggedConfig
from pe.pipeline import Pipeline


@dataclass(frozen=True)
class Range:
    """Least and greatest value of a word."""

    least: int
    greatest: int

    @property
    def bits(self) -> int:
        """Bits of the word, with a sign where it may be negative."""
        if self.least >= 0:
            return self.greatest.bit_length()
        return max((-self.least - 1).bit_length(), self.greatest.bit_length()) + 1


def exponents(modulus: int) -> tuple[int, int]:
    """Return a and b of a modulus ``2**a - 2**b + 1``.

    Raises
    ------
    ValueError
        When it is none.
    """
    a = modulus.bit_length()
    rest = (1 << a) + 1 - modulus
    b = rest.bit_length() - 1
    if rest != 1 << b or not 0 < b < a:
        raise ValueError(f"modulus: {modulus} is not 2**a - 2**b + 1 with 0 < b < a")
    return a, b


class SolinasConfig(TaggedConfig):
    """The modulus, and how much longer than it the words are that are reduced."""

    excess: int = integer("bits of a word beyond those of the modulus", 1, 66, default=8)

    def __post_init__(self) -> None:
        super().__post_init__()
        exponents(self.modulus)

    @property
    def ranges(self) -> list[Range]:
        """Ranges of the word and of what each fold leaves."""
        return folds(self.modulus, self.bits + self.excess)

    @property
    def latency(self) -> int:
        return len(self.ranges) - 1 + corrections(self.modulus, self.ranges[-1])

    @property
    def name(self) -> str:
        return self.slug("solinas", excess=self.excess if self.excess != 8 else 0)


class Solinas(ModularUnit):
    """Remainder of a word modulo ``2**a - 2**b + 1``, by folding.

    Function unit: latency as many folds and corrections as it takes, initiation interval 1. Of
    products modulo Goldilocks (excess 64) it is 2.

    Members
    -------
    z : In(bits + excess)
        Any word.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    remainder : Out(bits)
        z modulo the modulus.
    """

    config: SolinasConfig

    def __init__(self, config: SolinasConfig) -> None:
        ins = {"z": config.bits + config.excess}
        super().__init__(config, ins, {"remainder": config.bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        solinas_reduce(m, pipeline, self.config.modulus, "remainder")


def folds(modulus: int, width: int) -> list[Range]:
    """Return the range of a word, and those after each fold that is worth it."""
    a, b = exponents(modulus)
    found = [Range(0, (1 << width) - 1)]
    if _folds_thirds(a, b, width):
        middle, high = (1 << b) - 1, ((1 << width) - 1) >> (3 * b)
        found.append(Range(-high, (1 << a) - 1 + min(middle, found[0].greatest >> a) * middle))
    while True:
        now = found[-1]
        least, greatest = now.least >> a, now.greatest >> a
        factor = (1 << b) - 1
        following = Range(least * factor, (1 << a) - 1 + greatest * factor)
        stuck = following.greatest - following.least >= now.greatest - now.least
        if corrections(modulus, now) <= 1 or stuck:
            return found
        found.append(following)


def corrections(modulus: int, range_: Range) -> int:
    """Return the steps that bring a word of this range below the modulus.

    A step adds the modulus below zero and subtracts it where that leaves nothing negative.
    """
    return max(-(range_.least // modulus), range_.greatest // modulus)


def _folds_thirds(a: int, b: int, width: int) -> bool:
    """Tell whether the first fold also takes what is above ``2**(3 * b)``, which is -1."""
    return a == 2 * b and 3 * b < width <= 4 * b


def solinas_reduce(m: Module, pipeline: Pipeline, modulus: int, result: str) -> None:
    """Replace z of a pipeline by its remainder."""
    a, b = exponents(modulus)
    p = pipeline
    thirds = _folds_thirds(a, b, len(p["z"]))
    before, *rest = folds(modulus, len(p["z"]))
    for number, after in enumerate(rest):
        low, high = p["z"][:a], p["z"][a:]
        terms = [("more", high << b, 1), ("less", high, -1)]
        if before.least < 0:
            high = _extended(high, after.bits)
            terms = [("more", high << b, 1), ("less", high, -1)]
        if thirds and not number:
            terms = [("more", high[:b] << b, 1), ("less", high[:b], -1), ("lesser", high[b:], -1)]
        total: Value = low
        for name, term, sign in terms:
            following = Signal(after.bits, name=f"folded_{number}_{name}")
            m.d.comb += following.eq(total + term if sign > 0 else total - term)
            total = following
        p.step(z=total)
        before = after
    for number in range(corrections(modulus, before)):
        after = Range(min(0, before.least + modulus), max(modulus - 1, before.greatest - modulus))
        p.step(z=_corrected(m, f"corrected_{number}", p["z"], p[Q], before, after))
        before = after
    p.let(**{result: p["z"][: modulus.bit_length()]})
    p.drop("z")


def _extended(value: Value, bits: int) -> Value:
    """Return a word's two's complement in more bits, or in as many."""
    return Cat(value, value[-1].replicate(max(0, bits - len(value))))


def _corrected(m: Module, name: str, z: Value, q: Value, before: Range, after: Range) -> Value:
    """Return z with the modulus added below zero, or subtracted where that is not negative."""
    bits = max(after.bits, after.greatest.bit_length() + 1)
    less = Signal(bits, name=f"{name}_less")
    m.d.comb += less.eq(z - q)
    chosen = Mux(less[-1], _extended(z, after.bits)[: after.bits], less[: after.bits])
    if before.least >= 0:
        return chosen
    more = Signal(after.bits, name=f"{name}_more")
    m.d.comb += more.eq(_extended(z, after.bits)[: after.bits] + q)
    return Mux(z[-1], more, chosen)
