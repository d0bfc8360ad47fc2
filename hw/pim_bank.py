"""The controller of a bank with one row buffer or two.

Source: NeuPIMs, ASPLOS 2024, section 5; that illegal events are flagged is ours.
"""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.pim_config import Command, PimBankConfig
from hw.pim_timer import Load, Plus, drive_timer, stream_of
from pe.unit import Unit

K_BITS = 6
STATE = ("open", "row", "act", "column", "pre")


class _Side:
    """Registers of a row buffer: its row, and timers to an activate, access and precharge."""

    def __init__(self, name: str, config: PimBankConfig) -> None:
        longest = range(config.timing.longest)
        self._config = config
        self.open = Signal(name=f"{name}_open_reg")
        self.row = Signal(range(config.bank_rows), name=f"{name}_row_reg")
        self.act = Signal(longest, name=f"{name}_act_timer")
        self.column = Signal(longest, name=f"{name}_column_timer")
        self.pre = Signal(longest, name=f"{name}_pre_timer")

    def may_open(self) -> Value:
        return ~self.open & (self.act == 0)

    def may_close(self) -> Value:
        return self.open & (self.pre == 0)

    def may_access(self, row: Value) -> Value:
        return self.open & (self.row == row) & (self.column == 0)

    def has(self, row: Value) -> Value:
        """Whether the buffer holds the row or one that clashes, or is putting it back."""
        zone = self._config.zone
        return (zone(self.row) == zone(row)) & (self.open | (self.act != 0))

    def drive(
        self,
        m: Module,
        row: Value,
        opens: Value,
        closes: Value,
        act: list[Load],
        column: list[Load],
        pre: list[Load],
        config: PimBankConfig,
    ) -> None:
        """Connect the registers; `act`, `column` and `pre` are loads besides those of a row."""
        t = config.timing
        with m.If(opens):
            m.d.sync += [self.open.eq(1), self.row.eq(row)]
        with m.Elif(closes):
            m.d.sync += self.open.eq(0)
        drive_timer(m, self.act, [(opens, t.t_rc), (closes, t.t_rp), *act])
        drive_timer(m, self.column, [(opens, t.t_rcd), *column])
        drive_timer(m, self.pre, [(opens, t.t_ras), *pre])


class PimBank(Unit):
    """Controller of a bank: what is open in each row buffer, and which command may come.

    Function unit with state: latency 1, initiation interval 1. A row buffer is closed or open;
    opening, streaming and closing are its timers: `act` runs until an activate may come, `column`
    until a column access, `pre` until a precharge. An illegal command changes nothing and raises
    `error`: an activate of an open buffer, before its time, or of the row, or one of the subarray,
    that the other buffer has or is still putting back; a column access or GEMV of a row that is not
    open or not yet; a GEMV while another streams; a precharge of a closed buffer or before its
    time; a refresh while anything is open or closing; with two buffers COMP and RDRESULT, with one
    GEMV and PPRE.

    Members
    -------
    command : In(4)
        `Command`; NOP, HEADER, PREA and PPREA do nothing here.
    row : In(range(bank_rows))
        Of an activate, column access, GEMV or COMP.
    k : In(6)
        Steps of a GEMV; only with two buffers.
    i_valid : In(1)
        The command is for this bank.
    mem_open, pim_open : Out(1)
        A row is open. With one buffer, that of PIM is that of memory.
    mem_row, pim_row : Out(range(bank_rows))
        Which, or which was last; 0 at first.
    mem_act, mem_column, mem_pre, pim_act, pim_column, pim_pre : Out
        Timers, 0 when they have run out.
    error : Out(1)
        The last command was illegal.
    o_valid : Out(1)
        There was a command.
    """

    config: PimBankConfig
    latency = 1

    def __init__(self, config: PimBankConfig) -> None:
        row, count = range(config.bank_rows), range(config.timing.longest)
        shapes = dict(zip(STATE, (1, row, count, count, count), strict=True))
        super().__init__(
            config,
            {
                "command": In(4),
                "row": In(row),
                **({"k": In(K_BITS)} if config.dual else {}),
                "i_valid": In(1),
                **{
                    f"{s}_{name}": Out(shape)
                    for s in ("mem", "pim")
                    for name, shape in shapes.items()
                },
                "error": Out(1),
                "o_valid": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, t, dual = self.config, self.config.timing, self.config.dual
        mem = _Side("mem", config)
        pim = _Side("pim", config) if dual else mem
        busy = Signal(range(t.longest), name="busy_timer")

        access = mem.may_access(self.row)
        compute = pim.may_access(self.row) & (busy == 0)
        idle = ~mem.open & ~pim.open & (mem.act == 0) & (pim.act == 0)
        legal: dict[Command, Value | int] = {
            Command.ACT: mem.may_open() & ~(pim.has(self.row) if dual else Value.cast(0)),
            Command.PACT: pim.may_open() & ~(mem.has(self.row) if dual else Value.cast(0)),
            Command.PRE: mem.may_close(),
            Command.PPRE: pim.may_close() if dual else 0,
            Command.RD: access,
            Command.WR: access,
            Command.GWRITE: access,
            Command.REF: idle,
            Command.GEMV: compute if dual else 0,
            Command.COMP: 0 if dual else compute,
            Command.RDRESULT: 0 if dual else pim.may_access(self.row) & (busy == 0),
        }
        does: dict[Command, Value] = {}
        for command in Command:
            does[command] = Signal(name=f"does_{command.name.lower()}")
            chosen = self.i_valid & (self.command == command.value)
            m.d.comb += does[command].eq(chosen & legal.get(command, 1))
        done = Value.cast(0)
        for signal in does.values():
            done = done | signal
        m.d.sync += [
            self.error.eq(self.i_valid & (self.command < len(Command)) & ~done),
            self.o_valid.eq(self.i_valid),
        ]

        c = Command
        accesses: list[Load] = [
            (does[c.RD], t.t_rtp),
            (does[c.WR], t.write_to_pre),
            (does[c.GWRITE], t.gwrite),
        ]
        steps: Load = (does[c.COMP] | does[c.RDRESULT], t.t_ccd_l)
        streams: list[Load] = [(does[c.RDRESULT], t.t_rtp)]
        refresh: Load = (does[c.REF], t.t_rfc)
        copies: list[Load] = [(does[c.GWRITE], t.gwrite)]
        row = self.row
        if dual:
            stream = stream_of(m, self.k, t.t_ccd_l, t.fill)
            steps = (does[c.GEMV], Plus(stream, t.t_ccd_l))
            streams = [(does[c.GEMV], Plus(stream, t.t_rtp))]
            others: list[Load] = [(does[c.PACT], t.t_xact), refresh]
            mem.drive(m, row, does[c.ACT], does[c.PRE], others, copies, accesses, config)
            others = [(does[c.ACT], t.t_xact), refresh]
            pim.drive(m, row, does[c.PACT], does[c.PPRE], others, [], streams, config)
        else:
            opens = does[c.ACT] | does[c.PACT]
            holds = accesses + streams
            mem.drive(m, row, opens, does[c.PRE], [refresh], copies, holds, config)
        drive_timer(m, busy, [steps])
        for side, buffer in (("mem", mem), ("pim", pim)):
            m.d.comb += [
                getattr(self, f"{side}_{name}").eq(getattr(buffer, name)) for name in STATE
            ]
        return m
