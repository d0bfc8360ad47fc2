"""A memory of twiddle factors that is only read."""

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from hw.ntt_order import NttOrder
from pe.butterfly import BARRETT, REDUCERS, SHOUP, UNIFIED, ButterflyConfig
from pe.config import Config, choice, integer
from pe.roots import least_root
from pe.share import Collector
from pe.unit import StructuralUnit


class TwiddleRomConfig(Config):
    """The ring, and the butterflies that take the factors."""

    modulus: int = integer(
        "a prime that is 1 modulo twice the size", 97, (1 << 62) - 1, default=193
    )
    size: int = integer("coefficients of a polynomial, a power of two", 8, 1 << 16, default=16)
    butterflies: int = integer("butterflies a cycle, a power of two", 1, 64, default=1)
    reducer: str = choice("reduction of products", lambda: REDUCERS, default=BARRETT)

    @property
    def order(self) -> NttOrder:
        """Which factors the butterflies take together."""
        return NttOrder(self.size, self.butterflies)

    @property
    def bits(self) -> int:
        """Bits of a factor."""
        return self.modulus.bit_length()

    @property
    def quotient_bits(self) -> int:
        """Bits of the quotient beside a factor; 0 where there is none."""
        return self.bits if self.reducer == SHOUP else 0

    @property
    def width(self) -> int:
        """Bits of a word: the factors of all butterflies, and above them their quotients."""
        return self.butterflies * (self.bits + self.quotient_bits)

    @property
    def name(self) -> str:
        return f"twiddles_q{self.modulus}_n{self.size}_p{self.butterflies}_{self.reducer}"

    @property
    def starts(self) -> tuple[list[int], list[int]]:
        """Address of the first word of each stage, of the forward transform and the inverse."""
        starts = [1]
        for _ in range(2):
            for stage in range(self.order.address_bits):
                starts.append(starts[-1] + (self.order.rows >> self.order.repeats(stage)))
        stages = self.order.address_bits
        return starts[:stages], starts[stages : 2 * stages]

    @property
    def depth(self) -> int:
        """Number of words."""
        return 2 * self.starts[1][0] - 1

    @property
    def words(self) -> list[int]:
        """Ones, then the factors of each stage, those of stage 0 first, then of the inverse."""
        order, bits = self.order, self.order.address_bits
        butterfly = ButterflyConfig(modulus=self.modulus, kind=UNIFIED, reducer=self.reducer)
        radix = pow(2, butterfly.radix_bits, self.modulus)
        rows = [[radix] * self.butterflies]
        root = least_root(self.modulus, self.size)
        for base in (root, pow(root, -1, self.modulus)):
            powers = [radix]
            for _ in range(self.size - 1):
                powers.append(powers[-1] * base % self.modulus)
            for stage in range(bits):
                rows += [
                    [powers[int(f"{i:0{bits}b}"[::-1], 2)] for i in indices]
                    for indices in order.twiddles(stage)
                ]
        return [self._word(row) for row in rows]

    def _word(self, factors: list[int]) -> int:
        quotients = [(factor << self.quotient_bits) // self.modulus for factor in factors]
        parts = factors + (quotients if self.quotient_bits else [])
        return sum(part << i * self.bits for i, part in enumerate(parts))


class TwiddleRom(StructuralUnit):
    """Twiddle factors of both directions of a transform; a read takes one cycle.

    Members
    -------
    address : In(range(depth))
        0 reads ones; see `TwiddleRomConfig.starts` for those of a stage.
    factors : Out(butterflies * bits)
        That of the first butterfly lowest; times the radix for Montgomery's reduction.
    quotients : Out(butterflies * bits)
        Of the factors, with reducer=shoup only.
    """

    config: TwiddleRomConfig

    def __init__(self, config: TwiddleRomConfig) -> None:
        factors = unsigned(config.butterflies * config.bits)
        members = {"address": In(range(config.depth)), "factors": Out(factors)}
        if config.quotient_bits:
            members["quotients"] = Out(factors)
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        rom: Any = memory.Memory(
            shape=unsigned(config.width), depth=config.depth, init=config.words
        )
        m.submodules["storage"] = rom
        read = rom.read_port()
        split = len(self.factors)
        m.d.comb += [read.addr.eq(self.address), self.factors.eq(read.data[:split])]
        if config.quotient_bits:
            m.d.comb += self.quotients.eq(read.data[split:])
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return ["clk"]

    def verilog_body(self, collector: Collector) -> str:
        width, split = self.config.width, len(self.factors)
        lines = "".join(
            f"    storage[{address}] = {width}'h{word:x};\n"
            for address, word in enumerate(self.config.words)
        )
        quotients = f"  assign quotients = word[{width - 1}:{split}];\n" if split < width else ""
        return (
            f"  reg [{width - 1}:0] storage [0:{self.config.depth - 1}];\n"
            f"  reg [{width - 1}:0] word;\n"
            f"  initial begin\n{lines}  end\n"
            "  always @(posedge clk) word <= storage[address];\n"
            f"  assign factors = word[{split - 1}:0];\n" + quotients
        )
