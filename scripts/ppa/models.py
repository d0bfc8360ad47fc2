"""Verilog models of library cells: the library's own, or made from Liberty functions."""

import functools
import re
from pathlib import Path

from scripts.ppa.boolean import boolean
from scripts.ppa.liberty import Group, parse
from scripts.ppa.library import Library

_MODULE = re.compile(r"^\s*module\s+(\w+).*?^\s*endmodule", re.MULTILINE | re.DOTALL)
_PRIMITIVE = re.compile(r"^\s*primitive\b.*?^\s*endprimitive", re.MULTILINE | re.DOTALL)
_STATE = re.compile(r"^\s*reg\s+(\w+)\s*;", re.MULTILINE)
_TIMESCALE = "`timescale 1ns/100fs\n"


def cell_models(library: Library, used: set[str], primitives: bool = True) -> str:
    """Return models of the used cells: the library's own, or made from Liberty where it has none.

    Their delays are placeholders which an SDF file replaces.

    Parameters
    ----------
    primitives
        The simulator orders user-defined primitives as the standard says. Verilator does not: in
        it two flip-flops in a row, as libraries describe them, race. It gets flip-flops made from
        Liberty.

    Raises
    ------
    ValueError
        When a used cell has no model and Liberty does not say its function.
    """
    own: dict[str, str] = {}
    texts = [_TIMESCALE]
    if library.verilog is not None:
        text = library.verilog.read_text(errors="replace")
        own = {match[1]: match[0] for match in _MODULE.finditer(text)}
        if primitives:
            # A state that is not known until it is loaded would spread, as none does in the RTL.
            texts += [
                _STATE.sub(r"\g<0> initial \1 = 1'b0;", f"{match[0]}\n")
                for match in _PRIMITIVE.finditer(text)
            ]
    for name in sorted(used):
        if name in own and (primitives or not library.cells[name].sequential):
            texts.append(f"{own[name]}\n")
        elif library.verilog is None or name in own:
            texts.append(functional_model(library, name))
        else:
            raise ValueError(f"library: {library.verilog} has no module {name}")
    return "".join(texts)


def functional_model(library: Library, name: str) -> str:
    """Return a model made from Liberty functions: of a combinational cell or a D flip-flop.

    Raises
    ------
    ValueError
        When the cell is neither.
    """
    cell = library.cells[name]
    pins = [pin.name for pin in (*cell.inputs, *cell.outputs)]
    lines = [f"module {name} ({', '.join(pins)});"]
    lines += [f"  input {pin.name};" for pin in cell.inputs]
    lines += [f"  output {pin.name};" for pin in cell.outputs]
    starts = [pin.name for pin in cell.inputs]
    if cell.sequential:
        flip_flop = _flip_flops(library.liberty).get(name)
        if flip_flop is None:
            raise ValueError(f"library: {name} is no plain D flip-flop, and has no Verilog")
        clock = boolean(cell.clocked_on).pins[0]
        edge = "posedge" if boolean(cell.clocked_on)({clock: 1}) else "negedge"
        state, inverse = flip_flop.names
        lines += [
            f"  reg {state};",
            f"  wire {inverse} = ~{state};",
            f"  always @({edge} {clock}) {state} <= {_expression(cell.next_state)};",
        ]
        starts = [clock]
    for pin in cell.outputs:
        if not pin.function or pin.three_state:
            raise ValueError(f"library: {name} has no function at {pin.name}, and no Verilog")
        lines.append(f"  assign {pin.name} = {_expression(pin.function)};")
    paths = [f"    ({s} => {pin.name}) = (0.1, 0.1);" for pin in cell.outputs for s in starts]
    if paths:
        lines += ["  specify", *paths, "  endspecify"]
    return "\n".join([*lines, "endmodule", ""])


@functools.cache
def _flip_flops(liberty: Path) -> dict[str, Group]:
    """Return the ``ff`` group of each flip-flop without asynchronous inputs."""
    library = parse(liberty.read_text(errors="replace"), liberty)
    return {
        cell.names[0]: group
        for cell in library.all("cell")
        for group in cell.all("ff")
        if len(group.names) == 2 and not {"clear", "preset"} & set(group.attributes)
    }


def _expression(text: str) -> str:
    """Return a Liberty function in Verilog, as a look-up in its truth table.

    An unknown input makes an unknown output only where the two values of the table differ.
    """
    function = boolean(text)
    pins = function.pins
    table = function.truth_table(pins)

    def select(rest: tuple[str, ...], low: int, high: int) -> str:
        part = [table >> i & 1 for i in range(low, high)]
        if len(set(part)) == 1:
            return f"1'b{part[0]}"
        middle = (low + high) // 2
        pin, others = rest[-1], rest[:-1]
        return f"({pin} ? {select(others, middle, high)} : {select(others, low, middle)})"

    return select(pins, 0, 1 << len(pins))
