# amaranth: UnusedElaboratable=no
"""A running sum that is added to without carry propagation.

The columns that products reach are in carry-save form: up to two bits each. Above them the sum
only ever counts by -1, 0 or 1, so that it is kept as groups of bits with carries between them that
wait a cycle: far fewer registers than a second bit in every column.

Products come biased, so that they are not negative and no sign need be extended: the bias is taken
away again as a constant, which above the products' columns is the -1 of the count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, unsigned

from pe.adders import add
from pe.heap import BitHeap

GROUP = 8
"""Bits of a group above the products' columns."""


@dataclass(frozen=True)
class RunningSum:
    """Layout of a running sum, and what adds to it.

    Attributes
    ----------
    width
        The sum counts modulo ``2**width``.
    heights
        Bits in each column of the biased product that a cycle adds, at most two.
    constant
        What a cycle adds besides, less than 0: the bias of the product is taken away.
    schedule, counters
        As `BitHeap.reduce` takes them.
    """

    width: int
    heights: tuple[int, ...]
    constant: int
    schedule: str
    counters: str

    @property
    def split(self) -> int:
        """Columns in carry-save form; groups begin here."""
        return _layout(self).split

    @property
    def weights(self) -> tuple[int, ...]:
        """Weight of each bit of the state, as an exponent of 2.

        First a word of `width` bits, then the second bits of columns, then carries into groups.
        """
        split, doubled, overflow = _layout(self)
        bases = range(split, self.width, GROUP)
        carries = [base for base in bases for _ in range(overflow)]
        return (*range(self.width), *doubled, *carries)

    def add(self, m: Module, product: Sequence[Value], state: Value) -> Value:
        """Return the state after a product is added.

        Parameters
        ----------
        product
            Bits of a heap of the given heights, as `BitHeap.flatten` gives them.
        state
            Bits of the weights `weights`.
        """
        split, doubled, overflow = _layout(self)
        heap = self.low(m, product, state, split, doubled)
        word = [column[0].value for column in heap.columns]
        seconds = [
            column[1].value if len(column) > 1 else Const(0, 1)
            for column in (heap.columns[weight] for weight in doubled)
        ]
        waiting = list(state[self.width + len(doubled) :])
        carries = [bit.value for bit in heap.overflow] if waiting else []
        for base in range(split, self.width, GROUP):
            group = state[base : min(base + GROUP, self.width)]
            count, waiting = waiting[:overflow], waiting[overflow:]
            bits, out = _count(m, group, count)
            word += bits
            carries += out if base + GROUP < self.width else []
        return Cat(*word, *seconds, *carries)

    def low(
        self,
        m: Module,
        product: Sequence[Value],
        state: Value,
        split: int,
        doubled: Sequence[int],
    ) -> BitHeap:
        """Return `split` columns in carry-save form, reduced, `doubled` ones with two bits."""
        constant = self.constant % (1 << split)
        heights = self.heights[:split]
        heights += (0,) * (split - len(heights))
        heap = BitHeap.unflatten(product[: sum(heights)], heights, constant)
        for weight in range(split):
            heap.add_bit(state[weight], weight)
        for i, weight in enumerate(doubled):
            heap.add_bit(state[self.width + i], weight)
        heap.reduce(m, self.schedule, self.counters, absorb=True)
        return heap


class _Layout(NamedTuple):
    """Columns in carry-save form, which of them have two bits, and carries out of the last."""

    split: int
    doubled: tuple[int, ...]
    overflow: int


@cache
def _layout(running: RunningSum) -> _Layout:
    """Return the least layout in which no more than two carries enter a group."""
    split = min(running.width, len(running.heights) + 1)
    while True:
        layout = _steady(running, split)
        if split == running.width or layout.overflow <= 2:
            return layout
        split += 1


def _steady(running: RunningSum, split: int) -> _Layout:
    """Return the layout in which what leaves a cycle is what enters the next.

    The fixed point, from one bit a column on.
    """
    product = list(Signal(sum(running.heights)))
    doubled: tuple[int, ...] = ()
    while True:
        state = Signal(running.width + len(doubled))
        heap = running.low(Module(), product, state, split, doubled)
        found = tuple(weight for weight, height in enumerate(heap.heights) if height == 2)
        found = tuple(sorted({*found, *doubled}))
        if found == doubled:
            return _Layout(split, doubled, len(heap.overflow))
        doubled = found


def _count(m: Module, group: Value, carries: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """Return a group after it counts by its carries less one, and the carries out of it.

    The carries out are one more than what overflows, since the next group too counts one less.
    """
    up, down = Signal(name="up"), Signal(name="down")
    first, second = [*carries, Const(0, 1)][:2]
    m.d.comb += [up.eq(first & second), down.eq(~(first | second))]
    bits = [group[0] ^ (up | down)]
    for i in range(1, len(group)):
        below = group[:i]
        bits.append(group[i] ^ ((up & below.all()) | (down & ~below.any())))
    return bits, [~(down & ~group.any()), up & group.all()][: len(carries)]


RESOLVE_LATENCY = 2
"""Cycles from a running sum to the number that `resolve` makes of it."""


def resolve(m: Module, adder: str, weights: Sequence[int], state: Value) -> Value:
    """Return the number that a running sum stands for: its carries propagated, a third at a time.

    Pipelined: latency `RESOLVE_LATENCY`, initiation interval 1.

    Parameters
    ----------
    adder
        One of `pe.adders.ADDERS`.
    weights
        Of the bits of the state; the number has as many bits as the greatest of them says.
    """
    width = max(weights) + 1
    heap = BitHeap(width)
    for weight, bit in zip(weights, state.as_unsigned(), strict=True):
        heap.add_bit(bit, weight)
    heap.reduce(m)
    x, y = (list(row) for row in heap.rows())
    carry: Value | None = None
    resolved: Value = Cat()
    # The first part comes after a counter, and so is the smallest.
    ends = [width // 4, width // 4 + (3 * width + 7) // 8, width]
    for part, (start, end) in enumerate(pairwise([0, *ends])):
        total = Signal(end - start + (end < width), name=f"part_{part}")
        a, b = (Cat(row[start:end], Const(0, len(total) - (end - start))) for row in (x, y))
        m.d.comb += total.eq(add(m, adder, a, b, carry))
        resolved = Cat(resolved, total[: end - start])
        if end == width:
            return resolved
        resolved = _held(m, f"resolved_{part}", resolved)
        carry = _held(m, f"carry_{part}", total[-1])
        x[end:] = _held(m, f"x_{part}", Cat(x[end:]))
        # Most columns have no second bit.
        seconds = [weight for weight in range(end, width) if heap.heights[weight] == 2]
        kept = _held(m, f"y_{part}", Cat(y[weight] for weight in seconds))
        for bit, weight in zip(kept, seconds, strict=True):
            y[weight] = bit
    raise AssertionError


def _held(m: Module, name: str, value: Value) -> Signal:
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


class CarrySave:
    """What the config of a PE has whose running sum is a `RunningSum`."""

    adder: str

    @property
    def running_sum(self) -> RunningSum:
        """Form of the running sum."""
        raise NotImplementedError

    @property
    def state_weights(self) -> tuple[int, ...]:
        """Weights of the bits of the running sum."""
        return self.running_sum.weights

    @property
    def state_shape(self) -> Shape:
        """Shape of the running sum."""
        return unsigned(len(self.state_weights))

    @property
    def resolve_latency(self) -> int | None:
        """Cycles that `resolve` takes."""
        return RESOLVE_LATENCY

    def resolve(self, m: Module, state: Value) -> Value:
        """Place what makes a number of a running sum, and return it."""
        return resolve(m, self.adder, self.state_weights, state)
