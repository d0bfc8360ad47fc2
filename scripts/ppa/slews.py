"""Transition times of a netlist's nets, from the library's tables of output transitions."""

import functools
from collections.abc import Mapping

import numpy as np

from scripts.ppa.flat import FlatCell, FlatNetlist
from scripts.ppa.liberty import Table
from scripts.ppa.library import Library

Arcs = dict[str, list[tuple[str, Table]]]
"""By output pin: the input that starts each arc, and a table of the transition in ns."""


def transitions(flat: FlatNetlist) -> Mapping[int, float]:
    """Return the transition time of each net, ns: the mean over its driver's arcs and edges.

    An input has the transition that the library's driving cell gives it. A net with more than one
    load is as slow as its load makes it, but the clock, which a tree would distribute, is as fast
    as if it fed one flip-flop.
    """
    library = flat.library
    driver = next(iter(output_transitions(library.driving_cell, library).values()))
    flop = library.cells[library.flip_flop]
    clock_load = max(pin.capacitance_ff for pin in flop.inputs if pin.clock)
    clocks = clock_nets(flat)
    found: dict[int, float] = {}
    for net in flat.input_nets:
        load = clock_load if net in clocks else flat.loads_ff.get(net, 0.0)
        found[net] = max(float(np.mean([table(0.0, load) for _, table in driver])), 0.0)
    for cell in _ordered(flat):
        for pin, tables in output_transitions(cell.type, library).items():
            load = flat.loads_ff.get(cell.pins[pin], 0.0)
            slews = [
                table(found.get(cell.pins[start], 0.0), load)
                for start, table in tables
                if start in cell.pins
            ]
            if slews:
                found[cell.pins[pin]] = max(float(np.mean(slews)), 0.0)
    return found


def clock_nets(flat: FlatNetlist) -> set[int]:
    """Return the nets at clock pins."""
    return {
        cell.pins[pin.name]
        for cell in flat.cells
        for pin in flat.library.cells[cell.type].inputs
        if pin.clock
    }


def _ordered(flat: FlatNetlist) -> list[FlatCell]:
    """Return the cells, registers first, others after the drivers of their inputs.

    Raises
    ------
    ValueError
        When combinational cells form a loop.
    """
    cells = flat.library.cells
    waiting: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    driven = {
        cell.pins[pin.name]
        for cell in flat.cells
        if not cells[cell.type].sequential
        for pin in cells[cell.type].outputs
    }
    ready, ordered = [], [cell for cell in flat.cells if cells[cell.type].sequential]
    for index, cell in enumerate(flat.cells):
        if cells[cell.type].sequential:
            continue
        starts = {cell.pins[pin.name] for pin in cells[cell.type].inputs} & driven
        waiting[index] = len(starts)
        for net in starts:
            readers.setdefault(net, []).append(index)
        if not starts:
            ready.append(index)
    while ready:
        cell = flat.cells[ready.pop()]
        ordered.append(cell)
        for pin in cells[cell.type].outputs:
            for index in readers.get(cell.pins[pin.name], ()):
                waiting[index] -= 1
                if waiting[index] == 0:
                    ready.append(index)
    if len(ordered) != len(flat.cells):
        loop = next(flat.cells[i].name for i, count in waiting.items() if count)
        raise ValueError(f"netlist: {loop} of {flat.module} is in a combinational loop")
    return ordered


@functools.cache
def output_transitions(cell: str, library: Library) -> Arcs:
    """Return the tables of output transitions of a cell."""
    return {
        pin.name: [
            (arc.related_pin, table)
            for arc in pin.arcs
            for kind, table in arc.tables.items()
            if kind.endswith("_transition")
        ]
        for pin in library.cells[cell].outputs
    }
