"""Addition, subtraction and halving modulo an odd number."""

from amaranth.hdl import Module, Mux, Signal, Value

from pe.modular import ModularConfig, ModularUnit, Q, halved
from pe.pipeline import Pipeline


class ModularAddConfig(ModularConfig):
    """The modulus."""

    @property
    def latency(self) -> int:
        return 2

    @property
    def name(self) -> str:
        return self.slug("modular_add")


class ModularAdd(ModularUnit):
    """Sum or difference of two residues, or half of it.

    Function unit: latency 2, initiation interval 1.

    Members
    -------
    a, b : In(bits)
        Residues below the modulus.
    subtract : In(1)
        The difference, not the sum.
    halve : In(1)
        Half of it: what it is twice of, modulo the modulus.
    q : In(bits)
        `runtime` only: the modulus, odd and from 3 on.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    sum : Out(bits)
        The residue.
    """

    config: ModularAddConfig

    def __init__(self, config: ModularAddConfig) -> None:
        ins = {"a": config.bits, "b": config.bits, "subtract": 1, "halve": 1}
        super().__init__(config, ins, {"sum": config.bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        p = pipeline
        total = Signal(self.config.bits, name="total")
        added = add_residues(m, "added", p["a"], p["b"], p[Q])
        taken = subtract_residues(m, "taken", p["a"], p["b"], p[Q])
        m.d.comb += total.eq(Mux(p["subtract"], taken, added))
        p.step(["a", "b", "subtract"], total=total)
        half = halved(m, "half", p["total"], p[Q])
        p.step(["total", "halve"], sum=Mux(p["halve"], half, p["total"]))


def add_residues(m: Module, name: str, a: Value, b: Value, q: Value) -> Value:
    """Return ``a + b`` or ``a + b - q``, whichever is a residue; a and b are."""
    total = Signal(len(a) + 1, name=f"{name}_sum")
    difference = Signal(len(a) + 1, name=f"{name}_less")
    m.d.comb += [total.eq(a + b), difference.eq(total - q)]
    return Mux(difference[-1], total[:-1], difference[:-1])


def subtract_residues(m: Module, name: str, a: Value, b: Value, q: Value) -> Value:
    """Return ``a - b`` or ``a - b + q``, whichever is a residue; a and b are."""
    difference = Signal(len(a) + 1, name=f"{name}_less")
    total = Signal(len(a), name=f"{name}_more")
    m.d.comb += [difference.eq(a - b), total.eq(difference[:-1] + q)]
    return Mux(difference[-1], total, difference[:-1])
