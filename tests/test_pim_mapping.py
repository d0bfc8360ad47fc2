"""Attention on a channel equals NumPy's."""

import numpy as np
import pytest

from golden.pim_checker import Checker
from golden.pim_commands import Command
from golden.pim_data import DataModel, Elements, Row, decode, encode
from golden.pim_mapping import Attention, place_requests, softmax, split_heads
from golden.pim_model import simulate
from golden.pim_timing import Organisation, Policy, Timing
from golden.pim_trace import Request, check, ordered

FLOATS = Organisation(
    ranks=1, groups=1, rows=256, row_bytes=128, column_bytes=16, lanes=16, element_bytes=2
)
INTEGERS = Organisation(
    ranks=1, groups=1, rows=256, row_bytes=64, column_bytes=16, lanes=16, element_bytes=1
)


def results(
    org: Organisation,
    trace: list[Request],
    cells: dict[tuple[int, int], Row],
    element: str,
    policy: Policy,
) -> dict[int, Elements]:
    trace = ordered(trace)
    check(trace, org, Timing(), policy)
    model = DataModel(org, policy, cells, element)
    checker = Checker(org, Timing(), policy, trace, cells, element)
    for event in simulate(org, Timing(), policy, trace).events:
        checker.observe(event, model.observe(event))
    assert checker.finish(model.contents()) == []
    return checker.results


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize(("heads", "size", "tokens"), [(2, 32, 40), (3, 20, 70), (1, 64, 5)])
def test_integers(heads: int, size: int, tokens: int, dual: bool) -> None:
    rng = np.random.default_rng(11)
    q = rng.integers(-128, 128, (heads, size))
    k, v = (rng.integers(-128, 128, (heads, tokens, size)) for _ in "kv")
    layout, policy = Attention(INTEGERS, heads, size, tokens, first_row=3), Policy(dual=dual)
    cells = layout.cells(k, v)
    trace, groups = layout.logits_trace(q)
    logits = layout.logits(results(INTEGERS, trace, cells, "int8", policy), groups)
    right = np.einsum("hd,htd->ht", q, k)
    assert np.array_equal(logits, right)
    weights = np.round(127 * softmax(right / (128 * np.sqrt(size)))).astype(int)
    trace, groups = layout.attend_trace(weights)
    out = layout.attended(results(INTEGERS, trace, cells, "int8", policy), groups)
    assert np.array_equal(out, np.einsum("ht,htd->hd", weights, v))


@pytest.mark.parametrize("element", ["fp16", "bf16"])
def test_floats(element: str) -> None:
    heads, size, tokens = 2, 32, 40
    rng = np.random.default_rng(12)

    def rounded(values: Elements) -> Elements:
        return decode(encode(values.ravel(), element), element).reshape(values.shape)

    q = rounded(rng.standard_normal((heads, size)))
    k, v = (rounded(rng.standard_normal((heads, tokens, size))) for _ in "kv")
    layout = Attention(FLOATS, heads, size, tokens)
    cells = layout.cells(k, v, element)
    trace, groups = layout.logits_trace(q, element)
    logits = layout.logits(results(FLOATS, trace, cells, element, Policy()), groups)
    right = np.einsum("hd,htd->ht", q.astype(float), k.astype(float))
    assert np.allclose(logits, right, atol=1e-4)
    weights = softmax(logits.astype(np.float64) / np.sqrt(size))
    trace, groups = layout.attend_trace(weights, element)
    out = layout.attended(results(FLOATS, trace, cells, element, Policy()), groups)
    exact = np.einsum("ht,htd->hd", softmax(right / np.sqrt(size)), v.astype(float))
    assert np.allclose(out, exact, atol=2**-7)


def test_standard_tiles() -> None:
    """1024 queries of 8 heads, 80 tokens: as many tiles and vectors as published."""
    layout = Attention(Organisation(), 8, 128, 80)
    assert (len(layout.head_chunks), len(layout.token_tiles), layout.head_steps) == (2, 3, 8)
    assert len(layout.token_chunks) * 8 * len(layout.dimension_tiles) == 32
    rows = [layout.logits_trace(np.zeros((8, 128)), "fp16")[0]]
    headers = [r for r in rows[0] if r.op.value == Command.HEADER.value]
    assert [(h.k, h.gemvs) for h in headers] == [(8, 4)] * 6


def test_no_row_is_used_twice() -> None:
    layouts = place_requests(INTEGERS, 2, 32, [40, 9])
    taken: set[tuple[int, int]] = set()
    for layout in layouts:
        k = np.ones((2, layout.tokens, 32), int)
        cells = layout.cells(k, k)
        assert not taken & set(cells)
        taken |= set(cells)
    assert max(row for _, row in taken) < layouts[-1].first_row + layouts[-1].rows


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^tokens: 4000 of 2 heads take \d+ rows, and a bank has"):
        Attention(INTEGERS, 2, 32, 4000)
    with pytest.raises(ValueError, match=r"^head_size: 65 is more than the 64 elements of a row$"):
        Attention(INTEGERS, 2, 65, 4)
    with pytest.raises(ValueError, match=r"^channels: 9 is not in 1\.\.8, the heads there are$"):
        split_heads(8, 9)


def test_heads_of_channels() -> None:
    assert split_heads(10, 4) == [range(2), range(2, 5), range(5, 7), range(7, 10)]
