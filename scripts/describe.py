# amaranth: UnusedElaboratable=no
"""``rtloom list`` and ``rtloom describe``: what there is, and what one design is."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from hw.catalog import DESIGNS, Kind
from hw.emit import emit
from hw.engine import GemmEngine
from hw.pim_config import MEANINGS
from hw.presets import PRESETS
from pe.config import allowed_text, parameters
from pe.primitives import Primitive
from scripts.output import print_json, print_table
from scripts.settings import Selection, select
from scripts.status import Status


def run_list(args: Namespace) -> int:
    """Print the catalogue of designs and the presets."""
    designs = [
        {
            "name": design.name,
            "kind": design.kind.value,
            "module": design.component(design.config()).name,
            "summary": design.summary,
            "source": design.source,
        }
        for design in DESIGNS.values()
    ]
    presets: list[dict[str, Any]] = [
        {
            "name": preset.name,
            "design": preset.design,
            "settings": dict(preset.settings),
            "summary": preset.summary,
            "source": preset.source,
        }
        for preset in PRESETS.values()
    ]
    if args.json:
        print_json({"designs": designs, "presets": presets})
        return Status.OK
    columns = ("design", "kind", "module at its defaults", "what it is", "source")
    print_table(columns, [tuple(row.values()) for row in designs], "Designs")
    print()
    columns = ("preset", "design", "settings", "what it is", "source")
    rows = [
        (row["name"], row["design"], _settings_text(row["settings"]), row["summary"], row["source"])
        for row in presets
    ]
    print_table(columns, rows, "Presets")
    return Status.OK


def run_describe(args: Namespace) -> int:
    """Print the parameters, ports, latency, loop nest and cycle formula of one design."""
    facts = describe(select(args.design, args.settings, args.preset, args.config))
    if args.json:
        print_json(facts)
        return Status.OK
    labels = {
        "design": "design",
        "name": "module",
        "kind": "kind",
        "summary": "what it is",
        "source": "source",
        "golden": "golden model",
        "dataflow": "dataflow",
        "latency": "latency, cycles",
        "initiation_interval": "initiation interval, cycles",
        "macs_per_cycle": "MACs a cycle",
        "element_of_a": "an element of A",
        "element_of_b": "an element of B",
        "element_of_c": "an element of C",
        "moduli": "moduli of the limbs",
        "roots": "roots of order 2N",
        "digits_of_residue": "digits of a residue",
        "digit_bits": "bits of a digit",
        "radix_bits": "products with factors are divided by 2 to",
        "butterfly_latency": "latency of a butterfly, cycles",
        "factor_latency": "latency of generated factors, cycles",
        "cycle_formula": "cycles",
    }
    rows = [(text, _listed(facts[key])) for key, text in labels.items() if key in facts]
    print_table(None, rows)
    print()
    if "nest" in facts:
        print("\n".join(facts["nest"]), end="\n\n")
        print_table(("primitive", "times in M x K x N"), [*facts["operations"].items()])
        print()
    if "commands" in facts:
        rows = [tuple(command.values()) for command in facts["commands"]]
        print_table(("code", "command", "what it does"), rows)
        print()
    print_table(
        ("parameter", "value", "default", "allowed", "meaning"),
        [
            (p["name"], _plain(p["value"]), _plain(p["default"]), p["allowed"], p["meaning"])
            for p in facts["parameters"]
        ],
    )
    print()
    print_table(
        ("port", "direction", "bits", "signed", "elements, first lowest"),
        [
            (
                port["name"],
                port["direction"],
                port["width"],
                "yes" if port["signed"] else "",
                _elements(port),
            )
            for port in facts["ports"]
        ],
    )
    return Status.OK


def describe(selection: Selection) -> dict[str, Any]:
    """Gather what there is to say about a design with a config, as JSON takes it."""
    design, config = selection.design, selection.config
    component = design.component
    # The emitted description rather than the component: it has the ports that the Verilog has.
    emitted = emit(component, config).description
    facts: dict[str, Any] = {
        "design": design.name,
        "name": emitted["name"],
        "kind": design.kind.value,
        "summary": design.summary,
        "source": design.source,
        "golden": design.golden,
    }
    unit = component(config)
    if isinstance(unit, GemmEngine):
        facts["dataflow"] = unit.dataflow.value
        facts["macs_per_cycle"] = unit.macs_per_cycle
        facts["nest"] = unit.nest.lines()
        facts["operations"] = {p.value: unit.nest.count_text(p) for p in Primitive}
    facts["parameters"] = [
        {
            "name": path,
            "value": value,
            "default": field.default,
            "allowed": allowed_text(field),
            "meaning": field.metadata["doc"],
        }
        for path, field, value in parameters(config)
    ]
    if design.kind is Kind.PIM_CHANNEL:
        facts["commands"] = [
            {"code": command.value, "name": command.name, "meaning": meaning}
            for command, meaning in MEANINGS.items()
        ]
    # How long a command takes depends on the command.
    by_command = design.kind in (Kind.COMMAND_DEVICE, Kind.PROCESSOR, Kind.PIM_CHANNEL)
    meaningless = {"latency", "initiation_interval"} if by_command else ()
    for key, value in emitted.items():
        if key not in facts and key not in meaningless:
            facts[key] = value
    return facts


def _elements(port: Mapping[str, Any]) -> str:
    width = port.get("element_width")
    if width is None:
        return ""
    return f"{port['width'] // width} x {width}{', signed' if port['element_signed'] else ''}"


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _settings_text(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={_plain(value)}" for key, value in settings.items())
