"""Power of a netlist from its switching activity and the library's Liberty tables.

Every toggle is charged by itself. Three parts:

internal
    Look-up of the table of the arc that the toggle went through: at an output the arc from the
    input that changed last, among those whose ``when`` holds in this state; at an input the table
    whose ``when`` holds. A cell whose outputs switch together is charged at each of them, the
    unconnected ones too: characterisation splits the energy between them. Table axes: transition
    of the input's net (`scripts.ppa.slews`), load of the output's net.
switching
    C V^2 / 2 a toggle, C the pins on the net and the load of an output port. Wires have none.
leakage
    Of the states of each cell, by the time spent in them.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scripts.ppa.activity import Activity, Times
from scripts.ppa.boolean import boolean
from scripts.ppa.flat import FlatCell, FlatNetlist
from scripts.ppa.liberty import Cell, InternalPower, Pin
from scripts.ppa.slews import clock_nets, transitions

SAMPLE = 3000
"""Most cells of one type whose internal energy and leakage are worked out one by one."""

CLOCK, REGISTERS, COMBINATIONAL, INPUTS = "clock", "registers", "combinational", "inputs"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """Power of a design in mW.

    Attributes
    ----------
    leakage_mw, internal_mw, switching_mw
        The three parts.
    by_kind
        Dynamic power of ``clock`` (clock nets, and what a clock edge costs inside registers that
        do not switch), ``registers`` (the rest inside them, and the nets they drive),
        ``combinational`` (cells and the nets they drive), ``inputs`` (nets that input ports drive).
    energy_pj
        Energy of one operation, leakage included.
    """

    leakage_mw: float
    internal_mw: float
    switching_mw: float
    by_kind: dict[str, float]
    energy_pj: float

    @property
    def dynamic_mw(self) -> float:
        """Internal and switching power."""
        return self.internal_mw + self.switching_mw


@dataclass
class Energy:
    """What cells and nets take in the measured time: fJ by kind, and their mean leakage in nW."""

    internal_fj: dict[str, float] = field(default_factory=dict)
    switching_fj: dict[str, float] = field(default_factory=dict)
    leakage_nw: float = 0.0

    def add(self, other: "Energy", weight: float = 1.0) -> None:
        """Add `weight` times what another takes."""
        for own, others in (
            (self.internal_fj, other.internal_fj),
            (self.switching_fj, other.switching_fj),
        ):
            for kind, energy in others.items():
                own[kind] = own.get(kind, 0.0) + weight * energy
        self.leakage_nw += weight * other.leakage_nw


def power(energy: Energy, period_ns: float, cycles: int, operations: int) -> Power:
    """Return the power of a design that takes an energy in some cycles of `period_ns`.

    Parameters
    ----------
    operations
        That it completes in these cycles.

    Raises
    ------
    ValueError
        When the period is not positive.
    """
    if not period_ns > 0:
        raise ValueError(f"period: {period_ns} is not a period above 0 ns")
    # fJ / ns is uW.
    to_mw = 1e-3 / (cycles * period_ns)
    internal, switching = energy.internal_fj, energy.switching_fj
    names = (CLOCK, REGISTERS, COMBINATIONAL, INPUTS)
    by_kind = {n: (internal.get(n, 0.0) + switching.get(n, 0.0)) * to_mw for n in names}
    dynamic, leakage_mw = sum(by_kind.values()), energy.leakage_nw * 1e-6
    return Power(
        leakage_mw=leakage_mw,
        internal_mw=sum(internal.values()) * to_mw,
        switching_mw=sum(switching.values()) * to_mw,
        by_kind=by_kind,
        energy_pj=(dynamic + leakage_mw) * period_ns * cycles / operations,
    )


def module_energy(activity: Activity) -> Energy:
    """Return what one instance of a module takes in the measured time."""
    flat = activity.flat
    slews = transitions(flat)
    total = Energy(switching_fj=switching_energy(activity))
    by_type: dict[str, list[FlatCell]] = {}
    for cell in flat.cells:
        by_type.setdefault(cell.type, []).append(cell)
    rng = np.random.default_rng(1)
    for kind, cells in by_type.items():
        chosen = cells
        if len(cells) > SAMPLE:
            chosen = [cells[i] for i in rng.choice(len(cells), SAMPLE, replace=False)]
        for cell in chosen:
            found = cell_energy(activity, cell, flat.library.cells[kind], slews)
            total.add(found, len(cells) / len(chosen))
    return total


def switching_energy(activity: Activity) -> dict[str, float]:
    """Return the energy that charges nets in the measured time, fJ by kind of driver.

    A net that ends at a port of another module bears its load there.
    """
    flat = activity.flat
    voltage = flat.library.parsed.voltage
    loads = flat.loads_ff if flat.is_top else flat.pin_loads_ff
    kinds = _net_kinds(flat)
    found: dict[str, float] = {}
    for net in flat.nets:
        energy = loads.get(net, 0.0) * voltage**2 / 2 * len(activity.wave(net).times)
        kind = kinds.get(net, INPUTS)
        found[kind] = found.get(kind, 0.0) + energy
    return found


def _net_kinds(flat: FlatNetlist) -> dict[int, str]:
    kinds = {}
    for cell in flat.cells:
        library_cell = flat.library.cells[cell.type]
        for pin in library_cell.outputs:
            kinds[cell.pins[pin.name]] = REGISTERS if library_cell.sequential else COMBINATIONAL
    return kinds | dict.fromkeys(clock_nets(flat), CLOCK)


def cell_energy(
    activity: Activity, cell: FlatCell, library_cell: Cell, slews: Mapping[int, float]
) -> Energy:
    """Return the internal energy of a cell in the measured time, and its mean leakage."""
    found = Energy()
    kind = REGISTERS if library_cell.sequential else COMBINATIONAL
    for pin in library_cell.pins.values():
        times = activity.wave(cell.pins[pin.name]).times
        if not len(times) or not pin.internal_power:
            continue
        if pin.direction == "output":
            energy = _output_energy(activity, cell, pin, slews)
        else:
            energy = _input_energy(activity, cell, pin, slews)
        charged = CLOCK if pin.clock else kind
        found.internal_fj[charged] = found.internal_fj.get(charged, 0.0) + energy
    found.leakage_nw = _leakage(activity, cell, library_cell)
    return found


def _holds(
    activity: Activity, cell: FlatCell, when: str, times: Times, before: bool = False
) -> npt.NDArray[np.bool_]:
    """Return whether a state of the pins holds at each of `times`."""
    if not when:
        return np.ones(len(times), np.bool_)
    function = boolean(when)
    state = np.zeros(len(times), np.int64)
    for place, pin in enumerate(function.pins):
        wave = activity.wave(cell.pins[pin])
        state |= (wave.before(times) if before else wave.after(times)) << place
    return _values(when)[state]


@functools.cache
def _values(text: str) -> npt.NDArray[np.bool_]:
    """Return the truth table of a function of its own pins."""
    function = boolean(text)
    table = function.truth_table(function.pins)
    return np.array([table >> i & 1 for i in range(1 << len(function.pins))], np.bool_)


def _energies(
    arc: InternalPower, rising: npt.NDArray[np.int64], slew: float, load: float
) -> Floats:
    rise = arc.rise(slew, load) if arc.rise else 0.0
    fall = arc.fall(slew, load) if arc.fall else 0.0
    return np.where(rising == 1, rise, fall)


def _output_energy(
    activity: Activity, cell: FlatCell, pin: Pin, slews: Mapping[int, float]
) -> float:
    net = cell.pins[pin.name]
    times = activity.wave(net).times
    rising = activity.wave(net).after(times)
    load = activity.flat.loads_ff.get(net, 0.0)
    starts = sorted({arc.related_pin for arc in pin.internal_power} & set(cell.pins))
    if not starts:
        return 0.0
    last = np.full((len(starts), len(times)), -1, np.int64)
    for row, start in enumerate(starts):
        changes = activity.wave(cell.pins[start]).times
        if len(changes):
            index = np.searchsorted(changes, times, "right") - 1
            last[row] = np.where(index >= 0, changes[index], -1)
    # Without delays several inputs change at once: any of them may be the cause.
    causes = last == last.max(axis=0)
    exact, exact_count = np.zeros(len(times)), np.zeros(len(times))
    rough, rough_count = np.zeros(len(times)), np.zeros(len(times))
    for arc in pin.internal_power:
        if arc.related_pin not in starts:
            continue
        slew = slews.get(cell.pins[arc.related_pin], 0.0)
        energy = _energies(arc, rising, slew, load)
        cause = causes[starts.index(arc.related_pin)]
        holds = cause & _holds(activity, cell, arc.when, times)
        exact, exact_count = exact + holds * energy, exact_count + holds
        rough, rough_count = rough + cause * energy, rough_count + cause
    # The state may have changed on the way to the output, and no table describes the new one.
    mean = np.where(
        exact_count > 0, exact / np.maximum(exact_count, 1), rough / np.maximum(rough_count, 1)
    )
    return float(mean.sum())


def _input_energy(
    activity: Activity, cell: FlatCell, pin: Pin, slews: Mapping[int, float]
) -> float:
    net = cell.pins[pin.name]
    times = activity.wave(net).times
    rising = activity.wave(net).after(times)
    total = 0.0
    for arc in pin.internal_power:
        # A clock edge finds the state before it; without delays all else changes after the edge.
        holds = _holds(activity, cell, arc.when, times, before=pin.clock)
        total += float(_energies(arc, rising, slews.get(net, 0.0), 0.0)[holds].sum())
    return total


def _leakage(activity: Activity, cell: FlatCell, library_cell: Cell) -> float:
    """Return the mean leakage in nW; a state without a value has the cell's."""
    if not library_cell.leakage_when:
        return library_cell.leakage_nw
    changes = [activity.wave(net).times for net in cell.pins.values()]
    begins = np.unique(np.concatenate([[activity.start], *changes]))
    parts = np.diff(np.append(begins, activity.end)) / (activity.end - activity.start)
    leakage, known = 0.0, 0.0
    for when, value in library_cell.leakage_when.items():
        part = float(parts[_holds(activity, cell, when, begins)].sum())
        leakage, known = leakage + part * value, known + part
    return leakage + max(1.0 - known, 0.0) * library_cell.leakage_nw
