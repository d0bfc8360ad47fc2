# amaranth: UnusedElaboratable=no
"""Binary additive attention: sums of values that keys select, and sums of those for queries.

A row for each bit of a key adds up the values of the tokens in which the bit is set. When the
sequence is complete the sums move on to a second set of registers, and while the next one comes in
each query selects rows, which a tree for each value adds. Where bits stand for -1 and 1 a row adds
or subtracts, and a tree's sum of signed terms is twice that of the selected ones less that of all.

Source: ShiftAddViT (arXiv 2306.06446), attention of binary queries and keys; the arrangement is
ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.engine import lanes
from hw.stream_unit import StreamUnit, packet_lengths
from pe.adders import SKLANSKY, add
from pe.config import Config, flag, integer
from pe.element import extremes, sum_bits
from pe.heap import BitHeap
from pe.share import share
from pe.unit import Unit


class AdditiveAttentionConfig(Config):
    """Size of an attention head, and how long its sequences may be."""

    keys: int = integer("bits of a key and of a query", 1, 128, default=8)
    values: int = integer("elements of a value", 1, 128, default=8)
    width: int = integer("bits of an element of a value, two's complement", 2, 16, default=8)
    tokens: int = integer("most tokens of a sequence", 1, 1 << 16, default=64)
    signs: bool = flag("bits stand for -1 and 1 rather than for 0 and 1", default=False)

    def _sum(self, terms: int) -> Shape:
        bits = (-1, 1) if self.signs else (0, 1)
        return signed(sum_bits(terms, extremes(self.width, True), bits))

    @property
    def sum_shape(self) -> Shape:
        """Shape of a sum of values of a sequence."""
        return self._sum(self.tokens)

    @property
    def result_shape(self) -> Shape:
        """Shape of an element of the result."""
        return self._sum(self.tokens * self.keys)

    @property
    def slug(self) -> str:
        """Parameters as they stand in module names."""
        signs = "_signs" if self.signs else ""
        return f"{self.keys}x{self.values}_v{self.width}_n{self.tokens}{signs}"

    @property
    def name(self) -> str:
        return f"additive_attention_{self.slug}"


class KeyRow(Unit):
    """Sums of the values that one bit of the keys selects, and those of the sequence before.

    Members
    -------
    i_key : In(1)
        The bit of the token's key.
    value : In(values * width)
        The token's value.
    accept, first : In(1)
        A token is taken; it is the first of its sequence.
    move : In(1)
        Take the sums over.
    o_sums : Out(values * sum)
        Those taken over.
    """

    config: AdditiveAttentionConfig

    def __init__(self, config: AdditiveAttentionConfig) -> None:
        sums = config.values * config.sum_shape.width
        super().__init__(
            config,
            {
                "i_key": In(1),
                "value": In(config.values * config.width),
                "accept": In(1),
                "first": In(1),
                "move": In(1),
                "o_sums": Out(sums),
            },
        )

    @property
    def name(self) -> str:
        return f"key_row_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        moved = []
        for i in range(config.values):
            so_far = Signal(config.sum_shape, name=f"so_far_{i}", reset_less=True)
            value = self.value.word_select(i, config.width).as_signed()
            total = self._with(m, Mux(self.first, 0, so_far), value)
            with m.If(self.accept):
                m.d.sync += so_far.eq(total)
            held = Signal(config.sum_shape, name=f"sum_{i}", reset_less=True)
            with m.If(self.move):
                m.d.sync += held.eq(so_far)
            moved.append(held)
        m.d.comb += self.o_sums.eq(Cat(moved))
        return m

    def _with(self, m: Module, total: Value, value: Value) -> Value:
        """Return a sum with a value in it, as the bit of the key has it."""
        if not self.config.signs:
            return total + Mux(self.i_key, value, 0)
        width = self.config.sum_shape.width
        addend = Signal(width)
        term = Signal(len(value))
        m.d.comb += [addend.eq(total), term.eq(Mux(self.i_key, value, ~value))]
        extended = Cat(term, term[-1].replicate(width - len(term)))
        return add(m, SKLANSKY, addend, extended, ~self.i_key)


class ValueColumn(Unit):
    """Sum of one element over the rows that a query selects.

    Members
    -------
    i_sums : In(keys * sum)
        Of the rows.
    query : In(keys)
        The bits of a query.
    settle : In(1)
        Keep the sum of this query, which selects all rows; only where bits are signs.
    o_sum : Out(result_shape)
        Combinational.
    """

    config: AdditiveAttentionConfig

    def __init__(self, config: AdditiveAttentionConfig) -> None:
        members: dict[str, Any] = {
            "i_sums": In(config.keys * config.sum_shape.width),
            "query": In(config.keys),
            "o_sum": Out(config.result_shape),
        }
        if config.signs:
            members["settle"] = In(1)
        super().__init__(config, members)

    @property
    def name(self) -> str:
        return f"value_column_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        width = config.result_shape.width
        terms = [
            Mux(self.query[j], self.i_sums.word_select(j, config.sum_shape.width), 0).as_signed()
            for j in range(config.keys)
        ]
        if not config.signs:
            m.d.comb += self.o_sum.eq(_total(m, width, terms))
            return m
        selected = Signal(signed(width))
        everything = Signal(signed(width), reset_less=True)
        m.d.comb += [
            selected.eq(_total(m, width, terms)),
            self.o_sum.eq(2 * selected - everything),
        ]
        with m.If(self.settle):
            m.d.sync += everything.eq(selected)
        return m


def _total(m: Module, width: int, terms: Sequence[Value]) -> Value:
    heap = BitHeap(width)
    for term in terms:
        heap.add(term)
    heap.reduce(m)
    return add(m, SKLANSKY, *heap.rows())


class AdditiveAttention(StreamUnit):
    """Q (K^T V) of binary queries and keys, by additions alone.

    Members
    -------
    i_token : In(stream)
        ``key``: `keys` bits; ``value``: `values` elements; ``last``: the token ends its sequence.
    i_query : In(stream)
        ``key``: `keys` bits; ``last``: the query is the last one to its sequence. A query waits for
        the end of its sequence.
    o : Out(stream)
        A beat a query. ``data``: `values` exact sums; ``last``: that of the query.
    """

    config: AdditiveAttentionConfig

    def __init__(self, config: AdditiveAttentionConfig) -> None:
        bits = lanes(unsigned(1), config.keys)
        values = lanes(signed(config.width), config.values)
        token = data.StructLayout({"key": bits, "value": values, "last": 1})
        query = data.StructLayout({"key": bits, "last": 1})
        o = data.StructLayout({"data": lanes(config.result_shape, config.values), "last": 1})
        super().__init__(
            config,
            {
                "i_token": In(stream.Signature(token)),
                "i_query": In(stream.Signature(query)),
                "o": Out(stream.Signature(o)),
            },
        )

    @property
    def longest(self) -> int:  # type: ignore[override]
        return self.config.tokens

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a sequence's last token taken to the result of its first query."""
        return 3 + self.config.signs

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """A token and a query a cycle; sums move on when those before have been asked for."""
        taken = asked = 0
        for tokens, queries in zip(
            packet_lengths(columns["token_last"]),
            packet_lengths(columns["query_last"]),
            strict=True,
        ):
            # The cycle in which the sums move on, and that of the last query.
            moves = max(taken + tokens, asked)
            taken = moves
            asked = moves + 1 + self.config.signs + queries
        return asked + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        token, query = self.i_token, self.i_query
        sums = config.values * config.sum_shape.width

        complete = Signal()
        first = Signal(init=1)
        there = Signal()
        moved = Signal()
        move = Signal()
        accept = Signal()
        ask = Signal()
        advance = Signal()
        done = Signal()
        m.d.comb += [
            move.eq(complete & ~there),
            token.ready.eq(~complete | move),
            accept.eq(token.valid & token.ready),
            advance.eq(~self.o.valid | self.o.ready),
            query.ready.eq(there & advance & ~(moved & Const(config.signs))),
            ask.eq(query.valid & query.ready),
            done.eq(ask & query.payload.last),
        ]
        m.d.sync += [
            complete.eq(Mux(accept, token.payload.last, complete & ~move)),
            there.eq(move | (there & ~done)),
            moved.eq(move),
        ]
        with m.If(accept):
            m.d.sync += first.eq(token.payload.last)

        rows: dict[str, Any] = {
            "i_key": token.payload.key.as_value(),
            "value": token.payload.value.as_value(),
            "accept": accept,
            "first": first,
            "move": move,
        }
        selection = Signal(config.keys)
        columns: dict[str, Any] = {"query": selection}
        m.d.comb += selection.eq(query.payload.key.as_value())
        if config.signs:
            # Before its first query, that of all rows.
            with m.If(moved):
                m.d.comb += selection.eq(~Const(0, config.keys))
            columns["settle"] = moved
        held = Signal(config.keys * sums)
        share(m, platform, "rows", Chain, rows_of(config), o_sums=held, **rows)
        width = config.sum_shape.width
        by_value = [
            held[j * sums + i * width : j * sums + (i + 1) * width]
            for i in range(config.values)
            for j in range(config.keys)
        ]
        results = Signal(config.values * config.result_shape.width)
        chain, columns["i_sums"] = columns_of(config), Cat(by_value)
        share(m, platform, "columns", Chain, chain, o_sum=results, **columns)
        given = Signal(len(results), reset_less=True)
        last = Signal(reset_less=True)
        m.d.comb += [self.o.payload.data.as_value().eq(given), self.o.payload.last.eq(last)]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(ask)
        with m.If(ask):
            m.d.sync += [given.eq(results), last.eq(query.payload.last)]
        return m


def rows_of(config: AdditiveAttentionConfig) -> ChainConfig:
    """The rows of all bits of a key."""
    return ChainConfig(
        name=f"key_rows_{config.slug}",
        summary="the sums that all bits of the keys select",
        instance="row",
        unit_class=KeyRow,
        unit_config=config,
        count=config.keys,
        links=(
            ("i_key", Link.LANE),
            ("value", Link.BROADCAST),
            ("accept", Link.BROADCAST),
            ("first", Link.BROADCAST),
            ("move", Link.BROADCAST),
            ("o_sums", Link.LANE),
        ),
    )


def columns_of(config: AdditiveAttentionConfig) -> ChainConfig:
    """The columns of all elements of a value."""
    links = [("i_sums", Link.LANE), ("query", Link.BROADCAST), ("o_sum", Link.LANE)]
    if config.signs:
        links.append(("settle", Link.BROADCAST))
    return ChainConfig(
        name=f"value_columns_{config.slug}",
        summary="the sums that a query selects, of all elements of a value",
        instance="col",
        unit_class=ValueColumn,
        unit_config=config,
        count=config.values,
        links=tuple(links),
    )
