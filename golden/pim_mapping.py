"""Attention of one request on a PIM channel: where K and V lie, and the trace that multiplies them.

K: a tile is one row of every bank, and holds one token a bank; along the row are the heads of a
chunk, each from a step of its own on, so that each GEMV of a tile is one head's logits of as many
tokens as there are banks. V: a tile holds one dimension of a head a bank, tokens along the row, so
that its one GEMV sums over the tokens of a chunk. The vectors, queries and then weights, lie in
rows of bank 0, into which memory writes them before PIM copies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from golden.pim_data import Elements, Row, encode
from golden.pim_timing import Organisation
from golden.pim_trace import Op, Request


def _chunks(count: int, size: int) -> list[range]:
    return [range(at, min(at + size, count)) for at in range(0, count, size)]


@dataclass(frozen=True)
class Group:
    """What the results of one header mean.

    Attributes
    ----------
    heads
        Head of each GEMV.
    across
        What each bank holds, first bank first: tokens of K, dimensions of V.
    """

    heads: range
    across: range


@dataclass(frozen=True)
class Attention:
    """Layout of one request.

    Attributes
    ----------
    org
        Organisation of the channel.
    heads, head_size, tokens
        Of the request: how many heads the channel has, how long a query is, and how many keys.
    first_row
        The layout's rows are this one and those after it.

    Raises
    ------
    ValueError
        When a head is longer than a row, or the channel has too few rows.
    """

    org: Organisation
    heads: int
    head_size: int
    tokens: int
    first_row: int = 0

    def __post_init__(self) -> None:
        for name in ("heads", "head_size", "tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not 1 or more")
        if self.head_size > self.org.elements:
            raise ValueError(
                f"head_size: {self.head_size} is more than the {self.org.elements} elements of a "
                "row"
            )
        needed = self.first_row + self.rows
        if needed > self.org.rows:
            raise ValueError(
                f"tokens: {self.tokens} of {self.heads} heads take {needed} rows, and a bank has "
                f"{self.org.rows}"
            )

    @property
    def head_steps(self) -> int:
        """Steps of one head's logits."""
        return -(-self.head_size // self.org.lanes)

    @property
    def head_chunks(self) -> list[range]:
        """Heads whose queries fit one row."""
        return _chunks(self.heads, self.org.steps // self.head_steps)

    @property
    def token_chunks(self) -> list[range]:
        """Tokens whose weights fit one row."""
        return _chunks(self.tokens, self.org.elements)

    @property
    def token_tiles(self) -> list[range]:
        return _chunks(self.tokens, self.org.all_banks)

    @property
    def dimension_tiles(self) -> list[range]:
        return _chunks(self.head_size, self.org.all_banks)

    @property
    def rows(self) -> int:
        """Rows that it takes: those of vectors, of K and of V."""
        return self._v_row(self.heads, 0, 0) - self.first_row

    def _query_row(self, chunk: int) -> int:
        return self.first_row + chunk

    def _weight_row(self, head: int, chunk: int) -> int:
        return self._query_row(len(self.head_chunks)) + head * len(self.token_chunks) + chunk

    def _k_row(self, tile: int, chunk: int) -> int:
        return self._weight_row(self.heads, 0) + tile * len(self.head_chunks) + chunk

    def _v_row(self, head: int, chunk: int, tile: int) -> int:
        at = head * len(self.token_chunks) + chunk
        return self._k_row(len(self.token_tiles), 0) + at * len(self.dimension_tiles) + tile

    def cells(self, k: Elements, v: Elements, element: str = "int8") -> dict[tuple[int, int], Row]:
        """Contents of the rows of K and V, each [heads, tokens, head_size]."""
        cells = {}
        for chunk, heads in enumerate(self.head_chunks):
            for tile, tokens in enumerate(self.token_tiles):
                for bank, token in enumerate(tokens):
                    row = self._slots(k[heads.start : heads.stop, token])
                    cells[bank, self._k_row(tile, chunk)] = encode(row, element)
        for head in range(self.heads):
            for chunk, tokens in enumerate(self.token_chunks):
                for tile, dimensions in enumerate(self.dimension_tiles):
                    for bank, dimension in enumerate(dimensions):
                        row = self._padded(v[head, tokens.start : tokens.stop, dimension])
                        cells[bank, self._v_row(head, chunk, tile)] = encode(row, element)
        return cells

    def _padded(self, values: Elements) -> Elements:
        return np.pad(values, (0, self.org.elements - len(values)))

    def _slots(self, values: Elements) -> Elements:
        """One row with a vector of each of a chunk's heads, [heads of the chunk, head_size]."""
        size = self.head_steps * self.org.lanes
        return self._padded(np.pad(values, ((0, 0), (0, size - self.head_size))).ravel())

    def _vector(self, row: int, data: Row) -> list[Request]:
        """Write a vector to bank 0, and copy it into the global buffer."""
        size = self.org.column_bytes
        words = [
            int.from_bytes(data[at : at + size].tobytes(), "little")
            for at in range(0, len(data), size)
        ]
        return [
            *(Request(Op.WRITE, 0, row, column, data=w) for column, w in enumerate(words)),
            Request(Op.GWRITE, bank=0, row=row),
        ]

    def logits_trace(
        self, q: Elements, element: str = "int8"
    ) -> tuple[list[Request], dict[int, Group]]:
        """Trace of q . K, with q [heads, head_size], and the groups by index of their header."""
        trace: list[Request] = []
        groups: dict[int, Group] = {}
        for chunk, heads in enumerate(self.head_chunks):
            row = encode(self._slots(q[heads.start : heads.stop]), element)
            trace += self._vector(self._query_row(chunk), row)
            for tile, tokens in enumerate(self.token_tiles):
                groups[len(trace)] = Group(heads, tokens)
                trace += self._group(self._k_row(tile, chunk), self.head_steps, len(heads))
        return trace, groups

    def attend_trace(
        self, weights: Elements, element: str = "int8"
    ) -> tuple[list[Request], dict[int, Group]]:
        """Trace of weights . V, with weights [heads, tokens], and the groups by header."""
        trace: list[Request] = []
        groups: dict[int, Group] = {}
        for head in range(self.heads):
            for chunk, tokens in enumerate(self.token_chunks):
                row = encode(self._padded(weights[head, tokens.start : tokens.stop]), element)
                trace += self._vector(self._weight_row(head, chunk), row)
                steps = -(-len(tokens) // self.org.lanes)
                for tile, dimensions in enumerate(self.dimension_tiles):
                    groups[len(trace)] = Group(range(head, head + 1), dimensions)
                    trace += self._group(self._v_row(head, chunk, tile), steps, 1)
        return trace, groups

    @staticmethod
    def _group(row: int, k: int, gemvs: int) -> list[Request]:
        return [Request(Op.HEADER, row=row, k=k, gemvs=gemvs), *[Request(Op.GEMV, k=k)] * gemvs]

    def _gather(
        self, results: Mapping[int, Elements], groups: Mapping[int, Group], width: int
    ) -> Elements:
        first = next(iter(results.values()))
        gathered: Elements = np.zeros((self.heads, width), first.dtype)
        for header, group in groups.items():
            for at, head in enumerate(group.heads):
                banks = results[header + 1 + at][: len(group.across)]
                gathered[head, group.across.start : group.across.stop] += banks
        return gathered

    def logits(self, results: Mapping[int, Elements], groups: Mapping[int, Group]) -> Elements:
        """Logits [heads, tokens] from the results by index of their GEMV."""
        return self._gather(results, groups, self.tokens)

    def attended(self, results: Mapping[int, Elements], groups: Mapping[int, Group]) -> Elements:
        """Outputs [heads, head_size]; the host adds up the chunks of tokens."""
        return self._gather(results, groups, self.head_size)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of the last axis, as the host computes it."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return weights


def split_heads(heads: int, channels: int) -> list[range]:
    """Heads of each channel, as even as they can be; every channel must have one.

    Raises
    ------
    ValueError
        When there are more channels than heads.
    """
    if not 1 <= channels <= heads:
        raise ValueError(f"channels: {channels} is not in 1..{heads}, the heads there are")
    ends = [heads * channel // channels for channel in range(channels + 1)]
    return [range(a, b) for a, b in pairwise(ends)]


def place_requests(
    org: Organisation, heads: int, head_size: int, tokens: Sequence[int]
) -> list[Attention]:
    """Layouts of several requests of one channel, one after the other.

    Raises
    ------
    ValueError
        When they do not fit.
    """
    layouts: list[Attention] = []
    row = 0
    for count in tokens:
        layouts.append(Attention(org, heads, head_size, count, row))
        row += layouts[-1].rows
    return layouts
