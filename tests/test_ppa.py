"""``rtloom ppa``: every design in standard cells, and what the flow refuses."""

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers import UNPROVED, WIRES, config_of, designs

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from scripts.cli import main
from scripts.ppa import curve, synth, timing
from scripts.ppa.curve import Measurement, Options, measure
from scripts.ppa.equivalence import prove
from scripts.ppa.errors import FlowError
from scripts.ppa.flat import read_modules
from scripts.ppa.gatesim import REQUESTS, simulate_netlist
from scripts.ppa.library import Library, find_library, nangate45
from scripts.ppa.netlist import Netlist
from scripts.ppa.operands import Operands
from scripts.ppa.recipes import FULL_ADDERS, MAPPINGS, recipes
from scripts.ppa.record import Record
from scripts.ppa.synth import TIGHT, Pool
from scripts.ppa.timing import analyse, choose_timer, min_period
from scripts.ppa.workload import workload
from sim.results import SimulationError
from sim.tools import MissingTool

MEASURED = [name for name, d in DESIGNS.items() if d.kind is not Kind.PIM_CHANNEL]
SMALL: dict[str, int | str] = {
    "rows": 2,
    "cols": 2,
    "width_a": 4,
    "width_b": 4,
    "k_max": 16,
    "width_acc": 12,
    "depth_a": 32,
    "depth_b": 32,
    "depth_c": 32,
    "depth_acc": 8,
    "keys": 2,
    "values": 2,
    "tokens": 4,
    "window": 4,
    "block": 2,
    "length": 4,
    "format_a": "e2m1",
    "format_b": "e2m1",
}
PROCESSORS = [design.name for design in designs(Kind.PROCESSOR)]
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_opensta = pytest.mark.skipif(
    shutil.which("sta") is None, reason="no OpenSTA: apt install opensta"
)
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="no Icarus Verilog: apt install iverilog"
)

Capture = pytest.CaptureFixture[str]

ALL_RECIPES = {designs(kind)[0].name for kind in (Kind.FUNCTION_UNIT, Kind.GEMM_ENGINE)}


@pytest.fixture(autouse=True)
def results(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep results where no other run finds them, but this file's tests do."""
    folder = tmp_path_factory.getbasetemp() / "ppa"
    monkeypatch.setattr(synth, "store", lambda: folder)
    monkeypatch.setattr(curve, "store", lambda: folder)


def netlist_of(
    name: str,
    folder: Path,
    timer: str | None = None,
    library: Library | None = None,
    settings: dict[str, int] | None = None,
) -> Netlist:
    """Map a small instance of a design for speed, by the first recipe."""
    design = DESIGNS[name]
    emission = emit(design.component, config_of(design, **(settings or SMALL)))
    pool = Pool(emission, library or nangate45(), False, choose_timer(timer))
    pool.add(pool.recipes[:1], [TIGHT])
    return pool.assemble(pool.choose(1.0), 1.0, folder)


def check(record: Record, operations: int = 2) -> None:
    """Every figure is there, and those that follow from others do.

    A MAC is two operations, a result of a unit without MACs one.
    """
    absent = {"error"} if record.macs_per_cycle else {"error", "macs_per_cycle", "measured_on"}
    assert all(getattr(record, f.name) is not None for f in fields(record) if f.name not in absent)
    assert record.area_um2 and record.min_period_ns and record.gops and record.energy_pj_per_op
    assert record.fmax_mhz == pytest.approx(1000 / record.min_period_ns)
    assert record.gops_per_mm2 == pytest.approx(record.gops / record.area_um2 * 1e6)
    assert record.gops_per_w == pytest.approx(1000 * operations / record.energy_pj_per_op)
    assert 0 < record.leakage_mw < record.dynamic_mw  # type: ignore[operator]


@pytest.mark.parametrize("name", [n for n in MEASURED if n not in {*WIRES, *PROCESSORS}])
def test_every_design(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures, proofs, and the netlist bit-exact in the bench of the design.

    Mapped by all recipes where that is quick, and by one where it would take minutes.
    """
    if name not in ALL_RECIPES:
        monkeypatch.setattr(synth, "recipes", lambda *of: recipes(*of)[:1])
    monkeypatch.setattr(synth, "store", lambda: tmp_path)
    monkeypatch.setattr(curve, "store", lambda: tmp_path)
    design = DESIGNS[name]
    options = Options(periods_ns=(1.5,), prove=True, gates=True)
    # Scales make its accumulators wider.
    settings = SMALL | ({"width_acc": 0} if name == "systolic_grouped" else {})
    settings |= {"lanes": 2, "element_bits": 4} if name == "gemv_unit" else {}
    settings |= {"lanes": 2} if name == "adder_tree" else {}
    found = measure(design, config_of(design, **settings), nangate45(), options)
    (record,) = found.records
    check(record, operations=2 if hasattr(design.component, "macs_per_cycle") else 1)
    assert found.gates and found.gates.startswith("bit-exact")
    step = found.proofs[0]
    unproved = (
        design.component in UNPROVED or design.kind is Kind.STREAM_UNIT or name == "bit_slice"
    )
    assert step.result == "not proved: no proof method" if unproved else step.proved
    assert found.path and all(step.cell for step in found.path)
    assert sum(module.area_um2 for module in found.modules) == pytest.approx(record.area_um2)
    again = measure(design, config_of(design, **settings), nangate45(), options)
    assert again == found
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("name", PROCESSORS)
def test_processors(name: str, tmp_path: Path) -> None:
    """By one recipe, and without energy: all of it, for all modules, takes minutes."""
    design = DESIGNS[name]
    config = config_of(design, **SMALL)
    netlist = netlist_of(name, tmp_path)
    simulate_netlist(design, config, netlist, tmp_path / "bench")
    step, mapping = prove(design, config, netlist)
    assert step.result == "not proved: no proof method" and mapping.proved
    modules = read_modules(netlist)
    work = workload(design, config, modules, Operands("uniform"))
    assert "one GLU block" in work.description and work.operations < work.cycles
    assert all(vectors.cycles > work.cycles for vectors in work.vectors.values())


def test_a_pim_channel(tmp_path: Path) -> None:
    """By one recipe; its netlist runs a trace as the model has it."""
    settings = {"bank_rows": 4, "steps": 2, "lanes": 1, "columns": 2, "banks": 2, "queue": 2}
    design = DESIGNS["pim"]
    config = config_of(design, **settings)
    netlist = netlist_of("pim", tmp_path, settings=settings)
    outcome = simulate_netlist(design, config, netlist, tmp_path / "bench")
    assert outcome.result["commands"] > REQUESTS
    step, mapping = prove(design, config, netlist)
    assert step.result == "not proved: no proof method" and mapping.proved


def test_power_of_a_pim_channel(capsys: Capture) -> None:
    assert main(["ppa", "pim", "--period", "2"]) == 2
    error = "rtloom: power: that of a PIM channel is not measured; see --no-power"
    assert capsys.readouterr().err.splitlines() == [error]


def test_json_of_a_curve(capsys: Capture) -> None:
    argv = ["ppa", "multiply_add", "-s", "width_a=3", "-s", "width_b=3", "-s", "width_acc=8"]
    assert main([*argv, "--activity", "zero-delay", "--json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert len(found["curve"]) == 6
    assert found["library"] == "nangate45" and "zero-delay" in found["activity"]
    areas = [point["area_um2"] for point in found["curve"]]
    periods = [point["min_period_ns"] for point in found["curve"]]
    assert areas == sorted(areas, reverse=True) and periods == sorted(periods)
    assert {point["timer"] for point in found["curve"]} == {choose_timer()}
    assert all(key in found for key in Record.__dataclass_fields__)
    assert main(argv) == 0
    assert "critical path" in capsys.readouterr().out


def test_flat(capsys: Capture) -> None:
    argv = ["ppa", "systolic", "--period", "2", "--no-power", "--flat", "--gates", "--json"]
    sizes = ["-s", "rows=1", "-s", "cols=2", "-s", "width_a=3", "-s", "width_b=3", "-s", "k_max=4"]
    assert main([*argv, *sizes]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert found["flat"] and found["energy_pj_per_op"] is None
    assert found["gate_level_simulation"].startswith("bit-exact")


@pytest.mark.parametrize("name", ["mac"])
def test_netlist_mutant(name: str, tmp_path: Path) -> None:
    netlist = netlist_of(name, tmp_path)
    text = netlist.verilog.read_text()
    cells = list(re.finditer(r"\bNAND2_X\d\b", text))
    cell = cells[len(cells) // 2]
    wrong = cell[0].replace("NAND", "NOR")
    netlist.verilog.write_text(text[: cell.start()] + wrong + text[cell.end() :])
    netlist.modules[netlist.top].cells[wrong] = 1
    design = DESIGNS[name]
    with pytest.raises(SimulationError):
        simulate_netlist(design, config_of(design, **SMALL), netlist, tmp_path / "bench")


@needs_opensta
def test_smallest_period(tmp_path: Path) -> None:
    netlist = netlist_of("mac", tmp_path)
    smallest = min_period(netlist)
    for factor, meets in ((1.001, True), (0.999, False)):
        at = analyse(netlist, factor * smallest.min_period_ns)
        assert (at.worst_slack_ns >= 0) is meets
        assert at.min_period_ns == pytest.approx(smallest.min_period_ns, abs=1e-4)
    arrivals = [step.arrival_ns for step in smallest.path]
    assert arrivals == sorted(arrivals) and 0 < arrivals[-1] < smallest.min_period_ns
    assert smallest.path[0].cell.startswith("DFF")


def test_abc_times_where_it_is_asked_to(tmp_path: Path) -> None:
    found = min_period(netlist_of("mac", tmp_path, "abc"), "ABC")
    assert found.timer == "ABC" and found.path and 0.1 < found.min_period_ns < 3


def test_quick_is_some_of_the_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emission = emit(DESIGNS["mac"].component, config_of(DESIGNS["mac"], **SMALL))
    pool, few = (Pool(emission, nangate45(), False, "ABC", few) for few in (False, True))
    assert {recipe.mapping for recipe in few.recipes} == {"area", "balanced"}
    few.aim([1.5])
    (variants,) = few.modules.values()
    assert {timed.variant.recipe.front.booth for timed in variants} == {True}
    assert len(pool.recipes) > 4 == len(few.recipes)
    monkeypatch.setattr(curve, "store", lambda: tmp_path)
    config, periods = config_of(DESIGNS["mac"], **SMALL), (1.5,)
    (best,), (found,) = (
        measure(
            DESIGNS["mac"], config, nangate45(), Options(periods, quick=quick, power=False)
        ).records
        for quick in (False, True)
    )
    assert found.quick and not best.quick
    assert best.area_um2 is not None and found.area_um2 is not None
    assert found.area_um2 >= best.area_um2


def test_a_design_is_worth_its_recipes(tmp_path: Path) -> None:
    design = DESIGNS["mac"]
    emission = emit(design.component, config_of(design, **SMALL))
    pool = Pool(emission, nangate45(), False, "ABC")
    assert {recipe.front.booth for recipe in pool.recipes} == {False, True}
    pool.aim([1.0, 3.0])
    fast, small = (pool.assemble(pool.choose(p), p, tmp_path / str(p)) for p in (1.0, 3.0))
    assert small.area_um2 < fast.area_um2
    assert small.flip_flops == fast.flip_flops == 4 + 4 + 12 + 3


def test_modules_without_arithmetic_are_not_mapped_again_and_again() -> None:
    design = DESIGNS["systolic"]
    pool = Pool(emit(design.component, config_of(design, **SMALL)), nangate45(), False, "ABC")
    pool.add(pool.recipes, [TIGHT])
    assert {name: len(timed) for name, timed in pool.modules.items()} == {
        name: len(pool.recipes) if name in pool.structure.multiplies else len(MAPPINGS)
        for name in pool.structure.logic
        if name not in pool.structure.adds - pool.structure.multiplies
    } | {name: len(MAPPINGS) + 2 for name in pool.structure.adds - pool.structure.multiplies}


@needs_opensta
def test_full_adders_among_gates(tmp_path: Path) -> None:
    """Compressors that a generator wrote as XORs and majorities become full-adder cells."""
    design = DESIGNS["systolic"]
    config = config_of(design, **SMALL, pe="opt1", encoder_at="edge", stages=1)
    pool = Pool(emit(design.component, config), nangate45(), False, choose_timer())
    plain, *_ = pool.recipes
    (area, _) = (recipe for recipe in pool.recipes if recipe.front.adders == FULL_ADDERS)
    pool.add([plain, area], [TIGHT])
    chosen = {
        name: max((t.variant for t in timed), key=lambda v: v.recipe == area)
        for name, timed in pool.modules.items()
    }
    netlist = pool.assemble(chosen, 1.0, tmp_path)
    cell = next(m for name, m in netlist.modules.items() if name.startswith("cell"))
    assert cell.cells["FA_X1"] > 4
    outcome = simulate_netlist(design, config, netlist, tmp_path / "bench")
    assert outcome.result["products"]


@needs_opensta
def test_full_adder_cells(tmp_path: Path) -> None:
    design = DESIGNS["multiply_add"]
    config = config_of(design, **SMALL)
    pool = Pool(emit(design.component, config), nangate45(), False, choose_timer())
    recipes = [recipe for recipe in pool.recipes if recipe.front.adders == FULL_ADDERS]
    pool.add(recipes[:1], [TIGHT])
    netlist = pool.assemble(pool.choose(1.0), 1.0, tmp_path)
    assert netlist.adders == FULL_ADDERS and netlist.modules[netlist.top].cells["FA_X1"] > 4
    outcome = simulate_netlist(design, config, netlist, tmp_path / "bench")
    assert outcome.result["exhaustive"]


@needs_opensta
@needs_icarus
def test_energy_of_a_function_unit_is_that_of_all_its_modules() -> None:
    design, config = DESIGNS["lut_pe"], DESIGNS["lut_pe"].config()
    several, one = (
        measure(design, config, nangate45(), Options((1.5,), quick=True, flat=flat))
        for flat in (False, True)
    )
    assert len(several.modules) == 2 and len(one.modules) == 1
    energies = [found.records[0].energy_pj_per_op for found in (several, one)]
    assert energies[0] == pytest.approx(energies[1], rel=0.25)


def test_operands_and_delays_change_energy() -> None:
    design = DESIGNS["mac"]
    config = config_of(design, width_acc=20)
    energies = {
        (operands, delays): measure(
            design,
            config,
            nangate45(),
            Options(periods_ns=(1.5,), operands=operands, delays=delays),
        ).records[0].energy_pj_per_op
        for operands, delays in [("uniform", True), ("uniform", False), ("normal:4", True),
                                 ("digits", True)]
    }  # fmt: skip
    glitches = energies["uniform", True] / energies["uniform", False]  # type: ignore[operator]
    assert 1.3 < glitches < 4  # a multiplier's glitches are about half of its energy
    assert energies["normal:4", True] < energies["uniform", True]  # type: ignore[operator]
    assert energies["digits", True] < energies["uniform", True]  # type: ignore[operator]


@pytest.mark.skipif(not OSU018.exists(), reason=f"no {OSU018}: apt install qflow-tech-osu018")
def test_another_library(tmp_path: Path) -> None:
    file = tmp_path / "osu018.toml"
    file.write_text(f'name = "osu018"\nliberty = "{OSU018}"\nload_pf = 0.05\n')
    library = find_library(str(file))
    assert library.flip_flop.startswith("DFF") and library.full_adder is not None
    design = DESIGNS["mac"]
    options = Options(periods_ns=(4.0,), gates=True)
    found = measure(design, config_of(design, **SMALL), library, options)
    check(found.records[0])
    assert found.records[0].library == "osu018" and found.gates


def test_results_are_those_of_their_library(tmp_path: Path) -> None:
    """Another name, or other models in simulation, make another result."""
    design = DESIGNS["mac"]
    emission = emit(design.component, design.config())
    models = tmp_path / "models.v"
    models.write_text("")
    library = nangate45()
    others = [replace(library, name="other"), replace(library, verilog=models)]
    assert len({synth.key_of(emission, one) for one in (library, *others)}) == 3


def test_adder_cells_that_must_not_be_used(tmp_path: Path) -> None:
    file = tmp_path / "without.toml"
    file.write_text(f'liberty = "{nangate45().liberty}"\ndont_use = ["FA_*"]\n')
    library = find_library(str(file))
    assert library.full_adder is None


LIBERTY = """library (tiny) {{ time_unit : "1ns"; capacitive_load_unit (1, pf);
{cells} }}"""
INVERTER = """cell (INV) { area : 1; pin (A) { direction : input; capacitance : 0.01; }
  pin (Y) { direction : output; function : "!A"; } }"""
FLIP_FLOP = """cell (DFF) { area : 4; ff (IQ, IQN) { next_state : "D"; clocked_on : "C"; }
  pin (D) { direction : input; capacitance : 0.01; } pin (C) { direction : input; clock : true;
  capacitance : 0.01; } pin (Q) { direction : output; function : "IQ"; } }"""

BUFFER = INVERTER.replace("INV", "BUF").replace("!A", "A")
NAND = """cell (NAND) { area : 2; pin (A) { direction : input; } pin (B) { direction : input; }
  pin (Y) { direction : output; function : "!(A B)"; } }"""
ALL = INVERTER + BUFFER + NAND + FLIP_FLOP
TABLE = 'timing () { related_pin : "A"; cell_rise (scalar) { values ("oops"); } }'


@pytest.mark.parametrize(
    ("table", "liberty", "message"),
    [
        ('liberty = "absent.lib"', "", "absent.lib cannot be read"),
        ('liberty = "cells.lib"', "library (x) { cell (A", "cells.lib"),
        ('liberty = "cells.lib"', "a = b", "cells.lib:1: unexpected"),
        ('liberty = "cells.lib"', LIBERTY.format(cells=""), "has no cells"),
        ('liberty = "cells.lib"', LIBERTY.format(cells=INVERTER), "has no flip-flop"),
        ('liberty = "cells.lib"', LIBERTY.format(cells=INVERTER + FLIP_FLOP), "has no buffer"),
        ('libertY = "cells.lib"', "", "did you mean 'liberty'"),
        ("load_pf = 1.0", "", "has no key liberty"),
        ('liberty = "cells.lib"\nload_pf = "x"', "", "load_pf"),
        ("liberty = ", "", "not a TOML file"),
        ('liberty = "cells.lib"\ndont_use = ["INV"]', LIBERTY.format(cells=ALL), "has no inverter"),
        ('liberty = "cells.lib"\nload_pf = inf', LIBERTY.format(cells=ALL), "load_pf: inf"),
        (
            'liberty = "cells.lib"\ndriving_cell = "DFF"',
            LIBERTY.format(cells=ALL),
            "driving_cell: 'DFF' is not a gate",
        ),
        (
            'liberty = "cells.lib"',
            LIBERTY.format(cells=INVERTER.replace("function", TABLE + " function")),
            "'oops' in a table is not a number",
        ),
    ],
)
def test_bad_library(
    table: str, liberty: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "cells.lib").write_text(liberty)
    (tmp_path / "library.toml").write_text(table)
    assert main(["ppa", "mac", "--library", str(tmp_path / "library.toml")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--period", "0"], "period: '0' is not a positive number"),
        (["--period", "x"], "period: 'x' is not a positive number"),
        (["--period", "inf"], "period: 'inf' is not a positive number"),
        (["--operands", "gauss"], "operands: 'gauss' is not one of"),
        (["--operands", "normal:-1"], "operands: 'normal:-1'"),
        (["--timer", "sta"], "timer: invalid choice: 'sta'"),
        (["--library", "absent.toml"], "library: absent.toml cannot be read"),
        (["--flat", "-s", "rows=64", "-s", "cols=64", "--period", "2"], "flat: systolic_os_64x64"),
    ],
)
def test_bad_options(options: list[str], message: str, capsys: Capture) -> None:
    assert main(["ppa", "systolic", *options]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("rtloom: ")]
    assert out == "" and message in lines[0] and len(lines) == 1


def test_missing_opensta(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def absent() -> None:
        raise MissingTool("OpenSTA", "no sta on PATH", "apt install opensta")

    monkeypatch.setattr(timing, "find_opensta", absent)
    assert choose_timer() == "ABC"
    assert main(["ppa", "mac", "--timer", "opensta"]) == 3
    assert "apt install opensta" in capsys.readouterr().err


@needs_opensta
def test_a_refused_netlist(tmp_path: Path) -> None:
    netlist = netlist_of("mac", tmp_path)
    netlist.verilog.write_text("module broken(")
    with pytest.raises(FlowError, match="sta: "):
        analyse(netlist, 1.0)
