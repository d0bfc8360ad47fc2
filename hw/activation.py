# amaranth: UnusedElaboratable=no
"""Sigmoid and SiLU of the core for MatMul-free language models."""

import itertools
import math

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In

from hw.matmul_free_isa import TABLE_END_BITS, MatmulFreeConfig
from hw.table import Table, TableConfig
from hw.vector_port import VectorPort, latched, later, walk
from pe.share import share


def table_of(config: MatmulFreeConfig) -> TableConfig:
    """Table of SIG, and behind it of SILU, from 0 on: values, and what the next ones are more."""
    lines = 1 << (TABLE_END_BITS + config.steps)
    at = [i / (1 << config.steps) for i in range(lines + 1)]
    sigmoid = [1 / (1 + math.exp(-x)) for x in at]
    silu = [x * y for x, y in zip(at, sigmoid, strict=True)]
    words: list[int] = []
    for exact in (sigmoid, silu):
        values = [round(math.ldexp(y, config.fraction)) for y in exact]
        pairs = itertools.pairwise(values)
        words += [value | (after - value) << (config.width - 1) for value, after in pairs]
    width = config.width - 1 + config.fraction + 1
    return TableConfig(
        f"table_{config.slug}", "values of SIG and SILU, and slopes", width, tuple(words)
    )


class Activation(VectorPort):
    """SIG and SILU: a line between two entries of a table, and symmetry below zero.

    Members beside those of `VectorPort`
    ------------------------------------
    silu : In(1)
        SILU, else SIG.
    """

    prefix = "activation"

    def __init__(self, config: MatmulFreeConfig) -> None:
        super().__init__(config, silu=In(1))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, fraction = self.config.width, self.config.fraction
        bits = fraction - self.config.steps
        end = fraction + TABLE_END_BITS
        one = Const(1 << fraction, fraction + 1)
        silu = latched(m, self.start, silu=self.silu)
        read = walk(m, "read", self.start, self.config.length)
        look_up = later(m, "look_up", read)
        write = later(m, "write", look_up)

        magnitude = Signal(width)
        m.d.comb += magnitude.eq(Mux(self.element_a[-1], -self.element_a, self.element_a))
        segment = Signal(TABLE_END_BITS + self.config.steps)
        m.d.comb += segment.eq(magnitude[bits:end])
        table = table_of(self.config)
        word = Signal(table.width)
        share(m, platform, "lines", Table, table, index=Cat(segment, silu), word=word)
        entry, slope = word[: width - 1], word[width - 1 :]

        held = {
            "entry": entry,
            "product": slope * magnitude[:bits],
            "magnitude": magnitude,
            "negative": self.element_a[-1],
            "beyond": magnitude[end:].any() if end < width else Const(0, 1),
        }
        registers = {}
        for name, value in held.items():
            registers[name] = Signal(value.shape(), name=f"{name}_reg", reset_less=True)
            m.d.sync += registers[name].eq(value)

        product = registers["product"]
        between = Signal(width + 1)
        positive = Signal(width)
        whole = Signal(width)
        up = product[bits - 1] & (product[: bits - 1].any() | product[bits])
        m.d.comb += [
            between.eq(registers["entry"] + product[bits:] + up),
            whole.eq(Mux(silu, registers["magnitude"], one)),
            positive.eq(Mux(registers["beyond"], whole, between)),
        ]
        mirrored = Mux(silu, positive - whole, whole - positive)
        m.d.comb += self.read_index.eq(read.at)
        self.write(m, write, Mux(registers["negative"], mirrored, positive))
        return m
