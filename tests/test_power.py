"""Power of circuits small enough to work out by hand from the Liberty tables."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from scripts.ppa.activity import Activity
from scripts.ppa.errors import FlowError
from scripts.ppa.flat import FlatNetlist, read_modules
from scripts.ppa.liberty import Group, parse
from scripts.ppa.library import nangate45
from scripts.ppa.netlist import ModuleCells, Netlist
from scripts.ppa.power import Energy, module_energy, power
from scripts.ppa.sdf import opensta_delays, parse_sdf
from scripts.ppa.testbench import simulate_cycles, simulate_delays
from scripts.ppa.vectors import Vectors
from sim.bench_function import to_bits
from sim.player import PortField

CYCLES = 40
BIT = PortField("bit", 1, False)
FIRST = 4
VOLTAGE = 1.1
LOAD_FF = 7.0  # of an output port, as the library says

Simulate = Callable[[FlatNetlist, Vectors, Path], Activity]


def cycles(flat: FlatNetlist, vectors: Vectors, folder: Path) -> Activity:
    return simulate_cycles(flat, vectors, folder)


def delays(flat: FlatNetlist, vectors: Vectors, folder: Path) -> Activity:
    return simulate_delays(flat, vectors, 2.0, opensta_delays(flat, folder), folder)


missing = [tool for tool in ("sta", "iverilog") if shutil.which(tool) is None]
SIMULATIONS = [
    cycles,
    pytest.param(
        delays,
        marks=pytest.mark.skipif(
            bool(missing),
            reason=f"{', '.join(missing)} not installed: apt install opensta iverilog",
        ),
    ),
]


class Book:
    """The Liberty file, read by hand: tables are looked up by SciPy."""

    def __init__(self) -> None:
        path = nangate45().liberty
        library = parse(path.read_text(), path)
        self.cells = {g.names[0]: g for g in library.all("cell")}
        self.templates = {g.names[0]: g for g in library.groups if g.kind.endswith("template")}

    def pin(self, cell: str, name: str) -> Group:
        return next(pin for pin in self.cells[cell].all("pin") if pin.names == [name])

    def capacitance(self, cell: str, pin: str) -> float:
        return float(self.pin(cell, pin).attributes["capacitance"])

    def arc(self, cell: str, pin: str, kind: str, related: str = "", when: str = "") -> Group:
        def states(text: str) -> set[str]:
            return set(text.replace("(", "").replace(")", "").split(" & "))

        (found,) = (
            group
            for group in self.pin(cell, pin).all(kind)
            if group.attributes.get("related_pin", "") == related
            and states(group.attributes.get("when", "")) == states(when)
        )
        return found

    def look(self, arc: Group, table: str, *point: float) -> float:
        group = next(group for group in arc.groups if group.kind == table)
        if group.names == ["scalar"]:
            return float(group.attributes["values"])
        indices = self.templates[group.names[0]].attributes | group.attributes
        axes = [[float(x) for x in indices[f"index_{i + 1}"].split(",")] for i in range(len(point))]
        values = np.array(
            [float(x) for x in group.attributes["values"].replace("\\", "").split(",")]
        )
        grid = values.reshape([len(axis) for axis in axes])
        look = RegularGridInterpolator(axes, grid, bounds_error=False, fill_value=None)
        return float(look(np.atleast_2d(point))[0])

    def both(self, arc: Group, what: str, *point: float) -> float:
        """Mean of a rise and a fall."""
        if what == "transition":
            names = ["rise_transition", "fall_transition"]
        else:
            names = ["rise_power", "fall_power"]
        return sum(self.look(arc, name, *point) for name in names) / 2

    def driven_slew(self, load: float) -> float:
        """Transition of an input, from the driving cell."""
        return self.both(self.arc("INV_X2", "ZN", "timing", "A"), "transition", 0.0, load)

    def leakage(self, cell: str, when: str) -> float:
        wanted = set(when.split(" & "))
        return next(
            float(state.attributes["value"])
            for state in self.cells[cell].all("leakage_power")
            if set(state.attributes.get("when", "").split(" & ")) == wanted
        )


BOOK = Book()


def charge(load_ff: float) -> float:
    """FJ of a toggle, half of what a rise takes from the supply."""
    return load_ff * VOLTAGE**2 / 2


def module(verilog: str, folder: Path) -> FlatNetlist:
    file = folder / "circuit.v"
    file.write_text(verilog)
    netlist = Netlist(
        top="circuit",
        verilog=file,
        library=nangate45(),
        flat=True,
        booth=False,
        adders="abc",
        period_ns=2.0,
        modules={"circuit": ModuleCells(0.0, {}, 1)},
        area_um2=0.0,
        flip_flops=0,
        memory_bits=0,
    )
    (found,) = read_modules(netlist)
    return found.flat


def toggling(start: int = 0) -> np.ndarray:
    return to_bits((np.arange(CYCLES) + start) % 2, BIT)


def energy_of(activity: Activity) -> tuple[float, float]:
    """FJ of a measured cycle, leakage apart, and the leakage in nW."""
    found = module_energy(activity)
    dynamic = sum(found.internal_fj.values()) + sum(found.switching_fj.values())
    return dynamic / (CYCLES - FIRST), found.leakage_nw


def constant(value: int) -> np.ndarray:
    return to_bits(np.full(CYCLES, value), BIT)


@pytest.mark.parametrize("simulate", SIMULATIONS)
def test_inverter_chain(simulate: Simulate, tmp_path: Path) -> None:
    flat = module(
        """module circuit(a, y); input a; output y; wire p, q;
        INV_X1 first(.A(a), .ZN(p)); INV_X1 second(.A(p), .ZN(q)); INV_X4 third(.A(q), .ZN(y));
        endmodule""",
        tmp_path,
    )
    vectors = Vectors({"a": toggling()}, {"y": 1 - toggling()}, FIRST)
    dynamic, leakage = energy_of(simulate(flat, vectors, tmp_path))
    slew, expected = BOOK.driven_slew(BOOK.capacitance("INV_X1", "A")), 0.0
    expected += charge(BOOK.capacitance("INV_X1", "A"))
    for cell, load in (
        ("INV_X1", BOOK.capacitance("INV_X1", "A")),
        ("INV_X1", BOOK.capacitance("INV_X4", "A")),
        ("INV_X4", LOAD_FF),
    ):
        internal = BOOK.arc(cell, "ZN", "internal_power", "A")
        expected += BOOK.both(internal, "power", slew, load) + charge(load)
        slew = BOOK.both(BOOK.arc(cell, "ZN", "timing", "A"), "transition", slew, load)
    assert dynamic == pytest.approx(expected, rel=0.02)
    states = [
        (BOOK.leakage(cell, "A") + BOOK.leakage(cell, "!A")) / 2
        for cell in ("INV_X1", "INV_X1", "INV_X4")
    ]
    assert leakage == pytest.approx(sum(states), rel=0.02)


@pytest.mark.parametrize("simulate", SIMULATIONS)
def test_flip_flop(simulate: Simulate, tmp_path: Path) -> None:
    flat = module(
        """module circuit(clk, d, q); input clk, d; output q;
        DFF_X1 state(.CK(clk), .D(d), .Q(q), .QN()); endmodule""",
        tmp_path,
    )
    late = np.concatenate([constant(0)[:1], toggling()[:-1]])
    vectors = Vectors({"d": toggling()}, {"q": late}, FIRST)
    dynamic, _ = energy_of(simulate(flat, vectors, tmp_path))
    clock, data = (BOOK.capacitance("DFF_X1", pin) for pin in ("CK", "D"))
    slew, slew_d = BOOK.driven_slew(clock), BOOK.driven_slew(data)
    # D changes after each rising edge, so that at the next one it is what Q is not.
    before = ["D & !Q & QN", "!D & Q & !QN"]
    rises = [BOOK.look(BOOK.arc("DFF_X1", "CK", "internal_power", "", w), "rise_power", slew)
             for w in before]  # fmt: skip
    falls = [BOOK.look(BOOK.arc("DFF_X1", "CK", "internal_power", "", w), "fall_power", slew)
             for w in before]  # fmt: skip
    expected = sum(rises) / 2 + sum(falls) / 2 + 2 * charge(clock)
    # With the clock high: D rises when Q has just fallen, and the other way round.
    hidden = [("CK & !Q & QN", "rise_power"), ("CK & Q & !QN", "fall_power")]
    expected += (
        charge(data)
        + sum(
            BOOK.look(BOOK.arc("DFF_X1", "D", "internal_power", "", when), table, slew_d)
            for when, table in hidden
        )
        / 2
    )
    expected += charge(LOAD_FF)
    expected += BOOK.both(BOOK.arc("DFF_X1", "Q", "internal_power", "CK"), "power", slew, LOAD_FF)
    expected += BOOK.both(BOOK.arc("DFF_X1", "QN", "internal_power", "CK"), "power", slew, 0.0)
    assert dynamic == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("simulate", SIMULATIONS)
def test_full_adder(simulate: Simulate, tmp_path: Path) -> None:
    flat = module(
        """module circuit(a, b, c, s, co); input a, b, c; output s, co;
        FA_X1 adder(.A(a), .B(b), .CI(c), .S(s), .CO(co)); endmodule""",
        tmp_path,
    )
    # With B at 1 and CI at 0 a change of A changes both outputs.
    inputs = {"a": toggling(), "b": constant(1), "c": constant(0)}
    outputs = {"s": 1 - toggling(), "co": toggling()}
    activity = simulate(flat, Vectors(inputs, outputs, FIRST), tmp_path)
    dynamic, _ = energy_of(activity)
    load = BOOK.capacitance("FA_X1", "A")
    slew = BOOK.driven_slew(load)
    when = "B & !CI"
    expected = charge(load) + 2 * charge(LOAD_FF)
    for pin in ("S", "CO"):
        arc = BOOK.arc("FA_X1", pin, "internal_power", "A", when)
        expected += BOOK.both(arc, "power", slew, LOAD_FF)
    assert dynamic == pytest.approx(expected, rel=0.02)

    found = power(module_energy(activity), 2.0, CYCLES - FIRST, CYCLES - FIRST)
    # fJ / ns is uW; energy has the leakage of the cycle in it.
    assert found.dynamic_mw == pytest.approx(dynamic / 2.0 * 1e-3)
    assert found.energy_pj == pytest.approx((found.dynamic_mw + found.leakage_mw) * 2.0)


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA: apt install opensta")
def test_outputs_bear_their_load(tmp_path: Path) -> None:
    flat = module(
        "module circuit(a, y); input a; output y; INV_X1 u(.A(a), .ZN(y)); endmodule", tmp_path
    )
    ((rise, fall),) = opensta_delays(flat, tmp_path)["u0"].values()
    arc = BOOK.arc("INV_X1", "ZN", "timing", "A")
    slew = BOOK.driven_slew(BOOK.capacitance("INV_X1", "A"))
    tables = ("cell_rise", "cell_fall")
    expected = sum(BOOK.look(arc, table, slew, LOAD_FF) for table in tables)
    assert rise + fall == pytest.approx(expected, rel=0.05)


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA: apt install opensta")
def test_the_clock_is_as_steep_for_many_registers(tmp_path: Path) -> None:
    def launch(registers: int) -> dict[tuple[str, str], tuple[float, float]]:
        cells = "".join(
            f"DFF_X1 u{i}(.CK(clk), .D(d), .Q(q[{i}]), .QN());" for i in range(registers)
        )
        ports = f"input clk, d; output [{registers - 1}:0] q;"
        flat = module(f"module circuit(clk, d, q); {ports} {cells} endmodule", tmp_path)
        return opensta_delays(flat, tmp_path)["u0"]

    assert launch(100) == launch(1)


@pytest.mark.parametrize(("unit", "ns"), [("1ns", 1.0), ("1ps", 0.001), ("100 fs", 0.0001)])
def test_delays_are_in_the_unit_of_the_file(unit: str, ns: float) -> None:
    text = f"(TIMESCALE {unit}) (INSTANCE u0) (IOPATH A ZN (20::40) (10::10))"
    assert parse_sdf(text) == {"u0": {("A", "ZN"): pytest.approx((30 * ns, 10 * ns))}}


@pytest.mark.parametrize("simulate", SIMULATIONS)
def test_a_wrong_netlist_is_found(simulate: Simulate, tmp_path: Path) -> None:
    flat = module(
        "module circuit(a, y); input a; output y; BUF_X1 u(.A(a), .Z(y)); endmodule", tmp_path
    )
    with pytest.raises(FlowError, match=r"y\[0\] of circuit is wrong in cycle 4"):
        simulate(flat, Vectors({"a": toggling()}, {"y": 1 - toggling()}, FIRST), tmp_path)


@pytest.mark.parametrize("simulate", SIMULATIONS)
def test_a_state_that_is_never_loaded_does_not_spread(simulate: Simulate, tmp_path: Path) -> None:
    """It is the same at both inputs of a gate, whatever it is."""
    flat = module(
        "module circuit(clk, a, y); input clk, a; output y; wire q, x, z;"
        "DFF_X1 r(.D(q), .CK(clk), .Q(q), .QN()); INV_X1 i(.A(q), .ZN(x)); "
        "XOR2_X1 g(.A(q), .B(x), .Z(z)); AND2_X1 h(.A1(z), .A2(a), .ZN(y)); endmodule",
        tmp_path,
    )
    vectors = Vectors({"a": toggling()}, {"y": toggling()}, FIRST)
    assert sum(energy_of(simulate(flat, vectors, tmp_path))) > 0


def test_power_needs_a_period() -> None:
    with pytest.raises(ValueError, match="period: 0"):
        power(Energy(), 0, 1, 1)
