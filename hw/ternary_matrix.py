# amaranth: UnusedElaboratable=no
"""The ternary matrix unit of the core for MatMul-free language models."""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hw.chain import Chain, ChainConfig, Link
from hw.matmul_free_isa import ACTIVATION_BITS, MatmulFreeConfig
from hw.vector_port import VectorPort, latched, later, walk
from pe.coded import TernaryConfig
from pe.share import share
from pe.unit import Unit


class TernaryCell(Unit):
    """Running sum of one row of a ternary matrix unit; sums leave as a shift register.

    Members
    -------
    a : In(signed 8)
        Activation.
    i_weight : In(2)
        Its weight in this row.
    enable, first : In(1)
        Take a product; it is the first of a sum.
    shift : In(1)
        Take the sum of the next row.
    i_total, o_total
        Sum of the next row, and of this one.
    """

    config: TernaryConfig

    def __init__(self, config: TernaryConfig) -> None:
        super().__init__(
            config,
            {
                "a": In(config.a_shape),
                "i_weight": In(config.b_shape),
                "enable": In(1),
                "first": In(1),
                "shift": In(1),
                "i_total": In(config.state_shape),
                "o_total": Out(config.state_shape),
            },
        )

    @property
    def name(self) -> str:
        return f"cell_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        so_far = Signal(self.config.state_shape)
        m.d.comb += so_far.eq(Mux(self.first, 0, self.o_total))
        row = self.config.row(m, self.a.as_unsigned(), self.i_weight)
        total = so_far + row.value + row.negative
        with m.If(self.enable):
            m.d.sync += self.o_total.eq(total)
        with m.Elif(self.shift):
            m.d.sync += self.o_total.eq(self.i_total)
        return m


class TernaryMatrix(VectorPort):
    """TMM: a ternary matrix times the low bytes of a vector, a column a cycle.

    Members beside those of `VectorPort`
    ------------------------------------
    address : In
        Word of the first column.
    rows, cols : In
        Last row and last column.
    weight_address, weight_enable, weight_data
        Read the weight memory: a column, 2 bits a row, row 0 in the low ones.
    """

    prefix = "ternary_matrix"

    def __init__(self, config: MatmulFreeConfig) -> None:
        index, address = range(config.length), range(config.depth_weights)
        super().__init__(
            config,
            address=In(address),
            rows=In(index),
            cols=In(index),
            element_a=In(signed(ACTIVATION_BITS)),
            weight_address=Out(address),
            weight_enable=Out(1),
            weight_data=In(2 * config.length),
        )

    @property
    def name(self) -> str:
        return f"{self.prefix}_{self.config.depth_weights}_{self.config.slug}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        length, pe = self.config.length, self.config.pe
        address, rows, cols = latched(
            m, self.start, address=self.address, rows=self.rows, cols=self.cols
        )
        read = walk(m, "read", self.start, length, cols)
        step = later(m, "step", read)
        drain = walk(m, "drain", step.last, length)
        total = Signal(pe.state_shape)
        last_total = Const(0, pe.state_shape)
        chain = ChainConfig(
            name=f"rows_{length}_{pe.name}",
            summary="running sums of all rows",
            instance="row",
            unit_class=TernaryCell,
            unit_config=pe,
            count=length,
            links=(
                ("a", Link.BROADCAST),
                ("i_weight", Link.LANE),
                ("enable", Link.BROADCAST),
                ("first", Link.BROADCAST),
                ("shift", Link.BROADCAST),
                ("total", Link.BACKWARD),
            ),
        )
        share(
            m,
            platform,
            "rows",
            Chain,
            chain,
            a=self.element_a,
            i_weight=self.weight_data,
            enable=step.active,
            first=step.at == 0,
            shift=drain.active,
            i_total=last_total,
            o_total=total,
        )
        m.d.comb += [
            self.read_index.eq(read.at),
            self.weight_address.eq(address + read.at),
            self.weight_enable.eq(read.active),
        ]
        self.write(m, drain, Mux(drain.at > rows, 0, total))
        return m
