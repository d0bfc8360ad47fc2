"""The instruction-level model, against the layers in real numbers and against cases by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.bitlinear import quantize_activations, rms_norm, sigmoid, silu
from golden.matmul_free import (
    FIELDS,
    OPCODES,
    SCALAR_BITS,
    UNITS,
    Instruction,
    Machine,
    State,
    activate,
    decode,
    encode,
    execute,
    rms_quantize,
    run,
    timeline,
)
from hw import matmul_free_isa as hardware
from hw.matmul_free import MatmulFreeCore

MACHINE = Machine(length=4, width=16, fraction=12, steps=3)
WIDE = Machine(length=16, width=24, fraction=18, steps=5)
LOW, HIGH = -(1 << 15), (1 << 15) - 1


def state(*vectors: list[int]) -> State:
    rows = [*vectors, *[[0] * MACHINE.length] * (8 - len(vectors))]
    weights = np.array([[1, 1, 1, -1], [1, 0, 1, -1], [1, -1, 0, -1], [1, 0, 0, -1]])
    return State(np.array(rows, np.int64), np.arange(12), weights)


def after(line: State, name: str, **operands: int) -> list[int]:
    """V7 after one instruction that writes it."""
    execute(Instruction(name, {"vd": 7, **operands}), line, MACHINE)
    found: list[int] = line.vectors[7].tolist()
    return found


def test_hardware_and_model_have_one_encoding() -> None:
    assert {name: tuple(f) for name, f in FIELDS.items()} == {
        name: tuple(f) for name, f in hardware.FIELDS.items()
    }
    assert tuple(UNITS) == hardware.UNITS
    for name, (number, operands) in OPCODES.items():
        if name == "HALT":
            assert number not in {code.number for code in hardware.OPCODES.values()}
            continue
        code = hardware.OPCODES[name]
        assert code.number == number
        assert name in UNITS[code.unit]
        assert set(code.registers) == {o for o in operands if o in ("vd", "va", "vb", "s")}


@given(st.data())
def test_decode_takes_apart_what_encode_puts_together(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(OPCODES)))
    operands = {
        field: data.draw(st.integers(FIELDS[field].offset, (1 << FIELDS[field].width) - 1))
        for field in OPCODES[name][1]
    }
    assert decode(encode(Instruction(name, operands))) == Instruction(name, operands)


def test_fields_of_an_instruction_do_not_overlap() -> None:
    for _, names in OPCODES.values():
        bits = [b for n in ("op", *names) for b in range(FIELDS[n].low, sum(FIELDS[n][:2]))]
        assert len(set(bits)) == len(bits) and max(bits) < 32


def test_numbers_of_no_instruction_halt() -> None:
    assert [decode(number).name for number in range(11, 16)] == ["HALT"] * 5


def test_vector_arithmetic_saturates_and_rounds_to_even() -> None:
    s = state([HIGH, LOW, 5, 7], [1, -1, 0, 0])
    assert after(s, "VADD", va=0, vb=1, shift=0) == [HIGH, LOW, 5, 7]
    assert after(s, "VSUB", va=1, vb=0, shift=0) == [-32766, HIGH, -5, -7]
    assert after(s, "VADD", va=0, vb=1, shift=1) == [1 << 14, -16384, 2, 4]
    assert after(s, "VMUL", va=0, vb=0, shift=15) == [HIGH - 1, HIGH, 0, 0]
    s.scalars[2] = (1 << SCALAR_BITS) - 1
    assert after(s, "SCALE", va=0, s=2, factor=2047, shift=63) == [0, 0, 0, 0]
    assert after(s, "SCALE", va=0, s=2, factor=2047, shift=35) == [32751, -32752, 5, 7]
    assert after(s, "SCALE", va=0, s=2, factor=2047, shift=0) == [HIGH, LOW, HIGH, HIGH]


def test_ternary_product_takes_low_bytes_and_clears_other_rows() -> None:
    s = state([127, 255, -128, 1])
    assert after(s, "TMM", va=0, weights=0, rows=4, cols=4) == [-1, 255, 126, 1]
    assert after(s, "TMM", va=0, weights=1, rows=3, cols=2) == [126, 1, 127, 0]
    s = state([-128] * 4)
    assert after(s, "TMM", va=0, weights=0, rows=4, cols=4)[3] == 512


def test_loads_and_stores() -> None:
    s = state([9, 8, 7, 6])
    assert after(s, "LDV", address=8) == [8, 9, 10, 11]
    execute(Instruction("STV", {"va": 0, "address": 1}), s, MACHINE)
    assert s.data[:6].tolist() == [0, 9, 8, 7, 6, 5]


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("LDV", {"address": 9}, "address: 4 words from 9 on are not all in 12"),
        ("TMM", {"va": 0, "weights": 2, "rows": 4, "cols": 3}, "weights: 3 words from 2 on are .*"),
        ("TMM", {"va": 0, "weights": 0, "rows": 5, "cols": 1}, "rows: 5 is more than 4"),
        ("RMSQ", {"va": 0, "vb": 0, "s": 0, "cols": 5}, "cols: 5 is more than 4"),
    ],
)
def test_what_is_refused(name: str, operands: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        after(state(), name, **operands)


def test_fields_hold_what_they_hold() -> None:
    with pytest.raises(ValueError, match=r"^shift: 64 is not in 0\.\.63$"):
        encode(Instruction("VADD", {"vd": 0, "va": 0, "vb": 0, "shift": 64}))
    with pytest.raises(ValueError, match=r"^rows: 0 is not in 1\.\.64$"):
        encode(Instruction("TMM", {"vd": 0, "va": 0, "weights": 0, "rows": 0, "cols": 1}))


@pytest.mark.parametrize("machine", [MACHINE, WIDE, Machine(2, 16, 6, 0)])
@pytest.mark.parametrize(("name", "exact"), [("SIG", sigmoid), ("SILU", silu)])
def test_activations_are_close(name: str, exact: object, machine: Machine) -> None:
    most = 1 << (machine.width - 1)
    x = np.unique(np.r_[-most, most - 1, np.linspace(-most, most - 1, 20_001).astype(np.int64)])
    unit = 1 << machine.fraction
    found = activate(x, name, machine) / unit
    error = np.abs(found - exact(x / unit))  # type: ignore[operator]
    # A line over a step is off by an eighth of the curvature; a rounded entry and product by one.
    curvature = 0.5 if name == "SILU" else 0.0963
    inside = np.abs(x) < 8 * unit
    assert error[inside].max() <= curvature / 8 / 4**machine.steps + 1.01 / unit
    assert (error[~inside] < 8 * math.exp(-8)).all()


def test_activations_by_hand() -> None:
    x = np.array([0, LOW, 1 << 12, -(1 << 12)])
    assert activate(x, "SIG", MACHINE).tolist() == [2048, 0, 2994, 1102]
    assert activate(x, "SILU", MACHINE).tolist() == [0, 0, 2994, -1102]
    coarse = Machine(length=4, width=16, fraction=11, steps=3)
    x = np.array([8 << 11, HIGH, LOW, -(8 << 11)])  # behind the end of the table
    assert activate(x, "SIG", coarse).tolist() == [1 << 11, 1 << 11, 0, 0]
    assert activate(x, "SILU", coarse).tolist() == [8 << 11, HIGH, 0, 0]


@pytest.mark.parametrize("machine", [MACHINE, WIDE])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_quantised_elements_are_those_of_real_numbers(machine: Machine, count: int) -> None:
    rng = np.random.default_rng(count)
    most = 1 << (machine.width - 1)
    for _ in range(200):
        x, gain = rng.integers(-most, most, (2, count)) >> rng.integers(0, machine.width, (2, 1))
        if not (x * gain).any():
            continue
        q, scale = rms_quantize(x.tolist(), gain.tolist(), machine)
        largest = int(np.abs(x * gain).max())
        exact = [Fraction(127 * value, largest) for value in (x * gain).tolist()]
        assert all(abs(e - found) <= Fraction(1, 2) for e, found in zip(exact, q, strict=True))
        unit = 1 << machine.fraction
        normal = rms_norm(x / unit, gain / unit)
        peak = np.abs(normal).max() / 127
        expected = min(peak * (1 << SCALAR_BITS), (1 << SCALAR_BITS) - 1)
        root = 256 * math.sqrt(count * int((x * x).sum()))  # of which the fraction is lost
        assert abs(scale - expected) <= 0.51 + 1.01 * expected / root
        if np.abs(normal).max() > 1e-3:
            no_tie = np.array([(2 * e).denominator != 1 for e in exact])
            assert np.array_equal(quantize_activations(normal)[0][no_tie], np.array(q)[no_tie])


def test_corners_of_quantisation() -> None:
    zeros = [0] * 4
    assert rms_quantize(zeros, [1 << 12] * 4, MACHINE) == (zeros, 0)
    assert rms_quantize([5, 6, 7, 8], zeros, MACHINE) == (zeros, 0)
    # One outlier: the root is half of it.
    q, scale = rms_quantize([LOW, 1, 0, -1], [1 << 12] * 4, MACHINE)
    assert q == [-127, 0, 0, 0]
    assert scale / (1 << SCALAR_BITS) == pytest.approx(2 / 127, rel=1e-5)
    # 254 and 1: half of a step is a tie.
    for rounding, tie in (("even", 0), ("away", 1)):
        machine = Machine(4, 16, 12, 3, rounding)
        assert rms_quantize([254, 1, -1, 3], [1] * 4, machine)[0] == [127, tie, -tie, 2]
    # The scale saturates.
    low = Machine(4, 16, 6, 3)
    assert rms_quantize([1, 0, 0, 0], [HIGH] * 4, low)[1] == (1 << SCALAR_BITS) - 1


def words(*lines: tuple[str, dict[str, int]]) -> list[int]:
    return [encode(Instruction(name, operands)) for name, operands in lines]


def test_timeline_by_hand() -> None:
    program = words(
        ("LDV", {"vd": 0, "address": 0}),  # 1 to 6
        ("SIG", {"vd": 1, "va": 2}),  # the next cycle: another unit
        ("SILU", {"vd": 3, "va": 2}),  # waits for the unit, and for v2
        ("VADD", {"vd": 4, "va": 3, "vb": 5, "shift": 0}),  # waits for v3
        ("STV", {"va": 6, "address": 0}),  # in order: not before
        ("HALT", {}),
    )
    times = [tuple(t) for t in timeline(program, MACHINE)]
    assert times == [(1, 6), (2, 8), (9, 15), (16, 22), (17, 22), (23, 23)]


def test_scalars_and_sources_are_held() -> None:
    program = words(
        ("RMSQ", {"vd": 0, "va": 1, "vb": 2, "s": 1, "cols": 4}),
        ("SCALE", {"vd": 3, "va": 4, "s": 0, "factor": 1, "shift": 0}),
        ("SCALE", {"vd": 5, "va": 4, "s": 1, "factor": 1, "shift": 0}),
        ("HALT", {}),
    )
    times = timeline(program, MACHINE)
    assert times[0].done == 1 + 4 + 30 + 58 + 44 + 5
    assert times[1].issue == 2
    assert times[2].issue == times[0].done + 1


def test_a_program_of_nothing_takes_the_latency_of_the_core() -> None:
    (halt,) = timeline([0], MACHINE)
    assert halt.issue + 1 == MatmulFreeCore.latency


def test_a_program_ends() -> None:
    halt = encode(Instruction("HALT", {}))
    load = encode(Instruction("LDV", {"vd": 0, "address": 0}))
    assert run([load, halt, load], state(), MACHINE) == 1
    for check in (lambda: run([load], state(), MACHINE), lambda: timeline([load], MACHINE)):
        with pytest.raises(ValueError, match=r"^program: no HALT in 1 instructions$"):
            check()
