"""Random beats of an expert router: as many results of each expert as it gets tokens."""

import numpy as np

from golden.router import chosen_expert
from hw.expert_router import ExpertRouter
from sim.job import Arrays
from sim.stimuli import Generator, random_column, streams_of

LONGEST_RUN = 50
"""Tokens that go to one expert."""


def router_beats(rng: Generator, unit: ExpertRouter, count: int) -> Arrays:
    """Return `count` tokens with ties and runs to one expert among them, and their results."""
    inputs = {s.name: s.fields for s in streams_of(unit) if s.is_input}
    token = inputs["i_token"]
    logits = random_column(rng, token["logits"], count)
    start = 0
    while start < count:
        stop = start + int(rng.integers(1, LONGEST_RUN))
        run = logits[start:stop]
        kind = rng.random()
        if kind < 0.3:
            # Of a few numbers many are equal.
            run[:] = rng.integers(-1, 1, run.shape)
        elif kind < 0.6:
            run[:, rng.integers(run.shape[1])] = np.maximum(run.max(axis=1), 1)
        start = stop
    expert = chosen_expert(logits)
    columns = {"token_data": random_column(rng, token["data"], count), "token_logits": logits}
    for e in range(logits.shape[1]):
        field = inputs[f"i_result_{e}"]["data"]
        columns[field.name] = random_column(rng, field, int((expert == e).sum()))
    return columns
