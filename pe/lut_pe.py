"""Read-accumulate PE: a key looks up the sum of a few activations, which is scaled and accumulated.

Half a table is enough: where the top bit of a key is set, the entry of the inverted key counts, as
its negative. Negation is an inversion and the carry into the accumulator. A scale is a sum of a few
signed powers of two, each a term: a sign and a shift of its own.

Sources: G. Park et al., "LUT-GEMM", arXiv 2206.09557; H. You et al., "ShiftAddLLM", arXiv
2406.05981; G. Park et al., "FIGLUT", arXiv 2503.06862.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pe.adders import BRENT_KUNG, add
from pe.config import Config, integer, same_as
from pe.heap import BitHeap
from pe.lut_builder import LutBuilderConfig, entry_shape
from pe.share import place
from pe.unit import Unit


def greatest_shift(width_exponent: int) -> int:
    """Most places that a term of a scale shifts by."""
    return (1 << width_exponent) - 1


def code_width(width_exponent: int) -> int:
    """Bits of a term: the shift, whether there is one, and its sign."""
    return width_exponent + 2


def negated(m: Module, name: str, word: Value, negative: Value) -> tuple[Value, Value]:
    """Place the inversion of a signed word where `negative` is set.

    Returns
    -------
    word, carry
        Their sum is the negated word.
    """
    inverted = Signal(signed(len(word)), name=f"{name}_inverted")
    m.d.comb += inverted.eq(word.as_unsigned() ^ negative.replicate(len(word)))
    return inverted, negative


def shifted(m: Module, name: str, word: Value, places: Value, fill: Value) -> Value:
    """Place the shift of a signed word to the left; the bit `fill` comes in from the right."""
    body, sign = word.as_unsigned()[:-1], word[-1]
    for level, chosen in enumerate(places):
        by = 1 << level
        moved = Signal(len(body) + by, name=f"{name}_by_{by}")
        left, same = Cat(fill.replicate(by), body), Cat(body, sign.replicate(by))
        m.d.comb += moved.eq(Mux(chosen, left, same))
        body = moved
    return Cat(body, sign).as_signed()


def scaled(m: Module, name: str, word: Value, code: Value, negative: Value) -> tuple[Value, Value]:
    """Place the product of a signed word, or its negative, and a term.

    Returns
    -------
    word, carry
        Their sum is the product.
    """
    *_, there, sign = code
    flips = Signal(name=f"{name}_flips")
    m.d.comb += flips.eq(negative ^ sign)
    # A zero may well be negated: the carry makes a zero of it again.
    inverted, _ = negated(m, name, Mux(there, word, 0), flips)
    return shifted(m, name, inverted, code[:-2], flips), flips


def total(
    m: Module,
    name: str,
    width: int,
    words: list[tuple[Value, Value]],
    addend: Value | None = None,
) -> Value:
    """Place the addition of words, and of a carry with each, modulo ``2**width``."""
    ((first, carry), *others) = words
    extended = Signal(width, name=f"{name}_extended")
    m.d.comb += extended.eq(first)
    if not others:
        return add(m, BRENT_KUNG, extended, Const(0, width) if addend is None else addend, carry)
    heap = BitHeap(width)
    heap.add(extended)
    if addend is not None:
        heap.add(addend)
    for word, bit in others:
        heap.add(word)
        heap.add_bit(bit, 0)
    heap.reduce(m)
    left, right = heap.rows()
    return add(m, BRENT_KUNG, left, right, carry)


class LutCellShape(NamedTuple):
    """What goes through a cell.

    Attributes
    ----------
    mu
        Bits of a key.
    entry
        Shape of an entry, signed.
    terms, width_exponent
        Terms of a scale, none for a scale of 1, and bits of an exponent.
    width_acc
        Bits of the sum.
    """

    mu: int
    entry: Shape
    terms: int
    width_exponent: int
    width_acc: int

    @property
    def table(self) -> data.ArrayLayout:
        """Layout of half a table."""
        return data.ArrayLayout(self.entry, 1 << (self.mu - 1))

    @property
    def scale_width(self) -> int:
        """Bits of a scale."""
        return self.terms * code_width(self.width_exponent)

    @property
    def name(self) -> str:
        scale = f"e{self.width_exponent}x{self.terms}" if self.terms else ""
        return f"lut_cell_{self.mu}x{self.entry.width}{scale}acc{self.width_acc}"


class LutCell(Unit):
    """A key's register, the look-up, the scale and the sum of a read-accumulate PE.

    Members
    -------
    entries : In, an array of 2**(mu - 1) entries
    i_key : In(mu)
        Registered here; all other inputs come a cycle later.
    i_scale : In
        Codes of all terms, the first in the low bits, where there are any.
    valid : In(1)
        There was a key.
    anew : In(1)
        The sum starts anew.
    o_sum : Out(signed width_acc)
        Sum so far, modulo ``2**width_acc``.
    """

    config: LutCellShape
    latency = 2

    def __init__(self, config: LutCellShape) -> None:
        super().__init__(
            config,
            {
                "entries": In(config.table),
                "i_key": In(config.mu),
                **({"i_scale": In(config.scale_width)} if config.terms else {}),
                "valid": In(1),
                "anew": In(1),
                "o_sum": Out(signed(config.width_acc)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        key = Signal(config.mu, reset_less=True)
        running = Signal(signed(config.width_acc), reset_less=True)
        m.d.sync += key.eq(self.i_key)
        addend = Signal(config.width_acc)
        m.d.comb += [addend.eq(Mux(self.anew, 0, running)), self.o_sum.eq(running)]

        top = key[-1]
        index = Signal(config.mu - 1)
        m.d.comb += index.eq(key[:-1] ^ top.replicate(config.mu - 1))
        found = Signal(config.entry)
        # A decoded index takes less area than a tree of multiplexers.
        chosen: Value = Const(0, config.entry.width)
        for i in range(len(self.entries)):
            hit = Signal(name=f"hit_{i}")
            m.d.comb += hit.eq((index == i) & self.valid)
            chosen = chosen | self.entries[i].as_unsigned() & hit.replicate(len(found))
        m.d.comb += found.eq(chosen)
        width = code_width(config.width_exponent)
        words = [
            scaled(m, f"term_{t}", found, self.i_scale.word_select(t, width), top)
            for t in range(config.terms)
        ] or [negated(m, "word", found, top)]
        m.d.sync += running.eq(total(m, "word", config.width_acc, words, addend))
        return m


class LutPeConfig(Config):
    """Table, scale and sum of a read-accumulate PE."""

    mu: int = same_as(LutBuilderConfig, "mu", default=4)
    width_a: int = integer("bits of an activation, signed", 2, 16, default=8)
    terms: int = integer("signed powers of two of a scale; 0: no scale", 0, 3, default=1)
    width_exponent: int = integer("bits of a term's shift", 1, 4, default=2)
    planes: int = integer("bits of a weight", 1, 8, default=4)
    k_max: int = integer("largest K that must not overflow", 1, 1 << 31, default=128)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_acc > 63:
            raise ValueError(
                f"k_max: {self.k_max} makes sums of {self.width_acc} bits; at most 63 are allowed"
            )

    @property
    def width_acc(self) -> int:
        """Bits of the sum."""
        return accumulator_bits(
            self.k_max, self.planes, self.width_a, self.terms, self.width_exponent
        )

    @property
    def cell(self) -> LutCellShape:
        """What goes through the cell."""
        entry = entry_shape(self.mu, self.width_a)
        return LutCellShape(self.mu, entry, self.terms, self.width_exponent, self.width_acc)

    @property
    def name(self) -> str:
        return self.cell.name.replace("cell", "pe")


def accumulator_bits(k_max: int, planes: int, width_a: int, terms: int, width_exponent: int) -> int:
    """Return the bits of a sum of products of `k_max` activations and weights."""
    largest = (terms << greatest_shift(width_exponent)) if terms else 1
    return (k_max * planes * largest << (width_a - 1)).bit_length() + 1


class LutPe(Unit):
    """Read-accumulate PE: look-up, negation, shift and sum.

    Function unit with an accumulator: latency 2, initiation interval 1.

    Members
    -------
    entries : In, an array of 2**(mu - 1) entries, signed width_a + log2(mu) + 1
        Sums of activations, as `LutBuilder` has them.
    key : In(mu)
        Signs, bit j of activation j; 1 is plus.
    scale : In, an array of codes of width_exponent + 2 bits
        Of each term, where there are any: the exponent of its power of two in the low bits, then
        whether there is such a term, then its sign.
    clear : In(1)
        The sum starts anew with this key.
    i_valid : In(1)
        There is a key.
    sum : Out(signed width_acc)
        Sum of scaled entries; 0 before the first, and holds while nothing is valid.
    o_valid : Out(1)
        `sum` has just taken in an entry.
    """

    config: LutPeConfig
    latency = 2

    def __init__(self, config: LutPeConfig) -> None:
        scale = data.ArrayLayout(unsigned(code_width(config.width_exponent)), config.terms)
        super().__init__(
            config,
            {
                "entries": In(config.cell.table),
                "key": In(config.mu),
                **({"scale": In(scale)} if config.terms else {}),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(signed(config.width_acc)),
                "o_valid": Out(1),
            },
        )

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle, of weights of one bit."""
        return self.config.mu

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step = place(m, platform, "step", LutCell, self.config.cell)
        valid = Signal()
        anew = Signal(init=1)
        entries = Signal(self.config.cell.table, name="entries_reg", reset_less=True)
        m.d.sync += [
            entries.eq(self.entries),
            valid.eq(self.i_valid),
            anew.eq(self.clear & self.i_valid),
            self.o_valid.eq(valid),
        ]
        m.d.comb += [
            step.entries.eq(entries),
            step.i_key.eq(self.key),
            step.valid.eq(valid),
            step.anew.eq(anew),
            self.sum.eq(step.o_sum),
        ]
        if self.config.terms:
            scale = Signal(len(step.i_scale), name="scale_reg", reset_less=True)
            m.d.sync += scale.eq(self.scale)
            m.d.comb += step.i_scale.eq(scale)
        return m
