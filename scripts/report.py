# amaranth: UnusedElaboratable=no
"""``rtloom report``: one HTML page with every table and plot, which needs nothing else."""

import argparse
import base64
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hw.emit import emit, write_atomically
from hw.grouped import GroupedConfig
from pe.config import parameters
from pe.registry import DERIVED
from scripts.gains import COLUMNS as COLUMNS_OF_GAINS
from scripts.output import print_json
from scripts.plots import pareto_plot
from scripts.ppa.command import COLUMNS, options_of, row
from scripts.ppa.curve import Measurement, measure
from scripts.ppa.library import find_library
from scripts.ppa.record import Record
from scripts.progress import step
from scripts.schematic import schematic
from scripts.settings import Selection, select
from scripts.status import Status
from scripts.sweep import (
    AREA_DELAY,
    ENERGY_AREA,
    FACTS,
    Sweep,
    read_sweep,
    run_points,
    values_of,
    with_values,
)
from scripts.waveform import bench_waveform
from sim.simulate import BUILD

_SMALL = {"rows": 2, "cols": 2, "lanes": 2, "width_a": 4, "width_b": 4}
_SMALL |= {"k_max": 16, "width_acc": 12, "length": 4}
_SMALL_DEPTH = 16
PAGE = "report.html"


def small(selection: Selection) -> Selection:
    """Return a small instance of the same design, for pictures."""
    settings: dict[str, Any] = {}
    for path, field, value in parameters(selection.config):
        name = path.rpartition(".")[2]
        if name in _SMALL:
            settings[path] = _SMALL[name]
        elif name.startswith("depth"):
            settings[path] = max(_SMALL_DEPTH, field.metadata["minimum"])
        else:
            settings[path] = value
    if isinstance(selection.config, GroupedConfig):
        settings["width_acc"] = DERIVED
    config = selection.design.config.from_settings(settings)
    return Selection(selection.design, config)


def section(selection: Selection, measurement: Measurement) -> dict[str, Any]:
    """Return what the page says of one design."""
    design, records = selection.design, measurement.records
    instance = small(selection)
    with tempfile.TemporaryDirectory() as folder:
        waveform = bench_waveform(design, instance.config, Path(folder))
    rows = [asdict(record) for record in records]
    axes = [AREA_DELAY, ENERGY_AREA] if rows[0]["energy_pj_per_op"] is not None else [AREA_DELAY]
    return {
        "name": records[0].design,
        "summary": design.summary,
        "source": design.source,
        "parameters": list(records[0].parameters.items()),
        "rows": [row(record) for record in records],
        "first": records[0],
        "plots": [_image(pareto_plot(rows, *pair)) for pair in axes],
        "proofs": [(p.subject, p.result, p.method, f"{p.seconds:.1f}") for p in measurement.proofs],
        "gates": measurement.gates,
        "path": [(s.cell, s.instance, s.net, f"{s.arrival_ns:.3f}") for s in measurement.path],
        "small": instance.config.name,
        "schematic": _image(schematic(emit(design.component, instance.config))),
        "waveform": _image(waveform),
    }


def page(
    title: str,
    command: str,
    records: Sequence[dict[str, Any]],
    sections: list[dict[str, Any]],
    gains: Sequence[tuple[str, ...]] = (),
) -> str:
    """Return the HTML page of records, of the designs' sections, and of gains over baselines."""
    good = [record for record in records if not record["error"]]
    plots = [
        _image(pareto_plot(drawn, *axes))
        for axes in (AREA_DELAY, ENERGY_AREA)
        if (drawn := with_values(good, axes))
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        command=command,
        columns=list(COLUMNS),
        all_rows=[(record["design"], *row(Record(**record))) for record in good],
        facts=[(key, values_of(good, key)) for key in FACTS],
        failed=[(record["design"], record["error"]) for record in records if record["error"]],
        plots=plots,
        gain_columns=COLUMNS_OF_GAINS,
        gains=gains,
        designs=sections,
    )


def _image(svg: str) -> str:
    """Return a picture as an image of its own: its styles and ids stay in it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _command(args: argparse.Namespace) -> str:
    """Return the command line that writes the same page."""
    words = ["rtloom", "report", *args.designs]
    words += [word for setting in args.settings for word in ("-s", setting)]
    words += [word for period in args.period or () for word in ("--period", f"{period:g}")]
    for option in ("sweep", "library", "timer", "operands", "activity", "seed"):
        value = getattr(args, option)
        if value not in (None, "uniform") and (option, value) != ("seed", 1):
            words += [f"--{option}", str(value)]
    flags = ("flat", "quick", "no_power", "gates")
    words += [f"--{flag.replace('_', '-')}" for flag in flags if getattr(args, flag)]
    return shlex.join(words)


def run(args: argparse.Namespace) -> int:
    """Measure what is asked for, and write the page."""
    if not args.designs and args.sweep is None:
        raise ValueError("design: none given; name designs or presets, or --sweep FILE.toml")
    selections = [select(name, args.settings) for name in args.designs]
    sweep = read_sweep(args.sweep) if args.sweep else Sweep([], [])
    library = find_library(args.library)
    # A page always says which proof each unit has.
    options = replace(options_of(args), prove=True)
    sections, records = [], []
    for selection in selections:
        measurement = measure(selection.design, selection.config, library, options)
        records += [asdict(record) for record in measurement.records]
        with step(f"drawing {selection.config.name}"):
            sections.append(section(selection, measurement))
    lost = None
    if sweep.points:
        swept, lost = run_points(sweep.points, args.library, args.scheduler)
        records += swept
    text = page("RTLoom report", _command(args), records, sections, sweep.gains(records))
    file = (args.output or BUILD / "report") / PAGE
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically({file: text})
    if args.json:
        print_json({"page": str(file), "records": records, "lost": lost})
    else:
        print(file)
    return Status.MISMATCH if lost else Status.OK
