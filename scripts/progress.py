"""Steps of long work, told on standard error as they begin and end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str, seconds: dict[str, float] | None = None) -> Iterator[None]:
    """Say what is being done and, when it is done, how long it took.

    Parameters
    ----------
    seconds
        Takes the wall time under `what`.
    """
    print(f"{what} ...", file=sys.stderr, flush=True)
    started = time.perf_counter()
    yield
    taken = time.perf_counter() - started
    print(f"{what}: {taken:.1f} s", file=sys.stderr, flush=True)
    if seconds is not None:
        seconds[what] = taken
