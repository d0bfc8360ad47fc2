"""The PEs an engine can be built from, by the name that configs and the command line use."""

from pe.bit_weight import FusedConfig, Opt1Config, Opt2Config
from pe.element import PeConfig
from pe.mac import MacConfig

PES: dict[str, type[PeConfig]] = {
    pe.kind: pe for pe in (MacConfig, FusedConfig, Opt1Config, Opt2Config)
}
