"""``rtloom errors``: how far products by integer addition are from exact ones."""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from golden.l_mul import (
    Errors,
    Gain,
    dot_product_gain,
    errors,
    least_biased_offset,
    paper_offset,
    rounded_products,
    significands,
)
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status

MANTISSAS = (1, 2, 3, 4, 7, 10)
DOTS = 256


class Way(NamedTuple):
    """One way to multiply.

    Attributes
    ----------
    name
        What it is called in tables.
    ulps
        What it adds to the mantissas, in units of the last place; none of the exact product.
    gate
        Where it does, as `golden.l_mul.added` takes it.
    """

    name: str
    ulps: int | None
    gate: str = "always"


def ways(mantissa: int) -> Iterator[Way]:
    """Ways to multiply mantissas of so many bits; those that are the same one are left out."""
    offset = paper_offset(mantissa)
    yield Way("exact, rounded", None)
    yield Way("Mitchell", 0)
    yield Way("L-Mul", offset)
    yield Way("L-Mul, both nonzero", offset, "nonzero")
    if mantissa > 1:
        yield Way("L-Mul, top bits differ", offset, "differ")
    least = least_biased_offset(mantissa)
    if least not in (0, offset):
        yield Way("least bias", least)


def of_pairs(mantissa: int, way: Way) -> Errors:
    """Errors over all pairs of mantissas."""
    x, y = np.divmod(np.arange(4**mantissa, dtype=np.int64), 2**mantissa)
    if way.ulps is None:
        products = rounded_products(x, y, mantissa)
    else:
        products = significands(x, y, mantissa, "ulps", way.ulps, way.gate)
    return errors(products, x, y, mantissa)


def run(args: argparse.Namespace) -> int:
    """Print the errors of every way over all mantissas, and its gain in dot products."""
    rng = np.random.default_rng(args.seed)
    a, b = rng.normal(size=(2, DOTS, args.k))
    rows: list[tuple[int, Way, Errors, Gain | None]] = []
    with step("multiplying all mantissas"):
        for mantissa in dict.fromkeys(args.mantissa or MANTISSAS):
            for way in ways(mantissa):
                gain = (
                    None
                    if way.ulps is None
                    else dot_product_gain(a, b, mantissa, "ulps", way.ulps, way.gate)
                )
                rows.append((mantissa, way, of_pairs(mantissa, way), gain))
    if args.json:
        print_json({"seed": args.seed, "k": args.k, "dots": DOTS, "rows": [_row(*r) for r in rows]})
        return Status.OK
    head = ("m", "product", "ulps", "mean %", "|mean| %", "rms %", "max %", "= rounded %", "gain",
            "noise %")  # fmt: skip
    print_table(head, [_cells(*r) for r in rows], "relative error over all pairs of mantissas")
    print()
    print_table(
        None,
        [
            ("product", "exact over all pairs of m-bit mantissas"),
            ("= rounded", "pairs whose product is the exact one, rounded to nearest even"),
            ("gain, noise", f"{DOTS} dot products of {args.k} normal numbers, seed {args.seed}"),
        ],
    )
    return Status.OK


def _row(mantissa: int, way: Way, found: Errors, gain: Gain | None) -> dict[str, Any]:
    return {
        "mantissa": mantissa,
        "product": way.name,
        "ulps": way.ulps,
        "offset_when": None if way.ulps is None else way.gate,
        **found._asdict(),
        "gain": gain.gain if gain else None,
        "noise": gain.noise if gain else None,
    }


def _cells(mantissa: int, way: Way, found: Errors, gain: Gain | None) -> tuple[object, ...]:
    shares = (found.mean, found.mean_magnitude, found.rms, found.largest)
    return (
        mantissa,
        way.name,
        "" if way.ulps is None else way.ulps,
        *(f"{100 * share:.2f}" for share in shares),
        f"{100 * found.equal:.1f}",
        *((f"{gain.gain:.4f}", f"{100 * gain.noise:.2f}") if gain else ("", "")),
    )
