# amaranth: UnusedElaboratable=no
"""Twiddle factors: read from a table, or multiplied together from two tables that are far smaller.

The indices of the factors that are taken together are numbers side by side, of the stage, of the
group of rows and of the butterfly, and their exponents are reversed bits: of a factor for groups
``2**h`` apart and one for what is between them, and for the butterflies, the product is the factor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.ntt_order import ConstantGeometry, InPlace, NttOrder
from hw.rom import Rom, RomShape
from pe.config import Config, choice, integer
from pe.montgomery import zeros
from pe.product import (
    BARRETT,
    REDUCERS,
    SHOUP,
    SOLINAS,
    ModularProduct,
    ModularProductConfig,
    ReducerConfig,
)
from pe.roots import MOST_MODULUS, check_ring, least_root, residue_basis
from pe.share import place, share
from pe.unit import Unit

IN_PLACE, CONSTANT = "in_place", "constant"
GEOMETRIES: dict[str, type[NttOrder]] = {IN_PLACE: InPlace, CONSTANT: ConstantGeometry}
STORED, GENERATED = "stored", "generated"


class RingConfig(Config):
    """A ring, how much of a stage is done at once, and how products are made."""

    modulus: int = integer("a prime that is 1 modulo twice the size", 97, MOST_MODULUS, default=193)
    limbs: int = integer(
        "moduli of a polynomial: `modulus` and the next smaller primes of as many bits",
        1,
        16,
        default=1,
    )
    size: int = integer("coefficients of a polynomial, a power of two", 8, 1 << 16, default=16)
    butterflies: int = integer("butterflies a cycle, a power of two", 1, 64, default=1)
    geometry: str = choice(
        "in_place; constant: all stages alike, twice the memory",
        lambda: GEOMETRIES,
        default=IN_PLACE,
    )
    twiddles: str = choice(
        "stored; generated: small tables, and a product for each butterfly",
        lambda: (STORED, GENERATED),
        default=STORED,
    )
    reducer: str = choice("reduction of products", lambda: REDUCERS, default=BARRETT)
    stages: int = integer("pipeline stages of a multiplier", 1, 8, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size & (self.size - 1):
            raise ValueError(f"size: {self.size} is not a power of two")
        if self.butterflies & (self.butterflies - 1):
            raise ValueError(f"butterflies: {self.butterflies} is not a power of two")
        if 2 * self.butterflies > self.size:
            raise ValueError(
                f"butterflies: {self.butterflies} is not in 1..{self.size // 2}, half of "
                f"size={self.size}"
            )
        check_ring(self.modulus, self.size)
        if self.limbs > 1 and self.reducer == SOLINAS:
            raise ValueError(f"limbs: {self.limbs} is not 1, all that reducer={SOLINAS} allows")
        _ = self.moduli
        if self.twiddles == GENERATED and self.reducer == SHOUP:
            raise ValueError(
                f"twiddles: {GENERATED} is not {STORED}, all that reducer={SHOUP} allows"
            )
        _ = self.reduction

    @property
    def order(self) -> NttOrder:
        """Which factors are taken together."""
        return GEOMETRIES[self.geometry](self.size, self.butterflies)

    @property
    def bits(self) -> int:
        """Bits of the modulus."""
        return self.modulus.bit_length()

    @property
    def moduli(self) -> tuple[int, ...]:
        """Of each limb."""
        return residue_basis(self.modulus, self.size, self.limbs)

    @property
    def reduction(self) -> ReducerConfig:
        """How products of two residues are reduced.

        Of several moduli that come with the operands it names the one that allows the least word.
        """
        modulus = min(self.moduli, key=lambda q: zeros(q - 1))
        return ReducerConfig(
            modulus=modulus, runtime=self.limbs > 1, stages=self.stages, reducer=self.reducer
        )


class TwiddlesConfig(RingConfig):
    """The ring, and the butterflies that take the factors."""

    @property
    def quotient_bits(self) -> int:
        """Bits of the quotient beside a factor; 0 where there is none."""
        return self.bits if self.reducer == SHOUP else 0

    @property
    def name(self) -> str:
        limbs = f"_limbs{self.limbs}" if self.limbs > 1 else ""
        geometry = f"_{self.geometry}" if self.geometry != IN_PLACE else ""
        stages = f"_stages{self.stages}" if self.stages > 1 else ""
        return (
            f"twiddles_{self.twiddles}_q{self.modulus}{limbs}_n{self.size}_p{self.butterflies}"
            f"{geometry}_{self.reducer}{stages}"
        )

    @property
    def latency(self) -> int:
        """Cycles from a row's number to its factors."""
        return 1 + (self.product.latency if self.twiddles == GENERATED else 0)

    @property
    def product(self) -> ModularProductConfig:
        """Config of the product that generates a factor."""
        return ModularProductConfig(**asdict(self.reduction))

    @property
    def tables(self) -> "list[Table]":
        """A table of words of all factors, or the two whose words are multiplied.

        In the second case the words of the first have one factor, and the two are as small as they
        can be together.
        """
        order = self.order
        reverse = [int(f"{i:0{order.address_bits}b}"[::-1], 2) for i in range(self.size)]
        exponents = [
            [[reverse[i] for i in indices] for indices in order.twiddles(stage)]
            for stage in range(order.address_bits)
        ]
        if self.twiddles == STORED:
            return [self._table("", _Layout.of(0, order.row_bits, exponents))]
        high, low = min(
            (_split(bits, order.row_bits, exponents) for bits in range(order.row_bits + 1)),
            key=lambda layouts: sum(len(x.rows) * len(x.rows[0]) for x in layouts),
        )
        return [self._table("_high", high), self._table("_low", low)]

    def _table(self, suffix: str, layout: "_Layout") -> "Table":
        count = len(layout.rows)
        words = [word for q in self.moduli for word in self._words(q, layout)]
        starts = [[1 + turn * count + start for start in layout.starts] for turn in range(2)]
        width = len(layout.rows[0]) * (self.bits + self.quotient_bits)
        rom = RomShape(f"{self.name}{suffix}_table", width, tuple(words))
        return Table(rom, starts, 1 + 2 * count, layout.first_bit, layout.end_bit)

    def _words(self, modulus: int, layout: "_Layout") -> Iterator[int]:
        """Yield the words of a limb: of ones, of the forward transform and of the inverse."""
        radix = pow(2, self.reduction.radix_bits, modulus)
        yield self._word([radix] * len(layout.rows[0]), modulus)
        root = least_root(modulus, self.size)
        for base in (root, pow(root, -1, modulus)):
            powers = [radix]
            for _ in range(self.size - 1):
                powers.append(powers[-1] * base % modulus)
            for row in layout.rows:
                yield self._word([powers[e] for e in row], modulus)

    def _word(self, factors: list[int], modulus: int) -> int:
        quotients = [(factor << self.quotient_bits) // modulus for factor in factors]
        parts = factors + (quotients if self.quotient_bits else [])
        return sum(part << i * self.bits for i, part in enumerate(parts))


class Table(NamedTuple):
    """Words of factors, and where those of a stage begin.

    Attributes
    ----------
    rom
        The words of each limb, the first one of ones. A word has its first factor lowest, and
        quotients above.
    starts
        Of each stage, of the forward transform and of the inverse, in the words of a limb.
    limb
        Words of a limb.
    first_bit, end_bit
        Of the number of a group, which bits choose among a stage's words.
    """

    rom: RomShape
    starts: list[list[int]]
    limb: int
    first_bit: int
    end_bit: int


class _Layout(NamedTuple):
    """Exponents of the words of a table, and what `Table` has, of one direction."""

    rows: list[list[int]]
    starts: list[int]
    first_bit: int
    end_bit: int

    @classmethod
    def of(cls, first_bit: int, end_bit: int, exponents: list[list[list[int]]]) -> "_Layout":
        """Put the words of all stages one after the other; stages share those they have alike."""
        rows: list[list[int]] = []
        starts = [0] * len(exponents)
        placed: list[int] = []
        # Those of the stage with the most groups may begin with those of others.
        for stage in sorted(range(len(exponents)), key=lambda s: -len(exponents[s])):
            block = exponents[stage]
            same = (s for s in placed if exponents[s][: len(block)] == block)
            found = next(same, None)
            if found is None:
                starts[stage] = len(rows)
                rows += block
                placed.append(stage)
            else:
                starts[stage] = starts[found]
        return cls(rows, starts, first_bit, end_bit)


def _split(
    low_bits: int, row_bits: int, exponents: list[list[list[int]]]
) -> tuple[_Layout, _Layout]:
    """Return the tables of groups ``2**low_bits`` apart, and of what is between."""
    high = [[[row[0]] for row in rows[:: 1 << low_bits]] for rows in exponents]
    low = [[[e - rows[0][0] for e in row] for row in rows[: 1 << low_bits]] for rows in exponents]
    return _Layout.of(low_bits, row_bits, high), _Layout.of(0, low_bits, low)


class Twiddles(Unit):
    """Twiddle factors of both directions of a transform, one row a cycle.

    Members
    -------
    stage, row : In
        What the butterflies take; a stage of one row has no `row`.
    inverse : In(1)
        Of the inverse transform.
    i_valid, o_valid : In(1), Out(1)
        Of what the butterflies take, and of the factors.
    ones : In(1)
        All factors are 1 instead.
    limb : In
        Whose factors; with `limbs` above 1 only.
    factors : Out(butterflies * bits)
        That of the first butterfly lowest; times the radix for Montgomery's reduction.
    quotients : Out(butterflies * bits)
        Of the factors, with reducer=shoup only.
    """

    config: TwiddlesConfig

    def __init__(self, config: TwiddlesConfig) -> None:
        order, width = config.order, config.butterflies * config.bits
        members = {
            "stage": In(range(order.address_bits)),
            "inverse": In(1),
            "ones": In(1),
            "i_valid": In(1),
            "factors": Out(width),
            "o_valid": Out(1),
        }
        if order.row_bits:
            members["row"] = In(order.row_bits)
        if config.limbs > 1:
            members["limb"] = In(range(config.limbs))
        if config.quotient_bits:
            members["quotients"] = Out(width)
        super().__init__(config, members)

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from a row's number to its factors."""
        return self.config.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = zip(("high", "low"), self.config.tables, strict=False)
        words = [self._read(m, platform, name, table) for name, table in tables]
        width = len(self.factors)
        read = Signal()
        m.d.sync += read.eq(self.i_valid)
        if len(words) == 1:
            m.d.comb += self.o_valid.eq(read)
            m.d.comb += self.factors.eq(words[0][:width])
            if self.config.quotient_bits:
                m.d.comb += self.quotients.eq(words[0][width:])
            return m
        common, each = words
        limb: Value = Const(0, 1)
        if self.config.limbs > 1:
            limb = Signal(range(self.config.limbs), name="limb_read")
            m.d.sync += limb.eq(self.limb)
        valids = []
        for t in range(self.config.butterflies):
            product = place(m, platform, f"factor_{t}", ModularProduct, self.config.product)
            m.d.comb += [
                product.a.eq(each.word_select(t, self.config.bits)),
                product.b.eq(common),
                product.i_valid.eq(read),
                *give_constants(product, self.config.product, self.config.moduli, limb),
                self.factors.word_select(t, self.config.bits).eq(product.product),
            ]
            valids.append(product.o_valid)
        m.d.comb += self.o_valid.eq(Cat(valids).all())
        return m

    def _read(self, m: Module, platform: object, name: str, table: Table) -> Signal:
        order = self.config.order
        depth = range(len(table.rom.words))
        starts = [choose(self.stage, [Const(s, depth) for s in of]) for of in table.starts]
        groups = [
            Cat(self.row[bit] for bit in order.group_bits(stage)[table.first_bit : table.end_bit])
            for stage in range(order.address_bits)
        ]
        address = Signal(depth, name=f"{name}_address")
        start = Mux(self.inverse, starts[1], starts[0])
        group = choose(self.stage, groups)
        within: Value = Mux(self.ones, 0, start + group if len(group) else start)
        if self.config.limbs > 1:
            limbs = [Const(limb * table.limb, depth) for limb in range(self.config.limbs)]
            within = within + choose(self.limb, limbs)
        m.d.comb += address.eq(within)
        word = Signal(table.rom.width, name=f"{name}_word")
        share(m, platform, f"{name}_table", Rom, table.rom, address=address, data=word)
        return word


def give_constants(
    unit: Any, config: ReducerConfig, moduli: Sequence[int], limb: Value
) -> list[Any]:
    """Give a unit the modulus of a limb, and the constants that go with it."""
    given = [config.constants(q) for q in moduli]
    return [
        getattr(unit, port).eq(
            choose(limb, [Const(each[port], len(getattr(unit, port))) for each in given])
        )
        for port in given[0]
    ]


def choose(index: Value, values: Sequence[Value]) -> Value:
    """Return the value of an index, by a tree of multiplexers."""
    if len(values) == 1:
        return values[0]
    half = 1 << ((len(values) - 1).bit_length() - 1)
    low, high = choose(index, values[:half]), choose(index, values[half:])
    return Mux(index[half.bit_length() - 1], high, low)
