"""Ends of a stream under cocotb: what offers beats and what takes them, both with pauses."""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Beat = dict[str, int]
"""Fields of a beat as port values."""

Pause = Callable[[], bool]
"""Tells in each cycle whether to pause."""


class Steady:
    """Pauses in a cycle with a probability that stays."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def __call__(self) -> bool:
        return random.random() < self._probability


class Bursts:
    """Pauses with a probability that changes: none at all, the given one, nearly always.

    Streams that pause independently and for long fill buffers to the brim, and drain them.
    """

    LONGEST = 100

    def __init__(self, probability: float) -> None:
        usual, rare = probability, 1 - (1 - probability) / 8
        self._choices = (0.0, usual, rare) if probability else (0.0,)
        self._left, self._now = 0, 0.0

    def __call__(self) -> bool:
        if not self._left:
            self._left = random.randint(1, self.LONGEST)
            self._now = random.choice(self._choices)
        self._left -= 1
        return random.random() < self._now


class Source:
    """Drives one stream: offers each beat until it is taken, or pauses between."""

    def __init__(
        self, dut: Any, name: str, fields: Iterable[str], beats: Sequence[Beat], pause: Pause
    ) -> None:
        self._ports = {field: getattr(dut, f"{name}_{field}") for field in fields}
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._beats = beats
        self._pause = pause
        self._offered = False
        self.taken = 0
        self._noise = {field: len(port) for field, port in self._ports.items()}
        self._valid.value = 0

    def edge(self) -> bool:
        """Act on a clock edge; return whether a beat was taken by it."""
        taken = self._offered and bool(int(self._ready.value))
        if taken:
            self.taken += 1
        if taken or not self._offered:
            self._offered = self.taken < len(self._beats) and not self._pause()
            self._valid.value = int(self._offered)
            for field, port in self._ports.items():
                # What is not valid must not matter.
                port.value = (
                    self._beats[self.taken][field]
                    if self._offered
                    else random.getrandbits(self._noise[field])
                )
        return taken


class Sink:
    """Takes beats of one stream, with pauses, and watches that an offered beat stays."""

    def __init__(self, dut: Any, name: str, fields: Iterable[str], pause: Pause) -> None:
        self._name = name
        self._ports = {field: getattr(dut, f"{name}_{field}") for field in fields}
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._pause = pause
        self._is_ready = False
        self._waiting: Beat | None = None
        self.beats: list[Beat] = []
        self._ready.value = 0

    def edge(self) -> bool:
        """Act on a clock edge; return whether a beat was taken by it."""
        beat = None
        if int(self._valid.value):
            beat = {field: int(port.value) for field, port in self._ports.items()}
        if self._waiting is not None:
            what = f"{self._name}: beat {len(self.beats)} changed before it was taken"
            assert beat == self._waiting, what
        taken = beat is not None and self._is_ready
        if taken and beat is not None:
            self.beats.append(beat)
        self._waiting = None if taken else beat
        self._is_ready = not self._pause()
        self._ready.value = int(self._is_ready)
        return taken
