"""Proofs of steps, sums and accumulators: algebra, SAT sweeping, complete simulation."""

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from golden.codes import LOGARITHMS, numbers, products
from golden.gemm import wrap
from scripts.ppa.aig import (
    FALSE,
    TRUE,
    Graph,
    Machine,
    Word,
    dependent,
    pack,
    simulate,
    substitute,
    support,
)
from scripts.ppa.algebra import Term, adds_products
from scripts.ppa.sat import Refuted, Undecided, same
from sim.player import PortField

Ports = Mapping[str, PortField]
"""Ports of a unit by name: which numbers their bits stand for."""

LARGEST_SPACE = 24
"""Bits of operands that are simulated completely."""
_CHUNK = 20
_BRIEF_SECONDS = 1.0
_LARGEST_CONTROL = 4


def is_product(
    graph: Graph, product: Word, a: Word, b: Word, field_a: PortField, field_b: PortField
) -> None:
    """Hold ``product == a * b`` modulo its width against all values of a and b.

    Products of several lanes are summed. Other inputs of the graph are 0.

    Raises
    ------
    Refuted
        With the first operands that give another product.
    Undecided
        When a and b have more than `LARGEST_SPACE` bits together.
    """
    bits = len(a) + len(b)
    if bits > LARGEST_SPACE:
        raise Undecided(
            f"{field_a.bits} x {field_b.bits} bit product: {bits} operand bits are more than the "
            f"{LARGEST_SPACE} that are tried completely"
        )
    for start in range(0, 1 << bits, 1 << _CHUNK):
        size = max(64, min(1 << _CHUNK, 1 << bits))
        codes = start + np.arange(size, dtype=np.int64)
        element_a, element_b = _elements(codes, field_a), _elements(codes >> len(a), field_b)
        values = dict(zip([*a, *b], pack(codes, bits), strict=True))
        found = simulate(graph, product, values)
        forms = (field_a.form, field_b.form, field_a.width, field_b.width)
        expected = pack(products(element_a, element_b, *forms).sum(axis=1), len(product))
        wrong = np.bitwise_or.reduce([x ^ y for x, y in zip(found, expected, strict=True)])
        if wrong.any():
            flags = np.unpackbits(wrong.view(np.uint8), bitorder="little")
            first = int(np.flatnonzero(flags)[0])
            a_text, b_text = (
                numbers(element[first], field.form, field.width).tolist()
                for element, field in ((element_a, field_a), (element_b, field_b))
            )
            raise Refuted(f"product differs, first at a={a_text}, b={b_text}")


def same_sums(
    graph: Graph, left: Word, right: Word, words: Sequence[Word], what: str, seconds: float
) -> None:
    """Prove two words equal, each of which may be a product plus an addend.

    SAT does not match two multipliers. For all values of the control bits each side is shown to be
    its own value at addend 0, plus the addend, where there is one; these values are then simulated
    completely, or where they depend on too many bits, left to SAT after all.

    Parameters
    ----------
    words
        What the two depend on: those of one bit are controls, one as wide as they is the addend.

    Raises
    ------
    Refuted
        When they differ.
    Undecided
        When they depend on too many bits for this, or the time is over.
    """
    try:
        same(graph, left, right, what, min(seconds, _BRIEF_SECONDS))
        return
    except Undecided:
        used = support(graph, left + right)
    controls = [word[0] for word in words if len(word) == 1 and word[0] in used]
    if len(controls) > _LARGEST_CONTROL:
        raise Undecided(f"{what}: {len(controls)} control bits")
    for setting in itertools.product((FALSE, TRUE), repeat=len(controls)):
        values = dict(zip(controls, setting, strict=True))
        sides = [substitute(graph, word, values) for word in (left, right)]
        used = support(graph, sides[0] + sides[1])
        addends = [w for w in words if len(w) == len(left) > 1 and not used.isdisjoint(w)]
        if addends:
            # A factor may be as wide as the product.
            with suppress(Refuted):
                sides = [
                    _without_addend(graph, side, addends[0], range(len(left)), what, seconds)
                    for side in sides
                ]
        try:
            _same_everywhere(graph, sides[0], sides[1], what)
        except Undecided:
            same(graph, sides[0], sides[1], what, seconds)


def _same_everywhere(graph: Graph, left: Word, right: Word, what: str) -> None:
    """Hold two words against each other for all values of what they depend on."""
    inputs = sorted(support(graph, left + right))
    if left == right:
        return
    if len(inputs) > LARGEST_SPACE:
        raise Undecided(
            f"{what}: {len(inputs)} operand bits are more than the {LARGEST_SPACE} that are tried "
            "completely"
        )
    size = max(64, 1 << min(_CHUNK, len(inputs)))
    for start in range(0, 1 << len(inputs), size):
        codes = start + np.arange(size, dtype=np.int64)
        values = dict(zip(inputs, pack(codes, len(inputs)), strict=True))
        found = simulate(graph, left + right, values)
        if any((x != y).any() for x, y in zip(found[: len(left)], found[len(left) :], strict=True)):
            raise Refuted(f"{what} differs")


def _elements(codes: np.ndarray, field: PortField) -> np.ndarray:
    """Return the elements [codes, lanes] at a port."""
    elements = codes[:, None] >> np.arange(field.lanes) * field.width
    return wrap(elements, field.width, field.signed)


def number(graph: Graph, bits: Word, weights: Sequence[int]) -> Word:
    """Return the sum of bits of the given weights, which are exponents of 2.

    Modulo two to the width that the greatest weight says; each weight up to it occurs.
    """
    rows: list[Word] = []
    taken = dict.fromkeys(weights, 0)
    for bit, weight in zip(bits, weights, strict=True):
        if taken[weight] == len(rows):
            rows.append([FALSE] * len(taken))
        rows[taken[weight]][weight] = bit
        taken[weight] += 1
    total = rows[0]
    for row in rows[1:]:
        total = graph.add(total, row)
    return total


def step_is_specified(machine: Machine, ports: Ports, seconds: float) -> str:
    """Prove that ``sum`` is ``addend`` plus the products of a and b, modulo two to its width.

    By algebra; where that does not see through a network, as it does not through a mapped one: with
    P(a, b) the sum at addend 0, SAT shows sum == P + addend, complete simulation P == a b. Where a
    sum has several forms its number is meant.

    Returns
    -------
    str
        How it was proved.
    """
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    total = machine.place(graph, inputs, [])[0]["sum"]
    return _adds(graph, total, inputs["addend"], inputs["a"], inputs["b"], ports, seconds)


def _adds(
    graph: Graph, total: Word, addend: Word, a: Word, b: Word, ports: Ports, seconds: float
) -> str:
    """Prove that bits of a sum add up to those before it and products; return how."""
    weights = weights_of(ports["sum"])
    after, before = (list(zip(word, weights, strict=True)) for word in (total, addend))
    try:
        if ports["a"].form in LOGARITHMS:
            raise Undecided("products of logarithms are no algebra of integers")
        adds_products(graph, after, before, _terms(ports, a, b), max(weights) + 1, seconds)
        return "algebra: sum = addend + a * b, down to bits that are simulated for all a"
    except Undecided as error:
        if len(a) + len(b) > LARGEST_SPACE:
            raise Undecided(
                f"{len(a)} x {len(b)} bit product: {error}, and {len(a) + len(b)} operand bits are "
                f"more than the {LARGEST_SPACE} that are tried completely"
            ) from error
    word = number(graph, total, weights)
    product = _without_addend(graph, word, addend, weights, "sum", seconds)
    is_product(graph, product, a, b, ports["a"], ports["b"])
    return (
        f"SAT: sum(a, b, addend) = sum(a, b, 0) + addend; complete simulation of all "
        f"2^{len(a) + len(b)} operands: sum(a, b, 0) = a * b"
    )


def _terms(ports: Ports, a: Word, b: Word) -> list[Term]:
    """Return the operands of each product."""
    lanes = [
        [word[i : i + ports[name].width] for i in range(0, len(word), ports[name].width)]
        for name, word in (("a", a), ("b", b))
    ]
    tables = [
        numbers(
            wrap(np.arange(1 << field.width), field.width, field.signed), field.form, field.width
        )
        for field in (ports["a"], ports["b"])
    ]
    return [Term(x, y, *tables) for x, y in zip(*lanes, strict=True)]


def weights_of(port: PortField) -> Sequence[int]:
    """Return the weight of each bit of a port that holds one number, as an exponent of 2."""
    return port.weights or range(port.width)


def sum_is_specified(machine: Machine, ports: Ports, seconds: float) -> str:
    """Prove that ``sum`` is the sum of all words at the inputs, modulo two to its width.

    SAT shows that it is 0 for zeros, and that each bit adds what it weighs to the sum that the
    bits before it make, all later ones 0.

    Returns
    -------
    str
        How it was proved.
    """
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    width = ports["sum"].width
    weights = weights_of(ports["sum"])
    total = number(graph, machine.place(graph, inputs, [])[0]["sum"], weights)
    values = {bit: FALSE for word in inputs.values() for bit in word}
    before = substitute(graph, total, values)
    same(graph, before, [FALSE] * width, "sum of zeros", seconds)
    for name, word in inputs.items():
        for i, bit in enumerate(word):
            place = i % ports[name].width
            negative = ports[name].signed and place == ports[name].width - 1
            # A bit that counts as negative is the ones of its sign extension.
            ones = width - place if negative else 1
            addend = [FALSE] * place + [bit] * ones + [FALSE] * (width - place - ones)
            del values[bit]
            after = substitute(graph, total, values)
            same(graph, after, graph.add(before, addend), f"{name}[{i}] in sum", seconds)
            before = after
    return "SAT: each bit of each word adds its weight to the sum of those before it"


def _without_addend(
    graph: Graph, total: Word, addend: Word, weights: Sequence[int], what: str, seconds: float
) -> Word:
    """Prove that a word is itself at addend 0 plus the addend, and return it at addend 0.

    Asked of the whole word SAT may not see it, where the addend enters inside of a compressor
    tree; asked of one bit of the addend at a time, all higher ones 0, it does.
    """

    def at(low: Word) -> Word:
        """The total with the low bits of the addend as given, the others 0."""
        bits = low + [FALSE] * (len(addend) - len(low))
        values = {x & ~1: bit ^ (x & 1) for x, bit in zip(addend, bits, strict=True)}
        return substitute(graph, total, values)

    product = at([])
    inside = all(graph.ands[x >> 1] is None for x in addend)
    try:
        limit = min(seconds, _BRIEF_SECONDS) if inside else seconds
        same(graph, total, graph.add(product, number(graph, addend, weights)), what, limit)
        return product
    except Undecided:
        if not inside:
            raise
    before = product
    for i, (bit, weight) in enumerate(zip(addend, weights, strict=True)):
        one = [FALSE] * weight + [bit] + [FALSE] * (len(total) - weight - 1)
        after = at(addend[: i + 1])
        same(graph, after, graph.add(before, one), f"{what}, bit {i} of the addend", seconds)
        before = after
    return product


def accumulator_is_specified(machine: Machine, latency: int, ports: Ports, seconds: float) -> str:
    """Prove the contract of an accumulator by k-induction, k its latency.

    Step, from any state and without reset: `latency` cycles after operands with ``i_valid`` the
    sum is that of the cycle before, 0 instead with ``clear``, plus p(a, b); after a cycle without
    it is held; ``o_valid`` repeats ``i_valid``. Base: after a cycle of reset ``o_valid`` is 0
    until the first operands arrive, and so is the sum in the cycle before it. p is the product:
    by algebra, or else in the ways of `step_is_specified`. Where a sum has several forms its
    number is meant.

    A step that fails may start from a state that no reset leads to.

    Returns
    -------
    str
        How it was proved.
    """
    graph = Graph()
    start = graph.input(len(machine.state))
    cycles = [
        {name: graph.input(len(word)) for name, word in machine.inputs.items()} | {"rst": [FALSE]}
        for _ in range(latency + 1)
    ]
    first, *later = cycles
    a, b, clear = first["a"], first["b"], first["clear"][0]
    weights = weights_of(ports["sum"])

    for valid in (FALSE, TRUE):
        inputs = [first | {"i_valid": [valid]}, *later]
        seen = _run(graph, machine, start, inputs, generalise=True)
        before, after = seen[latency - 1]["sum"], seen[latency]
        same(graph, after["o_valid"], [valid], "o_valid", seconds)
        cleared, kept = (substitute(graph, after["sum"], {clear: bit}) for bit in (TRUE, FALSE))
        for case in () if valid else (cleared, kept):
            what = "sum without i_valid"
            total = number(graph, case, weights)
            rest = _without_addend(graph, total, before, weights, what, seconds)
            same(graph, rest, [FALSE] * len(rest), f"{what} from 0", seconds)
    how = _adds(graph, kept, before, a, b, ports, seconds)
    alone = substitute(graph, kept, {bit & ~1: bit & 1 for bit in before})
    left, right = (number(graph, bits, weights) for bits in (cleared, alone))
    same(graph, left, right, "sum after clear", seconds)
    seen = _run(graph, machine, start, [first | {"rst": [TRUE]}, *later])
    reset = number(graph, seen[latency]["sum"], weights)
    same(graph, reset, [FALSE] * len(reset), "sum after reset", seconds)
    for outputs in seen[1:]:
        same(graph, outputs["o_valid"], [FALSE], "o_valid after reset", seconds)
    return (
        f"k-induction, k = {latency}, by SAT: reset, and from any state o_valid, and sum held or "
        f"cleared; induction step, where addend is the sum before: {how}"
    )


def _run(
    graph: Graph,
    machine: Machine,
    state: Word,
    inputs: Sequence[Mapping[str, Word]],
    generalise: bool = False,
) -> list[dict[str, Word]]:
    """Return the outputs of each cycle from a state on.

    With `generalise`, register bits that still depend on the first state become free inputs:
    what then holds, holds for more states than there are, and SAT has less to look at.
    """
    unknown = set(state) if generalise else set()
    seen = []
    for cycle, words in enumerate(inputs):
        outputs, state = machine.place(graph, words, state)
        seen.append(outputs)
        # The last cycle answers for the one before it, of which it must know all.
        if generalise and cycle < len(inputs) - 2:
            depends = dependent(graph, unknown)
            free = graph.input(sum(depends[bit >> 1] for bit in state))
            unknown.update(free)
            remaining = iter(free)
            state = [next(remaining) if depends[bit >> 1] else bit for bit in state]
    return seen
