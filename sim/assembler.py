"""Assembler of the core for MatMul-free language models.

A line is an instruction, its operands separated by commas, or nothing; ``;`` starts a comment::

    LDV   v1, 32            ; v1 = data[32], data[33], ...
    RMSQ  v2, v0, v1, s0, 16
    TMM   v3, v2, 64, 16, 16

Operands are those of `golden.matmul_free.OPCODES` in their order: vector registers, scalar
registers, and numbers in decimal or, behind ``0x``, hexadecimal.
"""

import re
from typing import NamedTuple

from golden.matmul_free import FIELDS, OPCODES, SCALARS, VECTORS, Instruction, encode
from hw.matmul_free_isa import MatmulFreeConfig
from pe.config import nearest

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+")


class Program(NamedTuple):
    """An assembled program.

    Attributes
    ----------
    words
        Instructions, 32 bits each.
    texts
        Each instruction as it was written, with the number of its line.
    """

    words: tuple[int, ...]
    texts: tuple[str, ...]


def assemble(source: str, config: MatmulFreeConfig) -> Program:
    """Translate a program for a core.

    Raises
    ------
    ValueError
        With the number of the line, what is wrong in it, and what is allowed.
    """
    words: list[int] = []
    texts: list[str] = []
    number = 0
    for number, line in enumerate(source.splitlines(), 1):
        text = line.partition(";")[0].strip()
        if not text:
            continue
        try:
            if len(words) == config.depth_program:
                raise ValueError(f"the program memory has {config.depth_program} words")
            words.append(encode(_instruction(text, config)))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        texts.append(f"{' '.join(text.split())} in line {number}")
    if not texts or not texts[-1].upper().startswith("HALT"):
        raise ValueError(f"line {number}: the program does not end with HALT")
    return Program(tuple(words), tuple(texts))


def _instruction(text: str, config: MatmulFreeConfig) -> Instruction:
    mnemonic, _, rest = text.partition(" ")
    name = mnemonic.upper()
    if name not in OPCODES:
        known = ", ".join(OPCODES)
        raise ValueError(f"{mnemonic!r} is not one of {known}{nearest(name, OPCODES)}")
    _, names = OPCODES[name]
    given = [part.strip() for part in rest.split(",")] if rest.strip() else []
    if len(given) != len(names):
        wanted = f"{len(names)} operands: {', '.join(names)}" if names else "no operands"
        raise ValueError(f"{name} takes {wanted}; {len(given)} are given")
    operands = {field: _operand(field, part) for field, part in zip(names, given, strict=True)}
    _check(operands, config)
    return Instruction(name, operands)


def _operand(field: str, text: str) -> int:
    if field in ("vd", "va", "vb", "s"):
        prefix, count = ("s", SCALARS) if field == "s" else ("v", VECTORS)
        allowed = [f"{prefix}{i}" for i in range(count)]
        if text.lower() not in allowed:
            raise ValueError(f"{field}: {text!r} is not one of {allowed[0]}..{allowed[-1]}")
        return int(text[1:])
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{field}: {text!r} is not a number")
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)


def _check(operands: dict[str, int], config: MatmulFreeConfig) -> None:
    """Hold numbers to their fields, and to what the core has."""
    length = config.length
    limits = {
        name: (offset, offset + (1 << width) - 1) for name, (_, width, offset) in FIELDS.items()
    }
    limits |= {"rows": (1, length), "cols": (1, length)}
    limits["address"] = (0, config.depth_data - length)
    limits["weights"] = (0, config.depth_weights - min(operands.get("cols", 1), length))
    for name, value in operands.items():
        least, most = limits[name]
        if not least <= value <= most:
            raise ValueError(f"{name}: {value} is not in {least}..{most}")
