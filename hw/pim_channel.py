# amaranth: UnusedElaboratable=no
"""A PIM channel: banks with one row buffer or two, and their controller."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.memory import Memory
from hw.pim_bank import PimBank
from hw.pim_config import Command, PimConfig
from hw.pim_controller import PimController, command_members, mem_request, pim_request
from hw.pim_rows import PimRows, words
from hw.pim_timer import named, pick
from hw.queue import Queue, QueueShape
from pe.gemv_unit import RESULT_BITS
from pe.share import place
from pe.unit import Unit


class PimChannel(Unit):
    """PIM channel: requests of memory and of PIM in, read data and results out.

    Element 0 of a row is in its low bits; results are INT32, of BF16 and FP16 elements FP32, whose
    order of additions is `GemvUnit`'s. The global vector is zero until the first GWRITE.

    Members
    -------
    i_pim : In(stream)
        ``op``: 0 GWRITE, 1 HEADER, 2 GEMV. ``bank``, ``row``: of a GWRITE; a header has the row.
        ``k``: steps of a GEMV, and of those of a header. ``gemvs``: how many these are; that many
        GEMVs must follow it. ``after``: memory requests that must have been served before, counted
        from reset.
    i_mem : In(stream)
        ``write``, ``bank``, ``row``, ``column``, ``data``; ``after``: PIM requests, likewise.
    command, place, row, column, k, gemvs : Out
        The command bus, cycle by cycle; see `Command`. The place is a bank, of PACT a bank group,
        of REF a rank. ``column`` is the first step of a GEMV.
    read_valid : Out(1), read_data : Out
        First beat of a read on the data bus, tCL after its RD, with the whole word.
    result_valid : Out(1), result_data : Out(array of 32)
        First beat of results, tCL after their slot, one a bank.
    error : Out(1)
        A bank has seen an illegal command, or a step reached a latch when its result was taken;
        stays.
    idle : Out(1)
        No request waits and no row is being multiplied.
    """

    config: PimConfig

    def __init__(self, config: PimConfig) -> None:
        super().__init__(
            config,
            {
                "i_pim": In(stream.Signature(pim_request(config))),
                "i_mem": In(stream.Signature(mem_request(config))),
                **{name: Out(shape) for name, shape in command_members(config).items()},
                "read_valid": Out(1),
                "read_data": Out(config.column_bytes * 8),
                "result_valid": Out(1),
                "result_data": Out(config.all_banks * RESULT_BITS),
                "error": Out(1),
                "idle": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates of a cycle in which a step begins in all banks."""
        return self.config.all_banks * self.config.lanes

    @property
    def operand_memories(self) -> list[tuple[str, str]]:
        """Module of the cells, and the name of the array in it."""
        return [(Memory(PimRows(self.config).memory).name, Memory.STORAGE)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        controller = place(m, platform, "controller", PimController, config)
        busy = [
            self._queue(m, platform, "pim_queue", self.i_pim, controller.i_pim),
            self._queue(m, platform, "mem_queue", self.i_mem, controller.i_mem),
        ]
        for name in command_members(config):
            m.d.comb += getattr(self, name).eq(getattr(controller, name))
        step, step_valid, step_first = self._steps(m, controller)
        taken = self._slots(m, controller)
        copied = Signal(config.row_bytes * 8)
        vector = self._vector(m, copied)
        slice_of_vector = named(m, "slice", pick(words(vector, config.steps), step))
        buffers, columns, results, errors = [], [], [], []
        for bank in range(config.all_banks):
            state = place(m, platform, f"bank_{bank}", PimBank, config.bank)
            rows = place(m, platform, f"rows_{bank}", PimRows, config)
            told = Signal(4, name=f"command_{bank}")
            self._tell(m, bank, told, state)
            for side in ("mem", "pim"):
                m.d.comb += [
                    getattr(controller, f"{side}_open")[bank].eq(getattr(state, f"{side}_open")),
                    getattr(controller, f"{side}_row")[bank].eq(getattr(state, f"{side}_row")),
                    getattr(controller, f"{side}_act")[bank].eq(getattr(state, f"{side}_act")),
                    getattr(controller, f"{side}_column")[bank].eq(
                        getattr(state, f"{side}_column") == 0
                    ),
                    getattr(controller, f"{side}_pre")[bank].eq(getattr(state, f"{side}_pre") == 0),
                ]
            m.d.comb += [
                state.command.eq(told),
                state.row.eq(self.row),
                state.i_valid.eq(told != Command.NOP.value),
                rows.command.eq(told),
                rows.row.eq(self.row),
                rows.open_row.eq(state.mem_row),
                rows.column.eq(self.column),
                rows.data.eq(controller.data),
                rows.step.eq(step),
                rows.step_valid.eq(step_valid),
                rows.step_first.eq(step_first),
                rows.vector.eq(slice_of_vector),
            ]
            if config.dual:
                m.d.comb += state.k.eq(self.k)
            buffers.append(rows.buffer)
            columns.append(rows.word)
            results.append(rows.result)
            errors += [state.o_valid & state.error, taken & rows.result_valid]
        m.d.comb += copied.eq(pick(buffers, self.place))
        with m.If(Cat(*errors).any()):
            m.d.sync += self.error.eq(1)
        m.d.comb += self.idle.eq(~Cat(*busy).any())
        self._answer(m, taken, pick(columns, self.place), Cat(*results))
        return m

    def _queue(self, m: Module, platform: object, name: str, outside: Any, inside: Any) -> Value:
        """Place a queue between two streams, and return whether it holds a request."""
        offered = Value.cast(outside.payload)
        shape = QueueShape(self.config.queue, unsigned(len(offered)))
        queue = place(m, platform, name, Queue, shape)
        m.d.comb += [
            queue.i_word.eq(offered),
            queue.i_valid.eq(outside.valid),
            outside.ready.eq(queue.i_ready),
            Value.cast(inside.payload).eq(queue.o_word),
            inside.valid.eq(queue.o_valid),
            queue.o_ready.eq(inside.ready),
        ]
        return Value.cast(queue.o_valid)

    def _vector(self, m: Module, copied: Signal) -> Value:
        """The global vector of the steps; of two, a GEMV keeps the one that was newest."""
        depth = self.config.gbuf_depth
        vectors = [Signal(copied.shape(), name=f"vector_{i}") for i in range(depth)]
        newest, used = Signal(name="vector_newest"), Signal(name="vector_used")
        with m.If(self.command == Command.GWRITE.value):
            if depth == 1:
                m.d.sync += vectors[0].eq(copied)
            else:
                m.d.sync += newest.eq(~newest)
                for i, vector in enumerate(vectors):
                    with m.If(newest != i):
                        m.d.sync += vector.eq(copied)
        computes = (self.command == Command.GEMV.value) | (self.command == Command.COMP.value)
        if depth == 2:
            with m.If(computes):
                m.d.sync += used.eq(newest)
        return pick(vectors, used)

    def _tell(self, m: Module, bank: int, told: Signal, state: Any) -> None:
        """Pass a bank the command if it is among those that it is for."""
        config, c = self.config, Command
        here = {
            c.PACT: self.place == bank // config.banks,
            c.REF: self.place == bank // config.banks_of_rank,
            c.GEMV: Value.cast(1),
            c.COMP: Value.cast(1),
            c.RDRESULT: Value.cast(1),
            c.PREA: state.mem_open,
            c.PPREA: state.pim_open,
        }
        single = {c.PREA: c.PRE, c.PPREA: c.PPRE}
        code: Value = Mux(self.place == bank, self.command, c.NOP.value)
        for command, condition in here.items():
            meant = single.get(command, command).value
            code = Mux(self.command == command.value, Mux(condition, meant, c.NOP.value), code)
        m.d.comb += told.eq(code)

    def _steps(self, m: Module, controller: Any) -> tuple[Signal, Signal, Signal]:
        """Slices of a GEMV, one every tCCD from the cycle after it, or of a COMP."""
        config, t = self.config, self.config.timing
        step = Signal(range(config.steps))
        valid, first = Signal(name="step_valid"), Signal(name="step_first")
        left = Signal(6, name="steps_left")
        pause = Signal(range(t.t_ccd_l), name="step_pause")
        m.d.sync += valid.eq(0)
        with m.If(self.command == Command.GEMV.value):
            m.d.sync += [
                step.eq(self.column),
                valid.eq(1),
                first.eq(1),
                left.eq(self.k - 1),
                pause.eq(t.t_ccd_l - 1),
            ]
        with m.Elif(self.command == Command.COMP.value):
            m.d.sync += [step.eq(self.column), valid.eq(1), first.eq(controller.first)]
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.Elif(left != 0):
            m.d.sync += [
                step.eq(step + 1),
                valid.eq(1),
                first.eq(0),
                left.eq(left - 1),
                pause.eq(t.t_ccd_l - 1),
            ]
        return step, valid, first

    def _slots(self, m: Module, controller: Any) -> Value:
        """When results are taken from the latches: as long after their slot as a step takes."""
        slot: Value = controller.slot
        for stage in range(self.config.unit.latency):
            later = Signal(name=f"slot_{stage}")
            m.d.sync += later.eq(slot)
            slot = later
        return slot

    def _answer(self, m: Module, taken: Value, word: Value, results: Value) -> None:
        """Carry read data and results to the cycle of their first beat, in one pipeline."""
        t = self.config.timing
        late = self.config.unit.latency
        bits = max(len(word), len(results))
        read, answer = named(m, "reads", self.command == Command.RD.value), word
        result: Value = Value.cast(0)
        for stage in range(t.cl):
            # Results join the reads when they leave the latches.
            joins = stage == late
            width = bits if stage >= late else len(word)
            next_read, next_answer = (
                Signal(name=f"read_{stage}"),
                Signal(width, name=f"answer_{stage}", reset_less=True),
            )
            m.d.sync += next_read.eq(read)
            m.d.sync += next_answer.eq(Mux(taken, results, answer) if joins else answer)
            if stage >= late:
                next_result = Signal(name=f"result_{stage}")
                m.d.sync += next_result.eq(taken if joins else result)
                result = next_result
            read, answer = next_read, next_answer
        m.d.comb += [
            self.read_valid.eq(read),
            self.read_data.eq(answer[: len(word)]),
            self.result_valid.eq(result),
            self.result_data.eq(answer[: len(results)]),
        ]
