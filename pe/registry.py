"""The PEs an engine can be built from, by the name that configs and the command line use."""

from collections.abc import Mapping
from typing import ClassVar

from amaranth.hdl import Shape

from pe.adders import SKLANSKY
from pe.bit_weight import (
    BOOTH,
    BitWeightConfig,
    FusedConfig,
    MixConfig,
    Opt1Config,
    Opt2Config,
)
from pe.coded import Fp4Config, ShiftConfig, TernaryConfig, W4A16Config
from pe.coded_float import Fp8Config, LMulPeConfig, MitchellConfig
from pe.config import Config, choice, flag, integer, same_as
from pe.element import Ends, PeConfig
from pe.heap import DADDA, THREE_TWO
from pe.mac import MacConfig
from pe.switchable import SwitchablePeConfig
from pe.ternary_look_up import TernaryLookUpConfig

PES: dict[str, type[PeConfig]] = {
    pe.kind: pe
    for pe in (
        MacConfig,
        FusedConfig,
        Opt1Config,
        Opt2Config,
        MixConfig,
        SwitchablePeConfig,
        TernaryConfig,
        ShiftConfig,
        Fp4Config,
        Fp8Config,
        MitchellConfig,
        LMulPeConfig,
        W4A16Config,
    )
}

BROADCAST_PES = PES | {TernaryLookUpConfig.kind: TernaryLookUpConfig}
"""PEs that engines can have where elements of K come to a PE at once."""

DERIVED = 0
"""Of widths that follow from other parameters."""

PE_OPTIONS = ("digits", "encoder_at", "stages", "schedule", "counters", "adder")
"""Parameters of a PE that not every PE has."""


class PeChoice(Config):
    """A PE by name, its operands, and its options as far as it has them.

    Subclasses have `width_acc`, and `terms`.
    """

    pes: ClassVar[Mapping[str, type[PeConfig]]] = PES
    """PEs that there are to choose from, by the name of each."""

    pe: str = choice("processing element", lambda: PES, default="mac")
    width_a: int = integer("bits of an element of A; 0: as the PE has it", 0, 16, default=DERIVED)
    width_b: int = integer("bits of an element of B; 0: as the PE has it", 0, 16, default=DERIVED)
    signed_a: bool = flag("A is two's complement", default=True)
    signed_b: bool = flag("B is two's complement", default=True)
    digits: str = same_as(BitWeightConfig, "digits", default=BOOTH)
    stages: int = same_as(BitWeightConfig, "stages", default=0)
    schedule: str = same_as(BitWeightConfig, "schedule", default=DADDA)
    counters: str = same_as(BitWeightConfig, "counters", default=THREE_TWO)
    adder: str = same_as(BitWeightConfig, "adder", default=SKLANSKY)

    def __post_init__(self) -> None:
        super().__post_init__()
        pe = self.pes[self.pe]
        for name in ("width_a", "width_b"):
            if getattr(self, name) == DERIVED:
                object.__setattr__(self, name, pe.__dataclass_fields__[name].default)
        pe.check_widths(self.width_a, self.width_b)

    @property
    def ends(self) -> tuple[Ends, Ends]:
        """The least and the greatest number that an element of A, and of B, stands for."""
        pe = self.pes[self.pe]
        a, b = Shape(self.width_a, self.signed_a), Shape(self.width_b, self.signed_b)
        return pe.ends_a(a), pe.ends_b(b)

    def sum_bits(self, k: int) -> int:
        """Return the least width in bits that holds every sum of `k` products exactly."""
        a, b = Shape(self.width_a, self.signed_a), Shape(self.width_b, self.signed_b)
        return self.pes[self.pe].sum_bits(k, a, b)

    @property
    def format_a(self) -> str:
        """Number format of elements of A, as golden models call it."""
        return self.pes[self.pe].format_a

    @property
    def format_b(self) -> str:
        """Number format of elements of B."""
        return self.pe_config.format_b

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
