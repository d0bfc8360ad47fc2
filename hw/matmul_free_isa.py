"""Parameters of the core for MatMul-free language models, and the encoding of its instructions."""

from typing import NamedTuple

from amaranth.hdl import Shape, Value, signed, unsigned

from hw.memory import MemoryShape
from pe.coded import TernaryConfig
from pe.config import Config, choice, integer
from pe.element import sum_bits

VECTORS, SCALARS = 8, 4
SCALAR_BITS = 24
ACTIVATION_BITS = 8
TABLE_END_BITS = 3
"""SIG and SILU are tabulated from 0 to two to this."""
EVEN, AWAY = "even", "away"


class Field(NamedTuple):
    """Bits of an instruction, and what is added to them: fields of sizes hold one less."""

    low: int
    width: int
    offset: int = 0

    def of(self, word: Value) -> Value:
        """Return the field of an instruction, without the offset."""
        return word[self.low : self.low + self.width]


FIELDS = {
    "op": Field(0, 4),
    "vd": Field(4, 3),
    "va": Field(7, 3),
    "vb": Field(10, 3),
    "s": Field(13, 2),
    "shift": Field(15, 6),
    "factor": Field(21, 11),
    "address": Field(16, 16),
    "weights": Field(10, 10),
    "rows": Field(20, 6, 1),
    "cols": Field(26, 6, 1),
}

MEMORY, TERNARY, VECTOR, ACTIVATION, RMS = UNITS = (
    "memory",
    "ternary",
    "vector",
    "activation",
    "rms",
)


class Opcode(NamedTuple):
    """An instruction: its number, the unit that carries it out, and the registers that it holds."""

    number: int
    unit: str
    registers: tuple[str, ...]


OPCODES = {
    "LDV": Opcode(1, MEMORY, ("vd",)),
    "STV": Opcode(2, MEMORY, ("va",)),
    "TMM": Opcode(3, TERNARY, ("vd", "va")),
    "VADD": Opcode(4, VECTOR, ("vd", "va", "vb")),
    "VSUB": Opcode(5, VECTOR, ("vd", "va", "vb")),
    "VMUL": Opcode(6, VECTOR, ("vd", "va", "vb")),
    "SIG": Opcode(7, ACTIVATION, ("vd", "va")),
    "SILU": Opcode(8, ACTIVATION, ("vd", "va")),
    "RMSQ": Opcode(9, RMS, ("vd", "va", "vb", "s")),
    "SCALE": Opcode(10, VECTOR, ("vd", "va", "s")),
}
"""All instructions but HALT, which is number 0 and any other that is not here."""


class MatmulFreeConfig(Config):
    """Vector registers, fixed point and memories of the core."""

    length: int = integer("elements of a vector register", 2, 64, default=16)
    width: int = integer("bits of an element, signed", 16, 24, default=16)
    fraction: int = integer("bits of fraction that SIG, SILU and RMSQ assume", 6, 22, default=12)
    steps: int = integer(
        "lines of a table between two whole numbers, as an exponent of 2", 0, 5, default=3
    )
    rounding: str = choice("ties of RMSQ", lambda: (EVEN, AWAY), default=EVEN)
    depth_program: int = integer("words of the program memory", 64, 1 << 16, default=256)
    depth_data: int = integer("words of the data memory", 64, 1 << 16, default=1024)
    depth_weights: int = integer("words of the weight memory", 64, 1 << 10, default=256)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fraction > self.width - 2:
            raise ValueError(
                f"fraction: {self.fraction} is more than {self.width - 2}, "
                f"which elements of width={self.width} can have"
            )

    @property
    def name(self) -> str:
        depths = f"{self.depth_program}x{self.depth_data}x{self.depth_weights}"
        return f"matmul_free_core_{depths}_{self.slug}"

    @property
    def slug(self) -> str:
        """Parameters without memories as they stand in module names."""
        away = "" if self.rounding == EVEN else "away"
        return f"{self.length}xs{self.width}f{self.fraction}t{self.steps}{away}"

    @property
    def element(self) -> Shape:
        """Shape of an element."""
        return signed(self.width)

    @property
    def memories(self) -> dict[str, MemoryShape]:
        """Shapes of the program, data and weight memory."""
        return {
            "program": MemoryShape(self.depth_program, unsigned(32)),
            "data": MemoryShape(self.depth_data, self.element),
            "weights": MemoryShape(self.depth_weights, unsigned(2 * self.length)),
        }

    @property
    def register(self) -> MemoryShape:
        """Shape of a vector register."""
        return MemoryShape(self.length, self.element)

    @property
    def pe(self) -> TernaryConfig:
        """Accumulation step of the ternary matrix unit."""
        half = 1 << (ACTIVATION_BITS - 1)
        width = sum_bits(self.length, (-half, half - 1), (-1, 1))
        return TernaryConfig(width_a=ACTIVATION_BITS, width_acc=width)
