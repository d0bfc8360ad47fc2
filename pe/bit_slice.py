# amaranth: UnusedElaboratable=no
"""PEs of bit-slice engines: products as sums of the non-zero digits of the shared operand.

A step of such a PE is not a product but the digits of B that an encoder chose for this cycle, each
times an element of A (`pe.sparse_encoder`). It fetches these multiples into registers, adds them
in a bit heap and then to a running sum without carry propagation. The PEs differ in what a cycle
holds:

OPT3, OPT4C
    One digit of one element, shifted to its weight. In OPT3 each PE has an encoder of its own, in
    OPT4C all PEs that take the same B share one.
OPT4E
    A digit of each bit weight, of any of `terms` elements: no multiple is shifted, and one running
    sum serves all of them.

Source: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), sections III and IV, with A and B transposed. The
paper's PEs take a group of four elements at one bit weight at a time and name each step by its
position in the group; OPT4E here takes the group at all bit weights at once.
"""

from functools import cache
from typing import ClassVar, NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from pe.adders import ADDERS, SKLANSKY
from pe.config import choice, integer
from pe.element import PeConfig, extremes
from pe.encoders import (
    BOOTH,
    CSD,
    ENT,
    BoothDigit,
    booth_digits,
    digits,
    multiple,
    paired_csd_digits,
    placed_ent_digits,
)
from pe.heap import COUNTERS, DADDA, SCHEDULES, THREE_TWO, BitHeap
from pe.running_sum import CarrySave, RunningSum
from pe.unit import Unit

DIGIT_SETS = (BOOTH, ENT, CSD)

CODE_WIDTH = len(BoothDigit._fields)
"""Bits of a digit."""


class SlicePeConfig(CarrySave, PeConfig):
    """Base of the PEs of bit-slice engines."""

    stages: int = integer("pipeline registers between fetched and running sum", 0, 2, default=1)
    schedule: str = choice("how bit heaps are reduced", lambda: SCHEDULES, default=DADDA)
    counters: str = choice("counters of bit heaps", lambda: COUNTERS, default=THREE_TWO)
    adder: str = choice("carry-propagate adder", lambda: ADDERS, default=SKLANSKY)

    default_terms: ClassVar[int]
    """Elements of K in a beat, where nothing else is asked for."""
    most_terms: ClassVar[int] = 64

    @property
    def slug(self) -> str:
        texts = {
            "digits": getattr(self, "digits", ""),
            "stages": f"s{self.stages}",
            "schedule": self.schedule,
            "counters": self.counters.replace(":", "to"),
            "adder": self.adder,
        }
        fields = self.__dataclass_fields__
        changed = [
            text
            for key, text in texts.items()
            if key in fields and getattr(self, key) != fields[key].default
        ]
        return "_".join([self.kind, *changed])

    @property
    def latency(self) -> int:
        """Cycles from a step's controls to the running sum that follows from them."""
        return 1 + self.stages

    @property
    def running_sum(self) -> RunningSum:
        heights, constant = shapes(self)[-1]
        constant -= self.bias
        return RunningSum(self.width_acc, heights, constant, self.schedule, self.counters)

    @property
    def units(self) -> tuple[Unit, ...]:
        return (Accumulate(self),)

    @property
    def largest(self) -> int:
        """Greatest magnitude of what a step adds."""
        raise NotImplementedError

    @property
    def bias(self) -> int:
        """What a heap adds up to beyond a step's sum, so that no constant in it is negative."""
        return 1 << (max(_folded(self), self.largest) - 1).bit_length()

    @property
    def most_steps(self) -> int:
        """Most steps of a beat."""
        raise NotImplementedError

    @property
    def operands_width(self) -> int:
        """Bits that a PE is given of its row of A."""
        return self.terms * self.width_a

    @property
    def fetch_width(self) -> int:
        """Bits of the controls of a step while it fetches."""
        raise NotImplementedError

    @property
    def select_width(self) -> int:
        """Bits of the controls of a step a cycle later."""
        raise NotImplementedError

    @property
    def fetched_width(self) -> int:
        """Bits of what a PE fetches for a step."""
        raise NotImplementedError

    def fetch(self, m: Module, operands: Value, controls: Value) -> Value:
        """Return what a step needs of the operands of a beat."""
        raise NotImplementedError

    def fill(self, m: Module, heap: BitHeap, fetched: Value, controls: Value) -> None:
        """Add what was fetched to an empty heap."""
        raise NotImplementedError

    def heap(self, m: Module, fetched: Value, controls: Value) -> BitHeap:
        """Return the heap of a step, which adds up to the step's sum and `bias`."""
        heap = BitHeap((self.largest + self.bias).bit_length(), constant=self.bias)
        self.fill(m, heap, fetched, controls)
        return heap

    def advance(self, m: Module, heap: BitHeap, stage: int) -> None:
        """Reduce a heap as far as it goes before register `stage` of `stages`."""
        levels = _levels(self)
        share = None if stage == self.stages - 1 else max(0, (levels - 2) // 2)
        heap.reduce(m, self.schedule, self.counters, levels=share)


class HeapShape(NamedTuple):
    """Bits in each column of a heap, and its constant."""

    heights: tuple[int, ...]
    constant: int


@cache
def shapes(pe: SlicePeConfig) -> list[HeapShape]:
    """Return the shape of a step's heap in each of its registers; without any, that to be added."""
    m = Module()
    heap = pe.heap(m, Signal(pe.fetched_width), Signal(pe.select_width))
    found = []
    for stage in range(pe.stages) if pe.stages else [-1]:
        pe.advance(m, heap, stage)
        heap.flatten()
        found.append(HeapShape(heap.heights, heap.constant))
    return found


@cache
def _folded(pe: SlicePeConfig) -> int:
    """Return what the folding of signs takes away from a heap."""
    heap = BitHeap(1)
    pe.fill(Module(), heap, Signal(pe.fetched_width), Signal(pe.select_width))
    return -heap.constant


@cache
def _levels(pe: SlicePeConfig) -> int:
    m = Module()
    heap = pe.heap(m, Signal(pe.fetched_width), Signal(pe.select_width))
    return heap.reduce(m, pe.schedule, pe.counters)


class Accumulate(Unit):
    """The addition of a step's multiples, or terms, to a running sum.

    Combinational.

    Members
    -------
    i : In
        Bits of a reduced heap, column 0 first.
    addend, sum : In(state_shape), Out(state_shape)
        Running sum, before and after.
    """

    config: SlicePeConfig

    def __init__(self, config: SlicePeConfig) -> None:
        width = sum(shapes(config)[-1].heights)
        state = config.state_shape
        super().__init__(config, {"i": In(width), "addend": In(state), "sum": Out(state)})

    @property
    def name(self) -> str:
        return f"accumulate_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(self.config.running_sum.add(m, list(self.i), self.addend))
        return m


class DigitPeConfig(SlicePeConfig):
    """Base of the PEs that take radix-4 digits of B."""

    digits: str = choice("digit set of operand B", lambda: DIGIT_SETS, default=CSD)

    own_encoder: ClassVar[bool] = False
    """The PE recodes B itself."""

    @property
    def weights(self) -> int:
        """Digits of an element of B."""
        return digits(self.width_b, self.signed_b, BOOTH)

    @property
    def lanes(self) -> int:
        """Digits in a step."""
        raise NotImplementedError

    @property
    def slots(self) -> int:
        """Digits of a beat that a lane chooses from."""
        raise NotImplementedError

    @property
    def most_steps(self) -> int:
        return self.slots

    @property
    def row_width(self) -> int:
        """Bits of a multiple of A; without the sign where that is the digit's."""
        return self.width_a + 1

    @property
    def fetched_width(self) -> int:
        return self.lanes * self.row_width

    def row(self, m: Module, name: str, digit: BoothDigit, element: Value) -> Value:
        """Return ``digit * element``, less 1 where the digit is negative: `row_width` bits."""
        return multiple(m, name, digit, element, self.signed_a).as_unsigned()[: self.row_width]

    def with_sign(self, row: Value, negative: Value) -> Value:
        """Return a multiple from its bits and the sign of its digit."""
        return (row if self.signed_a else Cat(row, negative)).as_signed()

    def to_digits(self, m: Module, name: str, b: Value) -> list[BoothDigit]:
        """Place the recoding of an element of B, and return its digits, the lowest first."""
        if self.digits == BOOTH:
            return booth_digits(b, self.signed_b)
        if self.digits == ENT:
            return placed_ent_digits(m, name, b, self.signed_b)
        return paired_csd_digits(b, self.signed_b)

    def to_slots(self, digits_of: list[list[BoothDigit]]) -> list[list[BoothDigit]]:
        """Return the slots of each lane from the digits of each element of a beat."""
        raise NotImplementedError

    def fetch_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        """Return the controls of `fetch`.

        Parameters
        ----------
        picks
            Of each lane, one-hot, the slot that the digit comes from.
        chosen
            Of each lane the digit.
        """
        raise NotImplementedError

    def select_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        """Return the controls of `fill`; parameters as of `fetch_controls`."""
        raise NotImplementedError


class Opt4cConfig(DigitPeConfig):
    """OPT4C: a digit a cycle; PEs share the encoder."""

    kind = "opt4c"
    default_terms = most_terms = 1
    lanes = 1

    @property
    def slots(self) -> int:
        return self.weights

    @property
    def largest(self) -> int:
        greatest = max(abs(end) for end in extremes(self.width_a, self.signed_a))
        return 2 * greatest << 2 * (self.weights - 1)

    @property
    def fetch_width(self) -> int:
        return CODE_WIDTH

    @property
    def select_width(self) -> int:
        return 1 + self.slots

    def to_slots(self, digits_of: list[list[BoothDigit]]) -> list[list[BoothDigit]]:
        return digits_of

    def fetch_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        return Cat(*chosen[0])

    def select_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        return Cat(chosen[0].negative, picks[0])

    def fetch(self, m: Module, operands: Value, controls: Value) -> Value:
        return self.row(m, "multiple", BoothDigit(*controls), operands)

    def fill(self, m: Module, heap: BitHeap, fetched: Value, controls: Value) -> None:
        negative, pick = controls[0], controls[1:]
        multiple_of_a = self.with_sign(fetched, negative)
        shifted = Signal(signed(len(multiple_of_a) + 2 * (self.slots - 1)))
        # Ones below a negative multiple: what it lacks is then 1 in column 0, wherever it stands.
        low = [negative] * (2 * (self.slots - 1))
        high = [multiple_of_a[-1]] * (2 * (self.slots - 1))
        row = Cat(*low, multiple_of_a, *high)
        m.d.comb += shifted.eq(
            Cat(
                Cat(
                    row[column + 2 * (self.slots - 1 - slot)] & pick[slot]
                    for slot in range(self.slots)
                ).any()
                for column in range(len(shifted))
            )
        )
        heap.add(shifted)
        heap.add_bit(negative, 0)


class Opt3Config(Opt4cConfig):
    """OPT3: a digit a cycle; each PE has an encoder."""

    kind = "opt3"
    own_encoder = True


class Opt4eConfig(DigitPeConfig):
    """OPT4E: a digit of each bit weight a cycle, of any of several elements."""

    kind = "opt4e"
    default_terms = 4
    most_terms = 16

    @property
    def lanes(self) -> int:
        return self.weights

    @property
    def slots(self) -> int:
        return self.terms

    @property
    def largest(self) -> int:
        greatest = max(abs(end) for end in extremes(self.width_a, self.signed_a))
        return sum(2 * greatest << 2 * i for i in range(self.weights))

    @property
    def fetch_width(self) -> int:
        return self.lanes * (self.slots + CODE_WIDTH)

    @property
    def select_width(self) -> int:
        return self.lanes

    def to_slots(self, digits_of: list[list[BoothDigit]]) -> list[list[BoothDigit]]:
        return [list(of_weight) for of_weight in zip(*digits_of, strict=True)]

    def fetch_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        return Cat(Cat(pick, *digit) for pick, digit in zip(picks, chosen, strict=True))

    def select_controls(self, picks: list[Value], chosen: list[BoothDigit]) -> Value:
        return Cat(digit.negative for digit in chosen)

    def fetch(self, m: Module, operands: Value, controls: Value) -> Value:
        rows = []
        for lane in range(self.lanes):
            of_lane = controls.as_unsigned().word_select(lane, self.slots + CODE_WIDTH)
            pick, digit = of_lane[: self.slots], BoothDigit(*of_lane[self.slots :])
            element = Signal(self.width_a, name=f"element_{lane}")
            m.d.comb += element.eq(
                Cat(
                    Cat(
                        operands[slot * self.width_a + i] & pick[slot] for slot in range(self.slots)
                    ).any()
                    for i in range(self.width_a)
                )
            )
            rows.append(self.row(m, f"multiple_{lane}", digit, element))
        return Cat(*rows)

    def fill(self, m: Module, heap: BitHeap, fetched: Value, controls: Value) -> None:
        for lane in range(self.lanes):
            row = fetched.as_unsigned().word_select(lane, self.row_width)
            heap.add(self.with_sign(row, controls[lane]), 2 * lane)
            heap.add_bit(controls[lane], 2 * lane)
