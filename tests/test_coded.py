# amaranth: UnusedElaboratable=no
"""PEs whose operands are codes: every product, in sums of one and of several terms."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from circuits import Circuit, machines, modulo, random_bits, run, total
from helpers import random_generator

from golden.codes import numbers, products, sums_of_halves
from golden.formats import decode
from golden.l_mul import multiply
from pe.coded import CodedConfig, CodedStep, Fp4Config, ShiftConfig, TernaryConfig
from pe.coded_float import Fp8Config, LMulPeConfig, MitchellConfig
from pe.switchable import SwitchablePeConfig
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
    Fp8Config(),
    MitchellConfig(),
    LMulPeConfig(),
    LMulPeConfig(terms=2),
    SwitchablePeConfig(width_acc=38),
    SwitchablePeConfig(width_a=5, signed_a=False, terms=2, width_acc=24),
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


def test_codes_of_fp8() -> None:
    codes = np.arange(256)
    real = codes.astype(np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    assert np.array_equal(numbers(codes, "e4m3", 8) / 2**9, np.nan_to_num(real))
    normal = np.where(np.abs(real) >= 2.0**-6, real, 0)
    for form in ("mitchell", "l_mul"):
        assert np.array_equal(numbers(codes, form, 8) / 2**9, normal)


@pytest.mark.parametrize(("form", "offset"), [("mitchell", "none"), ("l_mul", "paper")])
def test_products_by_addition(form: str, offset: str) -> None:
    """Those of the floating multiplier where it neither overflows nor underflows."""
    a, b = np.divmod(np.arange(1 << 16), 1 << 8)
    found = products(a, b, form, form, 8, 8) / 2.0**15
    code = multiply(
        a, b, format="e4m3", offset=offset, ulps=1, offset_when="always", saturate=False,
        signed_zero=True,
    )["product"]  # fmt: skip
    expected = decode(code, "e4m3")
    inside = (np.abs(found) >= 2.0**-6) & (np.abs(found) <= 448)
    assert inside.sum() > 40_000 and np.array_equal(found[inside], expected[inside])
    exact = np.prod([numbers(x, form, 8) / 2.0**9 for x in (a, b)], axis=0)
    assert np.array_equal(np.sign(found), np.sign(exact))
    ratio = found[exact != 0] / exact[exact != 0]
    ends = {"mitchell": (8 / 9, 1), "l_mul": (32 / 33, 9 / 8)}[form]
    assert (ratio.min(), ratio.max()) == ends


def test_codes_of_halves() -> None:
    """A code of two weights is two dot products; a wide one is ``low + 16 * high``."""
    rng = random_generator()
    a, weights = rng.integers(-128, 128, 500), rng.integers(-8, 8, (2, 500))
    narrow = (weights[0] & 15) | (weights[1] & 15) << 4
    total = (a * numbers(narrow, "halves21", 9)).sum(keepdims=True)
    assert [x.tolist() for x in sums_of_halves(total, 21)] == [[x] for x in weights @ a]
    wide = rng.integers(-128, 128, 500)
    low, high = sums_of_halves(
        (a * numbers(wide & 255 | 256, "halves21", 9)).sum(keepdims=True), 21
    )
    assert (low + 16 * high).tolist() == [wide @ a]


@pytest.mark.parametrize("place", [2, 19])
def test_sums_of_halves_at_their_ends(place: int) -> None:
    ends = [-(1 << place - 1), -1, 0, (1 << place - 1) - 1]
    low, high = (x.ravel() for x in np.meshgrid(ends, ends))
    found = sums_of_halves(low + high * (1 << place), place)
    assert np.array_equal(found, [low, high])


@pytest.mark.parametrize(
    ("form", "width", "message"),
    [
        ("halves", 9, "format: 'halves' is not one of integer, ternary"),
        ("halves0", 9, "format: 'halves0' is not one of integer, ternary"),
        ("halves19", 8, "format: halves has no codes of 8 bits"),
        ("e2m1", 5, "format: e2m1 has no codes of 5 bits"),
        ("trits", 2, "format: 'trits' is not one of integer, ternary, pot, e2m1"),
    ],
)
def test_bad_codes(form: str, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        numbers(np.zeros(1, np.int64), form, width)


def test_a_logarithm_is_multiplied_by_another() -> None:
    zero = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match=r"^format: mitchell and e4m3 cannot be multiplied$"):
        products(zero, zero, "mitchell", "e4m3", 8, 8)


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
    forms = (config.format_a, config.format_b, config.width_a, config.width_b)
    added = products(a, b, *forms).sum(axis=1).astype(np.uint64)
    expected = total(addend, config.state_weights) + added
    after = total(found["sum"], config.state_weights)
    assert np.array_equal(
        modulo(after, config.width_acc)[:count], modulo(expected, config.width_acc)[:count]
    )
