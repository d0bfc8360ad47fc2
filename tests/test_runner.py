"""Building and running simulators: cache, errors, memories, waves, lint, clock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sim.cache import cached
from sim.memory import entry_bytes, pack, unpack
from sim.results import SimulationError
from sim.runner import RunResult, Simulator, build, build_harness, lint

WIDTHS = (8, 12, 40, 128, 512)

RAM = """
module ram #(parameter WIDTH = 8) (
    input clk, input [3:0] address, output reg [WIDTH-1:0] data
);
    reg [WIDTH-1:0] storage [0:15];
    always @(posedge clk) data <= storage[address];
endmodule
"""

COUNTER = """
module counter (
    input clk, input rst, input [3:0] address, output reg [15:0] count, output done
);
    assign done = count == 16'd100;
    always @(posedge clk) if (rst) count <= 0; else count <= count + 1;
endmodule
"""

BENCH = """
import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, Timer
from sim.clock import CycleLimitError, start_clock
from sim.memory import memory_view, pack, unpack

async def reset(dut):
    clock = start_clock(dut)
    dut.rst.value = 1
    await clock.cycles(2)
    dut.rst.value = 0
    await clock.cycles(1)
    return clock

@cocotb.test()
async def counts(dut):
    clock = await reset(dut)
    assert dut.count.value == 0
    await clock.cycles(10)
    assert (dut.count.value, clock.count) == (10, 13)
    await RisingEdge(dut.clk)
    assert (dut.count.value, clock.count) == (11, 14)
    assert await clock.until(dut.done, 1, limit=1000) == 88
    await RisingEdge(dut.clk)
    await Timer(1, "ns")
    assert dut.count.value == 101
    clock.stop()
    await Timer(100, "ns")
    assert dut.count.value == 101

@cocotb.test()
async def late(dut):
    clock = await reset(dut)
    try:
        await clock.until(dut.done, 1, limit=50)
    except CycleLimitError as error:
        assert str(error) == "done is still 0 after 50 cycles"
        assert 50 <= clock.count <= 54
    else:
        raise AssertionError("no limit")

@cocotb.test()
async def fails(dut):
    raise AssertionError("C[3, 4]: 17 is not 18")

@cocotb.test()
async def hangs(dut):
    start_clock(dut)
    await RisingEdge(dut.rst)

@cocotb.test()
async def shows_power_up(dut):
    await Timer(1, "ns")
    print("power-up", int(dut.count.value))
"""

MEMORY_BENCH = """
import cocotb
import numpy as np
from sim.clock import start_clock
from sim.memory import memory_view, pack, unpack

@cocotb.test()
async def round_trip(dut):
    rng = np.random.default_rng(1)
    clock = start_clock(dut)
    for width in (8, 12, 40, 128, 512):
        view = memory_view(f"u{width}.storage")
        lanes = width // 4
        for _ in range(2):
            values = rng.integers(-8, 8, size=(16, lanes))
            view[:] = pack(values, 4, width)
            for address in range(16):
                dut.address.value = address
                await clock.cycles(3)
                word = int(getattr(dut, f"d{width}").value)
                assert word == int.from_bytes(view[address].tobytes(), "little")
                row = values[address].tolist()
                assert word == sum((v & 15) << (4 * lane) for lane, v in enumerate(row))
            assert (unpack(view, 4, lanes, signed=True) == values).all()

@cocotb.test()
async def unknown_path(dut):
    try:
        memory_view("u8.nothing")
    except ValueError as error:
        assert str(error) == "path: 'u8.nothing' is not public in this simulator"
    else:
        raise AssertionError("found")
"""

PORTS = ("clk", "rst", "address", "count", "done")


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    (tmp_path / "bench_counter.py").write_text(BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    return build(source(tmp_path, COUNTER), "counter", PORTS)


def source(folder: Path, text: str) -> Path:
    file = folder / "design.v"
    file.write_text(text)
    return file


def test_headers_are_not_compiled_again(counter: Simulator) -> None:
    log = (counter.folder / "build.log").read_text()
    assert "-include " in log and "not used because" not in log


def test_second_build_comes_from_the_cache(counter: Simulator, tmp_path: Path) -> None:
    again = build(source(tmp_path, COUNTER), "counter", PORTS)
    assert again.cache_hit and again.folder == counter.folder
    assert again.build_seconds < 0.5


def test_clock_counts_cycles_and_waits(counter: Simulator, tmp_path: Path) -> None:
    for testcase in ("counts", "late"):
        result = counter.run("bench_counter", tmp_path, testcase=testcase)
        assert [test.name for test in result.tests] == [testcase]
        assert result.waveform is None


def test_failing_test_gives_its_cause(counter: Simulator, tmp_path: Path) -> None:
    with pytest.raises(SimulationError) as error:
        counter.run("bench_counter", tmp_path / "run", testcase="fails")
    first, second = str(error.value).splitlines()
    assert first.endswith("fails: AssertionError: C[3, 4]: 17 is not 18")
    assert second == f"full log: {tmp_path / 'run' / 'simulation.log'}"
    assert "fails" in error.value.log.read_text()


def test_hanging_test_is_stopped(counter: Simulator, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="stopped after 2 s"):
        counter.run("bench_counter", tmp_path, testcase="hangs", timeout_s=2)


def test_missing_test_module_gives_its_cause(counter: Simulator, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="No module named 'bench_nothing'"):
        counter.run("bench_nothing", tmp_path)


def test_unknown_testcase_is_an_error(counter: Simulator, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="full log"):
        counter.run("bench_counter", tmp_path, testcase="nothing")


def test_power_up_state_depends_on_the_seed(counter: Simulator, tmp_path: Path) -> None:
    def power_up(seed: int) -> str:
        result: RunResult = counter.run(
            "bench_counter", tmp_path, seed=seed, testcase="shows_power_up"
        )
        lines = result.log.read_text().splitlines()
        return next(line for line in lines if line.startswith("power-up"))

    assert power_up(1) == power_up(1)
    assert len({power_up(seed) for seed in range(1, 5)}) > 1


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seed_out_of_range(counter: Simulator, tmp_path: Path, seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed: {seed} is not in 0"):
        counter.run("bench_counter", tmp_path, seed=seed)


def test_memory_views_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = "".join(f", output [{width - 1}:0] d{width}" for width in WIDTHS)
    rams = "".join(
        f"ram{width} u{width} (.clk(clk), .address(address), .data(d{width}));\n"
        for width in WIDTHS
    )
    modules = "".join(
        RAM.replace("module ram #(parameter WIDTH = 8)", f"module ram{width}").replace(
            "WIDTH", str(width)
        )
        for width in WIDTHS
    )
    text = f"{modules}\nmodule top (input clk, input [3:0] address{ports});\n{rams}endmodule\n"
    (tmp_path / "bench_memory.py").write_text(MEMORY_BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    simulator = build(
        source(tmp_path, text),
        "top",
        ["clk", "address", *(f"d{width}" for width in WIDTHS)],
        [(f"ram{width}", "storage") for width in WIDTHS],
    )
    assert len(simulator.run("bench_memory", tmp_path).tests) == 2


def test_waveform_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench_counter.py").write_text(BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    simulator = build(source(tmp_path, COUNTER), "counter", PORTS, waves=True)
    result = simulator.run("bench_counter", tmp_path, testcase="counts", waves=True)
    assert result.waveform == tmp_path / f"counter.{simulator.waves}"
    assert result.waveform.stat().st_size > 200
    if simulator.waves == "vcd":
        assert " count " in result.waveform.read_text()


def test_waveform_has_the_widest_buses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench_counter.py").write_text(BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    bus = "    wire [4999:0] wide = {count[0], 4999'd0};\nendmodule"
    wide = source(tmp_path, COUNTER.replace("endmodule", bus))
    simulator = build(wide, "counter", (*PORTS, "wide"), waves="vcd")
    result = simulator.run("bench_counter", tmp_path, testcase="counts", waves=True)
    assert result.waveform is not None
    assert " wide [4999:0] " in result.waveform.read_text()


def test_waves_need_a_simulator_built_for_them(counter: Simulator, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="waves: True needs"):
        counter.run("bench_counter", tmp_path, waves=True)


def test_failing_build_gives_the_cause(tmp_path: Path) -> None:
    verilog = source(tmp_path, "module bad (input clk);\n  assign x = nothing;\nendmodule\n")
    with pytest.raises(SimulationError) as error:
        build(verilog, "bad", ["clk"])
    first, second = str(error.value).splitlines()
    assert "%Error" in first and "design.v:2" in first and "nothing" in first
    assert Path(second.removeprefix("full log: ")).read_text()


def test_failing_harness_gives_the_compiler_error(tmp_path: Path) -> None:
    main = tmp_path / "main.cpp"
    main.write_text("int main() { return nothing; }\n")
    with pytest.raises(SimulationError, match=r"main.cpp:1.*error: .nothing."):
        build_harness(source(tmp_path, COUNTER), "counter", main, "build")


def test_lint(tmp_path: Path) -> None:
    clean = COUNTER.replace("input [3:0] address, ", "")
    assert lint(source(tmp_path, clean), "counter") == []
    warnings = lint(source(tmp_path, COUNTER), "counter")
    assert len(warnings) == 1
    assert "UNUSEDSIGNAL" in warnings[0] and "address" in warnings[0]
    assert any("%Error" in line for line in lint(tmp_path / "nothing.v", "counter"))


def test_cache_keeps_nothing_of_a_failed_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTLOOM_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "partial").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached("key", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


def test_cache_builds_a_key_once_for_all_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTLOOM_CACHE", str(tmp_path))
    builds = []

    def slow(folder: Path) -> None:
        builds.append(folder)
        time.sleep(0.1)
        (folder / "product").write_text("done")

    def want() -> None:
        folder, _ = cached("key", slow)
        assert (folder / "product").read_text() == "done"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("lane_bits", [2, 3, 7, 8, 12, 16, 31, 32, 40, 63, 64])
def test_pack_and_unpack_are_inverse(lane_bits: int, signed: bool) -> None:
    rng = np.random.default_rng(lane_bits)
    low = -(1 << (lane_bits - 1)) if signed else 0
    high = low + (1 << lane_bits) - 1
    kind = np.int64 if signed else np.uint64
    values = rng.integers(low, high, size=(5, 7), dtype=kind, endpoint=True)
    values[0, :2] = low, high
    rows = pack(values, lane_bits, width=7 * lane_bits + 3)
    assert rows.shape == (5, entry_bytes(7 * lane_bits + 3))
    for row, lanes in zip(rows, values, strict=True):
        word = sum((int(v) % (1 << lane_bits)) << (i * lane_bits) for i, v in enumerate(lanes))
        assert int.from_bytes(row.tobytes(), "little") == word
    assert (unpack(rows, lane_bits, 7, signed) == values).all()


def test_pack_refuses_what_does_not_fit() -> None:
    values = np.array([[8, -9]])
    with pytest.raises(ValueError, match="values: -9 does not fit in 4 bits"):
        pack(values, 4)
    with pytest.raises(ValueError, match=r"lane_bits: 65 is not in 1\.\.64"):
        pack(values, 65)
    with pytest.raises(ValueError, match="width: 9 is less than 2 lanes of 5 bits"):
        pack(values, 5, width=9)
    with pytest.raises(ValueError, match="lanes: 3 of 8 bits are more than 2 bytes"):
        unpack(np.zeros((1, 2), np.uint8), 8, 3, signed=False)


@pytest.mark.parametrize(
    ("width", "size"), [(1, 1), (8, 1), (9, 2), (17, 4), (33, 8), (64, 8), (65, 12), (512, 64)]
)
def test_entry_bytes(width: int, size: int) -> None:
    assert entry_bytes(width) == size
