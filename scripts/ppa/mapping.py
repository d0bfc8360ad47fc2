"""Technology mapping: every logic module of a design by several recipes and delay targets."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hw.yosys import run_yosys
from scripts.ppa.library import Library
from scripts.ppa.recipes import (
    GATES,
    MAPPINGS,
    PLAIN_CARRY,
    SIZING,
    FrontEnd,
    Recipe,
    coarse_commands,
    full_adder_map,
)
from scripts.ppa.structure import Structure

_INSTANCE = re.compile(r"^  (\w+) \S+ \(", re.MULTILINE)
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
    front: FrontEnd,
    wanted: Mapping[str, Sequence[int]],
    folder: Path,
) -> tuple[list[Variant], dict[str, str]]:
    """Map all logic modules by some mapping scripts behind a front end, at some delay targets.

    A module without multipliers or adders is left out where the front end differs in these alone.

    Parameters
    ----------
    wanted
        Delay targets in ps, at least 1, by name of a mapping script.
    folder
        For scripts and intermediate files. A later call for the same front end finds the gates
        and the covers of an earlier one there, and only sizes.

    Returns
    -------
    variants, structural
        Mapped logic modules, and the text of the modules that only connect others.
    """
    run = _Run(structure, library, front, folder)
    sized = run.size(wanted)
    texts = run.import_cells({(s.module, s.cells_text) for s in sized})
    cells = {key: _cells(text, library) for key, text in texts.items()}
    variants = []
    for s in sized:
        key = (s.module, s.cells_text)
        area = sum(library.cells[cell].area_um2 * n for cell, n in cells[key].items())
        recipe = Recipe(front, s.mapping)
        variants.append(
            Variant(
                s.module, recipe, s.delay_ps, area, cells[key], texts[key], s.logic_ns, s.logic_path
            )
        )
    return variants, {name: texts[name, ""] for name in structure.structural}


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


@dataclass(frozen=True)
class _Sized:
    """A module as ABC has mapped and sized it; `cells_text` is ABC's netlist, in BLIF."""

    module: str
    mapping: str
    delay_ps: int
    cells_text: str
    logic_ns: float
    logic_path: list[tuple[str, float]]


class _Run:
    """ABC on the modules that a front end serves, inside Yosys.

    The folder keeps ``gates.il``, what the front end made, and by mapping script and module
    ``MAPPING-MODULE.cover.blif``, the cells before they are sized.
    """

    def __init__(
        self, structure: Structure, library: Library, front: FrontEnd, folder: Path
    ) -> None:
        self._structure, self._library, self._front, self._folder = (
            structure,
            library,
            front,
            folder,
        )
        self._served = _served(structure, front)
        folder.mkdir(exist_ok=True)
        (folder / "constraints").write_text(
            f"set_driving_cell {library.driving_cell}\nset_load {library.load_pf * 1000:g}\n"
        )
        avoid = "".join(f" -dont_use {pattern}" for pattern in library.dont_use)
        self._liberty = f'-liberty "{library.liberty}"{avoid}'

    def size(self, wanted: Mapping[str, Sequence[int]]) -> list[_Sized]:
        """Map every served module by mapping scripts, and size it for their delay targets."""
        jobs = [(mapping, module) for mapping in wanted for module in self._served]
        commands = list(self._gates())
        for i, (mapping, module) in enumerate(jobs):
            cover = self._file(f"{list(MAPPINGS).index(mapping)}-{self._index(module)}.cover.blif")
            script = [] if cover.exists() else [MAPPINGS[mapping], f"write_blif {cover}"]
            for delay in wanted[mapping]:
                script += [f"read_blif {cover}", SIZING.format(delay_ps=delay)]
                script.append(f"write_blif {self._file(f'{i}-{delay}.blif')}")
            # Yosys does not start ABC where there is nothing to map.
            self._file(f"{i}.abc").write_text("\n".join(script) + "\n")
            commands += [f"log ==== {i}", self._abc(f"{i}.abc", module), "log ===="]
            # All scripts start from the same gates.
            commands.append("design -load gates")
        sections = _abc_sections(run_yosys(commands))
        found = []
        for i, (mapping, module) in enumerate(jobs):
            timings = _abc_timings(sections[i])
            for k, delay in enumerate(wanted[mapping]):
                file = self._file(f"{i}-{delay}.blif")
                text = file.read_text().partition("\n")[2] if file.exists() else ""
                file.unlink(missing_ok=True)
                timing = timings[k] if text else (0.0, [])
                found.append(_Sized(module, mapping, delay, text, *timing))
        return found

    def import_cells(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return modules in Verilog by name and ABC's netlist; structural ones have none."""
        structural = self._structure.structural
        rounds: list[list[tuple[str, str]]] = [[(name, "") for name in structural]]
        for module in self._served:
            texts = sorted(text for name, text in wanted if name == module)
            for i, text in enumerate(texts):
                rounds += [[]] * (i + 1 - len(rounds))
                rounds[i] = [*rounds[i], (module, text)]
        commands = list(self._gates())
        for i, modules in enumerate(rounds):
            for name, text in modules:
                if text:
                    netlist = self._file(f"{i}-{self._index(name)}.blif")
                    netlist.write_text(text)
                    script = f"{i}-{self._index(name)}.abc"
                    self._file(script).write_text(f"read_blif {netlist}\n")
                    commands.append(self._abc(script, name))
            names = " ".join(name for name, _ in modules)
            commands += [
                f"select {names}",
                "splitnets",
                "opt_clean -purge",
                f'write_verilog -selected -noattr -noexpr -simple-lhs "{self._file(f"{i}.v")}"',
                "select -clear",
                "design -load gates",
            ]
        run_yosys(commands)
        found: dict[tuple[str, str], str] = {}
        for i, modules in enumerate(rounds):
            split = _split(self._file(f"{i}.v"))
            found |= {(name, text): split[name] for name, text in modules}
        return found

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _index(self, module: str) -> int:
        return self._structure.logic.index(module)

    def _gates(self) -> Iterator[str]:
        gates, adders = self._file("gates.il"), self._file("adders.v")
        if gates.exists():
            yield f'read_rtlil "{gates}"'
        else:
            adders.write_text(full_adder_map(self._library))
            yield f'read_rtlil "{self._structure.rtlil}"'
            for command in coarse_commands(self._front, sorted(self._structure.heaps)):
                yield command.format(full_adder=f'"{adders}"')
            yield f"dfflibmap {self._liberty}"
            yield "opt"
            yield f'write_rtlil "{gates}"'
        yield "design -save gates"

    def _abc(self, script: str, module: str) -> str:
        return (
            f'abc {self._liberty} -script "{self._file(script)}" '
            f'-constr "{self._file("constraints")}" {module}'
        )


def _served(structure: Structure, front: FrontEnd) -> list[str]:
    """Return the modules that a front end makes something else of than the plainest one does."""
    served = set(structure.logic)
    if front.booth:
        served &= structure.multiplies
    if not front.multipliers:
        served -= structure.multiplies
    if front.carry != PLAIN_CARRY:
        served &= structure.adds
    if front.adders != GATES:
        served &= structure.adds | structure.heaps
    return [name for name in structure.logic if name in served]


def _abc_sections(log: str) -> dict[int, str]:
    sections: dict[int, str] = {}
    for part in re.split(r"^==== ", log, flags=re.MULTILINE):
        heading = re.match(r"(\d+)\n", part)
        if heading:
            sections[int(heading[1])] = part
    return sections


def _abc_timings(section: str) -> list[tuple[float, list[tuple[str, float]]]]:
    """Return each delay in ns that ABC printed, and the path of it."""
    parts = _DELAY.split(section)
    return [
        (float(ps) / 1000, [(cell, float(at) / 1000) for cell, at in _STEP.findall(path)])
        for ps, path in zip(parts[1::2], parts[2::2], strict=True)
    ]


def _split(file: Path) -> dict[str, str]:
    # OpenSTA knows no signed nets, and a mapped netlist needs none.
    text = re.sub(r"^( *(?:wire|input|output)) signed ", r"\1 ", file.read_text(), flags=re.M)
    return {match[1].removeprefix("\\"): match[0] for match in _MODULE.finditer(text)}


def _cells(text: str, library: Library) -> dict[str, int]:
    found = Counter(_INSTANCE.findall(text))
    return {cell: number for cell, number in sorted(found.items()) if cell in library.cells}
