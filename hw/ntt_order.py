"""Which twiddle factors the butterflies of a number-theoretic transform take together.

A stage halves or doubles the distance of what it pairs: stage s is the one that pairs the
coefficients ``2**s`` apart when a transform is done in place, and a forward transform begins with
the greatest. A row is what a cycle of a stage takes, 2P coefficients for P butterflies. Indices of
twiddle factors are those of Longa and Naehrig's table, whose entry i is psi to the power of the
reversed bits of i.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class NttOrder:
    """Coefficients of a polynomial and butterflies a cycle, both powers of two."""

    size: int
    butterflies: int

    @property
    def address_bits(self) -> int:
        """Stages of a transform."""
        return self.size.bit_length() - 1

    @property
    def lane_bits(self) -> int:
        """Bits of the number of a lane."""
        return self.butterflies.bit_length()

    @property
    def lanes(self) -> int:
        """Coefficients of a cycle, and banks."""
        return 2 * self.butterflies

    @property
    def rows(self) -> int:
        """Cycles of a stage, and words of a bank."""
        return self.size // self.lanes

    @property
    def row_bits(self) -> int:
        """Bits of the number of a row."""
        return self.rows.bit_length() - 1

    def group_bits(self, stage: int) -> range:
        """Return the bits of a row's number that tell which factors its butterflies take."""
        raise NotImplementedError

    def twiddles(self, stage: int) -> list[list[int]]:
        """Return the indices of all butterflies' factors, one list a group."""
        groups = range(1 << len(self.group_bits(stage)))
        return [list(self._indices(stage, group)) for group in groups]

    def _indices(self, stage: int, group: int) -> Iterator[int]:
        raise NotImplementedError


class InPlace(NttOrder):
    """Results return to where operands were.

    An address has digits of ``log2(2P)`` bits, the top one may be shorter. In a cycle 2P lanes
    differ in one bit of each place within a digit, among them the bit that the stage's butterflies
    span; the row says what the other bits are, in their order.
    """

    def varied(self, stage: int) -> list[int]:
        """Return the bits of an address, by their place in a digit, that lanes of a stage vary."""
        top = self._top(stage)
        places = range(self.lane_bits)
        return [top + place if top + place < self.address_bits else place for place in places]

    def group_bits(self, stage: int) -> range:
        return range(min(self._top(stage), self.row_bits), self.row_bits)

    def _indices(self, stage: int, group: int) -> Iterator[int]:
        # The bits of a butterfly's address above the one that it spans, with a 1 before them.
        varied = self.varied(stage)
        above = self._top(stage) + self.lane_bits
        for t in range(self.butterflies):
            lane = with_bit(t, stage % self.lane_bits, 0)
            address = group << above | sum(
                (lane >> place & 1) << bit for place, bit in enumerate(varied)
            )
            yield (self.size | address) >> (stage + 1)

    def _top(self, stage: int) -> int:
        return stage // self.lane_bits * self.lane_bits


class ConstantGeometry(NttOrder):
    """All stages of a transform read, and write, the same places.

    Forward, butterfly i pairs coefficients i and ``i + N / 2``, and its results are the next
    stage's coefficients 2i and ``2i + 1``. Row r has the butterflies from ``r * P`` on.
    """

    def group_bits(self, stage: int) -> range:
        return range(max(0, self._done(stage) - self.lane_bits + 1))

    def _indices(self, stage: int, group: int) -> Iterator[int]:
        period = 1 << self._done(stage)
        for t in range(self.butterflies):
            yield period + (group * self.butterflies + t) % period

    def _done(self, stage: int) -> int:
        """Return the stages of a forward transform before one."""
        return self.address_bits - 1 - stage


def with_bit(number: int, place: int, bit: int) -> int:
    """Put a bit into a number, those from its place on above it."""
    low = number & ((1 << place) - 1)
    return (number >> place) << (place + 1) | bit << place | low


def without_bit(number: int, place: int) -> int:
    """Take a bit out of a number."""
    return number >> (place + 1) << place | (number & ((1 << place) - 1))
