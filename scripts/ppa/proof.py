"""Proofs on and-inverter graphs: SAT sweeping by ABC, complete simulation, accumulators."""

import itertools
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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
    write,
)
from sim.player import PortField
from sim.tools import find_package

Ports = Mapping[str, PortField]
"""Ports of a unit by name: which numbers their bits stand for."""

LARGEST_SPACE = 24
"""Bits of operands that are simulated completely."""
_CHUNK = 20
_BRIEF_SECONDS = 1.0
_LARGEST_CONTROL = 4


class Refuted(Exception):
    """Two things that should be equal are not; the message says where."""


class Undecided(Exception):
    """A proof did not end; the message says which part."""


def same(graph: Graph, left: Word, right: Word, what: str, seconds: float) -> None:
    """Prove two words equal for all inputs of the graph, by ABC's SAT sweeping.

    Raises
    ------
    Refuted
        When they differ.
    Undecided
        When the time, in seconds of wall clock, is over.
    """
    if left == right:
        return
    abc = find_package("pyosys").path / "yosys-abc"
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        files = [Path(scratch, name) for name in ("left.aig", "right.aig")]
        for word, file in zip((left, right), files, strict=True):
            write(graph, word, file)
        command = [str(abc), "-c", f"&cec {files[0]} {files[1]}"]
        try:
            # ABC looks at no clock of its own in this command.
            log = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=seconds
            ).stdout
        except subprocess.TimeoutExpired:
            raise Undecided(f"{what}: SAT sweeping did not end in {seconds:.0f} s") from None
    if "NOT EQUIVALENT" in log:
        raise Refuted(f"{what} differs")
    if "Networks are equivalent" not in log:
        raise Undecided(f"{what}: ABC says neither equal nor different")


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
        value_a = _numbers(codes, field_a)
        value_b = _numbers(codes >> len(a), field_b)
        values = dict(zip([*a, *b], pack(codes, bits), strict=True))
        found = simulate(graph, product, values)
        expected = pack((value_a * value_b).sum(axis=1), len(product))
        wrong = np.bitwise_or.reduce([x ^ y for x, y in zip(found, expected, strict=True)])
        if wrong.any():
            flags = np.unpackbits(wrong.view(np.uint8), bitorder="little")
            first = int(np.flatnonzero(flags)[0])
            a_text, b_text = (value[first].tolist() for value in (value_a, value_b))
            raise Refuted(f"product differs, first at a={a_text}, b={b_text}")


def same_sums(
    graph: Graph, left: Word, right: Word, words: Sequence[Word], what: str, seconds: float
) -> None:
    """Prove two words equal, each of which may be a product plus an addend.

    SAT does not match two multipliers. For all values of the control bits each side is shown to be
    its own value at addend 0, plus the addend; these values are then simulated completely.

    Parameters
    ----------
    words
        What the two depend on: those of one bit are controls, one as wide as they is the addend.

    Raises
    ------
    Refuted
        When they differ.
    Undecided
        When they are not of this form, or the time is over.
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
            try:
                sides = [
                    _without_addend(graph, side, addends[0], range(len(left)), what, seconds)
                    for side in sides
                ]
            except Refuted as error:
                raise Undecided(f"{what} is no product plus an addend: {error}") from error
        _same_everywhere(graph, sides[0], sides[1], what)


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


def _numbers(codes: np.ndarray, field: PortField) -> np.ndarray:
    """Return the numbers [codes, lanes] at a port."""
    return wrap(codes[:, None] >> np.arange(field.lanes) * field.width, field.width, field.signed)


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
    """Prove ``sum == addend + a * b`` modulo the width of sum, for all operands.

    With P(a, b) the sum at addend 0: SAT shows sum == P + addend, complete simulation P == a b.

    Returns
    -------
    str
        How it was proved.
    """
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    total = machine.place(graph, inputs, [])[0]["sum"]
    addend = inputs["addend"]
    product = _without_addend(graph, total, addend, range(len(addend)), "sum", seconds)
    a, b = inputs["a"], inputs["b"]
    is_product(graph, product, a, b, ports["a"], ports["b"])
    return (
        f"SAT: sum(a, b, addend) = sum(a, b, 0) + addend; complete simulation of all "
        f"2^{len(a) + len(b)} operands: sum(a, b, 0) = a * b"
    )


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
    weights = ports["sum"].weights or range(width)
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
    until the first operands arrive, and so is the sum in the cycle before it. Then p is held to
    the product. Where a sum has several forms its number is meant.

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
    zeros = {name: [FALSE] * len(word) for name, word in first.items()}
    alone = zeros | {"a": first["a"], "b": first["b"], "clear": [TRUE], "i_valid": [TRUE]}
    nothing = [FALSE] * len(start)
    weights = ports["sum"].weights or range(ports["sum"].width)

    def total(outputs: Mapping[str, Word]) -> Word:
        return number(graph, outputs["sum"], weights)

    product = total(_run(graph, machine, nothing, [alone, *[zeros] * latency])[latency])
    zero = [FALSE] * len(product)

    for valid in (FALSE, TRUE):
        inputs = [first | {"i_valid": [valid]}, *later]
        seen = _run(graph, machine, start, inputs, generalise=True)
        before, after = seen[latency - 1], seen[latency]
        same(graph, after["o_valid"], [valid], "o_valid", seconds)
        cleared, kept = (
            substitute(graph, total(after), {first["clear"][0]: clear}) for clear in (TRUE, FALSE)
        )
        if valid:
            same(graph, cleared, product, "sum after clear", seconds)
        for case in (kept,) if valid else (cleared, kept):
            what = "induction step of sum" if valid else "sum without i_valid"
            added = _without_addend(graph, case, before["sum"], weights, what, seconds)
            same(graph, added, product if valid else zero, f"{what} from 0", seconds)
    seen = _run(graph, machine, start, [first | {"rst": [TRUE]}, *later])
    same(graph, total(seen[latency]), zero, "sum after reset", seconds)
    for outputs in seen[1:]:
        same(graph, outputs["o_valid"], [FALSE], "o_valid after reset", seconds)
    is_product(graph, product, first["a"], first["b"], ports["a"], ports["b"])
    return (
        f"k-induction, k = {latency}, by SAT: reset, and sum' = (clear ? 0 : sum) + p(a, b) from "
        f"any state; complete simulation of all 2^{len(first['a']) + len(first['b'])} operands: "
        "p(a, b) = a * b"
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
