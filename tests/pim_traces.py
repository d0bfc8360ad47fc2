"""Traces that several tests of the PIM run."""

from golden.pim_timing import Organisation, Timing
from golden.pim_trace import Op, Request

NO_REFRESH = Timing(t_refi=0)
ORGANISATIONS = {
    "S4": Organisation(ranks=1, groups=1),
    "S16": Organisation(ranks=1, groups=4),
    "F32": Organisation(ranks=2, groups=4),
}
SMALL = Organisation(
    ranks=1, groups=1, rows=16, row_bytes=64, column_bytes=16, lanes=16, element_bytes=1
)
"""A channel of four banks and short rows of INT8."""


def tiles(count: int, gemvs: int, k: int) -> list[Request]:
    """A vector from bank 0, row 0, and tiles in the rows from 1 on."""
    trace = [Request(Op.GWRITE)]
    for tile in range(count):
        trace += [Request(Op.HEADER, row=tile + 1, k=k, gemvs=gemvs)]
        trace += [Request(Op.GEMV, k=k)] * gemvs
    return trace


def accesses(count: int, org: Organisation, write_every: int = 0) -> list[Request]:
    """Accesses of 16 columns a row, banks in turn, rows from 100 on."""
    trace = []
    for at in range(count):
        write = write_every and at % write_every == write_every - 1
        bank, row = at // 16 % org.all_banks, 100 + at // 16 // org.all_banks
        trace.append(Request(Op.WRITE if write else Op.READ, bank, row, at % 16))
    return trace
