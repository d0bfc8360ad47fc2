# amaranth: UnusedElaboratable=no
"""A table of constants, looked up by index."""

from typing import NamedTuple

from amaranth.hdl import Array, Const, Module
from amaranth.lib.wiring import In, Out

from pe.share import Collector
from pe.unit import StructuralUnit


class TableConfig(NamedTuple):
    """Name of the module, what it is in one line, and words of a width in bits, all of them used.

    Their number is a power of two.
    """

    name: str
    summary: str
    width: int
    words: tuple[int, ...]


class Table(StructuralUnit):
    """A table of constants, combinational.

    Members
    -------
    index : In
        Of the word.
    word : Out(width)
        The word.
    """

    config: TableConfig

    def __init__(self, config: TableConfig) -> None:
        super().__init__(config, {"index": In(range(len(config.words))), "word": Out(config.width)})

    @property
    def summary(self) -> str:
        return self.config.summary

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = Array(Const(word, self.config.width) for word in self.config.words)
        m.d.comb += self.word.eq(words[self.index])
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return []

    def verilog_body(self, collector: Collector) -> str:
        width = self.config.width
        lines = [
            f"reg [{width - 1}:0] chosen;",
            "always @*",
            "  case (index)",
            *(f"    {i}: chosen = {width}'d{word};" for i, word in enumerate(self.config.words)),
            "  endcase",
            "assign word = chosen;",
        ]
        return "".join(f"  {line}\n" for line in lines)
