"""``rtloom sweep``: points in parallel, kept results, failed points, tables and plots."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import pytest
from pyarrow import parquet

from scripts import sweep
from scripts.cli import main
from scripts.plots import Axis, pareto_front, pareto_plot
from scripts.ppa import synth
from scripts.ppa.timing import choose_timer
from scripts.sweep import Tools, read_sweep

Capture = pytest.CaptureFixture[str]

POINTS = """
[[sweep]]
design = "multiply_add"
set = { width_a = [2, 3], width_b = 2, width_acc = [8, 1] }
periods = [1.0]
power = false
"""


def sweep_file(folder: Path, text: str = POINTS) -> Path:
    file = folder / "points.toml"
    file.write_text(text)
    return file


def run(capsys: Capture, folder: Path, *argv: str) -> Any:
    assert main(["sweep", str(sweep_file(folder)), "-o", str(folder), "--json", *argv]) == 0
    return json.loads(capsys.readouterr().out)


def test_points_run_once_and_failures_are_rows(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(capsys, tmp_path)
    good = [record for record in first["records"] if not record["error"]]
    failed = [record for record in first["records"] if record["error"]]
    assert len(good) == len(failed) == 2
    assert all("width_acc: 1 is not in" in record["error"] for record in failed)
    assert {record["parameters"]["width_a"] for record in good} == {2, 3}

    names = sorted(Path(file).name for file in first["files"])
    assert names == ["points-area-delay.svg", "points.csv", "points.parquet"]
    with (tmp_path / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["area_um2"] for row in rows] == [
        "" if record["error"] else f"{record['area_um2']:.3f}".rstrip("0")
        for record in first["records"]
    ]
    table = parquet.read_table(tmp_path / "points.parquet").to_pylist()
    assert [row["min_period_ns"] for row in table] == [
        record["min_period_ns"] for record in first["records"]
    ]

    waiting: list[int] = []

    def cluster(_points: Any, indices: list[int], *_: Any) -> Any:
        waiting.extend(indices)
        return iter(())

    monkeypatch.setattr(sweep, "_on_cluster", cluster)
    second = run(capsys, tmp_path)
    assert second["records"] == good
    assert len(waiting) == len(failed)  # what failed is tried again, nothing else


def test_a_killed_sweep_resumes(tmp_path: Path) -> None:
    """The process and its workers are killed after the first result."""
    seed = time.time_ns() % 1000  # a point that no earlier run has measured
    widths = ", ".join(str(width) for width in range(40, 43))
    file = sweep_file(
        tmp_path,
        f'[[sweep]]\ndesign = "multiply_add"\nset = {{ width_a = 2, width_b = 2, width_acc = '
        f"[{widths}] }}\nperiods = [{1 + seed / 10_000}]\npower = false\n",
    )
    command = [sys.executable, "-m", "scripts.cli", "sweep", str(file), "-o", str(tmp_path)]
    before = set(synth.store().glob("*/measurement.json"))
    process = subprocess.Popen(
        [*command, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not set(synth.store().glob("*/measurement.json")) - before:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "points.csv").exists()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    records = json.loads(done.stdout)["records"]
    assert len(records) == 3 and not any(record["error"] for record in records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "must hold tables"),
        ("[[sweep]]\ndesing = 1", "did you mean 'design'"),
        ("[[sweep]]\nset = {}", "design in"),
        ('[[sweep]]\ndesign = "mac"\nset = 1', "set in"),
        ('[[sweep]]\ndesign = "mac"\nperiods = [0]', "periods: 0.0 ns is not a positive number"),
        ('[[sweep]]\ndesign = "mac"\nperiods = ["x"]', "periods in"),
        ('[[sweep]]\ndesign = "mac"\npower = 1', "power in"),
        ('[[sweep]]\ndesign = "mac"\noperands = "x"', "operands: 'x'"),
        ("[[sweep", "not a TOML file"),
        ('[[sweep]]\ndesign = "mac"\ngroup = "x"', "'x' has no [[group]]"),
        ('[[sweep]]\ndesign = "mac"\nbaseline = 1', "baseline in"),
        ('[[group]]\nnam = "x"\n[[sweep]]\ndesign = "mac"', "did you mean 'name'"),
        ('[[group]]\nname = 1\n[[sweep]]\ndesign = "mac"', "name of a group in"),
        (
            '[[group]]\nname = "x"\npublished = { speed = 2 }\n[[sweep]]\ndesign = "mac"',
            "published",
        ),
    ],
)
def test_bad_files(text: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["sweep", str(sweep_file(tmp_path, text)), "-o", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and len(captured.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.csv"))


def test_dead_scheduler(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(sweep, "kept_measurement", lambda _: None)
    argv = ["sweep", str(sweep_file(tmp_path)), "-o", str(tmp_path)]
    assert main([*argv, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("rtloom: ")]
    assert lines == ["rtloom: scheduler: nothing answers at 'tcp://127.0.0.1:9'"]


def test_a_local_cluster_that_does_not_start(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Nanny failed to start.\nmore")

    monkeypatch.setattr(distributed, "LocalCluster", refuse)
    monkeypatch.setattr(sweep, "kept_measurement", lambda _: None)
    assert main(["sweep", str(sweep_file(tmp_path)), "-o", str(tmp_path)]) == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("rtloom: ")]
    assert lines == ["rtloom: sweep: the local cluster does not start: Nanny failed to start."]


def test_a_lost_cluster_keeps_results(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cluster(points: Any, waiting: list[int], *_: Any) -> Any:
        yield waiting[0], sweep.measure_point(points[waiting[0]], None, Tools.here())
        raise ConnectionError("the cluster was lost: a point was cancelled")

    monkeypatch.setattr(sweep, "_on_cluster", cluster)
    monkeypatch.setattr(sweep, "kept_measurement", lambda _: None)
    assert main(["sweep", str(sweep_file(tmp_path)), "-o", str(tmp_path)]) == 1
    assert "1 records are kept, run it again to resume" in capsys.readouterr().err
    assert (tmp_path / "points.csv").exists()


def test_a_worker_with_other_tools(tmp_path: Path) -> None:
    """Timers and activities never mix in one table."""
    (point, *_) = read_sweep(sweep_file(tmp_path)).points
    for tools in (replace(Tools.here(), timer="T"), replace(Tools.here(), activity="A")):
        found = sweep.measure_point(point, None, tools)
        assert isinstance(found, str) and re.search(
            r"a worker has .*, the sweep is of [TA]$", found
        )


def test_the_table_says_what_it_rests_on(tmp_path: Path, capsys: Capture) -> None:
    assert main(["sweep", str(sweep_file(tmp_path)), "-o", str(tmp_path)]) == 0
    facts = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line]
    assert ["library", "nangate45"] in facts and ["timer", choose_timer().split()[0]] in facts


def test_points_multiply(tmp_path: Path) -> None:
    points = read_sweep(sweep_file(tmp_path)).points
    assert len(points) == 4
    assert points[0].label == "multiply_add width_a=2 width_b=2 width_acc=8"


def test_gains_over_a_baseline(tmp_path: Path, capsys: Capture) -> None:
    """Small multipliers against a wide one, worked out again from the records."""
    text = """
        [[group]]
        name = "narrow"
        published = { area = 1.5 }
        [[sweep]]
        group = "narrow"
        design = "multiply_add"
        set = { width_a = [2, 3], width_b = 2, width_acc = 8 }
        periods = [1.0]
        power = false
        [[sweep]]
        group = "narrow"
        baseline = true
        design = "multiply_add"
        set = { width_a = 4, width_b = 4, width_acc = 8 }
        periods = [1.0]
        power = false
    """
    assert main(["sweep", str(sweep_file(tmp_path, text)), "-o", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_width: dict[int, list[tuple[float, str]]] = {2: [], 4: []}
    for r in found["records"]:
        by_width[r["parameters"]["width_b"]].append((r["gops_per_mm2"], r["design"]))
    best, wide = max(by_width[2]), max(by_width[4])
    (gain,) = found["gains"]
    assert gain == {
        "group": "narrow",
        "efficiency": "area",
        "baseline": wide[1],
        "best design": best[1],
        "of the baseline": f"{wide[0]:.0f} GOPS/mm2",
        "of the best": f"{best[0]:.0f} GOPS/mm2",
        "gain": f"{best[0] / wide[0]:.2f}",
        "published gain": "1.50",
    }


def test_points_without_power_take_no_plot_from_others() -> None:
    axes = sweep.ENERGY_AREA
    rows = [{"area_um2": 1.0, "energy_pj_per_op": energy} for energy in (None, 2.0)]
    assert sweep.with_values(rows, axes) == rows[1:]
    assert sweep.with_values(rows[:1], axes) == []


def test_pareto_front() -> None:
    x, y = Axis("x", "x"), Axis("y", "y")
    rows = [{"x": a, "y": b, "design": "d"} for a, b in [(1, 5), (2, 3), (2, 4), (3, 3), (4, 1)]]
    assert [(row["x"], row["y"]) for row in pareto_front(rows, x, y)] == [(1, 5), (2, 3), (4, 1)]
    picture = pareto_plot(rows, x, y)
    assert picture == pareto_plot(rows, x, y) and picture.count("<svg") == 1
