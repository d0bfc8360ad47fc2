# amaranth: UnusedElaboratable=no
"""PEs whose operands are codes: every product, in sums of one and of several terms."""

from pathlib import Path

import numpy as np
import pytest
from circuits import Circuit, machines, modulo, random_bits, run, total
from helpers import random_generator

from golden.codes import numbers
from pe.coded import CodedConfig, CodedStep, Fp4Config, ShiftConfig, TernaryConfig
from scripts.ppa.aig import pack

CONFIGS: list[CodedConfig] = [
    TernaryConfig(width_acc=15),
    TernaryConfig(width_a=5, signed_a=False, width_acc=11),
    TernaryConfig(width_a=4, terms=3, width_acc=9),
    ShiftConfig(width_acc=30),
    ShiftConfig(width_a=6, width_b=4, signed_a=False, width_acc=20),
    ShiftConfig(width_a=5, width_b=2, width_acc=12),
    ShiftConfig(width_a=4, width_b=3, terms=2, width_acc=14),
    Fp4Config(width_acc=14),
    Fp4Config(terms=2, width_acc=12),
]


def test_codes_of_fp4() -> None:
    magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    found = numbers(np.arange(16), "e2m1", 4) / 2
    assert found.tolist() == [*magnitudes, *(-x for x in magnitudes)]


def test_codes_of_powers_of_two() -> None:
    """Shifts of 0 to -14 and zero, as ShiftAddViT has them in 5 bits."""
    found = numbers(np.arange(32), "pot", 5) / 2**14
    magnitudes = [0, *(2.0**-e for e in range(14, -1, -1))]
    assert found.tolist() == [*magnitudes, *(-x for x in magnitudes)]
    assert numbers(np.arange(4), "pot", 2).tolist() == [0, 1, 0, -1]


def test_codes_of_ternary() -> None:
    assert numbers(np.array([-2, -1, 0, 1, 2, 3]), "ternary", 2).tolist() == [0, -1, 0, 1, 0, -1]


@pytest.mark.parametrize(
    ("form", "width", "message"),
    [
        ("e2m1", 5, "format: e2m1 has no codes of 5 bits"),
        ("trits", 2, "format: 'trits' is not one of integer, ternary, pot, e2m1"),
    ],
)
def test_bad_codes(form: str, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        numbers(np.zeros(1, np.int64), form, width)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_product_is_added(config: CodedConfig, tmp_path: Path) -> None:
    """All pairs of codes in each term, beside random ones in the others."""
    rng = random_generator()
    pairs = 1 << (config.width_a + config.width_b)
    count = max(64, config.terms * pairs)
    a = rng.integers(0, 1 << config.width_a, (count, config.terms))
    b = rng.integers(0, 1 << config.width_b, (count, config.terms))
    for term in range(config.terms):
        codes = np.arange(pairs)
        part = slice(term * pairs, (term + 1) * pairs)
        a[part, term], b[part, term] = codes >> config.width_b, codes % (1 << config.width_b)
    if config.signed_a and config.format_a == "integer":
        a -= (a >> (config.width_a - 1)) << config.width_a
    step = CodedStep(config)
    (machine,) = machines([Circuit(step, [step.a, step.b, step.addend], [step.sum])], tmp_path)
    addend = random_bits(rng, config.width_acc, count)
    words = {"addend": addend}
    for name, values, width in (("a", a, config.width_a), ("b", b, config.width_b)):
        words[name] = [bits for column in values.T for bits in pack(column, width)]
    (found,) = run(machine, [words])
    products = numbers(a, config.format_a, config.width_a) * numbers(
        b, config.format_b, config.width_b
    )
    expected = total(addend, config.state_weights) + products.sum(axis=1).astype(np.uint64)
    after = total(found["sum"], config.state_weights)
    assert np.array_equal(
        modulo(after, config.width_acc)[:count], modulo(expected, config.width_acc)[:count]
    )
