"""A mapped netlist: what synthesis hands to timing, simulation and power."""

import dataclasses
import json
import tempfile
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hw.yosys import run_yosys
from scripts.ppa.library import Library


@dataclass(frozen=True)
class ModuleCells:
    """A distinct module: its own cells (not those of its children) and its instance count.

    Attributes
    ----------
    area_um2
        Area of one instance's own cells.
    cells
        Library cells by name.
    count
        Instances of the module in the design.
    logic_ns
        Delay of its slowest path between registers and ports, as ABC reckons it, registers
        themselves excluded.
    logic_path
        Cells of that path with ABC's arrival times in ns.
    """

    area_um2: float
    cells: dict[str, int]
    count: int
    logic_ns: float = 0.0
    logic_path: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Netlist:
    """A netlist of library cells.

    Attributes
    ----------
    top
        Name of the top module.
    verilog
        The netlist, plain structural Verilog; modules ``memory_*`` are black boxes in it.
    library
        Its cells.
    flat, period_ns
        How it was synthesised: one module or many, target period.
    booth, adders
        How the module with the largest area was: multipliers through ``booth`` or not,
        ``"library full adders"`` or ``"abc"``.
    modules
        By name, the top included.
    area_um2
        Of all cells, instances counted, memories excluded.
    flip_flops
        Of the design, in bits.
    memory_bits
        Bits held by memories, by module of one memory: instances x bits.
    """

    top: str
    verilog: Path
    library: Library
    flat: bool
    booth: bool
    adders: str
    period_ns: float
    modules: dict[str, ModuleCells]
    area_um2: float
    flip_flops: int
    memory_bits: int

    @cached_property
    def parsed(self) -> dict[str, Any]:
        """Modules of the netlist by name, as Yosys' ``write_json`` describes them."""
        return self._read([])

    @cached_property
    def parsed_whole(self) -> dict[str, Any]:
        """The same, with all modules made one."""
        return self._read([f"hierarchy -top {self.top}", "flatten -noscopeinfo"])

    def _read(self, commands: list[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "modules.json"
            run_yosys([f'read_verilog "{self.verilog}"', *commands, f'write_json "{path}"'])
            modules: dict[str, Any] = json.loads(path.read_text())["modules"]
        return modules

    def save(self, path: Path) -> None:
        """Write everything but the library as JSON; `verilog` becomes a name beside it."""
        fields: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("library", "modules")
        }
        fields["verilog"] = self.verilog.name
        fields["modules"] = {name: asdict(cells) for name, cells in self.modules.items()}
        path.write_text(json.dumps(fields))

    @classmethod
    def load(cls, path: Path, library: Library) -> "Netlist":
        """Read what `save` wrote."""
        fields = json.loads(path.read_text())
        fields["verilog"] = path.parent / fields["verilog"]
        modules = {name: ModuleCells(**cells) for name, cells in fields.pop("modules").items()}
        return cls(library=library, modules=modules, **fields)
