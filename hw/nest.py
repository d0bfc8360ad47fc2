"""The loop nest of an engine: which loop is spatial or temporal, and where each primitive is.

The nest is what an engine is, apart from its registers: cycles and counts of operations are worked
out from it, and engines of equal nests compute alike.

Source: the notation of "Exploring the Performance Improvement of Tensor Processing Engines through
Transformation in the Bit-weight Dimension of MACs" (HPCA 2025), section III.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from math import prod
from typing import NamedTuple

from pe.element import PeConfig
from pe.primitives import Primitive, Scope


class Dimension(Enum):
    """What a loop runs over."""

    M = "m"
    N = "n"
    K = "k"
    WEIGHT = "w"


class Order(Enum):
    """How the iterations of a loop follow each other."""

    TEMPORAL = "for"
    """One after the other."""
    BROADCAST = "par"
    """At once; they take their operands at once."""
    SPARSE = "sparse"
    """One after the other, those of digits that are zero left out; `extent` is the most."""
    CODED = "coded"
    """At once, by one code of all of them."""
    SYSTOLIC = "systolic"
    """At once but for a cycle's delay from each to the next, through which operands pass."""


_NOTES = {Order.CODED: ", one code", Order.SYSTOLIC: ", systolic", Order.SPARSE: ", those not zero"}


class Loop(NamedTuple):
    """One loop.

    Attributes
    ----------
    extent
        Iterations; `None` where there are as many as cover the size of the product.
    """

    dimension: Dimension
    order: Order
    extent: int | None = None


class Nest(NamedTuple):
    """Loops from the outermost on, and the primitives inside them.

    Attributes
    ----------
    primitives
        Each with the loops, by number, in every iteration of which it is done once.
    """

    loops: tuple[Loop, ...]
    primitives: tuple[tuple[Primitive, tuple[int, ...]], ...]

    def trips(self, m: int, k: int, n: int) -> tuple[int, ...]:
        """Return the iterations of each loop for an M x K x N product, padding included."""
        sizes = {Dimension.M: m, Dimension.K: k, Dimension.N: n}
        return tuple(
            -(-sizes[loop.dimension] // self._covered(number))
            if loop.extent is None
            else loop.extent
            for number, loop in enumerate(self.loops)
        )

    def trip_text(self, number: int) -> str:
        """Return the iterations of a loop as a formula of M, K and N."""
        loop = self.loops[number]
        if loop.extent is not None:
            return str(loop.extent)
        return _ceil_text(loop.dimension, self._covered(number))

    def _covered(self, number: int) -> int:
        """Return what one iteration of a loop without extent covers of its dimension."""
        dimension = self.loops[number].dimension
        return prod(loop.extent or 1 for loop in self.loops if loop.dimension is dimension)

    @property
    def stagger(self) -> int:
        """Cycles by which the last iteration of the systolic loops is behind the first."""
        return sum((loop.extent or 1) - 1 for loop in self.loops if loop.order is Order.SYSTOLIC)

    def counts(self, m: int, k: int, n: int) -> dict[Primitive, int]:
        """Return how often each primitive is done in an M x K x N product, at most.

        Padding is included, and what sparse loops leave out is not left out.
        """
        sizes = {Dimension.M: m, Dimension.K: k, Dimension.N: n}
        counts = dict.fromkeys(Primitive, 0)
        for primitive, inside in self.primitives:
            steps, lanes = self._iterations(inside)
            temporal = prod(-(-sizes[dimension] // padded) for dimension, padded in steps)
            counts[primitive] += temporal * prod(lanes)
        return counts

    def count_text(self, primitive: Primitive) -> str:
        """Return how often a primitive is done as a formula of M, K and N."""
        terms = []
        for placed, inside in self.primitives:
            if placed is primitive:
                steps, lanes = self._iterations(inside)
                factors = [_ceil_text(dimension, padded) for dimension, padded in steps]
                terms.append(" * ".join([*factors, *(str(x) for x in lanes if x > 1)]))
        return " + ".join(terms) or "0"

    def _iterations(self, inside: Iterable[int]) -> tuple[list[tuple[Dimension, int]], list[int]]:
        """Return the dimensions that some loops step through, padded to how much, and their lanes.

        Only what is spatial is padded: a temporal loop ends where its dimension does.
        """
        loops = [self.loops[number] for number in inside]
        steps = dict.fromkeys(x.dimension for x in loops if x.order is Order.TEMPORAL)
        lanes = [x.extent or 1 for x in loops if x.order is not Order.TEMPORAL]
        return [(dimension, self._lanes(dimension)) for dimension in steps], lanes

    def _lanes(self, dimension: Dimension) -> int:
        spatial = (x for x in self.loops if x.order is not Order.TEMPORAL)
        return prod(x.extent or 1 for x in spatial if x.dimension is dimension)

    def lines(self) -> list[str]:
        """Return the nest as indented text, each primitive where it is done.

        Spatial loops of one iteration are left out.
        """
        shown = [x.order is Order.TEMPORAL or x.extent != 1 for x in self.loops]
        before: dict[int, list[str]] = {}
        after: dict[int, list[str]] = {}
        for primitive, inside in self.primitives:
            depth = next((i for i, number in enumerate(inside) if i != number), len(inside))
            rest = [self._name(number) for number in inside[depth:] if shown[number]]
            each = f" for each {', '.join(rest)}" if rest else ""
            at = before if primitive is Primitive.ENCODE else after
            at.setdefault(depth, []).append(f"{primitive.value}{each}")
        heads: list[str] = []
        tails: list[str] = []
        indent = ""
        for depth in range(len(self.loops) + 1):
            heads += [indent + text for text in before.get(depth, [])]
            tails = [indent + text for text in after.get(depth, [])] + tails
            if depth < len(self.loops) and shown[depth]:
                loop = self.loops[depth]
                order = "for" if loop.order in (Order.TEMPORAL, Order.SPARSE) else "par"
                note = _NOTES.get(loop.order, "")
                heads.append(
                    f"{indent}{order} {self._name(depth)} in {self.trip_text(depth)}{note}"
                )
                indent += "  "
        return heads + tails

    def _name(self, number: int) -> str:
        """Return the name of a loop; those over tiles have a capital letter."""
        loop = self.loops[number]
        letter = loop.dimension.value
        twice = [other.dimension for other in self.loops].count(loop.dimension) > 1
        return letter.upper() if loop.extent is None and twice else letter


def engine_nest(
    outer: Iterable[Loop], pe: PeConfig, inside: Mapping[Scope, tuple[int, ...]]
) -> Nest:
    """Return the nest of an engine: its own loops, and inside them those of its PE.

    Parameters
    ----------
    outer
        Loops down to a step of a PE.
    inside
        The loops that `Scope.OPERAND`, `Scope.STEP` and `Scope.RESULT` mean; an operand also has
        that over the terms of a step.
    """
    outer = tuple(outer)
    terms = Loop(Dimension.K, Order.BROADCAST, pe.terms // pe.code_terms)
    within = [Loop(Dimension.K, Order.CODED, pe.code_terms)] if pe.code_terms > 1 else []
    weights = Loop(Dimension.WEIGHT, Order.BROADCAST, pe.bit_weights)
    term, weight = len(outer), len(outer) + 1
    if pe.by_weight:
        term, weight = weight, term
    step = inside[Scope.STEP]
    loops = {
        **inside,
        Scope.OPERAND: (*inside[Scope.OPERAND], term),
        Scope.TERM: (*step, term),
        Scope.DIGIT: (*step, *sorted((term, weight))),
        Scope.WEIGHT: (*step, weight),
    }
    return Nest(
        (*outer, *((weights, terms) if pe.by_weight else (terms, weights)), *within),
        tuple((primitive, loops[scope]) for primitive, scope in pe.primitives),
    )


def _ceil_text(dimension: Dimension, divisor: int) -> str:
    size = dimension.name
    return size if divisor == 1 else f"ceil({size}/{divisor})"
