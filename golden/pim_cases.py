"""The published cases of a PIM channel: tiles of PIM, and memory accesses row by row."""

from typing import NamedTuple

from golden.pim_timing import Organisation, Policy
from golden.pim_trace import Op, Request


def tiles(count: int, gemvs: int, k: int) -> list[Request]:
    """A vector from bank 0, row 0, and tiles in the rows from 1 on."""
    trace = [Request(Op.GWRITE)]
    for tile in range(count):
        trace += [Request(Op.HEADER, row=tile + 1, k=k, gemvs=gemvs)]
        trace += [Request(Op.GEMV, k=k)] * gemvs
    return trace


def accesses(
    count: int, org: Organisation, first_row: int = 100, write_every: int = 0
) -> list[Request]:
    """Accesses of 16 columns a row, banks in turn; every so many is a write, of zeros."""
    trace = []
    for at in range(count):
        write = write_every and at % write_every == write_every - 1
        bank, row = at // 16 % org.all_banks, first_row + at // 16 // org.all_banks
        trace.append(Request(Op.WRITE if write else Op.READ, bank, row, at % 16))
    return trace


SIZES = {"S4": (1, 1), "S16": (1, 4), "F32": (2, 4)}
"""Ranks, and groups of four banks a rank, of the published organisations."""

POLICIES = {
    "one buffer": Policy(dual=False),
    "two": Policy(hold_act=False),
    "two, activates held": Policy(),
}
"""The designs that are compared."""


class Case(NamedTuple):
    """PIM and memory at one time, without refresh.

    Attributes
    ----------
    size
        In `SIZES`.
    tiles, gemvs, k
        As `tiles` takes them.
    reads, write_every
        As `accesses` takes them.
    ends
        For each of `POLICIES`, cycle after the last beat of results and of memory's data.
    pim_alone, mem_alone
        The same with two buffers, activates held, where one of the two has nothing to do.
    """

    size: str
    tiles: int
    gemvs: int
    k: int
    reads: int
    write_every: int
    ends: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    pim_alone: int
    mem_alone: int

    def trace(self, org: Organisation) -> list[Request]:
        """Requests of the case."""
        memory = accesses(self.reads, org, write_every=self.write_every)
        return tiles(self.tiles, self.gemvs, self.k) + memory

    def __str__(self) -> str:
        writes = f", every {self.write_every}th a write" if self.write_every else ""
        return f"{self.size} {self.tiles}, {self.gemvs}, {self.k}, {self.reads}{writes}"


CONCURRENT = (
    Case("S4", 1, 1, 8, 32, 0, ((170, 292), (157, 246), (157, 246)), 157, 105),
    Case("S4", 4, 4, 8, 64, 0, ((542, 782), (541, 366), (529, 526)), 529, 195),
    Case("S4", 4, 4, 8, 256, 0, ((542, 1490), (561, 1089), (529, 1234)), 529, 903),
    Case("S4", 4, 4, 8, 128, 4, ((542, 1680), (552, 1263), (529, 1300)), 529, 1093),
    Case("S16", 4, 4, 8, 256, 0, ((890, 1838), (907, 1309), (889, 1426)), 889, 735),
    Case("F32", 4, 4, 8, 64, 0, ((942, 1182), (941, 587), (941, 938)), 941, 195),
    Case("F32", 4, 4, 8, 256, 0, ((942, 1890), (941, 1343), (941, 1478)), 941, 735),
    Case("F32", 8, 4, 8, 512, 0, ((1794, 3686), (1793, 2555), (1793, 2870)), 1793, 1455),
)
"""Cycle counts of the contract: two independent implementations of its rules give them."""
