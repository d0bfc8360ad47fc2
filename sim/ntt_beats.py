"""Random commands of an engine for number-theoretic transforms, and polynomials of residues."""

import numpy as np

from hw.ntt_engine import NttEngine, Operation
from pe.product import SHOUP
from sim.job import Arrays
from sim.stimuli import Generator


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
    while loaded * config.order.rows < count // 2:
        operation = operations[rng.integers(len(operations))]
        slot = int(rng.integers(config.slots))
        other = int(rng.integers(slot, config.slots))
        if operation in (Operation.ADD, Operation.MULTIPLY):
            other = int(rng.choice([s for s in range(config.slots) if (s ^ slot) & 1]))
        elif operation is Operation.LOAD:
            loaded += other - slot + 1
        commands.append((operation.value, slot, other))
    commands.append((Operation.STORE.value, 0, last))
    shape = (loaded, config.size)
    data = rng.integers(0, config.modulus, shape, dtype=np.int64)
    data[rng.random(shape) < 0.2] = config.modulus - 1
    data[rng.random(shape) < 0.1] = 0
    fields = ("command_operation", "command_slot", "command_other")
    columns = dict(zip(fields, np.array(commands).T, strict=True))
    return {**columns, "data": data.reshape(-1, config.order.lanes)}
