# amaranth: UnusedElaboratable=no
"""Emitted combinational units as and-inverter graphs, evaluated on many operands at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from hw.emit import emit
from hw.yosys import run_yosys
from pe.config import Config
from pe.unit import Unit
from scripts.ppa.aig import Bits, Graph, Machine, Word, pack, read, simulate

CHUNK = 1 << 14
"""Sets that are evaluated at once; each takes a bit for every node of the graph."""

Column = NDArray[np.int64]

DTYPES: dict[str, DTypeLike] = {
    "e5m2": ml_dtypes.float8_e5m2,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp32": np.float32,
}
"""IEEE formats as NumPy has them."""


def machines(units: Iterable[tuple[type[Unit], Config]], folder: Path) -> dict[Config, Machine]:
    """Emit units without registers and read them back, in one run of Yosys."""
    script: list[str] = []
    configs = []
    for unit, config in units:
        configs.append(config)
        verilog, _ = emit(unit, config).write(folder)
        script += [
            "design -reset",
            f"read_verilog {verilog}",
            f"prep -flatten -top {config.name}",
            "techmap",
            "aigmap",
            f"write_aiger -ascii -symbols {folder / config.name}.aag",
        ]
    run_yosys(script)
    return {config: read(folder / f"{config.name}.aag") for config in configs}


def differing(
    machine: Machine,
    operands: Mapping[str, Column],
    expected: Mapping[str, Column],
    widths: Mapping[str, int],
) -> dict[str, Column]:
    """Sets of operands of which an output is not as expected, by output.

    Parameters
    ----------
    operands
        By input: [sets], or [sets, lanes] where a port takes several numbers.
    expected
        By output: [sets]. The unit has no other outputs.
    widths
        Bits of each number at an input, by input.
    """
    graph = Graph()
    words: dict[str, Word] = {}
    lanes = {port: column.reshape(len(column), -1) for port, column in operands.items()}
    for port, column in lanes.items():
        words[port] = graph.input(widths[port] * column.shape[1])
    outputs, _ = machine.place(graph, words, [])
    assert set(outputs) == set(expected)
    wrong: dict[str, list[Column]] = {}
    count = len(next(iter(lanes.values())))
    for start in range(0, count, CHUNK):
        values: dict[int, Bits] = {}
        for port, column in lanes.items():
            part = _padded(column[start : start + CHUNK])
            packed = [bits for lane in part.T for bits in pack(lane, widths[port])]
            values |= dict(zip(words[port], packed, strict=True))
        everything = simulate(graph, [bit for word in outputs.values() for bit in word], values)
        found = iter(everything)
        for port, literals in outputs.items():
            column = expected[port][start : start + CHUNK]
            wanted = pack(_padded(column), len(literals))
            bits = [next(found) ^ want for want in wanted]
            flags = np.unpackbits(np.bitwise_or.reduce(bits).view(np.uint8), bitorder="little")
            sets = start + np.flatnonzero(flags[: len(column)])
            if len(sets):
                wrong.setdefault(port, []).append(sets)
    return {port: np.concatenate(sets) for port, sets in wrong.items()}


def _padded(column: Column) -> Column:
    """Add zeros up to a multiple of 64."""
    return np.concatenate([column, np.zeros((-len(column) % 64, *column.shape[1:]), column.dtype)])
