"""What every processing element has: operands, an accumulator, and a step that joins them.

An engine owns the registers: operands, running sum, drain. A PE says what happens between them,
in combinational units that `PeConfig.step` places with `PeConfig.latency` registers between them.
The running sum is `state_weights`: bits of any weight that add up to it, so that it may be in
carry-save form; `PeConfig.resolve` then makes a number of it outside the accumulation loop.
"""

from typing import ClassVar

from amaranth.hdl import Module, Shape, Value, unsigned
from amaranth.lib import data

from pe.config import Config, flag, integer
from pe.primitives import Placed
from pe.unit import Unit

Ends = tuple[int, int]
"""The least and the greatest number that an operand stands for."""


INTEGER = "integer"
"""Format of operands that are two's complement or unsigned."""


def accumulator_bits(k: int, width_a: int, width_b: int, signed_a: bool, signed_b: bool) -> int:
    """Return the least width in bits that holds every sum of `k` products of integers exactly.

    The accumulator is signed when either operand is.
    """
    return sum_bits(k, extremes(width_a, signed_a), extremes(width_b, signed_b))


def sum_bits(k: int, ends_a: Ends, ends_b: Ends) -> int:
    """Return the least width in bits that holds every sum of `k` products exactly.

    It counts a sign where either operand may be below zero.
    """
    products = [x * y for x in ends_a for y in ends_b]
    highest, lowest = k * max(products), k * min(products)
    magnitude = max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0)
    return magnitude + (min(*ends_a, *ends_b) < 0)


def extremes(width: int, is_signed: bool) -> Ends:
    """Return the least and the greatest integer of a width in bits."""
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)


def operands(shape: Shape, count: int) -> Shape | data.ArrayLayout:
    """Shape of a port that takes so many elements at once, the first in the low bits."""
    return shape if count == 1 else data.ArrayLayout(shape, count)


class PeConfig(Config):
    """Operands and accumulator of a processing element.

    A step adds `terms` products to the running sum. Operand zero in all terms leaves the sum's
    value as it is, so that an engine may fill bubbles with zeros.
    """

    kind: ClassVar[str]
    """How the registry, module names and the command line call it."""
    allowed_widths: ClassVar[tuple[range, range]] = (range(2, 17), range(2, 17))
    """Bits that an element of A, and of B, may have."""
    format_a: ClassVar[str] = INTEGER
    format_b: ClassVar[str] = INTEGER
    """Number format of elements, as golden models call it."""
    sums: ClassVar[int] = 1
    """That an element of C holds."""

    width_a: int = integer("bits of operand A", 2, 16, default=8)
    width_b: int = integer("bits of operand B", 2, 16, default=8)
    width_acc: int = integer("bits of the accumulator", 4, 63, default=32)
    signed_a: bool = flag("operand A is two's complement", default=True)
    signed_b: bool = flag("operand B is two's complement", default=True)
    terms: int = integer("products that a step sums", 1, 64, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_widths(self.width_a, self.width_b)
        least = self.sum_bits(self.terms, self.a_shape, self.b_shape)
        if self.width_acc < least:
            raise ValueError(
                f"width_acc: {self.width_acc} bits cannot hold one step's sum; "
                f"at least {least} are needed"
            )

    @classmethod
    def check_widths(cls, width_a: int, width_b: int) -> None:
        """Refuse operands that the PE does not take.

        Raises
        ------
        ValueError
            Naming the widths that it does.
        """
        for name, width, allowed in zip("ab", (width_a, width_b), cls.allowed_widths, strict=True):
            if width not in allowed:
                least, most = allowed[0], allowed[-1]
                text = f"{least}" if least == most else f"in {least}..{most}"
                raise ValueError(f"width_{name}: {width} is not {text}, as pe={cls.kind} allows")

    @classmethod
    def ends_a(cls, shape: Shape, /) -> Ends:
        """Return the least and the greatest number that an element of A of a shape stands for."""
        return extremes(shape.width, shape.signed)

    @classmethod
    def ends_b(cls, shape: Shape, /) -> Ends:
        """Return the least and the greatest number that an element of B of a shape stands for."""
        return extremes(shape.width, shape.signed)

    @classmethod
    def sum_bits(cls, k: int, a: Shape, b: Shape) -> int:
        """Return the least width in bits that holds every sum of `k` products exactly.

        Parameters
        ----------
        a, b
            Shapes of elements.
        """
        return sum_bits(k, cls.ends_a(a), cls.ends_b(b))

    @property
    def ends(self) -> tuple[Ends, Ends]:
        """The least and the greatest number that an element of A, and of B, stands for."""
        return self.ends_a(self.a_shape), self.ends_b(self.b_shape)

    @property
    def pe_config(self) -> "PeConfig":
        """The config itself: a stand-alone PE takes one, or one that chooses a PE by name."""
        return self

    @property
    def meanings(self) -> dict[str, str]:
        """What an element of ``"a"``, ``"b"`` or of their sum, ``"c"``, stands for but itself."""
        return {}

    @property
    def facts(self) -> dict[str, str]:
        """The same, as a unit with such a PE tells it."""
        return {f"element_of_{name}": text for name, text in self.meanings.items()}

    @property
    def operands_slug(self) -> str:
        """Operand and accumulator widths as they stand in module names, e.g. ``w8a8acc32``."""
        b = f"w{'' if self.signed_b else 'u'}{self.width_b}"
        a = f"a{'' if self.signed_a else 'u'}{self.width_a}"
        terms = f"x{self.terms}" if self.terms > 1 else ""
        return f"{b}{a}acc{self.width_acc}{terms}"

    @property
    def slug(self) -> str:
        """The kind and its options as they stand in module names."""
        return self.kind

    @property
    def name(self) -> str:
        return f"{self.slug}_{self.operands_slug}"

    @property
    def a_shape(self) -> Shape:
        """Shape of an element of A."""
        return Shape(self.width_a, self.signed_a)

    @property
    def b_shape(self) -> Shape:
        """Shape of an element of B."""
        return Shape(self.width_b, self.signed_b)

    @property
    def accumulator_shape(self) -> Shape:
        """Shape of the sum; signed when either operand is."""
        return Shape(self.width_acc, self.signed_a or self.signed_b)

    @property
    def code_terms(self) -> int:
        """Elements, consecutive in K, that have one code between the edge and the PEs."""
        return 1

    @property
    def code_width(self) -> int:
        """Bits of a code of A."""
        return self.width_a

    @property
    def code_width_b(self) -> int:
        """Bits of a code of B."""
        return self.width_b

    @property
    def encoder(self) -> Unit | None:
        """Combinational unit at the engine's edge, if any.

        It takes `code_terms` elements of A, the first in the low bits, as ``i_element``, and gives
        their ``o_code``.
        """
        return None

    @property
    def encoder_b(self) -> Unit | None:
        """The same of B, if any; there is one of A then."""
        return None

    @property
    def a_port(self) -> Shape:
        """Shape of what a step takes of A: codes of `terms` elements, the first in the low bits."""
        if self.terms == 1:
            return self.a_shape
        return unsigned(self.terms // self.code_terms * self.code_width)

    @property
    def b_port(self) -> Shape:
        """Shape of what a step takes of B: codes of `terms` elements, the first in the low bits."""
        if self.terms == 1:
            return self.b_shape
        return unsigned(self.terms // self.code_terms * self.code_width_b)

    @property
    def state_weights(self) -> tuple[int, ...]:
        """Weight of each bit of the running sum, as an exponent of 2; modulo ``2**width_acc``."""
        return tuple(range(self.width_acc))

    @property
    def state_shape(self) -> Shape:
        """Shape of the running sum."""
        return self.accumulator_shape

    @property
    def bit_weights(self) -> int:
        """Digits into which a product is cut; 1 where it is not."""
        raise NotImplementedError

    by_weight: ClassVar[bool] = False
    """Terms of equal bit weight are reduced together before they are shifted to their weight."""

    @property
    def primitives(self) -> tuple[Placed, ...]:
        """What is done to operands, in order."""
        raise NotImplementedError

    @property
    def resolve_latency(self) -> int | None:
        """Cycles that `resolve` takes, initiation interval 1; `None` where it is not needed."""
        return None

    def resolve(self, m: Module, state: Value) -> Value:
        """Place what makes a number, `accumulator_shape`, of a running sum, and return it."""
        return state

    @property
    def latency(self) -> int:
        """Cycles from operands to the running sum that follows from them."""
        return 0

    @property
    def units(self) -> tuple[Unit, ...]:
        """Combinational units of a step in order, each built from this config or a part of it."""
        raise NotImplementedError

    def step(self, m: Module, platform: object, a: Value, b: Value, addend: Value) -> Value:
        """Place a step in `m` and return the running sum that follows.

        Parameters
        ----------
        a, b
            Operands, `a_port` and `b_port`; they are needed `latency` cycles before the rest.
        addend
            The running sum so far, `state_shape`.
        """
        raise NotImplementedError
