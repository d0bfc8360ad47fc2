# amaranth: UnusedElaboratable=no
"""Every stream unit of the catalogue against its golden model, and the bench that drives them."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SEED, config_of, designs, random_generator
from test_commands import refused, run_json

from golden.ntt import negacyclic_product
from hw.additive_attention import AdditiveAttentionConfig
from hw.catalog import DESIGNS, Kind
from hw.ntt_engine import NttEngine, NttEngineConfig, Operation
from hw.stream_unit import column, packet_lengths
from pe.config import Config
from pe.element import extremes
from sim.job import Arrays
from sim.results import SimulationError
from sim.simulate import build_design, run_beats
from sim.stimuli import random_beats
from sim.streams import Bursts

UNITS = [design.name for design in designs(Kind.STREAM_UNIT)]
STALLS = (0.0, 0.4, 0.8)
P28 = 268042241
"""Of the primes of 28 bits the largest that is 1 modulo 2**17, as transforms of 65536 need."""


def check(name: str, config: Config, folder: Path, count: int) -> None:
    """Run other beats with every stall; each has power-up values of its own."""
    design = DESIGNS[name]
    simulator = build_design(design, config)
    for i, stall in enumerate(STALLS):
        outcome = run_beats(
            design, config, folder / str(i), SEED + i, count, stall, simulator=simulator
        )
        assert all(outcome.result["taken"].values()) and all(outcome.result["given"].values())


@pytest.mark.parametrize("name", UNITS)
def test_default(name: str, tmp_path: Path) -> None:
    random_generator()
    check(name, DESIGNS[name].config(), tmp_path, 3000)


SMALL: list[tuple[str, dict[str, Any]]] = [
    ("binary_threshold", {"lanes": 1, "width": 2, "depth": 1, "signed": False}),
    ("binary_threshold", {"lanes": 3, "width": 16, "depth": 5}),
    ("expert_router", {"experts": 3, "lanes": 1, "width": 1, "depth": 2, "window": 4}),
    ("expert_router", {"experts": 5, "width": 20, "width_logit": 2, "depth": 3, "window": 7}),
    ("additive_attention", {"keys": 1, "values": 1, "tokens": 1, "width": 2, "signs": True}),
    ("additive_attention", {"keys": 5, "values": 3, "tokens": 9, "width": 4, "signs": True}),
    ("additive_attention", {"keys": 3, "values": 4, "tokens": 5, "width": 16}),
    ("ntt_engine", {"modulus": 257, "size": 64, "butterflies": 4, "slots": 3, "reducer": "shoup"}),
    ("ntt_engine", {"modulus": 97, "size": 8, "butterflies": 4, "slots": 1}),
    ("ntt_engine", {"modulus": 97, "size": 8, "butterflies": 4, "geometry": "constant"}),
    ("ntt_engine", {"size": 32, "butterflies": 8, "slots": 3, "twiddles": "generated"}),
    (
        "ntt_engine",
        {
            "modulus": 257,
            "size": 128,
            "butterflies": 4,
            "slots": 5,
            "geometry": "constant",
            "twiddles": "generated",
            "reducer": "word_montgomery",
        },
    ),
    (
        "ntt_engine",
        {
            "modulus": 1152921504606584833,
            "size": 32,
            "butterflies": 2,
            "reducer": "word_montgomery",
            "stages": 2,
        },
    ),
    ("ntt_engine", {"modulus": 18446744069414584321, "reducer": "solinas", "slots": 1}),
    ("ntt_engine", {"modulus": 12289, "limbs": 3, "slots": 1}),
    (
        "ntt_engine",
        {
            "modulus": 12289,
            "size": 32,
            "butterflies": 4,
            "limbs": 4,
            "slots": 3,
            "geometry": "constant",
            "twiddles": "generated",
        },
    ),
    (
        "ntt_engine",
        {
            "modulus": 268369921,
            "size": 64,
            "butterflies": 2,
            "limbs": 2,
            "reducer": "word_montgomery",
        },
    ),
    ("ntt_engine", {"modulus": 12289, "limbs": 2, "reducer": "shoup"}),
    ("systolic_modular", {"rows": 3, "cols": 2, "modulus": 97, "k_max": 40}),
    (
        "systolic_modular",
        {"rows": 4, "cols": 6, "modulus": 12289, "k_max": 90, "factors": False, "signed_a": False},
    ),
    (
        "systolic_modular",
        {
            "rows": 9,
            "cols": 18,
            "modulus": 2305843009146585089,
            "k_max": 64,
            "reducer": "solinas",
            "lane_stages": 2,
        },
    ),
]


@pytest.mark.parametrize(("name", "settings"), SMALL, ids=str)
def test_small(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    random_generator()
    check(name, config_of(DESIGNS[name], **settings), tmp_path, 2000)


@pytest.mark.parametrize("reducer", ["barrett", "word_montgomery"])
def test_product_of_a_ring(reducer: str, tmp_path: Path) -> None:
    """Polynomials go in and their product comes out; with Montgomery's, divided by the radix."""
    design = DESIGNS["ntt_engine"]
    config = config_of(design, reducer=reducer)
    assert isinstance(config, NttEngineConfig)
    a, b = random_generator().integers(0, config.modulus, (2, config.size))
    commands = [("LOAD", 0, 1), ("FORWARD", 0, 1), ("MULTIPLY", 0, 1), ("INVERSE", 0, 0)]
    commands += [("STORE", 0, 0)]
    beats: Arrays = {
        "command_operation": np.array([Operation[name].value for name, _, _ in commands]),
        "command_slot": np.array([slot for _, slot, _ in commands]),
        "command_other": np.array([other for _, _, other in commands]),
        "data": np.concatenate([a, b]).reshape(-1, config.order.lanes),
    }
    found = run_beats(design, config, tmp_path, SEED, beats=beats).arrays["data"].ravel()
    product = negacyclic_product(a, b, config.modulus)
    assert (found * (1 << config.radix_bits) % config.modulus == product).all()
    assert (config.radix_bits > 0) == (reducer == "word_montgomery")


@pytest.mark.parametrize(("size", "butterflies"), [(4096, 1), (4096, 4), (16384, 4), (65536, 16)])
def test_interleaving_or_constant_geometry_hides_the_pipeline(size: int, butterflies: int) -> None:
    """The formula that the bench holds the engine to is within 1 % of what butterflies need."""
    settings = {"modulus": 786433, "size": size, "butterflies": butterflies}
    config = config_of(DESIGNS["ntt_engine"], **settings)
    assert isinstance(config, NttEngineConfig)
    least = (size.bit_length() - 1) * size // (2 * butterflies)
    assert least < NttEngine(config).transform_cycles(2) / 2 <= 1.01 * least
    limbs = config_of(DESIGNS["ntt_engine"], **settings | {"modulus": P28}, limbs=4, slots=1)
    assert isinstance(limbs, NttEngineConfig)
    assert least < NttEngine(limbs).transform_cycles(1) / 4 <= 1.01 * least
    constant = config_of(DESIGNS["ntt_engine"], **settings, geometry="constant")
    assert isinstance(constant, NttEngineConfig)
    assert NttEngine(constant).transform_cycles(1) == least + constant.latency + 1 <= 1.01 * least


def test_pauses_change_no_beat(tmp_path: Path) -> None:
    """And beats of one's own choice are those that are streamed."""
    design = DESIGNS["binary_threshold"]
    config = config_of(design, lanes=2, width=4, depth=4)
    simulator = build_design(design, config)
    beats: Arrays = {
        "x": np.array([[1, 2], [3, -8], [5, 5], [-1, 0], [7, 7]]),
        "last": np.array([0, 1, 1, 0, 1]),
    }
    for i, stall in enumerate(STALLS):
        folder = tmp_path / str(i)
        outcome = run_beats(
            design, config, folder, SEED + i, stall=stall, simulator=simulator, beats=beats
        )
        bits = outcome.arrays["bits"].tolist()
        assert bits == [[1, 1], [1, 0], [0, 0], [0, 0], [1, 1]]
        assert outcome.arrays["last"].tolist() == [0, 1, 1, 0, 1]


@pytest.mark.parametrize("signs", [False, True])
def test_attention_at_its_extremes(signs: bool, tmp_path: Path) -> None:
    """Sums of the longest sequence need every bit that they have."""
    config = AdditiveAttentionConfig(keys=3, values=2, width=4, tokens=5, signs=signs)
    n, packets = config.tokens, [(bit, value) for bit in (0, 1) for value in (-8, 7)]
    beats: Arrays = {
        "token_key": np.repeat([[bit] * 3 for bit, _ in packets], n, axis=0),
        "token_value": np.repeat([[value] * 2 for _, value in packets], n, axis=0),
        "token_last": np.tile([0] * (n - 1) + [1], len(packets)),
        "query_key": np.tile([[1] * 3, [0] * 3], (len(packets), 1)),
        "query_last": np.tile([0, 1], len(packets)),
    }
    design = DESIGNS["additive_attention"]
    data = run_beats(design, config, tmp_path, SEED, beats=beats).arrays["data"]
    low, high = extremes(config.result_shape.width - 1, True)
    assert data.min() < low or data.max() > high
    assert data.max() == (3 * n * 8 if signs else 3 * n * 7) and data.min() == -3 * n * 8


def test_commands(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["binary_threshold", "-s", "lanes=1", "-s", "width=2", "-s", "depth=1"]
    figures = run_json(capsys, "sim", *small, "-s", "signed=false")
    assert figures["bit_exact"] and figures["beats_in"] == figures["beats_out"]
    assert figures["cycles"] == figures["formula_cycles"]
    refusal = "m: 'binary_threshold' is a stream unit and takes no matrix"
    assert refused(capsys, "sim", *small, "--m", "3") == f"rtloom: {refusal}"
    assert "is a stream unit, not a GEMM engine" in refused(capsys, "compare", *small[:1], "matrix")


@pytest.mark.parametrize(
    ("beats", "message"),
    [
        ({"x": np.zeros((2, 1))}, "last: a column of i is not given"),
        ({"x": np.zeros((2, 1)), "last": np.ones(3)}, "last: 3 beats are not 2"),
        ({"x": np.zeros((2, 1)), "last": np.zeros(2)}, "last: the last of 2 beats is not marked"),
    ],
)
def test_beats_that_are_none(beats: Arrays, message: str, tmp_path: Path) -> None:
    design = DESIGNS["binary_threshold"]
    config = config_of(design, lanes=1, width=2, depth=1, signed=False)
    with pytest.raises(SimulationError, match=message):
        run_beats(design, config, tmp_path, SEED, beats=beats)


@pytest.mark.parametrize("name", UNITS)
def test_random_beats_are_those_of_their_seed(name: str) -> None:
    design = DESIGNS[name]
    unit = design.component(design.config())
    first, again, other = (random_beats(design, unit, 300, seed) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert all(np.array_equal(first[x], again[x]) for x in first)
    assert not all(np.array_equal(first[x], other[x]) for x in first)


def test_bursts() -> None:
    random.seed(SEED)
    pause = Bursts(0.5)
    runs = np.array([pause() for _ in range(20_000)]).reshape(-1, 20).mean(axis=1)
    assert (runs == 0).sum() > 100 and (runs > 0.8).sum() > 100
    assert not any(Bursts(0.0)() for _ in range(1000))


def test_names_and_packets() -> None:
    assert column("i_token", "data") == "token_data"
    assert column("o", "data") == "data"
    assert packet_lengths([0, 0, 1, 1, 0, 1]) == [3, 1, 2]
