"""A GEMM core as Python sees it under cocotb: load, start, wait, read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from cocotb.triggers import RisingEdge

from hw.gemm_core import GemmCore
from hw.memory import Memory
from sim.clock import CycleLimitError, SimulatorClock, start_clock
from sim.memory import memory_view, pack, unpack
from sim.packing import Matrix, matrix_c, words_a, words_b
from sim.part import part_of

RESET_CYCLES = 3


@dataclass(frozen=True)
class Sample:
    """K-slices that the engine had taken after a number of cycles."""

    cycle: int
    beats: int


class CoreDriver:
    """Runs products on a core through its command stream.

    Matrices go straight into the operand memories (`load`, `read`), so that Python costs per
    product and not per cycle; `write_words` and `read_words` use the host ports.

    Parameters
    ----------
    dut
        Handle of the simulated core.
    core
        The component it was emitted from.
    part
        Name of the core in the design, where it is not the whole of it.
    """

    def __init__(self, dut: Any, core: GemmCore, part: str | None = None) -> None:
        dut, path = part_of(dut, part)
        self._dut = dut
        self._core = core
        self._array = core.config.array
        self.clock: SimulatorClock = start_clock(dut)
        self._memory = {
            name: memory_view(f"{path}memory_{name}.{Memory.STORAGE}") for name in core.memories
        }
        for port in ("i_command", "i_write_a", "i_write_b", "i_read_c"):
            getattr(dut, f"{port}_valid").value = 0
        dut.o_response_ready.value = 0
        dut.o_read_c_ready.value = 0

    async def reset(self) -> None:
        """Hold reset for a few cycles."""
        self._dut.rst.value = 1
        await self.clock.cycles(RESET_CYCLES)
        self._dut.rst.value = 0

    def load(self, a: Matrix, b: Matrix, base_a: int = 0, base_b: int = 0) -> None:
        """Put A and B into their memories."""
        for name, base, words in (
            ("a", base_a, self.packed_a(a)),
            ("b", base_b, self.packed_b(b)),
        ):
            self._memory[name][base : base + len(words)] = words

    def packed_a(self, a: Matrix) -> Any:
        """Words of the A memory for A."""
        return pack(words_a(a, self._array.rows), self._array.width_a)

    def packed_b(self, b: Matrix) -> Any:
        """Words of the B memory for B."""
        return pack(words_b(b, self._array.cols), self._array.width_b)

    def read(self, m: int, n: int, base_c: int = 0) -> Matrix:
        """Take C out of its memory."""
        count = self._core.words(m, 1, n)["c"]
        return self.unpacked_c(self._memory["c"][base_c : base_c + count], m, n)

    def unpacked_c(self, words: Any, m: int, n: int) -> Matrix:
        """C out of words of the C memory."""
        signed = self._array.pe_config.accumulator_shape.signed
        lanes = unpack(words, self._array.width_acc, self._array.cols, signed)
        return matrix_c(lanes.astype(np.int64), m, n)

    async def start(
        self, m: int, k: int, n: int, base_a: int = 0, base_b: int = 0, base_c: int = 0
    ) -> None:
        """Send a command.

        Raises
        ------
        ValueError
            When the product does not fit in the memories.
        """
        self._core.check_fits(m, k, n)
        fields = {"m": m, "k": k, "n": n, "base_a": base_a, "base_b": base_b, "base_c": base_c}
        await self._offer("i_command", fields, limit=self._core.cycles(m, k, n) + 1000)

    async def response(
        self, limit: int, every: int = 0, samples: list[Sample] | None = None
    ) -> int:
        """Wait for the answer to the oldest command, and return the cycles it took.

        Parameters
        ----------
        limit
            Cycles to wait at most.
        every, samples
            Append how many K-slices have been taken to `samples`, every so many cycles.

        Raises
        ------
        CycleLimitError
            Where it stood after `limit` cycles.
        """
        dut = self._dut
        waited = 0
        try:
            if samples is not None:
                while not int(dut.o_response_valid.value):
                    samples.append(Sample(self.clock.count, int(dut.beats.value)))
                    if waited > limit:
                        raise CycleLimitError(f"o_response_valid is still 0 after {limit} cycles")
                    await self.clock.cycles(every)
                    waited += every
                samples.append(Sample(self.clock.count, int(dut.beats.value)))
            else:
                await self.clock.until(dut.o_response_valid, 1, limit)
        except CycleLimitError as error:
            raise CycleLimitError(f"{error}; {int(dut.beats.value)} K-slices taken") from None
        cycles = int(dut.o_response_cycles.value)
        dut.o_response_ready.value = 1
        await RisingEdge(dut.clk)
        dut.o_response_ready.value = 0
        # Else whoever asks next, at this edge, would see the same response again.
        await self.clock.until(dut.o_response_valid, 0, limit=2)
        return cycles

    async def write_words(self, name: str, words: Any, base: int = 0) -> None:
        """Write words of A or B through the host port, one a cycle."""
        for offset, word in enumerate(words):
            fields = {"address": base + offset, "data": int.from_bytes(word.tobytes(), "little")}
            await self._offer(f"i_write_{name}", fields, limit=10)

    async def read_words(self, count: int, base: int = 0) -> Any:
        """Read words of C through the host port."""
        dut = self._dut
        size = self._memory["c"].shape[1]
        words = []
        for offset in range(count):
            await self._offer("i_read_c", {"address": base + offset}, limit=10)
            await self.clock.until(dut.o_read_c_valid, 1, limit=10)
            words.append(int(dut.o_read_c_data.value).to_bytes(size, "little"))
            dut.o_read_c_ready.value = 1
            await RisingEdge(dut.clk)
            dut.o_read_c_ready.value = 0
        return np.frombuffer(b"".join(words), np.uint8).reshape(count, size)

    async def _offer(self, stream: str, fields: dict[str, int], limit: int) -> None:
        """Offer one beat on a stream until it is taken."""
        dut = self._dut
        valid, ready = getattr(dut, f"{stream}_valid"), getattr(dut, f"{stream}_ready", None)
        for field, value in fields.items():
            getattr(dut, f"{stream}_{field}").value = value
        valid.value = 1
        for _ in range(limit):
            await RisingEdge(dut.clk)
            # What is written at an edge is seen at the next one.
            if int(valid.value) and (ready is None or int(ready.value)):
                valid.value = 0
                return
        raise CycleLimitError(f"{stream}_ready is still 0 after {limit} cycles")
