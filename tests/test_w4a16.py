# amaranth: UnusedElaboratable=no
"""W4A16: the contracts against exact arithmetic, and the hardware on all products and on groups."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from amaranth.lib.wiring import Out
from circuits import Circuit, Words, machines, random_bits, run
from evaluation import Column
from helpers import SEED, config_of, random_generator

from golden import w4a16 as golden
from golden.formats import decode, decoded, encode
from golden.mac import multiply_accumulate
from hw.catalog import DESIGNS, Design
from hw.emit import emit
from pe.aligner import ActivationAligner, ActivationAlignerConfig
from pe.config import Config
from pe.unit import Unit
from pe.w4a16 import ExactW4A16Config, ExactW4A16Pe, FloatW4A16Config, FloatW4A16Pe
from scripts.ppa.aig import Bits, Machine, pack
from sim.runner import lint
from sim.simulate import build_emission, player_emission, run_operands

K, GROUPS, PART = 128, 10_000, 1 << 18
"""Products of a group, groups, and sets that are played at once."""
WEIGHTS = np.arange(-8, 8)
CODES = np.arange(1 << 16)
FINITE = np.isfinite(decode(CODES, "fp16"))
ALIGNED = [(10, "nearest"), (14, "nearest"), (14, "floor"), (24, "nearest"), (24, "floor")]
"""Places and rounding of an aligner."""


@cache
def groups() -> tuple[Column, Column]:
    """FP16 activations with outliers, and weights; the corner cases are the first groups."""
    rng = random_generator()
    values = rng.normal(size=(GROUPS, K)) * np.exp2(rng.integers(-18, 6, (GROUPS, 1)))
    values[rng.random(values.shape) < 0.01] *= 100
    a = encode(values, "fp16", saturate=True)
    b = rng.integers(-8, 8, a.shape)
    a[0], b[0] = 0x7BFF, -8  # the largest sum
    a[1], b[1] = 0xFBFF, -8
    a[2], b[2] = 0, 7
    a[3], b[3] = 0x8000, 7
    a[4, ::2], a[4, 1::2], b[4] = 0x3C00, 0xBC00, 5  # cancel to zero
    a[5] = rng.integers(0, 0x400, K) | rng.integers(0, 2, K) << 15  # subnormal
    a[6], a[6, 17] = 1, 0x7BFF  # one is far larger than all others
    a[7], a[7, 17] = 0x8001, 0xFBFF
    a[8], a[8, 17] = 0, 0x0001
    a[9, 5], a[10, 127], a[11, 0] = 0x7C00, 0xFC00, 0x7E01  # not finite
    return a, b


def streams() -> list[dict[str, Column]]:
    """All groups one after the other, in parts that end where a group does."""
    a, b = groups()
    place = np.tile(np.arange(K), GROUPS)
    columns = {"a": a.ravel(), "b": b.ravel(), "clear": place == 0, "last": place == K - 1}
    given = {name: column.astype(np.int64) for name, column in columns.items()}
    given["i_valid"] = np.ones(len(place), np.int64)
    starts = range(0, len(place), PART)
    return [{n: column[i : i + PART] for n, column in given.items()} for i in starts]


def play(design: Design, config: Config, parts: list[dict[str, Column]], folder: Path) -> None:
    """Play columns through one simulator; the bench compares each result."""
    emission, _, memories = player_emission(design, config, PART)
    simulator = build_emission(emission, memories)
    for part in parts:
        run_operands(design, config, folder, SEED, PART, simulator, operands=part)


def with_bubbles(part: dict[str, Column]) -> dict[str, Column]:
    """The first half, with steps at which nothing is valid but the ports say otherwise."""
    count = PART // 2
    bubbles = random_generator().integers(0, count, count // 8)
    return {
        name: np.insert(column[:count], bubbles, 0 if name == "i_valid" else 1)
        for name, column in part.items()
    }


# The contracts.


def test_integers_are_the_activations() -> None:
    assert np.array_equal(golden.integers(CODES)[FINITE], decode(CODES, "fp16")[FINITE] * 2.0**24)
    assert not golden.integers(CODES)[~FINITE].any()


def test_exact_sums_are_those_of_fractions_in_any_order() -> None:
    a, b = (x[:40] for x in groups())
    order = random_generator().permutation(K)
    sums = (golden.integers(a) * b).sum(axis=1)
    assert np.array_equal(sums, (golden.integers(a) * b)[:, order].sum(axis=1))
    for x, w, found in zip(decode(a, "fp16"), b, sums.tolist(), strict=True):
        if np.isfinite(x).all():
            exact = sum(
                (Fraction(p) * int(q) for p, q in zip(x.tolist(), w, strict=True)), Fraction(0)
            )
            assert Fraction(found, 1 << 24) == exact
    width = ExactW4A16Config(k_max=K).width_acc
    assert np.abs(sums).max() == 2047 * 2**29 * 8 * K and width == 51
    assert ExactW4A16Config(k_max=1).width_acc == 44


def test_one_rounding_is_that_of_the_real_sum() -> None:
    """float64 holds every sum of a group, and so rounds to FP16 once."""
    a, b = groups()
    sums = (golden.integers(a) * b).sum(axis=1) / 2.0**24
    real = (decode(a, "fp16")[12:] * b[12:]).astype(np.longdouble).sum(axis=1)
    assert np.array_equal(encode(sums[12:], "fp16", False), encode(real, "fp16", False))


@pytest.mark.parametrize("rounding", golden.ROUNDINGS)
@pytest.mark.parametrize("places", [10, 14, 24])
def test_aligned_activations(places: int, rounding: str) -> None:
    """Every activation at every exponent of a group, by integers."""
    parts = decoded(CODES[FINITE], format="fp16")
    for exponent in range(1, 31):
        below = parts["shift"] < exponent
        number = parts["significand"][below].astype(object) << 64
        shift = 64 - places + 10 + exponent - 1 - parts["shift"][below].astype(object)
        floor, rest = number >> shift, number & ((1 << shift) - 1)
        if rounding == golden.NEAREST:
            half = 1 << (shift - 1)
            floor = floor + ((rest > half) | ((rest == half) & (floor % 2 == 1)))
        codes = CODES[FINITE][below]
        found = golden.align(codes, exponent, format="fp16", places=places, rounding=rounding)
        assert np.array_equal(found, floor.astype(np.int64))
        assert -(2 ** (places + 1)) <= found.min() and found.max() < 2 ** (places + 1)
    vanished = golden.align([1, 0x8001], 30, format="fp16", places=10, rounding=rounding)
    assert vanished.tolist() == [0, 0 if rounding == golden.NEAREST else -1]


@pytest.mark.parametrize("rounding", golden.ROUNDINGS)
@pytest.mark.parametrize("places", [10, 12, 14, 16, 24])
def test_error_of_aligned_sums_is_within_its_bound(places: int, rounding: str) -> None:
    a, b = (x[12:] for x in groups())
    largest = np.maximum(a >> 10 & 31, 1).max(axis=1)
    how = {"format": "fp16", "places": places}
    found = golden.align(a, largest[:, None], **how, rounding=rounding)  # type: ignore[arg-type]
    value = (found * b).sum(axis=1) * golden.unit_of(largest, **how)  # type: ignore[arg-type]
    error = np.abs(value - (decode(a, "fp16") * b).sum(axis=1))
    bound = golden.error_bound(largest, b, **how, rounding=rounding)  # type: ignore[arg-type]
    assert (error <= bound).all()
    # It is no idle bound: some group comes near a tenth of it.
    assert places > 20 or (error / bound).max() > 0.1


def test_products_of_floats() -> None:
    """Bits round twice where there are three of them; digits of both signs overflow early."""
    a, b = (x.ravel() for x in np.meshgrid(CODES[FINITE], WEIGHTS))
    values = decode(a, "fp16")
    nearest = encode(values * b, "fp16", saturate=False)
    found = {d: golden.product_of_floats(a, b, format="fp16", digits=d) for d in ("bits", "ent")}
    zero = values * b == 0
    for codes in found.values():
        assert not codes[zero].any() and not np.isnan(decode(codes, "fp16")).any()
    differs = (found["bits"] != nearest) & ~zero
    assert set(np.abs(b[differs])) == {7} and 0 < differs.sum() < 0.3 * (np.abs(b) == 7).sum()
    assert (np.abs(found["bits"] - nearest)[differs] == 1).all()
    differs = (found["ent"] != nearest) & ~zero
    assert set(np.abs(b[differs])) == {3, 7}
    assert np.isinf(decode(found["ent"][differs], "fp16")).all()
    nan = golden.product_of_floats([0x7C00, 0xFC01], [0, 1], format="fp16", digits="bits")
    assert nan.tolist() == [0x7E00, 0x7E00]


def test_float_sums_are_those_of_numpy() -> None:
    a, b = (x[:300] for x in groups())
    given = {"a": a.ravel(), "b": b.ravel(), "last": np.zeros(a.size, np.int64)}
    given["clear"] = (np.arange(a.size) % K == 0).astype(np.int64)
    found = golden.accumulate_floats(
        **given, i_valid=np.ones(a.size, np.int64), format="fp16", digits="bits"
    )["sum"].reshape(a.shape)
    product = golden.product_of_floats(a, b, format="fp16", digits="bits")
    running = np.zeros(len(a), np.float16)
    with np.errstate(all="ignore"):
        for step in range(K):
            running = running + product[:, step].astype(np.uint16).view(np.float16)
            assert np.array_equal(
                running.view(np.uint16)[~np.isnan(running)], found[~np.isnan(running), step]
            )
    assert (found[np.isnan(running), -1] == 0x7E00).all() and np.isnan(running).any()


# The hardware.


def machine_of(unit: Unit, folder: Path) -> Machine:
    ports = {name: getattr(unit, name) for name in unit.signature.members}
    results = [name for name, member in unit.signature.members.items() if member.flow is Out]
    outputs = [ports.pop(name) for name in results]
    (machine,) = machines([Circuit(unit, list(ports.values()), outputs)], folder)
    return machine


def assert_shown(found: Mapping[str, Sequence[Bits]], expected: Mapping[str, Column]) -> None:
    assert set(found) == set(expected)
    for name, bits in found.items():
        wanted = pack(expected[name], len(bits))
        assert all(np.array_equal(x, y) for x, y in zip(bits, wanted, strict=True)), name


@pytest.mark.parametrize("digits", ["exact", "bits", "ent"])
def test_every_product(digits: str, tmp_path: Path) -> None:
    """All activations times all weights, 2^17 sums of one product side by side."""
    unit: Unit
    if digits == "exact":
        unit = ExactW4A16Pe(ExactW4A16Config(k_max=1))
    else:
        unit = FloatW4A16Pe(FloatW4A16Config(digits=digits))
    ports = {name: getattr(unit, name) for name in unit.signature.members}
    inputs = [ports.pop(name) for name in ("a", "b", "clear", "last", "i_valid")]
    (machine,) = machines([Circuit(unit, inputs, list(ports.values()))], tmp_path)
    for weights in WEIGHTS.reshape(-1, 2):
        a, b = (x.ravel() for x in np.meshgrid(CODES, weights))
        one = np.ones_like(a)
        given = {"a": a, "b": b, "clear": one, "last": one, "i_valid": one}
        expected = {"o_last": one, "o_valid": one}
        if digits == "exact":
            expected |= golden.accumulate_exact(**given, width_acc=44)
        else:
            expected |= golden.accumulate_floats(**given, format="fp16", digits=digits)
        operands = {port.name: pack(given[port.name], len(port)) for port in inputs}
        shown = run(machine, [operands] + [{"a": operands["a"]}] * unit.latency)[-1]
        for name, port in ports.items():
            wanted = pack(expected[name], len(port))
            assert all(np.array_equal(x, y) for x, y in zip(shown[name], wanted, strict=True)), name


def test_exact_pe(tmp_path: Path) -> None:
    """10^4 groups."""
    parts = streams()
    play(DESIGNS["exact_w4a16_pe"], ExactW4A16Config(), [*parts, with_bubbles(parts[-2])], tmp_path)


def test_float_pe(tmp_path: Path) -> None:
    """Groups."""
    first, *_ = streams()
    play(DESIGNS["float_w4a16_pe"], FloatW4A16Config(), [first, with_bubbles(first)], tmp_path)


@pytest.mark.parametrize(("places", "rounding"), ALIGNED, ids=str)
def test_aligner_at_every_exponent(places: int, rounding: str, tmp_path: Path) -> None:
    """All activations on the grid of each exponent that a group can have."""
    rng = random_generator()
    unit = ActivationAligner(ActivationAlignerConfig(places=places, rounding=rounding))
    machine = machine_of(unit, tmp_path)
    one = pack(np.ones_like(CODES), 1)
    for exponent in range(1, 31):
        ahead, other = pack(np.full(len(CODES), exponent), 5), pack(CODES * 0 + 31, 5)
        both = {"clear": one, "i_valid": one}
        cycles = [{"ahead": ahead, **both}, {"ahead": other, "a": pack(CODES, 16), **both}, {}, {}]
        found = run(machine, cycles, random_bits(rng, len(machine.state), len(CODES)))[-1]
        expected = {
            "aligned": golden.align(
                CODES, exponent, format="fp16", places=places, rounding=rounding
            ),
            "exponent": np.full(len(CODES), exponent),
            "nan": CODES * 0,
            "o_valid": CODES * 0 + 1,
        }
        assert_shown(found, expected)


@pytest.mark.parametrize(("places", "rounding"), ALIGNED[:3], ids=str)
def test_every_finite_activation_times_every_weight_aligned(
    places: int, rounding: str, tmp_path: Path
) -> None:
    """A million products in groups with outliers, through the aligner and a PE for integers."""
    rng = random_generator()
    codes, weights = (x.ravel() for x in np.meshgrid(CODES[FINITE], WEIGHTS))
    # Activations of a group are of a size; one in a hundred is of any.
    order = np.argsort((codes >> 10 & 31) + rng.normal(0, 2, codes.size))
    some = rng.choice(codes.size, codes.size // 100, replace=False)
    order[some] = order[rng.permutation(some)]
    a, b = (x[order].reshape(-1, K).astype(np.int64) for x in (codes, weights))
    count = len(a)
    exponent = np.maximum(a >> 10 & 31, 1).max(axis=1)
    assert count == 63488 * 16 // K and len(np.unique(exponent)) > 20

    aligner = ActivationAligner(ActivationAlignerConfig(places=places, rounding=rounding))
    width = {"width_a": places + 2, "width_b": 4, "width_acc": places + 13}
    unit = DESIGNS["pe"].component(config_of(DESIGNS["pe"], pe="mix", **width))
    first, second = (machine_of(x, tmp_path) for x in (aligner, unit))
    one, zero = (pack(np.full(count, flag, np.int64), 1) for flag in (1, 0))
    columns = [pack(a[:, step], 16) for step in range(K)]
    cycles: list[Words] = [
        {"ahead": x[10:15], "clear": zero if i else one, "i_valid": one}
        for i, x in enumerate(columns)
    ]
    cycles += [
        {"ahead": pack(rng.integers(0, 32, count), 5), "a": x, "clear": y["clear"], "i_valid": one}
        for x, y in zip(columns, cycles, strict=True)
    ]
    cycles += [{}] * aligner.latency
    held = random_bits(rng, len(first.state), count)
    shown = run(first, cycles, held)[K + aligner.latency :]
    aligned = golden.align(a, exponent[:, None], format="fp16", places=places, rounding=rounding)
    for step, found in enumerate(shown):
        expected = {"aligned": aligned[:, step], "exponent": exponent}
        assert_shown(found, {**expected, "nan": 0 * exponent, "o_valid": 0 * exponent + 1})

    cycles = [
        {
            "a": x["aligned"],
            "b": pack(b[:, step], 4),
            "clear": zero if step else one,
            "i_valid": one,
        }
        for step, x in enumerate(shown)
    ]
    cycles += [{}] * unit.latency
    held = random_bits(rng, len(second.state), count)
    sums = (aligned * b).sum(axis=1)
    assert_shown(run(second, cycles, held)[-1], {"sum": sums, "o_valid": 0 * sums + 1})
    how = {"format": "fp16", "places": places}
    value = sums * golden.unit_of(exponent, **how)  # type: ignore[arg-type]
    bound = golden.error_bound(exponent, b, **how, rounding=rounding)  # type: ignore[arg-type]
    assert (np.abs(value - (decode(a, "fp16") * b).sum(axis=1)) <= bound).all()


def test_aligner_and_an_integer_pe(tmp_path: Path) -> None:
    """Groups through the aligner, and what it gives through a PE for integers; within the bound."""
    a, b = (x[: PART // K] for x in groups())
    config = ActivationAlignerConfig()
    ahead = np.append((a >> 10 & 31).ravel(), np.zeros(K, np.int64))
    given = {
        "ahead": ahead,
        "a": np.append(np.zeros(K, np.int64), a.ravel()),
        "clear": (np.arange(len(ahead)) % K == 0).astype(np.int64),
        "i_valid": np.ones(len(ahead), np.int64),
    }
    design = DESIGNS["activation_aligner"]
    bits = run_operands(design, config, tmp_path, SEED, len(ahead), operands=given).arrays
    codes = bits["aligned"][K:].astype(np.int64) << np.arange(config.places + 2)
    aligned = codes.sum(axis=1)
    aligned -= (aligned >> (config.places + 1)) << (config.places + 2)
    exponent = (bits["exponent"][K::K].astype(np.int64) << np.arange(5)).sum(axis=1)
    finite = bits["nan"][K::K, 0] == 0
    assert np.flatnonzero(~finite).tolist() == [9, 10, 11]

    pe = config_of(DESIGNS["pe"], pe="mix", width_a=16, width_b=4, width_acc=27)
    products = {
        "a": aligned,
        "b": b.ravel(),
        "clear": given["clear"][K:],
        "i_valid": given["i_valid"][K:],
    }
    run_operands(DESIGNS["pe"], pe, tmp_path, SEED, len(aligned), operands=products)
    sums = multiply_accumulate(**products, width_acc=27, signed_a=True, signed_b=True)["sum"]
    value = sums[K - 1 :: K] * golden.unit_of(exponent, format="fp16", places=config.places)
    exact = (golden.integers(a) * b).sum(axis=1) / 2.0**24
    bound = golden.error_bound(exponent, b, format="fp16", places=14, rounding="nearest")
    assert (np.abs(value - exact) <= bound)[finite].all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("activation_aligner", {"rounding": "floor", "places": 10}),
        ("activation_aligner", {"format": "bf16", "places": 24}),
        ("float_w4a16_pe", {"digits": "ent"}),
        ("float_w4a16_pe", {"format": "bf16"}),
    ],
    ids=str,
)
def test_options(name: str, settings: dict[str, int | str], tmp_path: Path) -> None:
    design = DESIGNS[name]
    config = config_of(design, **settings)
    verilog, _ = emit(design.component, config).write(tmp_path)
    assert lint(verilog, config.name) == []
    run_operands(design, config, tmp_path, SEED, count=30_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ActivationAlignerConfig(places=9), "places: 9 is not in 10..24"),
        (
            lambda: ActivationAlignerConfig(rounding="up"),
            "rounding: 'up' is not one of nearest, floor",
        ),
        (lambda: FloatW4A16Config(digits="booth"), "digits: 'booth' is not one of bits, ent"),
        (lambda: ExactW4A16Config(k_max=0), "k_max: 0 is not in 1..65536"),
        (
            lambda: golden.product_of_floats([0], [8], format="fp16", digits="bits"),
            "b: a weight is no integer in -8..7",
        ),
        (
            lambda: golden.align([0], [1], format="fp16", places=25, rounding="floor"),
            "places: 25 is not in 10..24",
        ),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()  # type: ignore[operator]
