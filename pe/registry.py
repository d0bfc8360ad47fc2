"""The PEs an engine can be built from, by the name that configs and the command line use."""

from collections.abc import Mapping
from typing import ClassVar

from pe.adders import SKLANSKY
from pe.bit_weight import BOOTH, BitWeightConfig, FusedConfig, Opt1Config, Opt2Config
from pe.config import Config, choice, flag, integer, same_as
from pe.element import PeConfig
from pe.heap import DADDA, THREE_TWO
from pe.mac import MacConfig

PES: dict[str, type[PeConfig]] = {
    pe.kind: pe for pe in (MacConfig, FusedConfig, Opt1Config, Opt2Config)
}

PE_OPTIONS = ("digits", "encoder_at", "stages", "schedule", "counters", "adder")
"""Parameters of a PE that not every PE has."""


class PeChoice(Config):
    """A PE by name, its operands, and its options as far as it has them.

    Subclasses have `width_acc`, and `terms`.
    """

    pes: ClassVar[Mapping[str, type[PeConfig]]] = PES
    """PEs that there are to choose from, by the name of each."""

    pe: str = choice("processing element", lambda: PES, default="mac")
    width_a: int = integer("bits of an element of A", 2, 16, default=8)
    width_b: int = integer("bits of an element of B", 2, 16, default=8)
    signed_a: bool = flag("A is two's complement", default=True)
    signed_b: bool = flag("B is two's complement", default=True)
    digits: str = same_as(BitWeightConfig, "digits", default=BOOTH)
    stages: int = same_as(BitWeightConfig, "stages", default=0)
    schedule: str = same_as(BitWeightConfig, "schedule", default=DADDA)
    counters: str = same_as(BitWeightConfig, "counters", default=THREE_TWO)
    adder: str = same_as(BitWeightConfig, "adder", default=SKLANSKY)

    def check_options(self) -> None:
        """Refuse an option that the PE does not have.

        Raises
        ------
        ValueError
            Saying which PEs have it.
        """
        fields = self.__dataclass_fields__
        for option in PE_OPTIONS:
            if option not in fields or option in self.pes[self.pe].__dataclass_fields__:
                continue
            value = getattr(self, option)
            if value == fields[option].default:
                continue
            takers = [n for n, pe in self.pes.items() if option in pe.__dataclass_fields__]
            raise ValueError(
                f"{option}: {value!r} does not apply to pe={self.pe}; it does to "
                f"{', '.join(takers) or 'no PE of this design'}"
            )

    @property
    def pe_config(self) -> PeConfig:
        """Config of one PE."""
        fields = self.pes[self.pe].__dataclass_fields__
        shared = fields.keys() & {*self.__dataclass_fields__, "terms"}
        return self.pes[self.pe](**{name: getattr(self, name) for name in shared})
