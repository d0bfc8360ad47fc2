"""What every hardware unit has beside its ports: a name, a latency and an initiation interval."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from amaranth.hdl import Shape
from amaranth.lib import wiring

if TYPE_CHECKING:
    from pe.share import Collector


class Redundant(NamedTuple):
    """Bits that add up to a number, modulo two to its width, in more than one way.

    Attributes
    ----------
    shape
        Of the number.
    weights
        Of the bits, as exponents of 2, the low bit of the port first.
    """

    shape: Shape
    weights: tuple[int, ...]


class Unit(wiring.Component):
    """A component built from one config.

    Parameters
    ----------
    config
        Hashable parameters; two units of one class with equal configs are the same hardware.
    members
        Signature of the ports; by default what the class annotates, as in `wiring.Component`.
    """

    latency: int = 0
    initiation_interval: int = 1
    cycle_formula: str | None = None
    """Cycles of a whole piece of work, in words and symbols, where that is data for a user."""

    @property
    def redundant(self) -> Mapping[str, Redundant]:
        """Outputs that are not numbers, but bits which add up to one, by name."""
        return {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Let the ports, which the signature makes, pass for attributes."""

    def __init__(self, config: Any, members: dict[str, wiring.Member] | None = None) -> None:
        self.config = config
        super().__init__(members)

    @property
    def name(self) -> str:
        """Name of the Verilog module."""
        return str(self.config.name)

    @property
    def summary(self) -> str:
        """What it is, in one line: the first of the docstring."""
        return (type(self).__doc__ or "").strip().split("\n", 1)[0].replace("`", "").rstrip(".")

    @property
    def facts(self) -> Mapping[str, Any]:
        """What follows from the parameters and its user has to know, as JSON takes it."""
        return {}

    @property
    def documentation(self) -> list[str]:
        """Lines of the docstring below the first, and what a base says of the ports it has."""
        lines = _below_the_summary(type(self))
        for base in type(self).__mro__[1:]:
            if MEMBERS in lines:
                break
            inherited = _below_the_summary(base)
            if MEMBERS in inherited:
                lines += ["", *inherited[inherited.index(MEMBERS) :]]
        return [line.replace("`", "") for line in lines]


MEMBERS = "Members"
"""Heading of the ports in a docstring."""


def _below_the_summary(unit: type) -> list[str]:
    return (inspect.getdoc(unit) or "").splitlines()[2:] if "__doc__" in vars(unit) else []


class StructuralUnit(Unit):
    """A regular structure that Verilog says best itself, in a ``generate`` loop.

    Its text does not grow with its size, and neither does the time to emit it. `elaborate` builds
    the same structure for Amaranth's simulator; a test holds the two to each other.
    """

    def verilog_body(self, collector: "Collector") -> str:
        """Return the Verilog between the port list and ``endmodule``; collect the children."""
        raise NotImplementedError

    def clocks(self, collector: "Collector") -> list[str]:
        """Return which of ``clk`` and ``rst`` the module has."""
        raise NotImplementedError
