"""The PEs an engine can be built from, by the name that configs and the command line use.

A PE is a config class with `a_shape`, `b_shape`, `accumulator_shape` and `step`: the combinational
function unit with ports `a`, `b`, `addend` and `sum` that takes one product into a running sum.
The engine owns every register around it. A product with a zero operand leaves the sum's value as
it is, so that an engine may fill bubbles with zeros.
"""

from pe.mac import MacConfig

PES: dict[str, type[MacConfig]] = {"mac": MacConfig}
