"""Ways to map logic: each trades area for delay differently, and none always wins.

A front end chooses the arithmetic (multiplier, carry network, adder cells), a mapping script how
ABC restructures and covers the logic. Measured on the 8-bit MAC at NanGate 45: one script spans
10 % of delay by sizing alone, all scripts together a factor of two in delay and 1.6 in area.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scripts.ppa.library import Library

FULL_ADDERS = "library full adders"
GATES = "abc"

_BUFFER = "buffer -c; topo"
# What ABC's dc2 and fraig gain in area they lose twofold in delay: they undo the fast adders.
MAPPINGS: dict[str, str] = {
    "area": f"strash; dch -f; amap -m; topo; {_BUFFER}",
    "balanced": f"strash; &get -n; &dch -f; &put; dch; map -B 0.9 -D 1; topo; {_BUFFER}",
    "cofactor": f"strash; dch; if -x -K 6; strash; dch; map -B 0.9 -D 1; topo; {_BUFFER}",
    "sop": f"strash; if -g -K 6; strash; dch; map -B 0.9 -D 1; topo; {_BUFFER}",
    "sop twice": (
        "strash; dch; if -g -K 6; strash; dch; if -g -K 6; strash; dch; map -B 0.9 -D 1; topo; "
        f"buffer -N 8; topo; {_BUFFER}"
    ),
}
SIZING = "topo; upsize -D {delay_ps}; dnsize -D {delay_ps}; stime -p"
"""What follows a mapping script, for a delay target: the same cells in other sizes."""
PLAIN_CARRY = "brent-kung"
CARRIES = {PLAIN_CARRY: "", "kogge-stone": " -map +/choices/kogge-stone.v"}


@dataclass(frozen=True)
class FrontEnd:
    """How arithmetic becomes gates.

    Attributes
    ----------
    booth
        Multipliers through Yosys' ``booth``.
    carry
        Carry network of adders, a key of `CARRIES`.
    adders
        Compressor trees from `FULL_ADDERS`, or from `GATES` alone.
    multipliers
        Whether modules with multipliers are mapped as well.
    """

    booth: bool
    carry: str
    adders: str
    multipliers: bool = True


@dataclass(frozen=True)
class Recipe:
    """A front end and a mapping script, a key of `MAPPINGS`."""

    front: FrontEnd
    mapping: str


def recipes(library: Library, multiplies: bool, adds: bool, heaps: bool) -> list[Recipe]:
    """Return the recipes worth trying.

    Parameters
    ----------
    multiplies, adds, heaps
        Whether the design has multipliers, whether it has adders, comparators or multipliers, and
        whether it may have compressor trees written as gates.
    """
    found = []
    for booth in (False, True) if multiplies else (False,):
        found += [Recipe(FrontEnd(booth, PLAIN_CARRY, GATES), mapping) for mapping in MAPPINGS]
        if adds:
            front = FrontEnd(booth, "kogge-stone", GATES)
            found += [Recipe(front, mapping) for mapping in ("area", "sop twice")]
        if library.full_adder and (adds or heaps):
            # ABC cannot see through a library cell: what it gains by speed scripts it loses there.
            front = FrontEnd(booth, PLAIN_CARRY, FULL_ADDERS)
            found += [Recipe(front, mapping) for mapping in ("area", "balanced")]
    return found


def quick(found: Iterable[Recipe]) -> list[Recipe]:
    """Return of the recipes for a design those that aim at area and those that are balanced.

    Multipliers are always recoded.
    """
    return [
        Recipe(replace(r.front, multipliers=r.front.booth), r.mapping)
        for r in found
        if (r.front.carry, r.front.adders) == (PLAIN_CARRY, GATES)
        and r.mapping in ("area", "balanced")
    ]


def coarse_commands(front: FrontEnd, heaps: Iterable[str]) -> list[str]:
    """Return the Yosys commands from word-level logic to gates, flip-flops apart.

    Parameters
    ----------
    heaps
        Modules in which full adders are looked for among the gates.
    """
    full_adders = front.adders == FULL_ADDERS
    return [
        *(["booth"] if front.booth else []),
        "alumacc",
        "share",
        "opt",
        "memory -nomap",
        "opt_clean",
        "opt -fast -full",
        "memory_map",
        "opt -full",
        *(["maccmap t:$macc t:$macc_v2", "techmap -map {full_adder}"] if full_adders else []),
        f"techmap -map +/techmap.v{CARRIES[front.carry]}",
        "opt -fast",
        "opt",
        *(_extraction(heaps) if full_adders else []),
    ]


def _extraction(heaps: Iterable[str]) -> list[str]:
    """Return the Yosys commands that make full adders of XORs and majorities among gates."""
    commands = []
    for name in heaps:
        commands += [f"extract_fa {name}", f"techmap -map {{full_adder}} {name}"]
        # Half adders, and bits with a constant input, are gates again, of words.
        commands += [f"techmap {name}", f"opt {name}"]
    return commands


def full_adder_map(library: Library) -> str:
    """Return the Verilog that maps Yosys' ``$fa`` to the library's full adder, bit by bit.

    A bit with a constant input stays gates: it is a half adder or less, and a half-adder cell is
    as large as its gates, into which ABC does not see.
    """
    adder = library.full_adder
    if adder is None:
        return ""
    pins = ", ".join(f".{pin}({name}[i])" for pin, name in zip(adder.inputs, "ABC", strict=True))
    return f"""\
(* techmap_celltype = "$fa" *)
module library_full_adder (A, B, C, X, Y);
  parameter WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  (* force_downto *) input [WIDTH-1:0] A, B, C;
  (* force_downto *) output [WIDTH-1:0] X, Y;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      if (_TECHMAP_CONSTMSK_A_[i] || _TECHMAP_CONSTMSK_B_[i] || _TECHMAP_CONSTMSK_C_[i]) begin
        assign Y[i] = A[i] ^ B[i] ^ C[i];
        assign X[i] = A[i] & B[i] | (A[i] | B[i]) & C[i];
      end else begin
        {adder.cell} adder ({pins}, .{adder.carry}(X[i]), .{adder.sum}(Y[i]));
      end
    end
  endgenerate
endmodule
"""
