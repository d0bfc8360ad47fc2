"""``rtloom layer``: real weights in arrays of narrow PEs."""

from pathlib import Path

import numpy as np
import pytest
from helpers import SEED
from safetensors.numpy import save_file
from test_commands import Capture, refused, run_json

SMALL = ["-s", "rows=3", "-s", "cols=4"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(SEED)
    weights: dict[str, np.ndarray] = {
        "up": rng.normal(size=(20, 9)).astype(np.float32),
        "bias": np.zeros(9, np.float32),
        "index": np.zeros((2, 2), np.int64),
        "gone": np.full((3, 3), np.nan, np.float32),
    }
    np.savez(
        tmp_path / "weights.npz", up=weights["up"], bias=weights["bias"], index=weights["index"]
    )
    save_file(weights, tmp_path / "weights.safetensors")
    np.savez(tmp_path / "none.npz", bias=weights["bias"])
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.safetensors").write_text("no tensors")
    return tmp_path


def test_demo_network(capsys: Capture) -> None:
    rows = run_json(capsys, "layer", "--pe", "ternary", "--pe", "mac", *SMALL)
    assert [(row["pe"], row["layer"]) for row in rows] == [
        (pe, f"digits {i}") for pe in ("ternary", "mac") for i in range(3)
    ]
    assert all(row["bit_exact"] and row["energy_pj_per_mac"] is None for row in rows)
    coarse, fine = (rows[i]["output_error"] for i in (0, 3))
    assert fine < 0.01 < coarse < 1
    assert [row["bits_per_weight"] for row in rows[2:4]] == [2 + 32 / 320, 8 + 32 / 64]


def test_files(capsys: Capture, files: Path) -> None:
    (first,) = run_json(capsys, "layer", str(files / "weights.npz"), "--pe", "mix", *SMALL)
    assert [first[size] for size in "mkn"] == [64, 20, 9]
    (other,) = run_json(
        capsys, "layer", str(files / "weights.safetensors"), "--pe", "mix", "--matrix", "up",
        "--transpose", "--rows", "5", *SMALL,
    )  # fmt: skip
    assert [other[size] for size in "mkn"] == [5, 9, 20]
    assert 0.02 < first["weight_error"] < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.npz"], "file: {}/absent.npz cannot be read: No such file or directory"),
        (["text.npz"], "file: {}/text.npz is not readable as .npz"),
        (["text.safetensors"], "file: {}/text.safetensors is not readable as .safetensors"),
        (["weights.bin"], "file: {}/weights.bin is not a .npz or .safetensors file"),
        (["none.npz"], "file: {}/none.npz has no two-dimensional matrix of floats"),
        (["weights.npz", "--matrix", "down"], "matrix: 'down' is not in {}/weights.npz: up, bias"),
        (["weights.npz", "--matrix", "index"], "matrix: 'index' is 2-dimensional int64, and not"),
        (["weights.safetensors", "--matrix", "gone"], "gone: matrix[0, 0]: nan is not finite"),
        (["weights.npz", "--pe", "opt9"], "pe: 'opt9' is not one of mac"),
        (["weights.npz", "--design", "mac"], "design: 'mac' is not a GEMM engine"),
        (["weights.npz", "--matrix", "up", "-s", "k_max=4"], "up: k: 20 is not in 1..4"),
    ],
)
def test_bad_input(capsys: Capture, files: Path, arguments: list[str], message: str) -> None:
    name, *rest = arguments
    line = refused(capsys, "layer", str(files / name), *rest)
    assert line.startswith("rtloom: " + message.replace("{}", str(files)))
