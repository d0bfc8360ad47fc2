"""Cycles of bit-slice engines, whose time depends on how many digits of the operands are not zero.

Written from the digits of the operands, not from a generator. An engine keeps a tile of `rows` x 1
of C; a beat is `lanes` consecutive k. Streams always offer a beat and the sink always takes one.
All counts run from the first beat taken to the last row of C given, both included.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.digits import encode
from golden.gemm import check_integer, check_matrix

KINDS = ("opt3", "opt4c", "opt4e", "laconic")


def radix4_digits(values: ArrayLike, *, digits: str, width: int, signed: bool) -> NDArray[np.int64]:
    """Radix-4 digits of integers, -2 to 2; of canonical signed digits two make one.

    Parameters
    ----------
    values : integer array, any shape
    digits : str
        ``"booth"``, ``"ent"`` or ``"csd"``.
    width, signed
        As `golden.digits.encode` takes them.

    Returns
    -------
    int64 array, shape [..., digits], least significant first

    Raises
    ------
    ValueError
        As `encode` does, or for another digit set.
    """
    if digits not in ("booth", "ent", "csd"):
        raise ValueError(f"digits: {digits!r} is not one of booth, ent, csd")
    found = encode(values, kind=digits, width=width, signed=signed)
    if digits != "csd":
        return found
    if found.shape[-1] % 2:
        found = np.concatenate([found, np.zeros_like(found[..., :1])], axis=-1)
    paired: NDArray[np.int64] = found[..., ::2] + 2 * found[..., 1::2]
    return paired


def beat_cycles(
    a: ArrayLike,
    b: ArrayLike,
    *,
    pe: str,
    rows: int,
    lanes: int,
    digits: str = "csd",
    width_a: int = 8,
    width_b: int = 8,
    signed_a: bool = True,
    signed_b: bool = True,
) -> NDArray[np.int64]:
    """Cycles that each beat keeps the PEs busy, tile by tile.

    Parameters
    ----------
    a : integer array, shape [m, k]
    b : integer array, shape [k, n]
    pe : str
        ``"opt3"``, ``"opt4c"``: a non-zero digit of B a cycle. ``"opt4e"``: of each bit weight a
        non-zero digit of B a cycle. ``"laconic"``: of each lane a pair of non-zero canonical
        signed digits of A and B a cycle. A beat takes a cycle at least.
    rows, lanes : int
        Rows of a tile; elements of K in a beat.
    digits : str
        Digit set of B; not for ``"laconic"``.
    width_a, width_b, signed_a, signed_b
        Operands.

    Returns
    -------
    int64 array, shape [tiles, beats]
        Tiles with N innermost.

    Raises
    ------
    ValueError
        If an operand, a size or `pe` is not allowed.
    """
    if pe not in KINDS:
        raise ValueError(f"pe: {pe!r} is not one of {', '.join(KINDS)}")
    rows, lanes = check_integer("rows", rows, 1), check_integer("lanes", lanes, 1)
    left = check_matrix("a", a, width_a, signed_a)
    right = check_matrix("b", b, width_b, signed_b)
    m, n = left.shape[0], right.shape[1]
    blocks = -(-m // rows)
    # [n, beats, lanes]; surplus k are zero.
    of_b = np.pad(right.T, ((0, 0), (0, -right.shape[0] % lanes))).reshape(n, -1, lanes)
    if pe == "laconic":
        of_a = np.pad(left, ((0, -m % rows), (0, -left.shape[1] % lanes)))
        terms_a = _terms(of_a, width_a, signed_a).reshape(blocks, rows, -1, lanes).max(axis=1)
        terms_b = _terms(of_b, width_b, signed_b)
        products = (terms_a[:, None] * terms_b[None]).max(axis=-1)
        laconic: NDArray[np.int64] = np.maximum(1, products).reshape(blocks * n, -1)
        return laconic
    nonzero = radix4_digits(of_b, digits=digits, width=width_b, signed=signed_b) != 0
    of_weights = nonzero.sum(axis=2)
    busy = of_weights.max(axis=-1) if pe == "opt4e" else of_weights.sum(axis=-1)
    of_tile: NDArray[np.int64] = np.maximum(1, busy)
    repeated: NDArray[np.int64] = np.tile(of_tile, (blocks, 1))
    return repeated


def _terms(values: NDArray[np.int64], width: int, signed: bool) -> NDArray[np.int64]:
    """Non-zero canonical signed digits of each integer."""
    digits = encode(values, kind="csd", width=width, signed=signed)
    counts: NDArray[np.int64] = (digits != 0).sum(axis=-1)
    return counts


def cycles(
    a: ArrayLike, b: ArrayLike, *, latency: int, gap: int, least: int = 1, **engine: Any
) -> int:
    """Cycles of the product of A [m, k] and B [k, n].

    Parameters
    ----------
    a, b
        As `beat_cycles` takes them.
    latency : int
        Cycles of a product besides the beats' own and the gaps.
    gap : int
        Cycles between the beats of a tile and those of the next, in which its rows leave.
    least : int
        Least cycles from one beat to the next.
    engine
        As `beat_cycles` takes them.

    Raises
    ------
    ValueError
        As `beat_cycles` does.
    """
    start = end = 0
    for number, tile in enumerate(beat_cycles(a, b, **engine)):
        if number:
            end += gap
        for busy in tile.tolist():
            start = max(end, start + least) if end else 0
            end = start + busy
    return end + latency
