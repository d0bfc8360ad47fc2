# amaranth: UnusedElaboratable=no
"""A GEMM core and a PIM channel in one design, and what the two are given to work on."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module, Shape
from amaranth.lib.wiring import In, Out

from golden.pim_mapping import Attention
from golden.pim_trace import Op, Request, check, ordered
from hw.core_config import GemmCoreConfig
from hw.gemm_core import GemmCore
from hw.pim_channel import PimChannel
from hw.pim_config import PimConfig
from pe.config import Config, nested
from pe.share import ports_of, share
from pe.unit import Unit
from sim.packing import Matrix
from sim.pim_setup import organisation_of, policy_of, timing_of

READS_FIT = {"pim.lanes": 8}
"""Setting of a channel whose reads are words of B of a core of the default size."""


class SideBySideConfig(Config):
    """A GEMM core whose B words are the words that the channel reads."""

    core: GemmCoreConfig = nested("the GEMM core", factory=GemmCoreConfig)
    pim: PimConfig = nested("the PIM channel", factory=PimConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        array = self.core.array
        if (array.width_b, array.signed_b) != (8, True):
            kind = "signed" if array.signed_b else "unsigned"
            raise ValueError(
                f"core.array.width_b: {kind} weights of {array.width_b} bits are not the signed "
                "bytes that the channel holds"
            )
        if array.cols * array.width_b != 8 * self.pim.column_bytes:
            raise ValueError(
                f"core.array.cols: {array.cols} weights of {array.width_b} bits are not the "
                f"{self.pim.column_bytes} bytes of a read"
            )

    @property
    def name(self) -> str:
        return f"side_by_side_{self.core.name}_{self.pim.name}"


PARTS: Mapping[str, type[Unit]] = {"core": GemmCore, "pim": PimChannel}


class SideBySide(Unit):
    """A GEMM core and a PIM channel that share clock and reset.

    Ports are those of the two, behind ``core_`` and ``pim_``.
    """

    config: SideBySideConfig

    def __init__(self, config: SideBySideConfig) -> None:
        self._ports = {
            name: list(ports_of(unit(getattr(config, name)))) for name, unit in PARTS.items()
        }
        members = {
            f"{part}_{port.name}": (In if port.is_input else Out)(Shape(port.width, port.signed))
            for part, ports in self._ports.items()
            for port in ports
        }
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for part, unit in PARTS.items():
            ends = SimpleNamespace()
            for port in self._ports[part]:
                at: Any = ends
                for step in port.path[:-1]:
                    at = at.__dict__.setdefault(str(step), SimpleNamespace())
                setattr(at, str(port.path[-1]), getattr(self, f"{part}_{port.name}"))
            share(m, platform, part, unit, getattr(self.config, part), **vars(ends))
        return m


@dataclass(frozen=True)
class Plan:
    """Two halves of a batch: a product on the core, and queries of attention on the channel.

    The product's weights lie in the channel, in the rows behind those of the attention. Memory
    reads them, a word of B each, a tile of columns after the other.

    Attributes
    ----------
    config
        Of the hardware.
    attention
        Layout of K and V in the channel.
    k, n
        Rows and columns of the weights.

    Raises
    ------
    ValueError
        When the weights do not fit the channel's rows, K is so short that the array would drain a
        tile while the next one is complete, or the channel cannot run the trace.
    """

    config: SideBySideConfig
    attention: Attention
    k: int
    n: int

    def __post_init__(self) -> None:
        array = self.config.core.array
        gap = 2 * array.rows + array.cols + 1
        if self.k < gap:
            raise ValueError(
                f"k: {self.k} is less than 2 * rows + cols + 1 = {gap}, so that a tile would wait "
                "for the one before it"
            )
        _, row, _ = self._place(self.words - 1)
        if row >= self.config.pim.bank_rows:
            raise ValueError(
                f"n: weights of {self.k} x {self.n} and the attention take {row + 1} rows of a "
                f"bank, and it has {self.config.pim.bank_rows}"
            )
        pim, queries = self.config.pim, (self.attention.heads, self.attention.head_size)
        requests = self.trace(np.zeros(queries, np.int64))
        check(requests, organisation_of(pim), timing_of(pim), policy_of(pim))

    @property
    def tiles(self) -> list[range]:
        """Columns of each tile."""
        cols = self.config.core.array.cols
        return [range(at, min(at + cols, self.n)) for at in range(0, self.n, cols)]

    @property
    def words(self) -> int:
        """Words of weights."""
        return len(self.tiles) * self.k

    def _place(self, word: int) -> tuple[int, int, int]:
        """Bank, row and column of a word of weights."""
        pim = self.config.pim
        at, column = divmod(word, pim.columns)
        row, bank = divmod(at, pim.all_banks)
        return bank, self.attention.first_row + self.attention.rows + row, column

    def cells(self, weights: Matrix, keys: Matrix, values: Matrix) -> npt.NDArray[np.uint8]:
        """Contents of the channel, [banks, rows, bytes], with K and V [heads, tokens, size]."""
        pim = self.config.pim
        cells = np.zeros((pim.all_banks, pim.bank_rows, pim.row_bytes), np.uint8)
        for place, data in self.attention.cells(keys, values).items():
            cells[place] = data
        size = pim.column_bytes
        for tile, columns in enumerate(self.tiles):
            for k in range(self.k):
                bank, row, column = self._place(tile * self.k + k)
                beat = weights[k, columns.start : columns.stop].astype(np.int8).view(np.uint8)
                cells[bank, row, column * size : column * size + len(beat)] = beat
        return cells

    def trace(self, queries: Matrix) -> list[Request]:
        """Queries [heads, size] times K on PIM; memory writes the queries and reads the weights."""
        trace, _ = self.attention.logits_trace(queries)
        for word in range(self.words):
            bank, row, column = self._place(word)
            trace.append(Request(Op.READ, bank, row, column))
        return ordered(trace)


def plan_of(
    config: SideBySideConfig, heads: int, head_size: int, tokens: int, k: int, n: int
) -> Plan:
    """Lay a product's weights and one request's attention out in the channel.

    Raises
    ------
    ValueError
        Naming the size for which the channel or the core has no room.
    """
    attention = Attention(organisation_of(config.pim), heads, head_size, tokens)
    return Plan(config, attention, k, n)
