# amaranth: UnusedElaboratable=no
"""A core for MatMul-free language models: vector registers, and units that work side by side.

Instructions are issued in order, at most one a cycle, each when its unit and all its registers are
free: a busy bit a unit and a register. What is issued holds them to its last write, so that a
register has one reader and one writer at most.

Source: the core that MatMul-free LM (arXiv 2406.02528) describes; encoding, fixed point, tables
and units are ours.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.activation import Activation
from hw.matmul_free_decoder import Decoder
from hw.matmul_free_isa import (
    ACTIVATION,
    MEMORY,
    RMS,
    SCALAR_BITS,
    SCALARS,
    TERNARY,
    UNITS,
    VECTOR,
    VECTORS,
    MatmulFreeConfig,
)
from hw.memory import Memory
from hw.rms_quantizer import RmsQuantizer
from hw.ternary_matrix import TernaryMatrix
from hw.vector_port import VectorPort
from hw.vector_units import LoadStore, VectorArithmetic
from pe.share import place
from pe.unit import Unit

UNIT_CLASSES: dict[str, type[VectorPort]] = {
    MEMORY: LoadStore,
    TERNARY: TernaryMatrix,
    VECTOR: VectorArithmetic,
    ACTIVATION: Activation,
    RMS: RmsQuantizer,
}


class MatmulFreeCore(Unit):
    """Core for MatMul-free language models: programs of vector instructions.

    A command runs the program from an address to its HALT, which waits for all units. What
    addresses beyond a memory do is undefined.

    Members
    -------
    i_command : In(stream)
        ``address``: of the first instruction.
    o_response : Out(stream)
        ``cycles``: from the command taken to HALT, both included, 32 bits.
    i_write_program, i_write_weights : In(stream)
        Write ``data`` at ``address``; always ready. A word of weights is a column, 2 bits a row,
        row 0 in the low ones: 0, 1, and 3 for -1.
    i_write_data : In(stream)
        Write an element of the data memory; waits for STV.
    i_read_data : In(stream), o_read_data : Out(stream)
        Read an element; waits for LDV.
    issue : Out(1), pc : Out
        An instruction is issued in this cycle, and its address.
    retired : Out(5)
        Units whose instruction ended in the cycle before, in the order of `UNITS`.
    scalars : Out(4 x 24)
        Scalar registers.
    """

    config: MatmulFreeConfig
    latency = 2
    """Cycles of a program that is HALT and nothing else."""

    def __init__(self, config: MatmulFreeConfig) -> None:
        members: dict[str, Any] = {}
        for name, (depth, word) in config.memories.items():
            write = data.StructLayout({"address": range(depth), "data": word})
            ready = name != "data"
            members[f"i_write_{name}"] = In(stream.Signature(write, always_ready=ready))
        depth, word = config.memories["data"]
        pc = range(config.depth_program)
        super().__init__(
            config,
            {
                "i_command": In(stream.Signature(data.StructLayout({"address": pc}))),
                "o_response": Out(stream.Signature(data.StructLayout({"cycles": 32}))),
                **members,
                "i_read_data": In(stream.Signature(data.StructLayout({"address": range(depth)}))),
                "o_read_data": Out(stream.Signature(data.StructLayout({"data": word}))),
                "issue": Out(1),
                "pc": Out(pc),
                "retired": Out(len(UNITS)),
                "scalars": Out(data.ArrayLayout(SCALAR_BITS, SCALARS)),
            },
        )

    @property
    def operand_memories(self) -> list[tuple[str, str]]:
        """Module of the vector registers, and the name of the array in it."""
        return [(Memory(self.config.register).name, Memory.STORAGE)]

    @property
    def macs_per_cycle(self) -> int:
        """Products of an element and a ternary weight a cycle while TMM takes columns."""
        return self.config.length

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memories = {
            name: place(m, platform, f"{name}_memory", Memory, shape)
            for name, shape in self.config.memories.items()
        }
        units = {
            name: place(m, platform, f"{name}_unit", unit_class, self.config)
            for name, unit_class in UNIT_CLASSES.items()
        }
        decoder = place(m, platform, "decoder", Decoder, self.config)
        m.d.comb += decoder.word.eq(memories["program"].read_data)
        held = self._control(m, memories["program"], decoder, units)
        self._connect_operands(m, decoder, units)
        self._connect_registers(m, platform, decoder, units, held)
        self._connect_memories(m, memories, units)
        return m

    def _control(
        self, m: Module, program: Any, decoder: Any, units: dict[str, Any]
    ) -> dict[str, Value]:
        """Fetch, issue and halt; return the vector registers that each unit holds."""
        running = Signal()
        now = Signal(32)
        started = Signal(32, reset_less=True)
        next_pc = Signal.like(self.pc)
        taken = Signal()
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            taken.eq(self.i_command.valid & self.i_command.ready),
            self.i_command.ready.eq(~running & ~self.o_response.valid),
            next_pc.eq(Mux(taken, self.i_command.payload.address, self.pc + 1)),
            program.read_address.eq(next_pc),
            program.read_enable.eq(taken | self.issue),
        ]
        with m.If(program.read_enable):
            m.d.sync += self.pc.eq(next_pc)
        with m.If(taken):
            m.d.sync += [running.eq(1), started.eq(now)]
        with m.If(self.o_response.ready):
            m.d.sync += self.o_response.valid.eq(0)

        busy_vectors = Signal(VECTORS)
        busy_scalars = Signal(SCALARS)
        busy_units = Signal(len(UNITS))
        units_free = Signal()
        vectors_free = Signal()
        scalars_free = Signal()
        m.d.comb += [
            units_free.eq(~(decoder.units & busy_units).any()),
            vectors_free.eq(~(decoder.vectors & busy_vectors).any()),
            scalars_free.eq(~(decoder.scalars & busy_scalars).any()),
            self.issue.eq(running & decoder.units.any() & units_free & vectors_free & scalars_free),
        ]
        with m.If(running & ~decoder.units.any() & ~busy_units.any()):
            m.d.sync += [
                running.eq(0),
                self.o_response.valid.eq(1),
                self.o_response.payload.cycles.eq(now - started + 1),
            ]

        # A unit holds what it was given; what ends is free in the next cycle.
        kinds = (
            ("units", busy_units, decoder.units),
            ("vectors", busy_vectors, decoder.vectors),
            ("scalars", busy_scalars, decoder.scalars),
        )
        vectors_of: dict[str, Value] = {}
        for kind, busy, needed in kinds:
            ended: Value = Const(0, len(busy))
            for i, name in enumerate(UNITS):
                held = Signal(len(busy), name=f"{name}_{kind}", reset_less=True)
                with m.If(units[name].start):
                    m.d.sync += held.eq(needed)
                ended = ended | Mux(units[name].done, held, 0)
                if kind == "vectors":
                    vectors_of[name] = Mux(busy_units[i], held, 0)
            m.d.sync += busy.eq((busy & ~ended) | Mux(self.issue, needed, 0))
        m.d.comb += [
            units[name].start.eq(self.issue & decoder.units[i]) for i, name in enumerate(UNITS)
        ]
        m.d.sync += self.retired.eq(Cat(units[name].done for name in UNITS))
        return vectors_of

    def _connect_operands(self, m: Module, decoder: Any, units: dict[str, Any]) -> None:
        """Give the units their fields, and the scalar registers to those that have one."""
        rms_scalar = Signal.like(decoder.s, reset_less=True)
        with m.If(units[RMS].start):
            m.d.sync += rms_scalar.eq(decoder.s)
        for i in range(SCALARS):
            with m.If(units[RMS].scale_enable & (rms_scalar == Const(i, 2))):
                m.d.sync += self.scalars[i].eq(units[RMS].scale)
        m.d.comb += [
            units[MEMORY].store.eq(decoder.store),
            units[MEMORY].address.eq(decoder.address),
            units[TERNARY].address.eq(decoder.weights),
            units[TERNARY].rows.eq(decoder.rows),
            units[TERNARY].cols.eq(decoder.cols),
            units[VECTOR].subtract.eq(decoder.subtract),
            units[VECTOR].multiply.eq(decoder.multiply),
            units[VECTOR].scale.eq(decoder.scale),
            units[VECTOR].shift.eq(decoder.shift),
            units[VECTOR].factor.eq(decoder.factor),
            units[VECTOR].scalar.eq(_choose(list(self.scalars), decoder.s)),
            units[ACTIVATION].silu.eq(decoder.silu),
            units[RMS].cols.eq(decoder.cols),
        ]

    def _connect_registers(
        self,
        m: Module,
        platform: object,
        decoder: Any,
        units: dict[str, Any],
        held: dict[str, Value],
    ) -> None:
        """Connect each register to the unit that holds it."""
        registers = [
            place(m, platform, f"register_{i}", Memory, self.config.register)
            for i in range(VECTORS)
        ]
        elements = [register.read_data for register in registers]
        written: dict[str, Signal] = {}
        for name, unit in units.items():
            chosen = {}
            for operand in ("d", *UNIT_CLASSES[name].reads):
                chosen[operand] = Signal(3, name=f"{name}_v{operand}", reset_less=True)
                with m.If(unit.start):
                    m.d.sync += chosen[operand].eq(getattr(decoder, f"v{operand}"))
            written[name] = chosen["d"]
            for port in UNIT_CLASSES[name].reads:
                m.d.comb += getattr(unit, f"element_{port}").eq(_choose(elements, chosen[port]))
        for i, register in enumerate(registers):
            m.d.comb += register.read_enable.eq(1)
            for name, unit in units.items():
                with m.If(held[name][i]):
                    m.d.comb += register.read_address.eq(unit.read_index)
                with m.If(unit.write_enable & (written[name] == Const(i, 3))):
                    m.d.comb += [
                        register.write_enable.eq(1),
                        register.write_address.eq(unit.write_index),
                        register.write_data.eq(unit.write_data),
                    ]

    def _connect_memories(self, m: Module, memories: dict[str, Any], units: dict[str, Any]) -> None:
        """Connect the memories to the host, and to the units that read and write them."""
        for name in ("program", "weights"):
            writes = getattr(self, f"i_write_{name}")
            m.d.comb += [
                memories[name].write_address.eq(writes.payload.address),
                memories[name].write_data.eq(writes.payload.data),
                memories[name].write_enable.eq(writes.valid),
            ]
        memory, ternary, words = units[MEMORY], units[TERNARY], memories["data"]
        host_reads = Signal()
        host_read = Signal()
        m.d.comb += [
            memories["weights"].read_address.eq(ternary.weight_address),
            memories["weights"].read_enable.eq(ternary.weight_enable),
            ternary.weight_data.eq(memories["weights"].read_data),
            self.i_write_data.ready.eq(~memory.store_enable),
            words.write_enable.eq(self.i_write_data.valid | memory.store_enable),
            words.write_address.eq(
                Mux(memory.store_enable, memory.store_address, self.i_write_data.payload.address)
            ),
            words.write_data.eq(
                Mux(memory.store_enable, memory.store_data, self.i_write_data.payload.data)
            ),
            self.i_read_data.ready.eq(~memory.load_enable & ~host_read & ~self.o_read_data.valid),
            host_reads.eq(self.i_read_data.valid & self.i_read_data.ready),
            words.read_enable.eq(host_reads | memory.load_enable),
            words.read_address.eq(
                Mux(memory.load_enable, memory.load_address, self.i_read_data.payload.address)
            ),
            memory.load_data.eq(words.read_data),
        ]
        # LDV may read the next word before the host takes this one.
        m.d.sync += host_read.eq(host_reads)
        with m.If(host_read):
            m.d.sync += [
                self.o_read_data.payload.data.eq(words.read_data),
                self.o_read_data.valid.eq(1),
            ]
        with m.Elif(self.o_read_data.ready):
            m.d.sync += self.o_read_data.valid.eq(0)


def _choose(values: Sequence[Value], index: Value) -> Value:
    """Return one of two, four, ... values, by the bits of an index."""
    for bit in index:
        values = [Mux(bit, high, low) for low, high in zip(values[::2], values[1::2], strict=True)]
    return values[0]
