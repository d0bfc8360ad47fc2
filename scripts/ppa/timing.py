"""Static timing of a mapped netlist: OpenSTA where it is installed, ABC's own figure elsewhere.

Every path counts against the clock: input to register, register to register, register to output
and, where a design has no register, input to output. Inputs arrive with the clock edge from the
library's driving cell, outputs must be there at the next one and bear the library's load. Wires
have no capacitance of their own, the clock no skew. Ports of memories count as registers.
"""

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.ppa.cones import Cones
from scripts.ppa.errors import FlowError
from scripts.ppa.library import Library
from scripts.ppa.memories import timed_netlist
from scripts.ppa.netlist import Netlist
from sim.tools import MissingTool, Tool, run_text, version_in

ABC = "ABC"
CLOCK = "clk"

LARGEST = 2_000_000
"""Most cells that OpenSTA is given: it takes some kilobytes for each."""

_PRELUDE = """\
proc analyse {{top file period}} {{
  puts "#### $top"
  read_verilog $file
  link_design $top
  set inputs {{}}
  set clocks {{}}
  foreach port [all_inputs] {{
    set list [expr {{[get_full_name $port] eq "{clock}" ? "clocks" : "inputs"}}]
    lappend $list $port
  }}
  if {{[llength $clocks]}} {{
    create_clock -name {clock} -period $period $clocks
  }} else {{
    create_clock -name {clock} -period $period
  }}
  if {{[llength $inputs]}} {{
    set_input_delay 0 -clock {clock} $inputs
    set_driving_cell -lib_cell {driving_cell} $inputs
  }}
  if {{[llength [all_outputs]]}} {{
    set_output_delay 0 -clock {clock} [all_outputs]
    set_load {load} [all_outputs]
  }}
  # Nets are capacitances without resistance: the default calculator finds the same, slower.
  set_delay_calculator lumped_cap
  report_checks -path_delay max -format full -fields {{input_pins nets}} -digits 5
}}
read_liberty {{{liberty}}}
"""
_PIN = re.compile(r"^ +(?:-?[\d.]+ +)?(-?[\d.]+) [v^] (\S+)/(\S+) \((\S+)\)$", re.MULTILINE)
_NET = re.compile(r"^ *\d* +(\S+) \(net\)$")
_SLACK = re.compile(r"(-?[\d.]+) +slack \(")


@dataclass(frozen=True)
class PathStep:
    """One cell of a path: its library cell, instance, output net, and arrival time there in ns."""

    cell: str
    instance: str
    net: str
    arrival_ns: float


@dataclass(frozen=True)
class Timing:
    """Timing of a netlist at one period.

    Attributes
    ----------
    timer
        ``"OpenSTA VERSION"`` or ``"ABC"``.
    worst_slack_ns
        Over all path groups; negative when the period is not met.
    min_period_ns
        Smallest period that meets.
    path
        The critical path; the last step is the register or port where it ends.
    """

    timer: str
    worst_slack_ns: float
    min_period_ns: float
    path: list[PathStep]


@functools.cache
def find_opensta() -> Tool:
    """Find OpenSTA.

    Raises
    ------
    MissingTool
        When it is not on ``PATH``.
    """
    on_path = shutil.which("sta")
    if on_path is None:
        raise MissingTool("OpenSTA", "no sta on PATH", "apt install opensta")
    return Tool("OpenSTA", Path(on_path), version_in(run_text([on_path, "-version"])), "system")


def timer_load(library: Library) -> float:
    """Return the load of outputs in the library's unit of capacitance, as `set_load` takes it."""
    return library.load_pf * 1e-12 / library.parsed.capacitance_unit


def choose_timer(name: str | None = None) -> str:
    """Return the timer to use: ``"OpenSTA VERSION"``, or ``"ABC"``.

    Parameters
    ----------
    name
        ``"opensta"`` or ``"abc"`` to insist; by default OpenSTA where it is installed.

    Raises
    ------
    MissingTool
        When OpenSTA is insisted on and absent.
    """
    if name == "abc":
        return ABC
    try:
        return f"OpenSTA {find_opensta().version}"
    except MissingTool:
        if name == "opensta":
            raise
        return ABC


def check_period(period_ns: float, name: str = "period") -> float:
    """Return a period in ns.

    Raises
    ------
    ValueError
        When it is not a positive finite number.
    """
    if not 0 < period_ns < float("inf"):
        raise ValueError(f"{name}: {period_ns} ns is not a positive number")
    return period_ns


def analyse(netlist: Netlist, period_ns: float, timer: str | None = None) -> Timing:
    """Return the timing of a netlist at a clock period.

    Parameters
    ----------
    period_ns
        Clock period.
    timer
        What `choose_timer` returned; by default what it returns.

    Raises
    ------
    ValueError
        When the period is not positive, or the netlist too large for OpenSTA.
    """
    check_period(period_ns)
    if (timer or choose_timer()) == ABC:
        return _abc(netlist, period_ns)
    cells = sum(sum(m.cells.values()) * m.count for m in netlist.modules.values())
    if cells > LARGEST:
        raise ValueError(
            f"design: {netlist.top} has {cells} cells; OpenSTA gets at most {LARGEST}: choose "
            "fewer rows or columns, or --timer abc, which looks at each module by itself"
        )
    with tempfile.TemporaryDirectory() as folder:
        netlist = timed_netlist(netlist, Path(folder), CLOCK)
        if all(module.count == 1 for module in netlist.modules.values()):
            return opensta(netlist.library, [(netlist.top, netlist.verilog)], period_ns)[0]
        part = Cones(netlist, CLOCK)
        file = Path(folder, "cones.v")
        file.write_text(part.verilog)
        timing = opensta(netlist.library, [(netlist.top, file)], period_ns)[0]
    path = [
        replace(
            step,
            instance=part.cell_name(step.instance),
            net=part.net_name(step.net) if step.net else "",
        )
        for step in timing.path
    ]
    return replace(timing, path=path)


def min_period(netlist: Netlist, timer: str | None = None) -> Timing:
    """Return the timing of a netlist at the smallest period that it meets.

    A bisection would find the same: without latches slack is linear in the period.
    """
    timing = analyse(netlist, 1.0, timer)
    return replace(timing, worst_slack_ns=0.0)


def opensta(
    library: Library, designs: Sequence[tuple[str, Path]], period_ns: float
) -> list[Timing]:
    """Time designs, each a top module and a Verilog file, in one process.

    Empty modules of a file are black boxes: paths end and begin at them untimed.

    Raises
    ------
    FlowError
        When OpenSTA reports an error.
    """
    tool = find_opensta()
    script = _PRELUDE.format(
        clock=CLOCK,
        driving_cell=library.driving_cell,
        load=timer_load(library),
        liberty=library.liberty,
    )
    period = period_ns * 1e-9 / library.parsed.time_unit
    for top, file in designs:
        script += f"analyse {{{top}}} {{{file}}} {period}\n"
    with tempfile.TemporaryDirectory() as folder:
        commands = Path(folder, "timing.tcl")
        commands.write_text(script + "exit\n")
        done = subprocess.run(
            [tool.path, "-no_splash", "-exit", commands],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    errors = [line for line in done.stdout.splitlines() if line.startswith("Error")]
    reports = done.stdout.split("#### ")[1:]
    if errors or done.returncode or len(reports) != len(designs):
        last = errors[0] if errors else f"exit status {done.returncode}"
        raise FlowError(f"sta: {last}")
    scale = library.parsed.time_unit / 1e-9
    timer = f"OpenSTA {tool.version}"
    return [_timing(report, period_ns, scale, timer) for report in reports]


def _timing(report: str, period_ns: float, scale: float, timer: str) -> Timing:
    """Read the report of one design: a path for every path group."""
    worst, steps = period_ns, []
    for path in report.split("Startpoint:")[1:]:
        slack = float(_SLACK.findall(path)[-1]) * scale
        if slack < worst:
            worst, steps = slack, _steps(path.split("data arrival time")[0], scale)
    return Timing(timer, worst, round(period_ns - worst, 5), steps)


def _steps(path: str, scale: float) -> list[PathStep]:
    lines = path.splitlines()
    pins = [(i, match) for i, line in enumerate(lines) if (match := _PIN.match(line))]
    steps: list[PathStep] = []
    for position, (i, pin) in enumerate(pins):
        instance, cell = pin[2], pin[4]
        last = position == len(pins) - 1
        follows = None if last else pins[position + 1][1]
        if follows is not None and follows[2] == instance:
            continue  # an input of a cell whose output comes next
        net = _NET.match(lines[i + 1]) if i + 1 < len(lines) else None
        steps.append(PathStep(cell, instance, net[1] if net else "", float(pin[1]) * scale))
    return steps


def _abc(netlist: Netlist, period_ns: float) -> Timing:
    """Combine ABC's delay of each module's logic with the flip-flop's own times."""
    worst, steps = 0.0, list[PathStep]()
    for name, module in netlist.modules.items():
        registers = any(netlist.library.cells[cell].sequential for cell in module.cells)
        delay = module.logic_ns + (netlist.library.register_overhead_ns if registers else 0.0)
        if delay > worst:
            worst = delay
            steps = [PathStep(cell, name, "", arrival) for cell, arrival in module.logic_path]
    return Timing(ABC, period_ns - worst, round(worst, 5), steps)
