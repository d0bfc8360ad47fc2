"""Proofs that a network of counters adds products, by algebra on its and-inverter graph.

A sum of weighted bits is rewritten from the outputs down: a full adder's sum and carry become its
three inputs, the outputs of a carry-propagate adder its two rows. What is left are single bits of
multiples, each of which depends on one term's A and on at most a few bits of its B. Such a bit is
a polynomial in these bits of B, with a coefficient for every value of A, which is simulated
completely; the sum of these polynomials is compared with the products, coefficient by coefficient.

Each rewriting is an identity that is checked: a full adder by its truth table, the carries of an
adder by SAT with the rows free. Random values only say where to look.

Source: backward rewriting of multipliers with full-adder blocks, as in D. Ritirc, A. Biere, M.
Kauers, "Column-Wise Verification of Multipliers Using Computer Algebra" (FMCAD 2017). The
polynomials in B by complete simulation of A, and the bounds of truncated heaps, are ours.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.ppa.aig import FALSE, TRUE, Graph, Word, pack
from scripts.ppa.sat import Refuted, Undecided, same

_SAMPLES = 4096
_FEW_B = 3
_SHORT_B = 5
_FEW_ADDEND = 12
_EXACT = 64
"""Bits of sums that are never reduced modulo a power of 2: they stay far below."""

Column = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Key = tuple[int | None, frozenset[int]]
Triple = tuple[int, int, int]


class Term(NamedTuple):
    """Operands of one product: inputs of a graph, and the numbers that their codes stand for.

    Attributes
    ----------
    a, b
        Bits of the operands.
    numbers_a, numbers_b
        int64 arrays of as many numbers as there are codes.
    """

    a: Word
    b: Word
    numbers_a: Numbers
    numbers_b: Numbers

    @property
    def extremes(self) -> tuple[int, int]:
        """Least and greatest product."""
        ends = ((int(x.min()), int(x.max())) for x in (self.numbers_a, self.numbers_b))
        products = [x * y for x, y in itertools.product(*ends)]
        return min(products), max(products)


@dataclass
class _Sum:
    """``constant`` and nodes times their coefficients, modulo ``2**bits``.

    Coefficients are those of least magnitude; a negative one is a complement's positive weight.
    """

    bits: int
    constant: int = 0
    nodes: dict[int, int] = field(default_factory=dict)

    def add(self, literal: int, weight: int) -> None:
        if literal & 1:
            self.constant += weight
            weight = -weight
        node = literal >> 1
        half = 1 << (self.bits - 1)
        coefficient = (self.nodes.pop(node, 0) + weight + half) % (2 * half) - half
        if node and coefficient:
            self.nodes[node] = coefficient

    def bit(self, node: int) -> tuple[int, int]:
        """Return a node as the literal of positive weight, and its weight."""
        coefficient = self.nodes[node]
        return 2 * node + (coefficient < 0), abs(coefficient)

    def has(self, literal: int, weight: int) -> bool:
        """Tell whether a literal is there with a weight."""
        there = self.nodes.get(literal >> 1, 0)
        return there != 0 and (there - (-weight if literal & 1 else weight)) % (1 << self.bits) == 0

    def part(self, carry: int, weight: int) -> bool:
        """Tell whether a carry is there with twice a part of a weight."""
        if carry >> 1 not in self.nodes:
            return False
        literal, twice = self.bit(carry >> 1)
        return literal == carry and twice % 2 == 0 and twice < 2 * weight


class _Polynomial:
    """A polynomial in bits, modulo ``2**bits``.

    By term and bits of B: a coefficient for each value of A. By no term and bits of the addend: a
    coefficient.
    """

    def __init__(self, bits: int) -> None:
        self.mask = np.uint64((1 << bits) - 1)
        self.parts: dict[Key, Column] = {}

    def add(self, key: Key, values: Column) -> None:
        total = (self.parts[key] + values if key in self.parts else values) & self.mask
        self.parts[key] = total

    def add_constant(self, value: int) -> None:
        self.add((None, frozenset()), np.full(1, value % (1 << 64), np.uint64))

    def add_product(self, index: int, term: Term, factor: int) -> None:
        value = term.numbers_a.astype(np.uint64)
        # From numbers to coefficients: what a bit of B adds, one bit at a time.
        coefficients = term.numbers_b.copy()
        for i in range(len(term.b)):
            halves = coefficients.reshape(-1, 2, 1 << i)
            halves[:, 1] -= halves[:, 0]
        for code in np.flatnonzero(coefficients).tolist():
            bits = frozenset(x >> 1 for i, x in enumerate(term.b) if code >> i & 1)
            self.add((index, bits), value * _wrapped(int(coefficients[code]) * factor))

    def constant(self) -> int | None:
        """Return the value of a polynomial that depends on no bit, else `None`."""
        total = np.uint64(0)
        for (term, monomial), values in self.parts.items():
            if monomial or (term is not None and (values != values[0]).any()):
                if values.any():
                    return None
            else:
                total = (total + values[0]) & self.mask
        return int(total)


def _wrapped(value: int) -> np.uint64:
    return np.uint64(value % (1 << 64))


def adds_products(
    graph: Graph,
    total: Iterable[tuple[int, int]],
    addend: Iterable[tuple[int, int]],
    terms: Sequence[Term],
    bits: int,
    seconds: float,
) -> None:
    """Prove that a sum of bits is another one plus products, modulo ``2**bits``.

    Parameters
    ----------
    total, addend
        Literals and the exponents of 2 that they count; those of the addend are inputs.
    terms
        Operands of the products.
    bits
        At most 63.
    seconds
        Limit of each SAT question.

    Raises
    ------
    Refuted
        When it is not.
    Undecided
        When the network is none that the method sees through.
    """
    total, addend = list(total), list(addend)
    if any(graph.ands[literal >> 1] is not None or literal & 1 for literal, _ in addend):
        raise Undecided("the addend is no input")
    proof = _Proof(graph, [literal for literal, _ in addend], terms, seconds)
    proof.try_samples(total, addend, bits)
    rest = _Sum(bits)
    for literal, exponent in total:
        rest.add(literal, 1 << exponent)
    difference = proof.polynomial(rest)
    for literal, exponent in addend:
        key = (None, frozenset([literal >> 1]))
        difference.add(key, np.full(1, _wrapped(-(1 << exponent))))
    for index, term in enumerate(terms):
        difference.add_product(index, term, -1)
    if difference.constant() != 0:
        raise Refuted("sum is not the addend and the products")


class _Proof:
    def __init__(
        self, graph: Graph, addend: Sequence[int], terms: Sequence[Term], seconds: float
    ) -> None:
        self.graph = graph
        self.terms = terms
        self.seconds = seconds
        self.ones = (1 << _SAMPLES) - 1
        rng = np.random.default_rng(0)
        self.samples: dict[int, int] = {}
        for literal in addend:
            self.samples[literal >> 1] = int.from_bytes(rng.bytes(_SAMPLES // 8), "little")
        self.operands: list[tuple[Column, Column]] = []
        for term in terms:
            columns = []
            for word, numbers in ((term.a, term.numbers_a), (term.b, term.numbers_b)):
                codes = _operand_samples(rng, numbers)
                for literal, bits in zip(word, pack(codes, len(word)), strict=True):
                    self.samples[literal >> 1] = int.from_bytes(bits.tobytes(), "little")
                columns.append(numbers[codes].astype(np.uint64))
            self.operands.append((columns[0], columns[1]))
        self.inputs: dict[int, int | None] = {literal >> 1: None for literal in addend}
        for index, term in enumerate(terms):
            self.inputs |= {literal >> 1: index for literal in term.a + term.b}
        self.b_bits = _mask(literal >> 1 for term in terms for literal in term.b)
        self.owned = {
            owner: _mask(node for node, other in self.inputs.items() if other == owner)
            for owner in {None, *self.inputs.values()}
        }
        self.values: list[int] = []
        self.sources: list[int] = []
        self.named: dict[int, list[int]] = {}
        for node, gate in enumerate(graph.ands):
            if gate is None:
                self.values.append(self.samples.get(node, 0))
                self.sources.append(1 << node if node else 0)
            else:
                self.values.append(self.sampled(gate[0]) & self.sampled(gate[1]))
                self.sources.append(self.sources[gate[0] >> 1] | self.sources[gate[1] >> 1])
            for literal in (2 * node, 2 * node + 1):
                self.named.setdefault(self.sampled(literal), []).append(literal)
        self.a_values: dict[int, Column] = {}

    def sampled(self, literal: int) -> int:
        """Values of a literal for all samples."""
        return self.values[literal >> 1] ^ (self.ones if literal & 1 else 0)

    def try_samples(
        self, total: Sequence[tuple[int, int]], addend: Sequence[tuple[int, int]], bits: int
    ) -> None:
        """Compare sum and specification for all samples."""
        found, expected = (
            sum((self._column(x) << np.uint64(e) for x, e in part), np.zeros(1, np.uint64))
            for part in (total, addend)
        )
        for a, b in self.operands:
            expected = expected + a * b
        wrong = np.flatnonzero((found - expected) & np.uint64((1 << bits) - 1))
        if wrong.size:
            where = [(int(a[wrong[0]]), int(b[wrong[0]])) for a, b in self.operands]
            text = ", ".join(f"a={_signed(a)} b={_signed(b)}" for a, b in where)
            raise Refuted(f"sum differs, first at {text}")

    def _column(self, literal: int) -> Column:
        data = np.frombuffer(self.sampled(literal).to_bytes(_SAMPLES // 8, "little"), np.uint8)
        return np.unpackbits(data, bitorder="little").astype(np.uint64)

    # Rewriting

    def polynomial(self, rest: _Sum) -> _Polynomial:
        """Return a sum of bits as a polynomial of the inputs."""
        found = _Polynomial(rest.bits)
        while (
            self._counters(rest) or self._adder(rest) or self._word(rest, found) or self._top(rest)
        ):
            pass
        if any(not self._is_small(node) for node in rest.nodes):
            self._take_heap(rest, found)
        for node, coefficient in rest.nodes.items():
            self._expand(node, coefficient, found)
        found.add_constant(rest.constant)
        return found

    def _counters(
        self, rest: _Sum, blocks: dict[int, "_Block"] | None = None, shared: bool = False
    ) -> bool:
        """Replace sums and carries of full and half adders; tell whether there were any.

        Counters with the same inputs in two columns share their bits: then only a part of the sum's
        weight is that of the carry.
        """
        changed = False
        waiting = [-node for node in rest.nodes]
        heapq.heapify(waiting)
        while waiting:
            node = -heapq.heappop(waiting)
            if node not in rest.nodes:
                continue
            literal, weight = rest.bit(node)
            counter = self._counter(rest, literal, weight, shared)
            if counter is None:
                continue
            carry, inputs = counter
            if shared:
                weight = rest.bit(carry >> 1)[1] // 2
            rest.add(carry, -2 * weight)
            rest.add(literal, -weight)
            if blocks is not None:
                blocks[carry] = blocks[literal] = _Block(literal, carry, inputs)
            for x in inputs:
                rest.add(x, weight)
                heapq.heappush(waiting, -(x >> 1))
            changed = True
        return changed

    def _counter(
        self, rest: _Sum, literal: int, weight: int, shared: bool
    ) -> tuple[int, Triple] | None:
        """Return carry and inputs of the counter whose sum this is, if both are there."""
        for triple in self._parities(literal):
            for inputs in _polarities(triple):
                for carry in self.named.get(_majority(*map(self.sampled, inputs)), ()):
                    fits = rest.part(carry, weight) if shared else rest.has(carry, 2 * weight)
                    if fits and self._is_majority(carry, inputs):
                        return carry, inputs
        return None

    def _top(self, rest: _Sum) -> bool:
        """Replace the highest sum of the last column, where carries are of no weight."""
        for node in sorted(rest.nodes, reverse=True):
            literal, weight = rest.bit(node)
            pair = self._operands(literal)
            if 2 * weight == 1 << rest.bits and pair and not self._is_small(node):
                rest.add(literal, -weight)
                for x in pair:
                    rest.add(x, weight)
                return True
        return False

    def _operands(self, literal: int) -> tuple[int, int] | None:
        """Return two literals of which this is the exclusive or."""
        gate = self.graph.ands[literal >> 1]
        if gate is None or not gate[0] & gate[1] & 1:
            return None
        both, neither = self.graph.ands[gate[0] >> 1], self.graph.ands[gate[1] >> 1]
        if both is None or neither is None or {x ^ 1 for x in both} != set(neither):
            return None
        return both[0] ^ (literal & 1), both[1]

    def _parities(self, literal: int) -> Iterator[Triple]:
        """Yield three literals of which this is the exclusive or, or two and false."""
        pair = self._operands(literal)
        if pair is None:
            return
        for x, y in (pair, pair[::-1]):
            inner = self._operands(x)
            if inner is not None:
                yield (*inner, y)
        yield (*pair, FALSE)

    def _is_majority(self, literal: int, inputs: Triple) -> bool:
        """Tell whether a literal is the majority of three, by its truth table."""
        table = {0: 0}
        for x, pattern in zip(inputs, (0xAA, 0xCC, 0xF0), strict=True):
            if x > TRUE:
                table[x >> 1] = pattern ^ (0xFF if x & 1 else 0)

        def of(x: int, depth: int) -> int | None:
            node = x >> 1
            if node not in table:
                gate = self.graph.ands[node]
                if gate is None or depth == 0:
                    return None
                parts = [of(y, depth - 1) for y in gate]
                if None in parts:
                    return None
                table[node] = parts[0] & parts[1]  # type: ignore[operator]
            return table[node] ^ (0xFF if x & 1 else 0)

        patterns = [of(x, 0) for x in inputs]
        expected = _majority(*patterns)  # type: ignore[arg-type]
        return of(literal, 6) == expected

    # Carry-propagate adders

    def _adder(self, rest: _Sum) -> bool:
        """Replace the sum of a carry-propagate adder by its rows; tell whether there was one."""
        columns: dict[int, list[int]] = {}
        for node in rest.nodes:
            literal, weight = rest.bit(node)
            if weight & (weight - 1) == 0:
                columns.setdefault(weight.bit_length() - 1, []).append(literal)
        for start in sorted(columns):
            for literal in columns[start]:
                pair = self._operands(literal)
                for row in _polarities((*pair, FALSE)) if pair else ():
                    steps = self._ripple(rest, columns, start + 1, row)
                    # A half adder and no more is no adder.
                    if steps and len(steps) > 1 and self._carries(row, steps):
                        self._replace(rest, start, (literal, row), steps)
                        return True
        return False

    def _ripple(
        self, rest: _Sum, columns: dict[int, list[int]], start: int, row: Triple
    ) -> list["_Step"] | None:
        """Follow carries from a column on, upwards; return a step for each column."""

        # One level of search for each column, each with what is left to try there.
        def choices(column: int, carry: int) -> Iterator[tuple[_Step, int]]:
            for literal in columns.get(column, ()):
                if self.sampled(literal) == carry:
                    yield _Step(literal, literal, None), 0
                pair = self._operands(literal)
                for p, c in (pair, pair[::-1]) if pair else ():
                    for flip in (0, 1):
                        if self.sampled(c ^ flip) == carry:
                            for x, y in self._rows(p ^ flip):
                                after = _majority(self.sampled(x), self.sampled(y), carry)
                                yield _Step(literal, c ^ flip, (x, y)), after

        first = _majority(*map(self.sampled, row))
        stack = [choices(start, first)] if first not in (0, self.ones) else []
        steps: list[_Step] = []
        while stack:
            step, carry = next(stack[-1], (None, 0))
            if step is None:
                stack.pop()
                if steps:
                    steps.pop()
                continue
            steps.append(step)
            if step.rows is None or start + len(steps) == rest.bits:
                return steps
            stack.append(choices(start + len(steps), carry))
        return None

    def _rows(self, literal: int) -> Iterator[tuple[int, int]]:
        """Yield bits of two rows of which a column's propagate bit may come."""
        pair = self._operands(literal)
        if pair is not None:
            yield pair
            yield pair[0] ^ 1, pair[1] ^ 1
        yield literal, FALSE
        yield literal ^ 1, TRUE

    def _carries(self, row: Triple, steps: Sequence["_Step"]) -> bool:
        """Prove carries those of an addition of the rows, which are free."""
        pairs = [row[:2], *(step.rows for step in steps if step.rows)]
        graph = Graph()
        copies = {0: FALSE}
        for x in itertools.chain(*pairs):
            if x >> 1 not in copies:
                copies[x >> 1] = graph.input(1)[0]

        def copy(x: int) -> int:
            node = x >> 1
            if node not in copies:
                gate = self.graph.ands[node]
                if gate is None:
                    raise Undecided("a carry does not come from the rows")
                copies[node] = graph.both(copy(gate[0]), copy(gate[1]))
            return copies[node] ^ (x & 1)

        carry, expected = _majority_in(graph, copy(row[0]), copy(row[1]), copy(row[2])), []
        for step in steps:
            expected.append(carry)
            if step.rows:
                carry = _majority_in(graph, copy(step.rows[0]), copy(step.rows[1]), carry)
        try:
            found = [copy(step.carry) for step in steps]
            same(graph, found, expected, "carries", self.seconds)
        except (Refuted, Undecided):
            return False
        return True

    def _replace(
        self, rest: _Sum, start: int, first: tuple[int, Triple], steps: Sequence["_Step"]
    ) -> None:
        literal, row = first
        rest.add(literal, -1 << start)
        for x in row:
            rest.add(x, 1 << start)
        for column, step in enumerate(steps, start + 1):
            rest.add(step.literal, -1 << column)
            for x in step.rows or ():
                rest.add(x, 1 << column)

    # Truncated words and heaps

    def _word(self, rest: _Sum, found: _Polynomial) -> bool:
        """Replace a word of the width of its product by the product; tell whether there was one.

        Modulo two to its width the word is the product and a constant; both have one value in
        the word's range.
        """
        words: dict[tuple[int | None] | None, list[int]] = {}
        for node in rest.nodes:
            words.setdefault(self._owner(node), []).append(node)
        for index, term in enumerate(self.terms):
            nodes = words.get((index,), [])
            weights = sorted(abs(rest.nodes[n]) for n in nodes)
            width = len(nodes)
            if all(map(self._is_small, nodes)) or weights != [1 << i for i in range(width)]:
                continue
            if width == rest.bits or not self._seems_product(rest, nodes, index):
                continue
            word = _Sum(width)
            for node in nodes:
                word.add(2 * node, rest.nodes[node])
            value = self.polynomial(word)
            value.add_product(index, term, -1)
            constant = value.constant()
            if constant is None:
                continue
            lowest = sum(min(rest.nodes[n], 0) for n in nodes)
            least, greatest = term.extremes
            offset = lowest - least + (constant - lowest + least) % (1 << width)
            if greatest + offset >= lowest + (1 << width):
                continue
            for node in nodes:
                del rest.nodes[node]
            found.add_product(index, term, 1)
            found.add_constant(offset)
            return True
        return False

    def _seems_product(self, rest: _Sum, nodes: Sequence[int], index: int) -> bool:
        """Tell whether bits are a product and a constant for all samples."""
        a, b = self.operands[index]
        value = sum(self._column(2 * n) * _wrapped(rest.nodes[n]) for n in nodes) - a * b
        return bool((value == value[0]).all())

    def _take_heap(self, rest: _Sum, found: _Polynomial) -> None:
        """Replace a heap that is cut off at its width by the products, if it holds them.

        The bits of a heap and the carries that its last columns drop add up to what they are made
        of; none is negative, and so a carry of more than the whole is zero.
        """
        nodes = [n for n in rest.nodes if self._owner(n) != (None,)]
        heap = _Sum(_EXACT)
        for node in nodes:
            heap.add(2 * node, rest.nodes[node])
        coefficients = list(heap.nodes.values())
        lowest = sum(min(c, 0) for c in coefficients)
        blocks: dict[int, _Block] = {}
        dropped: list[tuple[Triple, int]] = []
        while (
            self._counters(heap, blocks)
            or self._counters(heap, blocks, shared=True)
            or self._drop(heap, blocks, dropped)
        ):
            pass
        value = _Polynomial(_EXACT)
        for node, coefficient in heap.nodes.items():
            self._expand(node, coefficient, value)
        for index, term in enumerate(self.terms):
            value.add_product(index, term, -1)
        value.add_constant(heap.constant)
        offset = value.constant()
        if offset is None:
            raise Undecided("a heap that is cut off adds up to something else than products")
        offset = _signed(offset)
        greatest = sum(term.extremes[1] for term in self.terms) + offset - lowest
        largest = sum(map(abs, coefficients)) + 2 * sum(weight for _, weight in dropped)
        if max(largest, abs(offset)) >= 1 << (_EXACT - 3):
            raise Undecided("a heap has too large weights")
        for inputs, weight in dropped:
            if 2 * weight <= min(greatest, _bound(inputs, weight, blocks)):
                raise Undecided("a heap may be more than its width holds")
        for node in nodes:
            del rest.nodes[node]
        for index, term in enumerate(self.terms):
            found.add_product(index, term, 1)
        found.add_constant(offset)

    def _drop(
        self, heap: _Sum, blocks: dict[int, "_Block"], dropped: list[tuple[Triple, int]]
    ) -> bool:
        """Replace the highest sum whose carry seems to be zero by its inputs."""
        for node in sorted(heap.nodes, reverse=True):
            if self._is_small(node):
                continue
            literal, weight = heap.bit(node)
            for triple in self._parities(literal):
                for inputs in _polarities(triple):
                    if _majority(*map(self.sampled, inputs)) == 0:
                        heap.add(literal, -weight)
                        for x in inputs:
                            heap.add(x, weight)
                        blocks[literal] = _Block(literal, None, inputs)
                        dropped.append((inputs, weight))
                        return True
        return False

    # Bits of multiples

    def _owner(self, node: int) -> tuple[int | None] | None:
        """Return the one term that a node depends on, or none for the addend, as a tuple."""
        sources = self.sources[node]
        owner = self.inputs.get(sources.bit_length() - 1, -1)
        return None if owner == -1 or sources & ~self.owned[owner] else (owner,)

    def _is_small(self, node: int) -> bool:
        """Tell whether a node is expanded into a polynomial."""
        owner, sources = self._owner(node), self.sources[node]
        if owner == (None,):
            return sources.bit_count() <= _FEW_ADDEND
        if owner is None:
            return False
        # A short B, which may be a code, as a whole.
        few = _SHORT_B if all(len(term.b) <= _SHORT_B for term in self.terms) else _FEW_B
        return (sources & self.b_bits).bit_count() <= few

    def _expand(self, node: int, coefficient: int, found: _Polynomial) -> None:
        """Add a node times a coefficient to a polynomial."""
        owners, sources = self._owner(node), self.sources[node]
        if owners is None or not self._is_small(node):
            raise Undecided(f"a bit depends on {sources.bit_count()} inputs in no known way")
        (owner,) = owners
        bits = sources if owner is None else sources & self.b_bits
        order = [n for n in self.inputs if bits >> n & 1]
        parts: list[tuple[frozenset[int], Column]] = []
        for setting in itertools.product((0, 1), repeat=len(order)):
            known = {
                source: np.full(1, -bit % (1 << 64), np.uint64)
                for source, bit in zip(order, setting, strict=True)
            }
            column = self._unpacked(owner, self._evaluate(owner, node, known))
            parts.append((frozenset(itertools.compress(order, setting)), column))
        # From values to coefficients: what a bit adds, one bit at a time.
        columns = dict(parts)
        for source in order:
            for chosen, _ in parts:
                if source in chosen:
                    columns[chosen] = columns[chosen] - columns[chosen - {source}]
        for monomial, column in columns.items():
            if column.any():
                found.add((owner, monomial), column * _wrapped(coefficient))

    def _evaluate(self, owner: int | None, node: int, known: dict[int, Column]) -> Column:
        """Values of a node for all values of the owner's A, packed."""
        if node in known:
            return known[node]
        if owner is not None and not self.sources[node] & self.b_bits:
            known = self.a_values
            if node in known:
                return known[node]
        gate = self.graph.ands[node]
        if gate is None:
            assert owner is not None
            a = self.terms[owner].a
            columns = pack(np.arange(max(64, 1 << len(a)), dtype=np.int64), len(a))
            known |= {x >> 1: bits for x, bits in zip(a, columns, strict=True)}
            return known[node]
        left, right = (
            self._evaluate(owner, x >> 1, known) ^ np.uint64(0 if not x & 1 else (1 << 64) - 1)
            for x in gate
        )
        known[node] = left & right
        return known[node]

    def _unpacked(self, owner: int | None, column: Column) -> Column:
        count = 1 if owner is None else 1 << len(self.terms[owner].a)
        words = np.broadcast_to(column, max(1, count // 64)).copy()
        return np.unpackbits(words.view(np.uint8), bitorder="little")[:count].astype(np.uint64)


def _mask(nodes: Iterable[int]) -> int:
    return sum({1 << node for node in nodes})


class _Block(NamedTuple):
    """A counter: its sum, its carry where it has one, its inputs."""

    total: int
    carry: int | None
    inputs: Triple


def _bound(inputs: Triple, weight: int, blocks: dict[int, _Block]) -> int:
    """Return the most that inputs of a weight add up to, were all bits below the counters free."""
    weights: dict[int, int] = {}
    waiting: list[int] = []
    fixed = 0

    def add(x: int, w: int) -> None:
        nonlocal fixed
        if x > TRUE:
            weights[x] = weights.get(x, 0) + w
            heapq.heappush(waiting, -x)
        else:
            fixed += w * x

    for x in inputs:
        add(x, weight)
    while waiting:
        block = blocks.get(-heapq.heappop(waiting))
        if block is None:
            continue
        own, twice = weights.pop(block.total, 0), weights.pop(block.carry or 0, 0)
        # Its inputs are its sum and twice its carry, and so no less than a part of that.
        for x in block.inputs if own or twice else ():
            add(x, max(own, (twice + 1) // 2))
    return fixed + sum(weights.values())


class _Step(NamedTuple):
    """A column of an adder: its sum, the carry into it, and its bits; none where it is a carry."""

    literal: int
    carry: int
    rows: tuple[int, int] | None


def _operand_samples(rng: np.random.Generator, numbers: Numbers) -> Numbers:
    """Random codes of an operand, those of the extremes and of zero often."""
    codes = rng.integers(0, len(numbers), _SAMPLES)
    corners = [numbers.argmin(), numbers.argmax(), np.abs(numbers).argmin()]
    return np.where(rng.random(_SAMPLES) < 0.25, rng.choice(corners, _SAMPLES), codes)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _majority(x: int, y: int, z: int) -> int:
    return x & y | z & (x | y)


def _majority_in(graph: Graph, x: int, y: int, z: int) -> int:
    either = graph.both(x ^ 1, y ^ 1) ^ 1
    return graph.both(graph.both(x, y) ^ 1, graph.both(z, either) ^ 1) ^ 1


def _polarities(triple: Triple) -> Iterator[Triple]:
    """Yield the literals with two or none of them complemented: their parity is the same."""
    x, y, z = triple
    yield x, y, z
    yield x ^ 1, y ^ 1, z
    yield x ^ 1, y, z ^ 1
    yield x, y ^ 1, z ^ 1
