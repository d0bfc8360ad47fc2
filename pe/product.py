"""Products of residues by any of the reductions."""

from amaranth.hdl import Module

from pe.barrett import BarrettConfig, barrett_product
from pe.config import choice
from pe.modular import ModularUnit, Q, StagedConfig
from pe.montgomery import MontgomeryConfig, montgomery_product, zeros
from pe.pipeline import Pipeline, Product
from pe.shoup import ShoupConfig, shoup_product
from pe.solinas import SolinasConfig, solinas_reduce

BARRETT, MONTGOMERY, WORDS = "barrett", "montgomery", "word_montgomery"
SHOUP = "shoup"
SOLINAS = "solinas"
REDUCERS = (BARRETT, MONTGOMERY, WORDS, SHOUP, SOLINAS)

MOST_WORD = 32


class ReducerConfig(StagedConfig):
    """How products are reduced."""

    reducer: str = choice("reduction of the product", lambda: REDUCERS, default=BARRETT)

    lazy = False
    """No correction of the product."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reducer == SOLINAS:
            if self.runtime:
                raise ValueError("runtime: true is not false, all that reducer=solinas allows")
            if self.lazy:
                raise ValueError("lazy: true is not false, all that reducer=solinas allows")
            SolinasConfig(modulus=self.modulus)

    @property
    def barrett(self) -> BarrettConfig:
        """Config of the product, with reducer=barrett."""
        return BarrettConfig(
            modulus=self.modulus, runtime=self.runtime, stages=self.stages, lazy=self.lazy
        )

    @property
    def word(self) -> int:
        """Bits that a step of word_montgomery takes off; 0 of the others."""
        return min(MOST_WORD, zeros(self.modulus - 1)) if self.reducer == WORDS else 0

    @property
    def montgomery(self) -> MontgomeryConfig:
        """Config of the product, with reducer=montgomery and word_montgomery."""
        return MontgomeryConfig(
            modulus=self.modulus,
            runtime=self.runtime,
            stages=self.stages,
            lazy=self.lazy,
            word=self.word,
        )

    @property
    def shoup(self) -> ShoupConfig:
        """Config of the product, with reducer=shoup."""
        return ShoupConfig(
            modulus=self.modulus,
            runtime=self.runtime,
            stages=self.stages,
            slack=2 * self.lazy,
            lazy=self.lazy,
        )

    @property
    def solinas(self) -> SolinasConfig:
        """Config of the reduction, with reducer=solinas."""
        return SolinasConfig(modulus=self.modulus, excess=self.bits)

    @property
    def radix_bits(self) -> int:
        """The product is divided by two to this."""
        return self.montgomery.radix_bits if self.reducer in (MONTGOMERY, WORDS) else 0

    @property
    def product_latency(self) -> int:
        """Cycles of the product."""
        match self.reducer:
            case "barrett":
                return 3 * self.stages + self.barrett.steps
            case "shoup":
                return self.shoup.latency
            case "solinas":
                return self.stages + self.solinas.latency
            case _:
                return self.montgomery.latency

    @property
    def ports(self) -> dict[str, int]:
        """Ports of constants of the second factor and of a modulus given at run time."""
        if self.reducer == SHOUP:
            return {"quotient": self.shoup.operand_bits}
        if self.runtime and self.reducer == BARRETT:
            return self.barrett.ports
        if self.runtime and self.reducer == MONTGOMERY:
            return {"inverse": self.montgomery.radix_bits}
        return {}

    def constants(self, q: int) -> dict[str, int]:
        """What the ports of a modulus given at run time are given for one of as many bits."""
        if not self.runtime:
            return {}
        found = {Q: q}
        if self.reducer == BARRETT:
            found["mu"] = (1 << (self.bits + self.barrett.alpha)) // q
        elif self.reducer == MONTGOMERY:
            found["inverse"] = pow(q, -1, 1 << self.montgomery.radix_bits)
        return found

    def reducer_slug(self, unit: str, **options: str | int | bool) -> str:
        """Put a name together in which the default reducer is left out."""
        named = {self.reducer: True} if self.reducer != BARRETT else {}
        return self.slug(unit, **named, lazy=self.lazy, **options)


def modular_product(
    m: Module, p: Pipeline, config: ReducerConfig, a: str, b: str, result: str
) -> None:
    """Multiply two values of a pipeline and reduce the product, as `config` says.

    With reducer=shoup ``quotient`` belongs to `b`.
    """
    match config.reducer:
        case "barrett":
            barrett_product(m, p, config.barrett, a, b, result)
        case "shoup":
            shoup_product(m, p, config.shoup, a, b, "quotient", result)
        case "solinas":
            p.multiply([Product("z", a, b, 2 * config.bits)], config.stages, [a, b])
            solinas_reduce(m, p, config.modulus, result)
        case _:
            montgomery_product(m, p, config.montgomery, a, b, result)


class ModularProductConfig(ReducerConfig):
    """A modulus, and how products are reduced."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reducer == SHOUP:
            raise ValueError(f"reducer: {SHOUP!r} has no product of two residues")

    @property
    def latency(self) -> int:
        return self.product_latency

    @property
    def name(self) -> str:
        return self.reducer_slug("product")


class ModularProduct(ModularUnit):
    """Product of two residues.

    Function unit: initiation interval 1, latency `product_latency`.

    Members
    -------
    a, b : In(bits)
        Residues.
    q, mu, inverse : In
        `runtime` only, as of `pe.butterfly.Butterfly`.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    product : Out(bits)
        ``a * b``, with Montgomery's reduction divided by the radix, modulo the modulus.
    """

    config: ModularProductConfig

    def __init__(self, config: ModularProductConfig) -> None:
        ins = {"a": config.bits, "b": config.bits, **config.ports}
        super().__init__(config, ins, {"product": config.bits})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        modular_product(m, pipeline, self.config, "a", "b", "product")
