"""Named settings of well-known machines, each with the source of its figures."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A design of the catalogue with the settings of a known machine.

    Attributes
    ----------
    name
        What the command line calls it.
    design
        Name of the design in the catalogue.
    settings
        Parameter values, by the keys that `Config.from_settings` takes; the rest keep their
        defaults.
    source
        Where the figures stand.
    summary
        What it is, in one line.
    """

    name: str
    design: str
    settings: Mapping[str, int | bool | str]
    source: str
    summary: str


_INT8 = {"width_a": 8, "width_b": 8}
_BIT_WEIGHT = "HPCA 2025, Transformation in the Bit-weight Dimension of MACs, released RTL"

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="tpu_v1",
            design="systolic_ws",
            # 4096 accumulators of 256 x 32 bits: twice 2048, for double buffering.
            settings={"rows": 256, "cols": 256, "depth": 2048, "width_acc": 32, **_INT8},
            source="ISCA 2017, In-Datacenter Performance Analysis of a TPU, section 2",
            summary="matrix unit of the first TPU: 65 536 MACs, 4 MiB of accumulators",
        ),
        Preset(
            name="gemmini_ws",
            design="systolic_ws",
            # 64 KiB of accumulators in 2 banks: 512 rows of 16 x 32 bits each.
            settings={"rows": 16, "cols": 16, "depth": 512, "width_acc": 32, **_INT8},
            source="DAC 2021, Gemmini; default configuration of its generator (Configs.scala)",
            summary="Gemmini's default array, weight stationary",
        ),
        Preset(
            name="gemmini_os",
            design="systolic",
            settings={"rows": 16, "cols": 16, "width_acc": 32, **_INT8},
            source="DAC 2021, Gemmini; default configuration of its generator (Configs.scala)",
            summary="Gemmini's default array, output stationary",
        ),
        Preset(
            name="hptpe_mac_os",
            design="systolic",
            settings={"rows": 16, "cols": 16, "width_acc": 32, **_INT8},
            source=f"{_BIT_WEIGHT}: OPT1/systolic_array_os/array_mac_based",
            summary="baseline array of the bit-weight paper, output stationary",
        ),
        Preset(
            name="hptpe_mac_ws",
            design="systolic_ws",
            # Partial sums as wide as one K-slice of 16 needs; the paper's array ends there.
            settings={"rows": 16, "cols": 16, "k_max": 16, "width_acc": 20, **_INT8},
            source=f"{_BIT_WEIGHT}: OPT1/systolic_array_ws/array_mac_based",
            summary="baseline array of the bit-weight paper, weight stationary, K up to 16",
        ),
        Preset(
            name="scale_sim_os",
            design="systolic",
            settings={"rows": 32, "cols": 32},
            source="ISPASS 2020, SCALE-Sim; its default configuration file (scale.cfg)",
            summary="array that SCALE-Sim models by default, output stationary",
        ),
        Preset(
            name="mixpe_w4a8",
            design="systolic_grouped",
            settings={"rows": 64, "cols": 64, "group": 128, "width_a": 8, "signed_b": False}
            | {"signed_zero": False},
            source="MixPE, arXiv 2411.16158; array size of its released simulator (conf files)",
            summary="MixPE's W4A8 array: 4-bit codes with scale and zero point for groups of 128",
        ),
    )
}
