"""Functional model of a PIM channel: rows, row buffers, the global vector, and results.

A GEMV unit multiplies `lanes` elements of a row with as many of the vector, adds the products in a
tree of neighbours, (0, 1), (2, 3) and so on, and adds that to its latch, a step after another.
INT8 is exact in INT32. For BF16 and FP16 each product, sum of the tree and sum of the latch is
rounded once to FP32, to nearest even.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.pim_commands import Command, Event
from golden.pim_timing import Organisation, Policy

Elements = NDArray[Any]
Row = NDArray[np.uint8]

FORMATS: dict[str, int] = {"int8": 1, "bf16": 2, "fp16": 2}
"""Number formats of elements, and their bytes."""


def decode(data: Row, element: str) -> Elements:
    """Elements of bytes: int32 for INT8, otherwise float32."""
    if element == "int8":
        return data.view(np.int8).astype(np.int32)
    if element == "fp16":
        return data.view("<f2").astype(np.float32)
    return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)


def encode(values: Elements, element: str) -> Row:
    """Bytes of elements; BF16 and FP16 to nearest even."""
    if element == "int8":
        return np.asarray(values, np.int8).view(np.uint8)
    if element == "fp16":
        return np.asarray(values, "<f2").view(np.uint8)
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + (bits >> 16 & 1)
    nan = np.isnan(np.asarray(values, np.float32))
    codes: Row = np.where(nan, 0x7FC0, rounded >> 16).astype("<u2").view(np.uint8)
    return codes


def codes(results: Elements) -> Elements:
    """Words of results, int32 or float32, as uint32; NaN is the positive quiet one."""
    words: Elements = results.view(np.uint32)
    if results.dtype == np.float32:
        words = np.where(np.isnan(results), np.uint32(0x7FC00000), words)
    return words


def tree(products: Elements) -> Elements:
    """Sum of the last axis, neighbours first; every sum has the type of the products."""
    while products.shape[-1] > 1:
        even, odd = products[..., 0::2], products[..., 1::2]
        sums = even[..., : odd.shape[-1]] + odd
        if even.shape[-1] > odd.shape[-1]:
            sums = np.concatenate([sums, even[..., -1:]], axis=-1)
        products = sums
    return products[..., 0]


def step(latch: Elements, row: Elements, vector: Elements) -> Elements:
    """Latches after one step.

    Parameters
    ----------
    latch
        [banks], int32 or float32.
    row, vector
        [banks, lanes] and [lanes], of the latch's type.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return latch + tree(row * vector)


def gemv(rows: Elements, vector: Elements, lanes: int, start: int, k: int) -> Elements:
    """Results of `k` steps from step `start` on, one for each of `rows` [banks, elements]."""
    latch: Elements = np.zeros(len(rows), rows.dtype)
    for at in range(start * lanes, (start + k) * lanes, lanes):
        latch = step(latch, rows[:, at : at + lanes], vector[at : at + lanes])
    return latch


@dataclass
class Cells:
    """Contents of a channel's rows, by bank and row; a row that is not there holds zeros."""

    org: Organisation
    rows: dict[tuple[int, int], Row] = field(default_factory=dict)

    def __getitem__(self, place: tuple[int, int]) -> Row:
        row = self.rows.get(place)
        return np.zeros(self.org.row_bytes, np.uint8) if row is None else row.copy()

    def __setitem__(self, place: tuple[int, int], row: Row) -> None:
        self.rows[place] = row.copy()

    def write(self, place: tuple[int, int], column: int, data: int) -> None:
        """Write one column of a row."""
        row = self[place]
        row[_slice(self.org, column)] = column_bytes(self.org, data)
        self[place] = row


def _slice(org: Organisation, column: int) -> slice:
    return slice(column * org.column_bytes, (column + 1) * org.column_bytes)


def column_bytes(org: Organisation, data: int) -> Row:
    """Bytes of a column's word, lowest first."""
    return np.frombuffer(data.to_bytes(org.column_bytes, "little"), np.uint8)


class DataModel:
    """Runs commands on data, with row buffers that take a row out of the array and put it back.

    Parameters
    ----------
    cells
        Contents at the start, by bank and row.
    element
        Number format, one of `FORMATS`.

    Raises
    ------
    ValueError
        When the format's elements are not as long as the organisation's.
    """

    def __init__(
        self,
        org: Organisation,
        policy: Policy,
        cells: Mapping[tuple[int, int], Row],
        element: str = "int8",
    ) -> None:
        if FORMATS.get(element) != org.element_bytes:
            raise ValueError(f"element: {element!r} does not have {org.element_bytes} bytes")
        self.org, self.element = org, element
        self.cells = Cells(org, {place: row.copy() for place, row in cells.items()})
        self._mem: dict[int, tuple[int, Row]] = {}
        self._pim: dict[int, tuple[int, Row]] = {} if policy.dual else self._mem
        self._vector = np.zeros(org.row_bytes, np.uint8)
        self._latch = self._cleared()

    def observe(self, event: Event) -> int | Elements | None:
        """Run one command.

        Returns
        -------
        The word of a RD, the results of a GEMV or RDRESULT by bank, otherwise nothing.
        """
        command, bank = event.command, event.place
        if command is Command.ACT:
            self._mem[bank] = (event.row, self.cells[bank, event.row])
        elif command is Command.PACT:
            for each in self.org.banks_of(bank):
                self._pim[each] = (event.row, self.cells[each, event.row])
        elif command in (Command.PRE, Command.PPRE):
            self._close(self._mem if command is Command.PRE else self._pim, bank)
        elif command in (Command.PREA, Command.PPREA):
            for each in list(self._pim):
                self._close(self._pim, each)
        elif command is Command.WR:
            self._mem[bank][1][_slice(self.org, event.column)] = column_bytes(self.org, event.data)
        elif command is Command.RD:
            word = self._mem[bank][1][_slice(self.org, event.column)]
            return int.from_bytes(word.tobytes(), "little")
        elif command is Command.GWRITE:
            self._vector = self._mem[bank][1].copy()
        elif command is Command.COMP:
            self._steps(event.column, 1)
        elif command is Command.GEMV:
            self._steps(event.column, event.k)
        if command in (Command.GEMV, Command.RDRESULT):
            results, self._latch = self._latch, self._cleared()
            return results
        return None

    def _cleared(self) -> Elements:
        kind = np.int32 if self.element == "int8" else np.float32
        return np.zeros(self.org.all_banks, kind)

    def _close(self, side: dict[int, tuple[int, Row]], bank: int) -> None:
        row, data = side.pop(bank)
        self.cells[bank, row] = data

    def _steps(self, start: int, k: int) -> None:
        rows = np.stack([self._pim[bank][1] for bank in range(self.org.all_banks)])
        elements, vector = decode(rows, self.element), decode(self._vector, self.element)
        lanes = self.org.lanes
        for at in range(start * lanes, (start + k) * lanes, lanes):
            part = slice(at, at + lanes)
            self._latch = step(self._latch, elements[:, part], vector[part])

    def contents(self) -> Cells:
        """Contents as they are once every row is closed."""
        cells = Cells(self.org, dict(self.cells.rows))
        for side in (self._pim, self._mem):
            for bank, (row, data) in side.items():
                cells[bank, row] = data
        return cells


def gemv_steps(
    row: Elements, vector: Elements, clear: Elements, i_valid: Elements, *, format: str
) -> dict[str, Elements]:
    """Time series of the latch of one GEMV unit, which starts at zero.

    Parameters
    ----------
    row, vector
        Integers [t, lanes], or [t] for one lane; of BF16 and FP16 codes.
    clear, i_valid
        0 or 1, [t]: whether the sum starts anew with a step, and whether there is one.

    Returns
    -------
    dict
        ``"result"``: the latch after each step, wrapped to 32 bits, or its code; NaN is the
        positive quiet one.
    """
    t = len(row)
    if format != "int":
        a, b = (
            decode(np.reshape(x, -1).astype("<u2").view(np.uint8), format).reshape(t, -1)
            for x in (row, vector)
        )
        latch, latches = np.float32(0), []
        with np.errstate(over="ignore", invalid="ignore"):
            sums = tree(a * b)
            for total, anew, valid in zip(sums, clear, i_valid, strict=True):
                if valid:
                    latch = total + (np.float32(0) if anew else latch)
                latches.append(latch)
        return {"result": codes(np.array(latches, np.float32)).astype(np.int64)}
    steps = (np.reshape(row, (t, -1)).astype(np.int64) * np.reshape(vector, (t, -1))).sum(axis=1)
    total, results = 0, []
    for value, anew, valid in zip(steps.tolist(), clear, i_valid, strict=True):
        if valid:
            total = value if anew else total + value
        results.append((total + 2**31) % 2**32 - 2**31)
    return {"result": np.array(results, np.int64)}


def gemv_operands(
    count: int, seed: int, *, format: str, lanes: int, element_bits: int
) -> dict[str, Elements]:
    """Steps of one GEMV unit: integers with their extremes; floats whose sums cancel and round.

    Few floats are zero, subnormal, huge or no number, so that sums are mostly finite.
    """
    rng = np.random.default_rng(seed)

    def draw() -> Elements:
        shape = (count, lanes)
        if format == "int":
            half = 1 << (element_bits - 1)
            values = rng.integers(-half, half, shape)
            few = rng.random(shape) < 0.2
            values[few] = rng.choice([-half, 1 - half, -1, 0, 1, half - 1], int(few.sum()))
        else:
            exponent, mantissa = (8, 7) if format == "bf16" else (5, 10)
            top, middle = (1 << exponent) - 1, (1 << exponent) // 2
            fields = rng.integers(middle - 4, middle + 4, shape)
            rare = rng.random(shape)
            fields = np.where(rare < 0.05, rng.integers(0, top, shape), fields)
            fields = np.where(rare < 0.02, 0, np.where(rare > 0.998, top, fields))
            values = fields << mantissa | rng.integers(0, 1 << mantissa, shape)
            values = np.where(rng.random(shape) < 0.02, fields << mantissa, values)
            values |= rng.integers(0, 2, shape) << 15
        return values if lanes > 1 else values[:, 0]

    return {"row": draw(), "vector": draw(), "clear": (rng.random(count) < 0.2).astype(np.int64)}
