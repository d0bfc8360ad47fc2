"""A queue of a few words between two streams."""

from typing import NamedTuple

from amaranth.hdl import Const, Module, Shape, Signal
from amaranth.lib.wiring import In, Out

from pe.unit import Unit


class QueueShape(NamedTuple):
    """Number of words, 2 or more, and what each holds."""

    depth: int
    word: Shape


class Queue(Unit):
    """First in, first out; a word a cycle, the first one a cycle after it came.

    Words move towards the front, so that the front is a register. Neither side's handshake depends
    on that of the other in the same cycle.

    Members
    -------
    i_word : In(word), i_valid : In(1), i_ready : Out(1)
        Words that come in.
    o_word : Out(word), o_valid : Out(1), o_ready : In(1)
        Words that leave.
    """

    config: QueueShape

    def __init__(self, config: QueueShape) -> None:
        super().__init__(
            config,
            {
                "i_word": In(config.word),
                "i_valid": In(1),
                "i_ready": Out(1),
                "o_word": Out(config.word),
                "o_valid": Out(1),
                "o_ready": In(1),
            },
        )

    @property
    def name(self) -> str:
        return f"queue_{self.config.depth}x{self.config.word.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, word = self.config
        words = [Signal(word, name=f"word_{i}", reset_less=True) for i in range(depth)]
        # Thermometer code: bit i tells of more than i words.
        filled = Signal(depth)
        push = Signal()
        pop = Signal()
        m.d.comb += [
            self.i_ready.eq(~filled[-1]),
            self.o_valid.eq(filled[0]),
            self.o_word.eq(words[0]),
            push.eq(self.i_valid & self.i_ready),
            pop.eq(self.o_valid & self.o_ready),
        ]
        with m.If(push & ~pop):
            m.d.sync += filled.eq((filled << 1) | 1)
        with m.Elif(pop & ~push):
            m.d.sync += filled.eq(filled >> 1)
        for i in range(depth):
            moves = pop & filled[i + 1] if i + 1 < depth else Const(0, 1)
            with m.If(moves):
                m.d.sync += words[i].eq(words[(i + 1) % depth])
            # Where no word stays anything may come.
            with m.Elif(push & (pop | ~filled[i])):
                m.d.sync += words[i].eq(self.i_word)
        return m
