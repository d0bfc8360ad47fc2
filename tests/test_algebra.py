# amaranth: UnusedElaboratable=no
"""Algebra proves sums of products, and no sum that is wrong for even one set of operands."""

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from helpers import SEED

from golden.gemm import wrap
from pe.bit_weight import FusedConfig, MixConfig, Opt1Config, Opt2Config
from pe.element import PeConfig
from pe.mac import MacConfig
from scripts.ppa import algebra
from scripts.ppa.aig import FALSE, Graph, Machine, Word, pack, simulate
from scripts.ppa.algebra import Term, adds_products
from scripts.ppa.equivalence import step_machine
from scripts.ppa.sat import Refuted, Undecided

SMALL = [
    MacConfig(width_a=2, width_b=2, terms=2, width_acc=6),
    FusedConfig(width_a=3, width_b=3, width_acc=7, signed_a=False),
    FusedConfig(width_a=3, width_b=3, width_acc=6, digits="ent"),
    Opt1Config(width_a=3, width_b=3, width_acc=7, encoder_at="edge"),
    MixConfig(width_a=3, width_b=3, width_acc=7, digits="bits"),
    Opt2Config(width_a=2, width_b=2, width_acc=6, terms=2, signed_b=False),
]


def verdict(graph: Graph, total: Word, addend: Word, terms: list[Term], weights: list[int]) -> str:
    """Return how a proof ends."""
    sums = [list(zip(word, weights, strict=True)) for word in (total, addend)]
    try:
        adds_products(graph, sums[0], sums[1], terms, max(weights) + 1, 10)
    except (Refuted, Undecided) as error:
        return type(error).__name__
    return "proved"


def term(a: Word, b: Word, signed_a: bool, signed_b: bool) -> Term:
    return Term(
        a,
        b,
        wrap(np.arange(1 << len(a)), len(a), signed_a),
        wrap(np.arange(1 << len(b)), len(b), signed_b),
    )


def terms_of(pe: PeConfig, a: Word, b: Word) -> list[Term]:
    return [
        term(
            a[t * pe.width_a : (t + 1) * pe.width_a],
            b[t * pe.width_b : (t + 1) * pe.width_b],
            pe.signed_a,
            pe.signed_b,
        )
        for t in range(pe.terms)
    ]


def weigh(graph: Graph, bits: dict[int, np.ndarray], word: Word, weights: list[int]) -> np.ndarray:
    values = simulate(graph, word, bits)
    columns = [
        np.unpackbits(value.view(np.uint8), bitorder="little").astype(np.int64) << weight
        for value, weight in zip(values, weights, strict=True)
    ]
    total: np.ndarray = np.sum(columns, axis=0)
    return total


def is_right(pe: PeConfig, machine: Machine) -> bool:
    """Try all operands and states."""
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    total = machine.place(graph, inputs, [])[0]["sum"]
    every = [bit for word in inputs.values() for bit in word]
    codes = np.arange(1 << len(every), dtype=np.int64)
    bits = dict(zip(every, pack(codes, len(every)), strict=True))
    found = weigh(graph, bits, total, list(pe.state_weights))
    found -= weigh(graph, bits, inputs["addend"], list(pe.state_weights))
    for term in terms_of(pe, inputs["a"], inputs["b"]):
        x, y = (weigh(graph, bits, word, list(range(len(word)))) for word in (term.a, term.b))
        x -= (x >> (pe.width_a - 1)) * pe.signed_a << pe.width_a
        y -= (y >> (pe.width_b - 1)) * pe.signed_b << pe.width_b
        found -= x * y
    return not (found % (1 << pe.width_acc)).any()


def step_verdict(pe: PeConfig, machine: Machine) -> str:
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    total = machine.place(graph, inputs, [])[0]["sum"]
    terms = terms_of(pe, inputs["a"], inputs["b"])
    return verdict(graph, total, inputs["addend"], terms, list(pe.state_weights))


@pytest.mark.parametrize("pe", SMALL, ids=lambda pe: pe.name)
def test_faults(pe: PeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One gate of a step is another: what is proved then is right for all operands, and is so."""
    monkeypatch.setattr(algebra._Proof, "try_samples", lambda *_: None)
    rng = random.Random(SEED)
    machine = step_machine(pe)
    assert step_verdict(pe, machine) == "proved" and is_right(pe, machine)
    ends = set()
    for _ in range(25):
        ands = list(machine.ands)
        place = rng.randrange(len(ands))
        output, x, y = ands[place]
        ands[place] = rng.choice(
            [(output, x ^ 1, y), (output, x, y ^ 1), (output, x ^ 1, y ^ 1), (output, x, x)]
        )
        broken = replace(machine, ands=ands)
        found = step_verdict(pe, broken)
        assert found == "Undecided" or (found == "proved") == is_right(pe, broken), ands[place]
        ends.add(found)
    assert ends & {"Undecided", "Refuted"}


def multiplied(graph: Graph, x: Word, y: Word, width: int) -> Word:
    """The product of unsigned words, or of signed ones that are extended, row by row."""
    total = [FALSE] * width
    for place, bit in enumerate(y[:width]):
        row = [FALSE] * place + [graph.both(bit, other) for other in x]
        total = graph.add(total, (row + [FALSE] * width)[:width])
    return total


@pytest.mark.parametrize(("width", "expected"), [(8, "proved"), (7, "other")])
def test_words(width: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed product in 7 bits is wrong for -8 x -8 alone."""
    monkeypatch.setattr(algebra._Proof, "try_samples", lambda *_: None)
    graph = Graph()
    a, b, addend = graph.input(4), graph.input(4), graph.input(12)
    word = multiplied(graph, a + [a[3]] * (width - 4), b + [b[3]] * (width - 4), width)
    total = graph.add(addend, word + [word[-1]] * (12 - width))
    found = verdict(graph, total, addend, [term(a, b, True, True)], list(range(12)))
    assert (found == "proved") == (expected == "proved")


@pytest.mark.parametrize(("width", "expected"), [(7, "proved"), (5, "other")])
def test_heaps(width: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters drop carries out of the last column: two products of 7 x 7 are up to 98."""
    monkeypatch.setattr(algebra._Proof, "try_samples", lambda *_: None)
    graph = Graph()
    words = [graph.input(3) for _ in range(4)]
    addend = graph.input(10)
    terms = [term(words[0], words[1], False, False), term(words[2], words[3], False, False)]
    rows = [
        ([FALSE] * place + [graph.both(bit, other) for other in term.a] + [FALSE] * 10)[:width]
        for term in terms
        for place, bit in enumerate(term.b)
    ]

    def count(x: Word, y: Word, z: Word) -> list[Word]:
        total = [graph.xor(graph.xor(p, q), r) for p, q, r in zip(x, y, z, strict=True)]
        carry = [
            graph.both(graph.both(p, q) ^ 1, graph.both(r, graph.both(p ^ 1, q ^ 1) ^ 1) ^ 1) ^ 1
            for p, q, r in zip(x, y, z, strict=True)
        ]
        return [total, [FALSE, *carry[:-1]]]

    while len(rows) > 2:
        rows = rows[3:] + count(rows[0], rows[1], rows[2])
    wide = [row + [FALSE] * (10 - width) for row in rows]
    total = graph.add(*count(wide[0], wide[1], addend))
    assert (verdict(graph, total, addend, terms, list(range(10))) == "proved") == (
        expected == "proved"
    )


@pytest.mark.parametrize(("signed_a", "signed_b"), list(product((False, True), repeat=2)))
@pytest.mark.parametrize("kind", [MacConfig, FusedConfig, Opt1Config, Opt2Config])
def test_widths(kind: type[PeConfig], signed_a: bool, signed_b: bool) -> None:
    for width_a, width_b, terms in ((5, 6, 2), (16, 16, 1)):
        pe = kind(
            width_a=width_a,
            width_b=width_b,
            width_acc=width_a + width_b + 5,
            signed_a=signed_a,
            signed_b=signed_b,
            terms=terms,
        )
        assert step_verdict(pe, step_machine(pe)) == "proved"


def test_a_sampled_counterexample_is_shown() -> None:
    graph = Graph()
    a, b, addend = graph.input(4), graph.input(4), graph.input(8)
    total = graph.add(addend, multiplied(graph, a, b, 8))
    sums = [list(zip(word, range(8), strict=True)) for word in (total, addend)]
    adds_products(graph, sums[0], sums[1], [term(a, b, False, False)], 8, 10)
    with pytest.raises(Refuted, match="first at a="):
        adds_products(graph, sums[0], sums[1], [term(a, b, True, False)], 8, 10)
    with pytest.raises(Undecided, match="addend is no input"):
        adds_products(graph, sums[0], sums[0], [term(a, b, True, False)], 8, 10)
