# amaranth: UnusedElaboratable=no
"""Hardware that is broken on purpose: a bench that lets any of it pass checks nothing.

Each mutant is the emitted Verilog of a small design with one fault. The same job passes on the
design itself, so it is the fault that the bench finds.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers import Edit, arrays_of, build_in, config_of, edited, random_products

from golden.pim_random import random_trace
from golden.pim_trace import write_trace
from hw.catalog import DESIGNS, Design, Kind
from hw.emit import Emission, emit
from hw.matmul_free_isa import MatmulFreeConfig
from hw.memory import Memory
from hw.pim_config import PimConfig
from pe.config import Config
from sim.blocks import random_blocks
from sim.grouping import with_groups
from sim.job import Arrays, Job
from sim.pim_setup import organisation_of
from sim.player import Player, PlayerConfig, player_config
from sim.programs import random_image
from sim.results import SimulationError
from sim.simulate import BENCHES, operand_memories, program_job, run_bench

SEED = 1
"""Fixed: that a fault shows may depend on when streams pause."""

SETS = 2000
SHAPES = [(3, 12, 2), (7, 9, 5), (1, 1, 1), (9, 7, 6), (32, 2, 20)]

SETTINGS: Mapping[Kind, Mapping[str, int]] = {
    Kind.FUNCTION_UNIT: {"width": 7, "width_a": 5, "width_b": 6, "width_acc": 14},
    Kind.GEMM_ENGINE: {"rows": 3, "cols": 2, "depth": 4},
    Kind.GROUPED_ENGINE: {"rows": 3, "cols": 2, "group": 5, "signed_zero": False},
    Kind.STREAM_UNIT: {
        "lanes": 3,
        "width": 5,
        "depth": 6,
        "keys": 4,
        "values": 3,
        "tokens": 6,
        "window": 4,
    },
    Kind.PIM_CHANNEL: {"bank_rows": 8, "steps": 4, "lanes": 2, "columns": 4, "t_refi": 900},
    Kind.COMMAND_DEVICE: {"rows": 3, "cols": 2, "depth_a": 512, "depth_b": 512, "depth_c": 512},
    Kind.PROCESSOR: {"length": 4},
}

DIFFER = r"\d+ of \d+ elements differ; C.* is -?\d+, the golden model says -?\d+"
CYCLES = r"cycles, formula says"
CHANGED = r"\w+: beat \d+ changed before it was taken"
HANGS = r"stopped after \d+ cycles: \d+ of \d+ beats of A"
COMPLETE = r"o_c: C is complete before [ABS]"
LATE = r"o_valid: set \d+ of \d+ is not answered after exactly"
BEATS = r"\w+: \d+ of \d+ beats differ; beat \d+"
LOST = r"stopped after \d+ cycles: \d+ of \d+ beats of i\w* taken"
REGISTERS = r"[vs]\d\[\d\] is -?\d+, the golden model says -?\d+, after "
EARLY = r"cycle \d+: .* is issued, the timeline says "
RESULTS = r"\w+: \d+ of \d+ results differ; set \d+"


Settings = tuple[tuple[str, str | int], ...]
FUSED: Settings = (("pe", "fused"),)
ROUTER: Settings = (("depth", 2),)
ONE_BUFFER: Settings = (("dual", False), ("max_wait", 700))
BOTH_RANKS: Settings = (("ranks", 2), ("refresh_all", True))
PIM: Settings = (("max_wait", 1100), ("gbuf_depth", 2))
OPT1: Settings = (("pe", "opt1"),)
OPT2: Settings = (("pe", "opt2"), ("terms", 3), ("stages", 1))
LIMBS: Settings = (("modulus", 12289), ("limbs", 2))
MODULAR_ARRAY: Settings = (("rows", 4), ("cols", 4), ("modulus", 12289), ("k_max", 32))
LOOKED_UP: Settings = (("pe", "ternary_look_up"), ("rows", 3), ("cols", 2), ("lanes", 4))


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes
    ----------
    what
        The fault in one line.
    design
        Name in the catalogue.
    edits
        The fault in Verilog.
    caught
        What the bench says about it, a regular expression.
    stall
        Probability that a stream of an engine pauses in a cycle.
    settings
        Of the design, beside those of its kind.
    """

    what: str
    design: str
    edits: tuple[Edit, ...]
    caught: str
    stall: float = 0.0
    settings: Settings = ()


MUTANTS = [
    Mutant(
        "gemv_unit: the latch never starts anew",
        "gemv_unit",
        (Edit("gemv_unit", r"= flags_1\[1\] \? .*;", "= result;"),),
        RESULTS,
        settings=(("lanes", 3),),
    ),
    Mutant(
        "gemv_unit: the latch of floats never starts anew",
        "gemv_unit",
        (Edit("gemv_unit", r"assign latch_adder__a = .*;", "assign latch_adder__a = result;"),),
        RESULTS,
        settings=(("lanes", 3), ("format", "bf16")),
    ),
    Mutant(
        "pim_bank: an activate before tRP is legal",
        "pim_bank",
        (Edit("pim_bank", r"does_pre \? 6'h0d", "does_pre ? 6'h0c"),),
        RESULTS,
        settings=(("bank_rows", 4),),
    ),
    Mutant(
        "pim: tRP is a cycle short",
        "pim",
        (Edit("pim_bank", r"does_pre \? 6'h0d", "does_pre ? 6'h0c"),),
        r"cycle \d+: I4: ACT",
    ),
    Mutant(
        "pim: the buffer of PIM takes memory's rows",
        "pim",
        (Edit("pim_rows", r"if \(pim_takes\)", "if (mem_takes)"),),
        r"cycle \d+: I11: GEMV \d+: the results",
    ),
    Mutant(
        "pim: no rank is ever due for refresh",
        "pim",
        (Edit("controller", r"assign due = .*;", "assign due = 0;"),),
        r"cycle \d+: I14: rank 0 was due",
    ),
    Mutant(
        "pim: a precharge does not put its row back",
        "pim",
        (Edit("pim_rows", r"\.write_enable\(.*\)", ".write_enable(1'b0)"),),
        r"cycle \d+: I1[01]: ",
    ),
    Mutant(
        "pim: a header needs no time before a refresh",
        "pim",
        (Edit("controller", r"assign until_refresh = .*;", "assign until_refresh = 18'd0;"),),
        r"cycle \d+: I9: ",
    ),
    Mutant(
        "pim: two ranks that are due both put a command on the bus",
        "pim",
        (Edit("controller", r"assign refreshes_1 = .*;", "assign refreshes_1 = due[1];"),),
        r"command \d+: \w+ \d+ .*, the model says|cycle \d+: I\d+: ",
        settings=BOTH_RANKS,
    ),
    Mutant(
        "pim: one of tFAW's timers is a cycle short",
        "pim",
        (Edit("timers", r"window_0_0_takes \? 5'h1d", "window_0_0_takes ? 5'h1c"),),
        r"cycle \d+: I4: ACT \d+: 29 after PACT of the rank",
        settings=PIM,
    ),
    Mutant(
        "pim: a write does not mind the bursts of results",
        "pim",
        (Edit("timers", r"= \| read_bursts\[6:0\];", "= 1'b0;"),),
        r"cycle \d+: I6: WR \d+: its burst",
        settings=PIM,
    ),
    Mutant(
        "pim: a header leaves its row in a buffer of memory",
        "pim",
        (
            Edit("controller", r"= mem_row\[2:0\] == i_pim_row;", "= 1'b0;"),
            Edit("pim_bank", r"does_pact = .*;", "does_pact = i_valid & (command == 4'h8);"),
        ),
        r"cycle \d+: I3: HEADER",
        settings=PIM,
    ),
    Mutant(
        "pim: a GEMV waits a few cycles for the one before it, and no longer",
        "pim",
        (
            Edit(
                "timers",
                r"compute_timer_wanted = (.*);",
                r"compute_timer_wanted = is_gemv ? 7'd4 : \1;",
            ),
        ),
        r"cycle \d+: I4: GEMV \d+: a GEMV streams",
        settings=PIM,
    ),
    Mutant(
        "pim: a group does not mind how long memory waits",
        "pim",
        (Edit("controller", r"= age \+ until_memory;", "= 0;"),),
        r"cycle \d+: I14: (RD|WR) \d+: waited",
        settings=ONE_BUFFER,
    ),
    Mutant(
        "pim: a GEMV that streams takes the vector that is copied meanwhile",
        "pim",
        (Edit("pim_dual", r"= vector_used \? ", "= vector_newest ? "),),
        r"cycle \d+: I11: GEMV \d+: the results",
        settings=PIM,
    ),
    Mutant(
        "processor: a table has steps and no lines",
        "matmul_free_core",
        (Edit("activation", r"entry_reg \+ product_reg\[\d+:\d+\]", "entry_reg"),),
        REGISTERS,
    ),
    Mutant(
        "processor: the sigmoid of a negative number is that of its magnitude",
        "matmul_free_core",
        (Edit("activation", r"negative_reg \? ", "negative_reg & silu_reg ? "),),
        REGISTERS,
    ),
    Mutant(
        "processor: a word that the host waits to take is overwritten by a load",
        "matmul_free_core",
        (
            Edit(
                "matmul_free_core",
                r"else if \(host_read\) o_read_data_data",
                "else if (host_read | o_read_data_valid) o_read_data_data",
            ),
        ),
        "to the host, which wrote",
    ),
    Mutant(
        "processor: vector registers are never busy",
        "matmul_free_core",
        (Edit("matmul_free_core", r"assign vectors_free = .*;", "assign vectors_free = 1;"),),
        EARLY,
    ),
    Mutant(
        "processor: scalar registers are never busy",
        "matmul_free_core",
        (Edit("matmul_free_core", r"assign scalars_free = .*;", "assign scalars_free = 1;"),),
        EARLY,
    ),
    Mutant(
        "processor: what is subtracted by TMM is one too much",
        "matmul_free_core",
        (Edit("cell_ternary", r" \+ \$signed\(\{ 1'h0, \w+ \}\);", ";"),),
        REGISTERS,
    ),
    Mutant(
        "processor: columns of weights are those behind",
        "matmul_free_core",
        (Edit("ternary_matrix", r"(assign weight_address = .*);", r"\1 + 1;"),),
        REGISTERS,
    ),
    Mutant(
        "processor: a vector is stored one word too early",
        "matmul_free_core",
        (Edit("load_store", r"(assign store_address = .*);", r"\1 - 1;"),),
        f"{REGISTERS}|data\\[\\d+\\] is ",
    ),
    Mutant(
        "processor: the root is that of the sum of squares, not of their mean",
        "matmul_free_core",
        (Edit("rms_quantizer", r"= squares \* count;", "= squares;"),),
        REGISTERS,
    ),
    Mutant(
        "processor: a result that is half way goes up",
        "matmul_free_core",
        (Edit("vector_arithmetic", r"(assign up = .*) & .*;", r"\1;"),),
        REGISTERS,
    ),
    Mutant(
        "processor: the host writes while STV does, and is lost",
        "matmul_free_core",
        (
            Edit(
                "matmul_free_core",
                r"assign i_write_data_ready = .*;",
                "assign i_write_data_ready = 1;",
            ),
        ),
        r"data\[\d+\] is -?\d+ to the host, which wrote",
    ),
    Mutant(
        "os: takes a tile's last beat while the tile before still leaves",
        "systolic",
        (Edit("systolic_os", r"assign may_accept = .*;", "assign may_accept = 1;"),),
        DIFFER,
        stall=0.4,
    ),
    Mutant(
        "os: takes a beat of A without one of B, and drops it",
        "systolic",
        (Edit("systolic_os", r"assign i_a_ready = .*;", "assign i_a_ready = may_accept;"),),
        HANGS,
        stall=0.4,
    ),
    Mutant(
        "os: drains without waiting for the sink: rows are dropped",
        "systolic",
        (Edit("systolic_os", r"assign drain_enable = .*;", "assign drain_enable = o_c_valid;"),),
        CHANGED,
        stall=0.4,
    ),
    Mutant(
        "os: the first shift of the drain is left out: a row is repeated",
        "systolic",
        (
            Edit(
                "systolic_os",
                r"\.drain_enable\(drain_enable\)",
                ".drain_enable(drain_enable & ~row[0])",
            ),
        ),
        DIFFER,
    ),
    Mutant(
        "os: the cells' drain enable is stuck at 1",
        "systolic",
        (Edit("systolic_os", r"\.drain_enable\(drain_enable\)", ".drain_enable(1'b1)"),),
        CHANGED,
        stall=0.4,
    ),
    Mutant(
        "os: drain enable is stuck at 0: the first row is repeated",
        "systolic",
        (Edit("systolic_os", r"assign drain_enable = .*;", "assign drain_enable = 0;"),),
        DIFFER,
    ),
    Mutant(
        "os: A is taken as unsigned by the multiplier",
        "systolic",
        (Edit("multiply_add", r"\$signed\(a\)", "$signed({1'b0, a})"),),
        DIFFER,
    ),
    Mutant(
        "os: one skew register less on all lanes of A but the first",
        "systolic",
        (
            Edit(
                "skew_3x8",
                r"always @\(posedge clk\) lanes <= i(.*);",
                r"always @* lanes = i\1;",
            ),
        ),
        DIFFER,
    ),
    Mutant(
        "os: a new tile does not clear the accumulators",
        "systolic",
        (Edit("cell_os", r"assign addend = .*;", "assign addend = accumulator;"),),
        DIFFER,
    ),
    Mutant(
        "os: bubbles are not products of zero",
        "systolic",
        (
            Edit("systolic_os", r"assign operands_a = .*;", "assign operands_a = i_a_data;"),
            Edit("systolic_os", r"assign operands_b = .*;", "assign operands_b = i_b_data;"),
        ),
        DIFFER,
        stall=0.4,
    ),
    Mutant(
        "os: a final row is not marked",
        "systolic",
        (Edit("systolic_os", r"assign o_c_last = .*;", "assign o_c_last = 0;"),),
        r"o_c\.last: set in rows",
    ),
    Mutant(
        "ws: a bank is free when its last row is read, not when it is taken",
        "systolic_ws",
        (
            Edit(
                "systolic_ws",
                r"assign tile_gone = .*;",
                "assign tile_gone = leave_enable & leave_last;",
            ),
        ),
        f"{DIFFER}|{CHANGED}",
        stall=0.7,
    ),
    Mutant(
        "ws: weights come in while others still cross the array",
        "systolic_ws",
        (Edit("systolic_ws", r"assign i_b_ready = .*;", "assign i_b_ready = ~weights_ready;"),),
        DIFFER,
    ),
    Mutant(
        "ws: a K-slice starts one weight early",
        "systolic_ws",
        (Edit("systolic_ws", r"(assign weights_ready = loaded == .*);", r"\1 - 1;"),),
        f"{DIFFER}|{COMPLETE}",
    ),
    Mutant(
        "ws: rows leave without waiting for the sink",
        "systolic_ws",
        (
            Edit(
                "systolic_ws",
                r"(assign leave_enable = _\d+_) & .*;",
                r"\1;",
            ),
        ),
        CHANGED,
        stall=0.4,
    ),
    Mutant(
        "ws: the first K-slice adds to what the bank held",
        "systolic_ws",
        (Edit("accumulator_", r"assign so_far = .* : (.*);", r"assign so_far = \1;"),),
        DIFFER,
    ),
    Mutant(
        "ws: a tile leaves one cycle before its last sum is in",
        "systolic_ws",
        (
            Edit(
                "systolic_ws",
                r"end_line <= \{ (end_line\[\d+:0\]), tile_end \}",
                r"end_line <= { \1, tile_end } | (tile_end << 1)",
            ),
        ),
        f"{DIFFER}|{CYCLES}",
    ),
    Mutant(
        "grouped: row sums are lost",
        "systolic_grouped",
        (Edit("systolic_grouped", r"\.i_row_sum\(row_sum\)", ".i_row_sum(row_sum & {11{1'b0}})"),),
        DIFFER,
    ),
    Mutant(
        "grouped: zero points are not taken off",
        "systolic_grouped",
        (Edit("dequantizer_", r"(\$signed\(i_sum\)) - \$signed\(offset\)", r"\1"),),
        DIFFER,
    ),
    Mutant(
        "grouped: a group ends one beat early",
        "systolic_grouped",
        (Edit("systolic_grouped", r"if \(ends\) left <= 3'h4;", "if (ends) left <= 3'h3;"),),
        f"{DIFFER}|{HANGS}",
    ),
    Mutant(
        "grouped: row sums are not cleared",
        "systolic_grouped",
        (Edit("row_sum_", r"assign so_far = .*;", "assign so_far = running;"),),
        DIFFER,
    ),
    Mutant(
        "grouped: a row sum counts beats that are not taken",
        "systolic_grouped",
        (Edit("row_sum_", r"if \(enable\) running", "running"),),
        DIFFER,
        stall=0.4,
    ),
    Mutant(
        "grouped: all rows take the row sum of the first",
        "systolic_grouped",
        (Edit("row_sum_", r"else if \(shift\) o_drain <= i_drain;", ""),),
        DIFFER,
    ),
    Mutant(
        "grouped: totals are not cleared",
        "systolic_grouped",
        (Edit("dequantizer_", r"assign so_far = .*;", "assign so_far = i_total;"),),
        DIFFER,
    ),
    Mutant(
        "grouped: totals of the row before are added to",
        "systolic_grouped",
        (Edit("systolic_grouped", r"\.read_address\(read_row\)", ".read_address(row)"),),
        DIFFER,
    ),
    Mutant(
        "grouped: sums leave the array without a scale",
        "systolic_grouped",
        (
            Edit(
                "systolic_grouped",
                r"assign array__o_c__ready = .*;",
                "assign array__o_c__ready = advance;",
            ),
        ),
        f"{DIFFER}|{HANGS}|{COMPLETE}",
        stall=0.4,
    ),
    Mutant(
        "grouped: scales are taken with every row",
        "systolic_grouped",
        (
            Edit(
                "systolic_grouped",
                r"assign i_s_ready = .*;",
                "assign i_s_ready = array__o_c__valid & advance;",
            ),
        ),
        f"{DIFFER}|{HANGS}",
    ),
    Mutant(
        "grouped: the last beat of a group does not wait for the sums of the group before",
        "systolic_grouped",
        (Edit("systolic_grouped", r"assign may_accept = .*;", "assign may_accept = 1;"),),
        f"{DIFFER}|{COMPLETE}",
        stall=0.4,
        settings=OPT1,
    ),
    Mutant(
        "grouped: rows of C do not wait for the sink",
        "systolic_grouped",
        (Edit("systolic_grouped", r"assign advance = .*;", "assign advance = 1;"),),
        CHANGED,
        stall=0.4,
    ),
    Mutant(
        "grouped: a product beyond the largest float is finite",
        "systolic_grouped",
        (Edit("float_scale", r"assign infinite = .*;", "assign infinite = 0;"),),
        DIFFER,
        settings=(("mode", "float"),),
    ),
    Mutant(
        "core: A moves on with every tile: wrong tile order",
        "gemm_core",
        (Edit("feeder", r"= _\d+_ \? tile_a : next_a;", "= next_a;"),),
        DIFFER,
    ),
    Mutant(
        "core: rows beyond M are written",
        "gemm_core",
        (Edit("collector", r"assign write_enable = .*;", "assign write_enable = accept;"),),
        DIFFER,
    ),
    Mutant(
        "core: the last word of C is not counted",
        "gemm_core",
        (
            Edit(
                "collector",
                r"else if \((.*)\) started <= (.*);",
                r"else if (\1) started <= \2 + 1;",
            ),
        ),
        CYCLES,
    ),
    Mutant(
        "core: reads operands on although the engine waits",
        "gemm_core",
        (Edit("feeder", r"assign advance = .*;", "assign advance = 1;"),),
        f"{DIFFER}|CycleLimitError",
    ),
    Mutant(
        "mac: o_valid comes one cycle early",
        "mac",
        (Edit("mac_", r"else o_valid <= valid;", "else o_valid <= i_valid;"),),
        LATE,
    ),
    Mutant(
        "mac: the sum comes one cycle late",
        "mac",
        (Edit("mac_", r"    sum <= total;", "    if (o_valid) sum <= total;"),),
        RESULTS,
    ),
    Mutant(
        "mac: clear is ignored",
        "mac",
        (Edit("mac_", r"assign addend = .*;", "assign addend = sum;"),),
        RESULTS,
    ),
    Mutant(
        "mac: operands that are not valid count",
        "mac",
        (Edit("mac_", r"else a_reg <= 5'h00", "else a_reg <= a"),),
        RESULTS,
    ),
    Mutant(
        "mac: a clear that is not valid counts",
        "mac",
        (Edit("mac_", r"= clear & i_valid;", "= clear;"),),
        RESULTS,
    ),
    Mutant(
        "multiply_add: B is taken as unsigned by the multiplier",
        "multiply_add",
        (Edit("multiply_add", r"\$signed\(b\)", "$signed({1'b0, b})"),),
        RESULTS,
    ),
    Mutant(
        "fused: a negative digit is not completed to the two's complement",
        "pe",
        (
            Edit("step_fused", r"(assign sum_0_0 = multiple_0_0\[0\]) .*;", r"\1;"),
            Edit("step_fused", r"assign carry_0_0 = .*;", "assign carry_0_0 = 0;"),
        ),
        RESULTS,
        settings=FUSED,
    ),
    Mutant(
        "fused: the bias of the product is not taken away",
        "pe",
        (Edit("step_fused", r"assign sum_11_11 = ~ (.*);", r"assign sum_11_11 = \1;"),),
        RESULTS,
        settings=FUSED,
    ),
    Mutant(
        "fused: the adder's carry skips no group",
        "pe",
        (Edit("step_fused", r"(assign carry_3_12 = carry_2_12) \| .*;", r"\1;"),),
        RESULTS,
        settings=FUSED,
    ),
    Mutant(
        "opt1: a carry into the upper bits is lost",
        "pe",
        (Edit("step_opt1", r"assign carry_12_25 = .*;", "assign carry_12_25 = 0;"),),
        RESULTS,
        settings=OPT1,
    ),
    Mutant(
        "opt1: the upper bits never count down",
        "pe",
        (Edit("step_opt1", r"assign down = .*;", "assign down = 0;"),),
        RESULTS,
        settings=OPT1,
    ),
    Mutant(
        "opt1: a carry into the second word is lost",
        "pe",
        (Edit("step_opt1", r"assign carry_0_13 = .*;", "assign carry_0_13 = 0;"),),
        RESULTS,
        settings=OPT1,
    ),
    Mutant(
        "opt1: carries that wait survive a clear",
        "pe",
        (
            Edit(
                "pe_opt1",
                r"assign addend = clear_reg \? .* : sum;",
                "assign addend = { sum[28:27], clear_reg ? 27'd0 : sum[26:0] };",
            ),
        ),
        RESULTS,
        settings=OPT1,
    ),
    Mutant(
        "opt2: clear is a cycle ahead of its products",
        "pe",
        (Edit("pe_opt2", r"clear_reg\[1\] \?", "clear_reg[0] ?"),),
        RESULTS,
        settings=OPT2,
    ),
    Mutant(
        "opt2: products stay in the pipeline while nothing is valid",
        "pe",
        (Edit("pe_opt2", r"bits_0_reg <= bits_0;", "if (valid[0]) bits_0_reg <= bits_0;"),),
        RESULTS,
        settings=OPT2,
    ),
    Mutant(
        "opt2: the last term's low digit is never negative",
        "pe",
        (Edit("products_opt2", r"(assign sum_0_24) = .*;", r"\1 = sum_0_3;"),),
        RESULTS,
        settings=OPT2,
    ),
    Mutant(
        "opt2: o_valid does not wait for the pipeline",
        "pe",
        (Edit("pe_opt2", r"o_valid <= valid\[1\];", "o_valid <= valid[0];"),),
        LATE,
        settings=OPT2,
    ),
    Mutant(
        "ternary look-up: a negated sum is one too small",
        "ternary_lut",
        (Edit("ternary_column", r"(assign sum = .*) \+ .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "ternary look-up: a sum of the table adds where it takes off",
        "ternary_lut",
        (Edit("ternary_table", r"(assign sum_5 = .*) - ", r"\1 + "),),
        RESULTS,
    ),
    Mutant(
        "ternary look-up: keys are a cycle ahead of the activations",
        "ternary_lut",
        (Edit("ternary_lut", r"always @\(posedge clk\)\s+b_reg <= b;", "always @* b_reg = b;"),),
        RESULTS,
    ),
    Mutant(
        "switchable PE: the upper half of a wide weight ignores the sign below it",
        "switchable_pe",
        (Edit("switchable_pe", r"assign overlap = .*;", "assign overlap = 0;"),),
        RESULTS,
    ),
    Mutant(
        "switchable PE: narrow weights are read as wide ones",
        "switchable_pe",
        (Edit("switchable_pe", r"assign overlap = wide_reg & ", "assign overlap = "),),
        RESULTS,
    ),
    Mutant(
        "switchable PE: o_valid a cycle early",
        "switchable_pe",
        (Edit("switchable_pe", r"o_valid <= valid;", "o_valid <= i_valid;"),),
        LATE,
    ),
    Mutant(
        "serial PE: the top bit of a signed weight counts as positive",
        "serial_pe",
        (Edit("serial_pe", r"assign negative = .*;", "assign negative = 0;"),),
        RESULTS,
    ),
    Mutant(
        "serial PE: each bit of a weight clears the sum",
        "serial_pe",
        (Edit("serial_pe", r"= stage\[0\] & clear_reg;", "= clear_reg;"),),
        RESULTS,
    ),
    Mutant(
        "serial PE: the activation is not shifted",
        "serial_pe",
        (Edit("serial_pe", r"a_reg <= \{ a_reg\[8:0\], 1'h0 \};", "a_reg <= a_reg;"),),
        RESULTS,
    ),
    Mutant(
        "serial PE: o_valid a bit early",
        "serial_pe",
        (Edit("serial_pe", r"o_valid <= stage\[5\];", "o_valid <= stage[4];"),),
        LATE,
    ),
    Mutant(
        "term encoder: three terms are moved as two",
        "term_encoder",
        (Edit("term_encoder", r"(assign below_3 = .*)\? .* :", r"\1? { 1'b0, below_2 } :"),),
        RESULTS,
    ),
    Mutant(
        "term encoder: all digits are positive",
        "term_encoder",
        (Edit("term_encoder", r"assign negative\[0\] = .*;", "assign negative[0] = 0;"),),
        RESULTS,
    ),
    Mutant(
        "term encoder: zero has no last term",
        "term_encoder",
        (Edit("term_encoder", r"= nonzero\[0\] \| _\d+_;", "= nonzero[0];"),),
        RESULTS,
    ),
    Mutant(
        "term encoder: NaN has terms",
        "term_encoder",
        (Edit("term_encoder", r"(assign significand = )nonfinite \? .* : ", r"\1"),),
        RESULTS,
        settings=(("format", "e4m3"),),
    ),
    Mutant(
        "term-serial PE: a negative term is its complement",
        "term_serial_pe",
        (Edit("term_serial_pe", r"= propagates\[0\] & minus;", "= 0;"),),
        RESULTS,
    ),
    Mutant(
        "term-serial PE: a weight takes the activation of each of its terms",
        "term_serial_pe",
        (Edit("term_serial_pe", r"= i_valid & begins;", "= i_valid;"),),
        RESULTS,
    ),
    Mutant(
        "term-serial PE: a bubble ends a weight",
        "term_serial_pe",
        (Edit("term_serial_pe", r"else if \(i_valid\) begins <= last;", "else begins <= last;"),),
        RESULTS,
    ),
    Mutant(
        "term-serial PE: zero is a term",
        "term_serial_pe",
        (Edit("term_serial_pe", r"assign operand = .*;", "assign operand = a_reg;"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: subnormals have the hidden bit",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"\{ _\d+_, a_reg\[9:0\] \};", "{ 1'b1, a_reg[9:0] };"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: infinity is a number",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"= nonfinite \? .* :", "="),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: NaN is forgotten",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"= nan & _\d+_;", "= 0;"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: NaN outlives its group",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"= nan & _\d+_;", "= nan;"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: subnormals and the least normal numbers are two binades",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"= a_reg\[14:10\] - _\d+_;", "= a_reg[14:10];"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: the sign of the activation does not complete the second digit",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"(assign negative_1 = .*) \^ .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "exact W4A16 PE: clear is a cycle ahead of its product",
        "exact_w4a16_pe",
        (Edit("exact_w4a16_pe", r"= clear_reg\[1\] \?", "= clear_reg[0] ?"),),
        RESULTS,
    ),
    Mutant(
        "float W4A16 PE: twice the largest is NaN",
        "float_w4a16_pe",
        (Edit("float_w4a16_pe", r"times_2 = _\d+_ \? 15'h7c00 :", "times_2 ="),),
        RESULTS,
    ),
    Mutant(
        "float W4A16 PE: twice a subnormal has one more in its exponent",
        "float_w4a16_pe",
        (
            Edit(
                "float_w4a16_pe",
                r"\{ times_4\[13:0\], 1'h0 \};",
                "{ times_4[14:10] + 5'd1, times_4[9:0] };",
            ),
        ),
        RESULTS,
    ),
    Mutant(
        "float W4A16 PE: infinite activations give an infinite sum",
        "float_w4a16_pe",
        (Edit("float_w4a16_pe", r"if \(_\d+_\) \w+ <= 16'h7e00;", "if (0) ;"),),
        RESULTS,
    ),
    Mutant(
        "float W4A16 PE: of three terms the last is added before the second",
        "float_w4a16_pe",
        (
            Edit("float_w4a16_pe", r"\.b\(product_adder_0__b\)", ".b(term_2)"),
            Edit("float_w4a16_pe", r"<= term_2;", "<= product_adder_0__b;"),
        ),
        RESULTS,
    ),
    Mutant(
        "float W4A16 PE: a group ends without operands",
        "float_w4a16_pe",
        (Edit("float_w4a16_pe", r"= last & i_valid;", "= last;"),),
        RESULTS,
    ),
    Mutant(
        "aligner: shows what is not present",
        "activation_aligner",
        (Edit("activation_aligner", r"if \(i_valid\) a_reg <= a;", "if (1) a_reg <= a;"),),
        RESULTS,
    ),
    Mutant(
        "aligner: ties go up",
        "activation_aligner",
        (Edit("activation_aligner", r"assign up = (\S+) & .*;", r"assign up = \1;"),),
        RESULTS,
    ),
    Mutant(
        "aligner: a larger exponent than the group's is near",
        "activation_aligner",
        (Edit("activation_aligner", r"assign amount = .*;", "assign amount = gap[4:0];"),),
        RESULTS,
    ),
    Mutant(
        "aligner: negative activations are complements",
        "activation_aligner",
        (Edit("activation_aligner", r"= up \^ a_reg\[15\];", "= up;"),),
        RESULTS,
    ),
    Mutant(
        "aligner: the largest exponent is that of all groups",
        "activation_aligner",
        (Edit("activation_aligner", r"assign so_far = .*;", "assign so_far = largest;"),),
        RESULTS,
    ),
    Mutant(
        "aligner: the first activation of a group is aligned to the group before",
        "activation_aligner",
        (Edit("activation_aligner", r"(if \(rst\) held .*\n.*) if \(_\d+_\)", r"\1 if (valid)"),),
        RESULTS,
    ),
    Mutant(
        "mix: a row of multiples and its neighbour have no carry",
        "pe",
        (Edit("step_mix", r"assign carry_4_0 = .*;", "assign carry_4_0 = 0;"),),
        RESULTS,
        settings=(("pe", "mix"),),
    ),
    Mutant(
        "ternary: a product below zero lacks its carry-in",
        "pe",
        (Edit("step_ternary", r"(unused_place \} = .*), \w+ \} \+", r"\1, 1'h0 } +"),),
        RESULTS,
        settings=(("pe", "ternary"), ("width_b", 2)),
    ),
    Mutant(
        "shift: zero is a power of two",
        "pe",
        (Edit("step_shift", r"assign operand = .*;", "assign operand = a;"),),
        RESULTS,
        settings=(("pe", "shift"), ("width_b", 4)),
    ),
    Mutant(
        "fp4: the sign of B does not count",
        "pe",
        (Edit("step_fp4", r"a\[3\] \^ b\[3\]", "a[3]"),),
        RESULTS,
        settings=(("pe", "fp4"), ("width_a", 4), ("width_b", 4)),
    ),
    Mutant(
        "fp8: NaN of B is a number",
        "pe",
        (Edit("step_fp8", r"& b\[6:0\]", "1'h0"),),
        RESULTS,
        settings=(("pe", "fp8"), ("width_a", 8), ("width_b", 8), ("width_acc", 44)),
    ),
    Mutant(
        "mitchell: subnormal numbers of A count",
        "pe",
        (Edit("step_mitchell", r"\| a\[6:3\]", "| a[6:0]"),),
        RESULTS,
        settings=(("pe", "mitchell"), ("width_a", 8), ("width_b", 8), ("width_acc", 41)),
    ),
    Mutant(
        "switchable: halves of a weight never overlap",
        "pe",
        (Edit("step_switchable", r"assign overlap = .*;", "assign overlap = 0;"),),
        RESULTS,
        settings=(("pe", "switchable"), ("width_b", 9), ("width_acc", 38)),
    ),
    Mutant(
        "compressor tree: a half adder has no carry",
        "compressor_tree",
        (Edit("compressor_tree", r"assign carry_1_2 = .*;", "assign carry_1_2 = 0;"),),
        RESULTS,
    ),
    Mutant(
        "compressor tree: a carry of the last level goes to the other word's weight",
        "compressor_tree",
        (Edit("compressor_tree", r"carry_2_36, carry_1_35", "carry_1_35, carry_2_36"),),
        RESULTS,
    ),
    Mutant(
        "compressor tree: a sign bit is not folded",
        "compressor_tree",
        (Edit("compressor_tree", r"= ~ a\[55\];", "= a[55];"),),
        RESULTS,
    ),
    Mutant(
        "adder: a carry is generated but not propagated",
        "adder",
        (Edit("adder", r"(assign carry_1_3 = carry_0_3) \| .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "adder: the sum of two ones is one",
        "adder",
        (Edit("adder", r"assign propagates = a \^ b;", "assign propagates = a | b;"),),
        RESULTS,
    ),
    Mutant(
        "booth: a zero digit between ones is negative",
        "booth_encoder",
        (Edit("booth_encoder", r"(assign negative = \{.*\}) & .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "booth: the top digit of an odd width is not sign-extended",
        "booth_encoder",
        (Edit("booth_encoder", r"(assign negative = \{) a\[6:5\]", r"\1 1'b0, a[5]"),),
        RESULTS,
    ),
    Mutant(
        "ent: the magnitude of a negative operand is its complement",
        "ent_encoder",
        (Edit("ent_encoder", r"= - a;", "= ~ a;"),),
        RESULTS,
    ),
    Mutant(
        "ent: a group of 2 carries",
        "ent_encoder",
        (Edit("ent_encoder", r"(assign carry\[0\] = magnitude\[1\]) & .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "matrix: the drain registers take the sum a cycle early",
        "matrix",
        (Edit("cell_broadcast", r"if \(capture\)", "if (i_capture)"),),
        DIFFER,
    ),
    Mutant(
        "matrix: the tile before is overwritten while it leaves",
        "matrix",
        (Edit("broadcast", r"assign may_accept = .*;", "assign may_accept = 1;"),),
        f"{DIFFER}|{CHANGED}",
        stall=0.4,
    ),
    Mutant(
        "ternary look-up array: the sign of a key is that of its first trit",
        "matrix",
        (Edit("ternary_key", r"(assign o_code\[\d+\]) = negative;", r"\1 = i_element[1];"),),
        DIFFER,
        settings=LOOKED_UP,
    ),
    Mutant(
        "ternary look-up array: keys are a cycle ahead of the tables",
        "matrix",
        (Edit("broadcast", r"\.i_element\(operands_b_reg\)", ".i_element(operands_b)"),),
        DIFFER,
        settings=LOOKED_UP,
    ),
    Mutant(
        "cube: the last product of a step is left out",
        "cube",
        (Edit("multiply_add", r"assign product_2 = .*;", "assign product_2 = 0;"),),
        DIFFER,
    ),
    Mutant(
        "cube: columns take the B of the column beside",
        "cube",
        (Edit("broadcast", r"\.i_b\(operands_b_in\)", ".i_b({operands_b_in[47:0], 24'd0})"),),
        DIFFER,
    ),
    Mutant(
        "adder tree: a tile does not start anew",
        "adder_tree",
        (Edit("cell_broadcast", r"assign addend = .*;", "assign addend = accumulator;"),),
        DIFFER,
    ),
    Mutant(
        "bit slice: a tile begins while the one before leaves",
        "bit_slice",
        (Edit("bit_slice", r"assign may_go = .*;", "assign may_go = chosen;"),),
        DIFFER,
    ),
    Mutant(
        "bit slice: digits are fetched without A",
        "bit_slice",
        (Edit("sparse_encoder", r"assign fetched_0 = .*;", "assign fetched_0 = digit_0;"),),
        DIFFER,
        stall=0.4,
    ),
    Mutant(
        "bit slice: of two digits left one is chosen twice",
        "bit_slice",
        (Edit("sparse_encoder", r"assign lowest_1 = .*;", "assign lowest_1 = pending_1;"),),
        DIFFER,
    ),
    Mutant(
        "bit slice: a step of B is lost where A pauses",
        "bit_slice",
        (Edit("bit_slice", r"assign step = .*;", "assign step = loaded;"),),
        f"{DIFFER}|{HANGS}",
        stall=0.4,
    ),
    Mutant(
        "bit slice: nothing is zero behind a tile that leaves",
        "bit_slice",
        (Edit("cell_bit_slice", r"if \(shift\) o_sum <= i_sum;", "if (shift) o_sum <= o_sum;"),),
        DIFFER,
    ),
    Mutant(
        "csd: a half is subtracted",
        "csd_encoder",
        (Edit("csd_encoder", r"(assign total = .*) \+ ", r"\1 - "),),
        RESULTS,
    ),
    Mutant(
        "bits: the top bit of a signed operand counts as positive",
        "bit_encoder",
        (Edit("bits_encoder", r"assign negative = .*;", "assign negative = 0;"),),
        RESULTS,
    ),
    Mutant(
        "decoder: subnormals have the hidden bit",
        "format_decoder",
        (Edit("format_decoder", r"\{ normal_a, a\[2:0\] \};", "{ 1'b1, a[2:0] };"),),
        RESULTS,
    ),
    Mutant(
        "encoder: ties go up",
        "format_encoder",
        (Edit("format_encoder", r"rounded = floor \+ .*;", "rounded = floor + aligned[8];"),),
        RESULTS,
    ),
    Mutant(
        "encoder: what rounds up to beyond the largest does not saturate",
        "format_encoder",
        (Edit("format_encoder", r"rounded > ", "floor > "),),
        RESULTS,
    ),
    Mutant(
        "l_mul: subnormals are multiplied",
        "l_mul",
        (Edit("l_mul", r"assign zeros\[0\] = .*;", "assign zeros[0] = ~| a[6:0];"),),
        RESULTS,
    ),
    Mutant(
        "l_mul: saturates to NaN",
        "l_mul",
        (Edit("l_mul", r"7'h7e : total", "7'h7f : total"),),
        RESULTS,
    ),
    Mutant(
        "l_mul: one infinity is a number",
        "l_mul",
        (Edit("l_mul", r"(assign infinite = \S+) \|", r"\1 &"),),
        RESULTS,
        settings=(("format", "fp32"),),
    ),
    Mutant(
        "float adder: what is shifted out is forgotten",
        "float_adder",
        (Edit("float_adder", r"assign lost = .*;", "assign lost = 0;"),),
        RESULTS,
        settings=(("format", "e5m2"),),
    ),
    Mutant(
        "float adder: opposite zeros have the sign of the first",
        "float_adder",
        (Edit("float_adder", r"assign sign = (\S+) \? (\S+) : .*;", r"assign sign = \2;"),),
        RESULTS,
        settings=(("format", "e5m2"),),
    ),
    Mutant(
        "float multiplier: a subnormal has the hidden bit",
        "float_multiplier",
        (Edit("float_multiplier", r"assign normal_a = .*;", "assign normal_a = 1'h1;"),),
        RESULTS,
    ),
    Mutant(
        "float multiplier: ties are rounded up",
        "float_multiplier",
        (Edit("float_multiplier", r"\| floor\[0\];", "| 1'h1;"),),
        RESULTS,
    ),
    Mutant(
        "mx_dot: infinity times zero is infinite",
        "mx_dot",
        (Edit("mx_product", r"(assign nan = \S+) \| .*;", r"\1;"),),
        RESULTS,
        settings=(("format_a", "e5m2"), ("format_b", "e2m1"), ("block", 3)),
    ),
    Mutant(
        "mx_dot: a scale of NaN is a number",
        "mx_dot",
        (Edit("mx_dot", r"= & scale_a;", "= 0;"),),
        RESULTS,
        settings=(("format_a", "e2m1"), ("format_b", "e2m1"), ("block", 3)),
    ),
    Mutant(
        "mx_dot: of a subnormal product the shift is that of the least normal exponent but one",
        "mx_dot",
        (Edit("mx_product", r"assign shift_b = (.*) - .*;", r"assign shift_b = \1;"),),
        RESULTS,
        settings=(("format_a", "e2m1"), ("format_b", "e2m3"), ("block", 2)),
    ),
    Mutant(
        "mx_accumulator: the sum takes in blocks that are not valid",
        "mx_accumulator",
        (Edit("mx_accumulator", r"if \(valid\) sum", "sum"),),
        RESULTS,
        settings=(("format_a", "e2m1"), ("format_b", "e2m1"), ("block", 2)),
    ),
    Mutant(
        "mx_accumulator: the sum never starts anew",
        "mx_accumulator",
        (Edit("mx_accumulator", r"= anew \? .*;", "= sum;"),),
        RESULTS,
        settings=(("format_a", "e2m1"), ("format_b", "e2m1"), ("block", 2)),
    ),
    Mutant(
        "mx_scale: the second half of a block does not count",
        "mx_scale",
        (Edit("mx_scale", r"assign largest = .*;", "assign largest = largest_0_0;"),),
        RESULTS,
        settings=(("block", 3),),
    ),
    Mutant(
        "mx_scale: infinity is a number",
        "mx_scale",
        (Edit("mx_scale", r"= & largest\[14:7\];", "= 0;"),),
        RESULTS,
        settings=(("block", 2),),
    ),
    Mutant(
        "mx_scale: small numbers have a scale below the least",
        "mx_scale",
        (Edit("mx_scale", r"= code\[8\] \| ", "= code[8] & "),),
        RESULTS,
    ),
    Mutant(
        "hamming: a product of vectors of odd length is even",
        "hamming_dot",
        (Edit("hamming_dot", r"assign dot\[0\] = 1'h1;", "assign dot[0] = 0;"),),
        RESULTS,
    ),
    Mutant(
        "hamming: two bits that are clear do not agree",
        "hamming_dot",
        (Edit("hamming_dot", r"a\[1\] \^ b\[1\];", "~(a[1] & b[1]);"),),
        RESULTS,
    ),
    Mutant(
        "attention: sums go on from sequence to sequence",
        "additive_attention",
        (Edit("key_row_", r"= first \? .* : so_far_1;", "= so_far_1;"),),
        BEATS,
    ),
    Mutant(
        "attention: a bit of the key selects every value",
        "additive_attention",
        (Edit("key_row_", r"= i_key \? (value\[4:0\]) : .*;", r"= \1;"),),
        BEATS,
    ),
    Mutant(
        "attention: sums move on while queries are asked of those before",
        "additive_attention",
        (Edit("additive_attention", r"assign move = .*;", "assign move = complete;"),),
        f"{BEATS}|{LOST}",
    ),
    Mutant(
        "attention: a query does not wait for the sink",
        "additive_attention",
        (Edit("additive_attention", r"assign advance = .*;", "assign advance = 1;"),),
        f"{CHANGED}|{LOST}",
        stall=0.4,
    ),
    Mutant(
        "attention: tokens wait for the last query",
        "additive_attention",
        (
            Edit(
                "additive_attention",
                r"assign i_token_ready = .*;",
                "assign i_token_ready = ~complete & ~there;",
            ),
        ),
        CYCLES,
    ),
    Mutant(
        "attention: what is subtracted lacks its carry",
        "additive_attention",
        (Edit("key_row_", r"= ~ i_key;", "= 0;"),),
        BEATS,
        settings=(("signs", True),),
    ),
    Mutant(
        "attention: bits of a query are 0 and 1 where they are signs",
        "additive_attention",
        (Edit("value_column_", r"assign o_sum = .*;", "assign o_sum = selected;"),),
        BEATS,
        settings=(("signs", True),),
    ),
    Mutant(
        "attention: the sum of all rows is that of the first query",
        "additive_attention",
        (Edit("additive_attention", r"assign selection = .*;", "assign selection = i_query_key;"),),
        BEATS,
        settings=(("signs", True),),
    ),
    Mutant(
        "router: a tie goes to the higher expert",
        "expert_router",
        (
            Edit("expert_router", r"(is_greatest_0 = \S+) >= ", r"\1 > "),
            Edit("expert_router", r"(is_greatest_1 = \S+) > ", r"\1 >= "),
        ),
        f"{BEATS}|{LOST}",
        settings=ROUTER,
    ),
    Mutant(
        "router: logits are taken as unsigned",
        "expert_router",
        (
            Edit("expert_router", r"is_greatest_0 = .*;", "is_greatest_0 = ~is_greatest_1;"),
            Edit(
                "expert_router",
                r"is_greatest_1 = \$signed(.*) > \$signed(.*);",
                r"is_greatest_1 = \1 > \2;",
            ),
        ),
        f"{BEATS}|{LOST}",
        settings=ROUTER,
    ),
    Mutant(
        "router: a token comes although the queue of its expert is full",
        "expert_router",
        (Edit("queue_2x", r"assign i_ready = .*;", "assign i_ready = 1;"),),
        f"{BEATS}|{LOST}",
        stall=0.4,
        settings=ROUTER,
    ),
    Mutant(
        "router: a queue does not move up",
        "expert_router",
        (Edit("queue_2x", r"if \(\w+\) o_word <= word_1;", "if (0) o_word <= word_1;"),),
        f"{BEATS}|{CHANGED}",
        stall=0.4,
        settings=ROUTER,
    ),
    Mutant(
        "router: a slot is taken again before its result has left",
        "expert_router",
        (Edit("expert_router", r"else taken <= \w+;", "else taken <= 0;"),),
        f"{BEATS}|{LOST}",
        stall=0.4,
        settings=ROUTER,
    ),
    Mutant(
        "router: a slot leaves before its result is there",
        "expert_router",
        (Edit("expert_router", r"assign read = advance & .*;", "assign read = advance & |taken;"),),
        f"{BEATS}|{LOST}",
        stall=0.4,
        settings=ROUTER,
    ),
    Mutant(
        "router: two results in a cycle, of which one is lost",
        "expert_router",
        (
            Edit(
                "expert_router",
                r"assign i_result_1_ready = (\w+) & .*;",
                r"assign i_result_1_ready = \1;",
            ),
        ),
        LOST,
        stall=0.4,
        settings=ROUTER,
    ),
    Mutant(
        "router: a result goes into the slot of another expert's token",
        "expert_router",
        (Edit("expert_router", r"assign at = .*;", "assign at = slots_0__o_word;"),),
        f"{BEATS}|{LOST}",
        settings=ROUTER,
    ),
    Mutant(
        "router: one token at a time",
        "expert_router",
        (
            Edit(
                "expert_router",
                r"assign i_token_ready = (.*);",
                r"assign i_token_ready = ~|taken & \1;",
            ),
        ),
        CYCLES,
        settings=ROUTER,
    ),
    Mutant(
        "threshold: what equals the mean counts as greater",
        "binary_threshold",
        (Edit("binary_threshold", r"(o_bits\[1\] = \S+) > ", r"\1 >= "),),
        BEATS,
    ),
    Mutant(
        "threshold: the sum goes on from tensor to tensor",
        "binary_threshold",
        (Edit("binary_threshold", r"if \(complete\) so_far <= 10'h000", "if (0) so_far <= 0"),),
        BEATS,
    ),
    Mutant(
        "threshold: the next tensor's threshold comes while a beat waits",
        "binary_threshold",
        (Edit("binary_threshold", r"if \(starts\) threshold", "threshold"),),
        f"{BEATS}|{CHANGED}",
        stall=0.4,
    ),
    Mutant(
        "threshold: a bank takes a tensor before the one in it has left",
        "binary_threshold",
        (Edit("binary_threshold", r"assign i_ready = .*;", "assign i_ready = 1;"),),
        f"{BEATS}|{LOST}",
        stall=0.4,
    ),
    Mutant(
        "threshold: a beat is read while the one before waits",
        "binary_threshold",
        (Edit("binary_threshold", r"assign advance = .*;", "assign advance = 1;"),),
        f"{CHANGED}|{LOST}",
        stall=0.4,
    ),
    Mutant(
        "threshold: a tensor comes in when no other is there",
        "binary_threshold",
        (Edit("binary_threshold", r"assign i_ready = .*;", "assign i_ready = ~|full;"),),
        CYCLES,
    ),
    Mutant(
        "table: an entry differs by an activation, not by twice one",
        "lut_builder",
        (Edit("lut_builder", r"(assign entry_4 = .*)\{ x_1, 1'h0 \}", r"\1x_1"),),
        RESULTS,
    ),
    Mutant(
        "look-up: where the top bit is set the key is not inverted",
        "lut_pe",
        (Edit("lut_cell", r"assign index = .*;", "assign index = key[2:0];"),),
        RESULTS,
    ),
    Mutant(
        "look-up: a scale's sign does not count",
        "lut_pe",
        (Edit("lut_cell", r"assign term_1_flips = .*;", "assign term_1_flips = key[7];"),),
        RESULTS,
        settings=(("mu", 8), ("terms", 2)),
    ),
    Mutant(
        "look-up: a term of no power is one",
        "lut_pe",
        (Edit("lut_cell", r"i_scale\[2\] \? found : .*;", "found;"),),
        RESULTS,
    ),
    Mutant(
        "look-up: zeros come in behind a negated entry",
        "lut_pe",
        (
            Edit(
                "lut_cell",
                r"\{ term_0_by_1, term_0_flips, term_0_flips \}",
                "{ term_0_by_1, 2'h0 }",
            ),
        ),
        RESULTS,
    ),
    Mutant(
        "look-up engine: the table takes activations that are not loaded",
        "lut_engine",
        (Edit("lut_engine", r"<= load;", "<= 1'h1;"),),
        RESULTS,
    ),
    Mutant(
        "look-up engine: a table comes a cycle late",
        "lut_engine",
        (
            Edit(
                "lut_builder",
                r"(else valid <= )i_valid;",
                r"\1late; reg late; always @(posedge clk) late <= i_valid;",
            ),
        ),
        RESULTS,
    ),
    Mutant(
        "look-up engine: all rows take the first scale",
        "lut_engine",
        (Edit("lut_cells", r"\.i_scale\(i_scale\[i \* ", ".i_scale(i_scale[0 * "),),
        RESULTS,
        settings=(("rows", 2), ("terms", 2)),
    ),
    Mutant(
        "look-up engine: the sums never start anew",
        "lut_engine",
        (Edit("lut_engine", r"else anew <= .*;", "else anew <= 1'h0;"),),
        RESULTS,
        settings=(("rows", 2), ("terms", 2)),
    ),
    Mutant(
        "modular_add: half of an odd residue does not add the modulus",
        "modular_add",
        (Edit("modular_add", r"half_even_unused = total_1 \+ .*;", "half_even_unused = total_1;"),),
        RESULTS,
    ),
    Mutant(
        "modular_add: a difference below zero stays there",
        "modular_add",
        (Edit("modular_add", r"taken_less\[8\] \? taken_more", "1'b0 ? taken_more"),),
        RESULTS,
    ),
    Mutant(
        "barrett_reduce: one unit of the reciprocal is lost",
        "barrett_reduce",
        (Edit("barrett_reduce", r"(quotient_unused_0_sum = .*) - z\[15:6\];", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "barrett: no subtraction after the estimate",
        "barrett",
        (Edit("barrett", r"if \(product_less_3\[8\]\)", "if (1)"),),
        RESULTS,
    ),
    Mutant(
        "barrett: one subtraction where it takes two",
        "barrett",
        (Edit("barrett", r"if \(product_less_4\[31\]\)", "if (1)"),),
        RESULTS,
        settings=(("modulus", 0x7FE01001), ("guard", 0), ("drop", 1)),
    ),
    Mutant(
        "barrett: the modulus of the operands behind",
        "barrett",
        (Edit("barrett", r"quotient_3 \* q_3", "quotient_3 * q_2"),),
        RESULTS,
        settings=(("runtime", True),),
    ),
    Mutant(
        "barrett: o_valid a cycle early",
        "barrett",
        (Edit("barrett", r"o_valid <= valid_3;", "o_valid <= valid_2;"),),
        LATE,
    ),
    Mutant(
        "montgomery: a borrow between the halves",
        "montgomery",
        (Edit("montgomery", r"z_2, 8'hff", "z_2, 8'h00"),),
        RESULTS,
    ),
    Mutant(
        "montgomery: what passes a last word is lost",
        "montgomery",
        (Edit("montgomery", r"passed_3 <= z_2\[5:2\];", "passed_3 <= 4'h0;"),),
        RESULTS,
        settings=(("word", 6),),
    ),
    Mutant(
        "shoup: a product that is one modulus too large stays so",
        "shoup",
        (Edit("shoup", r"if \(product_less_2\[8\]\)", "if (1)"),),
        RESULTS,
    ),
    Mutant(
        "solinas: what is folded is not subtracted",
        "solinas",
        (Edit("solinas", r"(folded_4_less = folded_4_more) - .*;", r"\1;"),),
        RESULTS,
    ),
    Mutant(
        "bat_reduce: digit sums are merged with one bit too few between them",
        "bat_reduce",
        (Edit("bat_reduce", r"\{ sum_1, 8'h00 \}", "{ sum_1, 7'h00 }"),),
        RESULTS,
        settings=(("modulus", 12289),),
    ),
    Mutant(
        "bat_reduce: the largest sums lose a bit",
        "bat_reduce",
        (Edit("bat_reduce", r"\+ \{ sum_1, 8'h00 \}", "+ { sum_1[12:0], 8'h00 }"),),
        RESULTS,
        settings=(("modulus", 12289),),
    ),
    Mutant(
        "butterfly: the difference does not wrap",
        "butterfly",
        (Edit("butterfly", r"taken_t_more = .*;", "taken_t_more = taken_t_less[7:0];"),),
        RESULTS,
    ),
    Mutant(
        "butterfly: the sum that is passed by is of the operands before",
        "butterfly",
        (Edit("butterfly", r"u_4 <= u_3;", "u_4 <= u_2;"),),
        RESULTS,
    ),
    Mutant(
        "barrett_reduce: a result is there after reset",
        "barrett_reduce",
        (Edit("barrett_reduce", r"if \(rst\) o_valid <= 1'h0;", "if (rst) o_valid <= 1'h1;"),),
        "o_valid: a result is given that nothing was asked for",
    ),
    Mutant(
        "ntt: a stage begins before the one before has written everything",
        "ntt_engine",
        (Edit("ntt_q", r"assign (_\d+_) = settled \| _\d+_;", r"assign \1 = 1;"),),
        f"{BEATS}|{CYCLES}",
    ),
    Mutant(
        "ntt: results return to the bank of the other lane",
        "ntt_engine",
        (Edit("ntt_q", r"assign write_rest = .*;", "assign write_rest = 0;"),),
        BEATS,
    ),
    Mutant(
        "ntt: a product is written over both polynomials",
        "ntt_engine",
        (Edit("ntt_q", r"assign (_\d+_) = ~ pointwise;", r"assign \1 = 1;"),),
        BEATS,
    ),
    Mutant(
        "ntt: the inverse takes the forward twiddle factors",
        "ntt_engine",
        (Edit(r"twiddles_stored\S*_table", r"\[address\]", "[address % 15]"),),
        BEATS,
    ),
    Mutant(
        "ntt: a stage in constant geometry begins too early",
        "ntt_engine",
        (Edit("ntt_q", r"assign (_\d+_) = settled \| _\d+_;", r"assign \1 = 1;"),),
        f"{BEATS}|{CYCLES}",
        settings=(("geometry", "constant"),),
    ),
    Mutant(
        "ntt: after an odd number of stages a polynomial is looked for where it began",
        "ntt_engine",
        (Edit("ntt_q", r"sides <= _\d+_;", "sides <= 0;"),),
        BEATS,
        settings=(("geometry", "constant"), ("size", 32)),
    ),
    Mutant(
        "ntt: a generated factor is of a group before",
        "ntt_engine",
        (Edit(r"twiddles_generated\S*_low_table", r"\[address\]", "[address & ~1]"),),
        BEATS,
        settings=(("twiddles", "generated"),),
    ),
    Mutant(
        "ntt: a butterfly has the modulus of the other limb",
        "ntt_engine",
        (Edit("ntt_q", r"(assign butterfly_0__q = \S+ \?) (\S+) : (\S+);", r"\1 \3 : \2;"),),
        BEATS,
        settings=LIMBS,
    ),
    Mutant(
        "ntt: the factors of a limb are those of the first",
        "ntt_engine",
        (Edit(r"twiddles_stored\S*_barrett \(", r"= limb \? \S+ : (\S+);", r"= \1;"),),
        BEATS,
        settings=LIMBS,
    ),
    Mutant(
        "ntt: a beat does not wait for the sink",
        "ntt_engine",
        (Edit("ntt_q", r"assign advance = .*;", "assign advance = 1;"),),
        f"{CHANGED}|{LOST}",
        stall=0.4,
    ),
    Mutant(
        "modular array: sums come in while those before them still leave",
        "systolic_modular",
        (
            Edit(
                "systolic_modular",
                r"assign array__o_c__ready = .*;",
                "assign array__o_c__ready = 1;",
            ),
        ),
        f"{BEATS}|{LOST}",
        settings=MODULAR_ARRAY,
        stall=0.4,
    ),
    Mutant(
        "modular array: lanes are given more than there is room for",
        "systolic_modular",
        (Edit("systolic_modular", r"free <= _\d+_;\n(\s*else if)", r"free <= free;\n\1"),),
        f"{BEATS}|{LOST}",
        settings=MODULAR_ARRAY,
        stall=0.4,
    ),
    Mutant(
        "modular array: the sum of a low digit is added to the residue before",
        "systolic_modular",
        (Edit("digit_merge", r"= first \? \S+ : so_far;", "= so_far;"),),
        BEATS,
        settings=MODULAR_ARRAY,
    ),
    Mutant(
        "modular array: a factor is that of the residue after",
        "systolic_modular",
        (Edit("systolic_modular", r"\.b\(factors\[69:56\]\)", ".b(factors[41:28])"),),
        BEATS,
        settings=MODULAR_ARRAY,
    ),
    Mutant(
        "modular array: the last residues of a tile are not marked",
        "systolic_modular",
        (Edit("systolic_modular", r"assign last = .*;", "assign last = 0;"),),
        BEATS,
        settings=MODULAR_ARRAY,
    ),
]


def small(design: Design, settings: Settings) -> Config:
    return config_of(design, **{**SETTINGS[design.kind], **dict(settings)})


def player(design: Design, settings: Settings) -> PlayerConfig:
    return player_config(design.component, small(design, settings), SETS)


@functools.cache
def emission(design: Design, settings: Settings) -> Emission:
    if design.kind is Kind.FUNCTION_UNIT:
        return emit(Player, player(design, settings))
    return emit(design.component, small(design, settings))


def memories(design: Design, settings: Settings) -> list[tuple[str, str]]:
    if design.kind is Kind.FUNCTION_UNIT:
        shapes = Player(player(design, settings)).memories
        return [(Memory(shape).name, Memory.STORAGE) for shape in shapes]
    return list(operand_memories(design, small(design, settings)))


def run(design: Design, settings: Settings, emitted: Emission, stall: float, folder: Path) -> None:
    """Build what was emitted and give its bench the job."""
    simulator = build_in(folder, emitted, memories(design, settings))
    arrays: Arrays = {}
    config = small(design, settings)
    if isinstance(config, MatmulFreeConfig):
        images = [
            *random_blocks(config, SEED),
            random_image(config, np.random.default_rng(SEED), 200),
        ]
        (job, arrays), testcase = program_job(design, config, images, SEED), "programs"
    elif design.kind is Kind.FUNCTION_UNIT:
        depth = player(design, settings).depth
        job, testcase = Job.of(design, config, SEED, depth=depth), "operands"
    elif design.kind is Kind.STREAM_UNIT:
        job, testcase = Job.of(design, config, SEED, stall=stall, count=SETS), "beats"
    elif isinstance(config, PimConfig):
        requests = random_trace(np.random.default_rng(SEED), organisation_of(config), 5, 600, 0.4)
        job, testcase = Job.of(design, config, SEED, trace=write_trace(requests)), "trace"
    else:
        job, testcase = Job.of(design, config, SEED, stall=stall), "products"
        rng = np.random.default_rng(SEED)
        arrays = with_groups(config, arrays_of(random_products(rng, config, SHAPES)), SEED)
    run_bench(simulator, BENCHES[design.kind], job, arrays, folder, testcase)


@pytest.mark.parametrize(
    ("name", "settings", "stall"),
    sorted({(m.design, m.settings, m.stall) for m in MUTANTS}, key=str),
    ids=str,
)
def test_the_design_itself_passes(
    name: str, settings: Settings, stall: float, tmp_path: Path
) -> None:
    design = DESIGNS[name]
    run(design, settings, emission(design, settings), stall, tmp_path)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.what)
def test_the_bench_finds(mutant: Mutant, tmp_path: Path) -> None:
    design = DESIGNS[mutant.design]
    broken = edited(emission(design, mutant.settings), mutant.edits)
    with pytest.raises(SimulationError, match=mutant.caught) as error:
        run(design, mutant.settings, broken, mutant.stall, tmp_path)
    assert "Error: " in error.value.cause and "simulation of" in str(error.value)


def test_every_design_has_mutants() -> None:
    assert {mutant.design for mutant in MUTANTS} == set(DESIGNS)
