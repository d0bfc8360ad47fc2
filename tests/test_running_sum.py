# amaranth: UnusedElaboratable=no
"""Running sums without carry propagation: what is added is in them, and comes out of them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from circuits import Circuit, machines, modulo, random_bits, run, total
from helpers import random_generator

from pe.adders import ADDERS
from pe.bit_weight import Opt1Config, Opt2Config
from pe.heap import COUNTERS, DADDA, FOUR_TWO, SCHEDULES, THREE_TWO, WALLACE
from pe.running_sum import GROUP, RESOLVE_LATENCY, RunningSum, resolve

HEIGHTS = (1, 2, 2, 2, 1, 2, 2, 1, 2)
SUMS = [
    # With no group, with one that is not full, with several.
    *(
        RunningSum(width, HEIGHTS, -37, schedule, counters)
        for width in (10, 13, 27)
        for schedule, counters in product(SCHEDULES, COUNTERS)
    ),
    # No wider than the product, or narrower.
    *(RunningSum(width, HEIGHTS, -5, DADDA, THREE_TWO) for width in (4, 8, 9)),
    RunningSum(20, (1,), -1, DADDA, THREE_TWO),
    Opt1Config().running_sum,
    Opt2Config(width_acc=63, terms=3, signed_a=False, stages=2).running_sum,
    Opt1Config(width_acc=40, schedule=WALLACE, counters=FOUR_TWO, width_b=5).running_sum,
]


def accumulator(running: RunningSum) -> Circuit:
    m = Module()
    bits = Signal(sum(running.heights), name="product")
    state, following = (Signal(len(running.weights), name=n) for n in ("state", "following"))
    m.d.comb += following.eq(running.add(m, list(bits), state))
    return Circuit(m, [bits, state], [following])


def test_any_state_takes_any_product(tmp_path: Path) -> None:
    """Whether or not a sum leads there: the value of the state rises by that of the product."""
    rng = random_generator()
    built = machines([accumulator(running) for running in SUMS], tmp_path)
    for running, machine in zip(SUMS, built, strict=True):
        weights = [w for w, height in enumerate(running.heights) for _ in range(height)]
        product_bits = random_bits(rng, len(weights), 4096)
        state = random_bits(rng, len(running.weights), 4096)
        for i in range(len(state)):
            # Ones and zeros above, where groups overflow and borrow.
            state[i][:8], state[i][8:16] = ~np.uint64(0), np.uint64(0)
        (found,) = run(machine, [{"product": product_bits, "state": state}])
        wanted = total(state, running.weights) + total(product_bits, weights)
        wanted += np.uint64(running.constant & ((1 << 64) - 1))
        sums = total(found["following"], running.weights)
        assert np.array_equal(modulo(sums, running.width), modulo(wanted, running.width)), running


@pytest.mark.parametrize("running", SUMS, ids=str)
def test_a_long_sum_borrows_and_carries(running: RunningSum, tmp_path: Path) -> None:
    """Least products, then greatest ones: the groups count down through zero, then up."""
    (machine,) = machines([accumulator(running)], tmp_path)
    weights = [w for w, height in enumerate(running.heights) for _ in range(height)]
    state = [np.zeros(1, np.uint64) for _ in running.weights]
    sums = np.zeros(64, np.uint64)
    for step in range(600):
        level = np.uint64(0) if step < 300 else ~np.uint64(0)
        bits = [np.full(1, level) for _ in weights]
        (found,) = run(machine, [{"product": bits, "state": state}])
        state = found["following"]
        sums += total(bits, weights) + np.uint64(running.constant & ((1 << 64) - 1))
        found_sums = modulo(total(state, running.weights), running.width)
        assert np.array_equal(found_sums, modulo(sums, running.width)), step


def test_weights() -> None:
    """A word, second bits where products are, and few carries above."""
    for running in SUMS:
        weights = running.weights
        assert weights[: running.width] == tuple(range(running.width))
        rest = weights[running.width :]
        second = [w for w in rest if w < running.split]
        carries = [w for w in rest if w >= running.split]
        assert len(set(second)) == len(second)
        assert set(carries) <= set(range(running.split, running.width, GROUP))
        assert all(carries.count(w) <= 2 for w in carries)


def test_fewer_registers_than_two_words() -> None:
    """Of INT8 with 32 bits: one more in each column of the product, and two for each group."""
    running = Opt1Config().running_sum
    groups = -(-(32 - running.split) // GROUP)
    assert len(running.weights) <= 32 + running.split + 2 * groups < 56


@pytest.mark.parametrize("adder", ADDERS)
def test_resolve(adder: str, tmp_path: Path) -> None:
    """A state a cycle goes in, and two cycles later its number comes out."""
    rng = random_generator()
    layouts = [
        *(SUMS[i].weights for i in (0, 4, 8, -3, -2, -1)),
        (*range(63), *range(63)),
        (*range(4), *range(4), 2, 3, 3),
        (*range(5),),
    ]
    circuits = []
    for weights in layouts:
        m = Module()
        state = Signal(len(weights), name="state")
        number = Signal(max(weights) + 1, name="number")
        m.d.comb += number.eq(resolve(m, adder, weights, state))
        circuits.append(Circuit(m, [state], [number]))
    for weights, machine in zip(layouts, machines(circuits, tmp_path), strict=True):
        states = [random_bits(rng, len(weights), 1024) for _ in range(6)]
        states[3] = [np.full_like(bit, ~np.uint64(0)) for bit in states[3]]
        seen = run(machine, [{"state": given} for given in states])
        for given, found in zip(states, seen[RESOLVE_LATENCY:], strict=False):
            width = max(weights) + 1
            wanted = modulo(total(given, weights), width)
            assert np.array_equal(total(found["number"], range(width)), wanted)
