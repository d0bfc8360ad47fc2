"""Simulation of a module of a netlist on test vectors: the waveform of every net."""

import functools
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from scripts.ppa.activity import Activity, read_activity
from scripts.ppa.errors import FlowError
from scripts.ppa.flat import MODULE, FlatNetlist, PortBit
from scripts.ppa.models import cell_models
from scripts.ppa.sdf import Delays, to_sdf
from scripts.ppa.vectors import Bits, Vectors
from sim.job import Job
from sim.runner import build
from sim.simulate import run_bench
from sim.tools import Tool, find_program

CLOCK = "clk"
STEPS_PER_NS = 10_000
"""Resolution of the waveforms: 0.1 ps."""

WAVES = "waves.vcd"


def write_vectors(flat: FlatNetlist, vectors: Vectors, folder: Path) -> list[str]:
    """Write ``inputs.hex`` and ``outputs.hex``; return the names of the outputs that count.

    Raises
    ------
    ValueError
        When the vectors lack an input of the netlist.
    """
    given = [bit for bit in flat.input_bits if bit.port != CLOCK]
    missing = {bit.port for bit in given} - set(vectors.inputs)
    if missing:
        raise ValueError(f"vectors: no values for input {min(missing)} of {flat.module}")
    expected = _expected(flat, vectors)
    for name, bits, values in (
        ("inputs.hex", given, vectors.inputs),
        ("outputs.hex", expected, vectors.outputs),
    ):
        columns = [values[bit.port][:, bit.place] for bit in bits]
        none = np.zeros((vectors.cycles, 0), np.uint8)
        _write_hex(folder / name, np.stack(columns, axis=1) if columns else none)
    return [f"{bit.port}[{bit.place}]" for bit in expected]


def _expected(flat: FlatNetlist, vectors: Vectors) -> list[PortBit]:
    return [bit for bit in flat.output_bits if bit.port in vectors.outputs]


def _write_hex(path: Path, bits: Bits) -> None:
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8 or (0 if bits.shape[1] else 8))))
    octets = np.packbits(padded, axis=1, bitorder="little")[:, ::-1]
    path.write_text("".join(f"{row.tobytes().hex()}\n" for row in octets))


def _connections(flat: FlatNetlist) -> tuple[list[str], int]:
    """Return the netlist's port connections, and the number of inputs beside the clock."""
    ports: list[str] = []
    inputs = 0
    for bit in flat.input_bits:
        if bit.port == CLOCK:
            ports.append(f".n{bit.net}({CLOCK})")
        else:
            ports.append(f".n{bit.net}(in[{inputs}])")
            inputs += 1
    return ports + [f".n{net}(out{net})" for net in flat.output_nets], inputs


def _lines(items: Iterable[str]) -> str:
    """Return a list of items, one a line: tools limit the length of a line."""
    return ",\n    ".join(items)


def _declarations(flat: FlatNetlist, vectors: Vectors) -> tuple[str, str, int]:
    """Return what both test benches declare, the bits they compare, and how many these are.

    Outputs are single wires. A simulator would work out a vector of them at every toggle of one.
    """
    ports, inputs = _connections(flat)
    shown = [f"out{bit.net}" for bit in _expected(flat, vectors)]
    wires = "".join(f"  wire out{net};\n" for net in flat.output_nets)
    return (
        f"""\
  localparam CYCLES = {vectors.cycles};
  reg [{max(inputs, 1) - 1}:0] in;
  reg [{max(inputs, 1) - 1}:0] inputs [0:CYCLES-1];
  reg [{max(len(shown), 1) - 1}:0] outputs [0:CYCLES-1];
  integer place;
{wires}  {MODULE} dut ({_lines(ports)});
""",
        "{" + (_lines(reversed(shown)) or "1'b0") + "}",
        len(shown),
    )


def delayed_testbench(flat: FlatNetlist, vectors: Vectors, period_ns: float) -> str:
    """Return a test bench that annotates delays: module ``testbench``, a cycle each period."""
    declarations, shown, bits = _declarations(flat, vectors)
    period = round(period_ns * STEPS_PER_NS)
    high = period // 2
    return f"""\
`timescale 100fs/100fs
module testbench;
  reg {CLOCK};
{declarations}  reg [{max(bits, 1) - 1}:0] shown;
  integer cycle;
  initial begin
    $sdf_annotate("delays.sdf", dut);
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    $dumpfile("{WAVES}");
    {CLOCK} = 0;
    in = 0;
    #{period};
    for (cycle = 0; cycle < CYCLES; cycle = cycle + 1) begin
      {CLOCK} = 1;
      // Registers that hold the old inputs sample them at the edge.
      #1 in = inputs[cycle];
      #{high - 1} {CLOCK} = 0;
      #{period - high - 1};
      shown = {shown};
      if (cycle >= {vectors.first} && shown !== outputs[cycle])
        for (place = 0; place < {bits}; place = place + 1)
          if (shown[place] !== outputs[cycle][place]) begin
            $display("DIFFERS %0d %0d", cycle, place);
            $finish;
          end
      // The edge that begins the first measured cycle is measured too.
      if (cycle == {vectors.first - 1}) $dumpvars(1, dut);
      #1;
    end
    $display("END %0d", $time);
    $finish;
  end
endmodule
"""


def cycle_testbench(flat: FlatNetlist, vectors: Vectors) -> str:
    """Return a test bench without delays: module ``testbench``, clocked from outside."""
    declarations, shown, bits = _declarations(flat, vectors)
    return f"""\
module testbench (input wire {CLOCK}, output reg done, output reg [31:0] wrong,
                  output reg [31:0] cycle);
{declarations}  wire [{max(bits, 1) - 1}:0] shown = {shown};
  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    done = 0;
    wrong = 0;
    cycle = 0;
    in = 0;
  end
  always @(posedge {CLOCK}) in <= inputs[cycle];
  always @(negedge {CLOCK}) if (!done) begin
    if (cycle >= {vectors.first} && shown !== outputs[cycle])
      for (place = {bits - 1}; place >= 0; place = place - 1)
        if (shown[place] !== outputs[cycle][place]) begin
          wrong <= place + 1;
          done <= 1;
        end
    if (cycle == CYCLES - 1) done <= 1;
    else if (cycle < {vectors.first} || shown === outputs[cycle]) cycle <= cycle + 1;
  end
endmodule
"""


def simulate_delays(
    flat: FlatNetlist, vectors: Vectors, period_ns: float, delays: Delays, folder: Path
) -> Activity:
    """Simulate a module with the delays of its cells in Icarus Verilog.

    Parameters
    ----------
    folder
        Takes the files of the simulation.

    Raises
    ------
    sim.tools.MissingTool
        When Icarus Verilog is not installed.
    FlowError
        When an output is not what the vectors say.
    """
    compiler, runtime = find_icarus()
    names = write_vectors(flat, vectors, folder)
    (folder / "testbench.v").write_text(delayed_testbench(flat, vectors, period_ns))
    (folder / "netlist.v").write_text(flat.to_verilog())
    (folder / "cells.v").write_text(cell_models(flat.library, {c.type for c in flat.cells}))
    (folder / "delays.sdf").write_text(to_sdf(flat, delays))
    command = [str(compiler.path), "-g2005", "-gspecify", "-Ttyp", "-s", "testbench"]
    # The cells' delays are in ns; Icarus takes a file's resolution from its last `timescale.
    command += ["-o", "simulation.vvp", "cells.v", "netlist.v", "testbench.v"]
    output = ""
    for step in (command, [str(runtime.path), "-n", "simulation.vvp"]):
        run = subprocess.run(
            step, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        output = run.stdout + run.stderr
        if run.returncode:
            lines = output.strip().splitlines() or ["no output"]
            raise FlowError(f"{Path(step[0]).name}: {lines[0]}")
    words = next((w for w in map(str.split, output.splitlines()) if w and w[0] == "DIFFERS"), None)
    if words is not None:
        raise _differs(flat, names[int(words[2])], words[1], f"it may not settle in {period_ns} ns")
    if "END " not in output:
        lines = output.strip().splitlines() or ["no output"]
        raise FlowError(f"netlist: simulation of {flat.module} stopped: {lines[-1]}")
    return read_activity(flat, folder / WAVES)


def simulate_cycles(flat: FlatNetlist, vectors: Vectors, folder: Path) -> Activity:
    """Simulate a module without delays in Verilator: a net switches at most once a clock edge.

    Raises
    ------
    FlowError
        When an output is not what the vectors say.
    """
    names = write_vectors(flat, vectors, folder)
    verilog = folder / "testbench.v"
    models = cell_models(flat.library, {c.type for c in flat.cells}, primitives=False)
    verilog.write_text(models + flat.to_verilog() + cycle_testbench(flat, vectors))
    ports = [CLOCK, "done", "wrong", "cycle"]
    simulator = build(verilog, "testbench", ports, waves="vcd")
    job = Job("", {}, options={"cycles": vectors.cycles})
    outcome = run_bench(simulator, "sim.bench_vectors", job, {}, folder, waves=True)
    if outcome.result["wrong"]:
        raise _differs(flat, names[outcome.result["wrong"] - 1], outcome.result["cycle"], "")
    assert outcome.run.waveform is not None
    # The clock rises first after half a period.
    begin = (2 * vectors.first + 1) * outcome.result["period_steps"] // 2
    return read_activity(flat, outcome.run.waveform, begin)


def _differs(flat: FlatNetlist, output: str, cycle: object, hint: str) -> FlowError:
    what = f"netlist: {output} of {flat.module} is wrong in cycle {cycle}"
    return FlowError("; ".join(filter(None, [what, hint])))


@functools.cache
def find_icarus() -> tuple[Tool, Tool]:
    """Find Icarus Verilog's compiler and its run time.

    Raises
    ------
    sim.tools.MissingTool
        When they are not on ``PATH``.
    """
    fix = "apt install iverilog"
    return find_program("iverilog", fix, "-V"), find_program("vvp", fix, "-V")
