"""Bit heaps: weighted bits that a tree of counters adds without carry propagation.

Every multiplier, accumulator and adder tree of RTLoom is one heap. Sign bits are folded: a bit of
weight -2**w counts as its inverse of weight 2**w, and all the constants that this leaves become
one, so that no sign is ever replicated.

Sources: L. Dadda, "Some Schemes for Parallel Multipliers" (1965); C. S. Wallace, "A Suggestion for
a Fast Multiplier" (1964); S. F. Oberman, M. J. Flynn on 4:2 counters; the folding of signs is that
of C. R. Baugh, B. A. Wooley (1973).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from amaranth.hdl import Cat, Const, Module, Signal, Value

DADDA, WALLACE = "dadda", "wallace"
SCHEDULES = (DADDA, WALLACE)
THREE_TWO, FOUR_TWO = "3:2", "4:2"
COUNTERS = (THREE_TWO, FOUR_TWO)

_SUM_DELAY, _CARRY_DELAY = 2, 1


@dataclass(frozen=True, eq=False)
class Bit:
    """A bit of a heap.

    Attributes
    ----------
    value
        1 bit, `None` for a constant one.
    arrival
        When it is there, in delays of a carry; a sum takes two.
    """

    value: Value | None
    arrival: int = 0


_ONE = Bit(None)


@dataclass
class BitHeap:
    """Bits to be added, modulo ``2**width``.

    Attributes
    ----------
    width
        Columns: column w holds bits of weight ``2**w``.
    columns
        The bits.
    constant
        What is to be added besides; `reduce` puts it among the bits.
    period
        Carries stop at every so many columns, where the bits below are known to add up to less.
    overflow
        Carries out of the last column.
    cells
        Counters placed so far, by kind: ``"3:2"``, ``"2:2"``; a 4:2 counter is two of 3:2.
    """

    width: int
    columns: list[list[Bit]] = field(init=False)
    constant: int = 0
    period: int = 0
    overflow: list[Bit] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.columns = [[] for _ in range(self.width)]

    def add_bit(self, value: Value, weight: int, arrival: int = 0) -> None:
        """Add a bit of weight ``2**weight``."""
        if weight < self.width:
            self.columns[weight].append(Bit(value, arrival))

    def add(self, value: Value, weight: int = 0, arrival: int = 0) -> None:
        """Add ``value * 2**weight``, its sign bit folded."""
        bits = list(value.as_unsigned())
        if value.shape().signed:
            top = weight + len(bits) - 1
            self.constant -= 1 << top
            bits[-1] = ~bits[-1]
        for i, bit in enumerate(bits):
            self.add_bit(bit, weight + i, arrival)

    @property
    def heights(self) -> tuple[int, ...]:
        """Number of bits in each column, the constant not counted."""
        return tuple(sum(bit.value is not None for bit in column) for column in self.columns)

    @property
    def height(self) -> int:
        """Bits in the highest column, the constant's included."""
        self._place_constant()
        return max(len(column) for column in self.columns)

    def flatten(self) -> list[Value]:
        """Return the bits, column 0 first; the constant stays in the heap."""
        self._take_constant()
        return [_value(bit) for column in self.columns for bit in column]

    @classmethod
    def unflatten(
        cls, values: Iterable[Value], heights: Sequence[int], constant: int = 0, period: int = 0
    ) -> "BitHeap":
        """Return the heap of the given heights whose `flatten` is `values`."""
        heap = cls(len(heights), constant, period)
        bits = iter(values)
        for weight, height in enumerate(heights):
            for _ in range(height):
                heap.add_bit(next(bits), weight)
        return heap

    def reduce(
        self,
        m: Module,
        schedule: str = DADDA,
        counters: str = THREE_TWO,
        levels: int | None = None,
        absorb: bool = False,
    ) -> int:
        """Reduce the heap to at most two bits a column, or by so many levels of counters.

        Parameters
        ----------
        m
            Takes the counters.
        schedule
            ``"dadda"`` reduces as late as it can, ``"wallace"`` as early; either takes the bits
            of a column that are there first.
        counters
            ``"3:2"`` full adders, or ``"4:2"`` pairs of them with a carry to their neighbour.
        levels
            Levels of counters, by default as many as it takes.
        absorb
            Leave no constant beside another bit.

        Returns
        -------
        int
            Levels placed.
        """
        done = 0
        while done != levels and (
            self.height > 2 or (absorb and any(map(_constant, self.columns)))
        ):
            self._level(m, schedule, counters, absorb)
            done += 1
        return done

    def rows(self) -> tuple[Value, Value]:
        """Return a reduced heap as two words of `width` bits that add up to it."""
        assert self.height <= 2
        low, high = (
            Cat(_value(column[i]) if i < len(column) else Const(0, 1) for column in self.columns)
            for i in range(2)
        )
        return low, high

    def _place_constant(self) -> None:
        self._take_constant()
        for weight in range(self.width):
            if self.constant >> weight & 1:
                self.columns[weight].append(_ONE)
        self.constant = 0

    def _take_constant(self) -> None:
        for weight, column in enumerate(self.columns):
            self.constant += column.count(_ONE) << weight
            self.columns[weight] = [bit for bit in column if bit is not _ONE]
        self.constant &= (1 << self.width) - 1

    def _level(self, m: Module, schedule: str, counters: str, absorb: bool) -> None:
        """Place one level of counters."""
        ratio = 2.0 if counters == FOUR_TWO else 1.5
        goal = 2
        while int(goal * ratio) < self.height:
            goal = int(goal * ratio)
        carried: list[Bit] = []
        chain: list[Bit] = []
        for weight, column in enumerate(self.columns):
            waiting = sorted(column, key=lambda bit: bit.arrival)
            done, links = carried, chain
            if self.period and weight % self.period == 0:
                done, links = [], []
            carried, chain = [], []
            while len(waiting) > 1:
                excess = len(waiting) + len(done) + len(links) - goal
                if schedule == DADDA and excess <= 0 and not (absorb and _constant(waiting)):
                    break
                reduction = 3 if schedule == WALLACE else max(excess, 1)
                if counters == FOUR_TWO and reduction >= 3 and len(waiting) >= 4:
                    middle, link = self._count(m, weight, waiting[:3])
                    chain.append(link)
                    inputs, waiting = [middle, waiting[3], *links[:1]], waiting[4:]
                    links = links[1:]
                else:
                    size = min(len(waiting), 3 if reduction >= 2 else 2)
                    inputs, waiting = waiting[:size], waiting[size:]
                total, carry = self._count(m, weight, inputs)
                done.append(total)
                carried.append(carry)
            self.columns[weight] = done + links + waiting
        self.overflow += carried + chain

    def _count(self, m: Module, weight: int, inputs: Sequence[Bit]) -> tuple[Bit, Bit]:
        """Place a counter of two or three bits; return its sum and its carry."""
        kind = f"{len(inputs)}:2"
        number = sum(self.cells.values())
        self.cells[kind] += 1
        values = [bit.value for bit in inputs if bit.value is not None]
        ones = len(inputs) - len(values)
        ready = max(bit.arrival for bit in inputs)
        total = Signal(name=f"sum_{weight}_{number}")
        carry: Value = Signal(name=f"carry_{weight}_{number}")
        parity = values[0]
        for value in values[1:]:
            parity = parity ^ value
        m.d.comb += total.eq(~parity if ones == 1 else parity)
        if len(values) == 3:
            a, b, c = values
            m.d.comb += carry.eq((a & b) | (c & (a | b)))
        elif len(values) == 2:
            m.d.comb += carry.eq(values[0] | values[1] if ones else values[0] & values[1])
        else:
            carry = values[0]
        return Bit(total, ready + _SUM_DELAY), Bit(carry, ready + _CARRY_DELAY)


def _constant(bits: Sequence[Bit]) -> bool:
    """Tell whether a constant stands beside another bit."""
    return len(bits) > 1 and any(bit.value is None for bit in bits)


def _value(bit: Bit) -> Value:
    return Const(1, 1) if bit.value is None else bit.value
