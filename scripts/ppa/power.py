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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scripts.ppa.activity import Activity, Integers
from scripts.ppa.boolean import boolean
from scripts.ppa.flat import FlatCell, FlatNetlist
from scripts.ppa.liberty import Cell, InternalPower, Pin, Table
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
        found = cells_energy(activity, chosen, flat.library.cells[kind], slews)
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
    place, _ = activity.toggles(np.array(flat.nets, np.int64))
    toggles = dict(zip(flat.nets, np.bincount(place, minlength=len(flat.nets)), strict=True))
    found: dict[str, float] = {}
    for net in flat.nets:
        energy = loads.get(net, 0.0) * voltage**2 / 2 * toggles[net]
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


def cells_energy(
    activity: Activity, cells: Sequence[FlatCell], library_cell: Cell, slews: Mapping[int, float]
) -> Energy:
    """Return the internal energy of cells of one type in the measured time, and their leakage."""
    found = Energy()
    nets = {
        name: np.array([cell.pins[name] for cell in cells], np.int64) for name in library_cell.pins
    }
    kind = REGISTERS if library_cell.sequential else COMBINATIONAL
    for pin in library_cell.pins.values():
        if not pin.internal_power:
            continue
        place, times = activity.toggles(nets[pin.name])
        if not len(times):
            continue
        if pin.direction == "output":
            energy = _output_energy(activity, nets, pin, place, times, slews)
        else:
            energy = _input_energy(activity, nets, pin, place, times, slews)
        charged = CLOCK if pin.clock else kind
        found.internal_fj[charged] = found.internal_fj.get(charged, 0.0) + energy
    found.leakage_nw = _leakage(activity, nets, library_cell)
    return found


class _States:
    """States of the pins of cells of one type, right after or before some times.

    Parameters
    ----------
    nets
        [cells] by pin.
    place, times
        [n] which cell is looked at, and when.
    """

    def __init__(
        self,
        activity: Activity,
        nets: Mapping[str, Integers],
        place: Integers,
        times: Integers,
        before: bool = False,
    ) -> None:
        self._look = activity.before if before else activity.after
        self._nets, self._place, self._times = nets, place, times
        self._values: dict[str, Integers] = {}

    def pin(self, name: str) -> Integers:
        """Return the values, 0 or 1, of a pin."""
        if name not in self._values:
            self._values[name] = self._look(self._nets[name][self._place], self._times)
        return self._values[name]

    def hold(self, when: str) -> npt.NDArray[np.bool_]:
        """Return whether a Boolean expression of the pins holds."""
        state = np.zeros(len(self._times), np.int64)
        if not when:
            return np.ones(len(state), np.bool_)
        for bit, name in enumerate(boolean(when).pins):
            state |= self.pin(name) << bit
        return _values(when)[state]


@functools.cache
def _values(text: str) -> npt.NDArray[np.bool_]:
    """Return the truth table of a function of its own pins."""
    function = boolean(text)
    table = function.truth_table(function.pins)
    return np.array([table >> i & 1 for i in range(1 << len(function.pins))], np.bool_)


def _looked_up(table: Table | None, slews: Sequence[float], loads: Sequence[float]) -> Floats:
    if table is None:
        return np.zeros(len(slews))
    return np.array([table(slew, load) for slew, load in zip(slews, loads, strict=True)])


def _energies(
    arc: InternalPower,
    place: Integers,
    rising: Integers,
    slews: Sequence[float],
    loads: Sequence[float],
) -> Floats:
    """Return the energy of each of some toggles, of which `place` says the cell."""
    rise, fall = (_looked_up(table, slews, loads) for table in (arc.rise, arc.fall))
    return np.where(rising == 1, rise[place], fall[place])


def _output_energy(
    activity: Activity,
    nets: Mapping[str, Integers],
    pin: Pin,
    place: Integers,
    times: Integers,
    slews: Mapping[int, float],
) -> float:
    starts = sorted({arc.related_pin for arc in pin.internal_power} & set(nets))
    if not starts:
        return 0.0
    states = _States(activity, nets, place, times)
    rising = states.pin(pin.name)
    loads = [activity.flat.loads_ff.get(net, 0.0) for net in nets[pin.name].tolist()]
    last = np.stack([activity.latest(nets[start][place], times) for start in starts])
    # Without delays several inputs change at once: any of them may be the cause.
    causes = last == last.max(axis=0)
    exact, exact_count = np.zeros(len(times)), np.zeros(len(times))
    rough, rough_count = np.zeros(len(times)), np.zeros(len(times))
    for arc in pin.internal_power:
        if arc.related_pin not in starts:
            continue
        slew = [slews.get(net, 0.0) for net in nets[arc.related_pin].tolist()]
        energy = _energies(arc, place, rising, slew, loads)
        cause = causes[starts.index(arc.related_pin)]
        holds = cause & states.hold(arc.when)
        exact, exact_count = exact + holds * energy, exact_count + holds
        rough, rough_count = rough + cause * energy, rough_count + cause
    # The state may have changed on the way to the output, and no table describes the new one.
    mean = np.where(
        exact_count > 0, exact / np.maximum(exact_count, 1), rough / np.maximum(rough_count, 1)
    )
    return float(mean.sum())


def _input_energy(
    activity: Activity,
    nets: Mapping[str, Integers],
    pin: Pin,
    place: Integers,
    times: Integers,
    slews: Mapping[int, float],
) -> float:
    # A clock edge finds the state before it; without delays all else changes after the edge.
    states = _States(activity, nets, place, times, before=pin.clock)
    rising = activity.after(nets[pin.name][place], times)
    slew = [slews.get(net, 0.0) for net in nets[pin.name].tolist()]
    total = 0.0
    for arc in pin.internal_power:
        energy = _energies(arc, place, rising, slew, [0.0] * len(slew))
        total += float(energy[states.hold(arc.when)].sum())
    return total


def _leakage(activity: Activity, nets: Mapping[str, Integers], library_cell: Cell) -> float:
    """Return the mean leakage of cells in nW; a state without a value has the cell's."""
    count = len(next(iter(nets.values())))
    if not library_cell.leakage_when:
        return count * library_cell.leakage_nw
    span = activity.end + 1
    changes = [place * span + times for place, times in map(activity.toggles, nets.values())]
    begins = np.sort(np.concatenate([np.arange(count) * span + activity.start, *changes]))
    begins = begins[np.diff(begins, prepend=-1) > 0]
    place, times = np.divmod(begins, span)
    ends = np.append(times[1:], activity.end)
    ends[np.append(place[1:] != place[:-1], True)] = activity.end
    parts = (ends - times) / (activity.end - activity.start)
    states = _States(activity, nets, place, times)
    leakage, known = 0.0, np.zeros(count)
    for when, value in library_cell.leakage_when.items():
        part = np.bincount(place, parts * states.hold(when), count)
        leakage, known = leakage + float(part.sum()) * value, known + part
    return leakage + float(np.maximum(1.0 - known, 0.0).sum()) * library_cell.leakage_nw
