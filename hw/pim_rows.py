# amaranth: UnusedElaboratable=no
"""The data of a bank that multiplies: its cells, its row buffers and its GEMV unit."""

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from hw.memory import Memory, MemoryShape
from hw.pim_config import Command, PimConfig
from hw.pim_timer import pick
from pe.gemv_unit import RESULT_BITS, GemvUnit
from pe.share import place
from pe.unit import Unit


class PimRows(Unit):
    """Cells, row buffers and GEMV unit of a bank.

    The cells are a memory of whole rows, which stands for the array of a DRAM in simulation. An
    activate takes its row into a buffer a cycle later; a precharge of memory's buffer writes it
    back. That of PIM is only read.

    Members
    -------
    command : In(4)
        Of this bank; only legal ones.
    row : In
        Of an activate.
    open_row : In
        Row in memory's buffer.
    column, data : In
        Of a RD or WR.
    step : In, step_valid, step_first : In(1)
        Slice of the row to multiply with `vector`, and whether the latch starts anew.
    vector : In
        Slice of the vector.
    word : Out
        The column of memory's buffer that `column` names.
    buffer : Out
        Memory's buffer.
    result : Out(32), result_valid : Out(1)
        The latch, and whether it has just taken in a step, the unit's latency after it.
    """

    config: PimConfig

    def __init__(self, config: PimConfig) -> None:
        word = config.column_bytes * 8
        super().__init__(
            config,
            {
                "command": In(4),
                "row": In(range(config.bank_rows)),
                "open_row": In(range(config.bank_rows)),
                "column": In(range(config.columns)),
                "data": In(word),
                "step": In(range(config.steps)),
                "step_valid": In(1),
                "step_first": In(1),
                "vector": In(config.step_bits),
                "word": Out(word),
                "buffer": Out(config.row_bytes * 8),
                "result": Out(RESULT_BITS),
                "result_valid": Out(1),
            },
        )

    @property
    def name(self) -> str:
        c = self.config
        kind = "dual" if c.dual else "single"
        return f"pim_rows_{kind}_{c.bank_rows}x{c.steps}x{c.lanes}{c.element}_c{c.columns}"

    @property
    def memory(self) -> MemoryShape:
        """Shape of the cells."""
        return MemoryShape(self.config.bank_rows, unsigned(self.config.row_bytes * 8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        cells = place(m, platform, "cells", Memory, self.memory)
        unit = place(m, platform, "unit", GemvUnit, config.unit)

        def does(*commands: Command) -> Value:
            found: Value = Value.cast(0)
            for command in commands:
                found = found | (self.command == command.value)
            return found

        to_mem, to_pim = does(Command.ACT), does(Command.PACT)
        if not config.dual:
            to_mem = to_mem | to_pim
        buffer = Signal(config.row_bytes * 8, name="mem_buffer", reset_less=True)
        m.d.comb += [
            cells.read_address.eq(self.row),
            cells.read_enable.eq(does(Command.ACT, Command.PACT)),
            cells.write_address.eq(self.open_row),
            cells.write_enable.eq(does(Command.PRE)),
            cells.write_data.eq(self.buffer),
            self.word.eq(pick(words(buffer, config.columns), self.column)),
        ]
        m.d.comb += self.buffer.eq(buffer)
        takes = Signal(name="mem_takes")
        m.d.sync += takes.eq(to_mem)
        with m.If(takes):
            m.d.sync += buffer.eq(cells.read_data)
        with m.Elif(does(Command.WR)):
            for i, word in enumerate(words(buffer, config.columns)):
                with m.If(self.column == i):
                    m.d.sync += word.eq(self.data)
        multiplied = buffer
        if config.dual:
            multiplied = Signal(config.row_bytes * 8, name="pim_buffer", reset_less=True)
            pim_takes = Signal()
            m.d.sync += pim_takes.eq(to_pim)
            with m.If(pim_takes):
                m.d.sync += multiplied.eq(cells.read_data)
        m.d.comb += [
            Value.cast(unit.row).eq(pick(words(multiplied, config.steps), self.step)),
            Value.cast(unit.vector).eq(self.vector),
            unit.clear.eq(self.step_first),
            unit.i_valid.eq(self.step_valid),
            self.result.eq(unit.result),
            self.result_valid.eq(unit.o_valid),
        ]
        return m


def words(value: Value, count: int) -> list[Value]:
    """Equal parts of a value, the low one first."""
    bits = len(value) // count
    return [value[i * bits : (i + 1) * bits] for i in range(count)]
