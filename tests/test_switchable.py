"""The switchable PE against plain products: 8-bit weights, and two of 4 bits."""

from pathlib import Path

import numpy as np
import pytest
from circuits import Circuit, machines, run

from pe.switchable import SwitchableConfig, SwitchablePe
from scripts.ppa.aig import pack

A = np.arange(-128, 128)


def signed(words: list[np.ndarray], count: int) -> np.ndarray:
    """Numbers of packed bits, the lowest first."""
    bits = [np.unpackbits(word.view(np.uint8), bitorder="little")[:count] for word in words]
    weights = [1 << i for i in range(len(bits) - 1)] + [-(1 << (len(bits) - 1))]
    return np.array(weights) @ np.array(bits, np.int64)


@pytest.mark.parametrize("wide", [True, False])
def test_every_product(wide: bool, tmp_path: Path) -> None:
    """All 65536 pairs of an activation and an 8-bit weight, or two 4-bit ones."""
    unit = SwitchablePe(SwitchableConfig(k_max=1))
    ports = {name: getattr(unit, name) for name in unit.signature.members}
    inputs = [ports.pop(name) for name in ("a", "b", "wide", "clear", "i_valid")]
    (machine,) = machines([Circuit(unit, inputs, list(ports.values()))], tmp_path)
    a, b = (x.ravel() for x in np.meshgrid(A, A))
    one = np.ones_like(a)
    given = {"a": a, "b": b, "wide": one * wide, "clear": one, "i_valid": one}
    operands = {port.name: pack(given[port.name], len(port)) for port in inputs}
    shown = run(machine, [operands] + [{"a": operands["a"]}] * unit.latency)[-1]
    low, high = (signed(shown[name], len(a)) for name in ("low", "high"))
    if wide:
        assert np.array_equal(low + 16 * high, a * b)
    else:
        halves = ((b & 15) ^ 8) - 8, b >> 4
        assert np.array_equal(low, a * halves[0]) and np.array_equal(high, a * halves[1])
