# amaranth: UnusedElaboratable=no
"""Multiplication of floats: the golden model against NumPy, the unit against the golden model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from evaluation import DTYPES, Column, differing, machines
from helpers import random_generator

from golden.float_multiply import multiply
from golden.formats import decode
from hw.emit import emit
from pe.config import Config
from pe.float_multiply import FloatMultiplier, FloatMultiplierConfig
from pe.formats import FLOATS
from scripts.ppa.aig import Machine
from sim.runner import lint

SETS = 10**6
CONFIGS = [
    FloatMultiplierConfig(format=name, saturate=saturate)
    for name in FLOATS
    for saturate in (False, True)
] + [
    FloatMultiplierConfig(format=name, result=result, saturate=False)
    for name, result in (("bf16", "fp32"), ("fp16", "fp32"), ("fp32", "fp16"), ("e4m3", "fp16"))
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    folder = tmp_path_factory.mktemp("float_multiply")
    return machines([(FloatMultiplier, config) for config in CONFIGS], folder)


def operands(name: str) -> tuple[Column, Column]:
    """All pairs of 8 bits; else random ones, many of products about the least and the largest."""
    found = FLOATS[name]
    if found.width <= 8:
        a, b = np.divmod(np.arange(4**found.width, dtype=np.int64), 2**found.width)
        return a, b
    rng = random_generator()
    places, top = 1 << found.mantissa, (1 << found.exponent) - 1
    a, b = rng.integers(0, 1 << found.width, (2, SETS))
    # The exponent of b makes the product subnormal, near the least, or near the largest.
    edge = np.where(rng.random(SETS) < 0.7, 1, top - 1)
    offset = rng.integers(-found.mantissa - 3, 4, SETS)
    exponent = np.clip(edge + found.bias - (a // places & top) + offset, 0, top)
    near = rng.random(SETS) < 0.6
    b[near] = (b // (places * (top + 1)) * (places * (top + 1)) + exponent * places + b % places)[
        near
    ]
    corners = np.array([0, 1, 2, places // 2 - 1, places // 2, places // 2 + 1, places - 1])
    special = np.array([0, 1, places - 1, places, top * places - 1, top * places, top * places + 1])
    for column in (a, b):
        corner = rng.random(SETS) < 0.2
        column[corner] += rng.choice(corners, SETS)[corner] - column[corner] % places
        few = rng.random(SETS) < 0.05
        sign = column[few] >> (found.width - 1) << (found.width - 1)
        column[few] = rng.choice(special, int(few.sum())) | sign
    return a, b


@pytest.mark.parametrize("name", DTYPES)
def test_golden_model_is_the_multiplication_of_numpy(name: str) -> None:
    a, b = operands(name)
    dtype = np.dtype(DTYPES[name])
    bits = f"<u{dtype.itemsize}"
    x, y = (z.astype(bits).view(dtype) for z in (a, b))
    with np.errstate(all="ignore"):
        product = x * y
        number = ~np.isnan(product.astype(np.float32))
    found = multiply(a, b, format=name, saturate=False)["product"]
    assert np.array_equal(found[number], product.view(bits).astype(np.int64)[number])
    assert len(set(found[~number])) == 1 and np.isnan(decode(found[~number][:1], name))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_products(config: FloatMultiplierConfig, built: Mapping[Config, Machine]) -> None:
    a, b = operands(config.format)
    expected = multiply(a, b, format=config.format, saturate=config.saturate, result=config.result)
    widths = dict.fromkeys("ab", FLOATS[config.format].width)
    wrong = differing(built[config], {"a": a, "b": b}, expected, widths)
    assert not wrong, [(hex(a[i]), hex(b[i])) for i in wrong["product"][:4]]


@pytest.mark.parametrize("name", FLOATS)
def test_lint_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    config = FloatMultiplierConfig(format=name)
    verilog, _ = emit(FloatMultiplier, config).write(tmp_path)
    assert lint(verilog, config.name) == []


def test_saturation_and_specials() -> None:
    """Two of e4m3, where overflow is NaN; infinity of e5m2 stays when finite products saturate."""
    largest, nan = 0x7E, 0x7F
    for saturate, found in ((True, largest), (False, nan)):
        product = multiply([largest, largest], [0xFE, nan], format="e4m3", saturate=saturate)
        expected = [0xFE if saturate else nan, nan]
        assert product["product"].tolist() == expected
        assert multiply(largest, 0x39, format="e4m3", saturate=saturate)["product"] == found
    infinity = multiply([0x7C, 0x7C, 0xFC], [0x7B, 0, 1], format="e5m2", saturate=True)
    assert infinity["product"].tolist() == [0x7C, 0x7E, 0xFC]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format: 'int8' is not a float$"):
        multiply([0], [0], format="int8", saturate=True)
    with pytest.raises(ValueError, match=r"^format: 'int8' is not one of e4m3, e5m2"):
        FloatMultiplierConfig(format="int8")
