# amaranth: UnusedElaboratable=no
"""Multiplication by integer addition: every pair of codes of up to 8 bits, and 10**6 others.

The bench of the function units runs some settings; here all are evaluated as and-inverter graphs.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import random_generator

from golden.l_mul import multiply, paper_offset
from hw.emit import emit
from pe.config import Config
from pe.formats import FLOATS
from pe.l_mul import GATES, OFFSETS, LMul, LMulConfig
from scripts.ppa.aig import Machine
from sim.runner import lint

SETS = 10**6
POLICIES = list(product((True, False), repeat=2))
CONFIGS = [
    LMulConfig(
        format=name,
        offset=offset,
        offset_when=gate,
        ulps=min(5, (1 << found.mantissa) - 1) if offset == "ulps" else 1,
        saturate=saturate,
        signed_zero=signed_zero,
    )
    for name, found in FLOATS.items()
    for i, (offset, gate) in enumerate(product(OFFSETS, GATES))
    for j, (saturate, signed_zero) in enumerate(POLICIES)
    # Every policy with one offset, and every offset with one policy.
    if (i == 0 or j == i % len(POLICIES)) and (offset != "none" or gate == "always")
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    folder = tmp_path_factory.mktemp("l_mul")
    return machines([(LMul, config) for config in CONFIGS], folder)


def operands(name: str) -> tuple[Column, Column]:
    """All pairs, or pairs of corners of mantissas with all exponents, and random ones."""
    found = FLOATS[name]
    if found.width <= 8:
        a, b = np.divmod(np.arange(4**found.width, dtype=np.int64), 2**found.width)
        return a, b
    rng = random_generator()
    places = 1 << found.mantissa
    offset = paper_offset(found.mantissa)
    corners = np.array([0, 1, offset, places // 2 - 1, places // 2, places - offset, places - 1])
    exponents = np.arange(1 << found.exponent + 1) << found.mantissa
    columns = []
    for _ in range(2):
        near = rng.choice(exponents, SETS // 2) + rng.choice(corners, SETS // 2)
        random = rng.integers(0, 1 << found.width, SETS)
        columns.append(np.concatenate([random, near]))
    a, b = columns
    # Sums about the least and the largest exponent.
    near, top = SETS // 4, (1 << found.exponent) - 1
    wanted = rng.choice([0, 1, top - 1, top], near) + found.bias - (a[:near] // places & top)
    b[:near] = b[:near] % places + np.clip(wanted, 0, top) * places
    return a, b


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_pair(config: LMulConfig, built: Mapping[Config, Machine]) -> None:
    a, b = operands(config.format)
    expected = multiply(
        a,
        b,
        format=config.format,
        offset=config.offset,
        ulps=config.ulps,
        offset_when=config.offset_when,
        saturate=config.saturate,
        signed_zero=config.signed_zero,
    )
    widths = dict.fromkeys("ab", FLOATS[config.format].width)
    wrong = differing(built[config], {"a": a, "b": b}, expected, widths)
    shown = {port: [(hex(a[i]), hex(b[i])) for i in sets[:4]] for port, sets in wrong.items()}
    assert not wrong, shown


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_lint_has_nothing_to_say(config: LMulConfig, tmp_path: Path) -> None:
    verilog, _ = emit(LMul, config).write(tmp_path)
    assert lint(verilog, config.name) == []


@pytest.mark.parametrize("name", FLOATS)
def test_offset_of_the_paper(name: str) -> None:
    assert LMulConfig(format=name, offset="paper").added == paper_offset(FLOATS[name].mantissa)


def test_names_differ() -> None:
    assert len({config.name for config in CONFIGS}) == len(CONFIGS)
    assert LMulConfig().name == "l_mul_e4m3"
    assert LMulConfig(offset="ulps").name == "l_mul_e4m3_ulps1"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^ulps: 8 is not in 0\.\.7, for format=e4m3$"):
        LMulConfig(ulps=8)
    with pytest.raises(ValueError, match=r"^ulps: 3 does not apply to offset=none; it does to "):
        LMulConfig(ulps=3)
    with pytest.raises(ValueError, match=r"^format: 'mxint8' is not one of e4m3, "):
        LMulConfig(format="mxint8")
    with pytest.raises(ValueError, match=r"^offset: 'papers' .*; did you mean 'paper'\?$"):
        LMulConfig(offset="papers")
