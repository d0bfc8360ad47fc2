"""Operands of units for floats and for microscaling blocks, in which special cases are likely.

Of uniform codes of 32 bits hardly any is zero, subnormal or infinite, two are seldom near each
other, and of a long block the largest number is always a large one. Each function of `count` and
`seed` returns what a bench plays: int64 arrays [count], or [count, elements], by port.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from golden.formats import FORMATS, Codes, decode, decoded, encode, greatest_code, nan_code
from golden.mx import quantize

Columns = dict[str, Codes]


def pair(count: int, seed: int, *, format: str) -> Columns:
    """Two floats: far from and near to each other, and with products about the ends of the range.

    Each may be special; some have the same magnitude, or nearly so.
    """
    rng = np.random.default_rng(seed)
    found = FORMATS[format]
    top, places = 1 << (found.width - 1), 1 << found.mantissa
    a, b = codes(rng, count, format), codes(rng, count, format)
    field, last = a % top // places, (1 << found.exponent) - 1
    reach = found.mantissa + 4
    near = field + rng.integers(-reach, reach, count, endpoint=True)
    edge = np.where(rng.random(count) < 0.5, 1, last - 1) + found.bias - field
    edge += rng.integers(-3, 3, count, endpoint=True)
    alike = a ^ rng.choice([0, 1, 2, 3], count) ^ rng.choice([0, top], count)
    kinds = [b, _with_exponent(b, near, format), _with_exponent(b, edge, format), alike]
    return {"a": a, "b": np.choose(rng.choice(len(kinds), count, p=[0.4, 0.3, 0.2, 0.1]), kinds)}


def to_encode(count: int, seed: int, *, source: str, format: str) -> Columns:
    """Floats: any, special ones, numbers of another format, those halfway between, and neighbours.

    The least and the largest number of that format are well represented.
    """
    rng = np.random.default_rng(seed)
    greatest = greatest_code(format)
    magnitude = rng.integers(1, greatest, count, endpoint=True)
    kind = rng.random(count)
    magnitude = np.where(kind < 0.1, 1, np.where(kind > 0.8, greatest, magnitude))
    value, below = decode(magnitude, format), decode(magnitude - 1, format)
    values = value + rng.choice([-0.5, 0.0, 0.5, 1.0], count) * (value - below)
    top = 1 << (FORMATS[source].width - 1)
    found = np.maximum(encode(values, source) + rng.integers(-1, 2, count), 0)
    found = found + rng.choice([0, top], count)
    return {"a": np.where(rng.random(count) < 0.4, codes(rng, count, source), found)}


def to_scale(count: int, seed: int, *, source: str, format: str, block: int) -> Columns:
    """Magnitudes of blocks: any, of like exponents, and of the least and greatest ones.

    Some blocks are zeros, or but for one element, or have one element that is not finite. Some
    mantissas are about that of the largest element of `format`.
    """
    rng = np.random.default_rng(seed)
    found = FORMATS[source]
    shape = (count, block)
    places, last = 1 << found.mantissa, (1 << found.exponent) - 1
    edge = int(encode(decode([greatest_code(format)], format), source)[0]) % places
    ends = [0, 1, edge, edge + 1, places - 1]
    mantissa = rng.integers(0, places, shape)
    mantissa = np.where(rng.random(shape) < 0.3, rng.choice(ends, shape) % places, mantissa)
    ends = [*range(12), *range(last - 12, last)]
    exponent = rng.integers(0, last, (count, 1))
    exponent = np.where(rng.random((count, 1)) < 0.5, rng.choice(ends, (count, 1)), exponent)
    # Below the largest exponent, so that each element is the largest at times.
    exponent = np.maximum(exponent - rng.integers(0, 2, shape), 0)
    exponent = np.where(rng.random((count, 1)) < 0.2, rng.integers(0, last, shape), exponent)
    a = exponent * places + mantissa
    kind = rng.random((count, 1))
    one = np.arange(block) == rng.integers(0, block, (count, 1))
    a = np.where((kind < 0.1) | (kind < 0.2) & ~one, 0, a)
    special = rng.choice([0, 0, 1, places // 2, places - 1], shape) + last * places
    a = np.where((kind > 0.9) & one, special, a)
    return {"a": a if block > 1 else a[:, 0]}


def blocks(count: int, seed: int, *, format_a: str, format_b: str, block: int) -> Columns:
    """Two microscaling blocks and their scales."""
    rng = np.random.default_rng(seed)
    return random_blocks(rng, format_a, format_b, count, block)._asdict()


def running_blocks(count: int, seed: int, *, format_a: str, format_b: str, block: int) -> Columns:
    """Pairs of microscaling blocks to be accumulated; few keep the sum from being finite."""
    rng = np.random.default_rng(seed)
    found = random_blocks(rng, format_a, format_b, count, block)._asdict()
    wild = rng.random(count) < 0.02
    special = np.zeros(count, np.bool_)
    for side, format in (("a", format_a), ("b", format_b)):
        parts = decoded(found[side], format=format)
        special |= ((parts["nan"] | parts["infinite"]) == 1).any(axis=1)
        near = rng.integers(115, 125, count)
        found[f"scale_{side}"] = np.where(wild, found[f"scale_{side}"], near)
    found["clear"] = (rng.random(count) < 0.1).astype(np.int64)
    found["i_valid"] = (rng.random(count) < np.where(special, 0.02, 0.7)).astype(np.int64)
    return found


def codes(rng: Generator, count: int, format: str) -> Codes:
    """Codes of a float that is wider than 8 bits: any, any with a corner as mantissa, and specials.

    Specials are zero, the least and greatest subnormal, the least normal, 1, the largest number,
    infinity and NaNs; of either sign.
    """
    found = FORMATS[format]
    top, places = 1 << (found.width - 1), 1 << found.mantissa
    corners = np.array([0, 1, 2, places // 2 - 1, places // 2, places // 2 + 1, places - 1])
    any_code = rng.integers(0, 2 * top, count)
    corner = any_code // places * places + rng.choice(corners, count) % places
    largest = greatest_code(format)
    one = found.bias * places
    specials = [0, 0, 1, places - 1, places, one, one + 1, largest]
    nan = nan_code(format)
    if nan is not None:
        specials += [largest + 1, largest + 1, nan, top - 1]
    special = rng.choice(np.array(specials), count) + rng.choice([0, top], count)
    return np.choose(rng.choice(3, count, p=[0.5, 0.3, 0.2]), [any_code, corner, special])


def _with_exponent(found: Codes, exponent: Codes, format: str) -> Codes:
    """Replace the exponent fields of codes; those out of range become the nearest one."""
    shape = FORMATS[format]
    last = (1 << shape.exponent) - 1
    return found & ~(last << shape.mantissa) | np.clip(exponent, 0, last) << shape.mantissa


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


def random_blocks(rng: Generator, format_a: str, format_b: str, count: int, block: int) -> Blocks:
    """Blocks of any codes, of numbers near each other, extremes, special codes, cancelling sums."""
    columns = []
    for name in (format_a, format_b):
        every = np.arange(2 ** FORMATS[name].width)
        parts = decoded(every, format=name)
        special = (parts["nan"] | parts["infinite"]) == 1
        finite = every[~special]
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
            chosen = np.where(some, rng.choice(every[special], size), chosen)
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
