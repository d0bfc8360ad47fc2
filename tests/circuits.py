"""Modules as and-inverter graphs: many sets of operands at once, 64 to a machine word."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from amaranth.back.rtlil import convert_fragment
from amaranth.hdl import Elaboratable, Fragment, Signal
from amaranth.hdl._ir import PortDirection

from hw.yosys import run_yosys
from scripts.ppa.aig import Bits, Graph, Machine, read, simulate

Words = Mapping[str, Sequence[Bits]]
"""By port: the values of each of its bits, the low one first."""

Integers = npt.NDArray[np.uint64]
"""Numbers modulo 2**64."""


TO_GRAPH = (
    "proc",
    "setattr -unset init w:*",
    "flatten",
    "opt -fast",
    "dffunmap",
    "techmap",
    # Without enables: where one is off, a multiplexer before the register has undefined bits.
    "opt -fast -nodffe",
    "dffunmap",
    "aigmap",
)


class Circuit(NamedTuple):
    """A module and its ports."""

    module: Elaboratable
    inputs: Sequence[Signal]
    outputs: Sequence[Signal]


def machines(circuits: Sequence[Circuit], folder: Path) -> list[Machine]:
    """Return the graph of each circuit; all go through one run of Yosys."""
    script: list[str] = []
    for i, circuit in enumerate(circuits):
        ports = {s.name: (s, PortDirection.Input) for s in circuit.inputs}
        ports |= {s.name: (s, PortDirection.Output) for s in circuit.outputs}
        fragment = Fragment.get(circuit.module, None)
        text, _ = convert_fragment(fragment, ports, name="top", emit_src=False)
        (folder / f"{i}.il").write_text(text)
        script += ["design -reset", f"read_rtlil {folder}/{i}.il", *TO_GRAPH]
        script.append(f"write_aiger -ascii -symbols {folder}/{i}.aag")
    run_yosys(script)
    return [read(folder / f"{i}.aag") for i in range(len(circuits))]


def run(
    machine: Machine, cycles: Sequence[Words], held: Sequence[Bits] | None = None
) -> list[dict[str, list[Bits]]]:
    """Return the outputs in each cycle; inputs that are left out are 0.

    Parameters
    ----------
    held
        What registers hold at first, by default 0.
    """
    graph = Graph()
    inputs = {name: graph.input(len(word)) for name, word in machine.inputs.items()}
    state = graph.input(len(machine.state))
    outputs, following = machine.place(graph, inputs, state)
    literals = [*(bit for word in outputs.values() for bit in word), *following]
    zeros = np.zeros_like(next(iter(cycles[0].values()))[0])
    held = [zeros] * len(state) if held is None else held
    seen = []
    for words in cycles:
        values = dict(zip(state, held, strict=True))
        for name, word in words.items():
            values |= zip(inputs[name], word, strict=True)
        found = simulate(graph, literals, values | {0: zeros})
        held = found[len(literals) - len(state) :]
        bits = iter(found)
        seen.append({name: [next(bits) for _ in word] for name, word in outputs.items()})
    return seen


def random_bits(rng: np.random.Generator, count: int, sets: int = 256) -> list[Bits]:
    """Return random values of so many bits."""
    shape = (count, sets // 64)
    return list(rng.integers(0, 1 << 64, shape, dtype=np.uint64, endpoint=False))


def total(bits: Sequence[Bits], weights: Sequence[int]) -> Integers:
    """Return what bits of the given weights, exponents of 2, add up to, for each set."""
    columns = np.unpackbits(np.array(bits).view(np.uint8), axis=1, bitorder="little")
    places = np.array([1 << weight for weight in weights], np.uint64)
    sums: Integers = (columns * places[:, None]).sum(axis=0, dtype=np.uint64)
    return sums


def modulo(values: Integers, width: int) -> Integers:
    """Return values modulo ``2**width``, at most 64."""
    return values & np.uint64((1 << width) - 1)
