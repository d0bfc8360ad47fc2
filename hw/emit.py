"""Emission: a config becomes one Verilog file and the JSON that describes it."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw import verilog
from hw.verilog import Heading, rtlil_to_verilog
from pe.config import Config, parameters
from pe.share import Collector, Port, SharedModule
from pe.unit import Unit


@dataclass(frozen=True)
class Emission:
    """One emitted design.

    Attributes
    ----------
    name
        Name of the top module and stem of the files.
    verilog
        Text of all modules, the top last.
    description
        What the JSON holds: ports with widths in bits and signedness, parameters, latency,
        initiation interval, cycle formula, instance counts, and of outputs in a redundant form
        the weights of their bits, as exponents of 2.
    """

    name: str
    verilog: str
    description: dict[str, Any]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``NAME.v`` and ``NAME.json`` and return their paths; leave no partial file.

        Raises
        ------
        ValueError
            When the folder cannot be made or written.
        """
        verilog, description = folder / f"{self.name}.v", folder / f"{self.name}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.description, indent=2) + "\n"
            write_atomically({verilog: self.verilog, description: text})
        except OSError as error:
            raise ValueError(f"output: {folder} cannot be written: {error.strerror}") from error
        return verilog, description


def emit(unit_class: type[Unit], config: Any) -> Emission:
    """Elaborate a unit and emit it, each distinct module below it once."""
    collector = Collector()
    top = collector.collect(unit_class, config)
    headings = {
        module.name: Heading(
            list(_comment(module, module is top)), [port.name for port in module.ports]
        )
        for module in collector.modules.values()
    }
    translated = rtlil_to_verilog(
        "\n".join(module.rtlil for module in collector.modules.values()),
        {name: headings[name] for name, module in collector.modules.items() if module.rtlil},
    )
    text = f"// Top module: {top.name}, the last one.\n\n" + "\n".join(
        translated[name] if module.rtlil else _structural(module, headings[name])
        for name, module in collector.modules.items()
    )
    return Emission(top.name, text, _description(top, collector))


def _structural(module: SharedModule, heading: Heading) -> str:
    ports = [f"input  wire {clock}" for clock in module.clocks]
    for port in module.ports:
        kind = "signed " if port.signed else ""
        direction = "input " if port.is_input else "output"
        ports.append(f"{direction} wire {kind}[{port.width - 1}:0] {port.name}")
    return verilog.module(module.name, heading, ports, module.body)


def write_atomically(texts: Mapping[Path, str]) -> None:
    """Write files, all or none: each is whole before the first takes its name."""
    scratch: dict[Path, str] = {}
    try:
        for path, text in texts.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            handle, scratch[path] = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "w") as stream:
                stream.write(text)
            os.chmod(scratch[path], 0o644)
        for path in texts:
            os.replace(scratch.pop(path), path)
    finally:
        for left in scratch.values():
            os.unlink(left)


def _comment(module: SharedModule, is_top: bool) -> Iterator[str]:
    unit = module.unit
    yield f"{module.name}: {unit.summary}"
    if not is_top:
        return
    yield ""
    if unit.documentation:
        yield from unit.documentation
        yield ""
    for path, field, value in _parameters(unit):
        yield f"  {path:<12} = {_plain(value):<8}  {field.metadata['doc']}"
    for name, fact in unit.facts.items():
        yield f"  {name:<12} = {fact}"
    yield ""
    if unit.latency or not unit.cycle_formula:
        yield f"Latency {unit.latency}, initiation interval {unit.initiation_interval} (cycles)."
    if unit.cycle_formula:
        yield f"Cycles: {unit.cycle_formula}"
    for port in module.ports:
        if port.element is not None:
            signed = ", signed" if port.element.signed else ""
            width = port.element.width
            count = port.width // width
            yield f"{port.name}: {count} elements of {width} bits{signed}, first lowest."
    if module.clocks:
        yield "Clock clk, rising edge; reset rst, synchronous, active high."


def _parameters(unit: Unit) -> list[tuple[str, Any, Any]]:
    return parameters(unit.config) if isinstance(unit.config, Config) else []


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _elements(port: Port) -> dict[str, Any]:
    if port.element is None:
        return {}
    return {"element_width": port.element.width, "element_signed": bool(port.element.signed)}


def _description(top: SharedModule, collector: Collector) -> dict[str, Any]:
    unit = top.unit
    description: dict[str, Any] = {
        "name": top.name,
        "parameters": {path: value for path, _, value in _parameters(unit)},
    }
    if unit.latency or not unit.cycle_formula:
        description["latency"] = unit.latency
        description["initiation_interval"] = unit.initiation_interval
    description |= unit.facts
    if unit.cycle_formula:
        description["cycle_formula"] = unit.cycle_formula
    clocks = [{"name": c, "direction": "input", "width": 1, "signed": False} for c in top.clocks]
    description["ports"] = clocks + [
        {
            "name": port.name,
            "direction": "input" if port.is_input else "output",
            "width": port.width,
            "signed": port.signed,
            **_elements(port),
        }
        for port in top.ports
    ]
    if unit.redundant:
        description["weights"] = {
            name: list(number.weights) for name, number in unit.redundant.items()
        }
    description["instances"] = dict(sorted(collector.totals(top.name).items()))
    return description
