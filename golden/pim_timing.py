"""Organisation and timings of a PIM channel, in cycles of its clock, and what follows from them.

Sources: NeuPIMs, ASPLOS 2024 (arXiv 2403.00579), Table 2, and the HBM2 timings of its simulator.
"""

from dataclasses import dataclass


def _positive(name: str, value: int, maximum: int) -> None:
    if type(value) is not int or not 1 <= value <= maximum:
        raise ValueError(f"{name}: {value!r} is not an integer in 1..{maximum}")


@dataclass(frozen=True)
class Organisation:
    """What a channel consists of.

    Attributes
    ----------
    ranks, groups, banks
        Ranks of the channel, bank groups of a rank, banks of a group.
    rows, row_bytes
        Rows of a bank, and bytes of one.
    column_bytes
        Bytes that one read or write moves.
    lanes
        Multipliers of a bank, which is how many elements a step of a GEMV takes.
    element_bytes
        Bytes of an element: 1 for INT8, 2 for BF16 and FP16.
    subarray_rows
        Rows that share sense amplifiers, so that the two buffers of a bank cannot hold two of them
        at one time; with 0 only one and the same row is in the way.
    shared_gbl
        Global bitlines of a bank are one path for both its buffers: with two of them, memory's
        column accesses wait while a GEMV takes steps, and a GEMV for tCCD after an access.
    """

    ranks: int = 2
    groups: int = 4
    banks: int = 4
    rows: int = 32768
    row_bytes: int = 1024
    column_bytes: int = 64
    lanes: int = 16
    element_bytes: int = 2
    subarray_rows: int = 0
    shared_gbl: bool = False

    def __post_init__(self) -> None:
        for name, maximum in (("ranks", 4), ("groups", 8), ("banks", 8), ("rows", 1 << 20)):
            _positive(name, getattr(self, name), maximum)
        _positive("row_bytes", self.row_bytes, 1 << 16)
        for name in ("column_bytes", "lanes", "element_bytes"):
            _positive(name, getattr(self, name), self.row_bytes)
        for name, size in (
            ("column_bytes", self.column_bytes),
            ("lanes", self.lanes * self.element_bytes),
        ):
            if self.row_bytes % size:
                value = getattr(self, name)
                raise ValueError(f"{name}: {value} does not divide a row of {self.row_bytes} bytes")

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
    def columns(self) -> int:
        """Reads that a row holds."""
        return self.row_bytes // self.column_bytes

    @property
    def elements(self) -> int:
        """Elements of a row."""
        return self.row_bytes // self.element_bytes

    @property
    def steps(self) -> int:
        """Steps that multiply a whole row."""
        return self.elements // self.lanes

    def clash(self, one: int | None, other: int | None) -> bool:
        """Whether two rows of a bank cannot be open in its two buffers; none is in no one's way."""
        if one is None or other is None:
            return False
        size = self.subarray_rows or 1
        return one // size == other // size

    def group_of(self, bank: int) -> int:
        return bank // self.banks

    def rank_of(self, bank: int) -> int:
        return bank // self.banks_of_rank

    def banks_of(self, group: int) -> range:
        """Banks of a group; banks and groups are numbered through the channel."""
        return range(group * self.banks, (group + 1) * self.banks)


@dataclass(frozen=True)
class Timing:
    """Minimum distances between commands; a `t_refi` of 0 is a memory without refresh.

    Names are those of the field: `t_rrd_l` is tRRD_L. `fill` is the steps that the pipeline of a
    GEMV unit needs at least, `t_xact` the distance of activates of the two buffers of a bank.
    """

    cl: int = 14
    cwl: int = 4
    burst: int = 2
    t_rcd: int = 14
    t_rp: int = 14
    t_ras: int = 34
    t_rrd_s: int = 4
    t_rrd_l: int = 6
    t_faw: int = 30
    t_ccd_s: int = 1
    t_ccd_l: int = 2
    t_wr: int = 16
    t_wtr_s: int = 6
    t_wtr_l: int = 8
    t_rtp: int = 5
    t_rtrs: int = 2
    t_refi: int = 3900
    t_rfc: int = 260
    t_xact: int = 6
    fill: int = 6
    row_transfers: int = 32

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            lowest = 0 if name == "t_refi" else 1
            if type(value) is not int or not lowest <= value <= 1 << 16:
                raise ValueError(f"{name}: {value!r} is not an integer in {lowest}..{1 << 16}")

    @property
    def t_rc(self) -> int:
        """Activate to activate of one bank."""
        return self.t_ras + self.t_rp

    @property
    def read_to_write(self) -> int:
        return self.cl + self.burst + self.t_rtrs - self.cwl

    @property
    def read_to_read_rank(self) -> int:
        """Between reads of two ranks."""
        return self.burst + self.t_rtrs

    @property
    def write_to_read(self) -> int:
        """Within a bank group."""
        return self.cwl + self.burst + self.t_wtr_l

    @property
    def write_to_read_other(self) -> int:
        """To another bank group of the rank."""
        return self.cwl + self.burst + self.t_wtr_s

    @property
    def write_to_pre(self) -> int:
        return self.cwl + self.burst + self.t_wr

    @property
    def gwrite(self) -> int:
        """Cycles in which a row is copied into the global vector buffer."""
        return (self.t_ccd_s + self.t_ccd_l) * self.row_transfers

    def stream(self, k: int) -> int:
        """Cycles from a GEMV of `k` steps to its result slot."""
        return self.t_ccd_l * max(k, self.fill)

    def gemv_to_gemv(self, k: int) -> int:
        return self.stream(k) + self.t_ccd_l

    def comps(self, k: int) -> int:
        """Cycles from the first of `k` separate dot products to their result read."""
        return max(self.t_ccd_l * k, self.t_ccd_s * self.fill)

    def comps_to_comps(self, k: int) -> int:
        return self.comps(k) + self.t_ccd_l


@dataclass(frozen=True)
class Policy:
    """Choices of a controller.

    Attributes
    ----------
    dual
        Two row buffers a bank; otherwise one, and memory and PIM take turns.
    pre_all
        One command closes the PIM buffers of all banks.
    hold_act
        Memory activates of a rank wait while a PIM activate of it is pending.
    gbuf_depth
        Vectors that the global buffer holds: with 2, one is written while the other is used.
    refresh_all
        All ranks refresh at one time; otherwise one at a time, evenly spaced.
    max_wait
        Cycles that the head of the memory queue may wait for PIM; 0 for no bound.
    guard_margin
        Cycles that a header keeps from a refresh beyond its guard.
    """

    dual: bool = True
    pre_all: bool = False
    hold_act: bool = True
    gbuf_depth: int = 1
    refresh_all: bool = False
    max_wait: int = 0
    guard_margin: int = 0


def refresh_interval(org: Organisation, timing: Timing, policy: Policy) -> int:
    """Cycles between two refreshes of any ranks."""
    return timing.t_refi if policy.refresh_all else timing.t_refi // org.ranks


def span(org: Organisation, timing: Timing, policy: Policy, k: int, gemvs: int) -> int:
    """Cycles from a header of closed buffers to the first precharge after its last result."""
    period = timing.gemv_to_gemv(k) if policy.dual else timing.comps_to_comps(k)
    if policy.dual and org.shared_gbl:
        period += timing.t_ccd_l - 1  # an access just before a GEMV puts it off
    opened = 1 + (org.groups - 1) * timing.t_faw + (org.ranks - 1)
    busy = timing.t_rcd + gemvs * period - timing.t_ccd_l + timing.t_rtp
    return opened + max(busy, timing.t_ras)


def guard(org: Organisation, timing: Timing, policy: Policy, k: int, gemvs: int) -> int:
    """Cycles that a header must stand before a refresh, so that the rank is closed by then."""
    closing = org.banks_of_rank + timing.t_rp - 1
    return span(org, timing, policy, k, gemvs) + closing + policy.guard_margin


def longest_work(org: Organisation, timing: Timing, policy: Policy) -> int:
    """Cycles between two refreshes of any ranks that are left for what refresh would break off.

    What a refresh takes from the interval: the last access before the banks' precharges, those of
    both buffers one a cycle, its own time, and the wait for it.
    """
    ranks = org.ranks if policy.refresh_all else 1
    lost = max(timing.t_ras, timing.write_to_pre) + timing.t_rp + timing.t_rfc
    return refresh_interval(org, timing, policy) - lost - 2 * ranks * org.banks_of_rank


def longest_guard(org: Organisation, timing: Timing, policy: Policy) -> int:
    """The longest guard of a header that is sure to be accepted between two refreshes.

    A header also waits for the vector that was copied last.
    """
    return longest_work(org, timing, policy) - timing.gwrite


def copy_guard(org: Organisation, timing: Timing) -> int:
    """Cycles that a GWRITE must stand before a refresh, so that the rank is closed by then."""
    return timing.gwrite + org.banks_of_rank + timing.t_rp - 1


def service(org: Organisation, timing: Timing) -> int:
    """Cycles that the head of the memory queue takes at most when PIM is idle."""
    close = max(timing.t_ras, timing.write_to_pre) + timing.t_rp
    refresh = timing.gwrite + timing.t_ras + 2 * org.banks_of_rank + timing.t_rp + timing.t_rfc
    return close + timing.t_faw + timing.t_rcd + timing.read_to_write + refresh


def longest_hold(org: Organisation, timing: Timing, policy: Policy) -> int:
    """Cycles that a group may keep memory waiting under the policy's bound."""
    return policy.max_wait - service(org, timing)
