# amaranth: UnusedElaboratable=no
"""Test hardware that plays operands from a memory through a function unit, as fast as it may.

It keeps Python out of the inner loop: a bench writes all operands at once, waits, and reads all
results at once. The result of set i is taken exactly `latency` cycles after the set, so that a
unit which is early or late shows. A set follows the one before after `initiation_interval` cycles.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hw.memory import Memory, MemoryShape
from hw.skew import delayed
from pe.config import Config
from pe.share import place
from pe.unit import Unit

EXHAUSTIVE_BITS = 20
"""Operands of up to this many bits together are tried in all combinations."""


STROBES = ("i_valid", "load")
"""Inputs that say that there are operands."""


class PlayerConfig(NamedTuple):
    """The unit under test, and how many sets of operands there are room for."""

    unit_class: type[Unit]
    config: Config
    depth: int


class PortField(NamedTuple):
    """A port of the unit in the words of a memory, from the low bits on.

    Attributes
    ----------
    name
        Of the port.
    width, signed
        Of the number that the port holds, or of each where it holds several.
    lanes
        Numbers side by side.
    weights
        Of the port's bits, as exponents of 2, where they are a redundant form of the number.
    form
        What a number stands for: itself, or what `golden.codes` says.
    """

    name: str
    width: int
    signed: bool
    lanes: int = 1
    weights: tuple[int, ...] = ()
    form: str = "integer"

    @property
    def bits(self) -> int:
        """Width of the port."""
        return len(self.weights) or self.width * self.lanes


def fields(config: PlayerConfig) -> tuple[list[PortField], list[PortField]]:
    """Ports of the unit in the words of the stimulus and of the response memory."""
    unit = config.unit_class(config.config)
    inputs: list[PortField] = []
    outputs: list[PortField] = []
    for name, member in unit.signature.members.items():
        shape, lanes, weights = member.shape, 1, tuple[int, ...]()
        if isinstance(shape, data.ArrayLayout):
            shape, lanes = shape.elem_shape, shape.length
        if name in unit.redundant:
            shape, weights = unit.redundant[name]
        shape = Shape.cast(shape)
        port = PortField(name, shape.width, bool(shape.signed), lanes, weights)
        (inputs if member.flow == In else outputs).append(port)
    return inputs, outputs


def player_config(unit_class: type[Unit], config: Config, count: int) -> PlayerConfig:
    """Config of a player with room for all combinations of operands, or for `count` sets."""
    inputs, _ = fields(PlayerConfig(unit_class, config, count))
    return PlayerConfig(unit_class, config, sets(inputs, count))


def is_exhaustive(inputs: list[PortField]) -> bool:
    """Whether all combinations of operands are tried; never for a unit that remembers them."""
    bits = sum(f.bits for f in inputs)
    return bits <= EXHAUSTIVE_BITS and not any(f.name == "i_valid" for f in inputs)


def sets(inputs: list[PortField], count: int) -> int:
    """Sets of operands to play: all combinations, or `count`."""
    return 1 << sum(f.bits for f in inputs) if is_exhaustive(inputs) else count


VALID = "o_valid"
"""Output that tells whether there is a result."""

UNIT = "unit"
"""Instance of the function unit in its player."""


class Player(Unit):
    """Play `count` sets of operands from the stimulus memory through a function unit.

    Members
    -------
    start : In(1)
        Begin.
    count : In(32)
        Sets to play, at most `depth`.
    done : Out(1)
        All results are in the response memory.
    unasked : Out(1)
        The unit has said ``o_valid`` of a set that it was not given; of units that say it only.
    """

    config: PlayerConfig

    def __init__(self, config: PlayerConfig) -> None:
        inputs, outputs = fields(config)
        members = {"start": In(1), "count": In(32), "done": Out(1)}
        self.says_valid = any(f.name == VALID for f in outputs)
        if self.says_valid:
            members["unasked"] = Out(1)
        super().__init__(config, members)
        self.stimulus = MemoryShape(config.depth, unsigned(sum(f.bits for f in inputs)))
        self.response = MemoryShape(config.depth, unsigned(sum(f.bits for f in outputs)))

    @property
    def memories(self) -> tuple[MemoryShape, MemoryShape]:
        """Shapes of the two memories."""
        return self.stimulus, self.response

    @property
    def name(self) -> str:
        return f"player_{self.config.depth}_{self.config.unit_class(self.config.config).name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit_class, config, _ = self.config
        inputs, outputs = fields(self.config)
        unit = place(m, platform, UNIT, unit_class, config)
        stimulus = place(m, platform, "stimulus", Memory, self.stimulus)
        response = place(m, platform, "response", Memory, self.response)

        interval = unit_class(config).initiation_interval
        playing = Signal()
        index = Signal(32)
        # One-hot: how long the set has been there.
        turn: Value = Const(1, 1)
        if interval > 1:
            turn = Signal(interval, name="turn", init=1)
            m.d.sync += turn.eq(Mux(self.start, 1, turn.rotate_left(1)))
        with m.If(self.start):
            m.d.sync += [playing.eq(1), index.eq(0), self.done.eq(0)]
        with m.Elif(playing & turn[-1]):
            m.d.sync += index.eq(index + 1)
            with m.If(index + 1 == self.count):
                m.d.sync += playing.eq(0)

        # A read takes a cycle: the set stands at the unit's inputs one cycle after its index.
        present = Signal()
        read_index = Signal(len(stimulus.read_address))
        m.d.sync += [present.eq(playing & turn[0]), read_index.eq(index)]
        offered = Cat(Value.cast(getattr(unit, f.name)) for f in inputs)
        m.d.comb += [
            stimulus.read_address.eq(index),
            stimulus.read_enable.eq(playing),
            offered.eq(stimulus.read_data),
        ]
        strobes = [getattr(unit, f.name) for f in inputs if f.name in STROBES]
        if strobes:
            with m.If(~present):
                m.d.comb += [strobe.eq(0) for strobe in strobes]

        latency = unit_class(config).latency
        taken = delayed(m, "taken_line", Cat(present, read_index), latency)[-1]
        m.d.comb += [
            response.write_enable.eq(taken[0]),
            response.write_address.eq(taken[1:]),
            response.write_data.eq(Cat(getattr(unit, f.name) for f in outputs)),
            response.read_enable.eq(0),
            response.read_address.eq(0),
            stimulus.write_enable.eq(0),
            stimulus.write_address.eq(0),
            stimulus.write_data.eq(0),
        ]
        if self.says_valid:
            with m.If(unit.o_valid & ~taken[0]):
                m.d.sync += self.unasked.eq(1)
        with m.If(taken[0] & (taken[1:] + 1 == self.count)):
            m.d.sync += self.done.eq(1)
        return m
