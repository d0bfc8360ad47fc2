"""Random microscaling blocks in which everything that can go wrong is likely."""

from typing import NamedTuple

import numpy as np

from golden.formats import FORMATS, Codes, decode, decoded
from golden.mx import quantize


class Blocks(NamedTuple):
    """Operands of dot products.

    Attributes
    ----------
    a, b : int64 array, shape [sets, block]
    scale_a, scale_b : int64 array, shape [sets]
    """

    a: Codes
    b: Codes
    scale_a: Codes
    scale_b: Codes


def random_blocks(
    rng: np.random.Generator, format_a: str, format_b: str, count: int, block: int
) -> Blocks:
    """Blocks of any codes, of numbers near each other, extremes, special codes, cancelling sums."""
    columns = []
    for name in (format_a, format_b):
        codes = np.arange(2 ** FORMATS[name].width)
        parts = decoded(codes, format=name)
        special = (parts["nan"] | parts["infinite"]) == 1
        finite = codes[~special]
        size = (count, block)
        values = decode(finite, name)
        order = finite[np.argsort(np.abs(values), kind="stable")]
        extreme = np.concatenate([order[:4], order[-4:]])
        kinds = [
            rng.choice(finite, size),
            quantize(rng.normal(size=size), format=name)[0],
            rng.choice(extreme, size),
            rng.choice(order[-2:], size),
            rng.choice(order[: len(order) // 4], size),
        ]
        chosen = np.choose(rng.integers(0, len(kinds), count)[:, None], kinds)
        # Most of some blocks are zeros, of either sign.
        sparse = (rng.random(count) < 0.2)[:, None] & (rng.random(size) < 0.9)
        chosen = np.where(sparse, rng.choice(order[:2], size), chosen)
        if special.any():
            some = (rng.random(count) < 0.15)[:, None] & (rng.random(size) < 1.5 / block)
            chosen = np.where(some, rng.choice(codes[special], size), chosen)
        columns.append(chosen)
    a, b = columns
    # The second half of a block takes back the first, but for what the last two elements add.
    half = block // 2
    cancelling = (rng.random(count) < 0.2)[:, None]
    top = 1 << (FORMATS[format_a].width - 1)
    negated = a ^ top if FORMATS[format_a].kind == "float" else -a % (2 * top)
    keep = slice(0, max(half - 1, 1))
    a[:, half:][:, keep] = np.where(cancelling, negated[:, keep], a[:, half:][:, keep])
    b[:, half:][:, keep] = np.where(cancelling, b[:, keep], b[:, half:][:, keep])
    scales = []
    for _ in range(2):
        kinds = [
            rng.integers(0, 256, count),
            rng.integers(117, 138, count),
            rng.choice([0, 1, 2, 127, 252, 253, 254], count),
        ]
        scales.append(np.choose(rng.integers(0, 3, count), kinds))
    # Sums of the exponents about the least and the largest float32.
    edge = rng.random(count) < 0.3
    wanted = rng.choice([254 - 149, 254 - 126, 254 + 127], count) + rng.integers(-30, 30, count)
    scales[1] = np.where(edge, np.clip(wanted - scales[0], 0, 254), scales[1])
    return Blocks(a, b, *scales)
