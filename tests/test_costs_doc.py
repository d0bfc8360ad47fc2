"""The table of costs is consistent, and of what its sweep measures."""

import re
from pathlib import Path

import pytest

from scripts.sweep import read_sweep

ROOT = Path(__file__).resolve().parent.parent
DOCS = (ROOT / "docs" / "costs.md").read_text()
ROW = r"^\| (`.+?) \| (\d\.\d) \| N \| N \| .+? \| (.+?) \| N \| N \| .+ \|$"
ROWS = re.findall(ROW.replace("N", r"([\d.-]+)"), DOCS, re.MULTILINE)
ARRAY = r"^\| `.+ \| (\d+) \| ([\d.]+) \| [\d.]+ \| (\d+) \| (\d+) \| [\d.-]+ \|$"
MAC = {float(target): int(area) for name, target, area, *_ in ROWS if "32-bit" in name}


def test_ratios_are_those_of_the_areas() -> None:
    assert len(ROWS) > 60 and MAC.keys() == {1.2, 2.4, 3.6}
    for name, target, area, ratio, does, each, each_ratio in ROWS:
        # From 2.4 ns on the MAC is the same.
        mac = MAC.get(float(target), MAC[2.4])
        assert float(ratio) == pytest.approx(int(area) / mac, abs=0.006, rel=0.002), name
        rate = re.match(r"([\d/]+) MAC", does)
        assert (each == "-") == (rate is None) == (each_ratio == "-"), name
        if rate:
            top, _, below = rate[1].partition("/")
            of_one = int(area) * int(below or 1) / int(top)
            assert int(each) == pytest.approx(of_one, abs=0.6 + 2 * int(below or 1)), name
            assert float(each_ratio) == pytest.approx(of_one / mac, abs=0.006, rel=0.002), name


def test_designs_are_those_of_the_sweep() -> None:
    points = read_sweep(ROOT / "examples" / "mixed.toml").points
    found = {p.design for p in points if p.design != "pe"}
    found |= {s.removeprefix("pe=") for p in points for s in p.settings if s.startswith("pe=")}
    arrays = DOCS[DOCS.index("## Arrays") : DOCS.index("## Bounds")]
    named = [re.findall(r"`(\w+)`", name)[:1] for name, *_ in ROWS]
    named += [
        re.findall(r"`(\w+)`", name)[:2] for name in re.findall(r"^\| (`.+?) \|", arrays, re.M)
    ]
    assert found == {name for names in named for name in names if name != "float32"}


def test_ratios_of_arrays() -> None:
    rows = re.findall(ARRAY, DOCS, re.M)
    assert len(rows) > 10
    for area, ratio, macs, each in rows:
        assert float(ratio) == pytest.approx(int(area) / int(rows[0][0]), abs=0.006)
        assert int(each) == pytest.approx(int(area) / int(macs), abs=0.6)
