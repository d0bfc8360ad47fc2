"""Liberty: the text format of a standard-cell library, as groups and as cells.

Units are those of this project wherever a name does not say otherwise: ns, fF, nW, fJ, um2.
"""

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STATEMENT = re.compile(
    r"""\s*(?:(?P<close>\})\s*;?
    |(?P<name>[A-Za-z_]\w*)\s*
     (?:\(\s*(?P<args>(?:"[^"]*"|[^()"{}])*)\)\s*(?:(?P<open>\{)|;?)
       |:\s*(?P<value>"[^"]*"|[^;{}\n]+?)\s*(?:;|(?=\n|\})))
    |;)""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\\\r?\n", re.DOTALL)
_SCALES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}


@dataclass
class Group:
    """``kind (names) { ... }``.

    Attributes
    ----------
    kind, names
        For instance ``"cell"`` and ``["FA_X1"]``.
    attributes
        Texts by name, simple (``name : value;``) and complex (``name (value, ...);``) alike,
        without quotes; of attributes of one name the last.
    groups
        Groups inside, in order.
    """

    kind: str
    names: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def all(self, kind: str) -> Iterator["Group"]:
        """Yield the groups of one kind directly inside."""
        return (group for group in self.groups if group.kind == kind)

    def number(self, name: str, default: float = 0.0) -> float:
        """Return an attribute as a number, `default` where it is absent."""
        text = self.attributes.get(name)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError:
            where = f"{self.kind} {' '.join(self.names)}".strip()
            raise ValueError(f"liberty: {name} of {where}: {text!r} is not a number") from None


@dataclass(frozen=True)
class Table:
    """A look-up table with linear interpolation, and extrapolation beyond its axes.

    Attributes
    ----------
    axes
        Names of the variables, at most two, as in ``input_transition_time`` (ns) and
        ``total_output_net_capacitance`` (fF).
    points
        Points of each axis, in ns or fF.
    values
        One dimension an axis.
    """

    axes: tuple[str, ...]
    points: tuple[NDArray[np.float64], ...]
    values: NDArray[np.float64]

    def __call__(self, transition_ns: float = 0.0, load_ff: float = 0.0) -> float:
        """Return the value at an input transition (ns) and an output load (fF)."""
        places = []
        for is_load, points in self._axes:
            x = load_ff if is_load else transition_ns
            if len(points) == 1:
                places.append((0, 0.0))
                continue
            i = min(max(bisect_left(points, x) - 1, 0), len(points) - 2)
            places.append((i, (x - points[i]) / (points[i + 1] - points[i])))
        return _interpolate(self._nested, places)

    @cached_property
    def _axes(self) -> list[tuple[bool, list[float]]]:
        """Of each axis whether it is a load, and its points: lists are faster than arrays here."""
        return [
            ("capacitance" in axis, points.tolist())
            for axis, points in zip(self.axes, self.points, strict=True)
        ]

    @cached_property
    def _nested(self) -> Any:
        return self.values.tolist()


def _interpolate(values: Any, places: Sequence[tuple[int, float]]) -> float:
    """Return the value at a place: of each axis the point below, and the part of the way on."""
    if not places:
        return float(values)
    (i, part), rest = places[0], places[1:]
    low = _interpolate(values[i], rest)
    return low if part == 0 else low * (1 - part) + _interpolate(values[i + 1], rest) * part


@dataclass(frozen=True)
class InternalPower:
    """Energy inside a cell, fJ, at one transition of a pin.

    Attributes
    ----------
    pin, related_pin
        The pin that switches; for an output the input which makes it switch, for an input ``""``.
    when
        State of the other pins, ``""`` for any.
    rise, fall
        Energies when `pin` rises and falls.
    """

    pin: str
    related_pin: str
    when: str
    rise: Table | None
    fall: Table | None


@dataclass(frozen=True)
class Arc:
    """Timing of a pin against a related pin.

    Attributes
    ----------
    related_pin, kind
        Liberty's ``timing_type``: ``combinational``, ``setup_rising``, ``rising_edge``, ...
    tables
        In ns, by Liberty's name: ``cell_rise``, ``fall_transition``, ``fall_constraint``, ...
    """

    related_pin: str
    kind: str
    tables: dict[str, Table]


@dataclass(frozen=True)
class Pin:
    """A signal pin of a cell: direction, input capacitance in fF, function of an output."""

    name: str
    direction: str
    capacitance_ff: float
    function: str
    clock: bool
    three_state: bool
    internal_power: tuple[InternalPower, ...]
    arcs: tuple[Arc, ...]


@dataclass(frozen=True)
class Cell:
    """A library cell.

    Attributes
    ----------
    area_um2, leakage_nw
        Cell area and state-independent leakage.
    leakage_when
        Leakage in nW by state of the pins (a Boolean expression).
    sequential
        ``"ff"``, ``"latch"`` or ``""``.
    next_state, clocked_on
        Of a flip-flop.
    usable
        Synthesis may choose it.
    """

    name: str
    area_um2: float
    leakage_nw: float
    leakage_when: dict[str, float]
    pins: dict[str, Pin]
    sequential: str
    next_state: str
    clocked_on: str
    usable: bool

    @property
    def inputs(self) -> list[Pin]:
        """Input pins, in order."""
        return [pin for pin in self.pins.values() if pin.direction == "input"]

    @property
    def outputs(self) -> list[Pin]:
        """Output pins, in order."""
        return [pin for pin in self.pins.values() if pin.direction == "output"]


@dataclass(frozen=True)
class Liberty:
    """A parsed library.

    Attributes
    ----------
    name, path
        What the library calls itself, and its file.
    voltage, temperature
        Nominal, in V and C.
    time_unit, capacitance_unit
        Of the file, in s and F.
    cells
        By name.
    """

    name: str
    path: Path
    voltage: float
    temperature: float
    time_unit: float
    capacitance_unit: float
    cells: dict[str, Cell]


def parse(text: str, path: Path) -> Group:
    """Parse Liberty text into its ``library`` group.

    Raises
    ------
    ValueError
        One line that names the file and the line where it stops to be Liberty.
    """
    plain = _COMMENT.sub(lambda match: "\n" * match.group().count("\n") or " ", text)
    stack: list[Group] = [Group("", [])]
    position, end = 0, len(plain.rstrip())
    while position < end:
        match = _STATEMENT.match(plain, position)
        if match is None or (match["close"] and len(stack) == 1):
            start = position + len(plain[position:]) - len(plain[position:].lstrip())
            line = plain.count("\n", 0, start) + 1
            found = plain[start : start + 30].split("\n")[0]
            raise ValueError(f"liberty: {path}:{line}: unexpected {found!r}")
        position = match.end()
        if match["close"]:
            stack.pop()
        elif match["open"]:
            names = [name.strip(' "\n\t') for name in match["args"].split(",")]
            group = Group(match["name"], [name for name in names if name])
            stack[-1].groups.append(group)
            stack.append(group)
        elif match["name"]:
            value = match["value"] if match["value"] is not None else match["args"]
            stack[-1].attributes[match["name"]] = value.replace('"', "").strip()
    if len(stack) > 1:
        where = f"{stack[-1].kind} {' '.join(stack[-1].names)}".strip()
        raise ValueError(f"liberty: {path} ends inside {where}")
    libraries = list(stack[0].all("library"))
    if len(libraries) != 1:
        raise ValueError(f"liberty: {path} holds {len(libraries)} libraries, not one")
    return libraries[0]


@functools.lru_cache(maxsize=4)
def _read(path: Path, _modified_ns: int) -> Liberty:
    library = parse(path.read_text(errors="replace"), path)
    scales = _Scales(library)
    cells = {group.names[0]: _cell(group, scales) for group in library.all("cell") if group.names}
    if not cells:
        raise ValueError(f"liberty: {path} has no cells")
    return Liberty(
        library.names[0] if library.names else path.stem,
        path,
        library.number("nom_voltage", 1.0),
        library.number("nom_temperature", 25.0),
        scales.ns * 1e-9,
        scales.ff * 1e-15,
        cells,
    )


def read_liberty(path: Path) -> Liberty:
    """Read a Liberty file, once as long as it does not change.

    Raises
    ------
    ValueError
        One line, when it cannot be read or is not Liberty.
    """
    try:
        modified = path.stat().st_mtime_ns
        return _read(path.resolve(), modified)
    except OSError as error:
        raise ValueError(f"liberty: {path} cannot be read: {error.strerror}") from error


class _Scales:
    """Factors from a library's units to ns, fF, nW and fJ, and its table templates."""

    def __init__(self, library: Group) -> None:
        unit = library.attributes.get
        number, letter = _unit(unit("capacitive_load_unit", "1,pf").replace(",", " "), "f")
        self.ff = number * _SCALES[letter] / 1e-15
        number, letter = _unit(unit("time_unit", "1ns"), "s")
        self.ns = number * _SCALES[letter] / 1e-9
        number, letter = _unit(unit("leakage_power_unit", "1nW"), "w")
        self.nw = number * _SCALES[letter] / 1e-9
        number, letter = _unit(unit("voltage_unit", "1V"), "v")
        # Liberty has no unit of energy of its own: it is that of C V^2.
        self.fj = self.ff * (number * _SCALES[letter]) ** 2
        self.templates = {
            group.names[0]: group for group in library.groups if group.kind.endswith("template")
        }

    def table(self, group: Group, scale: float) -> Table | None:
        """Return the look-up table of a group, its values multiplied by `scale`."""
        template = self.templates.get(group.names[0] if group.names else "", Group("", []))
        values = np.array(_numbers(group.attributes.get("values", ""))) * scale
        if not values.size:
            return None
        axes, points = [], []
        for i in (1, 2):
            axis = template.attributes.get(f"variable_{i}")
            text = group.attributes.get(f"index_{i}", template.attributes.get(f"index_{i}"))
            if axis is None or text is None:
                continue
            axes.append(axis)
            unit = self.ff if "capacitance" in axis else self.ns
            points.append(np.array(_numbers(text)) * unit)
        shape = tuple(len(axis) for axis in points)
        if int(np.prod(shape)) != values.size:
            raise ValueError(
                f"liberty: {group.kind} has {values.size} values where its axes need {shape}"
            )
        return Table(tuple(axes), tuple(points), values.reshape(shape))


def _unit(text: str, base: str) -> tuple[float, str]:
    match = re.fullmatch(rf"\s*([\d.eE+-]*)\s*([fpnumkFPNUMK]?){base}\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"liberty: {text!r} is not a unit")
    return float(match[1] or 1), match[2].lower()


def _numbers(text: str) -> list[float]:
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(float(word))
        except ValueError:
            raise ValueError(f"liberty: {word!r} in a table is not a number") from None
    return found


def _cell(group: Group, scales: _Scales) -> Cell:
    pins = {}
    for pin in [*group.all("pin"), *(p for bus in group.all("bus") for p in bus.all("pin"))]:
        for name in pin.names:
            pins[name] = _pin(name, pin, group, scales)
    sequential = next((g for g in group.groups if g.kind in ("ff", "latch", "statetable")), None)
    kind = "" if sequential is None else sequential.kind
    attribute = {} if sequential is None else sequential.attributes
    when = {
        state.attributes.get("when", ""): state.number("value") * scales.nw
        for state in group.all("leakage_power")
    }
    return Cell(
        name=group.names[0],
        area_um2=group.number("area"),
        leakage_nw=group.number("cell_leakage_power", when.get("", 0.0) / scales.nw) * scales.nw,
        leakage_when={state: value for state, value in when.items() if state},
        pins=pins,
        sequential="latch" if kind == "statetable" else kind,
        next_state=attribute.get("next_state", ""),
        clocked_on=attribute.get("clocked_on", ""),
        usable=group.attributes.get("dont_use", "false") != "true",
    )


def _pin(name: str, group: Group, cell: Group, scales: _Scales) -> Pin:
    # Internal power of a pin may stand in the pin or in the cell, pins named there.
    powers = []
    for power in group.all("internal_power"):
        tables = {
            kind: scales.table(table, scales.fj)
            for kind in ("rise_power", "fall_power", "power")
            for table in power.all(kind)
        }
        powers += [
            InternalPower(
                pin=name,
                related_pin=related,
                when=power.attributes.get("when", ""),
                rise=tables.get("rise_power", tables.get("power")),
                fall=tables.get("fall_power", tables.get("power")),
            )
            for related in power.attributes.get("related_pin", "").split() or [""]
        ]
    clocks = {
        sequential.attributes.get("clocked_on", "").strip("!()' ")
        for sequential in cell.groups
        if sequential.kind == "ff"
    }
    return Pin(
        name=name,
        direction=group.attributes.get("direction", "input"),
        capacitance_ff=group.number("capacitance") * scales.ff,
        function=group.attributes.get("function", ""),
        clock=group.attributes.get("clock") == "true" or name in clocks,
        three_state="three_state" in group.attributes,
        internal_power=tuple(powers),
        arcs=tuple(_arcs(group, scales)),
    )


def _arcs(pin: Group, scales: _Scales) -> Iterator[Arc]:
    for timing in pin.all("timing"):
        tables = {group.kind: scales.table(group, scales.ns) for group in timing.groups}
        for related in timing.attributes.get("related_pin", "").split():
            yield Arc(
                related_pin=related,
                kind=timing.attributes.get("timing_type", "combinational"),
                tables={kind: table for kind, table in tables.items() if table is not None},
            )
