"""Digit encoders: every operand of every width, and the bench on a few of them."""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.sim import Simulator

from pe.encoders import (
    BITS,
    BOOTH,
    CSD,
    ENCODERS,
    ENT,
    BoothConfig,
    BoothDigit,
    SignedBit,
    bit_digits,
    booth_digits,
    csd_digits,
    digits,
    ent_decode,
    ent_digits,
)

SMALL = [(width, signed) for width, signed in product(range(1, 9), (False, True))]


def built(kind: str, value: Signal, signed: bool) -> list[BoothDigit] | list[SignedBit]:
    """Return the digits of `value` as a unit would build them."""
    if kind == ENT:
        codes, sign = ent_digits(value, signed)
        return [ent_decode(code, sign) for code in codes]
    if kind == BOOTH:
        return booth_digits(value, signed)
    return {CSD: csd_digits, BITS: bit_digits}[kind](value, signed)


def decoded(code: int, count: int, fields: int) -> Iterator[int]:
    """Return digits from their codes side by side: one, (two,) negative."""
    for i in range(count):
        bits = [code >> (fields * i + field) & 1 for field in range(fields)]
        magnitude = bits[0] + (2 * bits[1] if fields == 3 else 0)
        assert magnitude <= 2 and (magnitude or not bits[-1]), "the code of zero is zero"
        yield -magnitude if bits[-1] else magnitude


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_digits_built_inside_a_unit(kind: str, width: int, signed: bool) -> None:
    m = Module()
    value = Signal(width)
    found = built(kind, value, signed)
    code = Signal(sum(len(bits) for bits in found))
    m.d.comb += code.eq(Cat(Cat(digit) for digit in found))
    radix = 4 if kind in (BOOTH, ENT) else 2
    assert len(found) == digits(width, signed, kind)

    async def check(ctx: Any) -> None:
        for number in range(1 << width):
            ctx.set(value, number)
            values = list(decoded(ctx.get(code), len(found), len(found[0])))
            wanted = number - (1 << width) if signed and number >> (width - 1) else number
            assert sum(d * radix**i for i, d in enumerate(values)) == wanted
            if kind == CSD:
                assert not any(x and y for x, y in pairwise(values))

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


def test_a_pe_may_ask_for_the_number_of_digits() -> None:
    assert [digits(8, True, kind) for kind in ENCODERS] == [4, 4, 8, 8]
    assert [digits(8, False, kind) for kind in ENCODERS] == [5, 5, 9, 8]
    assert [digits(7, True, kind) for kind in ENCODERS] == [4, 4, 7, 7]
    assert [digits(7, False, kind) for kind in ENCODERS] == [4, 4, 8, 7]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^kind: 'both' is not one of .*; did you mean 'booth'\?"):
        digits(8, True, "both")
    with pytest.raises(ValueError, match=r"^width: 0 is not at least 1$"):
        digits(0, True, BOOTH)
    with pytest.raises(ValueError, match=r"^width: 17 is not in 2\.\.16$"):
        BoothConfig(width=17)
