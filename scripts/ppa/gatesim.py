# amaranth: UnusedElaboratable=no
"""Gate-level simulation: a mapped netlist in the same cocotb bench as its RTL."""

import re
from pathlib import Path

import numpy as np

from golden.pim_random import random_trace
from golden.pim_trace import write_trace
from hw.catalog import Design, Kind
from hw.emit import Emission, emit, write_atomically
from hw.matmul_free_isa import MatmulFreeConfig
from hw.pim_config import PimConfig
from pe.config import Config
from scripts.ppa.models import cell_models
from scripts.ppa.netlist import Netlist
from scripts.ppa.operands import Operands, operand_fields
from scripts.ppa.workload import fits
from sim.blocks import random_blocks
from sim.pim_setup import organisation_of
from sim.runner import Simulator, build
from sim.simulate import (
    Outcome,
    operand_memories,
    player_emission,
    run_beats,
    run_operands,
    run_products,
    run_programs,
    run_trace,
)

BEATS = 2000
STALL = 0.3
"""Of a stream unit: beats, and how likely a stream pauses."""

ROWS, REQUESTS = 5, 200
"""Of a PIM channel: rows of a bank that are used, and requests."""

_MODULE = re.compile(r"^module (\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)


def simulate_netlist(
    design: Design, config: Config, netlist: Netlist, workdir: Path, seed: int = 1
) -> Outcome:
    """Run a mapped netlist in the bench of its design: bit-exact, and cycle-exact.

    A function unit and a processor get what their RTL gets in ``rtloom sim``, a stream unit random
    beats with pauses, a PIM channel a random trace; an engine or a core two products of random
    matrices, the second one with partial tiles.

    Raises
    ------
    SimulationError
        When the bench finds a mismatch.
    """
    if design.kind is Kind.FUNCTION_UNIT:
        player, _, memories = player_emission(design, config)
        simulator = _build(player, netlist, list(memories), workdir)
        return run_operands(design, config, workdir, seed, simulator=simulator)
    if design.kind is Kind.STREAM_UNIT:
        emission = emit(design.component, config)
        simulator = _build(emission, netlist, [], workdir)
        return run_beats(
            design, config, workdir, seed, count=BEATS, stall=STALL, simulator=simulator
        )
    if isinstance(config, MatmulFreeConfig):
        emission = emit(design.component, config)
        simulator = _build(emission, netlist, list(operand_memories(design, config)), workdir)
        images = random_blocks(config, seed)
        return run_programs(design, config, images, workdir, seed, simulator=simulator)
    if isinstance(config, PimConfig):
        emission = emit(design.component, config)
        simulator = _build(emission, netlist, list(operand_memories(design, config)), workdir)
        rows = min(ROWS, config.bank_rows)
        rng = np.random.default_rng(seed)
        trace = write_trace(random_trace(rng, organisation_of(config), rows, REQUESTS, 0.3))
        return run_trace(design, config, trace, workdir, seed, simulator=simulator)
    component = design.component(config)
    engine = getattr(component, "engine", component)
    rows, cols = min(16, engine.tile_m), engine.tile_n
    k = min(engine.config.k_max, engine.steady_k + 2)
    sizes = [(rows, cols), (rows + 1, max(1, cols - 1))]
    while k > 1 and not all(fits(component, m, k, n) for m, n in sizes):
        k //= 2
    a, b = operand_fields(config)
    uniform = Operands("uniform")
    products = [uniform.pair(m, k, n, a, b, seed + i) for i, (m, n) in enumerate(sizes)]
    emission = emit(design.component, config)
    simulator = _build(emission, netlist, list(operand_memories(design, config)), workdir)
    return run_products(design, config, products, workdir, seed, simulator=simulator)


def _build(
    emission: Emission, netlist: Netlist, memories: list[tuple[str, str]], folder: Path
) -> Simulator:
    """Build an emission in which mapped modules take the place of emitted ones."""
    mapped = {m[1]: m[0] for m in _MODULE.finditer(netlist.verilog.read_text())}
    texts = {m[1]: m[0] for m in _MODULE.finditer(emission.verilog)}
    # Memories are black boxes in the netlist.
    texts |= {name: text for name, text in mapped.items() if name in netlist.modules}
    used = {cell for module in netlist.modules.values() for cell in module.cells}
    models = cell_models(netlist.library, used, primitives=False)
    # The resolution of the cells' delays, which count for nothing here, would be the simulator's.
    models = models.partition("\n")[2]
    verilog = folder / f"{emission.name}.gates.v"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically({verilog: models + "\n".join(texts.values())})
    ports = [port["name"] for port in emission.description["ports"]]
    return build(verilog, emission.name, ports, memories)


def product_sizes(outcome: Outcome) -> str:
    """Return what a gate-level simulation ran, for a report."""
    if "sets" in outcome.result:
        return f"{outcome.result['sets']} operand sets"
    if "commands" in outcome.result:
        return f"{outcome.result['commands']} commands"
    if "given" in outcome.result:
        return f"{sum(outcome.result['given'].values())} beats"
    sizes = [f"{p['m']} x {p['k']} x {p['n']}" for p in outcome.result["products"]]
    return f"products of {' and '.join(np.unique(sizes).tolist())}"
