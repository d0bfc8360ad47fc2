"""Parameters of a PIM channel, its commands, and the distances that follow from its timings."""

from amaranth.hdl import Value
from amaranth.lib import enum

from pe.config import Config, choice, flag, integer, nested, one_of, same_as
from pe.gemv_unit import GemvUnitConfig

FORMATS = {"int8": "int", "bf16": "bf16", "fp16": "fp16"}
"""Of elements, and what the GEMV unit calls them."""


class Command(enum.Enum, shape=4):
    """What a bank is told; those of a whole buffer, or of all, reach each bank by themselves."""

    NOP = 0
    ACT = 1
    PRE = 2
    RD = 3
    WR = 4
    REF = 5
    GWRITE = 6
    HEADER = 7
    PACT = 8
    GEMV = 9
    COMP = 10
    RDRESULT = 11
    PPRE = 12
    PREA = 13
    PPREA = 14


MEANINGS = {
    Command.NOP: "nothing",
    Command.ACT: "open a row in memory's buffer of a bank",
    Command.PRE: "close it, and put the row back",
    Command.RD: "move a column of the open row to the data bus",
    Command.WR: "move a column from the data bus to the open row",
    Command.REF: "refresh a rank, all of whose rows are closed",
    Command.GWRITE: "copy an open row into the global vector",
    Command.HEADER: "announce row, steps and number of the GEMVs that follow",
    Command.PACT: "open the row in the PIM buffers of a bank group",
    Command.GEMV: "k steps in all banks, then their results; two buffers only",
    Command.COMP: "one step in all banks; one buffer only",
    Command.RDRESULT: "move the results of all banks to the data bus; one buffer only",
    Command.PPRE: "close the PIM buffer of a bank",
    Command.PREA: "close memory's buffers of all banks",
    Command.PPREA: "close the PIM buffers of all banks",
}
"""What each command does."""


class PimTimingConfig(Config):
    """Least distances between commands, in cycles; names are the field's (`t_rrd_l` is tRRD_L)."""

    cl: int = integer("read to its data", 4, 63, default=14)
    cwl: int = integer("write to its data", 4, 63, default=4)
    burst: int = integer("cycles of a burst", 1, 8, default=2)
    t_rcd: int = integer("activate to column access", 3, 255, default=14)
    t_rp: int = integer("precharge to activate", 2, 255, default=14)
    t_ras: int = integer("activate to precharge", 3, 255, default=34)
    t_rrd_s: int = integer("activate to activate of another group", 1, 255, default=4)
    t_rrd_l: int = integer("activate to activate of the group", 1, 255, default=6)
    t_faw: int = integer("window of four activates", 1, 255, default=30)
    t_ccd_s: int = integer("column access to column access", 1, 15, default=1)
    t_ccd_l: int = integer("the same within a group, and steps of a GEMV", 2, 15, default=2)
    t_wr: int = integer("last data written to precharge", 1, 255, default=16)
    t_wtr_s: int = integer("last data written to read of another group", 1, 255, default=6)
    t_wtr_l: int = integer("last data written to read of the group", 1, 255, default=8)
    t_rtp: int = integer("read to precharge", 1, 255, default=5)
    t_rtrs: int = integer("bus idle when it changes direction or rank", 1, 15, default=2)
    t_refi: int = integer("refresh of a rank to the next; 0 for none", 0, 1 << 16, default=3900)
    t_rfc: int = integer("refresh to activate", 1, 1023, default=260)
    t_xact: int = integer("activates of the two buffers of a bank", 1, 255, default=6)
    fill: int = integer("steps that a GEMV takes at least", 2, 63, default=6)
    row_transfers: int = integer("transfers that copy a row into the vector", 1, 255, default=32)

    @property
    def slug(self) -> str:
        """What differs from the defaults, as it stands in module names."""
        fields = self.__dataclass_fields__
        changed = [name for name in fields if getattr(self, name) != fields[name].default]
        return "".join(f"_{name.replace('_', '')}{getattr(self, name)}" for name in changed)

    @property
    def t_rc(self) -> int:
        """Activate to activate of one bank."""
        return self.t_ras + self.t_rp

    @property
    def read_to_write(self) -> int:
        return self.cl + self.burst + self.t_rtrs - self.cwl

    @property
    def write_to_pre(self) -> int:
        return self.cwl + self.burst + self.t_wr

    @property
    def write_to_read(self) -> int:
        """Within a group."""
        return self.cwl + self.burst + self.t_wtr_l

    @property
    def write_to_read_other(self) -> int:
        """To another group of the rank."""
        return self.cwl + self.burst + self.t_wtr_s

    @property
    def gwrite(self) -> int:
        """Cycles of copying a row into the global vector buffer."""
        return (self.t_ccd_s + self.t_ccd_l) * self.row_transfers

    @property
    def longest(self) -> int:
        """The longest distance that a bank counts."""
        stream = self.t_ccd_l * 64 + self.t_rtp
        return max(self.t_rfc, self.gwrite, self.t_rc, self.write_to_pre, stream, self.t_xact)


SUBARRAYS = (0, *(1 << i for i in range(1, 16)))


class PimBankConfig(Config):
    """Parameters of a bank's controller."""

    dual: bool = flag("two row buffers, one for memory and one for PIM", default=True)
    bank_rows: int = integer("rows of the bank", 2, 1 << 16, default=128)
    subarray_rows: int = one_of(
        "rows of which only one is open in either buffer; 0: each by itself", SUBARRAYS, default=0
    )
    timing: PimTimingConfig = nested("distances", factory=PimTimingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subarray_rows >= self.bank_rows:
            raise ValueError(
                f"subarray_rows: {self.subarray_rows} is not less than bank_rows={self.bank_rows}"
            )

    @property
    def name(self) -> str:
        kind = "dual" if self.dual else "single"
        subarray = f"_sub{self.subarray_rows}" if self.subarray_rows else ""
        return f"pim_bank_{kind}_{self.bank_rows}{subarray}{self.timing.slug}"

    def zone(self, row: Value) -> Value:
        """Return what a row shares with those that clash with it."""
        return row[max(1, self.subarray_rows).bit_length() - 1 :]


class PimConfig(Config):
    """Organisation of a PIM channel, and the choices of its controller."""

    dual: bool = flag("two row buffers a bank; otherwise memory and PIM take turns", default=True)
    ranks: int = integer("ranks", 1, 4, default=1)
    groups: int = integer("bank groups of a rank", 1, 8, default=1)
    banks: int = integer("banks of a group", 1, 8, default=4)
    bank_rows: int = integer("rows of a bank", 2, 1 << 16, default=128)
    subarray_rows: int = same_as(PimBankConfig, "subarray_rows", default=0)
    lanes: int = integer("products of a bank in a step", 1, 64, default=16)
    element: str = choice("format of an element", lambda: FORMATS, default="int8")
    steps: int = integer("steps that a row takes", 2, 63, default=32)
    columns: int = integer("reads or writes that a row takes", 2, 64, default=16)
    hold_act: bool = flag("memory activates wait while a PIM activate is pending", default=True)
    pre_all: bool = flag("one command closes the PIM buffers of all banks", default=False)
    gbuf_depth: int = integer("vectors held, one used while the next is copied", 1, 2, default=1)
    shared_gbl: bool = flag("one column path a bank for both its buffers", default=False)
    refresh_all: bool = flag("all ranks refresh at one time", default=False)
    max_wait: int = integer("cycles that memory may wait; 0 for no bound", 0, 1 << 16, default=0)
    guard_margin: int = integer("cycles a header keeps from refresh", 0, 1023, default=0)
    queue: int = integer("requests that each queue holds", 2, 64, default=8)
    timing: PimTimingConfig = nested("distances", factory=PimTimingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.bank  # refuses subarrays as large as the bank
        if self.row_bytes % self.columns:
            raise ValueError(
                f"columns: {self.columns} do not divide a row of {self.row_bytes} bytes"
            )
        t = self.timing
        if t.cwl < t.burst + t.t_rtrs - 1:
            raise ValueError(f"cwl: {t.cwl} is less than burst + t_rtrs - 1")
        if t.cwl > t.cl:
            raise ValueError(f"cwl: {t.cwl} is greater than cl={t.cl}")
        if t.cl <= self.unit.latency:
            raise ValueError(
                f"cl: {t.cl} does not cover the {self.unit.latency} cycles of the GEMV unit"
            )
        if t.t_ccd_l * t.fill < t.burst + t.t_rtrs:
            raise ValueError(f"fill: {t.fill} steps are shorter than burst + t_rtrs")

    @property
    def name(self) -> str:
        size = f"{self.ranks}x{self.groups}x{self.banks}_{self.bank_rows}x{self.steps}x{self.lanes}"
        choices = [
            name.replace("_", "")
            for name in ("hold_act", "pre_all", "refresh_all", "shared_gbl")
            if getattr(self, name)
        ]
        flags = "_".join(["", *choices]) + (f"_wait{self.max_wait}" if self.max_wait else "")
        kind = "dual" if self.dual else "single"
        element = "" if self.element == "int8" else f"_{self.element}"
        vectors = "" if self.gbuf_depth == 1 else f"_g{self.gbuf_depth}"
        shape = f"{size}{element}_c{self.columns}{vectors}_q{self.queue}"
        shape += f"_sub{self.subarray_rows}" if self.subarray_rows else ""
        shape += f"_guard{self.guard_margin}" if self.guard_margin else ""
        return f"pim_{kind}_{shape}{flags}{self.timing.slug}"

    @property
    def bank(self) -> PimBankConfig:
        return PimBankConfig(
            dual=self.dual,
            bank_rows=self.bank_rows,
            subarray_rows=self.subarray_rows,
            timing=self.timing,
        )

    @property
    def unit(self) -> GemvUnitConfig:
        """The GEMV unit of a bank."""
        return GemvUnitConfig(lanes=self.lanes, format=FORMATS[self.element])

    @property
    def all_groups(self) -> int:
        return self.ranks * self.groups

    @property
    def all_banks(self) -> int:
        return self.all_groups * self.banks

    @property
    def banks_of_rank(self) -> int:
        return self.groups * self.banks

    @property
    def row_bytes(self) -> int:
        return self.step_bits // 8 * self.steps

    @property
    def step_bits(self) -> int:
        """Bits of a row, or of the vector, that a step takes."""
        return self.lanes * self.unit.bits

    @property
    def column_bytes(self) -> int:
        """Bytes of a read or write."""
        return self.row_bytes // self.columns

    def banks_of(self, group: int) -> range:
        """Banks of a group; banks and groups are numbered through the channel."""
        return range(group * self.banks, (group + 1) * self.banks)

    @property
    def looks_ahead(self) -> bool:
        """Whether a header must make way for refresh, or for memory that waits."""
        return bool(self.timing.t_refi or self.max_wait)

    @property
    def opening(self) -> int:
        """Cycles from a header to the last activate of its groups."""
        return 1 + (self.groups - 1) * self.timing.t_faw + (self.ranks - 1)

    @property
    def refresh_tail(self) -> int:
        """Cycles that the precharges of a rank take, and tRP after the last."""
        return self.banks_of_rank + self.timing.t_rp - 1

    @property
    def service(self) -> int:
        """Cycles that memory's next request takes at most when PIM is idle."""
        t = self.timing
        close = max(t.t_ras, t.write_to_pre) + t.t_rp
        refresh = t.gwrite + t.t_ras + 2 * self.banks_of_rank + t.t_rp + t.t_rfc
        return close + t.t_faw + t.t_rcd + t.read_to_write + refresh
