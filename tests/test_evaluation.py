# amaranth: UnusedElaboratable=no
"""The evaluation of units finds a result that differs, wherever it is."""

from pathlib import Path

import numpy as np
import pytest
from evaluation import CHUNK, differing, machines

from golden.float_add import add
from pe.float_add import FloatAdder, FloatAdderConfig


@pytest.mark.parametrize("wrong", [0, 63, CHUNK - 1, CHUNK, CHUNK + 9])
def test_one_wrong_set(wrong: int, tmp_path: Path) -> None:
    config = FloatAdderConfig(format="e5m2")
    (machine,) = machines([(FloatAdder, config)], tmp_path).values()
    a, b = np.divmod(np.arange(CHUNK + 10, dtype=np.int64), 256)
    expected = add(a, b, format="e5m2")
    widths = {"a": 8, "b": 8}
    assert not differing(machine, {"a": a, "b": b}, expected, widths)
    for bit in (1, 128):
        broken = expected["sum"].copy()
        broken[wrong] ^= bit
        found = differing(machine, {"a": a, "b": b}, {"sum": broken}, widths)
        assert found["sum"].tolist() == [wrong]


def test_missing_output(tmp_path: Path) -> None:
    config = FloatAdderConfig(format="e5m2")
    (machine,) = machines([(FloatAdder, config)], tmp_path).values()
    zero = np.zeros(1, np.int64)
    with pytest.raises(AssertionError):
        differing(machine, {"a": zero, "b": zero}, {}, {"a": 8, "b": 8})
