"""``rtloom sim``, ``compare``, ``bench-sim`` and ``demo``: what they print and what they refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.cli import main

Capture = pytest.CaptureFixture[str]
SMALL = ["-s", "rows=3", "-s", "cols=2"]


def run_json(capsys: Capture, *argv: str) -> Any:
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *argv: str) -> str:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line, *others = [x for x in captured.err.splitlines() if x.startswith("rtloom: ")]
    assert not others
    return line


@pytest.fixture
def matrices(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", np.array([[1, -2, 127], [3, 4, -128]], np.int8))
    np.save(tmp_path / "b.npy", np.array([[5], [6], [-128]], np.int64))
    np.save(tmp_path / "float.npy", np.zeros((2, 3)))
    np.save(tmp_path / "vector.npy", np.zeros(3, np.int8))
    np.save(tmp_path / "large.npy", np.full((2, 3), 128))
    (tmp_path / "text.npy").write_text("not a matrix")
    return tmp_path


def test_sim_of_an_engine(capsys: Capture) -> None:
    figures = run_json(capsys, "sim", "systolic", *SMALL, "--m", "7", "--k", "5", "--n", "4")
    assert figures["bit_exact"]
    assert figures["cycles"] == figures["formula_cycles"]
    assert figures["utilisation"] == 7 * 5 * 4 / (figures["cycles"] * 6)
    assert Path(figures["log"]).is_file()


def test_sim_of_group_quantised_weights(capsys: Capture) -> None:
    sizes = ["--m", "7", "--k", "11", "--n", "4"]
    figures = run_json(capsys, "sim", "systolic_grouped", *SMALL, "-s", "group=4", *sizes)
    assert figures["bit_exact"]
    assert figures["cycles"] == figures["formula_cycles"]
    stalled = run_json(
        capsys, "sim", "systolic_grouped", *SMALL, "-s", "group=4", *sizes, "--stalls", "40"
    )
    assert stalled["cycles"] > figures["cycles"]
    assert figures["k_of_last_group"] == 3


def test_sim_of_given_scales_and_zero_points(capsys: Capture, tmp_path: Path) -> None:
    np.save(tmp_path / "scales.npy", np.full((3, 2), 0.25, np.float32))
    np.save(tmp_path / "zeros.npy", np.full((3, 2), -3))
    files = [f"--{x}={tmp_path / x}.npy" for x in ("scales", "zeros")]
    settings = [*SMALL, "-s", "group=4", "-s", "mode=float"]
    argv = ["sim", "systolic_grouped", *settings, "--m", "2", "--k", "12", "--n", "2", *files]
    assert run_json(capsys, *argv)["bit_exact"]
    message = refused(capsys, *argv, "--n", "3")
    assert "scales: shape (3, 2) is not (3, 3), [groups of 4, n]" in message
    np.save(tmp_path / "scales.npy", np.full((3, 2), 0.25))
    assert "scales: dtype float64 is not float32" in refused(capsys, *argv)
    with (tmp_path / "scales.npy").open("wb") as file:
        np.savez(file, scales=np.ones((3, 2), np.float32))
    assert "scales.npy is an archive and not a .npy matrix" in refused(capsys, *argv)
    np.save(tmp_path / "scales.npy", np.full((3, 2), 0.25, np.float32))
    np.save(tmp_path / "zeros.npy", np.full((3, 2), -9))
    assert "zeros[0, 0]: -9 is not in -8..7" in refused(capsys, *argv)


def test_sim_of_a_function_unit(capsys: Capture) -> None:
    figures = run_json(capsys, "sim", "multiply_add", "-s", "width_a=2", "-s", "width_b=3",
                       "-s", "width_acc=6")  # fmt: skip
    assert (figures["operand_sets"], figures["exhaustive"]) == (1 << 11, True)


def test_sim_of_matrices(capsys: Capture, matrices: Path) -> None:
    files = ["--a", str(matrices / "a.npy"), "--b", str(matrices / "b.npy")]
    figures = run_json(capsys, "sim", "systolic", *SMALL, *files)
    assert [figures[size] for size in "mkn"] == [2, 3, 1]


def test_product_is_written(capsys: Capture, tmp_path: Path) -> None:
    """Of codes too, which may stand in files without a sign: two weights of 4 bits, one of 8."""
    np.save(tmp_path / "a.npy", np.array([[2, -3], [100, 1]]))
    np.save(tmp_path / "b.npy", np.array([[0x7F, 0x180], [0x18, 0x17F]]))
    files = [f"--{x}={tmp_path / x}.npy" for x in "abc"]
    argv = ["sim", "systolic", "-s", "pe=switchable", "-s", "k_max=128", *SMALL, *files]
    run_json(capsys, *argv)
    c = np.load(tmp_path / "c.npy")
    low = ((c + (1 << 18)) & ((1 << 19) - 1)) - (1 << 18)
    high = (c - low) >> 19
    assert low[:, 0].tolist() == [2 * -1 + -3 * -8, -100 + -8]
    assert high[:, 0].tolist() == [2 * 7 + -3 * 1, 700 + 1]
    assert (low + 16 * high)[:, 1].tolist() == [2 * -128 + -3 * 127, 100 * -128 + 127]
    assert not [path for path in tmp_path.iterdir() if path.stem not in "abc"]
    message = f"c: {tmp_path}/none/c.npy is not a .npy file in a folder that there is"
    assert message in refused(capsys, *argv[:-1], "--c", f"{tmp_path}/none/c.npy")
    message = f"c: {tmp_path}/c.txt is not a .npy file in a folder that there is"
    assert message in refused(capsys, *argv[:-1], "--c", f"{tmp_path}/c.txt")


def test_product_of_floats_is_written(capsys: Capture, tmp_path: Path) -> None:
    settings = [*SMALL, "-s", "group=4", "-s", "mode=float"]
    sizes = ["--m", "2", "--k", "12", "--n", "2"]
    run_json(capsys, "sim", "systolic_grouped", *settings, *sizes, "--c", f"{tmp_path}/c.npy")
    assert np.load(tmp_path / "c.npy").dtype == np.float32


def test_k_is_at_most_k_max_by_default(capsys: Capture) -> None:
    figures = run_json(capsys, "sim", "systolic", *SMALL, "-s", "k_max=5", "--m", "2", "--n", "2")
    assert figures["k"] == 5


def test_sim_prints_a_table(capsys: Capture) -> None:
    assert main(["sim", "systolic", *SMALL, "--m", "2", "--k", "2", "--n", "2"]) == 0
    printed = capsys.readouterr().out
    assert "bit exact" in printed
    assert "seed" in printed


def test_waves(capsys: Capture) -> None:
    figures = run_json(
        capsys, "sim", "systolic", "-s", "rows=2", "-s", "cols=2", "--m", "2", "--waves"
    )
    assert Path(figures["waveform"]).stat().st_size > 0


def test_compare(capsys: Capture) -> None:
    sizes = ["--m", "9", "--k", "8", "--n", "7"]
    rows = run_json(capsys, "compare", "systolic", "systolic_ws", *SMALL, *sizes)
    assert [row["design"].split("_")[1] for row in rows] == ["os", "ws"]
    assert all(row["bit_exact"] for row in rows)


def test_bench_sim(capsys: Capture) -> None:
    sizes = ["--m", "40", "--k", "30", "--n", "20"]
    figures = run_json(capsys, "bench-sim", *SMALL, *sizes)
    assert figures["ratio"] > 0
    assert figures["cycles"] == 2 + 30 + (14 * 10 - 1) * 30 + 2 * 3 + 2


def test_demo(capsys: Capture) -> None:
    figures = run_json(capsys, "demo")
    assert figures["images"] == 360
    assert figures["rtl_int8_accuracy"] == figures["golden_int8_accuracy"]
    assert figures["rtl_int8_accuracy"] > 0.9
    assert Path(figures["picture"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sim", "systolic", "--a", "{}/float.npy"], "a: dtype float64 is not an integer dtype"),
        (["sim", "systolic", "--a", "{}/vector.npy"], "a: shape (3,)"),
        (["sim", "systolic", "--a", "{}/large.npy"], "a[0, 0]: 128 is not in -128..127"),
        (["sim", "systolic", "--a", "{}/text.npy"], "a: {}/text.npy is not a .npy matrix"),
        (["sim", "systolic", "--a", "{}/none.npy"], "a: {}/none.npy cannot be read"),
        (["sim", "systolic", "--a", "{}/a.npy", "--b", "{}/a.npy"], "b: 2 rows do not fit a"),
        (["sim", "systolic", "--a", "{}/a.npy", "--m", "5"], "m: 5 is not 2"),
        (["sim", "systolic", "-s", "k_max=8", "--k", "9"], "k: 9 is not in 1..8"),
        (["sim", "systolic", "--m", "65536", "--k", "65536"], "a: 65536 x 65536 is more than"),
        (["sim", "mac", "--m", "5"], "m: 'mac' is a function unit"),
        (["sim", "mac", "--zeros", "{}/a.npy"], "zeros: 'mac' is a function unit"),
        (["sim", "systolic", "--zeros", "{}/a.npy"], "zeros: 'systolic' has no groups"),
        (["sim", "mac", "--waves"], "waves: "),
        (["sim", "gemm_core", "--stalls", "5"], "stalls: 'gemm_core' has no streams"),
        (["sim", "gemm_core", "-s", "depth_a=8"], "depth_a: 64 x 64 x 64 needs 256 words"),
        (["compare", "mac", "systolic"], "design: 'mac' is a function unit"),
        (["compare", "systolic", "-s", "k_max=8"], "k: 64 is not in 1..8"),
    ],
)
def test_bad_input(capsys: Capture, matrices: Path, argv: list[str], message: str) -> None:
    line = refused(capsys, *(x.replace("{}", str(matrices)) for x in argv))
    assert message.replace("{}", str(matrices)) in line


def test_data_of_a_trace(capsys: Capture, tmp_path: Path) -> None:
    """What was written is read, and multiplied: 1, 2 and 3, each times itself, in bank 0."""
    trace = tmp_path / "trace"
    trace.write_text("WRITE 0 3 0 030201\nGWRITE 0 3\nHEADER 3 1 1\nGEMV 1\nREAD 0 3 0\n")
    small = ["-s", "lanes=4", "-s", "steps=8", "-s", "columns=2", "-s", "bank_rows=16"]
    found = run_json(capsys, "sim", "pim", "--trace", str(trace), *small)
    for run in found["runs"]:
        ((cycle, word),), ((_, results),) = run["reads"], run["gemvs"]
        assert cycle + 2 == run["mem_end"] and word == "30201"
        assert len(results) == 4 and results[0] == 3 * 3 + 2 * 2 + 1
