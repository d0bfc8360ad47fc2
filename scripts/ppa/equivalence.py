# amaranth: UnusedElaboratable=no
"""Proofs that a mapped netlist is its RTL, and that the RTL is its specification.

Proofs never rest on a netlist's own arithmetic: where SAT cannot match two multipliers, both
sides are held to the specification, of which the product is simulated over its whole space.
"""

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hw.catalog import Design, Kind
from hw.emit import emit
from hw.matmul_free_isa import MatmulFreeConfig
from hw.pim_config import PimConfig
from hw.stream_unit import StreamUnit
from hw.ternary_matrix import TernaryCell
from hw.yosys import run_yosys
from pe.addition import Adder, CompressorTree
from pe.bit_weight import StepSection
from pe.coded import CodedStep
from pe.config import Config
from pe.element import PeConfig
from pe.gemv_unit import GemvUnit
from pe.mac import MultiplyAdd
from pe.processing_element import ProcessingElement
from pe.unit import Unit
from scripts.ppa.aig import Graph, Machine, machine_of, read
from scripts.ppa.memories import PREFIX
from scripts.ppa.netlist import Netlist
from scripts.ppa.proof import (
    accumulator_is_specified,
    same_sums,
    step_is_specified,
    sum_is_specified,
)
from scripts.ppa.sat import Refuted, Undecided, same
from sim.player import PlayerConfig, PortField, fields, is_exhaustive
from sim.simulate import BUILD, run_operands

SAT_SECONDS = 10.0
"""Time of one SAT question before it counts as undecided."""
_BRIEF_SECONDS = 2.0


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
    """A function unit, a module that is it or holds it, and the Verilog of a design with both."""

    unit: Unit
    module: str
    verilog: str


def prove(
    design: Design, config: Config, *netlists: Netlist, seconds: float = SAT_SECONDS
) -> list[Proof]:
    """Prove the function unit of a design: RTL against specification, netlists against RTL.

    Of a stream unit there is no proof of the RTL, and none of its netlist where it has memories.
    The unit of an engine or a core is the accumulation step in its cells. In a netlist it is part
    of the cells, which are compared: they are modules of a netlist that is not flat. Of a
    processor too the cells are compared, and of a PIM channel its GEMV units.

    Parameters
    ----------
    netlists
        Mapped netlists of the design; none to prove the RTL only.
    seconds
        Limit of each SAT question.
    """
    if design.kind in (Kind.FUNCTION_UNIT, Kind.STREAM_UNIT):
        unit = design.component(config)
        subject = _Subject(unit, unit.name, emit(type(unit), unit.config).verilog)
        proofs = [_specification(design, config, subject, seconds)]
    elif isinstance(config, MatmulFreeConfig):
        name = f"{config.name}: RTL = specification"
        unit = TernaryCell(config.pe)
        subject = _Subject(unit, unit.name, emit(design.component, config).verilog)
        proofs = [Proof(name, "programs in simulation", "not proved: no proof method", 0.0)]
    elif isinstance(config, PimConfig):
        name = f"{config.name}: RTL = specification"
        unit = GemvUnit(config.unit)
        subject = _Subject(unit, unit.name, emit(design.component, config).verilog)
        proofs = [Proof(name, "traces in simulation", "not proved: no proof method", 0.0)]
    else:
        pe = _pe(config)
        proofs = [_step(pe, seconds)]
        if netlists:
            subject = _cell(design, config, pe.units[-1])
    return proofs + [_mapping(subject, netlist, seconds) for netlist in netlists]


def _pe(config: Config) -> PeConfig:
    """Return the PE of an engine or a core."""
    engine: Any = getattr(config, "array", config)
    pe: PeConfig = engine.pe_config
    return pe


def _cell(design: Design, config: Config, step: Unit) -> _Subject:
    """Return the cell of an engine, the module that holds the last unit of the step."""
    verilog = emit(design.component, config).verilog
    modules = re.findall(r"^module (\S+?) ?\((.*?)^endmodule", verilog, re.MULTILINE | re.DOTALL)
    cells = [name for name, text in modules if re.search(rf"^ +{step.name} ", text, re.MULTILINE)]
    return _Subject(step, cells[0] if len(cells) == 1 else step.name, verilog)


def _specification(design: Design, config: Config, subject: _Subject, seconds: float) -> Proof:
    unit = subject.unit
    name = f"{unit.name}: RTL = specification"
    if design.kind is Kind.STREAM_UNIT:
        return Proof(name, "random beats in simulation", "not proved: no proof method", 0.0)
    inputs, _ = fields(PlayerConfig(type(unit), unit.config, 1))
    if is_exhaustive(inputs):
        bits = sum(f.bits for f in inputs)
        method = f"all 2^{bits} inputs in simulation against the golden model"
        work = BUILD / "equivalence" / unit.name
        return _timed(name, method, lambda: str(run_operands(design, config, work) and method))
    how = _contract(subject, seconds)
    if how is None:
        return Proof(name, "random operands in simulation", "not proved: no proof method", 0.0)
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        machine = _rtl(subject, Path(scratch))
        return _timed(name, "algebra and SAT", lambda: how(machine))


def _contract(subject: _Subject, seconds: float) -> Callable[[Machine], str] | None:
    """Return the proof of what a class of units does; none where the module is another one."""
    unit = subject.unit
    if subject.module != unit.name or isinstance(unit, StreamUnit):
        return None
    ports = {f.name: f for side in fields(PlayerConfig(type(unit), unit.config, 1)) for f in side}
    match unit:
        case MultiplyAdd():
            return lambda machine: step_is_specified(machine, ports, seconds)
        case Adder() | CompressorTree():
            return lambda machine: sum_is_specified(machine, ports, seconds)
        case ProcessingElement():
            pe = unit.pe
            for name, form in (("a", pe.format_a), ("b", pe.format_b)):
                ports[name] = ports[name]._replace(form=form)
            return lambda machine: accumulator_is_specified(machine, unit.latency, ports, seconds)
    return None


def _step(pe: PeConfig, seconds: float) -> Proof:
    """Prove the accumulation step of a PE."""
    name = f"{', '.join(unit.name for unit in _units(pe))}: RTL = specification"
    known = all(isinstance(unit, MultiplyAdd | StepSection | CodedStep) for unit in pe.units)
    if not known or pe.encoder_b is not None:
        return Proof(name, "products in simulation", "not proved: no proof method", 0.0)
    ports = {
        "a": PortField("a", pe.width_a, pe.signed_a, pe.terms, form=pe.format_a),
        "b": PortField("b", pe.width_b, pe.signed_b, pe.terms, form=pe.format_b),
        "sum": PortField("sum", pe.width_acc, False, weights=pe.state_weights),
    }
    return _timed(name, "algebra", lambda: step_is_specified(step_machine(pe), ports, seconds))


def _units(pe: PeConfig) -> list[Unit]:
    return [*([pe.encoder] if pe.encoder else []), *pe.units]


def step_machine(pe: PeConfig) -> Machine:
    """Return the accumulation step of a PE, ``sum`` of ``a``, ``b`` and ``addend``, as emitted.

    It goes from the engine's operands, through the encoder at its edge if there is one, to the
    running sum. Registers between units delay and do nothing else: they are left out.
    """
    graph = Graph()
    a, b = graph.input(pe.terms * pe.width_a), graph.input(pe.terms * pe.width_b)
    inputs = {"a": a, "b": b, "addend": graph.input(len(pe.state_weights))}
    words = dict(inputs)
    for unit in _units(pe):
        subject = _Subject(unit, unit.name, emit(type(unit), unit.config).verilog)
        with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
            machine = _rtl(subject, Path(scratch))
        if "i_element" in machine.inputs:
            elements = [a[i : i + pe.width_a] for i in range(0, len(a), pe.width_a)]
            codes = [machine.place(graph, {"i_element": e}, [])[0]["o_code"] for e in elements]
            words["a"] = [bit for code in codes for bit in code]
            continue
        outputs, _ = machine.place(graph, {name: words[name] for name in machine.inputs}, [])
        words |= {"i": outputs.get("o", []), "sum": outputs.get("sum", [])}
    return machine_of(graph, inputs, {"sum": words["sum"]})


def _mapping(subject: _Subject, netlist: Netlist, seconds: float) -> Proof:
    top = subject.module
    name = f"{top}: netlist in {netlist.library.name} for {netlist.period_ns:g} ns = RTL"
    if isinstance(subject.unit, StreamUnit) and PREFIX in subject.verilog:
        return Proof(name, "none", "not proved: memories are black boxes in a netlist", 0.0)
    if top not in netlist.modules:
        how = "flat netlist" if netlist.flat else "netlist"
        return Proof(name, "none", f"not proved: {how}, {top} is no module of its own in it", 0.0)
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
    registers = _registers(rtl)
    words = [*inputs.values(), *([state[i] for i in places] for places in registers.values())]
    try:
        for output, word in left.items():
            same(graph, word, right[output], output, seconds)
        for name, places in registers.items():
            word = [left_next[i] for i in places]
            other = [right_next[where[i]] for i in places]
            same_sums(graph, word, other, words, name, seconds)
    except Refuted as error:
        if state:
            raise Undecided(f"{error} in some state, reachable or not") from error
        raise
    if not state:
        return "SAT sweeping of all outputs, all inputs free"
    return (
        f"induction over {len(state)} register bits matched by name: SAT sweeping of outputs and "
        "next state, all inputs and states free; complete simulation of products beyond SAT"
    )


_BIT = re.compile(r"(.*?)(?:\[(\d+)\])?")


def _registers(machine: Machine) -> dict[str, list[int]]:
    """Return the places of the bits of each register, low bit first, by its name."""
    named: dict[str, dict[int, int]] = {}
    for place, aliases in enumerate(machine.aliases):
        for alias in aliases:
            match = _BIT.fullmatch(alias)
            assert match
            stem, index = match.groups("0")
            named.setdefault(stem, {})[int(index)] = place
    found: dict[str, list[int]] = {}
    left = set(range(len(machine.state)))
    for stem, bits in sorted(named.items(), key=lambda item: (-len(item[1]), item[0])):
        if left.issuperset(bits.values()):
            found[stem] = [bits[i] for i in sorted(bits)]
            left.difference_update(bits.values())
    return found | {f"register {place}": [place] for place in sorted(left)}


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
    return _elaborate([f"read_verilog {source}"], subject.module, arithmetic, folder / "rtl.aag")


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
            "setundef -zero",
            "aigmap",
            "opt_clean",
            f"write_aiger -ascii -symbols {target}",
        ]
    )
    return read(target)
