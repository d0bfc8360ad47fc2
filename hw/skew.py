"""The triangle of registers that staggers operands at the edge of a systolic array."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from pe.share import Collector
from pe.unit import StructuralUnit


class SkewShape(NamedTuple):
    """Number of lanes, and bits a lane."""

    lanes: int
    width: int


class Skew(StructuralUnit):
    """Delay lane ``i`` of a vector by ``i`` cycles.

    The registers have no reset: what they hold before the first operand is never accumulated.

    Members
    -------
    i, o : In, Out(lanes * width)
        Lane 0 in the low bits.
    """

    config: SkewShape

    def __init__(self, config: SkewShape) -> None:
        bits = config.lanes * config.width
        super().__init__(config, {"i": In(bits), "o": Out(bits)})

    @property
    def name(self) -> str:
        return f"skew_{self.config.lanes}x{self.config.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, width = self.config
        # Stage s holds the lanes from s on: its lowest lane has been delayed long enough.
        stage: Value = self.i
        delayed = [stage[:width]]
        for s in range(1, lanes):
            register = Signal((lanes - s) * width, name=f"stage_{s}", reset_less=True)
            m.d.sync += register.eq(stage[width:])
            delayed.append(register[:width])
            stage = register
        m.d.comb += self.o.eq(Cat(delayed))
        return m

    def clocks(self, collector: Collector) -> list[str]:
        return ["clk"] if self.config.lanes > 1 else []

    def verilog_body(self, collector: Collector) -> str:
        lanes, width = self.config
        if lanes == 1:
            return "  assign o = i;\n"
        return (
            "  // Stage s holds the lanes from s on: its lowest has been delayed long enough.\n"
            "  genvar s;\n"
            "  generate\n"
            f"    for (s = 1; s < {lanes}; s = s + 1) begin : stage\n"
            f"      reg [({lanes} - s) * {width} - 1:0] lanes;\n"
            "      if (s == 1) begin : first\n"
            f"        always @(posedge clk) lanes <= i[{lanes * width - 1}:{width}];\n"
            "      end else begin : next\n"
            "        always @(posedge clk)\n"
            f"          lanes <= stage[s - 1].lanes[({lanes + 1} - s) * {width} - 1:{width}];\n"
            "      end\n"
            f"      assign o[s * {width} +: {width}] = lanes[{width - 1}:0];\n"
            "    end\n"
            "  endgenerate\n"
            f"  assign o[{width - 1}:0] = i[{width - 1}:0];\n"
        )


def delayed(m: Module, name: str, value: Value, cycles: int) -> list[Value]:
    """Return `value` delayed by 0, 1, ..., `cycles` cycles, through registers that reset to zero.

    One shift register holds all stages, the youngest in its low bits.
    """
    width = len(value)
    taps = [value]
    if cycles:
        line = Signal(width * cycles, name=name)
        m.d.sync += line.eq(Cat(value, line)[: len(line)])
        taps += [line[s * width : (s + 1) * width] for s in range(cycles)]
    return taps
