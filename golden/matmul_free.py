"""Instruction-level model of a core for MatMul-free language models: 11 instructions, integers.

Registers: V0 to V7, vectors of signed elements, and S0 to S3, scalars below one with `SCALAR_BITS`
bits of fraction. Elements are read as they are by arithmetic; SIG, SILU and RMSQ take them for
numbers with `Machine.fraction` bits of fraction. Results saturate.

Source: a core as MatMul-free LM (arXiv 2406.02528) describes it, with vector registers, a ternary
matrix unit, row-wise operations and a unit for the root mean square; its encoding, its fixed point
and its tables are ours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.bitlinear import AWAY, EVEN, LEAST_SQUARE, sigmoid, silu

Vector = NDArray[np.int64]

VECTORS, SCALARS = 8, 4
SCALAR_BITS = 24
LARGEST_LENGTH = 64
TABLE_END = 8
"""SIG and SILU are tabulated from 0 to this."""
ROOT_BITS = 8
"""More bits of fraction of a root mean square than elements have."""
ACTIVATION_BITS = 8


class Field(NamedTuple):
    """Bits of an instruction, and what is added to them: fields of sizes hold one less."""

    low: int
    width: int
    offset: int = 0


FIELDS = {
    "op": Field(0, 4),
    "vd": Field(4, 3),
    "va": Field(7, 3),
    "vb": Field(10, 3),
    "s": Field(13, 2),
    "shift": Field(15, 6),
    "factor": Field(21, 11),
    "address": Field(16, 16),
    "weights": Field(10, 10),
    "rows": Field(20, 6, 1),
    "cols": Field(26, 6, 1),
}

OPCODES: dict[str, tuple[int, tuple[str, ...]]] = {
    "HALT": (0, ()),
    "LDV": (1, ("vd", "address")),
    "STV": (2, ("va", "address")),
    "TMM": (3, ("vd", "va", "weights", "rows", "cols")),
    "VADD": (4, ("vd", "va", "vb", "shift")),
    "VSUB": (5, ("vd", "va", "vb", "shift")),
    "VMUL": (6, ("vd", "va", "vb", "shift")),
    "SIG": (7, ("vd", "va")),
    "SILU": (8, ("vd", "va")),
    "RMSQ": (9, ("vd", "va", "vb", "s", "cols")),
    "SCALE": (10, ("vd", "va", "s", "factor", "shift")),
}
"""Number of each instruction, and its operands in the order of assembly."""

UNITS: dict[str, tuple[str, ...]] = {
    "memory": ("LDV", "STV"),
    "ternary": ("TMM",),
    "vector": ("VADD", "VSUB", "VMUL", "SCALE"),
    "activation": ("SIG", "SILU"),
    "rms": ("RMSQ",),
}
"""Instructions of each unit; units work side by side, each on one instruction."""


@dataclass(frozen=True)
class Machine:
    """Parameters of a core.

    Attributes
    ----------
    length
        Elements of a vector register, 2 to 64.
    width
        Bits of an element.
    fraction
        Bits of fraction that SIG, SILU and RMSQ assume.
    steps
        Lines of a table between two whole numbers, as an exponent of 2.
    rounding
        What RMSQ does with ties: ``"even"`` or ``"away"``.
    """

    length: int
    width: int
    fraction: int
    steps: int
    rounding: str = EVEN


class Instruction(NamedTuple):
    """An instruction, taken apart."""

    name: str
    operands: Mapping[str, int]


@dataclass
class State:
    """What a program works on; vectors are rows of `vectors`.

    Attributes
    ----------
    vectors : int64 array, shape [8, length]
    scalars : list of int
    data : int64 array, shape [words]
        Data memory, an element a word.
    weights : int64 array, shape [words, length]
        Ternary weights: a word is a column of a matrix, -1, 0 or 1 a row.
    """

    vectors: Vector
    data: Vector
    weights: Vector
    scalars: list[int] = field(default_factory=lambda: [0] * SCALARS)


def encode(instruction: Instruction) -> int:
    """Return the 32 bits of an instruction."""
    code, names = OPCODES[instruction.name]
    word = code
    for name in names:
        low, width, offset = FIELDS[name]
        value = instruction.operands[name] - offset
        if not 0 <= value < 1 << width:
            raise ValueError(
                f"{name}: {value + offset} is not in {offset}..{offset + 2**width - 1}"
            )
        word |= value << low
    return word


def decode(word: int) -> Instruction:
    """Take an instruction apart; numbers that are none halt."""
    code = word & 15
    for name, (number, names) in OPCODES.items():
        if number == code:
            bits = {n: FIELDS[n] for n in names}
            values = {n: (word >> f.low & ((1 << f.width) - 1)) + f.offset for n, f in bits.items()}
            return Instruction(name, values)
    return Instruction("HALT", {})


def execute(instruction: Instruction, state: State, machine: Machine) -> None:
    """Carry out one instruction on a state.

    Raises
    ------
    ValueError
        If an address or a size is beyond what there is.
    """
    name, o = instruction
    length = machine.length
    if name == "LDV":
        state.vectors[o["vd"]] = _words("address", state.data, o["address"], length)
    elif name == "STV":
        _words("address", state.data, o["address"], length)[:] = state.vectors[o["va"]]
    elif name == "TMM":
        state.vectors[o["vd"]] = _ternary(instruction, state, machine)
    elif name in ("VADD", "VSUB", "VMUL", "SCALE"):
        exact = _arithmetic(instruction, state)
        rounded = [_nearest(int(value), 1 << o["shift"], EVEN) for value in exact]
        most = 1 << (machine.width - 1)
        state.vectors[o["vd"]] = np.clip(rounded, -most, most - 1)
    elif name in ("SIG", "SILU"):
        state.vectors[o["vd"]] = activate(state.vectors[o["va"]], name, machine)
    elif name == "RMSQ":
        _check("cols", o["cols"], length)
        x, gain = (state.vectors[o[v]][: o["cols"]].tolist() for v in ("va", "vb"))
        q, state.scalars[o["s"]] = rms_quantize(x, gain, machine)
        state.vectors[o["vd"]] = q + [0] * (length - o["cols"])


def activate(x: Vector, name: str, machine: Machine) -> Vector:
    """SIG or SILU of elements: a line between two entries of a table, and symmetry below zero."""
    table = table_of(name, machine)
    magnitude = np.abs(x)
    bits = machine.fraction - machine.steps
    segment = np.minimum(magnitude >> bits, len(table) - 2)
    slope = np.diff(table)[segment]
    risen = slope * (magnitude & ((1 << bits) - 1))
    between = np.array([_nearest(int(value), 1 << bits, EVEN) for value in risen])
    one = 1 << machine.fraction
    end = magnitude if name == "SILU" else np.full_like(x, one)
    positive = np.where(magnitude >= TABLE_END * one, end, table[segment] + between)
    mirrored = positive - magnitude if name == "SILU" else one - positive
    return np.where(x < 0, mirrored, positive)


def table_of(name: str, machine: Machine) -> Vector:
    """Entries of the table of SIG or SILU from 0 to 8, rounded to nearest."""
    at = np.arange((TABLE_END << machine.steps) + 1) / (1 << machine.steps)
    exact = silu(at) if name == "SILU" else sigmoid(at)
    return np.rint(np.ldexp(exact, machine.fraction)).astype(np.int64)


def rms_quantize(x: Sequence[int], gain: Sequence[int], machine: Machine) -> tuple[list[int], int]:
    """Normalise by the root mean square, and quantise to 8 bits by the largest magnitude.

    The root does not change quantised elements, only their scale.

    Returns
    -------
    q : list of int
        -127 to 127: ``127 * x * gain`` over its largest magnitude, exact and then rounded.
    scale : int
        Largest magnitude of the normalised vector over 127, `SCALAR_BITS` bits of fraction,
        rounded and saturated; 0 where all elements of ``x * gain`` are.
    """
    count = len(x)
    more = machine.fraction + ROOT_BITS
    least = max(1, round(math.ldexp(LEAST_SQUARE, 2 * more)))
    squares = sum(value * value for value in x)
    # `count` times the root, since that has no division in it.
    root = math.isqrt((squares * count << 2 * ROOT_BITS) + least * count * count)
    scaled = [a * b for a, b in zip(x, gain, strict=True)]
    peak = max(abs(value) for value in scaled)
    q = [_nearest(127 * value, max(peak, 1), machine.rounding) for value in scaled]
    numerator = peak * count << SCALAR_BITS + ROOT_BITS - machine.fraction
    scale = _nearest(numerator, 127 * root, machine.rounding)
    return q, min(scale, (1 << SCALAR_BITS) - 1)


def run(program: Sequence[int], state: State, machine: Machine) -> int:
    """Run a program to its HALT; return how many instructions were executed before it."""
    for pc, word in enumerate(program):
        instruction = decode(word)
        if instruction.name == "HALT":
            return pc
        execute(instruction, state, machine)
    raise ValueError(f"program: no HALT in {len(program)} instructions")


def latency(instruction: Instruction, machine: Machine) -> int:
    """Cycles from the issue of an instruction to its last write."""
    name, o = instruction
    length = machine.length
    if name == "TMM":
        return o["cols"] + length + 1
    if name == "RMSQ":
        root = machine.width + 14
        quotient = 2 * machine.width + 6 + SCALAR_BITS + ROOT_BITS - machine.fraction
        return o["cols"] + root + quotient + 11 * length + 5
    return length + (1 if name in ("LDV", "STV") else 2)


class Times(NamedTuple):
    """Cycles of an instruction's issue and of its last write; its command is taken in cycle 0."""

    issue: int
    done: int


def timeline(program: Sequence[int], machine: Machine) -> list[Times]:
    """When each instruction starts and ends, the last one being HALT.

    Instructions start in order, one a cycle, each when its unit and all its registers are free;
    HALT when all units are.
    """
    free: dict[str, int] = {}
    times: list[Times] = []
    for word in program:
        instruction = decode(word)
        earliest = times[-1].issue + 1 if times else 1
        if instruction.name == "HALT":
            issue = max([earliest, *free.values()])
            times.append(Times(issue, issue))
            return times
        used = resources(instruction)
        issue = max([earliest, *(free.get(name, 0) for name in used)])
        done = issue + latency(instruction, machine)
        free |= dict.fromkeys(used, done + 1)
        times.append(Times(issue, done))
    raise ValueError(f"program: no HALT in {len(program)} instructions")


def resources(instruction: Instruction) -> set[str]:
    """Name the unit and the registers that an instruction holds from its issue to its end."""
    units = {unit for unit, names in UNITS.items() if instruction.name in names}
    o = instruction.operands
    vectors = {f"v{o[name]}" for name in ("vd", "va", "vb") if name in o}
    return units | vectors | ({f"s{o['s']}"} if "s" in o else set())


def _arithmetic(instruction: Instruction, state: State) -> Vector:
    name, o = instruction
    a = state.vectors[o["va"]]
    b = state.vectors[o["vb"]] if "vb" in o else state.scalars[o["s"]] * o["factor"]
    result: Vector = a + b if name == "VADD" else a - b if name == "VSUB" else a * b
    return result


def _ternary(instruction: Instruction, state: State, machine: Machine) -> Vector:
    o = instruction.operands
    rows, cols = (
        _check("rows", o["rows"], machine.length),
        _check("cols", o["cols"], machine.length),
    )
    half = 1 << (ACTIVATION_BITS - 1)
    low = ((state.vectors[o["va"]][:cols] + half) & (2 * half - 1)) - half
    result: Vector = low @ _words("weights", state.weights, o["weights"], cols)
    result[rows:] = 0
    return result


def _nearest(numerator: int, denominator: int, rounding: str) -> int:
    whole, rest = divmod(abs(numerator), denominator)
    tie_up = rounding == AWAY or whole % 2 == 1
    if 2 * rest > denominator or (2 * rest == denominator and tie_up):
        whole += 1
    return whole if numerator >= 0 else -whole


def _check(name: str, value: int, most: int) -> int:
    if value > most:
        raise ValueError(f"{name}: {value} is more than {most}")
    return value


def _words(name: str, memory: Vector, first: int, count: int) -> Vector:
    if first + count > len(memory):
        raise ValueError(f"{name}: {count} words from {first} on are not all in {len(memory)}")
    return memory[first : first + count]
