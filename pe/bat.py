"""The end of a modular product by digit products: merge the digits' sums, and a short reduction.

An INT8 array multiplies a matrix of known digits with the digits of the other operand. Column j of
the known matrix holds digits of ``a * 2**(chunk * j) % q``, so that the merged sums are below
``2**chunk * digits * terms * q``: Barrett's reduction of a word that is only so much longer than
the modulus has short factors.

Source: CROSS, arXiv 2501.07047, for the products; the short reduction is ours.
"""

from amaranth.hdl import Const, Module, Signal, Value

from pe.barrett import Reduction, barrett_reduce
from pe.config import integer
from pe.modular import ModularUnit, StagedConfig, correct
from pe.pipeline import Pipeline

GUARD, DROP = 1, 2


class BatReduceConfig(StagedConfig):
    """The modulus, the digits of operands, and how many products are summed."""

    chunk: int = integer("bits of a digit: 8, or 7 on an array of signed bytes", 2, 8, default=8)
    terms: int = integer("modular products that are summed", 1, 1 << 16, default=1)

    @property
    def digits(self) -> int:
        """Digits of a residue."""
        return -(-self.bits // self.chunk)

    @property
    def largest(self) -> int:
        """Greatest residue."""
        return (1 << self.bits) - 2 if self.runtime else self.modulus - 1

    @property
    def sums(self) -> dict[str, int]:
        """Ports of the sums, the low digit first, with their bits."""
        most = self.digits * self.terms * ((1 << self.chunk) - 1)
        tops = [
            min((1 << self.chunk) - 1, self.largest >> self.chunk * i) for i in range(self.digits)
        ]
        return {f"sum_{i}": (most * top).bit_length() for i, top in enumerate(tops)}

    @property
    def merged_bits(self) -> int:
        """Bits of the merged sums: products of digits and residues, summed."""
        most = self.digits * self.terms * ((1 << self.chunk) - 1)
        return max((most * self.largest).bit_length(), self.bits + 1)

    @property
    def alpha(self) -> int:
        """The reciprocal is ``2**(bits + alpha) // modulus``, of alpha + 1 bits."""
        return self.merged_bits - self.bits + GUARD

    @property
    def reduction(self) -> Reduction:
        """Parameters of the reduction."""
        excess = self.merged_bits - self.bits
        return Reduction(self.modulus, self.runtime, excess, self.alpha, DROP)

    @property
    def latency(self) -> int:
        return 1 + 2 * self.stages + self.reduction.corrections

    @property
    def name(self) -> str:
        chunk = self.chunk if self.chunk != 8 else 0
        terms = self.terms if self.terms > 1 else 0
        return self.slug("bat_reduce", chunk=chunk, terms=terms)


class BatReduce(ModularUnit):
    """Residue from the sums of digit products that an INT8 array makes.

    Function unit: latency ``2 * stages + 1`` and one for each correction, initiation interval 1.

    Members
    -------
    sum_0, sum_1, ... : In
        For each digit, the low one first, the sum of that of ``a * 2**(chunk * j) % q`` times
        digit j of the other operand: ``digits * terms`` products.
    q : In(bits)
        `runtime` only: the modulus, of exactly as many bits.
    mu : In(alpha + 1)
        `runtime` only: ``2**(bits + alpha) // q``.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    remainder : Out(bits)
        The sum of products modulo the modulus.
    """

    config: BatReduceConfig

    def __init__(self, config: BatReduceConfig) -> None:
        ins = dict(config.sums)
        if config.runtime:
            ins["mu"] = config.alpha + 1
        super().__init__(config, ins, {"remainder": config.bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        config = self.config
        total: Value = Const(0, 0)
        for i, name in enumerate(config.sums):
            merged = Signal(config.merged_bits, name=f"merged_{i}")
            m.d.comb += merged.eq(total + (pipeline[name] << (config.chunk * i)))
            total = merged
        pipeline.step([*config.sums], z=total)
        barrett_reduce(pipeline, config.reduction, config.stages, "remainder")
        correct(m, pipeline, "remainder", config.bits, config.reduction.corrections)
