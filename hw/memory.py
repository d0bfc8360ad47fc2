"""A memory with one read and one write port, as SRAM compilers and FPGA block RAMs give it."""

from typing import Any, NamedTuple

from amaranth.hdl import Module, Shape, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from pe.share import Collector
from pe.unit import StructuralUnit


class MemoryShape(NamedTuple):
    """Number of words, and what each holds."""

    depth: int
    word: Shape

    @property
    def slug(self) -> str:
        """Depth and word as they stand in module names, e.g. ``256xs32`` for signed words."""
        return f"{self.depth}x{'s' if self.word.signed else ''}{self.word.width}"


class Memory(StructuralUnit):
    """A memory with one read and one write port.

    A read takes one cycle; the word read stays while `read_enable` is low. A read of the word
    that is being written gives the old one. Contents are undefined until written.
    """

    STORAGE = "storage"
    """Name of the Verilog array inside the module."""

    config: MemoryShape

    def __init__(self, config: MemoryShape) -> None:
        # Verilog has no port without bits.
        address = unsigned(max(1, (config.depth - 1).bit_length()))
        super().__init__(
            config,
            {
                "read_address": In(address),
                "read_enable": In(1),
                "read_data": Out(config.word),
                "write_address": In(address),
                "write_enable": In(1),
                "write_data": In(config.word),
            },
        )

    @property
    def name(self) -> str:
        return f"memory_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        storage: Any = memory.Memory(shape=self.config.word, depth=self.config.depth, init=[])
        m.submodules[self.STORAGE] = storage
        read, write = storage.read_port(), storage.write_port()
        m.d.comb += [
            read.addr.eq(self.read_address),
            read.en.eq(self.read_enable),
            self.read_data.eq(read.data),
            write.addr.eq(self.write_address),
            write.en.eq(self.write_enable),
            write.data.eq(self.write_data),
        ]
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return ["clk"]

    def verilog_body(self, collector: Collector) -> str:
        depth, word = self.config
        return (
            f"  reg [{word.width - 1}:0] {self.STORAGE} [0:{depth - 1}];\n"
            f"  reg [{word.width - 1}:0] word;\n"
            "  always @(posedge clk) begin\n"
            f"    if (write_enable) {self.STORAGE}[write_address] <= write_data;\n"
            f"    if (read_enable) word <= {self.STORAGE}[read_address];\n"
            "  end\n"
            "  assign read_data = word;\n"
        )
