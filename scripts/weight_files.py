"""Matrices for ``rtloom layer``: the demo's network, ``.npz`` and ``.safetensors`` files."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from golden.formats import decode, format_of
from scripts.progress import step

CODED = {"BF16": "bf16", "F8_E4M3": "e4m3", "F8_E5M2": "e5m2"}
"""Types of ``.safetensors`` that NumPy has not, as `golden.formats` calls them."""
LEAST, GREATEST = 2.0**-100, 2.0**100
"""Of the greatest magnitude of a matrix, with room for sums and for scales in float32."""

Reals = npt.NDArray[np.float64]


class Layer(NamedTuple):
    """A product of real matrices.

    Attributes
    ----------
    name
        For tables.
    activations : float64 array, shape [m, k]
    weights : float64 array, shape [k, n]
    """

    name: str
    activations: Reals
    weights: Reals


def network_layers() -> list[Layer]:
    """Return the layers of the demo's network, on the images that it never saw."""
    # Training needs scikit-learn, which takes seconds to load.
    from scripts.network import train_digits

    with step("training the demo's network"):
        products = train_digits().products
    return [Layer(f"digits {i}", a, b) for i, (a, b) in enumerate(products)]


def file_layers(
    path: Path, names: Sequence[str], transpose: bool, rows: int, seed: int
) -> tuple[list[Layer], list[str]]:
    """Return the matrices of a file, each with random normal activations, and what else it has.

    Parameters
    ----------
    path
        ``.npz`` or ``.safetensors``.
    names
        Matrices to take; all that are two-dimensional by default.
    transpose
        Weights are [n, k], as PyTorch stores them.
    rows
        Rows of activations.

    Raises
    ------
    ValueError
        When the file cannot be read, or has no such matrix.
    """
    rng = np.random.default_rng(seed)
    arrays = _read(path, names)
    found = []
    for name, array in _matrices(path, arrays, names):
        weights = array.T if transpose else array
        found.append(Layer(name, rng.normal(size=(rows, weights.shape[0])), weights))
    taken = {layer.name for layer in found}
    others = [
        f"{name}, {list(array.shape)} of {array.dtype}"
        for name, array in arrays.items()
        if name not in taken
    ]
    if not found:
        held = f"only {some(others)}" if others else "it is empty"
        raise ValueError(f"file: {path} has no two-dimensional matrix of floats, {held}")
    return found, [] if names else others


def some(texts: Sequence[str]) -> str:
    """List up to three texts, and say how many more there are."""
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return "; ".join(texts[:3]) + more


def _matrices(
    path: Path, arrays: dict[str, npt.NDArray[Any]], names: Sequence[str]
) -> Iterator[tuple[str, Reals]]:
    """Yield the matrices of a file that are named, or all of them."""
    for name in names:
        if name not in arrays:
            raise ValueError(f"matrix: {name!r} is not in {path}: {', '.join(arrays)}")
    for name in names or arrays:
        array = arrays[name]
        fits = array.ndim == 2 and np.issubdtype(array.dtype, np.floating)
        if fits:
            with np.errstate(over="ignore"):
                weights = array.astype(np.float64)
            largest = float(np.abs(weights).max(initial=0))
            if np.isfinite(largest) and largest and not LEAST <= largest <= GREATEST:
                raise ValueError(
                    f"matrix: the greatest magnitude in {name!r} is {largest:.3g} and not in "
                    f"{LEAST:.3g}..{GREATEST:.3g}, what scales of 32 bits hold"
                )
            yield name, weights
        elif names:
            kind = f"{array.ndim}-dimensional {array.dtype}"
            raise ValueError(f"matrix: {name!r} is {kind}, and not a 2-dimensional float")


def _read(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"file: {path} is not a .npz or .safetensors file")
    try:
        if path.suffix == ".safetensors":
            return dict(_tensors(path.read_bytes(), names))
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                return dict(file)
    except OSError as error:
        raise ValueError(f"file: {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Each library has errors of its own for a file that is none of its format.
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"file: {path} is not readable as {path.suffix}: {text}") from error


def _tensors(data: bytes, names: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the tensors of a file; of types that NumPy has not, only those named are decoded."""
    from safetensors import deserialize

    # safetensors ships no types.
    for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
        kind, shape = tensor["dtype"], tensor["shape"]
        if names and name not in names:
            yield name, np.frombuffer(tensor["data"], np.uint8)
        elif kind in CODED:
            form = CODED[kind]
            codes = np.frombuffer(tensor["data"], f"<u{format_of(form).width // 8}")
            yield name, decode(codes, form).reshape(shape)
        elif match := re.fullmatch(r"([FIUC])(8|16|32|64)|BOOL", kind):
            dtype = f"<{match[1].lower()}{int(match[2]) // 8}" if match[1] else "?"
            yield name, np.frombuffer(tensor["data"], dtype).reshape(shape)
        else:
            raise ValueError(f"{name}: numbers of type {kind} are not taken")
