"""Addition as units of their own: a carry-propagate adder, and a tree that adds many words.

Sources: those of `pe.adders` and `pe.heap`.
"""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Shape, unsigned
from amaranth.lib.wiring import In, Out

from pe.adders import ADDERS, SKLANSKY, add
from pe.config import Config, choice, flag, integer
from pe.element import operands
from pe.heap import COUNTERS, DADDA, SCHEDULES, THREE_TWO, BitHeap
from pe.unit import Redundant, Unit

CARRY_SAVE = "carry_save"


class AdderConfig(Config):
    """Width and carry network of an adder."""

    width: int = integer("bits of a word", 2, 63, default=8)
    adder: str = choice("carry network", lambda: ADDERS, default=SKLANSKY)

    @property
    def name(self) -> str:
        return f"adder_{self.adder}_{self.width}"


class Adder(Unit):
    """Carry-propagate adder, modulo two to the width.

    Function unit, combinational: latency 0.

    Members
    -------
    a, b : In(width)
    sum : Out(width)
    """

    config: AdderConfig

    def __init__(self, config: AdderConfig) -> None:
        word = unsigned(config.width)
        super().__init__(config, {"a": In(word), "b": In(word), "sum": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(add(m, self.config.adder, self.a, self.b))
        return m


class CompressorTreeConfig(Config):
    """Words to be added, and how."""

    words: int = integer("words that are added", 2, 64, default=8)
    width: int = integer("bits of a word", 2, 32, default=8)
    signed: bool = flag("words are two's complement", default=True)
    schedule: str = choice("when counters are placed", lambda: SCHEDULES, default=DADDA)
    counters: str = choice("kind of counters", lambda: COUNTERS, default=THREE_TWO)
    output: str = choice(
        "two words in carry-save form, or their sum by a carry-propagate adder",
        lambda: (CARRY_SAVE, *ADDERS),
        default=CARRY_SAVE,
    )

    @property
    def name(self) -> str:
        options = {
            "schedule": self.schedule,
            "counters": self.counters.replace(":", "to"),
            "output": self.output,
        }
        fields = self.__dataclass_fields__
        changed = [
            text for key, text in options.items() if getattr(self, key) != fields[key].default
        ]
        size = f"{self.words}x{'' if self.signed else 'u'}{self.width}"
        return "_".join(["compressor_tree", size, *changed])

    @property
    def shape(self) -> Shape:
        """Shape of the sum, which is exact."""
        return Shape(self.width + (self.words - 1).bit_length(), self.signed)


class CompressorTree(Unit):
    """Exact sum of many words by a tree of counters.

    Function unit, combinational: latency 0.

    Members
    -------
    a : In, an array of words
    sum : Out
        Two words side by side that add up to the sum modulo two to its width, see `redundant`;
        or the sum.
    """

    config: CompressorTreeConfig

    def __init__(self, config: CompressorTreeConfig) -> None:
        word, total = Shape(config.width, config.signed), config.shape
        saved = unsigned(2 * total.width)
        super().__init__(
            config,
            {
                "a": In(operands(word, config.words)),
                "sum": Out(saved if config.output == CARRY_SAVE else total),
            },
        )

    @property
    def redundant(self) -> Mapping[str, Redundant]:
        if self.config.output != CARRY_SAVE:
            return {}
        shape = self.config.shape
        return {"sum": Redundant(shape, 2 * tuple(range(shape.width)))}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        heap = BitHeap(config.shape.width)
        for word in self.a:
            heap.add(word)
        heap.reduce(m, config.schedule, config.counters)
        rows = heap.rows()
        saved = config.output == CARRY_SAVE
        m.d.comb += self.sum.eq(Cat(*rows) if saved else add(m, config.output, *rows))
        return m
