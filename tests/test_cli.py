"""The command line: what it prints, and how it refuses bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

import pytest

from hw.catalog import DESIGNS
from hw.emit import Emission
from hw.presets import PRESETS
from scripts import doctor
from scripts.cli import main
from scripts.status import Status
from sim.doctor import ToolReport
from sim.results import SimulationError
from sim.tools import MissingTool

REPOSITORY = Path(__file__).resolve().parent.parent


class Outcome(NamedTuple):
    """Exit status of a command and what it printed."""

    status: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run ``rtloom`` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: str | Path) -> Outcome:
        status = main([str(argument) for argument in argv])
        return Outcome(status, *capfd.readouterr())

    return run


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def refuses(cli: Cli, *argv: str | Path, says: str) -> None:
    """Check status 2 and one line on standard error that holds every part of `says`."""
    before = files(Path.cwd())
    status, out, err = cli(*argv)
    assert (status, out) == (Status.BAD_INPUT, "")
    assert err.startswith("rtloom: ")
    assert err.count("\n") == 1
    for part in says.split(" | "):
        assert part in err
    assert files(Path.cwd()) == before


def test_list_names_every_design_and_preset(cli: Cli) -> None:
    status, out, err = cli("list")
    assert (status, err) == (Status.OK, "")
    assert "…" not in out
    for design in DESIGNS.values():
        row = next(line for line in out.splitlines() if line.startswith(f"{design.name} "))
        assert all(text in row for text in (design.kind.value, design.summary, design.source))
    for preset in PRESETS.values():
        row = next(line for line in out.splitlines() if line.startswith(f"{preset.name} "))
        assert all(text in row for text in (preset.design, preset.summary, preset.source))


def test_list_as_json(cli: Cli) -> None:
    listing = json.loads(cli("list", "--json").out)
    assert [row["name"] for row in listing["designs"]] == list(DESIGNS)
    assert [row["name"] for row in listing["presets"]] == list(PRESETS)


@pytest.mark.parametrize("name", DESIGNS)
def test_describe_says_what_the_emitted_json_says(cli: Cli, name: str) -> None:
    facts = json.loads(cli("describe", name, "--json").out)
    written = json.loads(cli("emit", name, "--json").out)
    emitted = json.loads(Path(written["json"]).read_text())
    assert facts["name"] == emitted["name"]
    assert facts["ports"] == emitted["ports"]
    assert {row["name"]: row["value"] for row in facts["parameters"]} == emitted["parameters"]
    status, out, _ = cli("describe", name)
    assert status == Status.OK
    for row in (*facts["parameters"], *facts["ports"]):
        assert any(line.startswith(f"{row['name']} ") for line in out.splitlines())


def test_emit_writes_two_files_and_prints_their_paths(cli: Cli) -> None:
    status, out, err = cli("emit", "systolic", "-s", "rows=2", "-s", "cols=3", "-o", "some/folder")
    assert (status, err) == (Status.OK, "")
    written = sorted(files(Path("some")))
    assert [path.suffix for path in written] == [".json", ".v"]
    assert all(f"{path} " in out for path in written)


def test_emit_by_default_below_build(cli: Cli) -> None:
    result = json.loads(cli("emit", "mac", "--json").out)
    assert Path(result["verilog"]).parent == Path("build", "verilog")
    assert result["bytes"] == Path(result["verilog"]).stat().st_size
    assert result["cpu_seconds"] > 0


@pytest.mark.parametrize("way", ["name", "option"])
def test_a_preset_gives_design_and_settings(cli: Cli, way: str) -> None:
    argv = ["scale_sim_os"] if way == "name" else ["--preset", "scale_sim_os"]
    parameters = {
        row["name"]: row["value"]
        for row in json.loads(cli("describe", *argv, "-s", "cols=8", "--json").out)["parameters"]
    }
    assert (parameters["rows"], parameters["cols"]) == (32, 8)


def test_a_file_gives_design_and_settings(cli: Cli) -> None:
    Path("design.toml").write_text('design = "systolic_ws"\nrows = 3\ncols = 4\nsigned_a = false\n')
    facts = json.loads(cli("describe", "--config", "design.toml", "-s", "rows=5", "--json").out)
    parameters = {row["name"]: row["value"] for row in facts["parameters"]}
    assert facts["design"] == "systolic_ws"
    assert (parameters["rows"], parameters["cols"], parameters["signed_a"]) == (5, 4, False)


def test_a_later_setting_overrides_an_earlier_one(cli: Cli) -> None:
    argv = ("describe", "systolic", "-s", "rows=5", "-s", "rows = 7", "--json")
    parameters = json.loads(cli(*argv).out)["parameters"]
    assert {row["name"]: row["value"] for row in parameters}["rows"] == 7


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("rows=0", "rows: 0 is not in 1..256"),
        ("rows=-4", "rows: -4 is not in 1..256"),
        ("rows=257", "rows: 257 is not in 1..256"),
        (f"rows={10**40}", "rows: 1000 | is not in 1..256"),
        ("rows=8.0", "rows: '8.0' is not an integer in 1..256"),
        ("rows=many", "rows: 'many' is not an integer in 1..256"),
        ("rows=", "rows: '' is not an integer in 1..256"),
        ("width_a=1", "width_a: 1 is not in 2..16"),
        ("width_b=17", "width_b: 17 is not in 0..16"),
        ("signed_a=maybe", "signed_a: 'maybe' is not true or false"),
        ("pe=mak", "pe: 'mak' is not one of | did you mean 'mac'?"),
        ("rowz=8", "rowz: is not a parameter | rows | did you mean 'rows'?"),
        ("width_acc=20", "width_acc: 20 is not in 32..63 | k_max=65536"),
        ("k_max=0", "k_max: 0 is not in 1.."),
        ("rows", "-s: 'rows' is not key=value"),
        ("=8", "-s: '=8' is not key=value"),
    ],
)
def test_bad_settings(cli: Cli, setting: str, says: str) -> None:
    refuses(cli, "emit", "systolic", "-s", setting, says=says)
    refuses(cli, "describe", "systolic", "-s", setting, says=says)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("emti", "command: 'emti' is not one of list, | did you mean 'emit'?"),
        ("emit", "design: none given"),
        ("emit systolc", "design: 'systolc' is not one that | did you mean 'systolic'?"),
        ("emit --preset tpu_v2", "preset: 'tpu_v2' is not one that | did you mean 'tpu_v1'?"),
        ("emit mac --preset tpu_v1", "'mac' | 'systolic_ws', the design of preset tpu_v1"),
        ("emit --preset tpu_v1 --config a.toml", "config: not allowed with argument --preset"),
        ("emit systolic --jsno", "--jsno: not an argument of emit; did you mean '--json'?"),
        ("emit systolic mac", "mac: not an argument of emit"),
        ("emit systolic -s", "expected one argument"),
        ("list --verbose", "--verbose: not an argument of list"),
        ("compare", "DESIGN"),
        ("sim systolic --m 0", "m: '0' is not an integer in 1.."),
        ("sim systolic --k -1", "k: '-1' is not an integer in 1.."),
        ("sim systolic --n 1e3", "n: '1e3' is not an integer in 1.."),
        ("sim systolic --n 99999999999", "n: '99999999999' is not an integer in 1.."),
        ("sim systolic --seed -1", "seed: '-1' is not an integer in 0.."),
        ("sim systolic --stalls 91", "stalls: '91' is not an integer in 0..90"),
        ("bench-sim --k x", "k: 'x' is not an integer in 1.."),
    ],
)
def test_bad_command_lines(cli: Cli, argv: str, says: str) -> None:
    refuses(cli, *argv.split(), says=says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rows = ", "design.toml is not a TOML file"),
        ('design = "systolc"', "design: 'systolc' in design.toml | did you mean 'systolic'?"),
        ("design = 3", "design: 3 in design.toml"),
        ('design = "systolic"\nrowz = 3', "rowz: is not a parameter | did you mean 'rows'?"),
        ('design = "systolic"\nrows = 8.0', "rows: 8.0 is not an integer in 1..256"),
        ('design = "systolic"\nrows = true', "rows: True is not an integer in 1..256"),
        ('design = "systolic"\nrows = [8]', "rows: [8] is not an integer in 1..256"),
        ('design = "systolic"\n[array]\nrows = 8', "array.rows: is not a parameter"),
        ("rows = 3", "design: none given"),
    ],
)
def test_bad_files(cli: Cli, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "design.toml").write_text(text)
    refuses(cli, "emit", "--config", "design.toml", says=says)


def test_files_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, "emit", "--config", "a.toml", says="a.toml cannot be read: No such file")
    refuses(cli, "emit", "--config", tmp_path, says="cannot be read: Is a directory")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    refuses(cli, "emit", "--config", "binary.toml", says="binary.toml is not a TOML file")


def test_an_output_path_that_is_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    refuses(cli, "emit", "mac", "-o", "taken", says="output: taken cannot be written")
    refuses(cli, "emit", "mac", "-o", "taken/below", says="output: taken/below cannot be written")
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("suffix", [".v", ".json"])
def test_a_folder_in_place_of_an_output_file(cli: Cli, tmp_path: Path, suffix: str) -> None:
    module = json.loads(cli("describe", "mac", "--json").out)["name"]
    (tmp_path / f"{module}{suffix}").mkdir()
    refuses(cli, "emit", "mac", "-o", ".", says="output: . cannot be written")


def test_an_output_folder_that_cannot_be_written(cli: Cli) -> None:
    # Not even the superuser can make a folder there.
    refuses(cli, "emit", "mac", "-o", "/proc/self/rtloom", says="cannot be written: No such file")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingTool("g++", "not found on PATH", "apt install g++"), Status.MISSING_TOOL),
        (SimulationError("mac", "a mismatch", Path("run.log")), Status.MISMATCH),
        (ValueError("k: 9 is not in 1..8"), Status.BAD_INPUT),
        (OSError("disk full"), Status.BAD_INPUT),
        (KeyboardInterrupt(), Status.INTERRUPTED),
    ],
)
def test_exit_status_of_errors(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: Status
) -> None:
    monkeypatch.setattr(Emission, "write", Mock(side_effect=error))
    outcome = cli("emit", "mac")
    assert (outcome.status, outcome.out) == (status, "")
    assert outcome.err == f"rtloom: {str(error) or 'interrupted'}\n"


@pytest.mark.parametrize(("required", "status"), [(True, Status.MISSING_TOOL), (False, Status.OK)])
def test_doctor_gives_the_fix(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, required: bool, status: Status
) -> None:
    report = ToolReport("g++", "compiles", required, False, "", "", "apt install g++")
    monkeypatch.setattr(doctor, "doctor", lambda: [report])
    outcome = cli("doctor")
    assert outcome.status == status
    assert "apt install g++" in outcome.out
    assert json.loads(cli("doctor", "--json").out)[0]["found"] is False


def test_help_without_a_command(cli: Cli) -> None:
    status, out, err = cli()
    assert (status, err) == (Status.OK, "")
    assert "doctor" in out


def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "scripts.cli", "list"]
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(command, cwd=REPOSITORY, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (Status.BROKEN_PIPE, b"")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "READ 0 0 0\nREED 0 1 2",
            "line 2: 'REED' is not one of GWRITE, HEADER, GEMV, READ, WRITE",
        ),
        ("# rows\nREAD 0 128 0", "line 2: row 128 is not in 0..127"),
        ("\nGEMV 8", "line 2: a GEMV without a header"),
        (
            "HEADER 1 8 2\nGEMV 8\nGEMV 8",
            "line 1: the header needs 71 cycles, and refresh leaves 38",
        ),
    ],
)
def test_bad_trace(cli: Cli, text: str, says: str) -> None:
    Path("trace").write_text(text)
    refuses(cli, "sim", "pim", "--trace", "trace", "-s", "timing.t_refi=450", says=says)


def test_a_model_that_does_not_fit_its_channels(cli: Cli) -> None:
    says = (
        "channels: 1 are too few for the weights, which take 98304 rows of a bank, and it has 32768"
    )
    refuses(cli, "pim-plan", "--channels", "1", "--batch", "256", says=says)
