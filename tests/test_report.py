"""``rtloom report``: one page that needs nothing else, looked at in a browser."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import SEED, config_of

from hw.catalog import DESIGNS
from hw.emit import emit
from scripts.cli import main
from scripts.report import small
from scripts.schematic import schematic
from scripts.settings import Selection
from scripts.waveform import bench_waveform

Capture = pytest.CaptureFixture[str]
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    sizes = ["-s", "width_a=3", "-s", "width_b=3", "-s", "width_acc=8"]
    periods = ["--period", "0.6", "--period", "2"]
    assert main(["report", "multiply_add", *sizes, *periods, "--gates", "-o", str(folder)]) == 0
    return folder / "report.html"


def test_page_needs_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "url(" not in text and "@import" not in text and "fetch(" not in text
    assert text.count("<img") == 2 + 2 + 2  # all points, the design's, schematic and waveform
    assert (
        "<code>rtloom report multiply_add -s width_a=3 -s width_b=3 -s width_acc=8 "
        "--period 0.6 --period 2 --gates</code>"
    ) in text
    assert "<p>Library: nangate45. Timer: " in text
    assert "proved" in text and "bit-exact" in text and "2^14" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
def test_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    """It draws every picture, asks for nothing, and sorts a table on a click."""
    probe = """<script>
      const areas = () => [...document.querySelectorAll("table.sortable")[0].tBodies[0].rows]
        .map(row => Number(row.cells[2].textContent));
      const head = document.querySelectorAll("table.sortable")[0].tHead.rows[0].cells[2];
      const found = [areas()];
      head.click(); found.push(areas());
      head.click(); found.push(areas());
      addEventListener("load", () => {
        const images = [...document.images].map(i => i.complete && i.naturalWidth > 50);
        const asked = performance.getEntriesByType("resource")
          .filter(entry => !entry.name.startsWith("data:"));
        document.title = JSON.stringify({found, images, asked: asked.length});
      });
    </script></body>"""
    copy = tmp_path / "page.html"
    copy.write_text(page.read_text().replace("</body>", probe))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-sync", "--disable-component-update"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr
    text = title[1].replace("&quot;", '"')
    assert '"asked":0' in text
    assert re.search(r'"images":\[(true,?)+\]', text), text
    areas = [[int(x) for x in part.split(",")] for part in re.findall(r"\[(\d+,\d+)\]", text)]
    assert areas[1] == sorted(areas[0]) and areas[2] == sorted(areas[0], reverse=True)
    assert areas[1] != areas[2]


FIRST_OF_KIND = {design.kind: design.name for design in reversed(DESIGNS.values())}


@pytest.mark.parametrize("name", DESIGNS)
def test_pictures_of_every_design(name: str, tmp_path: Path) -> None:
    """A schematic of each; waves of one of each kind, and of others by the seed."""
    design = DESIGNS[name]
    instance = small(Selection(design, config_of(design)))
    emission = emit(design.component, instance.config)
    drawn = schematic(emission)
    assert drawn == schematic(emission)
    texts = {element.text for element in ElementTree.fromstring(drawn).iter() if element.text}
    ports = {port["name"] for port in emission.description["ports"]} - {"clk", "rst"}
    assert ports <= texts
    chosen = list(DESIGNS).index(name) % 8 == SEED % 8
    if not chosen and name not in FIRST_OF_KIND.values():
        return
    waves = bench_waveform(design, instance.config, tmp_path)
    assert all(port in waves for port in ports)


def test_bad_input(tmp_path: Path, capsys: Capture) -> None:
    assert main(["report", "-o", str(tmp_path)]) == 2
    assert "design: none given" in capsys.readouterr().err
    assert main(["report", "mac", "--period", "-1", "-o", str(tmp_path)]) == 2
    assert "period: '-1' is not" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
