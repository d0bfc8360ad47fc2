"""What a PIM channel's config is called in the golden models."""

from golden.pim_data import FORMATS
from golden.pim_timing import Organisation, Policy, Timing
from hw.pim_config import PimConfig


def organisation_of(config: PimConfig) -> Organisation:
    """Organisation of a channel."""
    names = (
        "ranks",
        "groups",
        "banks",
        "row_bytes",
        "column_bytes",
        "lanes",
        "subarray_rows",
        "shared_gbl",
    )
    sizes = {name: getattr(config, name) for name in names}
    return Organisation(rows=config.bank_rows, element_bytes=FORMATS[config.element], **sizes)


def timing_of(config: PimConfig) -> Timing:
    """Timings of a channel."""
    return Timing(**{name: getattr(config.timing, name) for name in Timing.__dataclass_fields__})


def policy_of(config: PimConfig) -> Policy:
    """Choices of a channel's controller."""
    names = ("dual", "pre_all", "hold_act", "refresh_all", "max_wait", "gbuf_depth", "guard_margin")
    return Policy(**{name: getattr(config, name) for name in names})
