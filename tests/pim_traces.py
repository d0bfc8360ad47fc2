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

Numbers = tuple[list[int], int, int]

ALONE: list[tuple[str, int, int, int, bool, Numbers, Numbers]] = [
    ("S4", 1, 1, 4, False, ([], 162, 10), ([], 153, 5)),
    ("S4", 4, 1, 4, False, ([51, 51, 51], 315, 43), ([39, 51, 51], 306, 26)),
    ("S4", 4, 4, 8, False, ([106] * 3, 542, 167), ([94, 106, 106], 529, 38)),
    ("S4", 4, 1, 32, False, ([100] * 3, 518, 155), ([88, 100, 100], 505, 26)),
    ("S16", 1, 1, 8, False, ([], 248, 17), ([], 247, 8)),
    ("S16", 4, 4, 8, False, ([196] * 3, 890, 215), ([196] * 3, 889, 86)),
    ("F32", 1, 4, 8, False, ([], 303, 48), ([], 302, 15)),
    ("F32", 4, 4, 8, False, ([213] * 3, 942, 279), ([213] * 3, 941, 150)),
    ("F32", 4, 1, 32, False, ([207] * 3, 918, 267), ([207] * 3, 917, 138)),
    ("F32", 4, 4, 8, True, ([182, 194, 194], 885, 186), ([182, 194, 194], 884, 57)),
    ("S4", 4, 4, 8, True, ([103] * 3, 533, 158), ([91, 103, 103], 520, 29)),
]
"""PIM alone: organisation, tiles, GEMVs, steps, one close for all; then blocked and dual: tile
periods, end and commands. The first header is in cycle 111 when blocked and 110 when dual."""
