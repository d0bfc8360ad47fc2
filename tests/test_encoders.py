# amaranth: UnusedElaboratable=no
"""Digit encoders: every operand of every width.

The bench of the function units runs some widths; here all are evaluated as and-inverter graphs.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.sim import Simulator

from golden.digits import digit_count, ports
from hw.emit import emit
from hw.yosys import run_yosys
from pe.encoders import (
    BITS,
    BOOTH,
    CSD,
    ENCODERS,
    ENT,
    BitConfig,
    BitEncoder,
    BoothConfig,
    BoothDigit,
    BoothEncoder,
    CsdConfig,
    CsdEncoder,
    EncoderConfig,
    EntConfig,
    EntEncoder,
    SignedBit,
    bit_digits,
    booth_digits,
    csd_digits,
    digits,
    ent_decode,
    ent_digits,
)
from scripts.ppa.aig import Graph, Machine, pack, read, simulate
from scripts.ppa.structure import elaborate

SIGNED = (False, True)
SMALL = list(product(range(1, 7), SIGNED))
UNITS = (
    (BoothEncoder, BoothConfig),
    (EntEncoder, EntConfig),
    (CsdEncoder, CsdConfig),
    (BitEncoder, BitConfig),
)


def built(kind: str, value: Signal, signed: bool) -> list[BoothDigit] | list[SignedBit]:
    """Return the digits of `value` as a unit would build them."""
    if kind == ENT:
        codes, sign = ent_digits(value, signed)
        return [ent_decode(code, sign) for code in codes]
    if kind == BOOTH:
        return booth_digits(value, signed)
    return {CSD: csd_digits, BITS: bit_digits}[kind](value, signed)


def decoded(code: int, count: int, fields: int) -> Iterator[int]:
    """Return digits from their codes side by side: one, (two,) negative."""
    for i in range(count):
        bits = [code >> (fields * i + field) & 1 for field in range(fields)]
        magnitude = bits[0] + (2 * bits[1] if fields == 3 else 0)
        assert magnitude <= 2 and (magnitude or not bits[-1]), "the code of zero is zero"
        yield -magnitude if bits[-1] else magnitude


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_digits_built_inside_a_unit(kind: str, width: int, signed: bool) -> None:
    m = Module()
    value = Signal(width)
    found = built(kind, value, signed)
    code = Signal(sum(len(bits) for bits in found))
    m.d.comb += code.eq(Cat(Cat(digit) for digit in found))
    radix = 4 if kind in (BOOTH, ENT) else 2
    assert len(found) == digits(width, signed, kind)

    async def check(ctx: Any) -> None:
        for number in range(1 << width):
            ctx.set(value, number)
            values = list(decoded(ctx.get(code), len(found), len(found[0])))
            wanted = number - (1 << width) if signed and number >> (width - 1) else number
            assert sum(d * radix**i for i, d in enumerate(values)) == wanted
            if kind == CSD:
                assert not any(x and y for x, y in pairwise(values))

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[EncoderConfig, Machine]:
    """Emit and read back every encoder of every width, in one run of Yosys."""
    folder = tmp_path_factory.mktemp("encoders")
    script: list[str] = []
    configs = []
    for (unit, config_class), width, signed in product(UNITS, range(2, 17), SIGNED):
        config = config_class(width=width, signed=signed)
        configs.append(config)
        verilog, _ = emit(unit, config).write(folder)
        script += [
            "design -reset",
            f"read_verilog {verilog}",
            f"prep -top {config.name}",
            "techmap",
            "aigmap",
            f"write_aiger -ascii -symbols {folder / config.name}.aag",
        ]
    run_yosys(script)
    return {config: read(folder / f"{config.name}.aag") for config in configs}


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("config_class", [config for _, config in UNITS])
def test_every_operand_of_every_width(
    config_class: type[EncoderConfig], signed: bool, machines: dict[EncoderConfig, Machine]
) -> None:
    for width in range(2, 17):
        config = config_class(width=width, signed=signed)
        codes = np.arange(max(64, 1 << width)) % (1 << width)
        values = codes - ((codes >> (width - 1) << width) if signed else 0)
        graph = Graph()
        word = graph.input(width)
        outputs, _ = machines[config].place(graph, {"a": word}, [])
        inputs = dict(zip(word, pack(codes, width), strict=True))
        expected = ports(values, kind=config.kind, width=width, signed=signed)
        assert set(outputs) == set(expected)
        for name, literals in outputs.items():
            found = simulate(graph, literals, inputs)
            wanted = pack(expected[name], len(literals))
            assert all(map(np.array_equal, found, wanted)), f"{config.name}: {name}"
            assert not (expected[name] >> len(literals)).any()


@pytest.mark.parametrize(
    ("kind", "width", "signed"), list(product(ENCODERS, range(2, 17), SIGNED)), ids=str
)
def test_the_golden_model_has_as_many_digits(kind: str, width: int, signed: bool) -> None:
    assert digits(width, signed, kind) == digit_count(kind, width, signed)


def test_wires_are_not_mapped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^design: bits_encoder_8 has only wires"):
        elaborate(emit(BitEncoder, BitConfig()), False, tmp_path)


def test_a_pe_may_ask_for_the_number_of_digits() -> None:
    assert [digits(8, True, kind) for kind in ENCODERS] == [4, 4, 8, 8]
    assert [digits(8, False, kind) for kind in ENCODERS] == [5, 5, 9, 8]
    assert [digits(7, True, kind) for kind in ENCODERS] == [4, 4, 7, 7]
    assert [digits(7, False, kind) for kind in ENCODERS] == [4, 4, 8, 7]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^kind: 'both' is not one of .*; did you mean 'booth'\?"):
        digits(8, True, "both")
    with pytest.raises(ValueError, match=r"^width: 0 is not at least 1$"):
        digits(0, True, BOOTH)
    with pytest.raises(ValueError, match=r"^width: 17 is not in 2\.\.16$"):
        BoothConfig(width=17)
