# amaranth: UnusedElaboratable=no
"""The core for MatMul-free language models: whole blocks, and random programs on any config."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import SEED, random_generator

from golden.bitlinear import glu, mlgru
from golden.matmul_free import FIELDS, OPCODES, Instruction, State, latency, run
from hw.activation import table_of
from hw.catalog import find
from hw.matmul_free_isa import MatmulFreeConfig
from scripts.cli import main
from sim.assembler import assemble
from sim.blocks import random_blocks, random_glu, random_mlgru, scale_operands
from sim.programs import Image, machine_of, random_contents, random_image
from sim.simulate import run_programs

CORE = find("matmul_free_core")
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "matmul_free.md").read_text()
ODD = MatmulFreeConfig(
    length=5,
    width=24,
    fraction=9,
    steps=1,
    rounding="away",
    depth_program=260,
    depth_data=65,
    depth_weights=66,
)


def test_blocks_and_random_programs(tmp_path: Path) -> None:
    rng = random_generator()
    config = MatmulFreeConfig()
    images = [*random_blocks(config, SEED), random_image(config, rng, 250)]
    outcome = run_programs(CORE, config, images, tmp_path, SEED)
    mlgru_cycles, glu_cycles, _ = (p["cycles"] for p in outcome.result["programs"])
    assert (mlgru_cycles, glu_cycles) == (1344, 783)


def test_odd_sizes(tmp_path: Path) -> None:
    """Elements before the binary point, ties away, memories of no power of two; other numbers."""
    rng = random_generator()
    images = [random_image(ODD, rng, 200) for _ in range(2)]
    short = assemble("SIG v1, v2\nHALT", ODD)
    reserved = short._replace(words=(short.words[0], 0xFFFFFFFF))
    images.append(Image("reserved", reserved, *random_contents(ODD, rng, 65, 66)))
    run_programs(CORE, ODD, images, tmp_path, SEED)


@pytest.mark.parametrize("length", [8, 64])
def test_blocks_are_close_to_real_numbers(length: int) -> None:
    """Quantised elements that fall to the other side of a tie are what is left."""
    config = MatmulFreeConfig(length=length)
    rng = random_generator()
    errors = []
    for _ in range(10):
        for make in (random_mlgru, random_glu):
            image, arguments = make(config, rng)
            data = image.data.copy()
            vectors = np.zeros((8, length), np.int64)
            run(image.program.words, State(vectors, data, image.weights), machine_of(config))
            found = data / (1 << config.fraction)
            if make is random_mlgru:
                output, hidden = mlgru(**arguments)  # type: ignore[arg-type]
                pairs = [
                    (found[length : 2 * length], hidden, 0.01),
                    (found[-length:], output, 0.06),
                ]
            else:
                output = glu(**arguments)  # type: ignore[arg-type]
                pairs = [(found[-length:][: len(output)], output, 0.06)]
            for real, exact, most in pairs:
                errors.append(np.linalg.norm(real - exact) / np.linalg.norm(exact))
                assert errors[-1] < most
    assert np.median(errors) < 0.012


@pytest.mark.parametrize("scale", [1e5, 1.0, 1 / 3, 4096 / 4095.9, 0.01])
def test_scales_of_weights_are_undone(scale: float) -> None:
    factor, shift = scale_operands(scale, 12)
    assert 1024 <= factor < 2048
    assert factor / 2.0 ** (shift - 12 + 12) * 2.0**24 / 2**12 == pytest.approx(
        1 / scale, rel=2.0**-11
    )


def test_the_page_says_what_the_model_does() -> None:
    """Instructions with their cycles, fields, and the program that is shown."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?: (.*))?` \| .* \| (.*)\|$", PAGE, re.MULTILINE)
    shown = {name: (int(n), tuple(o.split(", ")) if o else ()) for n, name, o, _ in rows}
    assert shown == OPCODES
    for machine in (machine_of(MatmulFreeConfig()), machine_of(ODD)):
        for _, name, _, formula in rows[1:]:
            known = vars(machine) | {"cols": 3}
            terms = re.sub(r"(\d) ([a-z])", r"\1 * \2", formula)
            cycles = eval(terms, {}, known)
            assert cycles == latency(Instruction(name, {"cols": 3}), machine), name
    names = {"number": "op", "rows - 1": "rows", "cols - 1": "cols"}
    bits = re.findall(r"\| ([a-z][a-z 1-]*) \| (\d+):(\d+) (?=\|)", PAGE)
    fields = {names.get(f, f): (int(low), int(high) - int(low) + 1) for f, high, low in bits}
    assert fields == {name: (f.low, f.width) for name, f in FIELDS.items()}
    (source,) = re.findall(r"^```\n(LDV.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(assemble(source, MatmulFreeConfig()).words) == 8


def test_slopes_and_values_fill_a_table() -> None:
    for steps in (0, 5):
        table = table_of(MatmulFreeConfig(steps=steps))
        assert len(table.words) == 16 << steps
        assert all(0 <= word < 1 << table.width for word in table.words)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 65}, r"length: 65 is not in 2\.\.64"),
        ({"fraction": 15}, "fraction: 15 is more than 14, which elements of width=16 can have"),
        ({"depth_weights": 1025}, r"depth_weights: 1025 is not in 64\.\.1024"),
        ({"rounding": "up"}, "rounding: 'up' is not one of even, away"),
    ],
)
def test_bad_configs(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MatmulFreeConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--m", "3"], "m: 'matmul_free_core' is a processor and takes no matrix"),
        (["--stalls", "3"], "stalls: 'matmul_free_core' has no streams to pause"),
        (["--program", "no.s"], "program: no.s cannot be read: No such file"),
        (["--program", "bad.s"], "program: bad.s, line 2: vd: 'v9' is not one of v0..v7"),
        (
            ["-s", "length=32", "-s", "depth_weights=64"],
            "depth_weights: 64 is less than the 128 words of MLGRU",
        ),
    ],
)
def test_what_the_command_refuses(
    argv: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.s").write_text("\nSIG v9, v1\nHALT")
    assert main(["sim", "matmul_free_core", *argv]) == 2
    assert says in capsys.readouterr().err


def test_only_processors_take_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "mac", "--program", "x.s"]) == 2
    assert "program: 'mac' is no processor" in capsys.readouterr().err
