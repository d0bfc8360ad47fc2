"""What GEMVs give: the published cases, and the order of additions."""

import numpy as np
import pytest
from pim_traces import NO_REFRESH, SMALL

from golden.pim_cases import tiles
from golden.pim_commands import Command
from golden.pim_data import DataModel, Elements, decode, encode, gemv, tree
from golden.pim_model import simulate
from golden.pim_timing import Organisation, Policy
from golden.pim_trace import Op, Request

WEIGHTS = np.array([[(bank + 1) * (j % 4 - 1) for j in range(64)] for bank in range(4)])
VECTOR = np.arange(64) % 8 - 3


def results(policy: Policy, gemvs: int, k: int) -> list[list[int]]:
    cells = {(bank, 1): encode(WEIGHTS[bank], "int8") for bank in range(4)}
    model = DataModel(SMALL, policy, {**cells, (0, 0): encode(VECTOR, "int8")})
    found = []
    for event in simulate(SMALL, NO_REFRESH, policy, tiles(1, gemvs, k)).events:
        outcome = model.observe(event)
        if event.command in (Command.GEMV, Command.RDRESULT):
            found.append(np.asarray(outcome).tolist())
    return found


@pytest.mark.parametrize("dual", [False, True])
def test_one_head_and_two(dual: bool) -> None:
    assert results(Policy(dual=dual), 1, 4) == [[96, 192, 288, 384]]
    assert results(Policy(dual=dual), 2, 2) == [[48, 96, 144, 192]] * 2
    assert [r[0] for r in results(Policy(dual=dual), 4, 1)] == [24] * 4


def test_padded_product() -> None:
    """100 elements in two chunks of 64, ten rows in three tiles of four banks."""
    rng = np.random.default_rng(7)
    w, x = rng.integers(-128, 128, (10, 100)), rng.integers(-128, 128, 100)
    w_padded = np.zeros((12, 128), np.int64)
    w_padded[:10, :100] = w
    x_padded = np.pad(x, (0, 28))
    y = np.zeros(12, np.int64)
    for tile in range(0, 12, 4):
        for chunk in range(0, 128, 64):
            rows = w_padded[tile : tile + 4, chunk : chunk + 64].astype(np.int32)
            y[tile : tile + 4] += gemv(
                rows, x_padded[chunk : chunk + 64].astype(np.int32), 16, 0, 4
            )
    right = [-2313, -44398, 20541, 50340, 34439, -62100, -25419, 713, -7894, 75666]
    assert y.tolist() == [*right, 0, 0]


def test_order_of_additions() -> None:
    values = np.array([2048.0] + [1.0] * 15)
    assert tree(values.astype(np.float16)) == 2062
    sequential = np.float16(0)
    for value in values:
        sequential = np.float16(sequential + np.float16(value))
    assert sequential == 2048
    assert gemv(values[np.newaxis].astype(np.float32), np.ones(16, np.float32), 16, 0, 1) == 2063


def test_a_tree_of_three() -> None:
    assert tree(np.array([[1, 2, 4]])).tolist() == [7]


@pytest.mark.parametrize("element", ["bf16", "fp16"])
def test_floats_are_near_their_exact_product(element: str) -> None:
    rng = np.random.default_rng(3)
    rows: Elements = decode(encode(rng.standard_normal((4, 64)).ravel(), element), element)
    vector = decode(encode(rng.standard_normal(64), element), element)
    found = gemv(rows.reshape(4, 64), vector, 16, 0, 4)
    exact = rows.reshape(4, 64).astype(np.float64) @ vector.astype(np.float64)
    assert found.dtype == np.float32
    assert np.allclose(found, exact, rtol=1e-5, atol=1e-5)


def test_bf16_is_rounded_to_nearest_even() -> None:
    codes = encode(np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, np.nan, -np.inf]), "bf16").view("<u2")
    assert codes.tolist() == [0x3F80, 0x3F80, 0x3F82, 0x7FC0, 0xFF80]


def test_a_format_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"^element: 'int8' does not have 2 bytes$"):
        DataModel(Organisation(), Policy(), {}, "int8")


def test_a_write_reaches_the_next_gemv_of_its_row() -> None:
    group = [Request(Op.HEADER, row=1, k=1, gemvs=1), Request(Op.GEMV, k=1)]
    trace = [Request(Op.GWRITE), Request(Op.WRITE, 2, 1, 0, data=5, after=0), *group]
    trace[2] = Request(Op.HEADER, row=1, k=1, gemvs=1, after=1)
    model = DataModel(SMALL, Policy(), {(0, 0): encode(np.full(64, 3), "int8")})
    outcomes = [
        (event.command, model.observe(event))
        for event in simulate(SMALL, NO_REFRESH, Policy(), trace).events
    ]
    [result] = [outcome for command, outcome in outcomes if command is Command.GEMV]
    assert np.asarray(result).tolist() == [0, 0, 15, 0]
    assert model.contents()[2, 1][0] == 5
