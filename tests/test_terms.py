# amaranth: UnusedElaboratable=no
"""Weights as terms: every code of every format, and dot products by a term a clock."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from evaluation import Column, differing, machines
from helpers import SEED, random_generator

from golden import terms as golden
from golden.formats import decode, decoded, format_of, greatest_code
from hw.catalog import DESIGNS
from hw.emit import emit
from pe.config import Config
from pe.term_serial import TermSerialConfig
from pe.terms import TERM_FORMATS, TermEncoder, TermEncoderConfig
from scripts.ppa.aig import Machine
from sim.runner import lint
from sim.simulate import run_operands

CONFIGS = {name: TermEncoderConfig(format=name) for name in TERM_FORMATS}
K = 128


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Config, Machine]:
    units = [(TermEncoder, config) for config in CONFIGS.values()]
    return machines(units, tmp_path_factory.mktemp("terms"))


def codes_of(name: str) -> Column:
    return np.arange(1 << format_of(name).width, dtype=np.int64)


def finite(name: str) -> Column:
    """All codes that are numbers."""
    codes = codes_of(name)
    return codes[np.isfinite(decode(codes, name))]


def numbers(codes: Column, name: str) -> Column:
    parts = decoded(codes, format=name)
    return parts["significand"] << parts["shift"]


@pytest.mark.parametrize("name", golden.TERM_FORMATS)
def test_terms_of_the_golden_model_are_the_number(name: str) -> None:
    codes = finite(name)
    found = golden.terms(codes, name)
    powers = np.ldexp(found.nonzero * (1.0 - 2 * found.negative), found.shift)
    # As real numbers: what they are worth is a matter of the format alone.
    values = decode(codes, name)
    scale = values[values > 0].min() / numbers(codes, name)[values > 0].min()
    assert np.array_equal(powers.sum(axis=-1) * scale, values + 0.0)
    # Those that there are come first.
    assert (np.diff(found.nonzero, axis=-1) <= 0).all() and not found.nonfinite.any()


def test_no_format_needs_many_terms() -> None:
    most = {name: golden.most_terms(name) for name in golden.TERM_FORMATS}
    assert [most[f"int{n}"] for n in range(4, 9)] == [2, 3, 3, 4, 4]
    assert {most[name] for name in ("e2m1", "e3m2", "e5m2")} == {2}
    assert {most[name] for name in ("e2m3", "e4m3", "pot5x3")} == {3}


def test_formats_are_those_of_the_golden_model() -> None:
    assert set(TERM_FORMATS) == set(golden.TERM_FORMATS)
    for name, config in CONFIGS.items():
        assert config.most_terms == golden.most_terms(name)
        assert config.shift_bits == golden.shift_bits(name)


@pytest.mark.parametrize("name", TERM_FORMATS)
def test_encoder(name: str, built: Mapping[Config, Machine]) -> None:
    codes = codes_of(name)
    expected = golden.encoded_terms(codes, format=name)
    widths = {"a": format_of(name).width}
    assert not differing(built[CONFIGS[name]], {"a": codes}, expected, widths)


@pytest.mark.parametrize("name", TERM_FORMATS)
def test_lint_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    verilog, _ = emit(TermEncoder, CONFIGS[name]).write(tmp_path)
    assert lint(verilog, CONFIGS[name].name) == []


def every_product() -> list[dict[str, Column]]:
    """All 8-bit activations times all finite codes of formats of up to 8 bits, as tokens."""
    streams = []
    for name in golden.TERM_FORMATS:
        if format_of(name).width > 8:
            continue
        a, codes = (x.ravel() for x in np.meshgrid(np.arange(-128, 128), finite(name)))
        stream = golden.tokens(a, codes, name)
        stream["clear"] = np.roll(stream["last"], 1)
        streams.append(stream)
        found = golden.accumulate(**stream, i_valid=stream["last"] * 0 + 1, width_acc=48)
        assert np.array_equal(found["sum"][found["o_last"] == 1], a * numbers(codes, name))
    return streams


def dots() -> list[dict[str, Column]]:
    """Dot products of K weights of each format, the greatest ones among them, as tokens."""
    rng = random_generator()
    streams = []
    for name in golden.TERM_FORMATS:
        a = rng.integers(-128, 128, (32, K))
        codes = rng.choice(finite(name), a.shape)
        a[0], codes[0] = -128, greatest_code(name)
        a[1], codes[1] = 127, 0
        stream = golden.tokens(a.ravel(), codes.ravel(), name)
        weight = np.cumsum(stream["last"]) - stream["last"]
        start = np.append(1, np.diff(weight))
        stream["clear"] = start * (weight % K == 0)
        streams.append(stream)
        found = golden.accumulate(**stream, i_valid=stream["last"] * 0 + 1, width_acc=48)
        sums = found["sum"][found["o_last"] == 1][K - 1 :: K]
        assert np.array_equal(sums, (a * numbers(codes, name)).sum(axis=1))
    return streams


def test_every_format_on_one_pe(tmp_path: Path) -> None:
    """Exact products and dot products; the accumulator is as wide as it says."""
    config = TermSerialConfig(format="e5m2", k_max=K)
    assert config.width_acc <= 48
    streams = every_product() + dots()
    given = {name: np.concatenate([s[name] for s in streams]) for name in streams[0]}
    count = len(given["a"])
    # Bubbles, in which anything may stand at the ports.
    bubbles = random_generator().integers(0, count, count // 50)
    given = {name: np.insert(column, bubbles, 1) for name, column in given.items()}
    given["i_valid"] = np.insert(np.ones(count, np.int64), bubbles, 0)
    design = DESIGNS["term_serial_pe"]
    run_operands(design, config, tmp_path, SEED, len(given["a"]), operands=given)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^format: 'fp16' is not one of e4m3, e5m2, e3m2"):
        golden.terms([0], "fp16")
    with pytest.raises(ValueError, match=r"^format: 'bf16' is not one of e4m3, e5m2, e3m2"):
        TermEncoderConfig(format="bf16")
    with pytest.raises(ValueError, match=f"^{re.escape('k_max: 4097 is not in 1..4096')}$"):
        TermSerialConfig(k_max=4097)
