"""Where the coefficients of a transform lie in banks, and how lanes lead to butterflies.

Lane i of a row is in bank ``i ^ rest``, where only some bits of a bank's number vary. The lowest of
these separates the halves of a row of which products and sums take one a cycle: in odd slots it is
the other one, so that the same half of two polynomials, one in an even slot and one in an odd,
lies in different banks.
"""

from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from hw.ntt_order import InPlace, NttOrder, with_bit, without_bit
from hw.twiddles import CONSTANT, choose


class Places(NamedTuple):
    """Where the lanes of a row are.

    Attributes
    ----------
    rest
        The bits of `Geometry.exchanged` by which lanes are exchanged.
    rows
        Address in each bank.
    """

    rest: Value
    rows: list[Value]


class Geometry:
    """Places of a transform's rows.

    Attributes
    ----------
    exchanged
        Bits of a bank's number in which it may differ from the lane's.
    sides
        Copies of a polynomial between which stages go to and fro.
    settle_row
        A stage may begin when the one before has written this row.
    """

    exchanged: range
    sides: int
    settle_row: int

    def __init__(self, order: NttOrder) -> None:
        self.order = order

    def read(self, m: Module, stage: Value, row: Value, odd_slot: Value, forward: Value) -> Places:
        """Return where the operands of a row are; of the row itself, unless it is transformed."""
        raise NotImplementedError

    def write(self, m: Module, stage: Value, row: Value, odd_slot: Value, inverse: Value) -> Places:
        """Return where the results of a row belong."""
        raise NotImplementedError

    def operands(
        self, words: Sequence[Value], stage: Value, inverse: Value
    ) -> list[tuple[Value, Value]]:
        """Return what each butterfly takes of the words of all lanes."""
        raise NotImplementedError

    def results(
        self, outputs: Sequence[tuple[Value, Value]], stage: Value, forward: Value
    ) -> list[Value]:
        """Return the words of all lanes."""
        raise NotImplementedError

    def exchange(self, m: Module, name: str, words: Sequence[Value], rest: Value) -> list[Value]:
        """Return the words with word i in place of ``i ^ rest``."""
        for place, bit in zip(self.exchanged, rest, strict=True):
            swapped = [
                Signal(len(word), name=f"{name}_{place}_{i}") for i, word in enumerate(words)
            ]
            for i, word in enumerate(words):
                m.d.comb += swapped[i].eq(Mux(bit, words[i ^ (1 << place)], word))
            words = swapped
        return [*words]


class _InPlace(Geometry):
    """The bank of an address is the XOR of its digits, its row the address without the low one.

    In every cycle 2P addresses are read that differ in one bit of each place within a digit, among
    them the bit that the stage's butterflies span. Results return to where operands were.
    """

    order: InPlace
    sides = 1

    def __init__(self, order: InPlace) -> None:
        super().__init__(order)
        self.exchanged = range(order.lane_bits)
        self.settle_row = order.rows - 1

    def read(self, m: Module, stage: Value, row: Value, odd_slot: Value, forward: Value) -> Places:
        return self._places(m, "read", stage, row, odd_slot)

    def write(self, m: Module, stage: Value, row: Value, odd_slot: Value, inverse: Value) -> Places:
        return self._places(m, "write", stage, row, odd_slot)

    def operands(
        self, words: Sequence[Value], stage: Value, inverse: Value
    ) -> list[tuple[Value, Value]]:
        span = self._span(stage)
        places = range(self.order.lane_bits)
        return [
            (
                choose(span, [words[with_bit(t, place, 0)] for place in places]),
                choose(span, [words[with_bit(t, place, 1)] for place in places]),
            )
            for t in range(self.order.butterflies)
        ]

    def results(
        self, outputs: Sequence[tuple[Value, Value]], stage: Value, forward: Value
    ) -> list[Value]:
        span = self._span(stage)
        return [
            choose(
                span,
                [
                    outputs[without_bit(lane, place)][lane >> place & 1]
                    for place in range(self.order.lane_bits)
                ],
            )
            for lane in range(self.order.lanes)
        ]

    def _span(self, stage: Value) -> Value:
        """Return the place within a digit of the bit that a stage's butterflies span."""
        stages = range(self.order.address_bits)
        return choose(stage, [Const(s % self.order.lane_bits, 3) for s in stages])

    def _places(self, m: Module, name: str, stage: Value, row: Value, odd_slot: Value) -> Places:
        n, width = self.order.address_bits, self.order.lane_bits
        # Of a single row only the lowest bit varies, with the slot.
        single = "_unused" if self.order.rows == 1 else ""
        rest = Signal(width, name=f"{name}_rest{single}")
        rests = zip(*(self._rest(s, row) for s in range(n)), strict=True)
        m.d.comb += rest.eq(Cat(choose(stage, [*bits]) for bits in rests) ^ odd_slot)
        rows: list[Value] = []
        for b in range(self.order.lanes):
            lane = [rest[j] ^ (b >> j & 1) for j in range(width)]
            bits = zip(*(self._address(s, lane, row)[width:] for s in range(n)), strict=True)
            rows.append(Cat(choose(stage, [*choices]) for choices in bits))
        return Places(rest, rows)

    def _address(self, stage: int, lane: Sequence[Value], row: Value) -> list[Value]:
        """Return the bits of the address of a lane in a row of a stage."""
        varied = self.order.varied(stage)
        others = iter(row)
        return [
            lane[varied.index(i)] if i in varied else next(others)
            for i in range(self.order.address_bits)
        ]

    def _rest(self, stage: int, row: Value) -> list[Value]:
        """Return the XOR of an address' digits without the bits that lanes vary."""
        varied = self.order.varied(stage)
        others = [i for i in range(self.order.address_bits) if i not in varied]
        return [
            reduce(
                xor,
                [
                    bit
                    for i, bit in zip(others, row, strict=True)
                    if i % self.order.lane_bits == place
                ],
                Const(0, 1),
            )
            for place in range(self.order.lane_bits)
        ]


class _Constant(Geometry):
    """Coefficient a is in bank ``a mod 2P``, with the top bit the other one in the upper half.

    A row is so many neighbours, or P neighbours and those half the polynomial above them; either
    lies in different banks. Stages read one side and write the other. The next stage may begin when
    half of the rows are written, for it takes from both halves of them, or each twice as fast.
    """

    sides = 2

    def __init__(self, order: NttOrder) -> None:
        super().__init__(order)
        top = order.lane_bits - 1
        self.exchanged = range(top, top + 1)
        self.settle_row = order.rows // 2

    def read(self, m: Module, stage: Value, row: Value, odd_slot: Value, forward: Value) -> Places:
        return self._places(row, odd_slot, forward)

    def write(self, m: Module, stage: Value, row: Value, odd_slot: Value, inverse: Value) -> Places:
        return self._places(row, odd_slot, inverse)

    def operands(
        self, words: Sequence[Value], stage: Value, inverse: Value
    ) -> list[tuple[Value, Value]]:
        p = self.order.butterflies
        return [
            (Mux(inverse, words[2 * t], words[t]), Mux(inverse, words[2 * t + 1], words[t + p]))
            for t in range(p)
        ]

    def results(
        self, outputs: Sequence[tuple[Value, Value]], stage: Value, forward: Value
    ) -> list[Value]:
        p = self.order.butterflies
        neighbours = [word for pair in outputs for word in pair]
        apart = [outputs[lane % p][lane // p] for lane in range(2 * p)]
        return [Mux(forward, *pair) for pair in zip(neighbours, apart, strict=True)]

    def _places(self, row: Value, odd_slot: Value, apart: Value) -> Places:
        if self.order.rows == 1:
            return Places(odd_slot, [Const(0, 0)] * self.order.lanes)
        rest = Mux(apart, row[0], row[-1]) ^ odd_slot
        rows: list[Value] = [
            Mux(apart, Cat(row[1:], rest ^ (b // self.order.butterflies)), row)
            for b in range(self.order.lanes)
        ]
        return Places(rest, rows)


def geometry_of(name: str, order: NttOrder) -> Geometry:
    """Return the geometry of a name in `hw.twiddles.GEOMETRIES`."""
    if name == CONSTANT:
        return _Constant(order)
    assert isinstance(order, InPlace)
    return _InPlace(order)
