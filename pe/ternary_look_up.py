# amaranth: UnusedElaboratable=no
"""A PE that looks dot products with trits up in tables that all PEs of a row share.

The edge of an engine makes a table of each group of A, and a key of each group of B; a PE reads the
sum of the key, and adds it or takes it off.

Source: ternary look-up of TeLLMe (arXiv 2504.16266); the arrangement in an array is ours.
"""

from amaranth.hdl import Module, Value

from pe.coded import Row, TernaryConfig
from pe.config import same_as
from pe.element import PeConfig
from pe.primitives import Placed, Primitive, Scope
from pe.ternary_lut import TernaryKey, TernaryLutConfig, TernaryTable, look_up
from pe.unit import Unit

GROUPS = (5, 4, 3, 2)
"""Elements of A that a table may have, most first."""


class TernaryLookUpConfig(TernaryConfig):
    """B is -1, 0 or 1, coded as for `TernaryConfig`; `terms` is a multiple of 2, 3 or 5."""

    kind = "ternary_look_up"

    terms: int = same_as(PeConfig, "terms", default=4)

    def __post_init__(self) -> None:
        if not self.signed_a:
            raise ValueError(f"signed_a: False is not true, all that pe={self.kind} allows")
        if all(self.terms % group for group in GROUPS):
            raise ValueError(
                f"lanes: {self.terms} is not a multiple of 2, 3 or 5, as pe={self.kind} needs"
            )
        super().__post_init__()

    @property
    def code_terms(self) -> int:
        """Elements of a table: the most, up to 5, that divide `terms`."""
        return next(group for group in GROUPS if self.terms % group == 0)

    @property
    def table(self) -> TernaryLutConfig:
        """Table of a group of A, as a column reads it."""
        return TernaryLutConfig(group=self.code_terms, cols=1, width_a=self.width_a)

    @property
    def code_width(self) -> int:
        return self.table.row.width

    @property
    def code_width_b(self) -> int:
        return self.table.key.width

    @property
    def encoder(self) -> Unit:
        return TernaryTable(self.table)

    @property
    def encoder_b(self) -> Unit:
        return TernaryKey(self.table)

    @property
    def primitives(self) -> tuple[Placed, ...]:
        return (Placed(Primitive.ENCODE, Scope.OPERAND), *super().primitives)

    def row(self, m: Module, a: Value, b: Value) -> Row:
        return look_up(m, self.table, a, b)
