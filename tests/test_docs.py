"""README, catalogue and make targets agree."""

import re
import subprocess
from pathlib import Path

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from hw.engine import EngineConfig
from hw.systolic_os import SystolicOs, SystolicOsConfig

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_design_table() -> None:
    kinds = "|".join(kind.value for kind in Kind)
    rows = re.findall(rf"^\| `(\w+)` \| ({kinds}) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(d.name, d.kind.value, d.summary) for d in DESIGNS.values()]


def test_every_engine_of_every_pe_is_in_the_table() -> None:
    head, *rows = re.findall(r"^\| (?:`(\w+)`|PE) \|((?: [^|]+ \|){6})$", README, re.MULTILINE)
    engines = {d.name: d.config for d in DESIGNS.values() if d.kind is Kind.GEMM_ENGINE}
    assert re.findall(r"`(\w+)`", head[1]) == list(engines)
    for place, config in enumerate(engines.values()):
        assert issubclass(config, EngineConfig)
        shown = [pe for pe, cells in rows if cells.split(" |")[place].strip() == "yes"]
        assert sorted(shown) == sorted(config.pes)


def test_verilog_excerpt_is_what_is_emitted() -> None:
    excerpt = re.search(r"```verilog\n(.*?)```", README, re.DOTALL)
    assert excerpt
    assert excerpt[1] in emit(SystolicOs, SystolicOsConfig()).verilog


def test_make_targets_named_in_the_readme_exist() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^    ([a-z-]+) ", shown.stdout, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_links_of_the_readme_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).is_file(), link
