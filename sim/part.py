"""One of several devices in a simulated design."""

from typing import Any


class _Part:
    """Handle of a device: its ports by its own names."""

    def __init__(self, dut: Any, name: str) -> None:
        self._dut, self._part = dut, name

    @property
    def _name(self) -> str:
        return f"{self._dut._name}.{self._part}"

    def __getattr__(self, port: str) -> Any:
        return getattr(self._dut, port if port in ("clk", "rst") else f"{self._part}_{port}")


def part_of(dut: Any, name: str | None) -> tuple[Any, str]:
    """Return the handle of a part of a design, or of the whole, and the prefix of its memory paths.

    The ports of a part are the design's whose names begin with the part's and an underscore.
    """
    return (dut, "") if name is None else (_Part(dut, name), f"{name}.")
