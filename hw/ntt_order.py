"""Where the coefficients of a number-theoretic transform lie, and which meet in a cycle.

An address has one bit a stage. Its digits are of ``log2(2P)`` bits for P butterflies, the top one
may be shorter. In a cycle 2P lanes differ in one bit of each place within a digit, among them the
bit that the stage's butterflies span; the row says what the other bits are, in their order.
"""

from typing import NamedTuple


class NttOrder(NamedTuple):
    """Coefficients of a polynomial and butterflies a cycle, both powers of two."""

    size: int
    butterflies: int

    @property
    def address_bits(self) -> int:
        """Stages of a transform."""
        return self.size.bit_length() - 1

    @property
    def lane_bits(self) -> int:
        """Bits of a digit of an address."""
        return self.butterflies.bit_length()

    @property
    def lanes(self) -> int:
        """Coefficients of a cycle, and banks."""
        return 2 * self.butterflies

    @property
    def rows(self) -> int:
        """Cycles of a stage, and words of a bank."""
        return self.size // self.lanes

    def varied(self, stage: int) -> list[int]:
        """Return the bits of an address, by their place in a digit, that lanes of a stage vary."""
        top = self._top(stage)
        places = range(self.lane_bits)
        return [top + place if top + place < self.address_bits else place for place in places]

    def repeats(self, stage: int) -> int:
        """Return for how many bits of the row, from the lowest on, twiddle factors stay."""
        return min(self._top(stage), self.rows.bit_length() - 1)

    def twiddles(self, stage: int) -> list[list[int]]:
        """Return indices of twiddle factors, for each that a butterfly takes one after the other.

        The index of a butterfly is the bits of its address above the one that it spans, with a 1
        before them.
        """
        varied = self.varied(stage)
        above = self._top(stage) + self.lane_bits
        found = []
        for group in range(self.rows >> self.repeats(stage)):
            indices = []
            for t in range(self.butterflies):
                lane = with_bit(t, stage % self.lane_bits, 0)
                address = group << above | sum(
                    (lane >> place & 1) << bit for place, bit in enumerate(varied)
                )
                indices.append((self.size | address) >> (stage + 1))
            found.append(indices)
        return found

    def _top(self, stage: int) -> int:
        return stage // self.lane_bits * self.lane_bits


def with_bit(number: int, place: int, bit: int) -> int:
    """Put a bit into a number, those from its place on above it."""
    low = number & ((1 << place) - 1)
    return (number >> place) << (place + 1) | bit << place | low


def without_bit(number: int, place: int) -> int:
    """Take a bit out of a number."""
    return number >> (place + 1) << place | (number & ((1 << place) - 1))
