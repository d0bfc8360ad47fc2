# amaranth: UnusedElaboratable=no
"""A waveform picture of a design's bench as SVG."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wavedrom

from hw.catalog import Design, Kind
from hw.emit import emit
from hw.matmul_free_isa import MatmulFreeConfig
from pe.config import Config
from scripts.ppa.operands import Operands, operand_fields
from scripts.ppa.traces import BenchWaveform
from scripts.ppa.vectors import Bits
from sim.blocks import random_blocks
from sim.player import UNIT
from sim.simulate import (
    build_emission,
    player_emission,
    run_beats,
    run_operands,
    run_products,
    run_programs,
    run_trace,
)

CYCLES = 20


def bench_waveform(design: Design, config: Config, folder: Path, seed: int = 1) -> str:
    """Run the bench of a design on a few operands and draw its ports, cycle by cycle.

    Raises
    ------
    SimulationError
        When the bench finds a mismatch.
    """
    emission = emit(design.component, config)
    ports = [port["name"] for port in emission.description["ports"] if port["name"] != "clk"]
    if design.kind is Kind.FUNCTION_UNIT:
        player, _, memories = player_emission(design, config, 64)
        simulator = build_emission(player, memories, waves="vcd")
        outcome = run_operands(design, config, folder, seed, 64, simulator, waves=True)
        top, names = player.name, [f"{UNIT}.{port}" for port in ports if port != "rst"]
    elif design.kind is Kind.STREAM_UNIT:
        outcome = run_beats(design, config, folder, seed, count=CYCLES, waves="vcd")
        top, names = emission.name, ports
    elif design.kind is Kind.PIM_CHANNEL:
        trace = "READ 0 1 0\nGWRITE 0 0\nHEADER 1 2 1\nGEMV 2\n"
        outcome = run_trace(design, config, trace, folder, seed, waves="vcd")
        top, names = emission.name, ports
    elif isinstance(config, MatmulFreeConfig):
        images = random_blocks(config, seed)[-1:]
        outcome = run_programs(design, config, images, folder, seed, waves="vcd")
        top, names = emission.name, ports
    else:
        a, b = operand_fields(config)
        product = Operands("uniform").pair(2, 3, 2, a, b, seed)
        outcome = run_products(design, config, [product], folder, seed, waves="vcd")
        top, names = emission.name, ports
    assert outcome.run.waveform is not None
    waveform = BenchWaveform(outcome.run.waveform, top, names)
    outcome.run.waveform.unlink()
    cycles = min(CYCLES, waveform.cycles)
    signals: list[dict[str, object]] = [{"name": "clk", "wave": "p" + "." * (cycles - 1)}]
    signals += [_signal(name.rpartition(".")[2], waveform.bits(name)[:cycles]) for name in names]
    text = json.dumps({"signal": signals, "config": {"hscale": 2}})
    return str(wavedrom.render(text).tostring())


def _signal(name: str, bits: Bits) -> dict[str, object]:
    values = [_hex(row) for row in bits]
    wave, data = "", []
    for value, before in zip(values, [None, *values], strict=False):
        if value == before:
            wave += "."
        elif bits.shape[1] == 1:
            wave += value
        else:
            wave += "="
            data.append(value)
    return {"name": name, "wave": wave, "data": data}


def _hex(row: Sequence[int]) -> str:
    number = int("".join(map(str, np.asarray(row)[::-1])), 2)
    digits = format(number, "x")
    return digits if len(digits) <= 8 else f"{digits[:3]}..{digits[-3:]}"
