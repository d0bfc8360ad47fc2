"""Blocks of a MatMul-free language model as programs of its core: MLGRU and GLU.

A root mean square that is followed by another is left out: it cancels. Hence the normalisation of
the output gate of MLGRU is a product with its gain.

Source: MatMul-free LM (arXiv 2406.02528) and its released code.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.bitlinear import quantize_weights
from golden.matmul_free import SCALAR_BITS, Vector
from hw.matmul_free_isa import FIELDS, MatmulFreeConfig
from sim.assembler import assemble
from sim.programs import Image

Reals = NDArray[np.float64]
OUTPUT, STATE = "y", "h"


class _Builder:
    """Lines of a program, and the memories that they name words of."""

    def __init__(self, config: MatmulFreeConfig) -> None:
        self.config = config
        self.lines: list[str] = []
        self.data: list[int] = []
        self.address: dict[str, int] = {}
        self.columns: list[Vector] = []

    def vector(self, name: str, values: Reals) -> None:
        """Put a vector into the data memory, in fixed point."""
        most = 1 << (self.config.width - 1)
        fixed = np.rint(np.ldexp(values, self.config.fraction))
        self.address[name] = len(self.data)
        self.data += np.clip(fixed, -most, most - 1).astype(np.int64).tolist()
        self.data += [0] * (self.config.length - len(values))

    def matrix(self, ternary: Vector) -> int:
        """Put a ternary matrix into the weight memory, and return where it is."""
        address = len(self.columns)
        rows = self.config.length - len(ternary)
        self.columns += list(np.pad(ternary, ((0, rows), (0, 0))).T)
        return address

    def put(self, *lines: str) -> None:
        """Add lines to the program."""
        self.lines += lines

    def load(self, register: str, name: str) -> None:
        """Load a vector."""
        self.put(f"LDV {register}, {self.address[name]} ; {name}")

    def quantize(self, target: str, source: str, gain: str, scalar: str, count: int) -> None:
        """Normalise and quantise; `gain` has been loaded."""
        self.put(f"RMSQ {target}, {source}, {gain}, {scalar}, {count}")

    def product(self, target: str, source: str, ternary: Vector, scale: float, scalar: str) -> None:
        """Multiply by ternary weights of a scale, and go back to fixed point."""
        rows, cols = ternary.shape
        factor, shift = scale_operands(scale, self.config.fraction)
        self.put(
            f"TMM {target}, {source}, {self.matrix(ternary)}, {rows}, {cols}",
            f"SCALE {target}, {target}, {scalar}, {factor}, {shift}",
        )

    def image(self, name: str) -> Image:
        """Assemble.

        Raises
        ------
        ValueError
            When the core's memories are too small.
        """
        lines = [*self.lines, "HALT"]
        needed = {"program": len(lines), "data": len(self.data), "weights": len(self.columns)}
        for memory, words in needed.items():
            depth = self.config.memories[memory].depth
            if words > depth:
                raise ValueError(
                    f"depth_{memory}: {depth} is less than the {words} words of {name}"
                )
        program = assemble("\n".join(lines), self.config)
        return Image(name, program, np.array(self.data, np.int64), np.array(self.columns))


def scale_operands(scale: float, fraction: int) -> tuple[int, int]:
    """Operands of SCALE that undo a scale of weights, ``1 / scale`` times the scalar.

    Returns
    -------
    factor, shift : int
        The factor has all its bits, so that it is off by 2**-11 of itself at most.
    """
    bits = FIELDS["factor"].width
    mantissa, exponent = math.frexp(1 / scale)
    factor = round(math.ldexp(mantissa, bits))
    if factor == 1 << bits:
        factor, exponent = factor >> 1, exponent + 1
    return factor, SCALAR_BITS + bits - exponent - fraction


def mlgru_image(
    config: MatmulFreeConfig,
    x: Reals,
    h: Reals,
    weights: Mapping[str, Reals],
    gains: Mapping[str, Reals],
    bound: Reals | None = None,
) -> Image:
    """One step of MLGRU; parameters are those of `golden.bitlinear.mlgru`, d the core's length.

    The output goes to the words behind the last vector, the state where it was.
    """
    b, d, point = _Builder(config), config.length, config.fraction
    b.vector("x", x)
    b.vector(STATE, h)
    for name, gain in gains.items():
        b.vector(f"gain {name}", gain)
    b.vector("one", np.ones(d))
    if bound is not None:
        b.vector("bound", bound)
        b.vector("rest", 1 - bound)
    b.vector(OUTPUT, np.zeros(d))
    ternary = {name: quantize_weights(w, config.rounding) for name, w in weights.items()}

    def product(register: str, name: str, scalar: str) -> None:
        b.product(register, register, *ternary[name], scalar)

    # RMSQ takes longest: what can be done while one runs stands behind it.
    b.load("v0", "x")
    b.load("v1", "gain f")
    b.quantize("v3", "v0", "v1", "s0", d)
    b.load("v7", "gain i")
    b.quantize("v4", "v0", "v7", "s1", d)
    product("v3", "f", "s0")
    b.put("SIG v3, v3")
    if bound is not None:
        b.load("v5", "rest")
        b.load("v6", "bound")
        b.put(f"VMUL v3, v3, v5, {point}", "VADD v3, v3, v6, 0")
    b.load("v1", "gain g")
    b.quantize("v2", "v0", "v1", "s2", d)
    product("v4", "i", "s1")
    b.put("SILU v4, v4")
    b.load("v5", "one")
    b.load("v6", STATE)
    b.put("VSUB v5, v5, v3, 0", f"VMUL v4, v4, v5, {point}", f"VMUL v6, v6, v3, {point}")
    b.put("VADD v6, v6, v4, 0", f"STV v6, {b.address[STATE]}", "SILU v5, v6")
    b.load("v7", "gain norm")
    product("v2", "g", "s2")
    b.load("v1", "gain o")
    b.put(f"VMUL v2, v2, v7, {point}", f"VMUL v2, v2, v5, {point}")
    b.quantize("v4", "v2", "v1", "s3", d)
    product("v4", "o", "s3")
    b.put(f"STV v4, {b.address[OUTPUT]}")
    return b.image("MLGRU")


def glu_image(
    config: MatmulFreeConfig,
    x: Reals,
    weights: Mapping[str, Reals],
    gains: Mapping[str, Reals],
) -> Image:
    """GLU; parameters are those of `golden.bitlinear.glu`, d and f up to the core's length."""
    b = _Builder(config)
    (f, d), point = weights["g"].shape, config.fraction
    b.vector("x", x)
    for name, gain in gains.items():
        b.vector(f"gain {name}", gain)
    b.vector(OUTPUT, np.zeros(config.length))
    both, scale = quantize_weights(np.concatenate([weights["g"], weights["u"]]), config.rounding)
    down, scale_down = quantize_weights(weights["d"], config.rounding)
    b.load("v0", "x")
    b.load("v1", "gain gu")
    b.quantize("v2", "v0", "v1", "s0", d)
    b.product("v3", "v2", both[:f], scale, "s0")
    b.put("SILU v3, v3")
    b.product("v4", "v2", both[f:], scale, "s0")
    b.load("v1", "gain d")
    b.put(f"VMUL v3, v3, v4, {point}")
    b.quantize("v2", "v3", "v1", "s1", f)
    b.product("v5", "v2", down, scale_down, "s1")
    b.put(f"STV v5, {b.address[OUTPUT]}")
    return b.image("GLU")


def random_blocks(config: MatmulFreeConfig, seed: int) -> list[Image]:
    """Both blocks with random weights: d the core's length for MLGRU, and half of it for GLU."""
    rng = np.random.default_rng(seed)
    return [random_mlgru(config, rng)[0], random_glu(config, rng)[0]]


def random_mlgru(
    config: MatmulFreeConfig, rng: np.random.Generator
) -> tuple[Image, dict[str, object]]:
    """MLGRU with random weights, and what `golden.bitlinear.mlgru` takes."""
    d = config.length
    arguments: dict[str, object] = {
        "x": rng.normal(0, 1, d),
        "h": rng.normal(0, 0.5, d),
        "weights": {name: rng.normal(0, 1 / math.sqrt(d), (d, d)) for name in "figo"},
        "gains": {name: rng.uniform(0.5, 1.5, d) for name in ("f", "i", "g", "o", "norm")},
        "bound": rng.uniform(0, 0.9, d),
    }
    return mlgru_image(config, **arguments), arguments  # type: ignore[arg-type]


def random_glu(
    config: MatmulFreeConfig, rng: np.random.Generator
) -> tuple[Image, dict[str, object]]:
    """GLU with random weights, and what `golden.bitlinear.glu` takes."""
    f = config.length
    d = f // 2
    shapes = {"g": (f, d), "u": (f, d), "d": (d, f)}
    arguments: dict[str, object] = {
        "x": rng.normal(0, 1, d),
        "weights": {n: rng.normal(0, 1 / math.sqrt(s[1]), s) for n, s in shapes.items()},
        "gains": {"gu": rng.uniform(0.5, 1.5, d), "d": rng.uniform(0.5, 1.5, f)},
    }
    return glu_image(config, **arguments), arguments  # type: ignore[arg-type]
