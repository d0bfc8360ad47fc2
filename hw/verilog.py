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
_MULTIPLEXER = re.compile(r"(\S+) \? (.+?) : (.+)")
_TEMPORARY = re.compile(r"\b_\d+_(?!\w)")


class _Folder:
    """Writes the multiplexers before a register as ``if`` and ``else`` in its always block.

    A multiplexer is folded where nothing else reads it, and a branch that keeps the register's
    value disappears.
    """

    def __init__(self, body: str) -> None:
        self._assigned = dict(re.findall(r"  assign (_\d+_) = (.*);\n", body))
        self._uses = Counter(_TEMPORARY.findall(body))
        self._folded: list[str] = []
        body = _REGISTER.sub(self._always, body)
        for name in self._folded:
            body = re.sub(rf"  (wire .*?{name}|assign {name} = .*);\n", "", body)
        self.body = body

    def _always(self, match: re.Match[str]) -> str:
        always, register, value = match.groups()
        lines = self._statement(register, value)
        return always + "".join(f"    {line}\n" for line in lines) if lines else match[0]

    def _statement(self, register: str, value: str) -> list[str]:
        """Lines that give `register` the value, none where it is its own."""
        if value == register:
            return []
        read_once = self._uses[value] == 3  # declared, assigned, read
        choice = _MULTIPLEXER.fullmatch(self._assigned.get(value, "")) if read_once else None
        if not choice:
            return [f"{register} <= {value};"]
        self._folded.append(value)
        condition = choice[1]
        then, otherwise = (self._statement(register, branch) for branch in choice.groups()[1:])
        if not then:
            condition, then, otherwise = f"!{condition}", otherwise, []
        if not then:
            return []
        return [*_branch(f"if ({condition})", then), *_branch("else", otherwise)]


def _branch(head: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    if len(lines) == 1 and not lines[0].startswith("if"):
        return [f"{head} {lines[0]}"]
    if head == "else":
        return [f"else {lines[0]}", *lines[1:]]
    return [f"{head} begin", *(f"  {line}" for line in lines), "end"]


def _numbered(body: str) -> str:
    """Number the temporaries in the order in which they stand."""
    names: dict[str, str] = {}
    return _TEMPORARY.sub(lambda match: names.setdefault(match[0], f"_{len(names) + 1}_"), body)


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
    body = _numbered(_Folder(_plain_names(body)).body)
    body = re.sub(r"= ! (\w+(?:\[\d+:\d+\])?);", r"= ~| \1;", body)
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
