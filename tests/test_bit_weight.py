# amaranth: UnusedElaboratable=no
"""PEs that add digits by bit weight: every sequence of operands is accumulated exactly.

The bench of the function units runs some configs; here many are evaluated as and-inverter graphs,
a hundred sequences at once.
"""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Module, Signal, Value
from circuits import Circuit, machines, modulo, random_bits, run, total
from helpers import random_generator

from pe.bit_weight import (
    BITS,
    BOOTH,
    DIGIT_SETS,
    EDGE,
    ENT,
    BitWeightConfig,
    FusedConfig,
    MixConfig,
    Opt1Config,
    Opt2Config,
)
from pe.element import PeConfig, accumulator_bits, extremes
from pe.heap import FOUR_TWO, WALLACE
from pe.mac import MacConfig
from pe.processing_element import ProcessingElement
from scripts.ppa.aig import Bits, Machine, pack

CONFIGS = (FusedConfig, Opt1Config, Opt2Config, MixConfig)
SIGNS = list(product((False, True), repeat=2))

SETS = 128
STEPS = 24


def pe(kind: type[PeConfig], spare: int = 7, **options: object) -> PeConfig:
    """Return a PE whose accumulator has so many spare bits, fewer where they are not to be had."""
    defaults = {"terms": 1, "width_a": 8, "width_b": 8, "signed_a": True, "signed_b": True}
    sizes = {key: options.get(key, value) for key, value in defaults.items()}
    width = accumulator_bits(*sizes.values())  # type: ignore[arg-type]
    return kind(**options, width_acc=max(4, min(63, width + spare)))  # type: ignore[arg-type]


def cases(kind: type[PeConfig]) -> list[PeConfig]:
    """Return configs in which every sign, digit set, term count and number of stages occurs."""
    found = [pe(kind, width_a=7, width_b=5, signed_a=a, signed_b=b) for a, b in SIGNS]
    if kind is MacConfig:
        return [*found, pe(kind, terms=3), pe(kind, 0, terms=4, signed_a=False, width_a=3)]
    found += [
        pe(kind, 12, width_a=5, width_b=4, signed_a=a, signed_b=b, digits=ENT, stages=stages)
        for stages, (a, b) in enumerate(SIGNS)
    ]
    found += [
        pe(kind, width_a=5, width_b=4, signed_a=a, signed_b=b, digits=BITS, terms=1 + a)
        for a, b in SIGNS
    ]
    found += [pe(kind, 0, width_a=6, width_b=3, terms=t, stages=s) for t, s in [(3, 1), (4, 2)]]
    return [
        *found,
        pe(kind, 63, width_a=11, width_b=16, stages=3),
        pe(kind, 0, width_a=2, width_b=2, signed_a=False),
        pe(kind, width_a=3, width_b=9, terms=3, signed_a=False, signed_b=False, digits=ENT),
        pe(kind, width_a=4, width_b=6, terms=4, stages=1, schedule=WALLACE, counters=FOUR_TWO),
        pe(kind, width_a=4, width_b=6, terms=3, schedule=WALLACE, stages=6, adder="ripple"),
    ]


def standalone(config: PeConfig) -> Circuit:
    unit = ProcessingElement(config)
    ports = {name: Value.cast(getattr(unit, name)) for name in unit.signature.members}
    signals = {name: port for name, port in ports.items() if isinstance(port, Signal)}
    assert ports.keys() == signals.keys()
    outputs = [signals.pop(name) for name in ("sum", "o_valid")]
    return Circuit(unit, list(signals.values()), outputs)


def numbers(
    rng: np.random.Generator, width: int, signed: bool, terms: int
) -> npt.NDArray[np.int64]:
    """Return operands [steps, sets, terms], all of which are extreme in some of the sets."""
    low, high = extremes(width, signed)
    values = rng.integers(low, high, (STEPS, SETS, terms), endpoint=True)
    values[:, :8] = rng.choice([low, high], (STEPS, 8, terms))
    values[:, 8:12] = low
    values[:, 12:16] = high
    values[:, 16] = rng.integers(-1 if signed else 0, 1, (STEPS, terms), endpoint=True)
    return values


def lanes(values: npt.NDArray[np.int64], width: int) -> list[Bits]:
    """Return the bits of numbers [sets, terms] side by side."""
    return [bits for column in values.T for bits in pack(column, width)]


def check(config: PeConfig, machine: Machine, rng: np.random.Generator) -> None:
    """Accumulate random sequences from random registers, after the least reset there is."""
    a = numbers(rng, config.width_a, config.signed_a, config.terms)
    b = numbers(rng, config.width_b, config.signed_b, config.terms)
    clear, valid = rng.random((STEPS, SETS)) < 0.1, rng.random((STEPS, SETS)) < 0.8
    flags = {"clear": clear, "i_valid": valid}
    ones = [np.full(SETS // 64, ~np.uint64(0))]
    cycles = [
        {
            "a": lanes(a[step], config.width_a),
            "b": lanes(b[step], config.width_b),
            **{name: pack(flag[step], 1) for name, flag in flags.items()},
        }
        for step in range(STEPS)
    ]
    latency = 2 + config.latency
    reset = cycles[STEPS // 2] | {"rst": ones, "i_valid": ones, "clear": ones}
    registers = random_bits(rng, len(machine.state), SETS)
    seen = run(machine, [reset, *cycles, *[{}] * latency], registers)

    sums = np.zeros(SETS, np.int64)
    for step in range(STEPS):
        sums[valid[step] & clear[step]] = 0
        sums += (a[step] * b[step]).sum(axis=1) * valid[step]
        outputs = seen[1 + step + latency]
        wanted = modulo(sums.astype(np.uint64), config.width_acc)
        found = modulo(total(outputs["sum"], config.state_weights), config.width_acc)
        assert np.array_equal(found, wanted), f"{config}: step {step}"
        assert np.array_equal(outputs["o_valid"][0], pack(valid[step], 1)[0]), config
    assert not seen[latency]["o_valid"][0].any()


@pytest.mark.parametrize("kind", [MacConfig, *CONFIGS], ids=lambda kind: kind.kind)
def test_every_sequence_is_accumulated(kind: type[PeConfig], tmp_path: Path) -> None:
    rng = random_generator()
    configs = cases(kind)
    for config, machine in zip(
        configs, machines(list(map(standalone, configs)), tmp_path), strict=True
    ):
        check(config, machine, rng)


@pytest.mark.parametrize("kind", [FusedConfig, Opt1Config, Opt2Config], ids=lambda kind: kind.kind)
def test_codes_from_the_edge(kind: type[BitWeightConfig], tmp_path: Path) -> None:
    """Digits that come from elsewhere give the sums that digits of the PE's own give."""
    rng = random_generator()
    configs = [
        kind(width_a=width, width_b=5, width_acc=24, signed_a=signed, terms=2, digits=digits,
             encoder_at=EDGE)
        for width, signed, digits in [(4, False, BOOTH), (5, True, ENT), (3, True, BITS)]
    ]  # fmt: skip
    circuits = []
    for config in configs:
        m = Module()
        assert config.encoder is not None and config.a_port.width == 2 * config.code_width
        codes = []
        elements = [Signal(config.a_shape, name=f"a_{term}") for term in range(2)]
        for term, element in enumerate(elements):
            encoder = config.encoder
            m.submodules[f"encode_{term}"] = encoder
            m.d.comb += encoder.i_element.eq(element)
            codes.append(encoder.o_code)
        a, b = Signal(config.a_port), Signal(config.b_port, name="b")
        addend, following = (Signal(config.state_shape, name=n) for n in ("addend", "following"))
        m.d.comb += [
            a[: config.code_width].eq(codes[0]),
            a[config.code_width :].eq(codes[1]),
            following.eq(config.step(m, None, a, b, addend)),
        ]
        circuits.append(Circuit(m, [*elements, b, addend], [following]))
    for config, machine in zip(configs, machines(circuits, tmp_path), strict=True):
        a = numbers(rng, config.width_a, config.signed_a, 2)[0]
        b = numbers(rng, config.width_b, config.signed_b, 2)[0]
        state = random_bits(rng, len(config.state_weights), SETS)
        words = {f"a_{term}": pack(a[:, term], config.width_a) for term in range(2)}
        words |= {"b": lanes(b, config.width_b), "addend": state}
        (found,) = run(machine, [words])
        sums = total(state, config.state_weights) + (a * b).sum(axis=1).astype(np.uint64)
        after = total(found["following"], config.state_weights)
        assert np.array_equal(modulo(after, 24), modulo(sums, 24)), config


@pytest.mark.parametrize("kind", [Opt1Config, Opt2Config], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("digits", DIGIT_SETS)
def test_a_zero_sum_is_all_zeros(kind: type[BitWeightConfig], digits: str) -> None:
    """Engines clear a sum by zeros, whatever its form."""
    config = kind(digits=digits)
    assert min(config.state_weights) == 0 and max(config.state_weights) == config.width_acc - 1
    assert config.state_shape.width == len(config.state_weights) < 2 * config.width_acc


def test_registers_are_no_more_than_the_stages_ask_for() -> None:
    assert [Opt1Config(stages=stages).latency for stages in range(4)] == [0, 1, 2, 3]
    assert [ProcessingElement(Opt1Config(stages=s)).latency for s in range(4)] == [2, 3, 4, 5]
