"""Random traces of a PIM channel, and random contents of its rows."""

import numpy as np

from golden.pim_data import Elements, Row, encode
from golden.pim_timing import Organisation
from golden.pim_trace import Op, Request, ordered


def random_cells(
    rng: np.random.Generator, org: Organisation, rows: int, element: str = "int8"
) -> dict[tuple[int, int], Row]:
    """Random elements in the first `rows` rows of every bank."""
    cells = {}
    for bank in range(org.all_banks):
        for row in range(rows):
            if element == "int8":
                values: Elements = rng.integers(-128, 128, org.elements)
            else:
                values = rng.standard_normal(org.elements)
            cells[bank, row] = encode(values, element)
    return cells


def random_trace(
    rng: np.random.Generator, org: Organisation, rows: int, count: int, pim: float = 0.1
) -> list[Request]:
    """About `count` requests to the first `rows` rows, which memory and PIM share.

    Memory accesses come in runs to one row or all over the place, one in three a write; `pim` is
    the share of PIM groups among them, one in three with a vector of its own.
    """
    requests: list[Request] = []
    arrival = 0
    while len(requests) < count:
        if rng.random() < 0.02:
            arrival += int(rng.integers(0, 400))
        bank, row = int(rng.integers(org.all_banks)), int(rng.integers(rows))
        if rng.random() < pim:
            if rng.random() < 1 / 3:
                requests.append(Request(Op.GWRITE, bank=bank, row=row, arrival=arrival))
                row = int(rng.integers(rows))
            k = int(rng.integers(1, org.steps + 1))
            gemvs = int(rng.integers(1, min(8, org.steps // k) + 1))
            requests.append(Request(Op.HEADER, row=row, k=k, gemvs=gemvs, arrival=arrival))
            requests += [Request(Op.GEMV, k=k, arrival=arrival)] * gemvs
            continue
        for _ in range(int(rng.integers(1, 12)) if rng.random() < 0.5 else 1):
            column = int(rng.integers(org.columns))
            if rng.random() < 1 / 3:
                data = int.from_bytes(rng.bytes(org.column_bytes), "little")
                requests.append(Request(Op.WRITE, bank, row, column, data=data, arrival=arrival))
            else:
                requests.append(Request(Op.READ, bank, row, column, arrival=arrival))
    return ordered(requests)
