"""Transforms of a stream of polynomials, some forward, some inverse."""

import numpy as np
from numpy.typing import ArrayLike

from golden.modular import Integers
from golden.ntt import Ring


def transform(
    data: ArrayLike, inverse: ArrayLike, *, modulus: int, size: int
) -> dict[str, Integers]:
    """Transform polynomials in their order.

    Parameters
    ----------
    data : integer array [beats, lanes]
        Residues; ``size / lanes`` beats a polynomial.
    inverse : array of 0 and 1, shape [beats]
        That of a polynomial's first beat counts.

    Returns
    -------
    dict
        ``"data"`` [beats, lanes].
    """
    ring = Ring.of(modulus, size)
    beats = np.asarray(data)
    polynomials = beats.reshape(-1, size)
    backward = np.asarray(inverse).reshape(len(polynomials), -1)[:, 0]
    found = [
        ring.inverse(polynomial) if back else ring.forward(polynomial)
        for polynomial, back in zip(polynomials, backward, strict=True)
    ]
    return {"data": np.stack(found).astype(beats.dtype).reshape(beats.shape)}
