# amaranth: UnusedElaboratable=no
"""Control of Laconic: serializers of terms at the edges, and how long a beat takes.

All PEs begin a beat together, and it lasts until the slowest lane has multiplied its terms. How
long that is is known before it begins: while a beat waits on the streams, the terms of its operands
are counted, the most of each lane over all rows found, and of the products of these the greatest.
"""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from hw.chain import Chain, ChainConfig, Link
from hw.engine import GemmEngine
from pe.laconic import LaconicConfig, OperandShape, TermSerializer
from pe.share import share

LOOKAHEAD = 5
"""Least cycles from one beat to the next, in which its length is found."""


def row_of_serializers(lanes: int, operand: OperandShape) -> ChainConfig:
    """The serializers of the lanes of a row of A, or of B."""
    unit = TermSerializer(operand)
    return ChainConfig(
        name=f"lanes_{lanes}_{unit.name}",
        summary="serializers of terms, side by side",
        instance="lane",
        unit_class=TermSerializer,
        unit_config=operand,
        count=lanes,
        links=(
            ("i_element", Link.LANE),
            ("o_count", Link.LANE),
            ("i_load", Link.BROADCAST),
            ("i_step", Link.LANE),
            ("i_drop", Link.LANE),
            ("i_restart", Link.LANE),
            ("o_term", Link.LANE),
        ),
    )


def edge_of_serializers(rows: int, lanes: int, operand: OperandShape) -> ChainConfig:
    """The serializers of all rows of A; a lane steps in all rows at once."""
    row = row_of_serializers(lanes, operand)
    return ChainConfig(
        name=f"edge_{rows}_{row.name}",
        summary="rows of serializers; a lane steps in all rows at once",
        instance="row",
        unit_class=Chain,
        unit_config=row,
        count=rows,
        links=(
            ("i_element", Link.LANE),
            ("o_count", Link.LANE),
            ("i_load", Link.BROADCAST),
            ("i_step", Link.BROADCAST),
            ("i_drop", Link.BROADCAST),
            ("i_restart", Link.BROADCAST),
            ("o_term", Link.LANE),
        ),
    )


def term_control(
    m: Module,
    platform: object,
    pe: LaconicConfig,
    engine: GemmEngine,
    *,
    ready: Value,
    blocked: Value,
) -> tuple[Value, dict[str, Value], Value]:
    """Place what takes beats of A and B together, and gives their terms; see `digit_control`."""
    i_a, i_b = engine.i_a, engine.i_b
    rows, lanes = engine.tile_m, pe.terms
    most_a, most_b = pe.operand_a.most_terms, pe.operand_b.most_terms
    # The control of a beat is a cycle ahead of its operands.
    take = Signal()
    load = Signal()
    present = Signal()
    counted = Signal(2)
    m.d.comb += [
        i_a.ready.eq(load),
        i_b.ready.eq(load),
        present.eq(i_a.valid & i_b.valid & ready & ~take & ~load),
    ]
    # Bit 0: the terms are counted; bit 1: the counts of all rows are joined.
    m.d.sync += counted.eq(Cat(present, counted[0] & ~take & ~load))

    counts_a = Signal(rows * lanes * most_a)
    counts_b = Signal(lanes * most_b)
    steps = Signal(lanes)
    restarts = Signal(lanes)
    terms_a = Signal(rows * lanes * pe.operand_a.term_width)
    terms_b = Signal(lanes * pe.operand_b.term_width)
    # Cycles left of the beat, and of the pass of each lane through its terms of A; unary.
    left = Signal(most_a * most_b)
    active = Signal()
    ends = Signal()
    finished = Signal()
    ending = Signal()
    finishing = Signal()
    stepping = Signal(lanes)
    restarting = Signal(lanes)
    closed = Signal()
    may_take = Signal()
    m.d.comb += [
        active.eq(left[0]),
        ends.eq(active & ~left[1:2].any()),
        closed.eq((blocked | finishing | finished | ending) & i_a.payload.first),
        may_take.eq(counted[1] & ~take & ~load & ~left[2:].any() & ~closed),
    ]
    m.d.sync += [take.eq(may_take), load.eq(take)]
    with m.If(take):
        m.d.sync += ending.eq(i_a.payload.last)
    with m.Elif(ends):
        m.d.sync += ending.eq(0)
    lengths, passes = _joined(m, pe, rows, counts_a, counts_b)
    longest = _longest(m, lengths, passes)
    with m.If(take):
        m.d.sync += left.eq(longest)
    with m.Else():
        m.d.sync += left.eq(left[1:])
    for lane in range(lanes):
        length = Signal(most_a - 1, name=f"length_{lane}", reset_less=True)
        phase = Signal(most_a - 1, name=f"phase_{lane}", reset_less=True)
        rest = Signal(most_b, name=f"rest_{lane}", reset_less=True)
        m.d.comb += [
            steps[lane].eq(active & rest[0]),
            restarts[lane].eq(~phase[:1].any()),
        ]
        with m.If(take):
            m.d.sync += [
                length.eq(lengths[lane][1:]),
                phase.eq(lengths[lane][1:]),
                rest.eq(passes[lane]),
            ]
        with m.Elif(steps[lane] & restarts[lane]):
            m.d.sync += [phase.eq(length), rest.eq(rest[1:])]
        with m.Elif(steps[lane]):
            m.d.sync += phase.eq(phase[1:])
    share(
        m,
        platform,
        "terms_of_a",
        Chain,
        edge_of_serializers(rows, lanes, pe.operand_a),
        i_element=i_a.payload.data.as_value(),
        o_count=counts_a,
        i_load=load,
        i_step=stepping,
        i_drop=stepping,
        i_restart=restarting,
        o_term=terms_a,
    )
    share(
        m,
        platform,
        "terms_of_b",
        Chain,
        row_of_serializers(lanes, pe.operand_b),
        i_element=i_b.payload.data.as_value(),
        o_count=counts_b,
        i_load=load,
        i_step=stepping,
        i_drop=restarting,
        i_restart=Const(0, lanes),
        o_term=terms_b,
    )
    m.d.sync += [
        stepping.eq(steps),
        restarting.eq(steps & restarts),
        finishing.eq(ends & ending),
        finished.eq(finishing),
    ]
    return terms_a, {"i_fetch": terms_b}, finished


def _joined(
    m: Module, pe: LaconicConfig, rows: int, counts_a: Value, counts_b: Value
) -> tuple[list[Signal], list[Signal]]:
    """Return the most terms of A in any row, and those of B, of each lane, a cycle later; unary."""
    most_a, most_b = pe.operand_a.most_terms, pe.operand_b.most_terms
    lengths, passes = [], []
    for lane in range(pe.terms):
        of_rows = [counts_a.word_select(row * pe.terms + lane, most_a) for row in range(rows)]
        lengths.append(Signal(most_a, name=f"most_a_{lane}", reset_less=True))
        passes.append(Signal(most_b, name=f"most_b_{lane}", reset_less=True))
        m.d.sync += [
            lengths[lane].eq(Cat(Cat(bits[i] for bits in of_rows).any() for i in range(most_a))),
            passes[lane].eq(counts_b.word_select(lane, most_b)),
        ]
    return lengths, passes


def _longest(m: Module, lengths: list[Signal], passes: list[Signal]) -> Value:
    """Return the greatest product of the two counts of a lane, at least 1, a cycle later; unary."""
    most_a, most_b = len(lengths[0]), len(passes[0])
    factors = [(a, b) for a in range(1, most_a + 1) for b in range(1, most_b + 1)]
    products = sorted({a * b for a, b in factors})
    reached: dict[int, Value] = {1: Const(1, 1)}
    for product in products[1:]:
        reached[product] = Signal(name=f"reaches_{product}", reset_less=True)
        # For each number of terms of A the least number of terms of B.
        pairs = [(a, b) for a, b in factors if a * b >= product > a * (b - 1)]
        m.d.sync += reached[product].eq(
            Cat(
                length[a - 1] & count[b - 1]
                for length, count in zip(lengths, passes, strict=True)
                for a, b in pairs
            ).any()
        )
    steps = range(1, products[-1] + 1)
    return Cat(reached[next(p for p in products if p >= step)] for step in steps)
