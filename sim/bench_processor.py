# amaranth: UnusedElaboratable=no
"""Bench of a processor: programs, its registers and its cycles against an instruction-level model.

Whenever an instruction ends, all vector registers that none is writing and all scalar registers
are compared; each issue and each end must come in the cycle that the model's timeline has.
"""

from collections import Counter
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from golden.matmul_free import (
    SCALAR_BITS,
    SCALARS,
    UNITS,
    VECTORS,
    Instruction,
    Machine,
    State,
    Times,
    Vector,
    decode,
    execute,
    latency,
    timeline,
)
from hw.matmul_free import MatmulFreeCore
from hw.memory import Memory
from sim.clock import SimulatorClock, start_clock
from sim.job import load, save_result
from sim.memory import memory_view, pack, unpack
from sim.programs import machine_of

RESET_CYCLES = 3
PORT_LIMIT = 10
"""Cycles after which a host port must have answered where no instruction is in its way."""


class _Core:
    """A core as Python sees it under cocotb."""

    def __init__(self, dut: Any, core: MatmulFreeCore) -> None:
        self.dut = dut
        self.config = core.config
        self.running = False
        self.clock: SimulatorClock = start_clock(dut)
        self._views = [memory_view(f"register_{i}.{Memory.STORAGE}") for i in range(VECTORS)]
        for stream in ("i_command", "i_write_program", "i_write_data", "i_write_weights"):
            getattr(dut, f"{stream}_valid").value = 0
        dut.i_read_data_valid.value = 0
        dut.o_read_data_ready.value = 0
        dut.o_response_ready.value = 0

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await self.clock.cycles(RESET_CYCLES)
        self.dut.rst.value = 0

    def vectors(self) -> Vector:
        """Vector registers, [8, length]."""
        rows = [unpack(view, self.config.width, 1, True)[:, 0] for view in self._views]
        return np.array(rows).astype(np.int64)

    def scalars(self) -> list[int]:
        """Scalar registers."""
        bits = int(self.dut.scalars.value)
        return [bits >> i * SCALAR_BITS & ((1 << SCALAR_BITS) - 1) for i in range(SCALARS)]

    async def write(self, memory: str, words: list[int], base: int = 0) -> None:
        """Write words of a memory, one a cycle."""
        for address, word in enumerate(words, base):
            await self.offer(f"i_write_{memory}", address=address, data=word)

    async def read_data(self, count: int, base: int = 0, pause: int = 0) -> list[int]:
        """Read words of the data memory, each taken after it has waited for `pause` cycles."""
        half = 1 << (self.config.width - 1)
        words = []
        for address in range(base, base + count):
            await self.offer("i_read_data", address=address)
            await self.clock.until(self.dut.o_read_data_valid, 1, PORT_LIMIT)
            for _ in range(pause):
                await RisingEdge(self.dut.clk)
            word = int(self.dut.o_read_data_data.value)
            words.append((word ^ half) - half)
            self.dut.o_read_data_ready.value = 1
            await RisingEdge(self.dut.clk)
            self.dut.o_read_data_ready.value = 0
        return words

    async def offer(self, stream: str, **fields: int) -> None:
        """Offer one beat until it is taken."""
        valid = getattr(self.dut, f"{stream}_valid")
        ready = getattr(self.dut, f"{stream}_ready", None)
        for field, value in fields.items():
            port = getattr(self.dut, f"{stream}_{field}")
            port.value = value & ((1 << len(port)) - 1)
        valid.value = 1
        limit = PORT_LIMIT + 2 * self.config.length
        for _ in range(limit):
            await RisingEdge(self.dut.clk)
            # What is written at an edge is seen at the next one.
            if int(valid.value) and (ready is None or int(ready.value)):
                valid.value = 0
                return
        raise AssertionError(f"{stream}_ready is still 0 after {limit} cycles")


class _Checker:
    """Follows a program through the core: each issue and each end in its cycle.

    Parameters
    ----------
    base
        Where the program is.
    texts, instructions
        The program, HALT too.
    times
        When each instruction should be issued and end.
    """

    def __init__(
        self,
        core: _Core,
        base: int,
        texts: list[str],
        instructions: list[Instruction],
        times: list[Times],
    ) -> None:
        self.core, self.base, self.texts = core, base, texts
        self.instructions = instructions
        self.issues = {t.issue: k for k, t in enumerate(times[:-1])}
        self.retires: dict[int, list[int]] = {}
        for k, t in enumerate(times[:-1]):
            self.retires.setdefault(t.done + 1, []).append(k)
        self._running: set[int] = set()

    def check_issue(self, cycle: int) -> None:
        expected = self.issues.get(cycle)
        if int(self.core.dut.issue.value):
            pc = int(self.core.dut.pc.value) - self.base
            due = "nothing" if expected is None else self.texts[expected]
            text = self.texts[pc] if 0 <= pc < len(self.texts) else "what is no instruction"
            assert pc == expected, f"cycle {cycle}: {text} is issued, the timeline says {due}"
            self._running.add(pc)
        else:
            assert expected is None, f"cycle {cycle}: {self.texts[expected]} is not issued"

    def check_retired(self, cycle: int) -> list[int]:
        """Return the instructions that ended in the cycle before."""
        expected = self.retires.get(cycle, [])
        names = list(UNITS)
        units = sum(1 << names.index(self._unit(k)) for k in expected)
        found = int(self.core.dut.retired.value)
        assert found == units, (
            f"cycle {cycle}: instructions of {self._names(found)} end, "
            f"the timeline says {self._names(units)}"
        )
        self._running -= set(expected)
        return expected

    def writing(self, field: str) -> set[int]:
        """Registers that instructions which have not ended may be writing."""
        operands = (self.instructions[k].operands for k in self._running)
        return {o[field] for o in operands if field in o}

    def _unit(self, k: int) -> str:
        return next(u for u, names in UNITS.items() if self.instructions[k].name in names)

    @staticmethod
    def _names(bits: int) -> str:
        return ", ".join(u for i, u in enumerate(UNITS) if bits >> i & 1) or "no unit"


class _Model:
    """The golden model, and the registers as they are once instructions ended in any order.

    Attributes
    ----------
    vectors, scalars
        Registers with the results of all that ended.
    """

    def __init__(self, state: State, instructions: list[Instruction], machine: Machine) -> None:
        self.state, self.machine = state, machine
        self.vectors, self.scalars = state.vectors.copy(), list(state.scalars)
        self._instructions = instructions
        self._results: list[tuple[Vector | None, int | None]] = []

    def retire(self, k: int) -> None:
        """Take instruction `k` as ended; the model runs ahead, in order, as far as is needed."""
        while len(self._results) <= k:
            instruction = self._instructions[len(self._results)]
            execute(instruction, self.state, self.machine)
            o = instruction.operands
            vector = self.state.vectors[o["vd"]].copy() if "vd" in o else None
            scalar = self.state.scalars[o["s"]] if instruction.name == "RMSQ" else None
            self._results.append((vector, scalar))
        vector, scalar = self._results[k]
        if vector is not None:
            self.vectors[self._instructions[k].operands["vd"]] = vector
        if scalar is not None:
            self.scalars[self._instructions[k].operands["s"]] = scalar


def _compare(name: str, found: Any, expected: Any, where: str) -> None:
    wrong = np.flatnonzero(np.asarray(found) != np.asarray(expected))
    if len(wrong):
        i = int(wrong[0])
        raise AssertionError(
            f"{name}[{i}] is {int(found[i])}, the golden model says {int(expected[i])}, {where}"
        )


def _counted(instructions: list[Instruction], machine: Machine) -> dict[str, Any]:
    """Count each kind of instruction and its cycles, and the products of all TMM."""
    count: Counter[str] = Counter()
    cycles: Counter[str] = Counter()
    macs = 0
    for instruction in instructions:
        count[instruction.name] += 1
        cycles[instruction.name] += latency(instruction, machine)
        if instruction.name == "TMM":
            macs += instruction.operands["rows"] * instruction.operands["cols"]
    return {"count": count, "latency": cycles, "macs": macs}


async def _host(core: _Core, first: int, rng: np.random.Generator) -> None:
    """Write words that no program has, from `first` on, and read them, while a program runs."""
    room = core.config.depth_data - first
    half = 1 << (core.config.width - 1)
    while room and core.running:
        address = first + int(rng.integers(room))
        word = int(rng.integers(-half, half))
        await core.write("data", [word], address)
        (found,) = await core.read_data(1, address, pause=int(rng.integers(9)))
        assert found == word, f"data[{address}] is {found} to the host, which wrote {word}"


@cocotb.test()
async def programs(dut: Any) -> None:
    """Run every program of the job, one after the other."""
    job, arrays = load()
    component: MatmulFreeCore = job.component()
    machine = machine_of(component.config)
    core = _Core(dut, component)
    await core.reset()
    report = []
    rng = np.random.default_rng(job.seed)
    for index, (name, texts) in enumerate(job.options["programs"]):
        words = arrays[f"program{index}"].tolist()
        state = State(core.vectors(), arrays[f"data{index}"], arrays[f"weights{index}"])
        state.scalars = core.scalars()
        columns = pack(state.weights & 3, 2)
        base = int(rng.integers(component.config.depth_program - len(words), endpoint=True))
        await core.write("program", words, base)
        await core.write("data", state.data.tolist())
        await core.write("weights", [int.from_bytes(c.tobytes(), "little") for c in columns])
        instructions = [decode(word) for word in words]
        times = timeline(words, machine)
        end = times[-1].issue + 1
        checker = _Checker(core, base, texts, instructions, times)
        model = _Model(state, instructions, machine)
        core.running = True
        host = cocotb.start_soon(_host(core, len(state.data), rng))
        await core.offer("i_command", address=base)
        for cycle in range(1, end + 1):
            await RisingEdge(dut.clk)
            checker.check_issue(cycle)
            ended = checker.check_retired(cycle)
            if not ended:
                continue
            for k in ended:
                model.retire(k)
            where = f"after {' and '.join(texts[k] for k in ended)}"
            found = core.vectors()
            for v in set(range(VECTORS)) - checker.writing("vd"):
                _compare(f"v{v}", found[v], model.vectors[v], where)
            scalars = core.scalars()
            for s in set(range(SCALARS)) - checker.writing("s"):
                _compare(f"s{s}", [scalars[s]], [model.scalars[s]], where)
        clock = core.clock.count
        assert int(dut.o_response_valid.value), f"o_response: no response in cycle {end}"
        cycles = int(dut.o_response_cycles.value)
        assert cycles == end, f"{name}: {cycles} cycles, the timeline says {end}"
        dut.o_response_ready.value = 1
        await RisingEdge(dut.clk)
        dut.o_response_ready.value = 0
        core.running = False
        await host
        _compare("data", await core.read_data(len(state.data)), state.data, f"after {name}")
        _compare("s", core.scalars(), state.scalars, f"after {name}")
        counted = _counted(instructions[: len(times) - 1], machine)
        report.append({"name": name, "cycles": cycles, "end": clock, **counted})
    save_result({"programs": report}, {})
