# amaranth: UnusedElaboratable=no
"""Decoder and encoder of number formats: every code of every format.

The bench of the function units runs some of them; here all are evaluated as and-inverter graphs.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import random_generator

from golden.formats import FORMATS as GOLDEN_FORMATS
from golden.formats import decoded, encoded, greatest_code, nan_code
from hw.emit import emit
from pe.config import Config
from pe.format_encoder import SOURCES, TARGETS, FormatEncoder, FormatEncoderConfig
from pe.formats import FLOATS, FORMATS, FormatDecoder, FormatDecoderConfig, Specials
from scripts.ppa.aig import Machine
from sim.runner import lint

DECODERS = {name: FormatDecoderConfig(format=name) for name in FORMATS}
TRIED = [*FLOATS, "pot2", "pot5", "mxint8", "int2", "int4", "int8", "int16"]
ENCODERS = [
    FormatEncoderConfig(source=source, format=target, saturate=saturate)
    for source, target, saturate in product(SOURCES, TRIED, (True, False))
    if saturate or (target in FLOATS and FLOATS[target].specials is not Specials.NONE)
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    decoders = [(FormatDecoder, config) for config in DECODERS.values()]
    encoders = [(FormatEncoder, config) for config in ENCODERS]
    return machines([*decoders, *encoders], tmp_path_factory.mktemp("formats"))


def some_fp32() -> Column:
    """10**6 random codes, those near each exponent of every narrower format among them."""
    rng = random_generator()
    codes = rng.integers(0, 2**32, 10**6)
    exponents = np.arange(127 - 40, 127 + 20) << 23
    mantissas = np.array([0, 1, 2**23 - 1, 2**22, 2**22 + 1, 2**22 - 1])
    near = (exponents[:, None] + mantissas).ravel()
    # One and two bits below the top of the mantissa are halves of narrower formats.
    patterns = rng.integers(0, 2**12, 4 * 10**5) << 11
    inside = (
        patterns + rng.choice([-1, 0, 0, 1], patterns.shape) + rng.choice(exponents, patterns.shape)
    )
    edges = np.array([0, 1, 2**23 - 1, 2**23, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000])
    chosen = np.concatenate([near, inside, edges])
    codes[: len(chosen)] = chosen
    codes[: 2 * len(chosen) : 2] |= 2**31
    return codes


def codes_of(name: str) -> Column:
    width = GOLDEN_FORMATS[name].width
    return np.arange(2**width, dtype=np.int64) if width <= 16 else some_fp32()


@pytest.mark.parametrize("name", FORMATS)
def test_decoder_of_every_code(name: str, built: Mapping[Config, Machine]) -> None:
    codes = codes_of(name)
    machine = built[DECODERS[name]]
    assert not differing(
        machine, {"a": codes}, decoded(codes, format=name), {"a": FORMATS[name].width}
    )


@pytest.mark.parametrize("config", ENCODERS, ids=lambda config: config.name)
def test_encoder_of_every_code(
    config: FormatEncoderConfig, built: Mapping[Config, Machine]
) -> None:
    codes = codes_of(config.source)
    expected = encoded(codes, source=config.source, format=config.format, saturate=config.saturate)
    widths = {"a": FORMATS[config.source].width}
    wrong = differing(built[config], {"a": codes}, expected, widths)
    shown = {port: [hex(codes[i]) for i in sets[:4]] for port, sets in wrong.items()}
    assert not wrong, shown


@pytest.mark.parametrize("config", ENCODERS, ids=lambda config: config.name)
def test_lint_has_nothing_to_say(config: FormatEncoderConfig, tmp_path: Path) -> None:
    verilog, _ = emit(FormatEncoder, config).write(tmp_path)
    assert lint(verilog, config.name) == []


def test_both_tables_have_the_same_formats() -> None:
    assert list(FORMATS) == sorted(GOLDEN_FORMATS, key=list(FORMATS).index)
    assert {n: f.width for n, f in FORMATS.items()} == {
        n: f.width for n, f in GOLDEN_FORMATS.items()
    }
    for name, found in FLOATS.items():
        assert (found.largest, found.nan) == (greatest_code(name), nan_code(name))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format: 'e4m4' is not one of e4m3, .*did you mean"):
        FormatDecoderConfig(format="e4m4")
    with pytest.raises(ValueError, match=r"^source: 'e4m3' is not one of bf16, fp16, fp32$"):
        FormatEncoderConfig(source="e4m3")
    with pytest.raises(ValueError, match=r"^format: 'e8m0' is not one of e4m3, "):
        FormatEncoderConfig(format="e8m0")
    assert not {"e8m0", "pot5x2"} & set(TARGETS)
