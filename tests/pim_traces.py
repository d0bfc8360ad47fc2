"""Traces that several tests of the PIM run."""

from golden.pim_cases import SIZES
from golden.pim_timing import Organisation, Timing

NO_REFRESH = Timing(t_refi=0)
ORGANISATIONS = {
    name: Organisation(ranks=ranks, groups=groups) for name, (ranks, groups) in SIZES.items()
}
SMALL = Organisation(
    ranks=1, groups=1, rows=16, row_bytes=64, column_bytes=16, lanes=16, element_bytes=1
)
"""A channel of four banks and short rows of INT8."""
