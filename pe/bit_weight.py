# amaranth: UnusedElaboratable=no
"""PEs that add digits by bit weight: fused, OPT1, OPT2 and mix.

Operand A is recoded into digits; each selects a multiple of B, and a bit heap adds the
multiples of all terms. The PEs differ in where carries are propagated, and in the order in which
the heap is reduced:

fused
    The running sum joins the heap, and one carry-propagate adder follows: one addition where a
    multiplier and an accumulator have two.
OPT1
    The running sum is added to without carry propagation (`pe.running_sum`); the carry-propagate
    adder leaves the loop and is shared by a column when results drain.
OPT2
    As OPT1, and multiples of equal bit weight, of different terms, are reduced together before
    they are shifted to their weight.
mix
    As fused, with the roles of A and B swapped: for weights narrower than activations.

Source: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), sections III and IV. The folding of signs, the
form of the running sum and the pipelining are ours.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar, NamedTuple

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, unsigned
from amaranth.lib.wiring import In, Member, Out

from pe.adders import ADDERS, SKLANSKY, add
from pe.config import choice, integer, same_as
from pe.element import PeConfig
from pe.encoders import (
    BoothDigit,
    bit_digits,
    booth_digits,
    ent_decode,
    ent_digits,
    multiple,
)
from pe.heap import COUNTERS, DADDA, SCHEDULES, THREE_TWO, BitHeap
from pe.primitives import Placed, Primitive, Scope
from pe.running_sum import CarrySave, RunningSum
from pe.share import share
from pe.unit import Unit

BOOTH, ENT, BITS = "booth", "ent", "bits"
DIGIT_SETS = (BOOTH, ENT, BITS)
PE, EDGE = "pe", "edge"

_SELECT, _ENCODE, _CARRY_SAVE, _CARRY_PROPAGATE = 2.0, 1.5, 2.5, 7.0
"""Delays of the parts of a step beside the product's heap, in levels of counters."""


class BitWeightConfig(PeConfig):
    """Base of the PEs that add digits by bit weight."""

    recodes_b: ClassVar[bool] = False
    """Digits are those of B, and select multiples of A; else the other way round."""

    digits: str = choice("digit set of the recoded operand", lambda: DIGIT_SETS, default=BOOTH)
    encoder_at: str = choice(
        "where A is recoded: in each PE, or once at the edge of the engine",
        lambda: (PE, EDGE),
        default=PE,
    )
    stages: int = integer("pipeline registers between operands and running sum", 0, 6, default=0)
    schedule: str = choice("how bit heaps are reduced", lambda: SCHEDULES, default=DADDA)
    counters: str = choice("counters of bit heaps", lambda: COUNTERS, default=THREE_TWO)
    adder: str = choice("carry-propagate adder", lambda: ADDERS, default=SKLANSKY)

    add_scope = Scope.RESULT
    """What carries are propagated once for."""

    @property
    def slug(self) -> str:
        texts = {
            "digits": self.digits,
            "encoder_at": self.encoder_at,
            "stages": f"s{self.stages}",
            "schedule": self.schedule,
            "counters": self.counters.replace(":", "to"),
            "adder": self.adder,
        }
        fields = self.__dataclass_fields__
        changed = [text for key, text in texts.items() if getattr(self, key) != fields[key].default]
        return "_".join([self.kind, *changed])

    @property
    def latency(self) -> int:
        return self.stages

    @property
    def code_width(self) -> int:
        if self.encoder_at == PE:
            return self.width_a
        return len(self.to_code(Signal(self.recoded_shape)))

    @property
    def encoder(self) -> Unit | None:
        return None if self.encoder_at == PE else OperandEncoder(self)

    @property
    def a_port(self) -> Shape:
        plain = self.encoder_at == PE and self.terms == 1
        return self.a_shape if plain else unsigned(self.terms * self.code_width)

    @property
    def bit_weights(self) -> int:
        return _bounds(self).digits

    @property
    def primitives(self) -> tuple[Placed, ...]:
        encode = Placed(Primitive.ENCODE, Scope.TERM if self.encoder_at == PE else Scope.OPERAND)
        rows = [Placed(Primitive.MAP, Scope.DIGIT)]
        if self.by_weight and self.terms > 1:
            rows.append(Placed(Primitive.HALF_REDUCE, Scope.WEIGHT))
        rows.append(Placed(Primitive.SHIFT, Scope.WEIGHT if self.by_weight else Scope.DIGIT))
        reduce = Placed(Primitive.HALF_REDUCE, Scope.STEP)
        return (encode, *rows, reduce, Placed(Primitive.ADD, self.add_scope))

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(StepSection(Section(self, index)) for index in range(self.stages + 1))

    def step(self, m: Module, platform: object, a: Value, b: Value, addend: Value) -> Value:
        inputs = {"a": a, "b": b}
        for index in range(self.stages):
            section = Section(self, index)
            bits = Signal(_shapes(self)[index].width, name=f"bits_{index}")
            held = Signal(len(bits), name=f"bits_{index}_reg", reset_less=True)
            share(m, platform, section.role, StepSection, section, **inputs, o=bits)
            m.d.sync += held.eq(bits)
            inputs = {"i": held}
        section = Section(self, self.stages)
        total = Signal(self.state_shape)
        share(m, platform, section.role, StepSection, section, **inputs, addend=addend, sum=total)
        return total

    @property
    def recoded_shape(self) -> Shape:
        """Shape of an element that is recoded."""
        return self.b_shape if self.recodes_b else self.a_shape

    @property
    def multiplicand_shape(self) -> Shape:
        """Shape of an element of which digits select multiples."""
        return self.a_shape if self.recodes_b else self.b_shape

    @property
    def digit_bits(self) -> int:
        """Bits between the weights of two digits."""
        return 1 if self.digits == BITS else 2

    def to_code(self, element: Value) -> Value:
        """Return the code of an element, all zeros where it is zero."""
        signed = self.recoded_shape.signed
        if self.digits == BITS:
            return element.as_unsigned()
        if self.digits == ENT:
            return Cat(*ent_digits(element, signed))
        return Cat(Cat(*digit) for digit in booth_digits(element, signed))

    def to_digits(self, code: Value) -> list[BoothDigit]:
        """Return the digits of a code, the lowest first."""
        if self.digits == BITS:
            bits = bit_digits(code, self.recoded_shape.signed)
            return [BoothDigit(bit.nonzero, Const(0, 1), bit.negative) for bit in bits]
        if self.digits == ENT:
            return [ent_decode(code[i : i + 2], code[-1]) for i in range(0, len(code) - 1, 2)]
        return [BoothDigit(*code[i : i + 3]) for i in range(0, len(code), 3)]

    def products(self, m: Module, a: Value, b: Value) -> BitHeap:
        """Return the heap of a step's products, biased; see `_Bounds`."""
        bounds = _bounds(self)
        if self.by_weight:
            heap = BitHeap(bounds.digits * bounds.period, period=bounds.period)
            spacing = bounds.period
        else:
            heap, spacing = BitHeap(bounds.width), self.digit_bits
        recoded, multiplicand = (b, a) if self.recodes_b else (a, b)
        signed, double = self.multiplicand_shape.signed, self.digits != BITS
        for term, (code, element) in enumerate(
            zip(self._codes(m, recoded), _lanes(multiplicand, self.terms), strict=True)
        ):
            for i, digit in enumerate(self.to_digits(code)):
                row = multiple(m, f"multiple_{term}_{i}", digit, element, signed, double)
                heap.add(row, i * spacing)
                heap.add_bit(digit.negative, i * spacing)
        # Each row's folded sign is in the constant of the heap that is not cut by weight.
        heap.constant = 0 if self.by_weight else bounds.constant
        return heap

    def _codes(self, m: Module, operand: Value) -> list[Value]:
        lanes = _lanes(operand, self.terms)
        if self.encoder_at == EDGE:
            return lanes
        codes: list[Value] = []
        for term, lane in enumerate(lanes):
            value = self.to_code(lane.as_signed() if self.recoded_shape.signed else lane)
            code = Signal(len(value), name=f"code_{term}")
            m.d.comb += code.eq(value)
            codes.append(code)
        return codes

    def finish(self, m: Module, product: BitHeap, addend: Value) -> Value:
        """Return the running sum after a product that `StepSection` has reduced is added."""
        raise NotImplementedError

    finish_cost: ClassVar[float]
    """Delay of `finish` in levels of counters."""


class FusedConfig(BitWeightConfig):
    """Product and running sum in one bit heap, with one carry-propagate adder."""

    kind = "fused"
    add_scope = Scope.STEP
    finish_cost = _CARRY_PROPAGATE

    def finish(self, m: Module, product: BitHeap, addend: Value) -> Value:
        heap = BitHeap(self.width_acc, constant=product.constant - _bounds(self).bias)
        for weight, column in enumerate(product.columns[: self.width_acc]):
            heap.columns[weight] += [bit for bit in column if bit.value is not None]
        heap.add(addend.as_unsigned())
        heap.reduce(m, self.schedule, self.counters)
        return add(m, self.adder, *heap.rows())


class MixConfig(FusedConfig):
    """As fused, but B is recoded: a narrow weight has few digits.

    Source: MixPE (arXiv 2411.16158): products of 8-bit activations and 4-bit weights by shift and
    add, dequantisation left to the end of a group. Booth digits are ours.
    """

    kind = "mix"
    recodes_b = True

    width_b: int = same_as(PeConfig, "width_b", default=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder_at != PE:
            raise ValueError(
                f"encoder_at: {self.encoder_at!r} is not {PE!r}, all that pe={self.kind} allows"
            )


class Opt1Config(CarrySave, BitWeightConfig):
    """OPT1: the running sum without carry propagation."""

    kind = "opt1"
    finish_cost = _CARRY_SAVE

    @property
    def running_sum(self) -> RunningSum:
        """Form of the running sum."""
        last = _shapes(self)[-1]
        constant = last.constant - _bounds(self).bias
        return RunningSum(self.width_acc, last.heights, constant, self.schedule, self.counters)

    def finish(self, m: Module, product: BitHeap, addend: Value) -> Value:
        return self.running_sum.add(m, product.flatten(), addend)


class Opt2Config(Opt1Config):
    """OPT2: OPT1 with terms of equal bit weight reduced together first."""

    kind = "opt2"
    by_weight = True


class OperandEncoder(Unit):
    """An element of A, recoded for PEs that take digits.

    Combinational.

    Members
    -------
    i_element : In(a_shape)
    o_code : Out(code_width)
        Its digits.
    """

    config: BitWeightConfig

    def __init__(self, config: BitWeightConfig) -> None:
        super().__init__(
            config, {"i_element": In(config.a_shape), "o_code": Out(config.code_width)}
        )

    @property
    def name(self) -> str:
        sign = "" if self.config.signed_a else "u"
        return f"encode_{self.config.digits}_a{sign}{self.config.width_a}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o_code.eq(self.config.to_code(self.i_element))
        return m


class Section(NamedTuple):
    """The logic of a step between two of its registers."""

    pe: BitWeightConfig
    number: int

    @property
    def first(self) -> bool:
        """It takes the operands."""
        return self.number == 0

    @property
    def last(self) -> bool:
        """It adds to the running sum."""
        return self.number == self.pe.stages

    @property
    def role(self) -> str:
        """What it does, as a name of an instance."""
        if self.last:
            return "step" if self.first else "accumulate"
        return "products" if self.first else f"compress_{self.number}"


class StepSection(Unit):
    """Part of a step of a PE that adds digits by bit weight: multiples of B, counters, the sum.

    Combinational. The first section has the operands `a` and `b`, later ones `i`; the last has
    `addend` and `sum`, others `o`.

    Members
    -------
    a, b : In(a_port), In(b_port)
        Operands.
    i, o : In, Out
        Bits of a heap, column 0 first.
    addend, sum : In(state_shape), Out(state_shape)
        Running sum, before and after.
    """

    config: Section

    def __init__(self, config: Section) -> None:
        pe, index = config
        members: dict[str, Member] = {}
        if config.first:
            members |= {"a": In(pe.a_port), "b": In(pe.b_port)}
        else:
            members |= {"i": In(_shapes(pe)[index - 1].width)}
        if config.last:
            members |= {"addend": In(pe.state_shape), "sum": Out(pe.state_shape)}
        else:
            members |= {"o": Out(_shapes(pe)[index].width)}
        super().__init__(config, members)

    @property
    def name(self) -> str:
        return f"{self.config.role}_{self.config.pe.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe, index = self.config
        if self.config.first:
            heap = pe.products(m, self.a, self.b)
        else:
            before = _shapes(pe)[index - 1]
            heap = BitHeap.unflatten(self.i, before.heights, before.constant, before.period)
        heap = _advance(m, pe, heap, _plan(pe)[index])
        if self.config.last:
            m.d.comb += self.sum.eq(pe.finish(m, heap, self.addend))
        else:
            m.d.comb += self.o.eq(Cat(heap.flatten()))
        return m


class _Bounds(NamedTuple):
    """Numbers about the products of a step.

    The heap adds up to the products and `bias`, which is not negative and fits in `width` bits;
    the heap's constant is then `constant`. `period` columns hold the bits of one weight.
    """

    digits: int
    bias: int
    constant: int
    width: int
    period: int


@cache
def _bounds(pe: BitWeightConfig) -> _Bounds:
    digits = len(pe.to_digits(pe.to_code(Signal(pe.recoded_shape))))
    multiplicand = pe.multiplicand_shape
    row = multiplicand.width + (pe.digits != BITS) + (not multiplicand.signed)
    ends_a, ends_b = pe.ends
    ends = [x * y * pe.terms for x in ends_a for y in ends_b]
    folded = pe.terms * sum(1 << (pe.digit_bits * i + row - 1) for i in range(digits))
    bias = 1 << max(folded - 1, -min(ends)).bit_length()
    width = (max(ends) + bias).bit_length()
    return _Bounds(digits, bias, bias - folded, width, (pe.terms << row).bit_length())


class _Shape(NamedTuple):
    """Bits of a heap: their number in each column; the heap's constant and period."""

    heights: tuple[int, ...]
    constant: int
    period: int

    @property
    def width(self) -> int:
        return sum(self.heights)


def _advance(m: Module, pe: BitWeightConfig, heap: BitHeap, levels: int | None) -> BitHeap:
    """Reduce a heap by so many levels, or to two rows; a heap cut by weight is joined in time."""
    for _ in itertools.count() if levels is None else range(levels):
        if heap.height <= 2:
            if not heap.period:
                break
            heap = _join(pe, heap)
        heap.reduce(m, pe.schedule, pe.counters, levels=1)
    return heap


def _join(pe: BitWeightConfig, heap: BitHeap) -> BitHeap:
    """Shift the bits of a heap that is cut by weight to their weights."""
    bounds = _bounds(pe)
    joined = BitHeap(bounds.width, bounds.constant)
    for column, bits in enumerate(heap.columns):
        digit, place = divmod(column, bounds.period)
        if (weight := pe.digit_bits * digit + place) < bounds.width:
            joined.columns[weight] += bits
    return joined


def _run(pe: BitWeightConfig, levels: Sequence[int | None]) -> list[_Shape]:
    """Return the shape of the heap after each section that takes so many levels."""
    heap = pe.products(Module(), Signal(pe.a_port), Signal(pe.b_port))
    shapes = []
    for count in levels:
        heap = _advance(Module(), pe, heap, count)
        heap.flatten()
        shapes.append(_Shape(heap.heights, heap.constant, heap.period))
    return shapes


@cache
def _plan(pe: BitWeightConfig) -> tuple[int | None, ...]:
    """Return how many levels of counters each section has, the last one what is left.

    The slowest section is as fast as can be, and the registers are as far down as that allows.
    """
    total = 0
    while any(height > 2 for height in _run(pe, [total])[0].heights) or _run(pe, [total])[0].period:
        total += 1
    costs = [0.0] * (pe.stages + 1)
    costs[0] += _SELECT + (_ENCODE if pe.encoder_at == PE else 0.0)
    costs[-1] += pe.finish_cost
    best = min(
        _splits(total, pe.stages + 1),
        key=lambda split: (
            max(cost + count for cost, count in zip(costs, split, strict=True)),
            [-count for count in split],
        ),
    )
    return (*best[:-1], None)


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to write a number as a sum of so many, none negative."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in _splits(total - first, parts - 1))


@cache
def _shapes(pe: BitWeightConfig) -> list[_Shape]:
    """Return the shape of the heap after each section, before the running sum is added."""
    return _run(pe, _plan(pe))


def _lanes(value: Value, count: int) -> list[Value]:
    bits = value.as_unsigned()
    width = len(bits) // count
    return [bits[i * width : (i + 1) * width] for i in range(count)]
