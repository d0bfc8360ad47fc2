# amaranth: UnusedElaboratable=no
"""A GEMM core: an output-stationary engine between operand memories, driven by commands.

The host writes A and B into their memories, sends a command with the sizes and the base addresses
of a product, and reads C when the response comes. The sequencer cuts any M x K x N that fits into
tiles, N innermost, and feeds a K-slice a cycle without a gap between tiles.

Nothing waits for the host that need not: the next command is taken while the last tile of the
previous one still drains, and the memories' host ports work at any time, so that the operands of
one product can be written, elsewhere in the memories, while another is running.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.core_config import GemmCoreConfig, command_layout, response_layout
from hw.engine import ceil_div
from hw.memory import Memory
from hw.sequencer import Collector, Feeder
from hw.systolic_os import SystolicOs
from pe.share import place, share
from pe.unit import Unit


class GemmCore(Unit):
    """GEMM core: commands in, responses out, operand memories behind host ports.

    Memory map, in words; lane 0 of a word in its low bits, R and C the array's rows and columns:

    ==========  ===========================  =============================================
    memory      word                         address of a word, from the command's base
    ==========  ===========================  =============================================
    A           R elements of a column of A  ``(m // R) * K + k`` holds A[m // R * R + lane, k]
    B           C elements of a row of B     ``(n // C) * K + k`` holds B[k, n // C * C + lane]
    C           C elements of a row of C     ``(n // C) * M + m`` holds C[m, n // C * C + lane]
    ==========  ===========================  =============================================

    Lanes beyond M or N may hold anything in A and B, and do in C.

    Members
    -------
    i_command : In(stream)
        ``m``, ``k``, ``n``: sizes, 1 or more, `SIZE_BITS` bits. ``base_a``, ``base_b``,
        ``base_c``: first word of each matrix. The product must fit (see `check_fits`).
    o_response : Out(stream)
        One a command, in order, when the last word of C is written. ``cycles``: from the command
        taken to that write, both included, 32 bits.
    i_write_a, i_write_b : In(stream)
        Write ``data`` at ``address``; always ready.
    i_read_c : In(stream), o_read_c : Out(stream)
        Read the word at ``address``; ``data`` follows in order, one cycle later at the earliest.
    beats : Out(32)
        K-slices the engine has taken since reset, modulo 2**32.
    """

    config: GemmCoreConfig

    def __init__(self, config: GemmCoreConfig) -> None:
        self.engine = SystolicOs(config.array)
        self.memories = config.memories
        members: dict[str, Any] = {}
        for operand in ("a", "b"):
            depth, word = self.memories[operand]
            write = data.StructLayout({"address": range(depth), "data": word})
            members[f"i_write_{operand}"] = In(stream.Signature(write, always_ready=True))
        depth, word = self.memories["c"]
        super().__init__(
            config,
            {
                "i_command": In(stream.Signature(command_layout(self.memories))),
                "o_response": Out(stream.Signature(response_layout())),
                **members,
                "i_read_c": In(stream.Signature(data.StructLayout({"address": range(depth)}))),
                "o_read_c": Out(stream.Signature(data.StructLayout({"data": word}))),
                "beats": Out(32),
            },
        )

    FEED_LATENCY = 2
    """Cycles from a command taken to the engine's first beat."""

    cycle_formula = (
        "2 + K + (tiles - 1) * max(K, 2*rows + cols + 1) + 2*rows + cols, "
        "tiles = ceil(M/rows) * ceil(N/cols)"
    )

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a command taken to its first row of C, for K = 1."""
        return self.FEED_LATENCY + self.engine.latency

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.engine.facts

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle when every PE is busy."""
        return self.engine.macs_per_cycle

    @property
    def operand_memories(self) -> list[tuple[str, str]]:
        """Modules of the A, B and C memory, and the name of the array in each."""
        modules = {Memory(shape).name for shape in self.memories.values()}
        return [(module, Memory.STORAGE) for module in sorted(modules)]

    def cycles(self, m: int, k: int, n: int) -> int:
        """Cycles from a command taken to its last word of C written, both included."""
        return self.FEED_LATENCY + self.engine.cycles(m, k, n)

    def words(self, m: int, k: int, n: int) -> dict[str, int]:
        """Words that a product takes in each memory."""
        tiles_m, tiles_n = ceil_div(m, self.engine.tile_m), ceil_div(n, self.engine.tile_n)
        return {"a": tiles_m * k, "b": tiles_n * k, "c": tiles_n * m}

    def check_fits(self, m: int, k: int, n: int) -> None:
        """Refuse a product that the memories cannot hold.

        Raises
        ------
        ValueError
            Naming the memory, the words needed and the words there are.
        """
        for size, value in (("m", m), ("k", k), ("n", n)):
            if value < 1:
                raise ValueError(f"{size}: {value} is not 1 or more")
        if k > self.config.array.k_max:
            raise ValueError(f"k: {k} is more than k_max={self.config.array.k_max}")
        for name, words in self.words(m, k, n).items():
            depth = self.memories[name].depth
            if words > depth:
                raise ValueError(
                    f"depth_{name}: {m} x {k} x {n} needs {words} words, the memory has {depth}"
                )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        feeder = place(m, platform, "feeder", Feeder, self.config)
        collector = place(m, platform, "collector", Collector, self.config)
        memory = {
            name: place(m, platform, f"memory_{name}", Memory, shape)
            for name, shape in self.memories.items()
        }

        now = Signal(32)
        m.d.sync += now.eq(now + 1)
        m.d.comb += [feeder.now.eq(now), collector.now.eq(now)]
        connect(m, flipped(self.i_command), feeder.i_command)
        connect(m, feeder.o_job, collector.i_job)
        connect(m, collector.o_response, flipped(self.o_response))

        ready_a = Signal()
        ready_b = Signal()
        row_c = Signal(self.memories["c"].word)
        share(
            m,
            platform,
            "engine",
            SystolicOs,
            self.config.array,
            i_a=_stream(
                feeder.beat_valid,
                ready_a,
                data=memory["a"].read_data,
                first=feeder.beat_first,
                last=feeder.beat_last,
            ),
            i_b=_stream(feeder.beat_valid, ready_b, data=memory["b"].read_data),
            o_c=_stream(
                collector.row_valid, collector.row_ready, data=row_c, last=collector.row_last
            ),
        )
        m.d.comb += feeder.beat_ready.eq(ready_a & ready_b)
        with m.If(feeder.beat_valid & feeder.beat_ready):
            m.d.sync += self.beats.eq(self.beats + 1)

        for operand, writes in (("a", self.i_write_a), ("b", self.i_write_b)):
            m.d.comb += [
                memory[operand].write_address.eq(writes.payload.address),
                memory[operand].write_data.eq(writes.payload.data),
                memory[operand].write_enable.eq(writes.valid),
                memory[operand].read_address.eq(getattr(feeder, f"address_{operand}")),
                memory[operand].read_enable.eq(feeder.read_enable),
            ]
        m.d.comb += [
            memory["c"].write_address.eq(collector.address_c),
            memory["c"].write_data.eq(row_c),
            memory["c"].write_enable.eq(collector.write_enable),
            self.i_read_c.ready.eq(~self.o_read_c.valid | self.o_read_c.ready),
            memory["c"].read_address.eq(self.i_read_c.payload.address),
            memory["c"].read_enable.eq(self.i_read_c.valid & self.i_read_c.ready),
            self.o_read_c.payload.data.eq(memory["c"].read_data),
        ]
        with m.If(self.i_read_c.ready):
            m.d.sync += self.o_read_c.valid.eq(self.i_read_c.valid)
        return m


def _stream(valid: Value, ready: Value, **payload: Value) -> SimpleNamespace:
    """Signals of a stream whose fields come from different places, as `share` connects them."""
    return SimpleNamespace(valid=valid, ready=ready, payload=SimpleNamespace(**payload))
