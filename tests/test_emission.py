# amaranth: UnusedElaboratable=no
"""Emission: every design and preset, the same bytes every time, small for any size."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import config_of

from hw.catalog import DESIGNS, Kind
from hw.emit import Emission, emit
from hw.engine import EngineConfig
from hw.presets import PRESETS
from pe.config import parameters
from scripts.settings import select

KINDS = (Kind.GEMM_ENGINE, Kind.GROUPED_ENGINE)
ENGINES = [name for name, design in DESIGNS.items() if design.kind in KINDS]
REPOSITORY = Path(__file__).resolve().parent.parent

_PORT = re.compile(r"^  (input|output) +(?:wire|reg) *( signed)? *(?:\[(\d+):0\])? *(\w+),?$")
_EMIT_ALL = """
import sys
from pathlib import Path
from hw.catalog import DESIGNS
from hw.emit import emit
for design in DESIGNS.values():
    emit(design.component, design.config()).write(Path(sys.argv[1]))
"""


def emission(name: str, **settings: int) -> Emission:
    if settings:
        return emit(DESIGNS[name].component, config_of(DESIGNS[name], **settings))
    chosen = select(name)
    return emit(chosen.design.component, chosen.config)


def largest(name: str) -> int:
    """Most columns of an engine, or rows where it has no columns."""
    fields = DESIGNS[name].config.__dataclass_fields__
    return int(fields["cols" if "cols" in fields else "rows"].metadata["maximum"])


def modules(verilog: str) -> list[str]:
    return re.findall(r"^module (\w+)", verilog, re.MULTILINE)


def described_ports(result: Emission) -> list[dict[str, object]]:
    """Ports of the JSON as the Verilog has them, without what it says of their elements."""
    kept = ("name", "direction", "width", "signed")
    return [{key: port[key] for key in kept} for port in result.description["ports"]]


def verilog_ports(result: Emission) -> list[dict[str, object]]:
    header = result.verilog.split(f"module {result.name} (\n")[1].split("\n);")[0]
    ports = []
    for line in header.splitlines():
        match = _PORT.match(line)
        assert match, line
        direction, signed, high, name = match.groups()
        ports.append(
            {
                "name": name,
                "direction": direction,
                "width": int(high or 0) + 1,
                "signed": signed is not None,
            }
        )
    return ports


def test_elements_of_ports() -> None:
    result = emission("systolic_modular")
    ports = {port["name"]: port for port in result.description["ports"]}
    assert (ports["i_a_data"]["element_width"], ports["i_a_data"]["element_signed"]) == (8, True)
    assert (ports["o_data"]["element_width"], ports["o_data"]["element_signed"]) == (28, False)
    assert "element_width" not in ports["i_a_last"]
    assert "// i_a_data: 16 elements of 8 bits, signed, first lowest.\n" in result.verilog


@pytest.mark.parametrize("name", [*DESIGNS, *PRESETS])
def test_json_and_verilog_agree(name: str) -> None:
    result = emission(name)
    assert result.description["name"] == result.name
    assert verilog_ports(result) == described_ports(result)
    found = modules(result.verilog)
    assert found[-1] == result.name
    assert len(set(found)) == len(found)
    assert set(found) == set(result.description["instances"])


@pytest.mark.parametrize("name", [*DESIGNS, *PRESETS])
def test_verilog_is_for_people(name: str) -> None:
    text = emission(name).verilog
    assert "(*" not in text
    assert "\\" not in text
    assert text.isascii()
    for module in modules(text):
        assert f"// {module}: " in text


@pytest.mark.parametrize("name", PRESETS)
def test_presets_keep_their_settings(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.design in DESIGNS
    config = select(name).config
    assert {key: getattr(config, key) for key in preset.settings} == dict(preset.settings)


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    folders = []
    for seed in ("0", "1"):
        folder = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _EMIT_ALL, str(folder)]
        subprocess.run(command, check=True, cwd=REPOSITORY, env=environment)
        folders.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert len(folders[0]) == 2 * len(DESIGNS)
    assert folders[0] == folders[1]


@pytest.mark.parametrize("name", ENGINES)
def test_size_grows_no_faster_than_rows_plus_cols(name: str) -> None:
    edges = (16, largest(name) // 2, largest(name))
    small, middle, large = (len(emission(name, rows=n, cols=n).verilog) for n in edges)
    assert middle < 150_000
    assert middle <= small * edges[1] / edges[0]
    assert large <= middle * edges[2] / edges[1]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 5), (5, 1), (256, 1), (1, 256)])
def test_extreme_shapes(name: str, rows: int, cols: int) -> None:
    rows, cols = min(rows, largest(name)), min(cols, largest(name))
    result = emission(name, rows=rows, cols=cols)
    assert verilog_ports(result) == described_ports(result)
    config = config_of(DESIGNS[name], rows=rows, cols=cols)
    values = {path: value for path, _, value in parameters(config)}
    assert result.description["parameters"] == values


@pytest.mark.parametrize("name", ENGINES)
def test_every_pe_counts_as_an_instance(name: str) -> None:
    config = config_of(DESIGNS[name], rows=3, cols=5)
    assert isinstance(config, EngineConfig)
    pes = DESIGNS[name].component(config).macs_per_cycle // config.terms
    instances = emission(name, rows=3, cols=5).description["instances"]
    assert [count for module, count in instances.items() if module.startswith("cell_")] == [pes]


def test_weights_of_a_sum_in_carry_save_form() -> None:
    """Bits of the port that nobody could make sense of otherwise."""
    result = emission("compressor_tree", words=3, width=4)
    assert result.description["weights"] == {"sum": [*range(6), *range(6)]}
    assert "weights" not in emission("mac").description


def test_written_files_hold_the_emission(tmp_path: Path) -> None:
    result = emission("mac")
    verilog, description = result.write(tmp_path / "new" / "folder")
    assert verilog.read_text() == result.verilog
    assert json.loads(description.read_text()) == result.description
    assert set(verilog.parent.iterdir()) == {verilog, description}


TAKES_FP4 = [
    name
    for name, design in DESIGNS.items()
    for path, field, _ in parameters(design.config())
    if path.rpartition(".")[2] == "pe" and "fp4" in field.metadata["allowed"]()
]


@pytest.mark.parametrize("name", TAKES_FP4)
def test_what_codes_stand_for_is_told(name: str) -> None:
    design = DESIGNS[name]
    emission = emit(design.component, design.config.from_settings({"pe": "fp4"}))
    assert emission.description["element_of_b"] == "FP4 E2M1, the sign in the top bit"
    assert "//   element_of_c = counts quarters" in emission.verilog
    plain = emit(design.component, design.config())
    assert "element_of" not in plain.verilog
