# amaranth: UnusedElaboratable=no
"""W4A8: all ways to multiply 8 bits by 4, held to one golden model."""

import re
from pathlib import Path

import numpy as np
import pytest
from circuits import Circuit, Words, machines, random_bits, run
from evaluation import Column
from helpers import SEED, config_of, random_generator

from golden.mac import multiply_accumulate
from hw.catalog import DESIGNS
from pe.element import extremes
from pe.serial import SerialConfig, SerialPe
from scripts.ppa.aig import Graph, pack, simulate
from scripts.ppa.equivalence import step_machine
from sim.simulate import run_operands

WIDTH_ACC, GROUP, GROUPS = 19, 128, 10_048


def pairs(signed_b: bool) -> tuple[Column, Column]:
    """All activations times all weights."""
    b = np.arange(-8, 8) if signed_b else np.arange(16)
    a, b = (x.ravel() for x in np.meshgrid(np.arange(-128, 128), b))
    return a, b


def products(signed_b: bool) -> Column:
    a, b = pairs(signed_b)
    one = np.ones_like(a)
    return multiply_accumulate(
        a, b, one, one, width_acc=WIDTH_ACC, signed_a=True, signed_b=signed_b
    )["sum"]


@pytest.mark.parametrize("signed_b", [True, False])
@pytest.mark.parametrize(
    "settings",
    [{"pe": "mac"}, {"pe": "mix"}, {"pe": "mix", "digits": "bits"}],
    ids=lambda settings: "-".join(settings.values()),
)
def test_steps(settings: dict[str, str], signed_b: bool) -> None:
    """A multiplier left to synthesis, Booth digits, gated rows."""
    wanted: dict[str, int | bool | str] = {"width_b": 4, "width_acc": WIDTH_ACC}
    wanted |= {**settings, "signed_b": signed_b}
    config = config_of(DESIGNS["pe"], **wanted)
    machine = step_machine(config.pe_config)  # type: ignore[attr-defined]
    graph = Graph()
    words = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    outputs, _ = machine.place(graph, words, [])
    a, b = pairs(signed_b)
    given = {"a": pack(a, 8), "b": pack(b, 4), "addend": pack(0 * a, WIDTH_ACC)}
    values = {
        literal: bits
        for name, word in words.items()
        for literal, bits in zip(word, given[name], strict=True)
    }
    found = simulate(graph, outputs["sum"], values)
    expected = pack(products(signed_b), WIDTH_ACC)
    assert all(np.array_equal(x, y) for x, y in zip(found, expected, strict=True))


@pytest.mark.parametrize("signed_b", [True, False])
def test_bit_serial(signed_b: bool, tmp_path: Path) -> None:
    """All products; sums of groups, the greatest among them, with bubbles between operands."""
    rng = random_generator()
    config = SerialConfig(signed_b=signed_b)
    a, b = pairs(signed_b)
    low, high = b.min(), b.max()
    groups = rng.integers(-128, 128, (200, GROUP)), rng.integers(low, high + 1, (200, GROUP))
    for i, x in enumerate((-128, 127)):
        for j, y in enumerate((low, high)):
            groups[0][2 * i + j], groups[1][2 * i + j] = x, y
    given = {
        "a": np.concatenate([a, groups[0].ravel()]),
        "b": np.concatenate([b, groups[1].ravel()]),
        "clear": np.append(np.ones_like(a), np.tile(np.arange(GROUP) == 0, 200)),
    }
    count = len(given["a"])
    bubbles = rng.integers(0, count, count // 10)
    given = {name: np.insert(column, bubbles, 1) for name, column in given.items()}
    given["i_valid"] = np.insert(np.ones(count, np.int64), bubbles, 0)
    run_operands(DESIGNS["serial_pe"], config, tmp_path, SEED, len(given["a"]), operands=given)


@pytest.mark.parametrize("signed_b", [True, False])
def test_bit_serial_sums_of_ten_thousand_groups(signed_b: bool, tmp_path: Path) -> None:
    """Side by side, from any state, each with pauses of its own; every sum in its cycle."""
    rng = random_generator()
    unit = SerialPe(SerialConfig(signed_b=signed_b))
    ports = {name: getattr(unit, name) for name in unit.signature.members}
    outputs = [ports.pop(name) for name in ("sum", "o_valid")]
    (machine,) = machines([Circuit(unit, list(ports.values()), outputs)], tmp_path)
    low, high = extremes(4, signed_b)
    a = rng.integers(-128, 128, (GROUPS, GROUP))
    b = rng.integers(low, high, (GROUPS, GROUP), endpoint=True)
    for i, x in enumerate((-128, 127)):
        for j, y in enumerate((low, high)):
            a[2 * i + j], b[2 * i + j] = x, y
    clear = np.tile(np.arange(GROUP) == 0, (GROUPS, 1)).astype(np.int64)
    sums = multiply_accumulate(
        *(x.ravel() for x in (a, b, clear, np.ones_like(a))),
        width_acc=WIDTH_ACC,
        signed_a=True,
        signed_b=signed_b,
    )["sum"].reshape(GROUPS, GROUP)

    lanes, taken = np.arange(GROUPS), np.zeros(GROUPS, np.int64)
    # Whatever was under way at first has its time.
    wait = np.full(GROUPS, unit.initiation_interval)
    cycles: list[Words] = []
    begun: list[tuple[Column, Column]] = []
    while (taken < GROUP).any() or len(cycles) < len(begun) + unit.latency:
        valid = (wait <= 0) & (taken < GROUP) & (rng.random(GROUPS) < 0.9)
        place = np.minimum(taken, GROUP - 1)
        columns = {
            "a": np.where(valid, a[lanes, place], rng.integers(-128, 128, GROUPS)),
            "b": np.where(valid, b[lanes, place], rng.integers(0, 16, GROUPS)),
            "clear": np.where(valid, clear[lanes, place], rng.integers(0, 2, GROUPS)),
            "i_valid": valid.astype(np.int64),
        }
        cycles.append({name: pack(column, len(ports[name])) for name, column in columns.items()})
        if (taken < GROUP).any():
            begun.append((columns["i_valid"], sums[lanes, place]))
        taken += valid
        wait = np.where(valid, unit.initiation_interval - 1, wait - 1)
    shown = run(machine, cycles, random_bits(rng, len(machine.state), GROUPS))
    for (given, expected), found in zip(begun, shown[unit.latency :], strict=True):
        (shows,) = pack(given, 1)
        assert np.array_equal(found["o_valid"][0], shows)
        wanted = pack(expected, WIDTH_ACC)
        assert all(
            np.array_equal(p & shows, q & shows) for p, q in zip(found["sum"], wanted, strict=True)
        )


def test_serial_pe_says_what_it_takes() -> None:
    unit = SerialPe(SerialConfig(width_b=6))
    assert (unit.latency, unit.initiation_interval, unit.macs_per_cycle) == (7, 6, 1 / 6)
    message = "width_acc: 11 bits cannot hold a product; at least 12 are needed"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SerialConfig(width_acc=11)
