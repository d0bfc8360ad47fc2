"""Operands for a power measurement: distributions, and what they become at a unit's ports."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from golden.gemm import wrap
from golden.mlp import forward
from pe.config import Config, parameters
from sim.bench_function import bounds
from sim.player import PortField

DOT_PRODUCT = 64
"""Products that an accumulator sums before it starts anew; as long as the demo's first layer."""

KINDS = "uniform, normal:SIGMA, digits"

Column = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Operands:
    """A distribution of operands.

    ``uniform`` takes every value alike; ``normal:SIGMA`` rounds normal values of mean 0 and clips
    them to the operand's range; ``digits`` replays the demo network's dot products, activations as
    A and weights as B, eight bits each. Unsigned operands take magnitudes, and operands of fewer
    than eight bits the digits' high bits.

    Attributes
    ----------
    kind
        ``"uniform"``, ``"normal"`` or ``"digits"``.
    sigma
        Of ``"normal"``, in units of the operand's last place.
    """

    kind: str
    sigma: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Operands":
        """Read what a command line says.

        Raises
        ------
        ValueError
            One line, when it names no distribution.
        """
        kind, colon, argument = text.partition(":")
        if kind in ("uniform", "digits") and not colon:
            return cls(kind)
        try:
            sigma = float(argument)
        except ValueError:
            sigma = 0.0
        if kind != "normal" or not 0 < sigma < float("inf"):
            raise ValueError(f"operands: {text!r} is not one of {KINDS} (SIGMA above 0)")
        return cls(kind, sigma)

    def __str__(self) -> str:
        return f"normal:{self.sigma:g}" if self.kind == "normal" else self.kind

    def pair(
        self, m: int, k: int, n: int, a: PortField, b: PortField, seed: int
    ) -> tuple[Column, Column]:
        """Return matrices A [m, k] and B [k, n] whose elements fit the fields."""
        rng = np.random.default_rng(seed)
        if self.kind == "digits":
            activations, weights = _digits_layers()[0]
            rows = rng.permutation(np.resize(np.arange(len(activations)), m))[:, None]
            cols = rng.permutation(np.resize(np.arange(weights.shape[1]), n))
            inner = np.resize(np.arange(weights.shape[0]), k)
            left, right = activations[rows, inner], weights[inner][:, cols]
            return _fit(left, a), _fit(right, b)
        return self._random(rng, (m, k), a), self._random(rng, (k, n), b)

    def stream(self, count: int, fields: list[PortField], seed: int) -> dict[str, Column]:
        """Return `count` values a field; operands ``a`` and ``b`` are a dot product's.

        Other fields count as operands of A's kind. Lanes take consecutive values.
        """
        rng = np.random.default_rng(seed)
        if self.kind == "digits":
            length = count * max(f.lanes for f in fields)
            products = [
                (acts[i], weights[:, j])
                for acts, weights in _digits_layers()
                for i, j in zip(
                    rng.integers(len(acts), size=1 + length // DOT_PRODUCT),
                    rng.integers(weights.shape[1], size=1 + length // DOT_PRODUCT),
                    strict=True,
                )
            ]
            order = rng.permutation(len(products))
            columns = [np.concatenate([products[i][side] for i in order]) for side in (0, 1)]
            return {
                f.name: _fit(columns[f.name == "b"][: count * f.lanes].reshape(_shape(count, f)), f)
                for f in fields
            }
        return {f.name: self._random(rng, _shape(count, f), f) for f in fields}

    def _random(self, rng: np.random.Generator, shape: tuple[int, ...], field: PortField) -> Column:
        low, high = bounds(field)
        if self.kind == "uniform":
            return rng.integers(low, high, shape, dtype=np.int64, endpoint=True)
        values = np.rint(rng.normal(0.0, self.sigma, shape))
        return np.clip(values if field.signed else np.abs(values), low, high).astype(np.int64)


def _shape(count: int, field: PortField) -> tuple[int, ...]:
    return (count,) if field.lanes == 1 else (count, field.lanes)


def _fit(values: npt.NDArray[Any], field: PortField) -> Column:
    """Bring INT8 values into the range of a field."""
    column: Column = np.asarray(values).astype(np.int64)
    if not field.signed:
        column = np.abs(column)
    low, high = bounds(field)
    fitted: Column = np.clip(column >> max(0, 8 - field.width), low, high)
    return fitted


@functools.cache
def _digits_layers() -> list[tuple[Column, Column]]:
    """Return (activations [images, in], weights [in, out]) of each layer of the demo's network."""
    # Training needs scikit-learn, which takes seconds to load.
    from scripts.network import train_digits

    network = train_digits()
    found: list[tuple[Column, Column]] = []

    def matmul(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found.append((a.astype(np.int64), b.astype(np.int64)))
        product: npt.NDArray[Any] = found[-1][0] @ found[-1][1]
        return product

    forward(network.test_images, network.layers, matmul)
    return found


def network_operands(field: PortField) -> tuple[Column, Column]:
    """Return all activations and all weights of the demo's network, each once, in a field's range.

    The activations are those of every layer for every held-out image.
    """
    activations, weights = zip(*_digits_layers(), strict=True)
    return (
        _fit(np.concatenate([layer.ravel() for layer in activations]), field),
        _fit(np.concatenate([layer.ravel() for layer in weights]), field),
    )


def unit_columns(
    inputs: list[PortField],
    operands: Operands,
    count: int,
    seed: int,
) -> dict[str, Column]:
    """Return what a function unit is given in each of `count` cycles.

    Every cycle is valid. Accumulation starts anew every `DOT_PRODUCT` products or so; an
    ``addend`` is the running sum that the unit itself makes.
    """
    streamed = [f for f in inputs if f.width > 1 and f.name != "addend"]
    columns = operands.stream(count, streamed, seed)
    steps = max(1, DOT_PRODUCT // max(f.lanes for f in inputs))
    start = np.arange(count) % steps == 0
    rng = np.random.default_rng(seed + 1)
    for f in inputs:
        if f.name == "i_valid":
            columns[f.name] = np.ones(count, np.int64)
        elif f.name == "clear":
            columns[f.name] = start.astype(np.int64)
        elif f.name == "addend":
            products = (columns["a"] * columns["b"]).reshape(count, -1).sum(axis=1)
            columns[f.name] = _running_sums(products, steps, f)
        elif f.name not in columns:
            columns[f.name] = rng.integers(0, 2, count)
    return {f.name: columns[f.name] for f in inputs}


def _running_sums(products: Column, steps: int, field: PortField) -> Column:
    sums = np.zeros_like(products)
    for begin in range(0, len(products), steps):
        part = products[begin : begin + steps]
        sums[begin + 1 : begin + len(part)] = wrap(np.cumsum(part)[:-1], field.width, field.signed)
    return sums


def operand_fields(config: Config) -> tuple[PortField, PortField]:
    """Return the elements of A and of B that an engine's config describes.

    Raises
    ------
    ValueError
        When the config has no such operands.
    """
    known = {path.rpartition(".")[2]: value for path, _, value in parameters(config)}
    try:
        return (
            PortField("a", known["width_a"], known["signed_a"]),
            PortField("b", known["width_b"], known["signed_b"]),
        )
    except KeyError as error:
        raise ValueError(f"operands: {config.name} has no parameter {error}") from None
