"""Delays of a netlist's cells for simulation: OpenSTA calculates, Icarus Verilog reads.

Icarus 11 leaves a cell's default delays, without a word, where an ``IOPATH`` stands in a ``COND``
or where the chosen one of minimum, typical and maximum is empty, and OpenSTA writes both. Hence
each path from pin to pin gets one delay a direction: the mean over its states and over minimum
and maximum. Wires have no length; OpenSTA's ``INTERCONNECT`` and timing checks are left out.
"""

import re
import subprocess
from pathlib import Path

from scripts.ppa.errors import FlowError
from scripts.ppa.flat import MODULE, FlatNetlist
from scripts.ppa.slews import clock_nets
from scripts.ppa.timing import find_opensta, timer_load

_TIMESCALE = re.compile(r"\(TIMESCALE\s+(\d+)\s*([munpf]?)s\s*\)")
_NS = {"": 1e9, "m": 1e6, "u": 1e3, "n": 1.0, "p": 1e-3, "f": 1e-6}
_EVENT = re.compile(
    r"\(INSTANCE\s+(?P<instance>\S+?)\s*\)"
    r"|\(IOPATH\s+(?:\(\w+\s+)?(?P<start>[^\s()]+)\)?\s+(?P<end>[^\s()]+)"
    r"\s*\((?P<rise>[^()]*)\)(?:\s*\((?P<fall>[^()]*)\))?"
)

Delays = dict[str, dict[tuple[str, str], tuple[float, float]]]
"""By instance, then by (from pin, to pin): delay of a rise and of a fall of the output, ns."""


def opensta_delays(flat: FlatNetlist, folder: Path) -> Delays:
    """Return the delay of each path through each cell, from OpenSTA.

    Parameters
    ----------
    folder
        Takes ``netlist.v``, ``delays.tcl`` and ``opensta.sdf``.

    Raises
    ------
    sim.tools.MissingTool
        When there is no OpenSTA.
    FlowError
        When it refuses the netlist.
    """
    sta = find_opensta()
    netlist, script, sdf = folder / "netlist.v", folder / "delays.tcl", folder / "opensta.sdf"
    netlist.write_text(flat.to_verilog())
    sdf.unlink(missing_ok=True)
    script.write_text(_script(flat, netlist, sdf))
    run = subprocess.run(
        [str(sta.path), "-no_splash", "-exit", str(script)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if not sdf.exists():
        lines = [line for line in (run.stdout + run.stderr).splitlines() if "Error" in line]
        raise FlowError(f"sta: {lines[0] if lines else 'wrote no SDF'}")
    return parse_sdf(sdf.read_text())


def _script(flat: FlatNetlist, netlist: Path, sdf: Path) -> str:
    library = flat.library
    # Delays do not depend on the period, but those of registers on how steep the clock is.
    clocks = sorted(clock_nets(flat) & set(flat.input_nets))
    return "\n".join(
        [
            f"read_liberty {{{library.liberty}}}",
            f"read_verilog {{{netlist}}}",
            f"link_design {MODULE}",
            *(f"create_clock -period 1 [get_ports n{net}]" for net in clocks),
            f"set_driving_cell -lib_cell {library.driving_cell} [all_inputs]",
            f"set_load {timer_load(library):g} [all_outputs]",
            f"write_sdf -no_timestamp -digits 6 {{{sdf}}}",
            "exit",
            "",
        ]
    )


def parse_sdf(text: str) -> Delays:
    """Return the ``IOPATH`` delays of an SDF file in ns; conditional ones are averaged."""
    found: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = {}
    unit = _TIMESCALE.search(text)
    scale = int(unit[1]) * _NS[unit[2]] if unit else 1.0
    instance = ""
    for match in _EVENT.finditer(text):
        if match["instance"] is not None:
            instance = match["instance"]
            continue
        rise = scale * _mean(match["rise"])
        fall = scale * _mean(match["fall"]) if match["fall"] is not None else rise
        path = (match["start"], match["end"])
        found.setdefault(instance, {}).setdefault(path, []).append((rise, fall))
    return {
        name: {
            path: (sum(r for r, _ in delays) / len(delays), sum(f for _, f in delays) / len(delays))
            for path, delays in paths.items()
        }
        for name, paths in found.items()
    }


def _mean(triple: str) -> float:
    values = [float(value) for value in triple.split(":") if value.strip()]
    return sum(values) / len(values) if values else 0.0


def to_sdf(flat: FlatNetlist, delays: Delays) -> str:
    """Return an SDF file of plain ``IOPATH`` entries that Icarus takes in full."""
    lines = ['(DELAYFILE (SDFVERSION "3.0")', f' (DESIGN "{MODULE}")', " (TIMESCALE 1ns)"]
    for index, cell in enumerate(flat.cells):
        paths = delays.get(f"u{index}")
        if not paths:
            continue
        lines.append(f' (CELL (CELLTYPE "{cell.type}") (INSTANCE u{index}) (DELAY (ABSOLUTE')
        for (start, end), (rise, fall) in paths.items():
            # A cell with hardly a load can have a delay below zero.
            lines.append(f"  (IOPATH {start} {end} ({max(rise, 0):.5f}) ({max(fall, 0):.5f}))")
        lines.append(" )))")
    return "\n".join([*lines, ")", ""])
