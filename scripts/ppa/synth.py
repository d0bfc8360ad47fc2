"""Synthesis: a design becomes a netlist of library cells.

Hierarchical: each distinct module is mapped once, by several recipes, and the smallest variant
that meets the target is taken. Memories are black boxes, outside area and power.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hw.emit import Emission, write_atomically
from scripts.ppa.fanout import buffer_boundaries, leaf_loads
from scripts.ppa.library import Library
from scripts.ppa.mapping import Variant, from_json, map_logic, to_json
from scripts.ppa.memories import PREFIX, stub, timed_memory
from scripts.ppa.netlist import ModuleCells, Netlist
from scripts.ppa.recipes import GATES, FrontEnd, Recipe, quick, recipes
from scripts.ppa.structure import Structure, elaborate
from scripts.ppa.timing import ABC, CLOCK, opensta
from sim.cache import SOURCE_ROOT, content_key

TIGHT = 1
"""Delay target in ps that no logic meets: sized for speed alone."""
RELAXED = 1_000_000
"""Delay target in ps that all logic meets: sized for area alone."""

SMALL_SHARE, MARGIN = 0.1, 0.75
"""A module with less than this share in the area is chosen for this part of the period."""


@dataclass(frozen=True)
class Timed:
    """A variant and its smallest period in ns, the module taken by itself."""

    variant: Variant
    min_period_ns: float


def store() -> Path:
    """Return the folder of results, ``build/ppa``."""
    return SOURCE_ROOT / "build" / "ppa"


def key_of(emission: Emission, library: Library, *more: object) -> str:
    """Return the key of results: Verilog text, library, tools, this flow's own source."""
    source = sorted(Path(__file__).parent.glob("*.py"))
    return content_key(
        [
            emission.verilog,
            library.liberty.read_bytes(),
            library.verilog.read_bytes() if library.verilog else b"",
            repr((library.name, library.driving_cell, library.load_pf, library.dont_use)),
            importlib.metadata.version("pyosys"),
            *(hashlib.sha256(path.read_bytes()).digest() for path in source),
            *map(repr, more),
        ]
    )


class Pool:
    """All variants of a design's modules that have been mapped so far.

    Parameters
    ----------
    emission, library
        The design and the cells.
    flat
        One module for all but the memories.
    timer
        What `choose_timer` returned.
    few
        Try few recipes only.

    Raises
    ------
    ValueError
        When the design is too large to be flat.
    """

    def __init__(
        self, emission: Emission, library: Library, flat: bool, timer: str, few: bool = False
    ) -> None:
        self.library, self.timer, self.flat = library, timer, flat
        self.folder = store() / key_of(emission, library, flat, timer)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.structure: Structure = elaborate(emission, flat, self.folder)
        kinds = (self.structure.multiplies, self.structure.adds, self.structure.heaps)
        self.recipes = recipes(library, *map(bool, kinds))
        if few:
            self.recipes = quick(self.recipes)
        if timer == ABC:
            # ABC's timer does not see through a library cell that it did not place.
            self.recipes = [r for r in self.recipes if r.front.adders == GATES]
        self.structural: dict[str, str] = {}
        self.modules: dict[str, list[Timed]] = {name: [] for name in self.structure.logic}
        self._done: set[tuple[Recipe, int]] = set()
        # What mapping for one target leaves for the next one.
        self._scratch = Path(tempfile.mkdtemp(prefix="rtloom-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    def aim(self, periods_ns: Iterable[float]) -> None:
        """Map for target periods: every recipe for speed, the competitive ones for each target."""
        self.add(self.recipes, [TIGHT])
        # ABC and the timer differ by some per cent: it is asked for less than the target as well.
        delays = sorted(
            max(TIGHT, round(1000 * (margin * period - self.library.register_overhead_ns)))
            for period in periods_ns
            for margin in (1.0, 0.94)
        )
        for recipe in self.survivors():
            # What a recipe cannot reach gives what aiming for speed alone gave.
            reached = 1000 * self._fastest(recipe)
            self._done |= {(recipe, delay) for delay in delays if delay < 0.9 * reached}
        self.add(self.survivors(), delays)

    def add(self, chosen: Iterable[Recipe], delays_ps: Sequence[int]) -> None:
        """Map all modules by some recipes at some delay targets, unless that was done."""
        fronts: dict[FrontEnd, dict[Recipe, list[int]]] = {}
        for recipe in chosen:
            delays = [delay for delay in delays_ps if (recipe, delay) not in self._done]
            if delays:
                fronts.setdefault(recipe.front, {})[recipe] = delays
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for wanted, variants in zip(
                fronts.values(), workers.map(self._map, fronts.values()), strict=True
            ):
                self._done |= {(r, delay) for r, delays in wanted.items() for delay in delays}
                for timed in variants:
                    self.modules[timed.variant.module].append(timed)

    def _fastest(self, recipe: Recipe) -> float:
        """Return ABC's delay in ns of the slowest module that a recipe mapped for speed."""
        timed = [t.variant for variants in self.modules.values() for t in variants]
        return max(
            (v.logic_ns for v in timed if (v.recipe, v.delay_ps) == (recipe, TIGHT)), default=0
        )

    def survivors(self) -> list[Recipe]:
        """Return the recipes with a variant that no other beats in both area and period."""
        kept: dict[Recipe, None] = {}
        for variants in self.modules.values():
            best = float("inf")
            for timed in sorted(variants, key=_by_area):
                if timed.min_period_ns < best:
                    best = timed.min_period_ns
                    kept[timed.variant.recipe] = None
        return list(kept)

    def choose(self, period_ns: float) -> dict[str, Variant]:
        """Return of every module the smallest variant that meets, or else the fastest.

        A module is timed by itself, and paths into it begin elsewhere: one with little share in
        the area is chosen faster than it need be.
        """
        chosen = {}
        areas = {
            name: self.structure.counts[name] * min(t.variant.area_um2 for t in variants)
            for name, variants in self.modules.items()
        }
        for name, variants in self.modules.items():
            share = areas[name] / sum(areas.values())
            limit = period_ns * (MARGIN if share < SMALL_SHARE else 1.0)
            meeting = [timed for timed in variants if timed.min_period_ns <= limit]
            chosen[name] = (
                min(meeting, key=_by_area)
                if meeting
                else min(variants, key=lambda timed: (timed.min_period_ns, *_by_area(timed)))
            ).variant
        return chosen

    def assemble(self, chosen: Mapping[str, Variant], period_ns: float, folder: Path) -> Netlist:
        """Write the netlist of chosen variants, with buffer trees between modules."""
        library, structure = self.library, self.structure
        texts = {name: variant.verilog for name, variant in chosen.items()} | self.structural
        cells = {name: Counter(variant.cells) for name, variant in chosen.items()}
        cells |= {name: Counter() for name in self.structural}
        instantiated = set(structure.ports)
        parents = {
            name: text
            for name, text in texts.items()
            if any(f"\n  {child} " in text for child in instantiated)
        }
        if parents:
            loads = {
                name: leaf_loads(text, structure.ports[name], library)
                for name, text in texts.items()
                if name not in parents
            }
            with tempfile.TemporaryDirectory() as scratch:
                buffered, added = buffer_boundaries(
                    parents, loads, structure.ports, library, Path(scratch)
                )
            texts |= buffered
            for name, buffers in added.items():
                cells[name] += buffers
        modules = {
            name: ModuleCells(
                area_um2=sum(library.cells[c].area_um2 * n for c, n in of_module.items()),
                cells=dict(of_module),
                count=structure.counts.get(name, 0),
                logic_ns=chosen[name].logic_ns if name in chosen else 0.0,
                logic_path=chosen[name].logic_path if name in chosen else [],
            )
            for name, of_module in cells.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        largest = max(chosen.values(), key=lambda v: v.area_um2 * structure.counts.get(v.module, 0))
        netlist = Netlist(
            top=structure.top,
            verilog=folder / f"{structure.top}.mapped.v",
            library=library,
            flat=self.flat,
            booth=largest.recipe.front.booth,
            adders=largest.recipe.front.adders,
            period_ns=period_ns,
            modules=modules,
            area_um2=sum(module.area_um2 * module.count for module in modules.values()),
            flip_flops=sum(
                number * module.count
                for module in modules.values()
                for cell, number in module.cells.items()
                if library.cells[cell].sequential == "ff"
            ),
            memory_bits=structure.memory_bits,
        )
        memories = [name for name in structure.ports if name not in texts]
        texts |= {name: stub(name, structure.ports[name]) for name in memories}
        write_atomically({netlist.verilog: "\n".join(texts[name] for name in sorted(texts))})
        netlist.save(folder / "netlist.json")
        return netlist

    def _map(self, wanted: Mapping[Recipe, Sequence[int]]) -> list[Timed]:
        """Map by recipes of one front end, or read what was mapped before."""
        name = content_key([repr((r, list(delays))) for r, delays in wanted.items()])
        kept = self.folder / f"variants-{name}.json"
        if kept.exists():
            stored = json.loads(kept.read_text())
            self.structural = stored["structural"]
            variants = from_json(stored["variants"])
            return [Timed(v, p) for v, p in zip(variants, stored["periods"], strict=True)]
        (front,) = {recipe.front for recipe in wanted}
        folder = self._scratch / content_key([repr(front)])
        variants, self.structural = map_logic(
            self.structure,
            self.library,
            front,
            {recipe.mapping: delays for recipe, delays in wanted.items()},
            folder,
        )
        periods = self._periods(variants, folder)
        stored = {
            "structural": self.structural,
            "variants": to_json(variants),
            "periods": periods,
        }
        write_atomically({kept: json.dumps(stored)})
        return [Timed(v, p) for v, p in zip(variants, periods, strict=True)]

    def _periods(self, variants: Sequence[Variant], folder: Path) -> list[float]:
        if self.timer == ABC:
            overhead = self.library.register_overhead_ns
            return [
                v.logic_ns + overhead * any(self.library.cells[cell].sequential for cell in v.cells)
                for v in variants
            ]
        # Recipes often agree on modules with little logic.
        designs: dict[str, tuple[str, Path]] = {}
        for variant in variants:
            if variant.verilog not in designs:
                file = folder / f"variant{len(designs)}.v"
                file.write_text(variant.verilog + self._children(variant))
                designs[variant.verilog] = (variant.module, file)
        timings = opensta(self.library, list(designs.values()), 1.0)
        periods = dict(zip(designs, (timing.min_period_ns for timing in timings), strict=True))
        return [periods[variant.verilog] for variant in variants]

    def _children(self, variant: Variant) -> str:
        """Return the children of a module, empty but for memories: OpenSTA must know them."""
        return "".join(
            timed_memory(child, ports, self.library, CLOCK)
            if child.startswith(PREFIX)
            else stub(child, ports)
            for child, ports in self.structure.ports.items()
            if f"\n  {child} " in variant.verilog
        )


def flat_pool(
    emission: Emission,
    library: Library,
    timer: str,
    hierarchical: Mapping[str, Variant],
) -> Pool:
    """Return the pool of a flat design, mapped as the largest of its modules was best mapped.

    A flat design is too large to try every recipe on.
    """
    pool = Pool(emission, library, True, timer)
    counts = pool.structure.counts
    largest = max(hierarchical.values(), key=lambda v: v.area_um2 * max(1, counts.get(v.module, 1)))
    pool.add([largest.recipe], sorted({TIGHT, largest.delay_ps}))
    return pool


def _by_area(timed: Timed) -> tuple[float, float]:
    return timed.variant.area_um2, timed.min_period_ns
