# amaranth: UnusedElaboratable=no
"""Ternary dot products by look-up: one table of sums, read by many columns.

A table has the sums of a group of activations for each group of trits that is above zero as a
number of radix 3, an adder a sum: it is the sum of a smaller number, and one activation more or
less. A column reads the sum of its key and negates it where the key is negative.

Source: ternary look-up of TeLLMe (arXiv 2504.16266); keys as numbers of radix 3 are ours.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pe.coded import Row
from pe.config import Config, integer
from pe.share import share
from pe.unit import Unit


class Entry(NamedTuple):
    """A sum of a table: an activation, with the sum of a smaller number added or taken off.

    Attributes
    ----------
    leading
        Index of the activation.
    rest
        The number that is added, below zero where its opposite is taken off.
    terms
        Activations in the sum.
    shape
        Of the sum.
    """

    leading: int
    rest: int
    terms: int
    shape: Shape


class TernaryLutConfig(Config):
    """Activations of a table, and the columns that read it."""

    group: int = integer("activations of a table, and trits of a key", 2, 5, default=4)
    cols: int = integer("columns, each with a key of its own", 1, 256, default=4)
    width_a: int = integer("bits of an activation, signed", 2, 16, default=8)

    @property
    def entries(self) -> int:
        """Sums of a table."""
        return int(3**self.group - 1) // 2

    @property
    def index(self) -> Shape:
        """Shape of the magnitude of a key."""
        return unsigned(self.entries.bit_length())

    @property
    def key(self) -> Shape:
        """Shape of a key: the magnitude, and above it the sign."""
        return unsigned(self.index.width + 1)

    @property
    def table(self) -> tuple[Entry, ...]:
        """How each sum of a table comes about, that of key 0 in front, which is nothing."""
        found = [Entry(0, 0, 0, unsigned(0))]
        leading = 0
        for number in range(1, self.entries + 1):
            if 2 * number > 3 ** (leading + 1):
                leading += 1
            rest = number - 3**leading
            terms = found[abs(rest)].terms + 1
            # The first activation is not taken off: one less than the greatest magnitude.
            bits = ((terms << (self.width_a - 1)) - 1).bit_length() + 1
            found.append(Entry(leading, rest, terms, signed(bits)))
        return tuple(found)

    @property
    def row(self) -> Shape:
        """Shape of the sums of a table, side by side, that of the least key in the low bits."""
        return unsigned(sum(entry.shape.width for entry in self.table))

    @property
    def sum(self) -> Shape:
        """Shape of a dot product."""
        return signed((self.group << (self.width_a - 1)).bit_length() + 1)

    @property
    def slug(self) -> str:
        """Group and width as they stand in module names."""
        return f"g{self.group}w{self.width_a}"

    @property
    def name(self) -> str:
        return f"ternary_lut_{self.cols}x{self.slug}"


class TernaryTable(Unit):
    """Sums of a group of activations for all keys above zero, combinational.

    Members
    -------
    i_element : In(group * width_a)
        Activations, two's complement, the first in the low bits.
    o_code : Out(row)
        Sums of keys above zero.
    """

    config: TernaryLutConfig

    def __init__(self, config: TernaryLutConfig) -> None:
        super().__init__(
            config,
            {"i_element": In(config.group * config.width_a), "o_code": Out(config.row)},
        )

    @property
    def name(self) -> str:
        return f"ternary_table_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sums: list[Value] = [Const(0, 1)]
        for number, (leading, rest, _, shape) in enumerate(self.config.table[1:], 1):
            a = self.i_element.word_select(leading, self.config.width_a).as_signed()
            other = sums[abs(rest)]
            sums.append(Signal(shape, name=f"sum_{number}"))
            m.d.comb += sums[number].eq(a + other if rest > 0 else a - other if rest else a)
        m.d.comb += self.o_code.eq(Cat(*sums[1:]))
        return m


class TernaryKey(Unit):
    """The key of a group of trits, combinational.

    Members
    -------
    i_element : In(group * 2)
        Codes of trits, the first in the low bits: bit 0 is set where it is not zero, bit 1 where
        it is below zero.
    o_code : Out(key)
        Magnitude and sign.
    """

    config: TernaryLutConfig

    def __init__(self, config: TernaryLutConfig) -> None:
        super().__init__(config, {"i_element": In(config.group * 2), "o_code": Out(config.key)})

    @property
    def name(self) -> str:
        return f"ternary_key_{self.config.group}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The sign is that of the last trit that is not zero; the others count relative to it.
        sign: Value = Const(0, 1)
        trits = [self.i_element.word_select(i, 2) for i in range(self.config.group)]
        for trit in trits:
            sign = Mux(trit[0], trit[1], sign)
        negative = Signal()
        m.d.comb += negative.eq(sign)
        magnitude: Value = Const(0, 1)
        for i, trit in enumerate(trits):
            weight = Mux(trit[0], 3**i, 0)
            magnitude = Mux(trit[1] ^ negative, magnitude - weight, magnitude + weight)
        m.d.comb += self.o_code.eq(Cat(magnitude[: self.config.index.width], negative))
        return m


class TernaryColumn(Unit):
    """The sum of one key, combinational.

    Members
    -------
    row : In(row)
        Sums of keys above zero.
    key : In(key)
        Magnitude and sign; of a magnitude that has no sum it is zero.
    sum : Out(sum)
        Dot product.
    """

    config: TernaryLutConfig

    def __init__(self, config: TernaryLutConfig) -> None:
        super().__init__(
            config,
            {
                "row": In(config.row),
                "key": In(config.key),
                "sum": Out(config.sum),
            },
        )

    @property
    def name(self) -> str:
        return f"ternary_column_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = look_up(m, self.config, self.row, self.key)
        m.d.comb += self.sum.eq(found.value + found.negative)
        return m


def look_up(m: Module, config: TernaryLutConfig, row: Value, key: Value) -> Row:
    """Read the sum of a key; its complement, and a carry, where the key is below zero."""
    width, low = config.sum.width, 0
    found: Value = Const(0, width)
    for number, entry in enumerate(config.table[1:], 1):
        chosen = Signal(name=f"chosen_{number}")
        m.d.comb += chosen.eq(key[:-1] == number)
        bits = row[low : low + entry.shape.width]
        extended = Cat(bits, bits[-1].replicate(width))[:width]
        found |= extended & chosen.replicate(width)
        low += entry.shape.width
    negative = key[-1]
    return Row((found ^ negative.replicate(width)).as_signed(), negative)


class TernaryLut(Unit):
    """Dot products of a group of activations with ternary weights, looked up by key.

    Function unit: latency 2, initiation interval 1. A key is the number whose digits of radix 3
    are the trits, trit 0 the least, as magnitude and sign.

    Members
    -------
    a : In(group x signed width_a)
        Activations, the same for all columns.
    b : In(cols x key)
        A key for each column.
    sum : Out(cols x sum)
        Dot product of each column.
    """

    config: TernaryLutConfig
    latency = 2

    def __init__(self, config: TernaryLutConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(data.ArrayLayout(signed(config.width_a), config.group)),
                "b": In(data.ArrayLayout(config.key, config.cols)),
                "sum": Out(data.ArrayLayout(config.sum, config.cols)),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Products of an activation and a trit a cycle."""
        return self.config.group * self.config.cols

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        a = Signal.like(self.a, name="a_reg", reset_less=True)
        b = Signal.like(self.b, name="b_reg", reset_less=True)
        row = Signal(config.row)
        found = [Signal(config.sum, name=f"found_{col}") for col in range(config.cols)]
        share(m, platform, "sums", TernaryTable, config, i_element=a, o_code=row)
        for col, dot in enumerate(found):
            share(m, platform, f"col_{col}", TernaryColumn, config, row=row, key=b[col], sum=dot)
        m.d.sync += [a.eq(self.a), b.eq(self.b), Value.cast(self.sum).eq(Cat(*found))]
        return m
