"""Barrett's reduction, generalised: quotients by a reciprocal, as few corrections as it takes.

Of ``z < 2**(k + excess)`` modulo a q of exactly k bits, with ``mu = 2**(k + alpha) // q``, the
quotient is taken for ``((z >> (k - drop)) * mu) >> (alpha + drop)``. It is never too large, and by
how much it may be too small is bounded at elaboration, see `Reduction.largest`.

Sources: P. Barrett, CRYPTO 1986; J.-F. Dhem, "Design of an efficient public-key cryptographic
library for RISC-based smart cards" (1998).
"""

from fractions import Fraction
from math import ceil
from typing import NamedTuple

from amaranth.hdl import Const, Module, Signal

from pe.config import choice, flag, integer
from pe.modular import ModularUnit, Q, StagedConfig, correct
from pe.pipeline import Pipeline, Product

AUTO = "auto"
CORRECTIONS = (AUTO, "1", "2", "3")


class Reduction(NamedTuple):
    """Parameters of a reduction, and what follows from the theorem."""

    modulus: int
    runtime: bool
    excess: int
    alpha: int
    drop: int

    @property
    def bits(self) -> int:
        """Bits k of the modulus."""
        return self.modulus.bit_length()

    @property
    def mu(self) -> int:
        """Reciprocal of the fixed modulus."""
        return (1 << (self.bits + self.alpha)) // self.modulus

    @property
    def bound(self) -> Fraction:
        """What no remainder reaches before corrections, in units of the modulus.

        A remainder is below ``q + b * rho / 2**s + z0``, where z is b and z0 side by side,
        ``s = alpha + drop`` and ``rho = 2**(k + alpha) % q``. Of a modulus that is not known,
        ``rho < q`` and ``q > 2**(k - 1)``.
        """
        b = ((1 << (self.bits + self.excess)) - 1) >> (self.bits - self.drop)
        z0 = (1 << (self.bits - self.drop)) - 1
        scale = 1 << (self.alpha + self.drop)
        if self.runtime:
            return 1 + Fraction(b, scale) + Fraction(z0, (1 << (self.bits - 1)) + 1)
        rho = (1 << (self.bits + self.alpha)) % self.modulus
        largest = (self.modulus * (scale - 1) + b * rho) // scale + z0
        return Fraction(largest + 1, self.modulus)

    @property
    def corrections(self) -> int:
        """Subtractions that bring every remainder below the modulus."""
        return ceil(self.bound) - 1

    @property
    def width(self) -> int:
        """Bits of a remainder before corrections."""
        greatest = (1 << self.bits) - 1 if self.runtime else self.modulus
        return (ceil(self.bound * greatest) - 1).bit_length()


class _BarrettConfig(StagedConfig):
    """How a quotient is estimated."""

    guard: int = integer(
        "bits of the reciprocal beyond those that z has beyond the modulus", 0, 8, default=1
    )
    drop: int = integer(
        "bits below the modulus' width that the estimate looks at", 0, 64, default=2
    )
    corrections: str = choice(
        "subtractions after the estimate; auto derives them", lambda: CORRECTIONS, default=AUTO
    )
    lazy: bool = flag("no correction: remainders below twice the modulus", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drop > self.bits:
            raise ValueError(
                f"drop: {self.drop} is not in 0..{self.bits}, the bits of modulus={self.modulus}"
            )
        needed = self.reduction.corrections
        if self.lazy:
            if self.corrections != AUTO:
                raise ValueError(f"corrections: '{self.corrections}' is not auto, with lazy=true")
            if self.reduction.bound > 2:
                raise ValueError(
                    f"lazy: true needs remainders below 2 * modulus; guard={self.guard} and "
                    f"drop={self.drop} leave up to {needed + 1} * modulus"
                )
        elif self.corrections not in (AUTO, str(needed)):
            short = int(self.corrections) < needed
            reason = "cannot cover" if short else "are more than it takes for"
            raise ValueError(
                f"corrections: {self.corrections} {reason} remainders below {needed + 1} * "
                f"modulus, which need {needed}"
            )

    @property
    def excess_bits(self) -> int:
        """Bits of what is reduced beyond those of the modulus."""
        raise NotImplementedError

    @property
    def alpha(self) -> int:
        """The reciprocal is ``2**(bits + alpha) // modulus``, of alpha + 1 bits."""
        return self.excess_bits + self.guard

    @property
    def reduction(self) -> Reduction:
        """Parameters of the theorem."""
        return Reduction(self.modulus, self.runtime, self.excess_bits, self.alpha, self.drop)

    @property
    def steps(self) -> int:
        """Subtractions that there are."""
        return 0 if self.lazy else self.reduction.corrections

    @property
    def result_bits(self) -> int:
        """Bits of a result."""
        return self.reduction.width if self.lazy else self.bits

    @property
    def ports(self) -> dict[str, int]:
        """Ports of the constants of a modulus given at run time."""
        return {"mu": self.alpha + 1} if self.runtime else {}

    @property
    def options(self) -> dict[str, str | int | bool]:
        """What stands in a name."""
        fields = self.__dataclass_fields__
        numbers = {
            key: f"{getattr(self, key)}"
            for key in ("guard", "drop")
            if getattr(self, key) != fields[key].default
        }
        fixed = "" if self.corrections == AUTO else self.corrections
        return {**numbers, "corrections": fixed, "lazy": self.lazy}


class BarrettReduceConfig(_BarrettConfig):
    """Modulus, and how much longer than it the words are that are reduced."""

    excess: int = integer("bits of a word beyond those of the modulus", 1, 66, default=8)

    @property
    def excess_bits(self) -> int:
        return self.excess

    @property
    def latency(self) -> int:
        return 2 * self.stages + self.steps

    @property
    def name(self) -> str:
        excess = self.excess if self.excess != 8 else 0
        return self.slug("barrett_reduce", excess=excess, **self.options)


class BarrettReduce(ModularUnit):
    """Remainder of a word, by generalised Barrett reduction.

    Function unit: latency ``2 * stages`` and one for each correction, initiation interval 1.

    Members
    -------
    z : In(bits + excess)
        Any word.
    q : In(bits)
        `runtime` only: the modulus, of exactly as many bits.
    mu : In(alpha + 1)
        `runtime` only: ``2**(bits + alpha) // q``.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    remainder : Out(bits)
        z modulo q; with `lazy` below twice the modulus, and a bit longer where it takes that.
    """

    config: BarrettReduceConfig

    def __init__(self, config: BarrettReduceConfig) -> None:
        ins = {"z": config.bits + config.excess, **config.ports}
        super().__init__(config, ins, {"remainder": config.result_bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        barrett_reduce(pipeline, self.config.reduction, self.config.stages, "remainder")
        correct(m, pipeline, "remainder", self.config.bits, self.config.steps)


class BarrettConfig(_BarrettConfig):
    """Modulus and estimate of a modular product."""

    @property
    def excess_bits(self) -> int:
        return self.bits + (2 if self.lazy else 0)

    @property
    def latency(self) -> int:
        return 3 * self.stages + self.steps + (2 if self.runtime else 0)

    @property
    def name(self) -> str:
        return self.slug("barrett", **self.options)


class Barrett(ModularUnit):
    """Modular product by generalised Barrett reduction.

    Function unit: latency ``3 * stages`` and one for each correction, 2 more with `runtime`;
    initiation interval 1. A modulus given at run time is shifted to full width, and so is the first
    operand; the result is shifted back.

    Members
    -------
    a, b : In(bits)
        Any words; with `lazy` of bits + 2 and bits + 1, their product below ``4 * modulus**2``.
    q : In(bits)
        `runtime` only: any odd modulus from 3 on, times ``2**shift`` so that its top bit is 1.
    mu : In(alpha + 1)
        `runtime` only: ``2**(bits + alpha) // q``.
    shift : In
        `runtime` only.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    product : Out(bits)
        ``a * b`` modulo the modulus; with `lazy` of bits + 1, below twice the modulus.
    """

    config: BarrettConfig

    def __init__(self, config: BarrettConfig) -> None:
        lazy = config.lazy
        ins = {"a": config.bits + 2 * lazy, "b": config.bits + lazy, **config.ports}
        if config.runtime:
            ins["shift"] = (config.bits - 1).bit_length()
        super().__init__(config, ins, {"product": config.result_bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        config = self.config
        if config.runtime:
            a = Signal(len(self.a), name="a_shifted")
            m.d.comb += a.eq(pipeline["a"] << pipeline["shift"])
            pipeline.step(a=a)
        barrett_product(m, pipeline, config, "a", "b", "product")
        if config.runtime:
            product = Signal(config.result_bits, name="product_shifted")
            m.d.comb += product.eq(pipeline["product"] >> pipeline["shift"])
            pipeline.step(product=product)


def barrett_product(
    m: Module, pipeline: Pipeline, config: BarrettConfig, a: str, b: str, result: str
) -> None:
    """Multiply two values of a pipeline and reduce the product, as `config` says."""
    width = config.bits + config.excess_bits
    pipeline.multiply([Product("z", a, b, width)], config.stages, drop=[a, b])
    barrett_reduce(pipeline, config.reduction, config.stages, result)
    correct(m, pipeline, result, config.bits, config.steps)


def barrett_reduce(pipeline: Pipeline, reduction: Reduction, stages: int, result: str) -> None:
    """Replace z of a pipeline by its remainder before corrections, in ``2 * stages`` steps."""
    r = reduction
    if not r.runtime:
        pipeline.let(mu=Const(r.mu, r.mu.bit_length()))
    z = pipeline["z"]
    # Of z itself only as many bits are needed as a remainder has.
    pipeline.let(high=z[r.bits - r.drop :], z=z[: r.width])
    quotient = Product("quotient", "high", "mu", min(r.excess + 1, r.width), r.alpha + r.drop)
    pipeline.multiply([quotient], stages, drop=["high", "mu"])
    pipeline.let(divisor=pipeline[Q])
    remainder = Product(result, "quotient", "divisor", r.width, addend="z", negative=True)
    pipeline.multiply([remainder], stages, drop=["quotient", "divisor"])
