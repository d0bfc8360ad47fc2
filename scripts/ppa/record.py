"""One row of figures: what ``rtloom ppa --json``, sweeps and reports carry."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Record:
    """Area, timing, power and proof of one design at one target period.

    One operation count rule holds throughout: a MAC is **two** operations (a product and an
    addition), as in the published GOPS figures; ``energy_pj_per_op`` is energy **per MAC** for
    designs that accumulate, per result for others.

    Attributes
    ----------
    design, parameters
        Name of the emitted module and its parameters.
    library
        Name of the standard-cell library.
    timer
        Which timer spoke: ``"OpenSTA 2.0.17"`` or ``"ABC"``.
    activity
        Where switching activity came from; ``None`` when power was not measured.
    flat
        Synthesised as one module.
    quick
        Mapped by few recipes instead of all: area and delay may be larger than they need be.
    booth
        Multipliers went through Yosys' ``booth`` (radix-4 Booth), or through its default.
    adders
        ``"library full adders"`` or ``"abc"``.
    target_period_ns
        What synthesis aimed at.
    area_um2
        Cell area without memories.
    min_period_ns, fmax_mhz
        Smallest period that this netlist meets.
    leakage_mw, dynamic_mw, energy_pj_per_op
        At the smallest period, on the work that `activity` names; ``None`` when not measured.
    gops, gops_per_mm2
        At `fmax_mhz`, every MAC busy; of a design whose time depends on its operands, at
        `macs_per_cycle`.
    macs_per_cycle
        MACs a cycle of such a design on the operands that `measured_on` names; ``None`` for others.
    measured_on
        Operands and product.
    gops_per_w
        Operations by energy, on the work that `activity` names.
    memory_bits
        Bits of memory, which is excluded from area and power.
    flip_flops
        Bits of registers.
    error
        One line; the other figures are then absent.
    """

    design: str
    parameters: dict[str, Any] = field(default_factory=dict)
    library: str = ""
    timer: str = ""
    activity: str | None = None
    flat: bool = False
    quick: bool = False
    booth: bool = False
    adders: str = "abc"
    target_period_ns: float | None = None
    area_um2: float | None = None
    min_period_ns: float | None = None
    fmax_mhz: float | None = None
    leakage_mw: float | None = None
    dynamic_mw: float | None = None
    energy_pj_per_op: float | None = None
    gops: float | None = None
    gops_per_mm2: float | None = None
    gops_per_w: float | None = None
    macs_per_cycle: float | None = None
    measured_on: str | None = None
    memory_bits: int = 0
    flip_flops: int = 0
    error: str | None = None
