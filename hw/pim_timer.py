"""Timers that count down to the cycle in which a command may come, and other small circuits."""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike


class Plus(NamedTuple):
    """A distance: a number that the hardware has, and 1 or more cycles."""

    value: Value
    cycles: int


Load = tuple[ValueLike, int | Plus]
"""A condition, and the distance that a timer counts from where it holds."""


def drive_timer(m: Module, count: Signal, loads: Sequence[Load]) -> None:
    """Let a register count down to 0, where it has run out.

    Parameters
    ----------
    loads
        At most one condition holds. So many cycles later the timer has run out, unless it runs
        longer anyway; distances are 1 or more.
    """
    less = Signal(len(count), name=f"{count.name}_less")
    wanted = Signal(len(count), name=f"{count.name}_wanted")
    distance: Value = Value.cast(0)
    for condition, cycles in loads:
        last = cycles - 1 if isinstance(cycles, int) else _less_one(cycles)
        distance = Mux(condition, last, distance)
    m.d.comb += [less.eq(Mux(count == 0, 0, count - 1)), wanted.eq(distance)]
    m.d.sync += count.eq(Mux(wanted > less, wanted, less))


def _less_one(distance: Plus) -> Value:
    return distance.value + (distance.cycles - 1) if distance.cycles > 1 else distance.value


def named(m: Module, name: str, value: Value) -> Signal:
    """Give a value a name of its own, and just the bits that it has."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def stream_of(m: Module, k: Value, t_ccd: int, fill: int) -> Signal:
    """Cycles from a GEMV of `k` steps to its result slot."""
    steps = named(m, "stream_steps", Mux(k > fill, k, fill))
    stream = Signal(range(63 * t_ccd + 1), name="stream")
    m.d.comb += stream.eq(sum_of([steps << i for i in range(4) if t_ccd >> i & 1]))
    return stream


def sum_of(values: Sequence[Value]) -> Value:
    """Sum of one or more values."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def any_of(bits: Sequence[Value]) -> Value:
    """Whether any of one or more bits is set."""
    found = bits[0]
    for bit in bits[1:]:
        found = found | bit
    return found


def first_of(bits: Sequence[Value]) -> tuple[Value, Value]:
    """Whether any bit is set, and the index of the first."""
    index: Value = Value.cast(0)
    for i in reversed(range(len(bits))):
        index = Mux(bits[i], i, index)
    return any_of(bits), index


def pick(values: Sequence[ValueLike], index: Value) -> Value:
    """The value that an index names: multiplexers, a level a bit of it."""
    level = [Value.cast(value) for value in values]
    for bit in range(max(0, len(values) - 1).bit_length()):
        if len(level) % 2:
            level.append(level[-1])
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [a if a is b else Mux(index[bit], b, a) for a, b in pairs]
    return level[0]
