"""Carry-propagate adders: the last step of a compressor tree, by parallel-prefix network.

Sources: R. P. Brent, H. T. Kung, "A Regular Layout for Parallel Adders" (1982); P. M. Kogge,
H. S. Stone, "A Parallel Algorithm for the Efficient Solution of a General Class of Recurrence
Equations" (1973); J. Sklansky, "Conditional-Sum Addition Logic" (1960).
"""

from collections.abc import Iterator

from amaranth.hdl import Cat, Const, Module, Signal, Value

RIPPLE, BRENT_KUNG, KOGGE_STONE, SKLANSKY = "ripple", "brent_kung", "kogge_stone", "sklansky"
ADDERS = (RIPPLE, BRENT_KUNG, KOGGE_STONE, SKLANSKY)

Combination = tuple[int, int]
"""Positions i and j < i: the carry group that ends at i takes in the one that ends at j."""


def prefix_network(kind: str, width: int) -> Iterator[list[Combination]]:
    """Yield the levels of a carry network over `width` positions.

    Combinations of one level do not depend on each other. After the last level the group that
    ends at each position begins at position 0.
    """
    if kind == RIPPLE:
        yield from ([(i, i - 1)] for i in range(1, width))
        return
    spans = [1 << level for level in range((width - 1).bit_length())]
    if kind == BRENT_KUNG:
        for span in spans:
            yield [(i, i - span) for i in range(2 * span - 1, width, 2 * span)]
        for span in reversed(spans):
            yield [(i, i - span) for i in range(3 * span - 1, width, 2 * span)]
    for span in spans:
        if kind == KOGGE_STONE:
            yield [(i, i - span) for i in range(span, width)]
        if kind == SKLANSKY:
            yield [(i, i // span * span - 1) for i in range(width) if i & span]


def add(m: Module, kind: str, a: Value, b: Value, carry: Value | None = None) -> Value:
    """Return ``a + b + carry`` modulo ``2**len(a)``, two words of equal width in bits.

    Parameters
    ----------
    kind
        One of `ADDERS`.
    carry
        1 bit.
    """
    width = len(a)
    propagate = Signal(width, name="propagates")
    # The carry out of the top position is not needed.
    generate = Signal(width - 1, name="generates")
    m.d.comb += [propagate.eq(a ^ b), generate.eq(a[:-1] & b[:-1])]
    carries: list[Value] = list(generate)
    alive: list[Value] = list(propagate)[:-1]
    if carry is not None:
        carries, alive = [carry, *carries], [Const(0, 1), *alive]
    for level, combinations in enumerate(prefix_network(kind, len(carries))):
        before = list(carries), list(alive)
        for i, j in combinations:
            joined = Signal(name=f"carry_{level}_{i}")
            m.d.comb += joined.eq(before[0][i] | before[1][i] & before[0][j])
            carries[i] = joined
            group = Signal(name=f"alive_{level}_{i}")
            m.d.comb += group.eq(before[1][i] & before[1][j])
            alive[i] = group
    return propagate ^ (Cat(0, *carries) if carry is None else Cat(*carries))
