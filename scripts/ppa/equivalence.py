# amaranth: UnusedElaboratable=no
"""Proofs that a mapped netlist is its RTL, and that the RTL is its specification.

Proofs never rest on a netlist's own arithmetic: where SAT cannot match two multipliers, both
sides are held to the specification, of which the product is simulated over its whole space.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hw.catalog import Design, Kind
from hw.emit import emit
from hw.yosys import run_yosys
from pe.config import Config
from pe.unit import Unit
from scripts.ppa.aig import Graph, Machine, read
from scripts.ppa.netlist import Netlist
from scripts.ppa.proof import (
    Refuted,
    Undecided,
    accumulator_is_specified,
    same,
    step_is_specified,
)
from sim.player import PlayerConfig, fields, is_exhaustive
from sim.simulate import BUILD, run_operands

SAT_SECONDS = 10.0
"""Time of one SAT question before it counts as undecided."""
_BRIEF_SECONDS = 2.0

_STEP = {"a", "b", "addend", "sum"}
_ACCUMULATOR = {"clk", "rst", "a", "b", "clear", "i_valid", "sum", "o_valid"}


@dataclass(frozen=True)
class Proof:
    """What was proved, how, and whether it was.

    Attributes
    ----------
    subject
        The module with its widths, and what it is compared with.
    method
        How, in words.
    result
        ``"proved"``, ``"refuted: ..."`` or ``"not proved: ..."`` with the reason.
    seconds
        Wall time.
    """

    subject: str
    method: str
    result: str
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether it holds for certain."""
        return self.result == "proved"

    def to_json(self) -> dict[str, Any]:
        """Return the proof as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Subject:
    """A function unit and the Verilog of a design that holds it."""

    unit: Unit
    verilog: str

    @property
    def ports(self) -> set[str]:
        return set(self.unit.signature.members) | ({"clk", "rst"} if self.unit.latency else set())


def prove(
    design: Design, config: Config, netlist: Netlist | None = None, seconds: float = SAT_SECONDS
) -> list[Proof]:
    """Prove the function unit of a design: RTL against specification, netlist against RTL.

    The unit of an engine or a core is the accumulation step in its cells. An engine's netlist is
    compared where the step stands in it as a module of its own (hierarchical synthesis).

    Parameters
    ----------
    netlist
        Mapped netlist of the design, or `None` to prove the RTL only.
    seconds
        Limit of each SAT question.
    """
    subject = _subject(design, config)
    proofs = [_specification(design, config, subject, seconds)]
    if netlist is not None:
        proofs.append(_mapping(subject, netlist, seconds))
    return proofs


def _subject(design: Design, config: Config) -> _Subject:
    if design.kind is Kind.FUNCTION_UNIT:
        unit = design.component(config)
    else:
        engine: Any = getattr(config, "array", config)
        unit = engine.pe_config.step(engine.pe_config)
    return _Subject(unit, emit(type(unit), unit.config).verilog)


def _specification(design: Design, config: Config, subject: _Subject, seconds: float) -> Proof:
    unit = subject.unit
    name = f"{unit.name}: RTL = specification"
    inputs, _ = fields(PlayerConfig(type(unit), unit.config, 1))
    if design.kind is Kind.FUNCTION_UNIT and is_exhaustive(inputs):
        bits = sum(f.width for f in inputs)
        method = f"all 2^{bits} inputs in simulation against the golden model"
        work = BUILD / "equivalence" / unit.name
        return _timed(name, method, lambda: str(run_operands(design, config, work) and method))
    how = _contract(subject, seconds)
    if how is None:
        return Proof(name, "random operands in simulation", "not proved: no proof method", 0.0)
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        machine = _rtl(subject, Path(scratch))
        return _timed(name, "SAT and complete simulation", lambda: how(machine))


def _contract(subject: _Subject, seconds: float) -> Callable[[Machine], str] | None:
    unit = subject.unit
    if subject.ports == _STEP:
        return lambda machine: step_is_specified(
            machine, unit.config.signed_a, unit.config.signed_b, seconds
        )
    if subject.ports == _ACCUMULATOR:
        return lambda machine: accumulator_is_specified(
            machine, unit.latency, unit.config.signed_a, unit.config.signed_b, seconds
        )
    return None


def _mapping(subject: _Subject, netlist: Netlist, seconds: float) -> Proof:
    top = subject.unit.name
    name = f"{top}: netlist in {netlist.library.name} = RTL"
    if top not in netlist.modules:
        return Proof(
            name, "none", "not proved: flat netlist, the unit is no module of its own in it", 0.0
        )
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        folder = Path(scratch)
        rtl = _rtl(subject, folder)
        mapped = _mapped(top, netlist, folder)

        def attempt() -> str:
            """Ask SAT briefly, then through the specification, then as long as it may take."""
            with suppress(Undecided):
                return _same_machine(rtl, mapped, min(seconds, _BRIEF_SECONDS))
            how = _contract(subject, seconds)
            if how is not None:
                with suppress(Undecided):
                    how(rtl)
                    return f"both equal the specification; netlist: {how(mapped)}"
            return _same_machine(rtl, mapped, seconds)

        return _timed(name, "SAT", attempt)


def _timed(subject: str, method: str, attempt: Callable[[], str]) -> Proof:
    started = time.perf_counter()
    try:
        method, result = attempt(), "proved"
    except Refuted as error:
        result = f"refuted: {error}"
    except Undecided as error:
        result = f"not proved: {error}"
    return Proof(subject, method, result, round(time.perf_counter() - started, 2))


def _same_machine(rtl: Machine, mapped: Machine, seconds: float) -> str:
    """Prove next state and outputs equal in every state, registers matched by name.

    Raises
    ------
    Refuted
        When they differ and there is no state.
    Undecided
        Also when they differ in a state, which may be one that no reset leads to.
    """
    order = _matching(rtl, mapped)
    graph = Graph()
    state = graph.input(len(rtl.state))
    inputs = {name: graph.input(len(word)) for name, word in rtl.inputs.items()}
    if {name: len(word) for name, word in mapped.inputs.items()} != {
        name: len(word) for name, word in rtl.inputs.items()
    } or set(mapped.outputs) != set(rtl.outputs):
        raise Refuted("ports differ")
    left, left_next = rtl.place(graph, inputs, state)
    right, right_next = mapped.place(graph, inputs, [state[i] for i in order])
    where = {register: i for i, register in enumerate(order)}
    try:
        for output, word in left.items():
            same(graph, word, right[output], output, seconds)
        same(graph, left_next, [right_next[where[i]] for i in range(len(state))], "state", seconds)
    except Refuted as error:
        if state:
            raise Undecided(f"{error} in some state, reachable or not") from error
        raise
    if not state:
        return "SAT sweeping of all outputs, all inputs free"
    return (
        f"induction over {len(state)} register bits matched by name: SAT sweeping of outputs and "
        "next state, all inputs and states free"
    )


def _matching(rtl: Machine, mapped: Machine) -> list[int]:
    """For each register bit of the netlist, that of the RTL with a name in common."""
    order = []
    for names in mapped.aliases:
        matches = [i for i, other in enumerate(rtl.aliases) if names & other]
        if len(matches) != 1:
            raise Undecided("registers do not correspond by name")
        order.append(matches[0])
    if sorted(order) != list(range(len(rtl.state))):
        raise Undecided("registers do not correspond by name")
    return order


def _rtl(subject: _Subject, folder: Path) -> Machine:
    source = folder / "rtl.v"
    source.write_text(subject.verilog)
    # The arithmetic of Yosys' own `synth`: then SAT finds the same points inside.
    arithmetic = ["wreduce", "alumacc", "maccmap", "opt -fast"]
    return _elaborate([f"read_verilog {source}"], subject.unit.name, arithmetic, folder / "rtl.aag")


def _mapped(top: str, netlist: Netlist, folder: Path) -> Machine:
    reads = [
        f"read_liberty -ignore_miss_func {netlist.library.liberty}",
        f"read_verilog {netlist.verilog}",
    ]
    return _elaborate(reads, top, [], folder / "mapped.aag")


def _elaborate(reads: Sequence[str], top: str, arithmetic: Sequence[str], target: Path) -> Machine:
    run_yosys(
        [
            *reads,
            f"hierarchy -check -top {top}",
            "proc",
            "flatten",
            "opt -fast",
            "dffunmap",
            *arithmetic,
            "techmap",
            "opt -fast",
            "dffunmap",
            "aigmap",
            "opt_clean",
            f"write_aiger -ascii -symbols {target}",
        ]
    )
    return read(target)
