"""The contract of a stream unit: streams of beats in, streams of beats out, whatever pauses.

Each output stream is a function of the input streams and of nothing else: pauses of any stream,
and how the streams lie to each other in time, change when beats leave, and never what they hold.
No stream loses or repeats a beat. A stream with a field ``last`` carries packets.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pe.unit import Unit


class StreamUnit(Unit):
    """Base of all stream units.

    Members are streams whose payload is a structure of numbers and arrays of numbers. Columns of a
    stream are called as its field, after the name of the stream without its ``i`` or ``o``:
    ``token_data`` is field ``data`` of stream ``i_token`` and ``data`` that of stream ``o``.
    """

    longest: int = 1
    """Most beats of a packet, where a stream has packets."""

    def cycles(self, columns: Mapping[str, Sequence[Any]]) -> int:
        """Cycles from the first beat taken to the last beat given, both included.

        For streams that always offer a beat and sinks that always take one.

        Parameters
        ----------
        columns
            Of the input streams, a value a beat.
        """
        raise NotImplementedError


def column(stream: str, field: str) -> str:
    """Return the name of a column."""
    return "_".join([*stream.split("_")[1:], field])


def packet_lengths(last: Sequence[Any]) -> list[int]:
    """Return the beats of each packet."""
    ends = [i for i, flag in enumerate(last) if flag]
    return [end - start for start, end in zip([-1, *ends], ends, strict=False)]
