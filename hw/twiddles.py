"""A memory of twiddle factors that is only read."""

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from pe.butterfly import BARRETT, REDUCERS, SHOUP, UNIFIED, ButterflyConfig
from pe.config import Config, choice, integer
from pe.roots import least_root
from pe.share import Collector
from pe.unit import StructuralUnit


class TwiddleRomConfig(Config):
    """The ring, and what the products with the factors are reduced by."""

    modulus: int = integer(
        "a prime that is 1 modulo twice the size", 97, (1 << 62) - 1, default=193
    )
    size: int = integer("coefficients of a polynomial, a power of two", 8, 1 << 16, default=16)
    reducer: str = choice("reduction of products", lambda: REDUCERS, default=BARRETT)

    @property
    def butterfly(self) -> ButterflyConfig:
        """Config of the butterfly that takes them."""
        return ButterflyConfig(modulus=self.modulus, kind=UNIFIED, reducer=self.reducer)

    @property
    def quotient_bits(self) -> int:
        """Bits of the quotient beside a factor; 0 where there is none."""
        return self.modulus.bit_length() if self.reducer == SHOUP else 0

    @property
    def name(self) -> str:
        return f"twiddles_q{self.modulus}_n{self.size}_{self.reducer}"

    @property
    def words(self) -> list[int]:
        """The root to the power of the reversed bits of each index, then those of its inverse."""
        modulus, bits = self.modulus, self.size.bit_length() - 1
        radix = pow(2, self.butterfly.radix_bits, modulus)
        words = []
        root = least_root(modulus, self.size)
        for base in (root, pow(root, -1, modulus)):
            powers = [radix]
            for _ in range(self.size - 1):
                powers.append(powers[-1] * base % modulus)
            for index in range(self.size):
                factor = powers[int(f"{index:0{bits}b}"[::-1], 2)]
                quotient = (factor << self.quotient_bits) // modulus if self.quotient_bits else 0
                words.append(quotient << modulus.bit_length() | factor)
        return words


class TwiddleRom(StructuralUnit):
    """Twiddle factors of both directions of a transform; a read takes one cycle.

    Members
    -------
    index : In(log2(size) + 1)
        The top bit chooses the inverse.
    factor : Out(bits)
        Times the radix for Montgomery's reduction.
    quotient : Out(bits)
        Of the factor, with reducer=shoup only.
    """

    config: TwiddleRomConfig

    def __init__(self, config: TwiddleRomConfig) -> None:
        bits = config.modulus.bit_length()
        members = {"index": In(config.size.bit_length()), "factor": Out(unsigned(bits))}
        if config.quotient_bits:
            members["quotient"] = Out(unsigned(bits))
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = config.modulus.bit_length()
        width = bits + config.quotient_bits
        rom: Any = memory.Memory(shape=unsigned(width), depth=2 * config.size, init=config.words)
        m.submodules["storage"] = rom
        read = rom.read_port()
        m.d.comb += [read.addr.eq(self.index), self.factor.eq(read.data[:bits])]
        if config.quotient_bits:
            m.d.comb += self.quotient.eq(read.data[bits:])
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return ["clk"]

    def verilog_body(self, collector: Collector) -> str:
        config = self.config
        bits = config.modulus.bit_length()
        width = bits + config.quotient_bits
        lines = [
            f"      {config.size.bit_length()}'d{index}: word <= {width}'h{word:x};"
            for index, word in enumerate(config.words)
        ]
        quotient = (
            f"  assign quotient = word[{width - 1}:{bits}];\n" if config.quotient_bits else ""
        )
        return (
            f"  reg [{width - 1}:0] word;\n"
            "  always @(posedge clk)\n"
            "    case (index)\n" + "\n".join(lines) + "\n    endcase\n"
            f"  assign factor = word[{bits - 1}:0];\n" + quotient
        )
