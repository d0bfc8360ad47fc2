"""From RTLIL to Verilog that a person can read.

Yosys does the translation; `tidy` then gives every module an ANSI port list in the order of its
signature, plain names instead of escaped ones, and the comment it is given.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.yosys import run_yosys

# Contents come from reset, never from power-up: initial values of registers are dropped.
_PASSES = (
    "proc",
    "setattr -unset init w:*",
    "opt_expr",
    "opt_clean -purge",
    "opt_merge",
    "wreduce",
    "opt_dff -nosdff -simple-dffe",
    "memory_collect",
    "opt_clean -purge",
)

_DECLARATION = re.compile(
    r"^  (input|output|wire|reg)( signed)?( \[\d+:\d+\])? (\\?\S+) ?;$", re.MULTILINE
)
_MODULE = re.compile(r"^module (\S+)\(.*?\);\n(.*?)^endmodule\n", re.MULTILINE | re.DOTALL)
_ESCAPED = re.compile(r"\\(\S+) ")


@dataclass(frozen=True)
class Heading:
    """Comment above a module, and the names of its ports in order."""

    comment: Sequence[str]
    ports: Sequence[str]


def rtlil_to_verilog(rtlil: str, headings: Mapping[str, Heading]) -> dict[str, str]:
    """Translate RTLIL to Verilog and return the text of each module in `headings`."""
    with tempfile.TemporaryDirectory(prefix="rtloom-") as scratch:
        source, target = Path(scratch, "design.il"), Path(scratch, "design.v")
        source.write_text(rtlil)
        run_yosys([f"read_rtlil {source}", *_PASSES, f"write_verilog -noattr -norename {target}"])
        bodies = dict(_MODULE.findall(target.read_text()))
    return {name: _tidy(name, bodies[name], heading) for name, heading in headings.items()}


def module(name: str, heading: Heading, ports: Sequence[str], body: str) -> str:
    """Put a module together from its port declarations and its body."""
    comment = "".join(f"// {line}".rstrip() + "\n" for line in heading.comment)
    declarations = ",\n".join(f"  {port}" for port in ports)
    return f"{comment}module {name} (\n{declarations}\n);\n{body}endmodule\n"


_REGISTER = re.compile(r"(  always @\(posedge clk\)\n)    (\S+) <= (_\d+_);\n")


def _fold_registers(body: str) -> str:
    """Write the reset and enable multiplexers of a register as ``if (rst) ... else if (...)``."""
    assigned = dict(re.findall(r"  assign (_\d+_) = (.*);\n", body))
    uses = Counter(re.findall(r"\b_\d+_(?!\w)", body))
    folded: list[str] = []

    def only_here(name: str) -> bool:
        return uses[name] == 3 and name in assigned  # declared, assigned, read

    def fold(match: re.Match[str]) -> str:
        always, register, name = match.groups()
        reset = re.fullmatch(r"rst \? (\S+) : (.*)", assigned.get(name, ""))
        if not reset or not only_here(name):
            return match[0]
        folded.append(name)
        value, enable = reset[2], ""
        if only_here(value):
            choice = re.fullmatch(rf"(\S+) \? (.*) : {re.escape(register)}", assigned[value])
            if choice:
                folded.append(value)
                enable, value = f"if ({choice[1]}) ", choice[2]
        return (
            f"{always}    if (rst) {register} <= {reset[1]};\n"
            f"    else {enable}{register} <= {value};\n"
        )

    body = _REGISTER.sub(fold, body)
    for name in folded:
        body = re.sub(rf"  (wire .*?{name}|assign {name} = .*);\n", "", body)
    return body


def _plain_names(body: str) -> str:
    """Replace escaped identifiers, numbering the ones that Yosys made up in order of use."""
    taken = set(re.findall(r"[A-Za-z_][\w$]*", _ESCAPED.sub("", body)))
    names: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped not in names:
            stem = "" if escaped.startswith("$") else re.sub(r"\W", "_", escaped)
            number = len(names) + 1
            while (name := stem or f"_{number}_") in taken:
                stem, number = f"{stem}_" if stem else "", number + 1
            taken.add(name)
            names[escaped] = name
        return names[escaped]

    return _ESCAPED.sub(plain, body)


def _tidy(name: str, body: str, heading: Heading) -> str:
    body = _fold_registers(_plain_names(body))
    body = re.sub(r"= ! (\w+);", r"= ~| \1;", body)
    kinds: dict[str, dict[str, str]] = {}
    for kind, signed, size, identifier in _DECLARATION.findall(body):
        entry = kinds.setdefault(identifier, {"type": signed + size})
        entry["direction" if kind in ("input", "output") else "net"] = kind
    ports = [p for p in ("clk", "rst", *heading.ports) if "direction" in kinds.get(p, {})]
    body = _DECLARATION.sub(lambda match: "" if match[4] in ports else match[0], body)
    declarations = [
        f"{kinds[p]['direction']:<6} {kinds[p]['net']:<4}{kinds[p]['type']} {p}" for p in ports
    ]
    return module(name, heading, declarations, re.sub(r"\n{2,}", "\n", body).lstrip("\n"))
