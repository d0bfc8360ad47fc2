"""Shared scale of a microscaling (MX) block, from the largest magnitude in it.

Source: "OCP Microscaling Formats (MX) Specification" 1.0, section 6.3.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, integer
from pe.element import operands
from pe.formats import FLOATS, Fixed
from pe.mx import ELEMENTS, SCALE_BIAS, element
from pe.rounding import normalize
from pe.unit import Unit

SOURCES = ("bf16", "fp16", "fp32")
FLOOR, CEIL = "floor", "ceil"
SCALE_RULES = (FLOOR, CEIL)
SCALE_WIDTH = 8


class MxScaleConfig(Config):
    """What is scaled, and how."""

    source: str = choice("format of the operands", lambda: SOURCES, default="bf16")
    format: str = choice("format of the elements", lambda: ELEMENTS, default="e4m3")
    scale_rule: str = choice(
        "floor, as in the standard: the largest may saturate; ceil: none does",
        lambda: SCALE_RULES,
        default=FLOOR,
    )
    block: int = integer("elements of a block", 1, 64, default=32)

    @property
    def name(self) -> str:
        rule = "" if self.scale_rule == FLOOR else f"_{self.scale_rule}"
        return f"mx_scale_{self.source}_{self.format}_{self.block}{rule}"


class MxScale(Unit):
    """Shared scale of a microscaling block, from the largest magnitude in it.

    Function unit, combinational: latency 0.

    Members
    -------
    a : In(width - 1), or an array of as many as there are elements
        Codes of `source` without their sign.
    scale : Out(8)
        E8M0: an exponent biased by 127, at most 254. 0 of zeros; 255, NaN, of a block with NaN or
        infinity.
    """

    config: MxScaleConfig

    def __init__(self, config: MxScaleConfig) -> None:
        word = unsigned(FLOATS[config.source].width - 1)
        super().__init__(config, {"a": In(operands(word, config.block)), "scale": Out(SCALE_WIDTH)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        source = FLOATS[config.source]
        bits = Value.cast(self.a)
        largest = Signal(source.width - 1)
        words: list[Value] = [bits[i : i + len(largest)] for i in range(0, len(bits), len(largest))]
        m.d.comb += largest.eq(_largest(m, words))
        top_exponent, top_fraction = _top(config.format, source.mantissa)

        field = largest[source.mantissa :]
        normal = Signal()
        m.d.comb += normal.eq(field.any())
        significand: Value = Cat(largest[: source.mantissa], normal)
        exponent: Value = field | ~normal
        least = 1
        # A subnormal matters where it is above the least scale times the largest element.
        if 1 - source.bias - top_exponent + SCALE_BIAS > 0 and not (
            source.bias == SCALE_BIAS and top_exponent > 0
        ):
            if config.scale_rule == CEIL:
                significand, count = normalize(m, significand)
            else:
                count = _leading_zeros(m, significand)
            normalized = Signal(signed(source.exponent + 1))
            m.d.comb += normalized.eq(exponent - count)
            exponent, least = normalized, 2 - (1 << len(count))
        offset = SCALE_BIAS - source.bias - top_exponent
        code = Signal(range(min(offset + least, -1), offset + (1 << source.exponent) + 1))
        above = significand[: source.mantissa] > top_fraction
        last = (1 << SCALE_WIDTH) - 2
        m.d.comb += [
            code.eq(exponent + offset + (above if config.scale_rule == CEIL else 0)),
            self.scale.eq(
                Mux(
                    field.all(),
                    last + 1,
                    Mux(code[-1] | ~largest.any(), 0, Mux(code > last, last, code)),
                )
            ),
        ]
        return m


def _top(name: str, mantissa: int) -> tuple[int, int]:
    """Exponent of the largest element, and its fraction at so many bits."""
    found = element(name)
    if isinstance(found, Fixed):
        places, bits = found.width - 2, (1 << (found.width - 2)) - 1
        exponent = places - found.fraction
    else:
        places = found.mantissa
        field, bits = divmod(found.largest, 1 << places)
        exponent = field - found.bias
    return exponent, bits << (mantissa - places)


def _leading_zeros(m: Module, word: Value) -> Value:
    """Place a priority encoder; of zero the count is anything."""
    count = Signal(range(len(word)))
    found: Value = Const(0, 1)
    for i, bit in enumerate(word):
        found = Mux(bit, len(word) - 1 - i, found)
    m.d.comb += count.eq(found)
    return count


def _largest(m: Module, words: list[Value]) -> Value:
    """Place a tree of comparators, and return the largest of unsigned words."""
    level = 0
    while len(words) > 1:
        winners: list[Value] = []
        for i in range(0, len(words) - 1, 2):
            winner = Signal(len(words[0]), name=f"largest_{level}_{i // 2}")
            m.d.comb += winner.eq(Mux(words[i] < words[i + 1], words[i + 1], words[i]))
            winners.append(winner)
        words = winners + words[len(words) & ~1 :]
        level += 1
    return words[0]
