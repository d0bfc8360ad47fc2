"""``rtloom errors``: what is printed, and what the documentation says that it prints."""

import json
import re
from pathlib import Path

import pytest

from golden.l_mul import paper_offset
from scripts.cli import main
from scripts.errors import MANTISSAS, ways

DOCS = Path(__file__).resolve().parent.parent / "docs" / "l_mul.md"


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["errors", *argv]) == 0
    return capsys.readouterr().out


def test_the_documented_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "--json"))["rows"]
    documented = re.findall(r"^\| (\d+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert len(documented) == len(rows)
    for row, (mantissa, rest) in zip(rows, documented, strict=True):
        product, ulps, *figures = rest.split(" | ")
        assert (int(mantissa), product) == (row["mantissa"], row["product"])
        assert ulps == ("-" if row["ulps"] is None else str(row["ulps"]))
        names = ("mean", "mean_magnitude", "rms", "largest", "equal", "gain", "noise")
        factors = (100, 100, 100, 100, 100, 1, 100)
        for name, factor, text in zip(names, factors, figures, strict=True):
            digits = len(text.partition(".")[2])
            assert text == "-" if row[name] is None else float(text) == pytest.approx(
                factor * row[name], abs=0.51 * 10**-digits
            ), (row, name)  # fmt: skip


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = [line.split() for line in printed(capsys, "--mantissa", "3", "--k", "16").splitlines()]
    assert ["3", "Mitchell", "0", "-3.78", "3.78", "4.93", "11.11", "60.9"] in [
        line[:8] for line in words
    ]
    assert not [line for line in words if line[:1] == ["4"]]


def test_seed(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--mantissa", "2", "2", "--k", "16", "--json", "--seed"]
    first, again, other = (json.loads(printed(capsys, *argv, seed)) for seed in "112")
    assert first == again and first["rows"][1]["gain"] != other["rows"][1]["gain"]
    assert len(first["rows"]) == len(list(ways(2)))


def test_ways_differ() -> None:
    for mantissa in MANTISSAS:
        found = list(ways(mantissa))
        assert len({way[1:] for way in found}) == len({way.name for way in found}) == len(found)
        assert paper_offset(mantissa) in {way.ulps for way in found}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--mantissa", "12"], "mantissa: '12' is not an integer in 1..11"),
        (["--k", "0"], "k: '0' is not an integer in 1..16384"),
        (["--offset", "1"], "--offset: not an argument of errors"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    assert main(["errors", *argv]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rtloom: {message}") and error.count("\n") == 1
