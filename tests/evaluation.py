# amaranth: UnusedElaboratable=no
"""Emitted combinational units as and-inverter graphs, evaluated on many operands at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.emit import emit
from hw.yosys import run_yosys
from pe.config import Config
from pe.unit import Unit
from scripts.ppa.aig import Bits, Graph, Machine, Word, pack, read, simulate

Column = NDArray[np.int64]


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
    width: int,
) -> dict[str, Column]:
    """Sets of operands of which an output is not as expected, by output.

    Parameters
    ----------
    operands
        By input: [sets], or [sets, lanes] where a port takes several numbers.
    expected
        By output: [sets]. The unit has no other outputs.
    width
        Bits of each number at an input.
    """
    graph = Graph()
    words: dict[str, Word] = {}
    values: dict[int, Bits] = {}
    count = 0
    for port, column in operands.items():
        lanes = column.reshape(len(column), -1)
        count = len(lanes)
        lanes = np.concatenate([lanes, np.zeros((-count % 64, lanes.shape[1]), np.int64)])
        words[port] = graph.input(width * lanes.shape[1])
        packed = [bits for lane in lanes.T for bits in pack(lane, width)]
        values |= dict(zip(words[port], packed, strict=True))
    outputs, _ = machine.place(graph, words, [])
    assert set(outputs) == set(expected)
    wrong = {}
    for port, literals in outputs.items():
        column = np.concatenate([expected[port], np.zeros(-count % 64, np.int64)])
        found = simulate(graph, literals, values)
        bits = [x ^ y for x, y in zip(found, pack(column, len(literals)), strict=True)]
        flags = np.unpackbits(np.bitwise_or.reduce(bits).view(np.uint8), bitorder="little")
        if flags[:count].any():
            wrong[port] = np.flatnonzero(flags[:count])
    return wrong
