"""Random commands of an engine for number-theoretic transforms, and polynomials of residues."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hw.ntt_engine import NttEngine, NttEngineConfig, Operation
from pe.product import SHOUP
from sim.job import Arrays
from sim.stimuli import Generator

NO_OPERATIONS = (6, 7)
"""Codes without a meaning."""


def ntt_beats(rng: Generator, unit: NttEngine, count: int) -> Arrays:
    """Return commands that load about half as many beats; the greatest residues are among them.

    All slots are loaded first, and stored last.
    """
    config = unit.config
    last = config.slots - 1
    operations = [operation for operation in Operation if last or operation.value < 4]
    if config.reducer == SHOUP and last:
        operations.remove(Operation.MULTIPLY)
    commands = [(Operation.LOAD.value, 0, last)]
    loaded = config.slots
    while loaded * config.limbs * config.order.rows < count // 2:
        operation = operations[rng.integers(len(operations))]
        slot = int(rng.integers(config.slots))
        other = int(rng.integers(slot, config.slots))
        if operation in (Operation.ADD, Operation.MULTIPLY):
            other = int(rng.choice([s for s in range(config.slots) if (s ^ slot) & 1]))
        elif operation is Operation.LOAD:
            loaded += other - slot + 1
        commands.append((operation.value, slot, other))
        if rng.random() < 0.1:
            commands.append((int(rng.choice(NO_OPERATIONS)), slot, other))
    commands.append((Operation.STORE.value, 0, last))
    shape = (loaded, config.limbs, config.size)
    moduli = np.broadcast_to(np.array(config.moduli, np.uint64)[:, None], shape)
    data = rng.integers(0, moduli, dtype=np.uint64)
    data = np.where(rng.random(shape) < 0.2, moduli - np.uint64(1), data)
    data[rng.random(shape) < 0.1] = 0
    fields = ("command_operation", "command_slot", "command_other")
    columns = dict(zip(fields, np.array(commands).T, strict=True))
    return {**columns, "data": residue_beats(config, data)}


def residue_beats(config: NttEngineConfig, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return residues of whole polynomials as the beats of an engine, [beats, lanes]."""
    kind = np.uint64 if config.bits == 64 else np.int64
    return data.reshape(-1, config.order.lanes).astype(kind)
