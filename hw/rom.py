"""A memory that is only read."""

from typing import Any, NamedTuple

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from pe.share import Collector
from pe.unit import StructuralUnit


class RomShape(NamedTuple):
    """Contents of a memory.

    Attributes
    ----------
    name
        Of the module.
    width
        Bits of a word.
    words
        That of address 0 first.
    """

    name: str
    width: int
    words: tuple[int, ...]


class Rom(StructuralUnit):
    """A memory that is only read, initialised in the Verilog; a read takes one cycle.

    Members
    -------
    address : In(range(len(words)))
    data : Out(width)
    """

    config: RomShape

    def __init__(self, config: RomShape) -> None:
        members = {"address": In(range(len(config.words))), "data": Out(config.width)}
        super().__init__(config, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _, width, words = self.config
        rom: Any = memory.Memory(shape=unsigned(width), depth=len(words), init=words)
        m.submodules["storage"] = rom
        read = rom.read_port()
        m.d.comb += [read.addr.eq(self.address), self.data.eq(read.data)]
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return ["clk"]

    def verilog_body(self, collector: Collector) -> str:
        _, width, words = self.config
        lines = "".join(
            f"    storage[{address}] = {width}'h{word:x};\n" for address, word in enumerate(words)
        )
        return (
            f"  reg [{width - 1}:0] storage [0:{len(words) - 1}];\n"
            f"  reg [{width - 1}:0] word;\n"
            f"  initial begin\n{lines}  end\n"
            "  always @(posedge clk) word <= storage[address];\n"
            "  assign data = word;\n"
        )
