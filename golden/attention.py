"""Binary additive attention: thresholds, masked sums, and products of plus and minus one.

Source: ShiftAddViT (arXiv 2306.06446), attention of binary queries and keys. Scales, biases and
the depth-wise convolution beside it are not in it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.int64]


def above_mean(x: ArrayLike) -> Matrix:
    """Return 1 where an integer is greater than the mean of all, in integers: N x > sum of x."""
    values = np.asarray(x).astype(np.int64)
    bits: Matrix = (values.size * values > values.sum()).astype(np.int64)
    return bits


def additive_attention(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, *, signs: bool
) -> Matrix:
    """Return Q (K^T V), exact.

    Parameters
    ----------
    query : array of 0 and 1, shape [queries, keys]
    key : array of 0 and 1, shape [tokens, keys]
    value : integer array, shape [tokens, values]
    signs : bool
        Bits stand for -1 and 1 rather than for 0 and 1.

    Returns
    -------
    int64 array, shape [queries, values]
    """
    q, k, v = (np.asarray(x).astype(np.int64) for x in (query, key, value))
    if signs:
        q, k = 2 * q - 1, 2 * k - 1
    product: Matrix = q @ (k.T @ v)
    return product


def hamming_dot(a: ArrayLike, b: ArrayLike, *, width: int) -> dict[str, Matrix]:
    """Return ``"dot"`` [n], the products of vectors of plus and minus one.

    Parameters
    ----------
    a, b : integer array, shape [n]
        Bit i stands for element i: 1 for 1, 0 for -1.
    width : int
        Elements.
    """
    vectors = (2 * (np.asarray(x)[:, None] >> np.arange(width) & 1) - 1 for x in (a, b))
    return {"dot": np.prod(list(vectors), axis=0).sum(axis=1).astype(np.int64)}


def threshold_stream(x: Matrix, last: Matrix) -> dict[str, Matrix]:
    """Return beats of bits for beats of tensors, each compared with its own mean.

    Parameters
    ----------
    x : integer array, shape [beats, lanes]
    last : array of 0 and 1, shape [beats]
        The beat ends a tensor.

    Returns
    -------
    dict
        ``"bits"`` [beats, lanes] and ``"last"`` [beats].
    """
    bits = [above_mean(tensor) for tensor in packets(x, last)]
    return {"bits": np.concatenate(bits), "last": np.asarray(last)}


def attention_stream(
    token_key: Matrix,
    token_value: Matrix,
    token_last: Matrix,
    query_key: Matrix,
    query_last: Matrix,
    *,
    signs: bool,
) -> dict[str, Matrix]:
    """Return beats of attention for sequences of tokens, and of queries to each of them.

    Parameters
    ----------
    token_key, token_value, token_last
        Beats of tokens: [beats, keys], [beats, values], and [beats], which ends a sequence.
    query_key, query_last
        Beats of queries: [beats, keys], and [beats], which ends those to a sequence.
    signs
        As `additive_attention` takes it.

    Returns
    -------
    dict
        ``"data"`` [beats of queries, values] and ``"last"``.
    """
    sequences = zip(
        packets(query_key, query_last),
        packets(token_key, token_last),
        packets(token_value, token_last),
        strict=True,
    )
    rows = [additive_attention(*sequence, signs=signs) for sequence in sequences]
    return {"data": np.concatenate(rows), "last": np.asarray(query_last)}


def packets(beats: Matrix, last: Matrix) -> list[Matrix]:
    """Cut beats after each one that is marked as the last of its packet.

    Raises
    ------
    ValueError
        When the last of all is not marked.
    """
    ends = np.flatnonzero(last)
    if not len(ends) or ends[-1] != len(beats) - 1:
        raise ValueError(f"last: the last of {len(beats)} beats is not marked")
    return np.split(np.asarray(beats), ends[:-1] + 1)
