# amaranth: UnusedElaboratable=no
"""``rtloom sweep``: the designs and value ranges of a TOML file, measured in parallel."""

import argparse
import io
import itertools
import logging
import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hw.emit import emit, write_atomically
from pe.config import nearest
from scripts.gains import COLUMNS as COLUMNS_OF_GAINS
from scripts.gains import EFFICIENCY, Group, Member, gains
from scripts.output import print_json, print_table
from scripts.plots import Axis, pareto_plot
from scripts.ppa.command import COLUMNS, row
from scripts.ppa.curve import (
    Measurement,
    Options,
    keep_measurement,
    kept_measurement,
    measure,
    place_of,
)
from scripts.ppa.errors import FlowError
from scripts.ppa.library import Library, find_library
from scripts.ppa.operands import Operands
from scripts.ppa.record import Record
from scripts.ppa.timing import check_period, choose_timer
from scripts.ppa.workload import activity_source
from scripts.settings import select
from scripts.status import Status
from sim.simulate import BUILD

_POINT_KEYS = (
    "design",
    "set",
    "periods",
    "power",
    "flat",
    "quick",
    "operands",
    "group",
    "baseline",
)
_GROUP_KEYS = ("name", "published")
LARGEST_SWEEP = 10_000
CONNECT_SECONDS = 10

FACTS = ("library", "timer", "activity")
"""Fields that say what the figures of a table rest on."""

AREA_DELAY = (Axis("min_period_ns", "smallest period, ns"), Axis("area_um2", "area, um2"))
ENERGY_AREA = (Axis("area_um2", "area, um2"), Axis("energy_pj_per_op", "energy, pJ an operation"))


@dataclass(frozen=True)
class Point:
    """One design with its settings, and how to measure it."""

    design: str
    settings: tuple[str, ...]
    options: Options
    group: str = ""
    is_baseline: bool = False

    @property
    def label(self) -> str:
        """What a person calls it."""
        return " ".join([self.design, *self.settings])


@dataclass(frozen=True)
class Sweep:
    """Points, and the groups in which some of them are compared."""

    points: list[Point]
    groups: list[Group]

    def gains(self, records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
        """Return rows of `scripts.gains.COLUMNS`."""
        members = [
            Member(point.group, name, point.is_baseline)
            for point in self.points
            if point.group and (name := _module(point))
        ]
        return gains(self.groups, members, records)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep.

    The file has tables ``[[sweep]]`` with ``design`` (a design or a preset), ``set`` (a table:
    a value, or a list of values to try, by parameter), ``periods`` (targets in ns), ``power``
    (false leaves it out), ``flat``, ``quick`` and ``operands``. Each list multiplies the points.
    ``group`` names a table ``[[group]]`` with ``name`` and, where a paper states them,
    ``published`` gains in ``area`` and ``energy`` efficiency; ``baseline = true`` makes points the
    side compared with.

    Raises
    ------
    ValueError
        One line that names the key, its value and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"sweep: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"sweep: {path} is not a TOML file: {error}") from error
    entries = table.pop("sweep", None)
    groups = [_group(entry, path) for entry in table.pop("group", [])]
    if table or not isinstance(entries, list) or not entries:
        raise ValueError(f"sweep: {path} must hold tables [[sweep]] and [[group]] and nothing else")
    points = [point for entry in entries for point in _points(entry, path)]
    names = [group.name for group in groups]
    for point in points:
        if point.group and point.group not in names:
            hint = nearest(point.group, names)
            raise ValueError(f"sweep: group in {path}: {point.group!r} has no [[group]]{hint}")
    if len(points) > LARGEST_SWEEP:
        raise ValueError(f"sweep: {path} has {len(points)} points, more than {LARGEST_SWEEP}")
    return Sweep(points, groups)


def _group(entry: dict[str, Any], path: Path) -> Group:
    for key in entry:
        if key not in _GROUP_KEYS:
            hint = nearest(key, _GROUP_KEYS)
            raise ValueError(
                f"sweep: {key!r} in a group of {path} is not one of {_GROUP_KEYS}{hint}"
            )
    name, published = entry.get("name"), entry.get("published", {})
    if not isinstance(name, str) or not name:
        raise ValueError(f"sweep: name of a group in {path}: {name!r} is not a name")
    if not isinstance(published, dict) or not all(
        key in EFFICIENCY and isinstance(value, int | float) for key, value in published.items()
    ):
        raise ValueError(
            f"sweep: published in {path}: {published!r} is not a table of numbers {[*EFFICIENCY]}"
        )
    return Group(name, published)


def _points(entry: dict[str, Any], path: Path) -> Iterator[Point]:
    for key in entry:
        if key not in _POINT_KEYS:
            hint = nearest(key, _POINT_KEYS)
            raise ValueError(f"sweep: {key!r} in {path} is not one of {_POINT_KEYS}{hint}")
    design, ranges = entry.get("design"), entry.get("set", {})
    if not isinstance(design, str):
        raise ValueError(f"sweep: design in {path}: {design!r} is not the name of a design")
    if not isinstance(ranges, dict):
        raise ValueError(f"sweep: set in {path}: {ranges!r} is not a table")
    group = entry.get("group", "")
    if not isinstance(group, str):
        raise ValueError(f"sweep: group in {path}: {group!r} is not a name")
    for key in ("power", "flat", "quick", "baseline"):
        if not isinstance(entry.get(key, False), bool):
            raise ValueError(f"sweep: {key} in {path}: {entry[key]!r} is not true or false")
    periods = entry.get("periods", [])
    if not isinstance(periods, list) or not all(isinstance(p, int | float) for p in periods):
        raise ValueError(f"sweep: periods in {path}: {periods!r} is not a list of numbers")
    options = Options(
        periods_ns=tuple(check_period(float(period), "periods") for period in periods),
        flat=entry.get("flat", False),
        quick=entry.get("quick", False),
        power=entry.get("power", True),
        operands=str(Operands.parse(str(entry.get("operands", "uniform")))),
    )
    lists = [value if isinstance(value, list) else [value] for value in ranges.values()]
    for values in itertools.product(*lists):
        settings = tuple(f"{key}={_text(v)}" for key, v in zip(ranges, values, strict=True))
        yield Point(design, settings, options, group, entry.get("baseline", False))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Tools:
    """The tools that all points of a sweep are measured with."""

    timer: str
    activity: str

    @classmethod
    def here(cls) -> "Tools":
        """Return the tools of this machine."""
        return cls(choose_timer(), activity_source())

    def check(self) -> None:
        """Refuse a worker that has others: its figures would stand in the same table.

        Raises
        ------
        ValueError
            Naming both.
        """
        for name, wanted, found in zip(
            ("timer", "activity"), astuple(self), astuple(Tools.here()), strict=True
        ):
            if wanted != found:
                raise ValueError(f"{name}: a worker has {found}, the sweep is of {wanted}")


def measure_point(point: Point, library: str | None, tools: Tools) -> Measurement | str:
    """Measure one point, or say in one line why it failed; runs in a worker."""
    try:
        tools.check()
        # Progress of a worker would be noise between that of the others.
        with redirect_stderr(io.StringIO()):
            selection = select(point.design, point.settings)
            cells = find_library(library)
            return measure(selection.design, selection.config, cells, point.options)
    except Exception as error:  # whatever it is: one point must not lose the others
        return (str(error).splitlines() or [type(error).__name__])[0]


def _place(point: Point, library: Library) -> Path | None:
    """Return the file that keeps the measurement of a point, `None` for settings that are wrong."""
    try:
        selection = select(point.design, point.settings)
    except ValueError:
        return None  # its row will say it
    emission = emit(selection.design.component, selection.config)
    return place_of(emission, library, selection.design, point.options)


def _module(point: Point) -> str | None:
    """Return the name of the module of a point, `None` for settings that are wrong."""
    with suppress(ValueError):
        selection = select(point.design, point.settings)
        return selection.design.component(selection.config).name
    return None


def _records(point: Point, found: Measurement | str) -> list[dict[str, Any]]:
    if isinstance(found, str):
        return [asdict(Record(design=point.label, error=found))]
    return [asdict(record) for record in found.records]


def run_points(
    points: Sequence[Point], library: str | None, scheduler: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Measure points on a cluster, those apart that were measured before.

    Parameters
    ----------
    scheduler
        Address of a running one; by default a local cluster of a worker a core.

    Returns
    -------
    records, lost
        Records in the order of the points; why the cluster was lost, if it was.

    Raises
    ------
    ValueError
        When the scheduler does not answer.
    """
    cells = find_library(library)
    places = [_place(point, cells) for point in points]
    found: dict[int, Measurement | str] = {}
    for index, place in enumerate(places):
        kept = None if place is None else kept_measurement(place)
        if kept is not None:
            found[index] = kept
    lost = None
    waiting = [i for i in range(len(points)) if i not in found]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{len(found)} kept", total=len(points), completed=len(found))
        try:
            for index, result in _on_cluster(points, waiting, library, scheduler):
                found[index] = result
                place = places[index]
                # Workers elsewhere keep it where this process does not look.
                if place is not None and isinstance(result, Measurement):
                    keep_measurement(place, result)
                wrong = "failed: " if isinstance(result, str) else ""
                progress.update(task, advance=1, description=wrong + points[index].label)
        except ConnectionError as error:
            lost = str(error)
    return [r for i in sorted(found) for r in _records(points[i], found[i])], lost


def _on_cluster(
    points: Sequence[Point], waiting: Sequence[int], library: str | None, scheduler: str | None
) -> Iterator[tuple[int, Measurement | str]]:
    """Yield what `measure_point` returned for points as it comes.

    Raises
    ------
    ConnectionError
        When the cluster is lost on the way.
    FlowError
        When a local one does not start.
    """
    if not waiting:
        return
    # It takes a second to import.
    from distributed import Client, LocalCluster, as_completed

    # What goes wrong is said once, here.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    where = library if library is None else str(Path(library).resolve())
    tools = Tools.here()
    if scheduler is None:
        try:
            cluster = LocalCluster(
                n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address="127.0.0.1:0"
            )
        except (OSError, RuntimeError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise FlowError(f"sweep: the local cluster does not start: {why}") from error
        client = Client(cluster)
    else:
        cluster = None
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise ValueError(f"scheduler: nothing answers at {scheduler!r}") from error
    try:
        futures = {
            client.submit(measure_point, points[i], where, tools, pure=False, retries=0): i
            for i in waiting
        }
        for future in as_completed(futures):
            if future.status != "finished":
                raise ConnectionError(f"the cluster was lost: a point was {future.status}")
            yield futures[future], future.result()
    finally:
        client.close(timeout=2)
        if cluster is not None:
            cluster.close(timeout=5)


def with_values(records: Sequence[dict[str, Any]], axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return the records that have a value on every axis."""
    return [record for record in records if all(record[axis.key] is not None for axis in axes)]


def values_of(records: Sequence[dict[str, Any]], key: str) -> list[str]:
    """Return the different values of a field; of an activity, which tool and which operands."""
    found = (str(record[key]).partition(" operands")[0] for record in records if record[key])
    return list(dict.fromkeys(found))


def flat_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with a column for each parameter."""
    named = {f"parameter.{key}": str(v) for key, v in record["parameters"].items()}
    rest = {key: value for key, value in record.items() if key != "parameters"}
    return rest | named


def write_tables(records: Sequence[dict[str, Any]], stem: Path) -> list[Path]:
    """Write records as CSV and Parquet."""
    import pyarrow
    from pyarrow import csv, parquet

    rows = [flat_row(record) for record in records]
    columns = list(dict.fromkeys(key for one in rows for key in one))
    table = pyarrow.table({key: [one.get(key) for one in rows] for key in columns})
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_suffix(".csv"), stem.with_suffix(".parquet")]
    for file, write in zip(files, (csv.write_csv, parquet.write_table), strict=True):
        partial = file.with_name(f".{file.name}")
        write(table, partial)
        partial.replace(file)
    return files


def run(args: argparse.Namespace) -> int:
    """Run a sweep, write its tables and its plots."""
    sweep = read_sweep(args.file)
    points = sweep.points
    if args.no_power:
        points = [replace(p, options=replace(p.options, power=False)) for p in points]
    if args.quick:
        points = [replace(p, options=replace(p.options, quick=True)) for p in points]
    records, lost = run_points(points, args.library, args.scheduler)
    stem = (args.output or BUILD / "sweep") / args.file.stem
    files = write_tables(records, stem) if records else []
    good = [record for record in records if not record["error"]]
    plots = {}
    for name, axes in (("area-delay", AREA_DELAY), ("energy-area", ENERGY_AREA)):
        drawn = with_values(good, axes)
        if drawn:
            plots[stem.with_name(f"{stem.name}-{name}.svg")] = pareto_plot(drawn, *axes)
    write_atomically(plots)
    files += plots
    if args.json:
        named = [dict(zip(COLUMNS_OF_GAINS, one, strict=True)) for one in sweep.gains(records)]
        shown = [str(file) for file in files]
        print_json({"records": records, "gains": named, "files": shown, "lost": lost})
    else:
        cells = [[record["design"], *row(Record(**record))] for record in good]
        print_table(["design", *COLUMNS], cells, args.file.stem)
        if compared := sweep.gains(records):
            print_table(COLUMNS_OF_GAINS, compared)
        print_table(None, [[key, value] for key in FACTS for value in values_of(good, key)])
        failed = [[record["design"], record["error"]] for record in records if record["error"]]
        if failed:
            print_table(["failed", "error"], failed)
        print_table(None, [["file", file] for file in files])
    if lost:
        raise FlowError(f"sweep: {lost}; {len(records)} records are kept, run it again to resume")
    return Status.OK
