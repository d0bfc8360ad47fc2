# amaranth: UnusedElaboratable=no
"""Loop nests: what is counted from them, against loops that run; equal nests are equal engines."""

from itertools import product
from pathlib import Path

import pytest
from helpers import config_of, designs
from hypothesis import given
from hypothesis import strategies as st

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from hw.engine import EngineConfig, GemmEngine
from hw.nest import Dimension, Nest, Order
from pe.element import INTEGER
from pe.primitives import Primitive
from pe.registry import PES
from scripts.nests import page

ENGINES = [design.name for design in designs(Kind.GEMM_ENGINE)]
DOCS = Path(__file__).resolve().parent.parent / "docs"

PES_OF = {name: DESIGNS[name].config().pes for name in ENGINES}  # type: ignore[attr-defined]
CLASSIC = [name for name in ENGINES if PES.keys() <= PES_OF[name].keys()]

extent = st.integers(1, 9)


def engine_of(name: str, **settings: int | str) -> GemmEngine:
    engine = DESIGNS[name].component(config_of(DESIGNS[name], **settings))
    assert isinstance(engine, GemmEngine)
    return engine


def run(nest: Nest, sizes: dict[Dimension, int]) -> dict[Primitive, int]:
    """Run the loops and count; temporal ones end where their dimension does."""
    temporal = [x.order is Order.TEMPORAL for x in nest.loops]
    done: dict[Primitive, set[tuple[int, tuple[int, ...]]]] = {p: set() for p in Primitive}
    trips = nest.trips(sizes[Dimension.M], sizes[Dimension.K], sizes[Dimension.N])
    for point in product(*map(range, trips)):
        first: dict[Dimension, int] = dict.fromkeys(Dimension, 0)
        for number, loop in enumerate(nest.loops):
            inner = [x.extent or 1 for x in nest.loops[number + 1 :] if x[0] is loop.dimension]
            step = point[number] if temporal[number] else 0
            for extent_ in inner:
                step *= extent_
            first[loop.dimension] += step
        if all(first[dimension] < size for dimension, size in sizes.items()):
            for index, (primitive, inside) in enumerate(nest.primitives):
                done[primitive].add((index, tuple(point[number] for number in inside)))
    return {primitive: len(points) for primitive, points in done.items()}


@pytest.mark.parametrize(("name", "pe"), [(name, pe) for name in ENGINES for pe in PES_OF[name]])
@given(m=extent, k=extent, n=extent)
def test_counts_are_those_of_loops_that_run(name: str, pe: str, m: int, k: int, n: int) -> None:
    lanes = min(2, getattr(PES_OF[name][pe], "most_terms", 2))
    integers = PES_OF[name][pe].format_a == PES_OF[name][pe].format_b == INTEGER
    widths = {"width_a": 4, "width_b": 4} if integers else {}
    nest = engine_of(name, pe=pe, rows=2, cols=3, lanes=lanes, depth=4, **widths).nest
    sizes = {Dimension.M: m, Dimension.K: k, Dimension.N: n}
    assert nest.counts(m, k, n) == run(nest, sizes)
    for primitive, count in nest.counts(m, k, n).items():
        text = nest.count_text(primitive).replace("ceil(", "-(-").replace("/", "//")
        assert eval(text, {"M": m, "K": k, "N": n}) == count


@pytest.mark.parametrize("name", ENGINES)
def test_the_nest_covers_the_tile(name: str) -> None:
    engine = engine_of(name, rows=2, cols=3, lanes=2, depth=4)
    lanes = 1
    for loop in engine.nest.loops:
        if loop.order is not Order.TEMPORAL and loop.dimension is not Dimension.WEIGHT:
            lanes *= loop.extent or 1
    assert lanes == engine.macs_per_cycle


def test_carries_leave_the_loop() -> None:
    """A running sum in carry-save form is added up once a result, a plain one twice a product."""
    side = 32
    for name in CLASSIC:
        plain, opt1 = (
            engine_of(name, pe=pe, rows=4, cols=4, lanes=4, depth=side).nest.counts(*[side] * 3)
            for pe in ("mac", "opt1")
        )
        assert plain[Primitive.ADD] >= 2 * side**3
        assert opt1[Primitive.ADD] <= 2 * side**3 / 4
        edge = engine_of(name, pe="opt1", encoder_at="edge", rows=4, cols=4, lanes=4, depth=side)
        encoded = edge.nest.counts(*[side] * 3)[Primitive.ENCODE]
        assert encoded * 4 == opt1[Primitive.ENCODE] == side**3


def test_equal_nests_are_equal_engines() -> None:
    texts: dict[tuple[object, ...], set[str]] = {}
    names: dict[tuple[object, ...], set[str]] = {}
    for name, (rows, cols, lanes) in product(ENGINES, [(1, 1, 1), (2, 2, 2), (1, 3, 2), (2, 3, 1)]):
        design = DESIGNS[name]
        config = config_of(design, rows=rows, cols=cols, lanes=lanes, width_a=4, width_b=4)
        assert isinstance(config, EngineConfig)
        emission = emit(design.component, config)
        body = "".join(x for x in emission.verilog.splitlines(True) if not x.startswith("//"))
        nest = design.component(config).nest
        texts.setdefault(nest, set()).add(body)
        names.setdefault(nest, set()).add(name)
    assert all(len(bodies) == 1 for bodies in texts.values())
    assert sum(len(engines) > 1 for engines in names.values()) >= 3


def test_the_page_is_what_the_nests_say() -> None:
    """`python -m scripts.nests > docs/bit_weight.md` writes it."""
    assert (DOCS / "bit_weight.md").read_text() == page()
