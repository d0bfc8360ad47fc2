# amaranth: UnusedElaboratable=no
"""The area-delay curve of a design: a record of figures at each of several target periods."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hw.catalog import Design, Kind
from hw.emit import Emission, emit, write_atomically
from pe.config import Config, parameters
from scripts.ppa.equivalence import Proof, prove
from scripts.ppa.flat import read_modules, read_whole
from scripts.ppa.gatesim import product_sizes, simulate_netlist
from scripts.ppa.library import Library
from scripts.ppa.netlist import Netlist
from scripts.ppa.operands import Operands
from scripts.ppa.power import Power
from scripts.ppa.record import Record
from scripts.ppa.structure import check_flat
from scripts.ppa.synth import TIGHT, Pool, flat_pool, key_of, store
from scripts.ppa.timing import PathStep, Timing, check_period, choose_timer, min_period
from scripts.ppa.workload import Rate, activity_source, measure_powers, variable_rate, workload
from scripts.progress import step

_T = TypeVar("_T")

SPREAD = (1.0, 1.08, 1.2, 1.4, 1.7, 2.2)
"""Default targets, in smallest periods that any recipe reaches."""


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes
    ----------
    periods_ns
        Target periods; by default `SPREAD`.
    flat
        One module for all but the memories.
    quick
        Map by few recipes instead of all, and simulate fewer operands of a function unit.
    timer
        ``"opensta"`` or ``"abc"`` to insist; by default OpenSTA where it is installed.
    power
        Measure power.
    operands
        Distribution of the operands for power, and for the rate of a design of variable time.
    delays
        Insist on activity with (`True`) or without (`False`) gate delays.
    prove
        Prove the netlist equal to the RTL, and the RTL to its specification.
    gates
        Run the netlist of the first point in the design's bench.
    seed
        Of operands.
    """

    periods_ns: tuple[float, ...] = ()
    flat: bool = False
    quick: bool = False
    timer: str | None = None
    power: bool = True
    operands: str = "uniform"
    delays: bool | None = None
    prove: bool = False
    gates: bool = False
    seed: int = 1


@dataclass(frozen=True)
class ModuleArea:
    """A module's own cells, without those of its children.

    Attributes
    ----------
    module
        Its name.
    instances
        How many there are in the design.
    area_um2
        Of all of them.
    """

    module: str
    instances: int
    area_um2: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of a design.

    Attributes
    ----------
    records
        One a target period, in their order.
    path
        Critical path of the first record's netlist.
    modules
        Of the first record's netlist, the largest first.
    netlists
        Files of the records' netlists.
    proofs
        Where asked for.
    gates
        What the gate-level simulation of the first netlist ran, where asked for.
    """

    records: list[Record]
    path: list[PathStep]
    modules: list[ModuleArea]
    netlists: list[str]
    proofs: list[Proof]
    gates: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the first record's fields, then ``curve`` and the rest."""
        return asdict(self.records[0]) | {
            "curve": [asdict(record) for record in self.records],
            "critical_path": [asdict(step) for step in self.path],
            "modules": [asdict(module) for module in self.modules],
            "netlists": self.netlists,
            "proofs": [proof.to_json() for proof in self.proofs],
            "gate_level_simulation": self.gates,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Measurement":
        """Return the measurement that `to_json` described."""
        return cls(
            [Record(**record) for record in data["curve"]],
            [PathStep(**step) for step in data["critical_path"]],
            [ModuleArea(**module) for module in data["modules"]],
            data["netlists"],
            [Proof(**proof) for proof in data["proofs"]],
            data["gate_level_simulation"],
        )


def place_of(emission: Emission, library: Library, design: Design, options: Options) -> Path:
    """Return the file that keeps a measurement, named by a key of its inputs.

    Raises
    ------
    ValueError
        When an option is out of range, or the power of a PIM channel is asked for.
    MissingTool
        When a tool is insisted on and absent.
    """
    for period in options.periods_ns:
        check_period(period)
    Operands.parse(options.operands)
    source = activity_source(options.delays) if options.power else None
    timer = choose_timer(options.timer)
    key = key_of(emission, library, design.name, options, timer, source)
    return store() / key / "measurement.json"


def kept_measurement(place: Path) -> Measurement | None:
    """Return the measurement that a file keeps, if it is there."""
    if not place.exists():
        return None
    return Measurement.from_json(json.loads(place.read_text()))


def keep_measurement(place: Path, measurement: Measurement) -> None:
    """Write a measurement to the file that keeps it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically({place: json.dumps(measurement.to_json())})


def measure(
    design: Design, config: Config, library: Library, options: Options | None = None
) -> Measurement:
    """Synthesise a design for several target periods and measure each netlist.

    A measurement is kept under a key of its inputs and this flow's source, and found again.

    Raises
    ------
    ValueError
        When an option is out of range, or the power of a PIM channel is asked for.
    FlowError
        When a netlist does not do what the RTL does.
    MissingTool
        When a tool is insisted on and absent.
    """
    options = options or Options()
    if design.kind is Kind.PIM_CHANNEL and options.power:
        raise ValueError(f"power: that of a {design.kind.value} is not measured; see --no-power")
    emission = emit(design.component, config)
    kept = place_of(emission, library, design, options)
    known = kept_measurement(kept)
    if known is not None:
        return known
    folder = kept.parent
    folder.mkdir(parents=True, exist_ok=True)
    operands = Operands.parse(options.operands)
    timer = choose_timer(options.timer)
    source = activity_source(options.delays) if options.power else None
    with step(f"mapping {config.name} to {library.name}"):
        netlists = _synthesise(emission, library, options, timer, folder)
    # Targets may share a netlist.
    distinct = list({netlist.verilog: netlist for netlist in netlists}.values())
    with step(f"timing {len(distinct)} netlists, {timer}"):
        timings = dict(zip(map(_key, distinct), _each(_timer(timer), distinct), strict=True))
    powers: dict[Path, Power] = {}
    activity = None
    if source is not None:
        with step(f"simulating {len(distinct)} netlists, {source}"):
            powers, activity = _powers(design, config, distinct, timings, operands, source, options)
    proofs: list[Proof] = []
    if options.prove:
        with step("proving equivalence"):
            proofs = prove(design, config, *distinct)
    gates = None
    if options.gates:
        with step("running the netlist in the bench of the design"):
            outcome = simulate_netlist(design, config, netlists[0], folder / "gates", options.seed)
            gates = f"bit-exact, {product_sizes(outcome)}"
    rate = variable_rate(design, config, operands, options.seed)
    measurement = Measurement(
        [
            _record(
                design, config, options, n, timings[_key(n)], powers.get(_key(n)), activity, rate
            )
            for n in netlists
        ],
        timings[_key(netlists[0])].path,
        _modules(netlists[0]),
        [str(_key(netlist)) for netlist in netlists],
        proofs,
        gates,
    )
    keep_measurement(kept, measurement)
    return measurement


def _modules(netlist: Netlist) -> list[ModuleArea]:
    found = [
        ModuleArea(name, module.count, round(module.area_um2 * module.count, 3))
        for name, module in netlist.modules.items()
        if module.area_um2
    ]
    return sorted(found, key=lambda module: -module.area_um2)


def _key(netlist: Netlist) -> Path:
    return netlist.verilog


def _each(function: Callable[[Netlist], _T], netlists: Sequence[Netlist]) -> list[_T]:
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        return list(workers.map(function, netlists))


def _timer(timer: str) -> Callable[[Netlist], Timing]:
    return lambda netlist: min_period(netlist, timer)


def _synthesise(
    emission: Emission, library: Library, options: Options, timer: str, folder: Path
) -> list[Netlist]:
    """Return the best netlist for each target period."""
    if options.flat:
        check_flat(emission)
    pool = Pool(emission, library, False, timer, options.quick)
    pool.add(pool.recipes, [TIGHT])
    periods = options.periods_ns or _spread(pool)
    pool.aim(periods)
    if options.flat:
        pool = flat_pool(emission, library, timer, pool.choose(periods[0]))
        periods = options.periods_ns or _spread(pool)
        pool.aim(periods)
    netlists: dict[str, Netlist] = {}
    found = []
    for period in periods:
        chosen = pool.choose(period)
        choice = repr([(name, v.recipe, v.delay_ps) for name, v in chosen.items()])
        if choice not in netlists:
            netlists[choice] = pool.assemble(chosen, period, folder / f"{period:g}ns")
        found.append(replace(netlists[choice], period_ns=period))
    return found


def _spread(pool: Pool) -> tuple[float, ...]:
    """Return `SPREAD` in ns: the slowest module's fastest variant sets the scale."""
    fastest = max(min(t.min_period_ns for t in timed) for timed in pool.modules.values())
    return tuple(round(factor * fastest, 3) for factor in SPREAD)


def _powers(
    design: Design,
    config: Config,
    netlists: Sequence[Netlist],
    timings: Mapping[Path, Timing],
    operands: Operands,
    source: str,
    options: Options,
) -> tuple[dict[Path, Power], str]:
    """Return the power of each netlist at its smallest period, and where activity came from."""
    # Of a function unit only the ports are known.
    unit = design.kind is Kind.FUNCTION_UNIT
    modules = _each(read_whole if unit else read_modules, netlists)
    # A module may have cells, such as buffers, in some netlists only.
    seen = [instances for of_netlist in modules for instances in of_netlist]
    work = workload(design, config, seen, operands, options.seed, options.quick)
    periods = [timings[_key(netlist)].min_period_ns for netlist in netlists]
    powers = measure_powers(list(zip(modules, periods, strict=True)), work, source)
    found = dict(zip(map(_key, netlists), powers, strict=True))
    return found, f"{source}; {work.description}"


def _record(
    design: Design,
    config: Config,
    options: Options,
    netlist: Netlist,
    timing: Timing,
    power: Power | None,
    activity: str | None,
    rate: Rate | None,
) -> Record:
    component = design.component(config)
    # A MAC is two operations; a unit without MACs gives a result a cycle.
    macs = rate.macs_per_cycle if rate else getattr(component, "macs_per_cycle", 0.5)
    per_cycle = 2 * macs
    fmax_mhz = 1000 / timing.min_period_ns
    gops = per_cycle * fmax_mhz / 1000
    record = Record(
        design=component.name,
        parameters={path: value for path, _, value in parameters(config)},
        library=netlist.library.name,
        timer=timing.timer,
        activity=activity,
        flat=netlist.flat,
        quick=options.quick,
        booth=netlist.booth,
        adders=netlist.adders,
        target_period_ns=netlist.period_ns,
        area_um2=round(netlist.area_um2, 3),
        min_period_ns=timing.min_period_ns,
        fmax_mhz=fmax_mhz,
        gops=gops,
        gops_per_mm2=gops / (netlist.area_um2 * 1e-6),
        macs_per_cycle=rate.macs_per_cycle if rate else None,
        measured_on=rate.description if rate else None,
        memory_bits=netlist.memory_bits,
        flip_flops=netlist.flip_flops,
    )
    if power is None:
        return record
    operations = 2 if hasattr(component, "macs_per_cycle") else 1
    return replace(
        record,
        leakage_mw=power.leakage_mw,
        dynamic_mw=power.dynamic_mw,
        energy_pj_per_op=power.energy_pj,
        # GOPS/W is operations per nJ.
        gops_per_w=operations * 1000 / power.energy_pj,
    )
