"""The catalogue: the one table of designs that commands, benches and docs read."""

from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.lib import enum

from hw.additive_attention import AdditiveAttention, AdditiveAttentionConfig
from hw.binary_threshold import BinaryThreshold, BinaryThresholdConfig
from hw.bit_slice import BitSlice, BitSliceConfig
from hw.broadcast import AdderTreeConfig, Broadcast, CubeConfig, MatrixConfig
from hw.core_config import GemmCoreConfig
from hw.expert_router import ExpertRouter, ExpertRouterConfig
from hw.gemm_core import GemmCore
from hw.grouped import GroupedConfig, SystolicGrouped
from hw.lut_engine import LutEngine, LutEngineConfig
from hw.matmul_free import MatmulFreeCore
from hw.matmul_free_isa import MatmulFreeConfig
from hw.ntt_engine import NttEngine, NttEngineConfig
from hw.pim_bank import PimBank
from hw.pim_channel import PimChannel
from hw.pim_config import PimBankConfig, PimConfig
from hw.systolic_modular import SystolicModular, SystolicModularConfig
from hw.systolic_os import SystolicOs, SystolicOsConfig
from hw.systolic_ws import SystolicWs, SystolicWsConfig
from pe.addition import Adder, AdderConfig, CompressorTree, CompressorTreeConfig
from pe.aligner import ActivationAligner, ActivationAlignerConfig
from pe.barrett import Barrett, BarrettConfig, BarrettReduce, BarrettReduceConfig
from pe.bat import BatReduce, BatReduceConfig
from pe.butterfly import Butterfly, ButterflyConfig
from pe.config import Config, nearest
from pe.encoders import (
    BitConfig,
    BitEncoder,
    BoothConfig,
    BoothEncoder,
    CsdConfig,
    CsdEncoder,
    EntConfig,
    EntEncoder,
)
from pe.float_add import FloatAdder, FloatAdderConfig
from pe.float_multiply import FloatMultiplier, FloatMultiplierConfig
from pe.format_encoder import FormatEncoder, FormatEncoderConfig
from pe.formats import FormatDecoder, FormatDecoderConfig
from pe.gemv_unit import GemvUnit, GemvUnitConfig
from pe.hamming import HammingDot, HammingDotConfig
from pe.l_mul import LMul, LMulConfig
from pe.lut_builder import LutBuilder, LutBuilderConfig
from pe.lut_pe import LutPe, LutPeConfig
from pe.mac import MacConfig, MultiplyAdd
from pe.modular_add import ModularAdd, ModularAddConfig
from pe.montgomery import Montgomery, MontgomeryConfig
from pe.mx import MxDot, MxDotConfig
from pe.mx_accumulate import MxAccumulator, MxAccumulatorConfig
from pe.mx_scale import MxScale, MxScaleConfig
from pe.processing_element import ProcessingElement, ProcessingElementConfig
from pe.serial import SerialConfig, SerialPe
from pe.shoup import Shoup, ShoupConfig
from pe.solinas import Solinas, SolinasConfig
from pe.switchable import SwitchableConfig, SwitchablePe
from pe.term_serial import TermSerialConfig, TermSerialPe
from pe.terms import TermEncoder, TermEncoderConfig
from pe.ternary_lut import TernaryLut, TernaryLutConfig
from pe.unit import Unit
from pe.w4a16 import (
    ExactW4A16Config,
    ExactW4A16Pe,
    FloatW4A16Config,
    FloatW4A16Pe,
)


class Kind(enum.Enum):
    """Which of the seven contracts a design keeps, and hence which bench drives it."""

    FUNCTION_UNIT = "function unit"
    GEMM_ENGINE = "GEMM engine"
    GROUPED_ENGINE = "grouped GEMM engine"
    STREAM_UNIT = "stream unit"
    COMMAND_DEVICE = "command device"
    PROCESSOR = "processor"
    PIM_CHANNEL = "PIM channel"


@dataclass(frozen=True)
class Design:
    """One row of the catalogue.

    Attributes
    ----------
    name
        What the command line calls it.
    kind
        Its contract.
    config, component
        Its parameters and its hardware.
    golden
        Import path of its golden model, ``module:function``.
    source
        Paper and section it comes from.
    summary
        What it is, in one line.
    golden_cycles
        Import path of the golden model of its cycles, where they depend on the operands.
    stimuli
        Import path of what the bench plays where independent random streams will not do, for a
        stream unit, or uniform operands, for a function unit that is not tried on all of them.
    operands
        Import path of what draws operands of a function unit that does not take all words.
    """

    name: str
    kind: Kind
    config: type[Config]
    component: type[Unit]
    golden: str
    source: str
    summary: str
    golden_cycles: str = ""
    stimuli: str = ""
    operands: str = ""


_BARRETT = "Barrett, CRYPTO 1986; Dhem 1998, generalised"
_MX = "OCP Microscaling Formats (MX) Specification 1.0"
_SHIFT_ADD = "ShiftAddViT, arXiv 2306.06446"
_LUT = "LUT-GEMM, arXiv 2206.09557; ShiftAddLLM, arXiv 2406.05981; FIGLUT, arXiv 2503.06862"
_TPE = "HPCA 2025, Transformation in the Bit-weight Dimension of MACs"

DESIGNS: dict[str, Design] = {
    design.name: design
    for design in (
        Design(
            name="multiply_add",
            kind=Kind.FUNCTION_UNIT,
            config=MacConfig,
            component=MultiplyAdd,
            golden="golden.mac:multiply_add",
            source=f"{_TPE}, section II",
            summary="one accumulation step, combinational: what a cell of an engine computes",
        ),
        Design(
            name="mac",
            kind=Kind.FUNCTION_UNIT,
            config=MacConfig,
            component=ProcessingElement,
            golden="golden.mac:multiply_accumulate",
            source=f"{_TPE}, section II",
            summary="multiply-accumulate PE with registered operands",
        ),
        Design(
            name="pe",
            kind=Kind.FUNCTION_UNIT,
            config=ProcessingElementConfig,
            component=ProcessingElement,
            golden="golden.mac:multiply_accumulate",
            source=f"{_TPE}, sections III and IV",
            summary="any PE by itself, its running sum in the form that it keeps it in",
        ),
        Design(
            name="switchable_pe",
            kind=Kind.FUNCTION_UNIT,
            config=SwitchableConfig,
            component=SwitchablePe,
            golden="golden.switchable:accumulate_halves",
            source="MixPE, arXiv 2411.16158; the split of the accumulator is ours",
            summary="W8A8 or twice W4A8 PE, chosen from cycle to cycle",
        ),
        Design(
            name="ternary_lut",
            kind=Kind.FUNCTION_UNIT,
            config=TernaryLutConfig,
            component=TernaryLut,
            golden="golden.ternary_lut:sums",
            source="TeLLMe, arXiv 2504.16266; keys as numbers of radix 3 are ours",
            summary="ternary dot products looked up in a table of sums that columns share",
        ),
        Design(
            name="serial_pe",
            kind=Kind.FUNCTION_UNIT,
            config=SerialConfig,
            component=SerialPe,
            golden="golden.mac:multiply_accumulate",
            source="MixPE, arXiv 2411.16158; Stripes, MICRO 2016",
            summary="bit-serial PE: a bit of the weight a clock, and no multiplier",
        ),
        Design(
            name="term_serial_pe",
            kind=Kind.FUNCTION_UNIT,
            config=TermSerialConfig,
            component=TermSerialPe,
            golden="golden.terms:accumulate",
            source="BitMoD, arXiv 2411.11745; ShiftAddViT, arXiv 2306.06446",
            summary="PE for weights of any low-bit format, a term of theirs a clock",
        ),
        Design(
            name="exact_w4a16_pe",
            kind=Kind.FUNCTION_UNIT,
            config=ExactW4A16Config,
            component=ExactW4A16Pe,
            golden="golden.w4a16:accumulate_exact",
            source="MixPE, arXiv 2411.16158; the exact sum is ours",
            summary="W4A16 PE: FP16 activations, exact sums in fixed point",
        ),
        Design(
            name="float_w4a16_pe",
            kind=Kind.FUNCTION_UNIT,
            config=FloatW4A16Config,
            component=FloatW4A16Pe,
            golden="golden.w4a16:accumulate_floats",
            source="MixPE, arXiv 2411.16158",
            summary="W4A16 PE: products by addition to exponents, sums by float adders",
        ),
        Design(
            name="activation_aligner",
            kind=Kind.FUNCTION_UNIT,
            config=ActivationAlignerConfig,
            component=ActivationAligner,
            golden="golden.w4a16:aligned",
            source="FIGNA, HPCA 2024",
            summary="float activations to integers on the grid of the largest in their group",
        ),
        Design(
            name="compressor_tree",
            kind=Kind.FUNCTION_UNIT,
            config=CompressorTreeConfig,
            component=CompressorTree,
            golden="golden.addition:total",
            source="Dadda, Some Schemes for Parallel Multipliers, 1965; Wallace, 1964",
            summary="sum of many words by a tree of counters, carry-save or resolved",
        ),
        Design(
            name="adder",
            kind=Kind.FUNCTION_UNIT,
            config=AdderConfig,
            component=Adder,
            golden="golden.addition:add",
            source="Brent, Kung 1982; Kogge, Stone 1973; Sklansky 1960",
            summary="carry-propagate adder: ripple or a parallel-prefix network",
        ),
        Design(
            name="booth_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=BoothConfig,
            component=BoothEncoder,
            golden="golden.digits:ports",
            source=f"{_TPE}, section II; MacSorley, Proc. IRE 1961",
            summary="modified Booth digits, radix 4, -2 to 2, independent of each other",
        ),
        Design(
            name="ent_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=EntConfig,
            component=EntEncoder,
            golden="golden.digits:ports",
            source=f"EN-T, arXiv 2404.11887; {_TPE}",
            summary="EN-T digits of the magnitude, radix 4, -1 to 2, with a carry chain",
        ),
        Design(
            name="csd_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=CsdConfig,
            component=CsdEncoder,
            golden="golden.digits:ports",
            source="Reitwiesner, Binary Arithmetic, Advances in Computers 1960",
            summary="canonical signed digits, radix 2, -1 to 1, as few as can be",
        ),
        Design(
            name="bit_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=BitConfig,
            component=BitEncoder,
            golden="golden.digits:ports",
            source=f"{_TPE}, section II",
            summary="plain bits as digits, radix 2, the top one of a signed operand negative",
        ),
        Design(
            name="term_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=TermEncoderConfig,
            component=TermEncoder,
            golden="golden.terms:encoded_terms",
            source="BitMoD, arXiv 2411.11745; Reitwiesner, Binary Arithmetic, 1960",
            summary="low-bit number format to few signed powers of two",
        ),
        Design(
            name="format_decoder",
            kind=Kind.FUNCTION_UNIT,
            config=FormatDecoderConfig,
            component=FormatDecoder,
            golden="golden.formats:decoded",
            source=f"OCP 8-bit Floating Point Specification 1.0; {_MX}; IEEE 754-2019",
            summary="number format to signed significand and shift: FP4 to FP32, MX, powers of two",
        ),
        Design(
            name="format_encoder",
            kind=Kind.FUNCTION_UNIT,
            config=FormatEncoderConfig,
            component=FormatEncoder,
            golden="golden.formats:encoded",
            stimuli="golden.float_operands:to_encode",
            source=f"OCP 8-bit Floating Point Specification 1.0; {_MX}; IEEE 754-2019",
            summary="BF16, FP16 or FP32 to a narrower format, to nearest, saturating or not",
        ),
        Design(
            name="l_mul",
            kind=Kind.FUNCTION_UNIT,
            config=LMulConfig,
            component=LMul,
            golden="golden.l_mul:multiply",
            stimuli="golden.float_operands:pair",
            source="L-Mul, arXiv 2410.00907; Mitchell, IRE Trans. Electronic Computers 1962",
            summary="product of two floats by one integer addition: Mitchell's, or L-Mul's",
        ),
        Design(
            name="mx_scale",
            kind=Kind.FUNCTION_UNIT,
            config=MxScaleConfig,
            component=MxScale,
            golden="golden.mx:scale_of",
            stimuli="golden.float_operands:to_scale",
            source=f"{_MX}, section 6.3",
            summary="shared scale of a microscaling block, from the largest magnitude in it",
        ),
        Design(
            name="float_adder",
            kind=Kind.FUNCTION_UNIT,
            config=FloatAdderConfig,
            component=FloatAdder,
            golden="golden.float_add:add",
            stimuli="golden.float_operands:pair",
            source="IEEE 754-2019, addition",
            summary="sum of two floats, rounded to nearest even, subnormals included",
        ),
        Design(
            name="float_multiplier",
            kind=Kind.FUNCTION_UNIT,
            config=FloatMultiplierConfig,
            component=FloatMultiplier,
            golden="golden.float_multiply:multiply",
            stimuli="golden.float_operands:pair",
            source="IEEE 754-2019, multiplication",
            summary="product of two floats, rounded to nearest even, subnormals included",
        ),
        Design(
            name="mx_dot",
            kind=Kind.FUNCTION_UNIT,
            config=MxDotConfig,
            component=MxDot,
            golden="golden.mx:dot",
            stimuli="golden.float_operands:blocks",
            source=_MX,
            summary="dot product of two microscaling blocks: exact sum, rounded once to float32",
        ),
        Design(
            name="mx_accumulator",
            kind=Kind.FUNCTION_UNIT,
            config=MxAccumulatorConfig,
            component=MxAccumulator,
            golden="golden.mx:accumulate",
            stimuli="golden.float_operands:running_blocks",
            source=_MX,
            summary="running float32 sum of dot products of microscaling blocks",
        ),
        Design(
            name="hamming_dot",
            kind=Kind.FUNCTION_UNIT,
            config=HammingDotConfig,
            component=HammingDot,
            golden="golden.attention:hamming_dot",
            source=f"{_SHIFT_ADD}; XNOR-Net, arXiv 1603.05279",
            summary="dot product of vectors of plus and minus one",
        ),
        Design(
            name="lut_builder",
            kind=Kind.FUNCTION_UNIT,
            config=LutBuilderConfig,
            component=LutBuilder,
            golden="golden.lut:build",
            source=_LUT,
            summary="half a table of the sums of 4 or 8 activations under all signs",
        ),
        Design(
            name="lut_pe",
            kind=Kind.FUNCTION_UNIT,
            config=LutPeConfig,
            component=LutPe,
            golden="golden.lut:read_accumulate",
            source=_LUT,
            summary="read-accumulate PE: look-up in half a table, negation, shift, sum",
        ),
        Design(
            name="lut_engine",
            kind=Kind.FUNCTION_UNIT,
            config=LutEngineConfig,
            component=LutEngine,
            golden="golden.lut:engine",
            source=_LUT,
            summary="products of binary-coded weights by look-up: PEs that share a table",
        ),
        Design(
            name="modular_add",
            kind=Kind.FUNCTION_UNIT,
            config=ModularAddConfig,
            component=ModularAdd,
            golden="golden.modular_units:add",
            operands="golden.modular_operands:add",
            source="this project",
            summary="sum or difference of two residues, or half of it",
        ),
        Design(
            name="barrett_reduce",
            kind=Kind.FUNCTION_UNIT,
            config=BarrettReduceConfig,
            component=BarrettReduce,
            golden="golden.modular_units:barrett_reduce",
            operands="golden.modular_operands:barrett_reduce",
            source=_BARRETT,
            summary="remainder of a word, by generalised Barrett reduction",
        ),
        Design(
            name="barrett",
            kind=Kind.FUNCTION_UNIT,
            config=BarrettConfig,
            component=Barrett,
            golden="golden.modular_units:barrett",
            operands="golden.modular_operands:barrett",
            source=_BARRETT,
            summary="modular product by generalised Barrett reduction",
        ),
        Design(
            name="montgomery",
            kind=Kind.FUNCTION_UNIT,
            config=MontgomeryConfig,
            component=Montgomery,
            golden="golden.modular_units:montgomery",
            operands="golden.modular_operands:montgomery",
            source="Montgomery 1985; Mert and others, A Flexible and Scalable NTT Hardware, 2020",
            summary="modular product by Montgomery reduction, whole or by words",
        ),
        Design(
            name="shoup",
            kind=Kind.FUNCTION_UNIT,
            config=ShoupConfig,
            component=Shoup,
            golden="golden.modular_units:shoup",
            operands="golden.modular_operands:shoup",
            source="Harvey, Faster arithmetic for number-theoretic transforms, 2014",
            summary="modular product with a known factor, by its quotient",
        ),
        Design(
            name="solinas",
            kind=Kind.FUNCTION_UNIT,
            config=SolinasConfig,
            component=Solinas,
            golden="golden.modular_units:solinas",
            operands="golden.modular_operands:solinas",
            source="Solinas, Generalized Mersenne Numbers, 1999",
            summary="remainder modulo 2^a - 2^b + 1 by folding: Goldilocks and the like",
        ),
        Design(
            name="bat_reduce",
            kind=Kind.FUNCTION_UNIT,
            config=BatReduceConfig,
            component=BatReduce,
            golden="golden.modular_units:bat_reduce",
            operands="golden.modular_operands:bat_reduce",
            source="CROSS, arXiv 2501.07047; the short reduction is ours",
            summary="residue from the sums of digit products that an INT8 array makes",
        ),
        Design(
            name="butterfly",
            kind=Kind.FUNCTION_UNIT,
            config=ButterflyConfig,
            component=Butterfly,
            golden="golden.modular_units:butterfly",
            operands="golden.modular_operands:butterfly",
            source="Cooley, Tukey 1965; Gentleman, Sande 1966; Harvey 2014",
            summary="butterfly of a number-theoretic transform, lazy or not, either order or both",
        ),
        Design(
            name="gemv_unit",
            kind=Kind.FUNCTION_UNIT,
            config=GemvUnitConfig,
            component=GemvUnit,
            golden="golden.pim_data:gemv_steps",
            operands="golden.pim_data:gemv_operands",
            source="NeuPIMs, ASPLOS 2024, section 5; Newton, MICRO 2020",
            summary="arithmetic of a bank that multiplies: lanes, a tree and a result latch",
        ),
        Design(
            name="pim_bank",
            kind=Kind.FUNCTION_UNIT,
            config=PimBankConfig,
            component=PimBank,
            golden="golden.pim_bank:bank",
            source="NeuPIMs, ASPLOS 2024, section 5",
            summary="controller of a bank with one row buffer or two, for memory and for PIM",
        ),
        Design(
            name="systolic",
            kind=Kind.GEMM_ENGINE,
            config=SystolicOsConfig,
            component=SystolicOs,
            golden="golden.gemm:matmul",
            source=f"{_TPE}, section II",
            summary="output-stationary systolic array",
        ),
        Design(
            name="systolic_ws",
            kind=Kind.GEMM_ENGINE,
            config=SystolicWsConfig,
            component=SystolicWs,
            golden="golden.gemm:matmul",
            source="ISCA 2017, In-Datacenter Performance Analysis of a TPU, section 2",
            summary="weight-stationary systolic array with accumulator banks",
        ),
        Design(
            name="matrix",
            kind=Kind.GEMM_ENGINE,
            config=MatrixConfig,
            component=Broadcast,
            golden="golden.gemm:matmul",
            source=f"{_TPE}, section II; HPCA 2017, FlexFlow",
            summary="2D matrix: operands broadcast along rows and columns of PEs",
        ),
        Design(
            name="cube",
            kind=Kind.GEMM_ENGINE,
            config=CubeConfig,
            component=Broadcast,
            golden="golden.gemm:matmul",
            source=f"{_TPE}, section II",
            summary="cube of multipliers: M, N and K are spatial",
        ),
        Design(
            name="adder_tree",
            kind=Kind.GEMM_ENGINE,
            config=AdderTreeConfig,
            component=Broadcast,
            golden="golden.gemm:matmul",
            source=f"{_TPE}, section II; MICRO 2014, DaDianNao",
            summary="multiplier-adder trees: N and K are spatial",
        ),
        Design(
            name="bit_slice",
            kind=Kind.GEMM_ENGINE,
            config=BitSliceConfig,
            component=BitSlice,
            golden="golden.gemm:matmul",
            source=f"{_TPE}, sections III and IV; ISCA 2019, Laconic",
            summary="bit-slice engine that skips zero digits: OPT3, OPT4C, OPT4E, Laconic",
            golden_cycles="golden.bit_slice:cycles",
        ),
        Design(
            name="systolic_grouped",
            kind=Kind.GROUPED_ENGINE,
            config=GroupedConfig,
            component=SystolicGrouped,
            golden="golden.group:group_matmul",
            source="MixPE, arXiv 2411.16158",
            summary="systolic array of group-quantised weights, dequantised at its edge",
        ),
        Design(
            name="additive_attention",
            kind=Kind.STREAM_UNIT,
            config=AdditiveAttentionConfig,
            component=AdditiveAttention,
            golden="golden.attention:attention_stream",
            source=_SHIFT_ADD,
            summary="attention of binary queries and keys, by additions alone",
        ),
        Design(
            name="binary_threshold",
            kind=Kind.STREAM_UNIT,
            config=BinaryThresholdConfig,
            component=BinaryThreshold,
            golden="golden.attention:threshold_stream",
            source=_SHIFT_ADD,
            summary="which integers of a tensor are greater than the mean of all",
        ),
        Design(
            name="expert_router",
            kind=Kind.STREAM_UNIT,
            config=ExpertRouterConfig,
            component=ExpertRouter,
            golden="golden.router:route_stream",
            source=_SHIFT_ADD,
            summary="tokens to the expert of their greatest logit, results in the tokens' order",
            stimuli="sim.router_beats:router_beats",
        ),
        Design(
            name="ntt_engine",
            kind=Kind.STREAM_UNIT,
            config=NttEngineConfig,
            component=NttEngine,
            golden="golden.ntt_stream:run",
            source="Longa, Naehrig 2016; banks: Ma 1999, Pease 1968",
            summary="negacyclic number-theoretic transforms, products and sums",
            stimuli="sim.ntt_beats:ntt_beats",
        ),
        Design(
            name="systolic_modular",
            kind=Kind.STREAM_UNIT,
            config=SystolicModularConfig,
            component=SystolicModular,
            golden="golden.bat:tiles",
            source="CROSS, arXiv 2501.07047",
            summary="systolic array with reduction lanes: products of residues by their digits",
            stimuli="sim.modular_beats:modular_beats",
        ),
        Design(
            name="gemm_core",
            kind=Kind.COMMAND_DEVICE,
            config=GemmCoreConfig,
            component=GemmCore,
            golden="golden.gemm:matmul",
            source="this project",
            summary="output-stationary array with operand memories and a tiling sequencer",
        ),
        Design(
            name="matmul_free_core",
            kind=Kind.PROCESSOR,
            config=MatmulFreeConfig,
            component=MatmulFreeCore,
            golden="golden.matmul_free:run",
            source="MatMul-free LM, arXiv 2406.02528; encoding and fixed point are ours",
            summary="vector core with a ternary matrix unit for MatMul-free language models",
        ),
        Design(
            name="pim",
            kind=Kind.PIM_CHANNEL,
            config=PimConfig,
            component=PimChannel,
            golden="golden.pim_model:simulate",
            source="NeuPIMs, ASPLOS 2024",
            summary="memory channel whose banks multiply, with one row buffer a bank or two",
        ),
    )
}


def find(name: str, names: Iterable[str] = DESIGNS) -> Design:
    """Return the design called `name`.

    Raises
    ------
    ValueError
        When there is none; the nearest name is suggested.
    """
    if name not in DESIGNS:
        raise ValueError(f"design: {name!r} is not in the catalogue{nearest(name, names)}")
    return DESIGNS[name]
