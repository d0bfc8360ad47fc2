"""``rtloom digits``: how many digits of an operand are not zero, encoder by encoder."""

import argparse
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from golden.digits import RADIX, Statistics, encode, statistics
from scripts.output import print_json, print_table
from scripts.ppa.operands import Column, Operands, network_operands
from scripts.progress import step
from scripts.status import Status
from sim.bench_function import bounds
from sim.player import PortField

DEFAULT_OPERANDS = ("uniform", *(f"normal:{sigma}" for sigma in (10, 20, 30, 40, 50)), "digits")

Weights = npt.NDArray[np.float64]


class Population(NamedTuple):
    """Operands, and how often each occurs.

    Attributes
    ----------
    name
        What it is called in tables.
    rests_on
        What the figures rest on.
    values : int64 array, shape [operands]
    weights : float64 array, shape [operands]
    """

    name: str
    rests_on: str
    values: Column
    weights: Weights


@dataclass(frozen=True)
class Published:
    """Averages of others for INT8 operands, by the name of the population."""

    encoder: str
    source: str
    averages: dict[str, float]


def _published(what: str, *averages: float) -> Published:
    sigmas = (f"normal:{sigma}" for sigma in (10, 20, 30, 40, 50))
    return Published("ent", what, dict(zip(sigmas, averages, strict=True)))


# What the authors of HPCA 2025 report beside their Verilog, for dot products of length K.
PUBLISHED = (
    _published("authors, K = 32", 1.71, 2.05, 2.27, 2.45, 2.57),
    _published("authors, K = 128", 1.75, 2.10, 2.32, 2.48, 2.60),
)


def normal_weights(sigma: float, field: PortField) -> Weights:
    """Probability of each value of a field, lowest first, as `Operands` draws normal ones.

    Parameters
    ----------
    sigma
        Of the distribution that is rounded and clipped, in units of the last place; its magnitude
        is, where the field is unsigned.
    """
    low, high = bounds(field)
    below = [math.erf((value + 0.5) / (sigma * math.sqrt(2))) for value in range(low, high)]
    cumulative = (1 + np.array(below)) / 2 if field.signed else np.array(below)
    return np.diff(cumulative, prepend=0.0, append=1.0)


def populations(operands: Operands, field: PortField) -> list[Population]:
    """Return what one kind of operands stands for: exact for distributions, all for a network's."""
    if operands.kind == "digits":
        with step("training the demo's network"):
            found = zip(("activations", "weights"), network_operands(field), strict=True)
        return [
            Population(
                name, f"all {len(values)} of the demo's network", values, np.ones(len(values))
            )
            for name, values in found
        ]
    low, high = bounds(field)
    values = np.arange(low, high + 1)
    weights = (
        np.ones(len(values))
        if operands.kind == "uniform"
        else normal_weights(operands.sigma, field)
    )
    return [Population(str(operands), f"exact over {len(values)} codes", values, weights)]


def run(args: argparse.Namespace) -> int:
    """Print averages and probabilities of every encoder."""
    width, signed = args.width, not args.unsigned
    field = PortField("a", width, signed)
    kinds = dict.fromkeys(Operands.parse(text) for text in args.operands or DEFAULT_OPERANDS)
    given = [population for kind in kinds for population in populations(kind, field)]
    found = {
        encoder: [
            statistics(encode(p.values, kind=encoder, width=width, signed=signed), p.weights)
            for p in given
        ]
        for encoder in RADIX
    }
    published = PUBLISHED if (width, signed) == (8, True) else ()
    if args.json:
        rows = [
            _row(encoder, population, of_population)
            for encoder, of_encoder in found.items()
            for population, of_population in zip(given, of_encoder, strict=True)
        ]
        others = [vars(entry) for entry in published]
        print_json({"width": width, "signed": signed, "encoders": rows, "published": others})
    else:
        title = f"non-zero digits of {width}-bit {'signed' if signed else 'unsigned'} operands"
        _print(title, found, given, published)
    return Status.OK


def _row(encoder: str, population: Population, found: Statistics) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "operands": population.name,
        "rests_on": population.rests_on,
        "digits": len(found.nonzero),
        "average": found.average,
        "histogram": (found.histogram / found.histogram.sum()).tolist(),
        "nonzero": found.nonzero.tolist(),
    }


def _print(
    title: str,
    found: dict[str, list[Statistics]],
    given: list[Population],
    published: tuple[Published, ...],
) -> None:
    names = [population.name for population in given]
    averages: list[tuple[object, ...]] = [
        (encoder, len(of_encoder[0].nonzero), *(f"{s.average:.3f}" for s in of_encoder))
        for encoder, of_encoder in found.items()
    ]
    for entry in published:
        cells = [f"{entry.averages[n]:.2f}" if n in entry.averages else "" for n in names]
        if any(cells):
            averages.append((f"{entry.encoder}, {entry.source}", "", *cells))
    print_table(("encoder", "digits", *names), averages, title)
    print()
    shares = [
        (encoder, name, *(f"{share:.3f}" for share in s.nonzero))
        for encoder, of_encoder in found.items()
        for name, s in zip(names, of_encoder, strict=True)
    ]
    places = [f"d{i}" for i in range(max(map(len, shares)) - 2)]
    print_table(("encoder", "operands", *places), shares, "probability that digit i is not zero")
    print()
    print_table(None, [(population.name, population.rests_on) for population in given])
