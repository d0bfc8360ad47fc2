"""And-inverter graphs: what a netlist or its RTL computes, as one form that proofs work on.

A literal is an integer: 0 is false, 1 is true, ``2 * node`` a node and ``2 * node + 1`` its
complement. A word is a list of literals, least significant bit first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Word = list[int]
Bits = npt.NDArray[np.uint64]

FALSE, TRUE = 0, 1
_BIT = re.compile(r"(.+)\[(\d+)\]")


class Graph:
    """Inputs and two-input ands, each distinct and constant ones folded.

    Attributes
    ----------
    ands
        By node: the two literals of an and, `None` for an input; node 0 is the constant.
    """

    def __init__(self) -> None:
        self.ands: list[tuple[int, int] | None] = [None]
        self._known: dict[tuple[int, int], int] = {}

    def input(self, width: int) -> Word:
        """Return a word of new inputs."""
        first = len(self.ands)
        self.ands += [None] * width
        return [2 * (first + i) for i in range(width)]

    def both(self, x: int, y: int) -> int:
        """Return ``x & y``."""
        x, y = min(x, y), max(x, y)
        if x == FALSE or x == y ^ 1:
            return FALSE
        if x in (TRUE, y):
            return y
        if (x, y) not in self._known:
            self._known[x, y] = 2 * len(self.ands)
            self.ands.append((x, y))
        return self._known[x, y]

    def xor(self, x: int, y: int) -> int:
        """Return ``x ^ y``."""
        return self.both(self.both(x, y) ^ 1, self.both(x ^ 1, y ^ 1) ^ 1)

    def choose(self, select: int, then: Word, otherwise: Word) -> Word:
        """Return ``select ? then : otherwise``."""
        return [
            self.both(self.both(select, x) ^ 1, self.both(select ^ 1, y) ^ 1) ^ 1
            for x, y in zip(then, otherwise, strict=True)
        ]

    def add(self, x: Word, y: Word) -> Word:
        """Return ``x + y`` modulo two to their common width."""
        total, carry = [], FALSE
        for p, q in zip(x, y, strict=True):
            differ = self.xor(p, q)
            total.append(self.xor(differ, carry))
            carry = self.both(self.both(p, q) ^ 1, self.both(differ, carry) ^ 1) ^ 1
        return total


@dataclass
class Machine:
    """A module as a synchronous machine: outputs and next state from inputs and state.

    Attributes
    ----------
    ands
        (output, input, input) literals, inputs before outputs.
    inputs, outputs
        Literals of each port, by its name.
    state, following
        Literal of each register bit, and of its next value.
    aliases
        Names of each register bit.
    """

    ands: list[tuple[int, int, int]]
    inputs: dict[str, Word]
    outputs: dict[str, Word]
    state: Word
    following: Word
    aliases: list[set[str]] = field(default_factory=list)

    def place(
        self, graph: Graph, inputs: Mapping[str, Word], state: Word
    ) -> tuple[dict[str, Word], Word]:
        """Put one cycle of the machine into a graph; return its outputs and its next state."""
        value = [FALSE] * (1 + max([0, *self.state, *(x for x, _, _ in self.ands), *self._used()]))
        value = value[: len(value) // 2 + 1]
        for name, word in self.inputs.items():
            for inside, outside in zip(word, inputs[name], strict=True):
                value[inside >> 1] = outside
        for inside, outside in zip(self.state, state, strict=True):
            value[inside >> 1] = outside
        for output, x, y in self.ands:
            value[output >> 1] = graph.both(value[x >> 1] ^ (x & 1), value[y >> 1] ^ (y & 1))

        def outside_of(word: Word) -> Word:
            return [value[x >> 1] ^ (x & 1) for x in word]

        outputs = {name: outside_of(word) for name, word in self.outputs.items()}
        return outputs, outside_of(self.following)

    def _used(self) -> Word:
        return [x for word in self.inputs.values() for x in word]


def machine_of(graph: Graph, inputs: Mapping[str, Word], outputs: Mapping[str, Word]) -> Machine:
    """Return a graph as a machine without state."""
    ands = [(2 * node, *gate) for node, gate in enumerate(graph.ands) if gate]
    return Machine(ands, dict(inputs), dict(outputs), [], [])


def read(path: Path) -> Machine:
    """Read what Yosys' ``write_aiger -ascii -symbols`` wrote."""
    lines = path.read_text().split("\nc\n")[0].splitlines()
    _, inputs, latches, outputs, ands = map(int, lines[0].split()[1:6])
    rows = [list(map(int, line.split())) for line in lines[1 : 1 + inputs + latches + outputs]]
    symbols: dict[str, list[str]] = {}
    for line in lines[1 + inputs + latches + outputs + ands :]:
        key, *names = line.split()
        symbols[key] = names
    registers = rows[inputs : inputs + latches]
    gates = lines[1 + inputs + latches + outputs :][:ands]
    return Machine(
        ands=sorted((x, y, z) for x, y, z in (map(int, line.split()) for line in gates)),
        inputs=_ports([row[0] for row in rows[:inputs]], symbols, "i"),
        outputs=_ports([row[0] for row in rows[inputs + latches :]], symbols, "o"),
        state=[row[0] for row in registers],
        following=[row[1] for row in registers],
        aliases=[set(symbols.get(f"l{i}", ())) for i in range(latches)],
    )


def _ports(literals: Word, symbols: Mapping[str, list[str]], kind: str) -> dict[str, Word]:
    ports: dict[str, dict[int, int]] = {}
    for i, literal in enumerate(literals):
        name = symbols[f"{kind}{i}"][0]
        match = _BIT.fullmatch(name)
        stem, bit = (match[1], int(match[2])) if match else (name, 0)
        ports.setdefault(stem, {})[bit] = literal
    return {name: [bits[i] for i in sorted(bits)] for name, bits in ports.items()}


def write(graph: Graph, outputs: Word, path: Path) -> None:
    """Write a graph with all its inputs and some outputs as binary AIGER."""
    inputs = [node for node, gate in enumerate(graph.ands) if node and gate is None]
    gates = _cone(graph, outputs)
    number = {0: 0} | {node: i for i, node in enumerate([*inputs, *gates], 1)}

    def renumbered(literal: int) -> int:
        return 2 * number[literal >> 1] + (literal & 1)

    data = bytearray(
        f"aig {len(number) - 1} {len(inputs)} 0 {len(outputs)} {len(gates)}\n".encode()
    )
    data += "".join(f"{renumbered(x)}\n" for x in outputs).encode()
    for node in gates:
        gate = graph.ands[node]
        assert gate is not None
        low, high = sorted(map(renumbered, gate))
        for delta in (2 * number[node] - high, high - low):
            while delta >= 0x80:
                data.append(delta & 0x7F | 0x80)
                delta >>= 7
            data.append(delta)
    path.write_bytes(data)


def _cone(graph: Graph, outputs: Word) -> list[int]:
    """Ands that outputs depend on, inputs before outputs."""
    needed = [False] * len(graph.ands)
    for literal in outputs:
        needed[literal >> 1] = True
    for node in range(len(graph.ands) - 1, 0, -1):
        gate = graph.ands[node]
        if needed[node] and gate is not None:
            needed[gate[0] >> 1] = needed[gate[1] >> 1] = True
    return [node for node, gate in enumerate(graph.ands) if needed[node] and gate is not None]


def support(graph: Graph, outputs: Word) -> set[int]:
    """Return the inputs, as even literals, that outputs depend on."""
    found = {literal & ~1 for literal in outputs}
    for node in _cone(graph, outputs):
        gate = graph.ands[node]
        assert gate is not None
        found.update(literal & ~1 for literal in gate)
    return {x for x in found if x > TRUE and graph.ands[x >> 1] is None}


def substitute(graph: Graph, outputs: Word, values: Mapping[int, int]) -> Word:
    """Return outputs with inputs, which are given as even literals, replaced by literals."""
    copies = {literal >> 1: value for literal, value in values.items()}

    def copy(literal: int) -> int:
        return copies.get(literal >> 1, literal & ~1) ^ (literal & 1)

    for node in _cone(graph, outputs):
        gate = graph.ands[node]
        assert gate is not None
        copies[node] = graph.both(copy(gate[0]), copy(gate[1]))
    return [copy(literal) for literal in outputs]


def dependent(graph: Graph, sources: Iterable[int]) -> list[bool]:
    """Tell for each node whether it depends on one of the inputs, which are given as literals."""
    depends = [False] * len(graph.ands)
    for literal in sources:
        depends[literal >> 1] = literal > TRUE
    for node, gate in enumerate(graph.ands):
        if gate is not None:
            depends[node] = depends[gate[0] >> 1] or depends[gate[1] >> 1]
    return depends


def simulate(graph: Graph, outputs: Word, values: Mapping[int, Bits]) -> list[Bits]:
    """Evaluate outputs for many sets of inputs at once, 64 to a machine word.

    Parameters
    ----------
    values
        By literal of an input: its values, a bit a set. Inputs left out are 0.
    """
    length = len(next(iter(values.values())))
    ones = np.full(length, ~np.uint64(0))
    node_values: dict[int, Bits] = {0: ~ones} | {x >> 1: bits for x, bits in values.items()}

    def of(literal: int) -> Bits:
        bits = node_values.get(literal >> 1, node_values[0])
        return ~bits if literal & 1 else bits

    for node in _cone(graph, outputs):
        gate = graph.ands[node]
        assert gate is not None
        node_values[node] = of(gate[0]) & of(gate[1])
    return [of(literal) for literal in outputs]


def pack(column: npt.NDArray[np.int64], width: int) -> list[Bits]:
    """Turn integers, a multiple of 64 of them, into the values of `width` bits."""
    return [
        np.packbits((column >> i & 1).astype(np.uint8), bitorder="little").view(np.uint64)
        for i in range(width)
    ]
