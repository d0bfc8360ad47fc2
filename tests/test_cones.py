"""The part of a netlist that is timed has the slack of the whole."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import config_of

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from scripts.ppa import synth
from scripts.ppa.cones import Cones
from scripts.ppa.library import nangate45
from scripts.ppa.memories import stub, timed_netlist
from scripts.ppa.netlist import ModuleCells, Netlist
from scripts.ppa.synth import TIGHT, Pool
from scripts.ppa.timing import CLOCK, analyse, choose_timer, opensta

pytestmark = pytest.mark.skipif(
    shutil.which("sta") is None, reason="no OpenSTA: apt install opensta"
)
OTHERS = (Kind.FUNCTION_UNIT, Kind.PIM_CHANNEL)
ENGINES = [name for name, design in DESIGNS.items() if design.kind not in OTHERS]
SIZE = {
    "rows": 3,
    "cols": 4,
    "width_a": 3,
    "width_b": 3,
    "k_max": 16,
    "width_acc": 12,
    "depth_a": 32,
    "depth_b": 32,
    "depth_c": 32,
    "depth_acc": 8,
    "group": 4,
    "length": 4,
    "width_scale": 1,
}


def check(netlist: Netlist, folder: Path) -> float:
    """Compare the part with the whole, and return the smallest period."""
    part = analyse(netlist, 1.0)
    folder = folder / "timed"
    folder.mkdir(exist_ok=True)
    timed = timed_netlist(netlist, folder, CLOCK)
    (whole,) = opensta(netlist.library, [(netlist.top, timed.verilog)], 1.0)
    assert part.worst_slack_ns == pytest.approx(whole.worst_slack_ns, abs=2e-5)
    assert [s.cell for s in part.path] == [s.cell for s in whole.path]
    arrivals = [step.arrival_ns for step in whole.path]
    assert [step.arrival_ns for step in part.path] == pytest.approx(arrivals, abs=2e-5)
    return part.min_period_ns


@pytest.mark.parametrize("name", ENGINES)
def test_engines(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "store", lambda: tmp_path)
    design = DESIGNS[name]
    emission = emit(design.component, config_of(design, **SIZE))
    pool = Pool(emission, nangate45(), False, choose_timer())
    pool.add(pool.recipes[:1], [TIGHT])
    netlist = pool.assemble(pool.choose(1.0), 1.0, tmp_path)
    check(netlist, tmp_path)
    cells = sum(sum(module.cells.values()) * module.count for module in netlist.modules.values())
    part = Cones(netlist, CLOCK)
    assert part.verilog.count(" u") < cells
    # Names lead back to the netlist.
    timed = timed_netlist(netlist, tmp_path / "timed", CLOCK)
    for step in analyse(netlist, 1.0).path:
        *path, cell = step.instance.split("/")
        module = timed.parsed[netlist.top]
        for name in path:
            module = timed.parsed[module["cells"][name]["type"]]
        assert module["cells"][cell]["type"] == step.cell


UNIT = """module unit(clk, i, pass_i, o, pass_o, one, same); input clk, i, pass_i;
output o, pass_o, one, same; wire q, s;
assign pass_o = pass_i; assign one = 1'b1; assign same = o;
DFF_X1 r(.CK(clk), .D(i), .Q(q), .QN());
FA_X1 f(.A(q), .B(pass_i), .CI(1'b0), .S(s), .CO()); INV_X1 v(.A(s), .ZN(o)); endmodule
"""
TOP = (
    UNIT
    + """module top(clk, x, y); input clk; input [1:0] x; output [2:0] y;
wire a, b, c, p, one; wire [2:0] same;
unit first(.clk(clk), .i(x[0]), .pass_i(x[1]), .o(a), .pass_o(p), .one(one), .same(same[0]));
unit second(.clk(clk), .i(a), .pass_i(p), .o(b), .pass_o(), .one(), .same(same[1]));
unit third(.clk(clk), .i(b), .pass_i(1'b0), .o(c), .pass_o(), .one(), .same());
NAND2_X1 both(.A1(a), .A2(one), .ZN(y[0])); assign y[1] = c;
{loads}
endmodule
"""
)
LOADS = "".join(f"INV_X4 load{i}(.A({{net}}), .ZN());\n" for i in range(20))


def netlist_of(loads: str, folder: Path) -> Netlist:
    file = folder / "top.v"
    file.write_text(TOP.replace("{loads}", loads))
    return Netlist(
        top="top",
        verilog=file,
        library=nangate45(),
        flat=False,
        booth=False,
        adders="abc",
        period_ns=1.0,
        modules={"top": ModuleCells(0.0, {}, 1), "unit": ModuleCells(0.0, {}, 3)},
        area_um2=0.0,
        flip_flops=3,
        memory_bits=0,
    )


def test_loads_and_ports_tell_instances_apart(tmp_path: Path) -> None:
    """Nets that pass through a module, constants from one, and a load on one of three alike."""
    plain = check(netlist_of("", tmp_path), tmp_path)
    for net in ("same[0]", "same[1]", "b", "p", "c"):
        loaded = check(netlist_of(LOADS.replace("{net}", net), tmp_path), tmp_path)
        assert loaded > plain + 0.005


def test_paths_through_memories(tmp_path: Path) -> None:
    """What a memory gives passes a gate and is written back: as slow as with flip-flops."""
    sums = """module sums(clk, i, o); input clk; input [1:0] i; output [1:0] o;
DFF_X1 r0(.CK(clk), .D(i[0]), .Q(o[0]), .QN()); DFF_X1 r1(.CK(clk), .D(i[1]), .Q(o[1]), .QN());
endmodule
"""
    ports = {"clk": ("input", 1), "i": ("input", 2), "o": ("output", 2)}
    periods = []
    for name, memory in (("sums", sums), ("memory_sums", stub("memory_sums", ports))):
        netlist = replace(netlist_of("", tmp_path), modules={"top": ModuleCells(0.0, {}, 1)})
        netlist.verilog.write_text(
            memory
            + f"""module top(clk); input clk; wire a, b, c;
{name} sums(.clk(clk), .i({{c, a}}), .o({{a, b}}));
FA_X1 f(.A(a), .B(b), .CI(1'b0), .S(), .CO(c)); endmodule
"""
        )
        timing = analyse(netlist, 1.0)
        periods.append(timing.min_period_ns)
    assert [step.instance for step in timing.path] == ["sums/o[0]", "f", "sums/i[1]"]
    assert periods[0] == periods[1] > 0.1


def test_a_loop_is_refused(tmp_path: Path) -> None:
    netlist = netlist_of("NAND2_X1 l(.A1(y[2]), .A2(b), .ZN(y[2]));", tmp_path)
    with pytest.raises(ValueError, match="netlist: l of top is in or behind a combinational loop"):
        Cones(netlist, CLOCK)
