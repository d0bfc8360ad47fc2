"""Technology mapping: every logic module of a design by several recipes and delay targets."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hw.yosys import run_yosys
from scripts.ppa.library import Library
from scripts.ppa.recipes import (
    GATES,
    MAPPINGS,
    PLAIN_CARRY,
    FrontEnd,
    Recipe,
    coarse_commands,
    full_adder_map,
)
from scripts.ppa.structure import Structure

_MODULE = re.compile(r"^module (\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_DELAY = re.compile(r"Delay = *([\d.]+) ps")
_STEP = re.compile(r"ABC: Path +\d+ -- .*? (\S+) +A = *[\d.]+ +Df = *([\d.]+)")


@dataclass(frozen=True)
class Variant:
    """One module mapped one way.

    Attributes
    ----------
    module
        Its name.
    recipe
        How it was mapped.
    delay_ps
        Delay target of sizing, for the logic between registers.
    area_um2, cells
        Its own cells, those of its children excluded.
    verilog
        The module, cells and instances of its children.
    logic_ns, logic_path
        ABC's figure; see `ModuleCells`.
    """

    module: str
    recipe: Recipe
    delay_ps: int
    area_um2: float
    cells: dict[str, int]
    verilog: str
    logic_ns: float
    logic_path: list[tuple[str, float]]


def map_logic(
    structure: Structure,
    library: Library,
    wanted: Mapping[Recipe, Sequence[int]],
    folder: Path,
) -> tuple[list[Variant], dict[str, str]]:
    """Map all logic modules by each recipe at each of its delay targets.

    A module without multipliers or adders is left out where the recipe differs in these alone.

    Parameters
    ----------
    wanted
        Delay targets in ps, at least 1, by recipe.
    folder
        For scripts and intermediate files.

    Returns
    -------
    variants, structural
        Mapped logic modules, and the text of the modules that only connect others.
    """
    (folder / "constraints").write_text(
        f"set_driving_cell {library.driving_cell}\nset_load {library.load_pf * 1000:g}\n"
    )
    (folder / "full_adder.v").write_text(full_adder_map(library))
    variants: list[Variant] = []
    structural: dict[str, str] = {}
    fronts = dict.fromkeys(recipe.front for recipe in wanted)
    for front in fronts:
        runs = [
            (recipe, delay)
            for recipe, delays in wanted.items()
            if recipe.front == front
            for delay in delays
        ]
        log = run_yosys(list(_commands(structure, library, front, runs, folder)))
        sections = _abc_sections(log)
        for i, (recipe, delay) in enumerate(runs):
            texts = _split(folder / f"run{i}.v")
            cells = _cells(folder / f"run{i}.json", library)
            structural = {name: texts[name] for name in structure.structural}
            for name in _served(structure, front):
                delay_ns, path = _abc_timing(sections[i, name])
                area = sum(library.cells[cell].area_um2 * n for cell, n in cells[name].items())
                variants.append(
                    Variant(name, recipe, delay, area, cells[name], texts[name], delay_ns, path)
                )
    return variants, structural


def to_json(variants: Sequence[Variant]) -> str:
    """Return variants as JSON text."""
    return json.dumps([asdict(variant) for variant in variants])


def from_json(text: str) -> list[Variant]:
    """Return the variants of `to_json`."""
    variants = []
    for fields in json.loads(text):
        recipe = fields.pop("recipe")
        front = FrontEnd(**recipe["front"])
        variants.append(Variant(recipe=Recipe(front, recipe["mapping"]), **fields))
    return variants


def _commands(
    structure: Structure,
    library: Library,
    front: FrontEnd,
    runs: Sequence[tuple[Recipe, int]],
    folder: Path,
) -> Iterator[str]:
    liberty = f'-liberty "{library.liberty}"'
    avoid = "".join(f" -dont_use {pattern}" for pattern in library.dont_use)
    yield f'read_rtlil "{structure.rtlil}"'
    for command in coarse_commands(front):
        yield command.format(full_adder=f'"{folder / "full_adder.v"}"')
    yield f"dfflibmap {liberty}{avoid}"
    yield "opt"
    yield "design -save gates"
    for i, (recipe, delay) in enumerate(runs):
        script = folder / f"run{i}.abc"
        script.write_text(MAPPINGS[recipe.mapping].format(D=delay) + "\n")
        yield "design -load gates"
        for name in _served(structure, front):
            yield f"log ==== {i} {name}"
            yield (
                f'abc {liberty}{avoid} -script "{script}" '
                f'-constr "{folder / "constraints"}" -D {delay} {name}'
            )
        yield "log ===="
        yield "splitnets"
        yield "opt_clean -purge"
        yield f'write_verilog -noattr -noexpr -simple-lhs "{folder / f"run{i}.v"}"'
        yield f'tee -q -o "{folder / f"run{i}.json"}" stat -json'


def _served(structure: Structure, front: FrontEnd) -> list[str]:
    """Return the modules that a front end makes something else of than the plainest one does."""
    served = set(structure.logic)
    if front.booth:
        served &= structure.multiplies
    if front.carry != PLAIN_CARRY or front.adders != GATES:
        served &= structure.adds
    return [name for name in structure.logic if name in served]


def _abc_sections(log: str) -> dict[tuple[int, str], str]:
    sections: dict[tuple[int, str], str] = {}
    for part in re.split(r"^==== ", log, flags=re.MULTILINE):
        heading = re.match(r"(\d+) (\S+)\n", part)
        if heading:
            sections[int(heading[1]), heading[2]] = part
    return sections


def _abc_timing(section: str) -> tuple[float, list[tuple[str, float]]]:
    delays = _DELAY.findall(section)
    if not delays:
        return 0.0, []
    steps = [(cell, float(ps) / 1000) for cell, ps in _STEP.findall(section)]
    return float(delays[-1]) / 1000, steps


def _split(file: Path) -> dict[str, str]:
    # OpenSTA knows no signed nets, and a mapped netlist needs none.
    text = re.sub(r"^( *(?:wire|input|output)) signed ", r"\1 ", file.read_text(), flags=re.M)
    return {match[1].removeprefix("\\"): match[0] for match in _MODULE.finditer(text)}


def _cells(report: Path, library: Library) -> dict[str, dict[str, int]]:
    modules = json.loads(report.read_text())["modules"]
    return {
        name.removeprefix("\\"): {
            cell: number
            for cell, number in module["num_cells_by_type"].items()
            if cell in library.cells
        }
        for name, module in modules.items()
    }
