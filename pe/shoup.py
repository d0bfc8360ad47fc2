"""Product with a known factor, by Shoup's precomputed quotient.

With ``quotient = factor * 2**w // q`` beside a factor below q, ``x * quotient >> w`` is the
quotient of ``x * factor``, or 1 less, for every ``x < 2**w``.

Source: D. Harvey, "Faster arithmetic for number-theoretic transforms" (2014), after V. Shoup's
NTL.
"""

from amaranth.hdl import Module

from pe.config import flag, integer
from pe.modular import ModularUnit, Q, StagedConfig, correct
from pe.pipeline import Pipeline, Product


class ShoupConfig(StagedConfig):
    """The modulus and the range of the unknown factor."""

    slack: int = integer("bits of x beyond those of the modulus", 0, 8, default=0)
    lazy: bool = flag("no correction: results below twice the modulus", default=False)

    @property
    def operand_bits(self) -> int:
        """Bits w of x and of the quotient."""
        return self.bits + self.slack

    @property
    def latency(self) -> int:
        return 2 * self.stages + (not self.lazy)

    @property
    def name(self) -> str:
        return self.slug("shoup", slack=self.slack, lazy=self.lazy)


class Shoup(ModularUnit):
    """Modular product with a known factor, which brings its quotient along.

    Function unit: latency ``2 * stages + 1``, with `lazy` 1 less; initiation interval 1.

    Members
    -------
    x : In(bits + slack)
        Any word.
    factor : In(bits)
        Below the modulus.
    quotient : In(bits + slack)
        ``factor * 2**(bits + slack) // q``.
    q : In(bits)
        `runtime` only: any modulus, of at most as many bits.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    product : Out(bits)
        ``x * factor`` modulo the modulus; with `lazy` of bits + 1, below twice the modulus.
    """

    config: ShoupConfig

    def __init__(self, config: ShoupConfig) -> None:
        operand = config.operand_bits
        ins = {"x": operand, "factor": config.bits, "quotient": operand}
        super().__init__(config, ins, {"product": config.bits + config.lazy})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        shoup_product(m, pipeline, self.config, "x", "factor", "quotient", "product")


def shoup_product(
    m: Module,
    pipeline: Pipeline,
    config: ShoupConfig,
    x: str,
    factor: str,
    quotient: str,
    result: str,
) -> None:
    """Multiply two values of a pipeline, one of them with its quotient, as `config` says."""
    width = config.bits + 1
    estimate = Product(
        "estimate", x, quotient, min(width, config.operand_bits), config.operand_bits
    )
    low = Product("low", x, factor, width)
    pipeline.multiply([estimate, low], config.stages, drop=[x, factor, quotient])
    pipeline.let(divisor=pipeline[Q])
    rest = Product(result, "estimate", "divisor", width, addend="low", negative=True)
    pipeline.multiply([rest], config.stages, drop=["estimate", "divisor"])
    correct(m, pipeline, result, config.bits, int(not config.lazy))
