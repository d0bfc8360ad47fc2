"""What designs gain over a baseline: the points of a sweep, in the groups that its file names.

Each side stands at its own best point of the area-delay curve, for area efficiency (GOPS/mm2) and
for energy efficiency (GOPS/W) apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AREA, ENERGY = "area", "energy"
EFFICIENCY = {AREA: "gops_per_mm2", ENERGY: "gops_per_w"}
COLUMNS = (
    "group",
    "efficiency",
    "baseline",
    "best design",
    "of the baseline",
    "of the best",
    "gain",
    "published gain",
)


@dataclass(frozen=True)
class Group:
    """A comparison that a sweep makes.

    Attributes
    ----------
    name
        What is compared.
    published
        Gain that its source states in `AREA` and `ENERGY` efficiency, where it does.
    """

    name: str
    published: Mapping[str, float]


@dataclass(frozen=True)
class Member:
    """A design of a comparison, by the name of its module, on one side or the other."""

    group: str
    design: str
    is_baseline: bool


def gains(
    groups: Sequence[Group], members: Sequence[Member], records: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Return rows of `COLUMNS`, for each group and efficiency that both its sides were measured in.

    GOPS/mm2 and GOPS/W as `Record` has them.
    """
    rows: list[tuple[str, ...]] = []
    for group in groups:
        for kind, key in EFFICIENCY.items():
            sides = [
                [
                    (record[key], record["design"])
                    for record in records
                    if record[key] is not None
                    and Member(group.name, record["design"], is_baseline) in members
                ]
                for is_baseline in (True, False)
            ]
            if all(sides):
                (old, baseline), (new, best) = map(max, sides)
                published = group.published.get(kind)
                unit = "GOPS/mm2" if kind == AREA else "GOPS/W"
                told = "" if published is None else f"{published:.2f}"
                figures = (f"{old:.0f} {unit}", f"{new:.0f} {unit}", f"{new / old:.2f}", told)
                rows.append((group.name, kind, baseline, best, *figures))
    return rows
