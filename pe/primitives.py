"""The five primitives that every multiplication by digits consists of, and how often each is done.

Source: "Exploring the Performance Improvement of Tensor Processing Engines through Transformation
in the Bit-weight Dimension of MACs" (HPCA 2025), section III.
"""

from enum import Enum
from typing import NamedTuple


class Primitive(Enum):
    """What is done to operands on their way into a sum."""

    ENCODE = "encode"
    """Recode an element of A into digits."""
    MAP = "map"
    """Select a digit's multiple of B."""
    SHIFT = "shift"
    """Move a row to its bit weight."""
    HALF_REDUCE = "half-reduce"
    """Compress rows without carry propagation."""
    ADD = "add"
    """Add with carry propagation."""


class Scope(Enum):
    """What a primitive is done once for."""

    OPERAND = "code of A at the edge"
    TERM = "product of two codes"
    DIGIT = "digit of a product"
    WEIGHT = "bit weight of a step"
    STEP = "step of a running sum"
    RESULT = "result"


class Placed(NamedTuple):
    """A primitive, and what it is done once for."""

    primitive: Primitive
    scope: Scope
