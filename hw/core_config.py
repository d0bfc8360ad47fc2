"""Parameters of a GEMM core, and what its commands and responses hold."""

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from hw.memory import MemoryShape
from hw.systolic_os import SystolicOsConfig
from pe.config import Config, integer, nested

SIZE_BITS = 24
"""Bits of M, K and N in a command."""


def sizes(*names: str) -> dict[str, Shape]:
    """Fields of a payload that hold sizes."""
    return {name: unsigned(SIZE_BITS) for name in names}


def response_layout() -> data.StructLayout:
    """What answers a command: the cycles it took."""
    return data.StructLayout({"cycles": 32})


def command_layout(memories: dict[str, MemoryShape]) -> data.StructLayout:
    """What a command holds: the sizes, and the first word of each matrix."""
    bases = {f"base_{name}": range(shape.depth) for name, shape in memories.items()}
    return data.StructLayout({**sizes("m", "k", "n"), **bases})


def job_layout(memories: dict[str, MemoryShape]) -> data.StructLayout:
    """What the collector needs to know of a command, and when it was taken."""
    base = {"base_c": range(memories["c"].depth), "started": 32}
    return data.StructLayout({**sizes("m", "n"), **base})


class GemmCoreConfig(Config):
    """The engine of a GEMM core and the size of its memories."""

    array: SystolicOsConfig = nested("the engine", factory=SystolicOsConfig)
    depth_a: int = integer(
        "words of the A memory, array.rows elements each", 2, 1 << 20, default=1 << 14
    )
    depth_b: int = integer(
        "words of the B memory, array.cols elements each", 2, 1 << 20, default=1 << 14
    )
    depth_c: int = integer(
        "words of the C memory, array.cols elements each", 2, 1 << 20, default=1 << 14
    )

    @property
    def name(self) -> str:
        return f"gemm_core_{self.depth_a}x{self.depth_b}x{self.depth_c}_{self.array.name}"

    @property
    def memories(self) -> dict[str, MemoryShape]:
        """Shapes of the A, B and C memory."""
        array = self.array
        return {
            "a": MemoryShape(self.depth_a, unsigned(array.rows * array.width_a)),
            "b": MemoryShape(self.depth_b, unsigned(array.cols * array.width_b)),
            "c": MemoryShape(self.depth_c, unsigned(array.cols * array.width_acc)),
        }
