"""Dot product of vectors of plus and minus one: the bits in which they agree are counted.

Source: ShiftAddViT (arXiv 2306.06446), attention of binary queries and keys; XNOR-Net
(arXiv 1603.05279) for the identity.
"""

from amaranth.hdl import Cat, Module, Shape, signed
from amaranth.lib.wiring import In, Out

from pe.adders import SKLANSKY, add
from pe.config import Config, integer
from pe.heap import BitHeap
from pe.unit import Unit


class HammingDotConfig(Config):
    """Length of the vectors."""

    width: int = integer("elements of a vector", 1, 62, default=8)

    @property
    def dot_shape(self) -> Shape:
        """Shape of a product: as low as ``-width`` and as high as ``width``."""
        return signed(self.width.bit_length() + 1)

    @property
    def name(self) -> str:
        return f"hamming_dot_{self.width}"


class HammingDot(Unit):
    """Dot product of two vectors of plus and minus one: their length less twice what differs.

    Function unit: combinational, latency 0.

    Members
    -------
    a, b : In(width)
        Bit i is element i: 1 for 1, 0 for -1.
    dot : Out(dot_shape)
        Exact.
    """

    config: HammingDotConfig

    def __init__(self, config: HammingDotConfig) -> None:
        bits = In(config.width)
        super().__init__(config, {"a": bits, "b": bits, "dot": Out(config.dot_shape)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Twice the bits that agree less the length: whether that is odd is known.
        half, even = divmod(self.config.width + 1, 2)
        heap = BitHeap(len(self.dot) - 1)
        for x, y in zip(self.a, self.b, strict=True):
            heap.add_bit(~(x ^ y), 0)
        heap.constant = -half
        heap.reduce(m)
        m.d.comb += self.dot.eq(Cat(1 - even, add(m, SKLANSKY, *heap.rows())))
        return m
