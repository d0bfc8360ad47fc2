"""The published cases of a PIM channel: tiles of PIM, and memory accesses row by row."""

from golden.pim_timing import Organisation
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
