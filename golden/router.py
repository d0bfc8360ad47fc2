"""Mixture of experts: each token to the expert of its greatest logit, and results back in order.

Source: ShiftAddViT (arXiv 2306.06446), whose experts multiply or shift; its gate is top-1 with
weight one. Ties go to the lower expert: ours.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.int64]


def chosen_expert(logits: ArrayLike) -> Matrix:
    """Return the index [tokens] of the greatest of the logits [tokens, experts]."""
    table = np.asarray(logits).astype(np.int64)
    greatest = table == table.max(axis=1, keepdims=True)
    first: Matrix = greatest.argmax(axis=1)
    return first


def route_stream(token_data: Matrix, token_logits: Matrix, **results: Matrix) -> dict[str, Matrix]:
    """Return the tokens of each expert in their order, and the results in that of all tokens.

    Parameters
    ----------
    token_data : integer array, shape [tokens, lanes]
    token_logits : integer array, shape [tokens, experts]
    results
        ``result_0_data``, ``result_1_data``, ...: [tokens of the expert, lanes] of each expert.

    Returns
    -------
    dict
        ``"expert_0_data"``, ``"expert_1_data"``, ..., and ``"data"`` [tokens, lanes].

    Raises
    ------
    ValueError
        When an expert has not as many results as tokens.
    """
    expert = chosen_expert(token_logits)
    data = np.zeros_like(np.asarray(token_data))
    parts = {}
    for e in range(np.shape(token_logits)[1]):
        mine = expert == e
        found = np.asarray(results[f"result_{e}_data"])
        if len(found) != mine.sum():
            raise ValueError(f"result_{e}_data: {len(found)} results are not {mine.sum()}")
        parts[f"expert_{e}_data"] = np.asarray(token_data)[mine]
        data[mine] = found
    return parts | {"data": data}
