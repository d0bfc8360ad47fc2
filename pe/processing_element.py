"""A processing element by itself: registered operands and a running sum, as in an engine's cell."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from pe.config import integer
from pe.element import PeConfig, operands
from pe.registry import DERIVED, PeChoice
from pe.unit import Redundant, Unit


class ProcessingElementConfig(PeChoice):
    """Any PE by name, with its options."""

    width_acc: int = integer("bits of the accumulator; 0: as the PE has it", 0, 63, default=DERIVED)
    terms: int = integer("products that a step sums", 1, 64, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_acc == DERIVED:
            default = self.pes[self.pe].__dataclass_fields__["width_acc"].default
            object.__setattr__(self, "width_acc", default)
        self.check_options()
        # Refused here rather than when it is built.
        _ = self.pe_config

    @property
    def name(self) -> str:
        return f"pe_{self.pe_config.name}"


class ProcessingElement(Unit):
    """Stand-alone PE: registered operands and a running sum in the form that the PE keeps it in.

    Function unit with an accumulator: latency 2 and the PE's pipeline registers, initiation
    interval 1. The carry-propagate adder that makes a number of a sum in carry-save form is left
    out, as it is in published figures of such PEs: an engine has one for many of them.

    Members
    -------
    a, b : In(a_shape), In(b_shape), or arrays of as many as there are terms
    clear : In(1)
        The sum starts anew with these products.
    i_valid : In(1)
        Operands are present.
    sum : Out(state_shape)
        Running sum modulo ``2**width_acc``; its value is 0 before the first operands, and holds
        while nothing is valid. See `redundant`.
    o_valid : Out(1)
        `sum` has just taken in the products.
    """

    def __init__(self, config: PeConfig | ProcessingElementConfig) -> None:
        self.pe = pe = config.pe_config
        super().__init__(
            config,
            {
                "a": In(operands(pe.a_shape, pe.terms)),
                "b": In(operands(pe.b_shape, pe.terms)),
                "clear": In(1),
                "i_valid": In(1),
                "sum": Out(pe.state_shape),
                "o_valid": Out(1),
            },
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.pe.facts

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from operands to the sum that they are in."""
        return 2 + self.pe.latency

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.pe.terms

    @property
    def redundant(self) -> Mapping[str, Redundant]:
        pe = self.pe
        if pe.resolve_latency is None:
            return {}
        return {"sum": Redundant(pe.accumulator_shape, pe.state_weights)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        a = Signal(pe.a_port, name="a_reg")
        b = Signal(pe.b_port, name="b_reg", reset_less=True)
        # Without operands the sum takes in products of zero, and so needs no enable. After reset it
        # starts anew until registers that reset does not reach have run empty.
        clear = Signal(1 + pe.latency, name="clear_reg", init=-1)
        valid = Signal(1 + pe.latency)
        running = Signal(pe.state_shape, reset_less=True)
        addend = Signal(pe.state_shape)
        m.d.sync += [
            a.eq(Mux(self.i_valid, Value.cast(self.a), 0)),
            b.eq(Value.cast(self.b)),
            clear.eq(Cat(self.clear & self.i_valid, clear)),
            Cat(valid, self.o_valid).eq(Cat(self.i_valid, valid)),
            running.eq(pe.step(m, platform, a, b, addend)),
        ]
        m.d.comb += [addend.eq(Mux(clear[-1], 0, running)), self.sum.eq(running)]
        return m
