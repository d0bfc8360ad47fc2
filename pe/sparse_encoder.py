# amaranth: UnusedElaboratable=no
"""The sparse encoder: of the digits of a beat only those that are not zero, a few a cycle.

Source: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), sections III and IV.
"""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from pe.bit_slice import CODE_WIDTH, DigitPeConfig
from pe.encoders import BoothDigit
from pe.unit import Unit


class SparseEncoder(Unit):
    """Digits of the elements of a beat of B, non-zero ones only, one a lane and step.

    A step is chosen in one cycle, fetched by the PEs in a later one, and its multiples are added
    from the cycle after that on.

    Members
    -------
    i_b : In(terms * width_b)
        Elements of a beat.
    i_load : In(1)
        Take them, in the cycle of the last step of the beat before or later.
    i_step : In(1)
        Choose the next digits.
    o_final : Out(1)
        They are the last of their beat.
    i_go : In(1)
        What was chosen is fetched in this cycle; if not, the controls are those of zeros.
    o_fetch : Out(fetch_width)
        Controls of the PEs that fetch in this cycle.
    o_select : Out(select_width)
        Controls of the PEs that fetched in the cycle before.
    """

    config: DigitPeConfig

    def __init__(self, config: DigitPeConfig) -> None:
        super().__init__(
            config,
            {
                "i_b": In(config.terms * config.width_b),
                "i_load": In(1),
                "i_step": In(1),
                "o_final": Out(1),
                "i_go": In(1),
                "o_fetch": Out(config.fetch_width),
                "o_select": Out(config.select_width),
            },
        )

    @property
    def name(self) -> str:
        return f"sparse_encoder_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = self.config
        elements = [self.i_b.word_select(i, pe.width_b) for i in range(pe.terms)]
        lanes = pe.to_slots(
            [pe.to_digits(m, str(i), element) for i, element in enumerate(elements)]
        )
        picks: list[Value] = []
        chosen: list[BoothDigit] = []
        at_most_one: list[Value] = []
        at_most_two: list[Value] = []
        for lane, slots in enumerate(lanes):
            pick, digit, incoming, pending = self._lane(m, lane, slots)
            picks.append(pick)
            chosen.append(digit)
            at_most_one.append(~_without_lowest(incoming).any())
            at_most_two.append(~_without_lowest(_without_lowest(pending)).any())
        # Known a cycle ahead: whether a beat ends decides what is loaded in the same cycle.
        final = Signal(name="final_reg")
        with m.If(self.i_load):
            m.d.sync += final.eq(Cat(at_most_one).all())
        with m.Elif(self.i_step):
            m.d.sync += final.eq(Cat(at_most_two).all())
        m.d.comb += [
            self.o_final.eq(final),
            self.o_fetch.eq(pe.fetch_controls(picks, chosen)),
        ]
        m.d.sync += self.o_select.eq(pe.select_controls(picks, chosen))
        return m

    def _lane(
        self, m: Module, lane: int, slots: list[BoothDigit]
    ) -> tuple[Value, BoothDigit, Value, Value]:
        """Return the place of the digit being fetched, the digit, and which are not zero.

        Of the beat that is offered, and of those of the beat before that are not chosen yet.
        """
        count = len(slots)
        incoming = Signal(count * CODE_WIDTH, name=f"incoming_{lane}")
        codes = Signal(count * CODE_WIDTH, name=f"codes_{lane}", reset_less=True)
        pending = Signal(count, name=f"pending_{lane}", reset_less=True)
        nonzero = Signal(count, name=f"nonzero_{lane}")
        rest = Signal(count - 1, name=f"rest_{lane}")
        lowest = Signal(count, name=f"lowest_{lane}")
        pick = Signal(count, name=f"pick_{lane}", reset_less=True)
        digit = Signal(CODE_WIDTH, name=f"digit_{lane}", reset_less=True)
        incoming_slots = [BoothDigit(*incoming.word_select(i, CODE_WIDTH)) for i in range(count)]
        m.d.comb += [
            incoming.eq(Cat(Cat(*slot) for slot in slots)),
            nonzero.eq(Cat((slot.one | slot.two) for slot in incoming_slots)),
            rest.eq(_without_lowest(pending)),
            lowest.eq(pending & ~Cat(0, rest)),
        ]
        with m.If(self.i_load):
            m.d.sync += [codes.eq(incoming), pending.eq(nonzero)]
        with m.Elif(self.i_step):
            m.d.sync += pending.eq(Cat(0, rest))
        with m.If(self.i_step):
            m.d.sync += [
                pick.eq(lowest),
                digit.eq(
                    Cat(
                        Cat(codes[i * CODE_WIDTH + bit] & lowest[i] for i in range(count)).any()
                        for bit in range(CODE_WIDTH)
                    )
                ),
            ]
        fetched = Signal(CODE_WIDTH, name=f"fetched_{lane}")
        m.d.comb += fetched.eq(digit & self.i_go.replicate(CODE_WIDTH))
        return pick, BoothDigit(*fetched), nonzero, pending


def _without_lowest(bits: Value) -> Value:
    """Return a vector without the lowest of the bits that are set; it has a bit less."""
    return Cat(bits[i] & bits[:i].any() for i in range(1, len(bits)))
