"""Products of integers and float32 against NumPy's."""

import re
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import random_generator

from hw.emit import emit
from pe.float_scale import WIDEST, FloatScale, FloatScaleConfig
from sim.runner import lint

SETS = 40_000
WIDTHS = (2, 13, 19, WIDEST)


def operands(width: int) -> tuple[Column, Column]:
    """Any integers and extremes, any codes, and codes about the least and the largest product."""
    rng = random_generator()
    high = 1 << (width - 1)
    a = rng.integers(-high, high, SETS)
    corner = rng.random(SETS) < 0.2
    a[corner] = rng.choice([-high, high - 1, 0, 1, -1], int(corner.sum()))
    b = rng.integers(0, 1 << 32, SETS)
    exponent = rng.choice([0, 1, 2, 254 - width, 253, 254, 255], SETS)
    edge = rng.random(SETS) < 0.5
    b[edge] = ((b & 0x807FFFFF) | exponent << 23)[edge]
    few = rng.random(SETS) < 0.1
    b[few] &= 0xFF800003
    return a, b


def expected(a: Column, b: Column) -> Column:
    with np.errstate(all="ignore"):
        product = a.astype(np.float32) * b.astype("<u4").view("<f4")
    codes = product.view("<u4").astype(np.int64)
    return np.where(np.isnan(product), 0x7FC00000, codes)


@pytest.mark.parametrize("width", WIDTHS)
def test_products(width: int, tmp_path: Path) -> None:
    config = FloatScaleConfig(width=width)
    machine = machines([(FloatScale, config)], tmp_path)[config]
    a, b = operands(width)
    widths = {"a": width, "b": 32}
    wrong = differing(machine, {"a": a, "b": b}, {"product": expected(a, b)}, widths)
    assert not wrong, [(int(a[i]), hex(b[i])) for i in wrong["product"][:4]]


@pytest.mark.parametrize("width", WIDTHS)
def test_lint_has_nothing_to_say(width: int, tmp_path: Path) -> None:
    config = FloatScaleConfig(width=width)
    verilog, _ = emit(FloatScale, config).write(tmp_path)
    assert lint(verilog, config.name) == []


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('width: 26 is not in 2..25')}$"):
        FloatScaleConfig(width=26)
