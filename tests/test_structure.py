# amaranth: UnusedElaboratable=no
"""Structure: Verilog texts against what Amaranth elaborates, shared modules, counts and sizes.

`StructuralUnit` has two descriptions of one piece of hardware. They run here side by side, the one
in Amaranth's simulator and the other in Verilator, with the same random inputs in each cycle.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from helpers import build_in, config_of, designs, random_generator, random_products

from golden.gemm import matmul
from hw.catalog import DESIGNS, Kind
from hw.chain import Chain, ChainConfig, Link
from hw.emit import emit
from hw.engine import EngineConfig, GemmEngine
from hw.memory import Memory, MemoryShape
from hw.rom import Rom, RomShape
from hw.skew import Skew, SkewShape
from hw.table import Table, TableConfig
from pe.mac import MacConfig, MultiplyAdd
from pe.share import Collector, share
from pe.unit import Unit
from sim.packing import Beats, Matrix, from_rows, to_beats

CYCLES = 200
PERIOD = 1e-6
ENGINES = [design.name for design in designs(Kind.GEMM_ENGINE)]

Trace = list[dict[str, int]]

REPLAY = """
import json
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge, Timer
from sim.clock import start_clock

@cocotb.test()
async def replay(dut):
    job = json.loads(Path("replay.json").read_text())
    if "clk" in job["clocks"]:
        start_clock(dut)
    if "rst" in job["clocks"]:
        dut.rst.value = 1
        for port, value in job["inputs"][0].items():
            getattr(dut, port).value = value
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
    seen = []
    for row in job["inputs"]:
        for port, value in row.items():
            getattr(dut, port).value = value
        await (RisingEdge(dut.clk) if "clk" in job["clocks"] else Timer(1, "ns"))
        seen.append({port: int(getattr(dut, port).value) for port in job["outputs"]})
    Path("replayed.json").write_text(json.dumps(seen))
"""


class LinkedConfig(NamedTuple):
    """Width of the values that a `Linked` passes on."""

    width: int


class Linked(Unit):
    """A unit with a port for every kind of link, each of which tells on all the others."""

    config: LinkedConfig

    def __init__(self, config: LinkedConfig) -> None:
        shape = unsigned(config.width)
        passing = ("forward", "forward_closed", "backward", "backward_closed")
        members = {f"i_{name}": In(shape) for name in passing}
        members |= {f"o_{name}": Out(shape) for name in passing}
        members |= {"shared": In(1), "i_lane": In(shape), "o_lane": Out(shape), "last": Out(shape)}
        super().__init__(config, members)

    @property
    def name(self) -> str:
        return f"linked_{self.config.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += [
            self.o_forward.eq(self.i_forward + self.i_lane),
            self.o_forward_closed.eq(self.i_forward_closed ^ self.i_lane),
            self.o_backward.eq(self.i_backward + self.o_lane),
            self.o_lane.eq(self.i_forward_closed + self.i_backward_closed),
            self.last.eq(self.last + self.i_lane + self.o_lane),
        ]
        with m.If(self.shared):
            m.d.sync += self.o_backward_closed.eq(self.i_backward_closed + self.i_forward)
        return m


def linked_chain(count: int, width: int) -> ChainConfig:
    return ChainConfig(
        name=f"chain_{count}x{width}",
        summary="all kinds of links",
        instance="unit_of_chain",
        unit_class=Linked,
        unit_config=LinkedConfig(width),
        count=count,
        links=(
            ("forward", Link.FORWARD),
            ("forward_closed", Link.FORWARD_CLOSED),
            ("backward", Link.BACKWARD),
            ("backward_closed", Link.BACKWARD_CLOSED),
            ("shared", Link.BROADCAST),
            ("i_lane", Link.LANE),
            ("o_lane", Link.LANE),
            ("last", Link.LAST),
        ),
    )


def stacked_chain(count: int) -> ChainConfig:
    """A chain of chains, as the grid of an array is."""
    return ChainConfig(
        name=f"stack_{count}",
        summary="a chain of chains",
        instance="row",
        unit_class=Chain,
        unit_config=linked_chain(3, 5),
        count=count,
        links=(
            ("i_forward", Link.LANE),
            ("o_forward", Link.LANE),
            ("backward", Link.BACKWARD),
            ("i_forward_closed", Link.LANE),
            ("i_backward_closed", Link.BROADCAST),
            ("shared", Link.BROADCAST),
            ("i_lane", Link.LANE),
            ("o_lane", Link.LANE),
            ("last", Link.LAST),
        ),
    )


def random_inputs(rng: np.random.Generator, widths: Mapping[str, int]) -> Trace:
    return [
        {name: int.from_bytes(rng.bytes(64), "little") % (1 << w) for name, w in widths.items()}
        for _ in range(CYCLES)
    ]


def ports_of(unit: Unit) -> tuple[dict[str, int], list[str]]:
    """Widths of the inputs, and names of the outputs."""
    members = unit.signature.members.items()
    inputs = {name: Shape.cast(m.shape).width for name, m in members if m.flow == In}
    return inputs, [name for name, m in members if m.flow == Out]


def in_amaranth(unit: Unit, inputs: Trace, outputs: list[str]) -> Trace:
    """Outputs in each cycle, as bits, of the unit in Amaranth's simulator."""
    seen: Trace = []

    async def testbench(context: Any) -> None:
        for row in inputs:
            for port, value in row.items():
                context.set(getattr(unit, port).as_unsigned(), value)
            seen.append({port: context.get(getattr(unit, port).as_unsigned()) for port in outputs})
            await context.tick()

    top = Module()
    top.submodules.unit = unit
    clocked = Signal()  # a unit may be combinational
    top.d.sync += clocked.eq(~clocked)
    simulator = Simulator(top)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


def in_verilator(
    unit_class: type[Unit], config: Any, inputs: Trace, outputs: list[str], folder: Path
) -> Trace:
    """The same of the emitted Verilog."""
    emission = emit(unit_class, config)
    names = {port["name"] for port in emission.description["ports"]}
    clocks = sorted(names & {"clk", "rst"})
    job = {"clocks": clocks, "inputs": inputs, "outputs": outputs}
    (folder / "replay.json").write_text(json.dumps(job))
    (folder / "bench_replay.py").write_text(REPLAY)
    build_in(folder, emission).run("bench_replay", folder)
    seen: Trace = json.loads((folder / "replayed.json").read_text())
    return seen


def assert_alike(
    unit_class: type[Unit], config: Any, inputs: Trace, settled: int, folder: Path
) -> None:
    """Hold the two descriptions to each other once nothing is left of the power-up state."""
    _, outputs = ports_of(unit_class(config))
    ours = in_amaranth(unit_class(config), inputs, outputs)
    theirs = in_verilator(unit_class, config, inputs, outputs, folder)
    assert len(ours) == len(theirs) == CYCLES
    for cycle in range(settled, CYCLES):
        assert ours[cycle] == theirs[cycle], f"cycle {cycle}"
    assert len({tuple(row.values()) for row in ours}) > 1


@pytest.mark.parametrize(
    "config",
    [linked_chain(1, 4), linked_chain(3, 5), stacked_chain(2)],
    ids=lambda config: config.name,
)
def test_chain(config: ChainConfig, tmp_path: Path) -> None:
    inputs = random_inputs(random_generator(), ports_of(Chain(config))[0])
    assert_alike(Chain, config, inputs, 0, tmp_path)


@pytest.mark.parametrize("config", [SkewShape(1, 4), SkewShape(2, 1), SkewShape(5, 3)], ids=str)
def test_skew(config: SkewShape, tmp_path: Path) -> None:
    inputs = random_inputs(random_generator(), ports_of(Skew(config))[0])
    assert_alike(Skew, config, inputs, config.lanes - 1, tmp_path)


def test_table(tmp_path: Path) -> None:
    config = TableConfig("words", "a table of words", 5, (3, 31, 0, 7, 8, 9, 1, 16))
    inputs = random_inputs(random_generator(), ports_of(Table(config))[0])
    assert_alike(Table, config, inputs, 0, tmp_path)


def test_rom(tmp_path: Path) -> None:
    config = RomShape("constants", 5, (3, 31, 0, 7, 8, 9, 1, 16))
    inputs = random_inputs(random_generator(), ports_of(Rom(config))[0])
    assert_alike(Rom, config, inputs, 1, tmp_path)


@pytest.mark.parametrize(
    "config", [MemoryShape(2, unsigned(1)), MemoryShape(5, signed(9))], ids=str
)
def test_memory(config: MemoryShape, tmp_path: Path) -> None:
    """Every word is written, one is read, then reads and writes come at random."""
    inputs = random_inputs(random_generator(), ports_of(Memory(config))[0])
    for cycle, row in enumerate(inputs):
        row["read_address"] %= config.depth
        row["write_address"] %= config.depth
        if cycle < config.depth:
            row |= {"write_address": cycle, "write_enable": 1, "read_enable": 0}
        elif cycle == config.depth:
            row["read_enable"] = 1
    hits = [r for r in inputs if r["read_address"] == r["write_address"]]
    assert any(row["read_enable"] and row["write_enable"] for row in hits)
    assert_alike(Memory, config, inputs, config.depth + 1, tmp_path)


def rows_in_amaranth(engine: GemmEngine, beats: Beats) -> Matrix:
    """Rows of C that the component yields in Amaranth's simulator, without any Verilog."""
    expected = sum(height for _, _, height in beats.tiles)
    rows: list[list[int]] = []

    async def testbench(context: Any) -> None:
        a = b = 0
        context.set(engine.o_c.ready, 1)
        for _ in range(1000):
            if len(rows) == expected:
                return
            context.set(engine.i_a.valid, a < len(beats.a))
            context.set(engine.i_b.valid, b < len(beats.b))
            if a < len(beats.a):
                flags = {f: int(getattr(beats, f)[a]) for f in ("first", "last", "end")}
                fields = {f: v for f, v in flags.items() if hasattr(engine.i_a.payload, f)}
                context.set(engine.i_a.payload, {"data": beats.a[a].tolist(), **fields})
            if b < len(beats.b):
                context.set(engine.i_b.payload, {"data": beats.b[b].tolist()})
            a += context.get(engine.i_a.valid) & context.get(engine.i_a.ready)
            b += context.get(engine.i_b.valid) & context.get(engine.i_b.ready)
            if context.get(engine.o_c.valid):
                rows.append(list(context.get(engine.o_c.payload.data)))
            await context.tick()

    simulator = Simulator(engine)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(testbench)
    simulator.run()
    return np.array(rows, np.int64)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 2)])
def test_engines_elaborate_for_the_simulator_too(name: str, rows: int, cols: int) -> None:
    design = DESIGNS[name]
    config = config_of(design, rows=rows, cols=cols, depth=4, width_a=5, width_b=7, signed_b=False)
    engine = design.component(config)
    assert isinstance(engine, GemmEngine)
    for a, b in random_products(random_generator(), config, [(7, 8, 5)]):
        beats = to_beats(engine, a, b)
        c = from_rows(beats, rows_in_amaranth(engine, beats), 7, 5)
        expected = matmul(a, b, width_a=5, width_b=7, signed_b=False)
        assert np.array_equal(c, expected)


PLATFORMS: list[Collector | None] = [None, Collector()]


@pytest.mark.parametrize("platform", PLATFORMS, ids=["simulator", "emission"])
def test_an_input_that_is_not_connected_is_refused(platform: Collector | None) -> None:
    config = MacConfig()
    ends = MultiplyAdd(config)
    with pytest.raises(TypeError, match=r"^addend: the port is not connected$"):
        share(Module(), platform, "step", MultiplyAdd, config, a=ends.a, b=ends.b, sum=ends.sum)


class Impostor(Linked):
    """Another unit with the name of `Linked`."""


class OnlyOnce(Unit):
    """Two different units of one name."""

    def __init__(self, config: None) -> None:
        super().__init__(config, {"i": In(1)})

    @property
    def name(self) -> str:
        return "only_once"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for unit_class in (Linked, Impostor):
            config = LinkedConfig(4)
            ends = unit_class(config).signature.members
            share(
                m,
                platform,
                unit_class.__name__,
                unit_class,
                config,
                **{name: Signal(member.shape) for name, member in ends.items()},
            )
        return m


def test_two_units_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^name: two different units are called 'linked_4'$"):
        emit(OnlyOnce, None)


def test_totals_count_every_level() -> None:
    collector = Collector()
    top = collector.collect(Chain, stacked_chain(4))
    assert collector.totals(top.name) == {"stack_4": 1, "chain_3x5": 4, "linked_5": 12}
    assert collector.collect(Chain, stacked_chain(4)) is top
    assert [m.name for m in collector.modules.values()] == ["linked_5", "chain_3x5", "stack_4"]


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "bit_slice"])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 4), (3, 5)])
def test_instances_of_an_engine(name: str, rows: int, cols: int) -> None:
    design = DESIGNS[name]
    config = config_of(design, rows=rows, cols=cols)
    assert isinstance(config, EngineConfig)
    cells = design.component(config).macs_per_cycle // config.terms
    instances = emit(design.component, config).description["instances"]
    for stem in ("cell_", "multiply_add_"):
        assert [n for module, n in instances.items() if module.startswith(stem)] == [cells]
    for stem, count in (("row_", getattr(config, "rows", 1)), ("grid_", 1)):
        assert [n for module, n in instances.items() if module.startswith(stem)] == [count]


def modules_of(name: str, size: int) -> dict[str, str]:
    """Text of each module of a square array, the size in its name left out."""
    design = DESIGNS[name]
    emission = emit(design.component, config_of(design, rows=size, cols=size, lanes=3))
    texts = re.findall(r"^module (\w+) (.*?)^endmodule", emission.verilog, re.M | re.S)
    return {re.sub(rf"_(1x)?{size}(x{size})?(?=[x_])", "", module): body for module, body in texts}


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "cube"])
def test_only_the_flags_of_the_top_grow(name: str) -> None:
    small, large = modules_of(name, 16), modules_of(name, 128)
    assert small.keys() == large.keys() and len(small) >= 5
    growth = {module: len(large[module]) - len(small[module]) for module in small}
    tops = [m for m in growth if m.startswith(("systolic_", "broadcast", "bit_slice"))]
    assert sum(growth[module] for module in growth if module not in tops) < 300
    assert all(growth[module] < 128 * 40 for module in tops)
