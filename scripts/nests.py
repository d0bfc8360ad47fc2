# amaranth: UnusedElaboratable=no
"""The page of the bit-weight engines, docs/bit_weight.md, from their loop nests.

``python -m scripts.nests`` prints it.
"""

from typing import Any

from hw.catalog import DESIGNS, Design, Kind
from hw.engine import EngineConfig, GemmEngine
from pe.bit_weight import EDGE, BitWeightConfig
from pe.primitives import Primitive

SIDE = 1024
"""M, K and N of the product for which operations are counted."""

_INTRO = f"""# Bit-weight engines

An INT8 product is a sum over bit weights: A is recoded into radix-4 digits, a digit selects a
multiple of B, and the multiples are compressed, shifted and added. A GEMM has four loops, M, N, K
and bit weight (w), and an engine is the order of the loops, which of them are spatial, and where
the five primitives stand among them. `rtloom describe ENGINE -s pe=PE` prints that nest for any
settings. `python -m scripts.nests` prints this page; cycles and counts come from the nests.

Source: *Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs*, HPCA 2025 (arXiv 2503.06342).

| `-s pe=` | what it is |
|---|---|
| `mac` | a product and an addition, both with carry propagation, left to synthesis |
| `fused` | product and running sum in one bit heap, one addition with carry propagation a step |
| `opt1` | the running sum in carry-save form; carries are propagated once a result |
| `opt2` | as OPT1; rows of equal bit weight are compressed, over K, before they are shifted |
| `mix` | as fused, but B is recoded: 4-bit weights (MixPE, arXiv 2411.16158) |
| `switchable` | W8A8 or two W4A8 products at once, as each weight says |
| `ternary` | B is -1, 0 or 1: A is added, subtracted or left out |
| `shift` | B is a signed power of two: A is shifted |
| `fp4` | A and B are FP4 E2M1 numbers, sums exact |
| `fp8` | A and B are FP8 E4M3 numbers, sums exact |
| `mitchell` | the same, multiplied by adding exponents and mantissas as one integer |
| `l_mul` | as mitchell, with an offset (L-Mul, arXiv 2410.00907) |
| `w4a16` | A is FP16, B an integer of 4 bits, sums exact |
| `ternary_look_up` | as ternary, several products at once, looked up (arXiv 2504.16266) |
| `opt3` | a non-zero digit of B a cycle, the time depends on the operands; an encoder in each PE |
| `opt4c` | as OPT3, the encoder shared by a column of PEs |
| `opt4e` | as OPT4C, a digit of each bit weight a cycle, of any of four elements |
| `laconic` | of 16 lanes a power of two of A times one of B a cycle (ISCA 2019) |

`-s encoder_at=edge` recodes A once at the edge of an engine, for all PEs that share it;
`-s digits=ent` takes EN-T digits instead of Booth's, `digits=bits` plain bits; `-s stages=N`
pipelines a PE; `schedule`, `counters` and `adder` choose compressor trees and carry-propagate
adders.

## Operations of a MAC

Each primitive over M K N, for a product of {SIDE} x {SIDE} x {SIDE}; default sizes. Those of
bit-slice engines are the most that there can be: digits that are zero take no time. Those of
`switchable` are of wide weights; two narrow ones share what is counted here for one.

"""


def page() -> str:
    """Return the page as Markdown."""
    engines = [design for design in DESIGNS.values() if design.kind is Kind.GEMM_ENGINE]
    rows = ["| engine | PE | " + " | ".join(p.value for p in Primitive) + " |"]
    rows.append("|---|---|" + "---:|" * len(Primitive))
    for design in engines:
        for name, settings in _pes(design):
            counts = _engine(design, settings).nest.counts(SIDE, SIDE, SIDE)
            shares = (f"{counts[p] / SIDE**3:.4g}" for p in Primitive)
            rows.append(f"| `{design.name}` | {name} | " + " | ".join(shares) + " |")
    parts = [_INTRO + "\n".join(rows) + "\n\n## Nests\n"]
    for design in engines:
        parts.append(f"### `{design.name}`: {design.summary}\n")
        alike: dict[tuple[str | None, tuple[str, ...]], list[str]] = {}
        for name, settings in _pes(design):
            engine = _engine(design, settings)
            nest = tuple(engine.nest.lines())
            alike.setdefault((engine.cycle_formula, nest), []).append(name)
        for (cycles, lines), names in alike.items():
            parts.append(f"{', '.join(names)}; cycles: {cycles}.\n")
            parts.append("\n".join(f"    {line}" for line in lines) + "\n")
    return "\n".join(parts)


def _pes(design: Design) -> list[tuple[str, dict[str, Any]]]:
    """List the PEs of an engine with their settings; some recode A in each PE or at the edge."""
    found: list[tuple[str, dict[str, Any]]] = []
    assert issubclass(design.config, EngineConfig)
    for name, config in design.config.pes.items():
        terms = config().terms
        few = terms > 1 and design.config().terms % terms
        found.append((f"`{name}`", {"pe": name, **({"lanes": terms} if few else {})}))
        if issubclass(config, BitWeightConfig) and not config.recodes_b:
            found.append((f"`{name}`, edge", {"pe": name, "encoder_at": EDGE}))
    return found


def _engine(design: Design, settings: dict[str, Any]) -> GemmEngine:
    config = design.config.from_settings(settings)
    assert isinstance(config, EngineConfig)
    engine = design.component(config)
    assert isinstance(engine, GemmEngine)
    return engine


if __name__ == "__main__":
    print(page(), end="")
