# amaranth: UnusedElaboratable=no
"""Router of a mixture of experts: tokens to the expert of their greatest logit, results in order.

A token takes a slot of a window, in order, and a place in the queue of its expert. Experts answer
in the order of their own tokens; an answer is written into the slot of its token, and slots leave
in order. A slow expert holds up the others only when the window is full.

Source: ShiftAddViT (arXiv 2306.06446), whose experts multiply or shift; the hardware is ours.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.engine import lanes
from hw.memory import Memory, MemoryShape
from hw.queue import Queue, QueueShape
from hw.stream_unit import StreamUnit
from pe.config import Config, integer
from pe.share import place, share


class ExpertRouterConfig(Config):
    """Tokens, experts, and how much is under way."""

    experts: int = integer("experts", 2, 16, default=2)
    lanes: int = integer("elements of a token and of a result", 1, 256, default=4)
    width: int = integer("bits of an element", 1, 32, default=8)
    width_logit: int = integer("bits of a logit, two's complement", 2, 32, default=8)
    depth: int = integer("tokens that wait for an expert", 2, 64, default=4)
    window: int = integer("tokens between the first and the last under way", 4, 256, default=16)

    @property
    def name(self) -> str:
        return (
            f"expert_router_e{self.experts}_{self.lanes}x{self.width}_l{self.width_logit}"
            f"_d{self.depth}_w{self.window}"
        )


class ExpertRouter(StreamUnit):
    """Router of a mixture of experts, which are outside: two streams each.

    Members
    -------
    i_token : In(stream)
        ``data``: `lanes` elements, passed on as they are; ``logits``: one an expert. The greatest
        one chooses, the lowest expert among equals.
    o_expert_0, o_expert_1, ... : Out(stream)
        ``data``: the tokens of an expert, in their order.
    i_result_0, i_result_1, ... : In(stream)
        ``data``: the result of each token of an expert, in the same order. One is taken a cycle,
        that of the lowest expert first, and none before its token was.
    o : Out(stream)
        ``data``: results in the order of the tokens.
    """

    config: ExpertRouterConfig
    latency = 3
    """Cycles from a token taken to its result offered, by an expert that answers at once."""

    def __init__(self, config: ExpertRouterConfig) -> None:
        word = lanes(unsigned(config.width), config.lanes)
        logits = lanes(signed(config.width_logit), config.experts)
        token = data.StructLayout({"data": word, "logits": logits})
        result = stream.Signature(data.StructLayout({"data": word}))
        experts = range(config.experts)
        super().__init__(
            config,
            {
                "i_token": In(stream.Signature(token)),
                **{f"o_expert_{e}": Out(result) for e in experts},
                **{f"i_result_{e}": In(result) for e in experts},
                "o": Out(result),
            },
        )

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """A token a cycle."""
        return len(columns["token_data"]) + self.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word = unsigned(config.lanes * config.width)
        slot = unsigned((config.window - 1).bit_length())
        token = self.i_token.payload

        chosen = self._greatest(m, token.logits)
        head, head_at = self._slot(m, "head")
        tail, tail_at = self._slot(m, "tail")
        taken = Signal(config.window)
        done = Signal(config.window)
        accept = Signal()
        read = Signal()
        written = Signal(config.window)
        m.d.comb += accept.eq(self.i_token.valid & self.i_token.ready)

        ready = []
        answers = []
        free: Value = Const(1, 1)
        for e in range(config.experts):
            waiting = place(m, platform, f"tokens_{e}", Queue, QueueShape(config.depth, word))
            slots = place(m, platform, f"slots_{e}", Queue, QueueShape(config.window, slot))
            expert, result = getattr(self, f"o_expert_{e}"), getattr(self, f"i_result_{e}")
            answer = Signal(name=f"answer_{e}")
            m.d.comb += [
                waiting.i_word.eq(token.data.as_value()),
                waiting.i_valid.eq(accept & chosen[e]),
                expert.payload.data.as_value().eq(waiting.o_word),
                expert.valid.eq(waiting.o_valid),
                waiting.o_ready.eq(expert.ready),
                slots.i_word.eq(head),
                slots.i_valid.eq(accept & chosen[e]),
                result.ready.eq(slots.o_valid & free),
                slots.o_ready.eq(result.valid & free),
                answer.eq(slots.o_valid & result.valid & free),
            ]
            ready.append(chosen[e] & waiting.i_ready & slots.i_ready)
            answers.append((answer, slots.o_word, result.payload.data.as_value()))
            free = free & ~(slots.o_valid & result.valid)

        m.d.comb += self.i_token.ready.eq(~(taken & head_at).any() & Cat(ready).any())
        with m.If(accept):
            m.d.sync += head.eq(self._next(head))

        address, answered = (
            reduce(or_, (Mux(answer[0], answer[i], 0) for answer in answers)) for i in (1, 2)
        )
        at = Signal(slot)
        advance = Signal()
        m.d.comb += [
            at.eq(address),
            written.eq(Mux(Cat(answer for answer, _, _ in answers).any(), self._decoded(at), 0)),
            advance.eq(~self.o.valid | self.o.ready),
            read.eq(advance & (done & tail_at).any()),
        ]
        left = Mux(read, tail_at, 0)
        m.d.sync += [
            taken.eq((taken | Mux(accept, head_at, 0)) & ~left),
            done.eq((done | written) & ~left),
        ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(read)
        with m.If(read):
            m.d.sync += tail.eq(self._next(tail))
        share(
            m,
            platform,
            "memory",
            Memory,
            MemoryShape(config.window, word),
            read_address=tail,
            read_enable=read,
            read_data=self.o.payload.data.as_value(),
            write_address=at,
            write_enable=written.any(),
            write_data=answered,
        )
        return m

    def _greatest(self, m: Module, logits: Any) -> Value:
        """Return one-hot which logit is the greatest, the lowest among equals."""
        experts = range(self.config.experts)
        found = []
        for e in experts:
            greatest = Signal(name=f"is_greatest_{e}")
            others = (logits[e] > logits[i] if i < e else logits[e] >= logits[i] for i in experts)
            m.d.comb += greatest.eq(Cat(x for i, x in enumerate(others) if i != e).all())
            found.append(greatest)
        return Cat(found)

    def _slot(self, m: Module, name: str) -> tuple[Signal, Signal]:
        """Place a slot's number; return it, and one-hot the slot itself."""
        number = Signal(range(self.config.window), name=name)
        at = Signal(self.config.window, name=f"{name}_at")
        m.d.comb += at.eq(self._decoded(number))
        return number, at

    def _decoded(self, number: Value) -> Value:
        return Cat(number == i for i in range(self.config.window))

    def _next(self, number: Value) -> Value:
        return Mux(number == self.config.window - 1, 0, number + 1)
