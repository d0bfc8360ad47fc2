"""Programs of the core for MatMul-free language models, with what they work on."""

from dataclasses import dataclass

import numpy as np

from golden.matmul_free import OPCODES, Machine, Vector
from hw.matmul_free_isa import MatmulFreeConfig
from sim.assembler import Program, assemble


@dataclass(frozen=True)
class Image:
    """A program and the contents of the memories that it works on.

    Attributes
    ----------
    name
        What it computes.
    program
        Assembled.
    data : int64 array [words]
        First words of the data memory.
    weights : int64 array [words, length]
        First words of the weight memory: a word is a column of -1, 0 and 1.
    """

    name: str
    program: Program
    data: Vector
    weights: Vector


def machine_of(config: MatmulFreeConfig) -> Machine:
    """Parameters of a core as its golden model takes them."""
    return Machine(config.length, config.width, config.fraction, config.steps, config.rounding)


def random_contents(
    config: MatmulFreeConfig, rng: np.random.Generator, words: int, columns: int
) -> tuple[Vector, Vector]:
    """Random words of the data and of the weight memory, extremes well represented.

    The first vector of data is zero; the first columns of weights have no zeros.
    """
    length = config.length
    most = 1 << (config.width - 1)
    data = rng.integers(-most, most, words, dtype=np.int64)
    small = rng.random(words) < 0.5
    data[small] >>= rng.integers(1, config.width, int(small.sum()))
    extreme = rng.random(words) < 0.05
    data[extreme] = rng.choice([-most, most - 1, 0], int(extreme.sum()))
    data[:length] = 0
    weights = rng.integers(-1, 1, (columns, length), endpoint=True, dtype=np.int64)
    weights[:length] = rng.choice([-1, 1])
    return data, weights


def random_image(config: MatmulFreeConfig, rng: np.random.Generator, count: int) -> Image:
    """Random instructions on random contents, extremes well represented, and a HALT.

    Parameters
    ----------
    count
        Instructions before HALT.
    """
    length = config.length
    words, columns = min(config.depth_data, 6 * length), min(config.depth_weights, 2 * length)
    data, weights = random_contents(config, rng, words, columns)

    def operand(name: str, cols: int) -> str:
        if name in ("vd", "va", "vb"):
            return f"v{rng.integers(8)}"
        ends = {
            "s": (0, 3),
            "shift": (0, 63 if rng.random() < 0.2 else config.width),
            "factor": (0, 2047),
            "address": (0, words - length),
            "weights": (0, columns - cols),
            "rows": (1, length),
        }
        low, high = ends[name]
        return f"{'s' if name == 's' else ''}{rng.integers(low, high, endpoint=True)}"

    names = [name for name in OPCODES if name != "HALT"]
    lines = []
    for name in rng.choice([*names, "LDV", "SCALE"], count):
        cols = length if rng.random() < 0.5 else int(rng.integers(1, length, endpoint=True))
        given = [str(cols) if o == "cols" else operand(o, cols) for o in OPCODES[name][1]]
        lines.append(f"{name} {', '.join(given)}")
    program = assemble("\n".join([*lines, "HALT"]), config)
    return Image("random", program, data, weights)
