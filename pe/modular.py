"""What the units of modular arithmetic share: moduli, ports and the steps of their pipelines."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pe.config import Config, flag, integer
from pe.pipeline import VALID, Pipeline
from pe.unit import Unit

TAG, Q = "tag", "q"


class TaggedConfig(Config):
    """A modulus, and a tag that accompanies operands."""

    modulus: int = integer("an odd number", 3, (1 << 64) - 1, default=193)
    tag: int = integer("bits of a tag that comes back with the result", 0, 64, default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modulus % 2 == 0:
            raise ValueError(f"modulus: {self.modulus} is even; it must be odd")

    @property
    def bits(self) -> int:
        """Bits of the modulus."""
        return self.modulus.bit_length()

    @property
    def latency(self) -> int:
        """Cycles from operands to result."""
        raise NotImplementedError

    def slug(self, unit: str, **options: str | int | bool) -> str:
        """Put a name together; an option that is false or 0 is left out."""
        parts = [unit, f"q{self.modulus}"]
        for key, value in options.items():
            if value:
                parts.append(key if value is True else f"{key}{value}")
        return "_".join([*parts, *([f"tag{self.tag}"] if self.tag else [])])


class ModularConfig(TaggedConfig):
    """A fixed modulus, or the width of one that comes with the operands."""

    runtime: bool = flag(
        "the modulus comes with the operands; `modulus` is the largest one", default=False
    )

    def slug(self, unit: str, **options: str | int | bool) -> str:
        return super().slug(unit, runtime=self.runtime, **options)


class StagedConfig(ModularConfig):
    """A modulus, and how deep multipliers are pipelined."""

    stages: int = integer("pipeline stages of a multiplier", 1, 8, default=1)

    def slug(self, unit: str, **options: str | int | bool) -> str:
        stages = self.stages if self.stages > 1 else 0
        return super().slug(unit, stages=stages, **options)


class ModularUnit(Unit):
    """A pipeline of modular arithmetic: initiation interval 1, no state beyond the pipeline."""

    config: TaggedConfig

    def __init__(
        self, config: TaggedConfig, inputs: dict[str, int], outputs: dict[str, int]
    ) -> None:
        ins = dict(inputs)
        if getattr(config, "runtime", False):
            ins[Q] = config.bits
        ins["i_valid"], outs = 1, {**outputs, "o_valid": 1}
        if config.tag:
            ins["i_tag"], outs["o_tag"] = config.tag, config.tag
        members: dict[str, wiring.Member] = {name: In(shape) for name, shape in ins.items()}
        members |= {name: Out(width) for name, width in outs.items()}
        super().__init__(config, members)
        self._operands = [name for name in ins if name not in ("i_valid", "i_tag")]
        self._results = list(outputs)

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Cycles from operands to result."""
        return self.config.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        values: dict[str, Value] = {
            name: Value.cast(getattr(self, name)) for name in self._operands
        }
        values[VALID] = self.i_valid
        if self.config.tag:
            values[TAG] = self.i_tag
        if Q not in values:
            values[Q] = Const(self.config.modulus, self.config.bits)
        pipeline = Pipeline(m, values)
        self.compute(m, pipeline)
        assert pipeline.depth == self.latency
        m.d.comb += self.o_valid.eq(pipeline[VALID])
        if self.config.tag:
            m.d.comb += self.o_tag.eq(pipeline[TAG])
        for name in self._results:
            m.d.comb += getattr(self, name).eq(pipeline[name])
        return m

    def compute(self, m: Module, pipeline: Pipeline) -> None:
        """Make the results, by their ports' names, from the operands."""
        raise NotImplementedError


def reduced(m: Module, name: str, x: Value, q: Value, bits: int) -> Value:
    """Return ``x - q`` where that is not negative, else x; both fit in `bits` bits.

    The sign is the carry of the one adder there is.
    """
    difference = Signal(bits + 1, name=name)
    m.d.comb += difference.eq(x - q)
    return Mux(difference[-1], x[:bits], difference[:-1])


def correct(m: Module, pipeline: Pipeline, name: str, bits: int, count: int) -> None:
    """Bring a value that is below ``(count + 1) * q`` below q, a step for each subtraction."""
    for left in reversed(range(count)):
        width = (((left + 1) << bits) - 1).bit_length()
        difference = f"{name}_less_{pipeline.depth}"
        value = reduced(m, difference, pipeline[name], pipeline[Q], width)
        pipeline.step(**{name: value})


def halved(m: Module, name: str, x: Value, q: Value) -> Value:
    """Return half of x modulo an odd q: x, or x + q where x is odd, without the low bit."""
    total = Signal(max(len(x), len(q)) + 1, name=f"{name}_even_unused")
    m.d.comb += total.eq(x + Mux(x[0], q, 0))
    return total[1:]
