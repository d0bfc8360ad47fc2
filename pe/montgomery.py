"""Montgomery's product, whole or some bits at a time.

``(z - t * q) / R`` with ``t = z / q mod R`` is exact, and its numerator ends in zeros: only the
high halves of z and of ``t * q`` are subtracted, with no carry between the halves. The result lies
between -q and q for every ``z < q * R``. Where q is 1 modulo ``2**word``, t is the low word of z
itself, and a step for each word of R multiplies it by the high part of q alone; the last word has
only what is left of R.

Sources: P. L. Montgomery, "Modular Multiplication Without Trial Division" (1985); A. C. Mert and
others, "A Flexible and Scalable NTT Hardware" (2020), for words.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from pe.config import flag, integer
from pe.modular import ModularUnit, Q, StagedConfig
from pe.pipeline import Pipeline, Product


class MontgomeryConfig(StagedConfig):
    """The modulus, and how its multiples are found."""

    word: int = integer(
        "bits that a step takes off, of a modulus that is 1 modulo 2**word; 0: all in one",
        0,
        32,
        default=0,
    )
    lazy: bool = flag("no correction: results below twice the modulus", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.word and self.modulus % (1 << self.word) != 1:
            most = min(32, zeros(self.modulus - 1))
            raise ValueError(
                f"word: {self.word} is not in 0..{most}, modulus={self.modulus} is 1 modulo "
                f"2**{zeros(self.modulus - 1)} at most"
            )

    @property
    def words(self) -> int:
        """Steps."""
        return -(-self.radix_bits // self.word) if self.word else 1

    @property
    def radix_bits(self) -> int:
        """The product comes out divided by 2 to this."""
        return self.bits + 2 * self.lazy

    @property
    def inverse(self) -> int:
        """Inverse of the fixed modulus modulo the radix."""
        return pow(self.modulus, -1, 1 << self.radix_bits)

    @property
    def latency(self) -> int:
        return (1 + (self.words if self.word else 2)) * self.stages + (not self.lazy)

    @property
    def name(self) -> str:
        return self.slug("montgomery", word=self.word, lazy=self.lazy)


class Montgomery(ModularUnit):
    """Product of two residues divided by a power of two, by Montgomery's reduction.

    Function unit: initiation interval 1. Latency ``3 * stages + 1``, with words ``stages`` for the
    product and for each word, and 1; with `lazy` 1 less. The radix has as many bits as the modulus,
    with `lazy` 2 more.

    Members
    -------
    a, b : In(bits)
        Residues; with `lazy` of bits + 2 and bits + 1, their product below ``4 * modulus**2``.
    q : In(bits)
        `runtime` only: the modulus, odd and from 3 on, and 1 modulo ``2**word``.
    inverse : In(radix_bits)
        `runtime` without words only: inverse of the modulus modulo the radix.
    i_valid, i_tag, o_valid, o_tag
        Of the operands and the result.
    product : Out(bits)
        ``a * b / 2**radix_bits`` modulo the modulus; with `lazy` of bits + 1 and from 1 to below
        twice the modulus.
    """

    config: MontgomeryConfig

    def __init__(self, config: MontgomeryConfig) -> None:
        lazy = config.lazy
        ins = {"a": config.bits + 2 * lazy, "b": config.bits + lazy}
        if config.runtime and not config.word:
            ins["inverse"] = config.radix_bits
        super().__init__(config, ins, {"product": config.bits + lazy})

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        montgomery_product(m, pipeline, self.config, "a", "b", "product")


def montgomery_product(
    m: Module, pipeline: Pipeline, config: MontgomeryConfig, a: str, b: str, result: str
) -> None:
    """Multiply two values of a pipeline and reduce the product, as `config` says."""
    width = 2 * config.bits + 2 * config.lazy
    if config.word and config.runtime:
        # The low word of the modulus is known, and not taken along.
        pipeline.let(**{Q: pipeline[Q][config.word :]})
    pipeline.multiply([Product("z", a, b, width)], config.stages, drop=[a, b])
    if config.word:
        _reduce_words(m, pipeline, config)
    else:
        _reduce(pipeline, config)
    if config.lazy:
        pipeline.let(**{result: pipeline["z"][: config.bits + 1]})
        pipeline.drop("z")
    else:
        # The sign says whether the modulus is to be added.
        fixed = Signal(config.bits, name=f"{result}_fixed")
        z = pipeline["z"]
        m.d.comb += fixed.eq(z + Mux(z[-1], _modulus(pipeline, config), 0))
        pipeline.step(["z"], **{result: fixed})
    pipeline.let(**{Q: _modulus(pipeline, config)})


def _modulus(p: Pipeline, config: MontgomeryConfig) -> Value:
    return Cat(Const(1, config.word), p[Q]) if config.word and config.runtime else p[Q]


def _reduce(p: Pipeline, config: MontgomeryConfig) -> None:
    radix = config.radix_bits
    if not config.runtime:
        p.let(inverse=Const(config.inverse, radix))
    z = p["z"]
    p.let(low=z[:radix], z=z[radix:])
    p.multiply([Product("t", "low", "inverse", radix)], config.stages, drop=["low", "inverse"])
    high = p["z"] + p[Q] if config.lazy else p["z"]
    # Ones below the high half stop the borrow: the low halves are equal, and not subtracted.
    p.let(z=Cat(Const(-1, radix), high), divisor=p[Q])
    product = Product("z", "t", "divisor", config.bits + 1, radix, addend="z", negative=True)
    p.multiply([product], config.stages, drop=["t", "divisor"])


def _reduce_words(m: Module, p: Pipeline, config: MontgomeryConfig) -> None:
    word = config.word
    q_high = p[Q] if config.runtime else Const(config.modulus >> word)
    least, greatest = 0, (1 << len(p["z"])) - 1
    for step in range(config.words):
        z = p["z"]
        last = step + 1 == config.words
        size = config.radix_bits - step * word if last else word
        low, high = z[:size], z[size:]
        if step:
            high = high.as_signed()
        least = (least >> size) - ((((1 << config.bits) - 1) >> word) << word - size) * (
            (1 << size) - 1
        )
        greatest >>= size
        if last and config.lazy:
            high, greatest = high + _modulus(p, config), greatest + (1 << config.bits)
        bits = max((-least - 1).bit_length(), greatest.bit_length()) + 1
        if last:
            bits = config.bits + 1
        shape = Value.cast(high).shape()
        length = shape.width + (not shape.signed)
        addend = Signal(signed(min(bits, length)), name=f"high_{p.depth}")
        m.d.comb += addend.eq(high)
        # Of a last word the modulus' high part stands so many bits higher, and passes them by.
        passed = word - size
        p.let(low=low, z=addend[passed:].as_signed(), divisor=q_high, passed=addend[:passed])
        product = Product("z", "low", "divisor", bits - passed, addend="z", negative=True)
        p.multiply([product], config.stages, drop=["low", "divisor"])
        q_high = p[Q] if config.runtime else q_high
        p.let(z=Cat(p["passed"], p["z"]).as_signed())
        p.drop("passed")


def zeros(number: int) -> int:
    """Return how often 2 divides a number."""
    return (number & -number).bit_length() - 1
