"""Butterflies of number-theoretic transforms: one modular product between sums and differences.

Cooley and Tukey's multiplies first and adds then, Gentleman and Sande's the other way round; the
unified one does either, chosen from cycle to cycle, around the same multiplier.

Sources: J. W. Cooley, J. W. Tukey, 1965; W. M. Gentleman, G. Sande, 1966; D. Harvey, "Faster
arithmetic for number-theoretic transforms" (2014), for what stays below four times the modulus.
"""

from amaranth.hdl import Module, Mux, Signal, Value

from pe.config import choice, flag
from pe.modular import ModularUnit, Q, halved, reduced
from pe.modular_add import add_residues, subtract_residues
from pe.pipeline import Pipeline
from pe.product import ReducerConfig, modular_product

CT, GS, UNIFIED = "ct", "gs", "unified"
KINDS = (CT, GS, UNIFIED)


class ButterflyConfig(ReducerConfig):
    """Order of sum and product, and how the product is reduced."""

    kind: str = choice("ct multiplies first, gs adds first", lambda: KINDS, default=CT)
    lazy: bool = flag("results below four times the modulus, of gs below twice", default=False)
    halve: bool = flag("gs halves both results, modulo the modulus", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halve and self.kind == CT:
            raise ValueError("halve: true is not false, all that kind=ct allows")

    @property
    def operand_bits(self) -> int:
        """Bits of operands and results."""
        return self.bits + self.lazy * (1 if self.kind == GS else 2)

    @property
    def latency(self) -> int:
        return self.product_latency + (self.kind != CT) + self.halve + (self.kind != GS)

    @property
    def name(self) -> str:
        return self.reducer_slug(f"butterfly_{self.kind}", halve=self.halve)


class Butterfly(ModularUnit):
    """Butterfly of a number-theoretic transform.

    Function unit: initiation interval 1. Latency is that of the product, and 1 for the sums of each
    order that there is, and 1 with `halve`.

    Members
    -------
    u, v : In(operand_bits)
        Residues; with `lazy` below four times the modulus, of gs below twice.
    w : In(bits)
        Twiddle factor, a residue; times the radix with Montgomery's reduction.
    quotient : In
        Of the twiddle factor, with reducer=shoup, see `pe.shoup.Shoup`.
    gs : In(1)
        kind=unified only: compute what gs does, else what ct does.
    q : In(bits)
        `runtime` only: the modulus, odd and of exactly as many bits.
    mu : In
        `runtime` and reducer=barrett only, see `pe.barrett.Barrett`.
    inverse : In
        `runtime` and reducer=montgomery only: that of q, see `pe.montgomery.Montgomery`.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the results.
    x, y : Out(operand_bits)
        ct: ``u + v * w`` and ``u - v * w``. gs: ``u + v`` and ``(u - v) * w``, or half of each.
        With `lazy` in the range of the operands.
    """

    config: ButterflyConfig

    def __init__(self, config: ButterflyConfig) -> None:
        ins = {"u": config.operand_bits, "v": config.operand_bits, "w": config.bits}
        ins |= config.ports
        if config.kind == UNIFIED:
            ins[GS] = 1
        super().__init__(config, ins, {"x": config.operand_bits, "y": config.operand_bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        p, config = pipeline, self.config
        unified = config.kind == UNIFIED
        if config.kind != CT:
            u, v = self._add_first(m, p["u"], p["v"], p[Q])
            forward = self._below_twice(m, p["u"], p[Q]) if unified else u
            p.step(
                u=Mux(p[GS], u, forward) if unified else u,
                v=Mux(p[GS], v, p["v"]) if unified else v,
            )
        else:
            p.let(u=self._below_twice(m, p["u"], p[Q]))
        if config.halve:
            halves = {name: halved(m, f"half_{name}", p[name], p[Q]) for name in "uv"}
            if unified:
                halves = {n: Mux(p[GS], half, p[n]) for n, half in halves.items()}
            p.step(**halves)
        # Of a word below 2q the top bits are zero.
        p.let(u=p["u"][: config.bits + config.lazy])
        modular_product(m, p, config, "v", "w", "t")
        if config.kind == GS:
            p.let(x=p["u"], y=p["t"])
            p.drop("u", "t")
            return
        x, y = self._add_then(m, p["u"], p["t"], p[Q])
        if unified:
            x, y = Mux(p[GS], p["u"], x), Mux(p[GS], p["t"], y)
        p.step(["u", "t", GS] if unified else ["u", "t"], x=x, y=y)

    def _below_twice(self, m: Module, u: Value, q: Value) -> Value:
        """Return what ct adds to, below twice the modulus where operands are below four times."""
        if not self.config.lazy:
            return u
        return reduced(m, "u_less", u, q << 1, self.config.bits + 1)

    def _add_first(self, m: Module, u: Value, v: Value, q: Value) -> tuple[Value, Value]:
        if not self.config.lazy:
            return add_residues(m, "added", u, v, q), subtract_residues(m, "taken", u, v, q)
        bits = self.config.bits + 1
        total, raised, difference = (
            Signal(bits + 1, name=name) for name in ("added", "raised", "taken")
        )
        u, v = u[:bits], v[:bits]
        m.d.comb += [total.eq(u + v), raised.eq(u + (q << 1)), difference.eq(raised - v)]
        return reduced(m, "added_less", total, q << 1, bits), difference

    def _add_then(self, m: Module, u: Value, t: Value, q: Value) -> tuple[Value, Value]:
        if not self.config.lazy:
            return add_residues(m, "added_t", u, t, q), subtract_residues(m, "taken_t", u, t, q)
        bits = self.config.operand_bits
        total, raised, difference = (
            Signal(bits, name=name) for name in ("added_t", "raised_u", "taken_t")
        )
        m.d.comb += [total.eq(u + t), raised.eq(u + (q << 1)), difference.eq(raised - t)]
        return total, difference
