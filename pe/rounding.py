"""Rounding of exact words to floats and integers: normalize, align, round to nearest even."""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pe.formats import Float


class Aligned(NamedTuple):
    """A significand where its places are those of the result.

    Attributes
    ----------
    above
        How many places the significand's topmost is above that of the least binade; 0 of zero.
    kept
        What the result keeps, before rounding.
    half, rest
        1 bit each: the place below, and whether any below that is set.
    """

    above: Value
    kept: Value
    half: Value
    rest: Value


def normalize(m: Module, word: Value) -> tuple[Value, Value]:
    """Place a normalizer in `m`: shift `word` left until its topmost bit is set.

    Returns
    -------
    shifted : Value
        As wide as `word`; zero where it is.
    count : Value
        How far it was shifted; of zero as far as `count` goes.
    """
    counts: list[Value] = []
    width = len(word)
    for i in reversed(range((width - 1).bit_length())):
        empty = Signal(name=f"empty_{1 << i}")
        shifted = Signal(width, name=f"shifted_{1 << i}")
        m.d.comb += [
            empty.eq(~word[-(1 << i) :].any()),
            shifted.eq(Mux(empty, word << (1 << i), word)),
        ]
        counts.insert(0, empty)
        word = shifted
    return word, Cat(*counts)


def align(m: Module, significand: Value, distance: Value, keep: int) -> Aligned:
    """Place an aligner in `m`.

    Parameters
    ----------
    significand
        Its topmost bit is set, unless the number is zero or rounds to zero.
    distance
        Signed: how far the topmost bit is below the topmost kept place of the least binade.
    keep
        Places that the result keeps.
    """
    amount = Signal(range(keep + 2))
    above = Signal(len(distance) - 1)
    spare = max(0, keep - len(significand)) + keep + 1
    aligned = Signal(len(significand) + spare)
    m.d.comb += [
        amount.eq(Mux(distance[-1], 0, Mux(distance > keep + 1, keep + 1, distance))),
        above.eq(Mux(distance[-1] & significand[-1], -distance, 0)),
        aligned.eq(Cat(Const(0, spare), significand) >> amount),
    ]
    below = aligned[:-keep]
    return Aligned(above, aligned[-keep:], below[-1], below[:-1].any())


def nearest(m: Module, lower: Value, half: Value, rest: Value) -> Value:
    """Place a rounder in `m`: `lower`, or one more, a bit wider; ties to the even one."""
    floor = Signal(len(lower), name="floor")
    rounded = Signal(len(lower) + 1, name="rounded")
    m.d.comb += [floor.eq(lower), rounded.eq(floor + (half & (rest | floor[0])))]
    return rounded


def round_to_float(m: Module, significand: Value, distance: Value, target: Float) -> Value:
    """Place what rounds a number to a float, and return the magnitude of its code.

    Beyond the largest finite number the magnitude goes on as if there were no largest.

    Parameters
    ----------
    significand, distance
        As `align` takes them; the topmost place is the hidden bit.
    """
    keep = target.mantissa + 1
    parts = align(m, significand, distance, keep)
    # With the hidden bit in it, the significand makes the exponent field one more.
    lower = (parts.above << target.mantissa) + parts.kept
    return nearest(m, lower, parts.half, parts.rest)
