# amaranth: UnusedElaboratable=no
"""The assembler: what it makes of programs, and how it refuses them."""

import pytest

from golden.matmul_free import decode
from hw.matmul_free_isa import MatmulFreeConfig
from sim.assembler import assemble

CONFIG = MatmulFreeConfig(depth_program=64, depth_data=100, depth_weights=64)


def test_a_program() -> None:
    program = assemble(
        "; adds\n\nldv V1, 0x10 ; x\n  TMM v3,v2 , 24,16, 16\nRMSQ v1, v2, v3, s3, 7\n\tHALT\n",
        CONFIG,
    )
    assert [decode(word) for word in program.words] == [
        ("LDV", {"vd": 1, "address": 16}),
        ("TMM", {"vd": 3, "va": 2, "weights": 24, "rows": 16, "cols": 16}),
        ("RMSQ", {"vd": 1, "va": 2, "vb": 3, "s": 3, "cols": 7}),
        ("HALT", {}),
    ]
    assert program.texts[1] == "TMM v3,v2 , 24,16, 16 in line 4"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("VADDD v1, v2, v3, 0", r"'VADDD' is not one of HALT, .*; did you mean 'VADD'\?"),
        ("SIG v1", "SIG takes 2 operands: vd, va; 1 are given"),
        ("HALT 3", "HALT takes no operands; 1 are given"),
        ("SIG v1, v8", r"va: 'v8' is not one of v0\.\.v7"),
        ("SIG v1, s1", r"va: 's1' is not one of v0\.\.v7"),
        ("SIG v1, v01", r"va: 'v01' is not one of v0\.\.v7"),
        ("SCALE v1, v2, s4, 1, 0", r"s: 's4' is not one of s0\.\.s3"),
        ("LDV v1, 85", r"address: 85 is not in 0\.\.84"),
        ("LDV v1, -1", "address: '-1' is not a number"),
        ("LDV v1, 1_0", "address: '1_0' is not a number"),
        ("STV v1, 0x", "address: '0x' is not a number"),
        ("TMM v1, v2, 49, 16, 16", r"weights: 49 is not in 0\.\.48"),
        ("TMM v1, v2, 0, 17, 1", r"rows: 17 is not in 1\.\.16"),
        ("TMM v1, v2, 0, 1, 0", r"cols: 0 is not in 1\.\.16"),
        ("RMSQ v1, v2, v3, s0, 17", r"cols: 17 is not in 1\.\.16"),
        ("VADD v1, v2, v3, 64", r"shift: 64 is not in 0\.\.63"),
        ("SCALE v1, v2, s0, 2048, 0", r"factor: 2048 is not in 0\.\.2047"),
        ("VADD v1 v2 v3 0", "VADD takes 4 operands: vd, va, vb, shift; 1 are given"),
    ],
)
def test_what_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^line 2: {message}$"):
        assemble(f"; first\n{line}\nHALT", CONFIG)


@pytest.mark.parametrize("source", ["", "SIG v1, v2", "HALT\n\nSIG v1, v2"])
def test_a_program_ends_with_halt(source: str) -> None:
    lines = len(source.splitlines())
    with pytest.raises(ValueError, match=f"^line {lines}: the program does not end with HALT$"):
        assemble(source, CONFIG)


def test_a_program_must_fit() -> None:
    with pytest.raises(ValueError, match=r"^line 65: the program memory has 64 words$"):
        assemble("SIG v1, v2\n" * 64 + "HALT", CONFIG)
