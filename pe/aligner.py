# amaranth: UnusedElaboratable=no
"""Alignment of float activations to the largest exponent in their group, at the edge of an array.

Aligned activations are integers on one grid, so that any integer PE sums their products exactly.

Source: FIGNA (HPCA 2024). The bound of the error, and the protocol, are ours.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from pe.config import Config, choice, integer
from pe.float_add import IEEE_FLOATS
from pe.formats import FLOATS
from pe.rounding import align
from pe.unit import Unit

NEAREST, FLOOR = "nearest", "floor"


class ActivationAlignerConfig(Config):
    """Format of activations, and how they are rounded."""

    format: str = choice("format of activations", lambda: IEEE_FLOATS, default="fp16")
    places: int = integer("places that are kept below the topmost one", 10, 24, default=14)
    rounding: str = choice(
        "to the nearest, ties to even, or down", lambda: (NEAREST, FLOOR), default=NEAREST
    )

    @property
    def name(self) -> str:
        rounding = "" if self.rounding == NEAREST else f"_{self.rounding}"
        return f"activation_aligner_{self.format}_{self.places}{rounding}"


class ActivationAligner(Unit):
    """Aligner of float activations to the largest exponent in their group, one activation a clock.

    Function unit with a memory of exponents: latency 2, initiation interval 1. It sees each group
    twice: ahead, to find the largest exponent, and while the group after it is looked at, to be
    aligned. Between the two a memory of a group holds it, or it is read again.

    Members
    -------
    ahead : In
        Exponent field of an activation of the following group.
    a : In(width)
        An activation of this group.
    clear : In(1)
        Both are the first of their groups.
    i_valid : In(1)
        Activations are present.
    aligned : Out(signed (places + 2))
        `a` in units of ``2**(exponent - bias - places)``, 0 where nothing was present. By `floor`
        a negative activation that vanishes is -1.
    exponent : Out
        Biased exponent: the largest one ahead in the group before, at least 1.
    nan : Out(1)
        An activation ahead in the group before was infinite or NaN; here they count as what their
        fields would be worth.
    o_valid : Out(1)
        The outputs are those of activations.

    An activation is off by at most half a unit, or by less than one where it is rounded down.
    """

    config: ActivationAlignerConfig
    latency = 2

    def __init__(self, config: ActivationAlignerConfig) -> None:
        found = FLOATS[config.format]
        super().__init__(
            config,
            {
                "ahead": In(unsigned(found.exponent)),
                "a": In(unsigned(found.width)),
                **dict.fromkeys(("clear", "i_valid"), In(1)),
                "aligned": Out(signed(config.places + 2)),
                "exponent": Out(unsigned(found.exponent)),
                **dict.fromkeys(("nan", "o_valid"), Out(1)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = FLOATS[self.config.format]
        a = Signal(found.width, name="a_reg")
        valid = Signal()
        ahead = _exponent(self.ahead)
        largest, exponent = (Signal(found.exponent, name=n, init=1) for n in ("largest", "held"))
        special, nan = Signal(name="special"), Signal(name="nan_held")
        so_far = Signal(found.exponent)
        m.d.comb += so_far.eq(Mux(self.clear, 1, largest))
        with m.If(self.i_valid):
            m.d.sync += [
                largest.eq(Mux(ahead > so_far, ahead, so_far)),
                special.eq(special & ~self.clear | self.ahead.all()),
            ]
        with m.If(self.i_valid & self.clear):
            m.d.sync += [exponent.eq(largest), nan.eq(special)]
        results = {"aligned": self._aligned(m, a, exponent), "exponent": exponent, "nan": nan}
        for name, value in results.items():
            port = getattr(self, name)
            held = Signal(port.shape(), name=f"{name}_reg", reset_less=True)
            m.d.sync += held.eq(value)
            m.d.comb += port.eq(held)
        m.d.sync += [
            a.eq(Mux(self.i_valid, self.a, 0)),
            valid.eq(self.i_valid),
            self.o_valid.eq(valid),
        ]
        return m

    def _aligned(self, m: Module, a: Value, exponent: Value) -> Value:
        """Place the shifter and the rounding of an activation."""
        found = FLOATS[self.config.format]
        keep = self.config.places + 1
        field = a[found.mantissa : -1]
        significand = Cat(a[: found.mantissa], field.any())
        # A larger exponent than the group's has a distance beyond all places.
        gap = Signal(found.exponent + 1)
        m.d.comb += gap.eq(exponent - _exponent(field))
        parts = align(m, significand, Cat(gap, Const(0, 1)).as_signed(), keep)
        sign, up = a[-1], Signal()
        if self.config.rounding == NEAREST:
            m.d.comb += up.eq(parts.half & (parts.rest | parts.kept[0]))
        else:
            m.d.comb += up.eq(sign & (parts.half | parts.rest))
        # Rounding and negation take one addition: -(x + 1) is the complement of x.
        word = Signal(signed(keep + 1))
        m.d.comb += word.eq(Cat(parts.kept, Const(0, 1)) ^ sign.replicate(keep + 1))
        return word + (up ^ sign)


def _exponent(field: Value) -> Value:
    """Return the biased exponent of a float, 1 of zero and subnormals."""
    return field | ~field.any()
