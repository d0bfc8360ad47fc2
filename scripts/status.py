"""Exit statuses of ``rtloom``."""

from enum import IntEnum


class Status(IntEnum):
    """Exit status; the last two are 128 plus the signal, as shells report it."""

    OK = 0
    MISMATCH = 1
    BAD_INPUT = 2
    MISSING_TOOL = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141
