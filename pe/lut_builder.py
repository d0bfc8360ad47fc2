"""Half a table of the sums of a few activations under all choices of signs.

Key bit j of an entry is the sign of activation j, 1 for plus. A table is antisymmetric, so that
half of it tells all: here are the keys whose top bit is 0. The last of these, in which only the
last activation is subtracted, is a tree of additions; every other entry takes one subtraction of
twice an activation from an entry that has one minus less. With 4 activations that is 10 additions,
with 8 it is 134.

Sources: G. Park et al., "LUT-GEMM", arXiv 2206.09557; G. Park et al., "FIGLUT", arXiv 2503.06862,
for half a table.
"""

from amaranth.hdl import Module, Shape, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pe.config import Config, flag, integer, one_of
from pe.unit import Unit

SIZES = (4, 8)
"""Activations that a table may have."""


def entry_shape(mu: int, width: int, least: bool = True) -> Shape:
    """Shape of a sum of `mu` signed activations under any signs.

    Parameters
    ----------
    least
        The least number of `width` bits occurs: its negative takes one bit more.
    """
    return signed(width + (mu - 1).bit_length() + least)


class LutBuilderConfig(Config):
    """Activations of a table."""

    mu: int = one_of("activations of a table", SIZES, default=4)
    width: int = integer("bits of an activation, signed", 2, 40, default=8)
    least: bool = flag("the least number of so many bits occurs", default=True)

    @property
    def entries(self) -> int:
        """Entries of half a table."""
        return 1 << (self.mu - 1)

    @property
    def entry_shape(self) -> Shape:
        """Shape of an entry."""
        return entry_shape(self.mu, self.width, self.least)

    @property
    def name(self) -> str:
        return f"lut_builder_{self.mu}x{self.width}{'' if self.least else '_balanced'}"


class LutBuilder(Unit):
    """Half a table of sums of activations under all signs, in flip-flops.

    Function unit with a memory: latency 2, initiation interval 1.

    Members
    -------
    x : In, an array of mu signed numbers
        Activations.
    i_valid : In(1)
        There are activations.
    entries : Out, an array of 2**(mu - 1) entries, signed width + log2(mu) + least
        Entry i is the sum of all ``x[j]``, plus where bit j of i is set, else minus, the last one
        minus. It is zero after reset, and stays until it is that of other activations.
        Without `least`, entries wrap where the least activation occurs nonetheless.
    """

    config: LutBuilderConfig
    latency = 2

    def __init__(self, config: LutBuilderConfig) -> None:
        super().__init__(
            config,
            {
                "x": In(data.ArrayLayout(signed(config.width), config.mu)),
                "i_valid": In(1),
                "entries": Out(data.ArrayLayout(config.entry_shape, config.entries)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        base = Signal(signed(config.width + (config.mu - 1).bit_length()), reset_less=True)
        valid = Signal()
        m.d.sync += [
            base.eq(_tree(m, [self.x[j] for j in range(config.mu)])),
            valid.eq(self.i_valid),
        ]
        entries: dict[int, Value] = {config.entries - 1: base}
        for j in range(config.mu - 1):
            held = Signal(signed(config.width), name=f"x_{j}", reset_less=True)
            m.d.sync += held.eq(self.x[j])
            for i, entry in sorted(entries.items()):
                flipped = Signal(config.entry_shape, name=f"entry_{i - (1 << j)}")
                m.d.comb += flipped.eq(entry - (held << 1))
                entries[i - (1 << j)] = flipped
        with m.If(valid):
            m.d.sync += [self.entries[i].eq(entry) for i, entry in entries.items()]
        return m


def _tree(m: Module, words: list[Value]) -> Value:
    """Place a tree of adders, the last word subtracted, and return the sum."""
    level = 0
    while len(words) > 1:
        sums: list[Value] = []
        for i in range(0, len(words), 2):
            last = level == 0 and i + 2 == len(words)
            total = Signal(signed(len(words[i]) + 1), name=f"sum_{level}_{i // 2}")
            m.d.comb += total.eq(words[i] - words[i + 1] if last else words[i] + words[i + 1])
            sums.append(total)
        words = sums
        level += 1
    return words[0]
