# amaranth: UnusedElaboratable=no
"""Addition of floats: the golden model against NumPy, the unit against the golden model."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from evaluation import DTYPES, Column, differing, machines
from helpers import random_generator

from golden.float_add import add
from golden.formats import decode
from hw.emit import emit
from pe.config import Config
from pe.float_add import IEEE_FLOATS, FloatAdder, FloatAdderConfig
from pe.formats import FLOATS
from scripts.ppa.aig import Machine
from sim.runner import lint

SETS = 10**6
CONFIGS = {name: FloatAdderConfig(format=name) for name in IEEE_FLOATS}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    units = [(FloatAdder, config) for config in CONFIGS.values()]
    return machines(units, tmp_path_factory.mktemp("float_add"))


def operands(name: str) -> tuple[Column, Column]:
    """All pairs of 8 bits; else random ones, most of them of exponents near each other."""
    found = FLOATS[name]
    if found.width <= 8:
        a, b = np.divmod(np.arange(4**found.width, dtype=np.int64), 2**found.width)
        return a, b
    rng = random_generator()
    places, top = 1 << found.mantissa, (1 << found.exponent) - 1
    a, b = rng.integers(0, 1 << found.width, (2, SETS))
    near = np.arange(SETS) % 4 > 0
    exponent = a // places & top
    gap = rng.integers(-found.mantissa - 3, found.mantissa + 4, SETS)
    moved = np.clip(exponent + gap, 0, top) * places + b % places
    b = np.where(near, moved + (b >> (found.width - 1) << (found.width - 1)), b)
    corners = np.array([0, 1, 2, places // 2 - 1, places // 2, places // 2 + 1, places - 1])
    for column in (a, b):
        corner = rng.random(SETS) < 0.3
        column[corner] += rng.choice(corners, SETS)[corner] - column[corner] % places
    same = rng.random(SETS) < 0.05  # cancel to zero, or to the last places
    b[same] = (a[same] ^ 1 << (found.width - 1)) ^ rng.integers(0, 4, int(same.sum()))
    few = rng.random(SETS) < 0.05
    special = np.array([0, 1, places - 1, places, top * places - 1, top * places, top * places + 1])
    a[few] = rng.choice(special, int(few.sum())) | a[few] >> (found.width - 1) << (found.width - 1)
    return a, b


@pytest.mark.parametrize("name", IEEE_FLOATS)
def test_golden_model_is_the_addition_of_numpy(name: str) -> None:
    a, b = operands(name)
    dtype = np.dtype(DTYPES[name])
    bits = f"<u{dtype.itemsize}"
    x, y = (z.astype(bits).view(dtype) for z in (a, b))
    with np.errstate(all="ignore"):
        total = x + y
        number = ~np.isnan(total.astype(np.float32))
    found = add(a, b, format=name)["sum"]
    assert np.array_equal(found[number], total.view(bits).astype(np.int64)[number])
    assert len(set(found[~number])) == 1 and np.isnan(decode(found[~number][:1], name))


def test_golden_model_is_the_nearest_number() -> None:
    a, b = (x[:3000] for x in operands("fp32"))
    code = add(a, b, format="fp32")["sum"]
    # The neighbours of a code are the next ones, but for zero and the largest.
    inner = (code % 2**31 > 0) & (code % 2**31 < 0x7F7FFFFF)
    columns = [decode(x[inner], "fp32").tolist() for x in (a, b, code, code - 1, code + 1)]
    for x, y, found, *others in zip(*columns, strict=True):
        exact = Fraction(x) + Fraction(y)
        errors = [abs(Fraction(other) - exact) for other in (found, *others)]
        assert errors[0] == min(errors)
    assert inner.mean() > 0.8


@pytest.mark.parametrize("name", IEEE_FLOATS)
def test_sums(name: str, built: Mapping[Config, Machine]) -> None:
    a, b = operands(name)
    expected = add(a, b, format=name)
    widths = dict.fromkeys("ab", FLOATS[name].width)
    wrong = differing(built[CONFIGS[name]], {"a": a, "b": b}, expected, widths)
    assert not wrong, [(hex(a[i]), hex(b[i])) for i in wrong["sum"][:4]]


@pytest.mark.parametrize("name", IEEE_FLOATS)
def test_lint_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    verilog, _ = emit(FloatAdder, CONFIGS[name]).write(tmp_path)
    assert lint(verilog, CONFIGS[name].name) == []


def test_zeros_and_specials() -> None:
    minus, inf, nan = 0x8000, 0x7C00, 0x7E00
    a = np.array([0, minus, minus, 0x3C00, inf, inf, inf | minus, nan | minus, 0x7BFF, 1])
    b = np.array([minus, minus, 0, 0xBC00, inf, inf | minus, 0x7BFF, 0, 0x7BFF, 0x8002])
    found = add(a, b, format="fp16")["sum"].tolist()
    assert found == [0, minus, 0, 0, inf, nan, inf | minus, nan, inf, 0x8001]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format: 'e4m3' is not a float that has infinities$"):
        add([0], [0], format="e4m3")
    with pytest.raises(ValueError, match=r"^format: 'e4m3' is not one of e5m2, bf16, fp16, fp32"):
        FloatAdderConfig(format="e4m3")
