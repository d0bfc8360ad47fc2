"""``rtloom layer``: real weights in arrays of narrow PEs."""

import json
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from helpers import SEED
from safetensors.numpy import save_file
from test_commands import Capture, refused, run_json

from hw.catalog import DESIGNS
from hw.engine import EngineConfig
from pe.aligner import ActivationAligner, ActivationAlignerConfig
from scripts.aligned_layer import halves, operand_sets, run_aligner
from scripts.cli import main
from scripts.layer import run_on_unit
from scripts.quantized_layer import Quantized, quantized_weights, run_quantized
from scripts.unit_layer import run_unit, unit_layer, unit_of
from scripts.weight_files import Layer, file_layers
from sim.results import SimulationError

SMALL = ["-s", "rows=3", "-s", "cols=4"]
PLAIN = ["weights.npz", "--pe", "mac", "-s"]
GROUPED = ["weights.npz", "--pe", "mix", "--group", "32", "-s"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(SEED)
    weights: dict[str, np.ndarray] = {
        "up": rng.normal(size=(20, 9)).astype(np.float32),
        "bias": np.zeros(9, np.float32),
        "index": np.zeros((2, 2), np.int64),
        "gone": np.full((3, 3), np.nan, np.float32),
        "huge": np.full((3, 3), 1e300),
    }
    np.savez(
        tmp_path / "weights.npz", up=weights["up"], bias=weights["bias"], index=weights["index"]
    )
    save_file(weights, tmp_path / "weights.safetensors")
    np.savez(tmp_path / "none.npz", bias=weights["bias"])
    (tmp_path / "text.npz").write_text("no archive")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, weights["up"])
    (tmp_path / "text.safetensors").write_text("no tensors")
    return tmp_path


@pytest.mark.parametrize("places", [10, 14])
def test_error_of_aligned_activations(tmp_path: Path, places: int) -> None:
    """At most half a place of the largest exponent of the row, times the sum of the weights."""
    rng = np.random.default_rng(SEED)
    activations = rng.normal(size=(7, 20)) * 2.0 ** rng.integers(-12, 12, (7, 20))
    activations[0], activations[1, 3] = 0, 1e5
    design = DESIGNS["systolic"]
    config = design.config.from_settings({"pe": "mix", "width_a": places + 2, "rows": 3, "cols": 4})
    assert isinstance(config, EngineConfig)
    weights = quantized_weights(rng.normal(size=(20, 5)), config)
    given = halves(activations)
    exact = given.codes.astype(np.uint16).view(np.float16).astype(np.float64) * given.scales
    aligner = ActivationAlignerConfig(places=places)
    aligned = run_aligner(given, aligner, operand_sets(activations), tmp_path / "aligner", SEED)
    layer = Quantized(aligned.codes, aligned.scales, weights)
    ((output, _),) = run_quantized([layer], design, config, tmp_path, SEED)
    largest = np.frexp(np.abs(exact).max(axis=1, keepdims=True))[1] - 1
    half_place = 2.0 ** (largest - places) / 2
    error = np.abs(output - exact @ weights.real)
    bound = half_place * np.abs(weights.real).sum(axis=0)
    assert np.all(error <= bound) and np.any(error > 0.01 * bound)


def test_aligned_activations(capsys: Capture, files: Path) -> None:
    argv = ["layer", str(files / "weights.npz"), "--pe", "w4a16", "--rows", "5", *SMALL]
    exact, coarse, fine = run_json(capsys, *argv, "--aligned", "10", "--aligned", "14")
    assert [row["pe"] for row in (exact, coarse, fine)] == [
        "w4a16",
        "mix aligned 10",
        "mix aligned 14",
    ]
    assert coarse["bit_exact"] and fine["bits_per_weight"] == exact["bits_per_weight"]
    errors = [abs(row["output_error"] - exact["output_error"]) for row in (coarse, fine)]
    assert errors[1] < 1e-4 and errors[0] < 1e-2
    # A row waits for the aligners: K cycles, and their latency.
    assert coarse["cycles"] == fine["cycles"] == exact["cycles"] + 20 + ActivationAligner.latency


def test_aligned_activations_and_groups(capsys: Capture, files: Path) -> None:
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--rows", "5", "--group", "32"]
    mix, grouped, aligned, both = run_json(capsys, *argv, "--aligned", "10", *SMALL)
    assert (aligned["group"], both["group"]) == (None, 32)
    assert both["pe"] == "mix aligned 10" and both["weight_error"] == grouped["weight_error"]
    assert aligned["weight_error"] == mix["weight_error"]
    assert abs(both["output_error"] - grouped["output_error"]) < 1e-2
    assert both["cycles"] == grouped["cycles"] + 20 + ActivationAligner.latency
    message = "mode: 'float' does not hold differences of 26 bits, as group=64 and A of 16 bits"
    assert message in refused(capsys, *argv[:-1], "64", "--aligned", "14", *SMALL)


def test_demo_network(capsys: Capture) -> None:
    rows = run_json(capsys, "layer", "--pe", "ternary", "--pe", "mac", "--pe", "w4a16", *SMALL)
    assert [(row["pe"], row["layer"]) for row in rows] == [
        (pe, f"digits {i}") for pe in ("ternary", "mac", "w4a16") for i in range(3)
    ]
    assert all(row["bit_exact"] and row["energy_pj_per_mac"] is None for row in rows)
    coarse, fine, four_bits = (rows[i]["output_error"] for i in (0, 3, 6))
    assert fine < 0.01 < four_bits < 0.1 < coarse < 1
    assert [row["bits_per_weight"] for row in rows[2:4]] == [2 + 32 / 320, 8 + 32 / 64]


def test_what_is_left_out_is_told(capsys: Capture, files: Path) -> None:
    assert main(["layer", str(files / "weights.npz"), "--pe", "mac", "--rows", "2", *SMALL]) == 0
    out = capsys.readouterr().out
    assert f"weights are [k, n] in {files / 'weights.npz'}, activations random, 2 rows" in out
    assert "left out, as they are no two-dimensional floats: bias, [9] of float32; index, " in out


def test_files(capsys: Capture, files: Path) -> None:
    (first,) = run_json(capsys, "layer", str(files / "weights.npz"), "--pe", "mix", *SMALL)
    assert [first[size] for size in "mkn"] == [64, 20, 9]
    (other,) = run_json(
        capsys, "layer", str(files / "weights.safetensors"), "--pe", "mix", "--matrix", "up",
        "--transpose", "--rows", "5", *SMALL,
    )  # fmt: skip
    assert [other[size] for size in "mkn"] == [5, 9, 20]
    assert 0.02 < first["weight_error"] < 0.2


def test_bit_slices(capsys: Capture, files: Path) -> None:
    """All PEs of an engine that has none of the default ones; they differ in cycles alone."""
    argv = ["layer", str(files / "weights.npz"), "--rows", "5", "-s", "width_b=4"]
    (plain,) = run_json(capsys, *argv, "--pe", "mix", *SMALL)
    rows = run_json(capsys, *argv, "--design", "bit_slice", "-s", "rows=3")
    assert [row["pe"] for row in rows] == ["opt3", "opt4c", "opt4e", "laconic"]
    for row in rows:
        for name in ("bits_per_weight", "weight_error", "output_error"):
            assert row[name] == plain[name]
    # Of four bits at most two digits are not zero, in tiles of three rows; opt4e takes four k.
    assert 9 * 20 * 2 < rows[0]["cycles"] < 9 * 20 * 2 * 2 + 50
    assert rows[2]["cycles"] < rows[0]["cycles"]


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "F32", "I8", "BOOL", "F4"])
def test_types_that_numpy_has_not(tmp_path: Path, kind: str) -> None:
    """1, -2, 0.5 and 3 in the types of a file."""
    dtypes = {"BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn}
    dtypes |= {"F8_E5M2": ml_dtypes.float8_e5m2, "F32": np.float32, "I8": np.int8, "BOOL": bool}
    values = np.array([[1, -2], [0.5, 3]])
    raw = values.astype(dtypes.get(kind, np.uint8)).tobytes()
    if kind == "F4":
        raw = raw[:2]
    tensor = {"dtype": kind, "shape": [2, 2], "data_offsets": [0, len(raw)]}
    header = json.dumps({"w": tensor}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + raw)
    if kind in ("I8", "BOOL", "F4"):
        message = "w: numbers of type F4 are not" if kind == "F4" else "has no two-dim"
        with pytest.raises(ValueError, match=message):
            file_layers(path, [], False, 1, SEED)
        return
    (layer,), _ = file_layers(path, [], False, 1, SEED)
    assert layer.weights.dtype == np.float64 and np.array_equal(layer.weights, values)


@pytest.mark.parametrize("scales", ["float", "integer", "power_of_two"])
def test_groups(capsys: Capture, files: Path, scales: str) -> None:
    """Of 20 k in groups of 32: one group, which is filled up."""
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--group", "32", "--group", "64"]
    whole, *grouped = run_json(capsys, *argv, "--mode", scales, "--rows", "5", *SMALL)
    assert (whole["group"], whole["padded_k"]) == (None, None)
    assert [(row["group"], row["padded_k"], row["k"]) for row in grouped] == [
        (32, 32, 20),
        (64, 64, 20),
    ]
    stored = {"float": 32 + 4, "integer": 8 + 4 + 32, "power_of_two": 4 + 4 + 32}[scales]
    for row in grouped:
        assert row["pe"] == "mix" and row["bit_exact"]
        assert row["bits_per_weight"] == pytest.approx(4 + stored / 20)
        limit = 0.3 if scales == "power_of_two" else whole["weight_error"]
        assert 0 < row["weight_error"] < limit and row["output_error"] < 0.3
        # Two tiles of rows, three of columns, each a group of 20 k.
        assert row["cycles"] > 2 * 3 * 20


def test_groups_are_narrower_scales(capsys: Capture, tmp_path: Path) -> None:
    """Where columns change along K, groups lose less; what K lacks is told."""
    rng = np.random.default_rng(SEED)
    weights = rng.normal(size=(100, 3)) * np.repeat([1, 8, 1, 4], 25)[:, None] + 1
    np.savez(tmp_path / "w.npz", w=weights)
    argv = ["layer", str(tmp_path / "w.npz"), "--pe", "mix", "--group", "50", "--group", "32"]
    rows = run_json(capsys, *argv, "--rows", "4", *SMALL)
    errors = [row["weight_error"] for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert [row["padded_k"] for row in rows] == [None, 100, 128]
    assert main([*argv, "--rows", "4", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "left out" not in out
    assert "w: K = 100 is no multiple of 32, and is filled up with zeros to 128" in out
    assert out.count("no multiple") == 1


def test_planes(capsys: Capture, files: Path) -> None:
    """Binary codes on the look-up engine: of 20 k and 9 columns, in a tile of 32."""
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--rows", "5", *SMALL]
    whole, coarse, fine = run_json(capsys, *argv, "--planes", "2", "--planes", "3")
    assert [row["planes"] for row in (whole, coarse, fine)] == [None, 2, 3]
    assert coarse["bit_exact"] and fine["bit_exact"]
    assert fine["weight_error"] < coarse["weight_error"] < 0.4
    # A bit a plane, and 2 terms of 5 bits for the 9 weights of a k.
    assert coarse["bits_per_weight"] == pytest.approx(2 * (1 + 10 / 9))
    assert [row["cycles"] for row in (coarse, fine)] == [5 * planes * 5 + 4 for planes in (2, 3)]


@pytest.mark.parametrize("n", [9, 40])
def test_planes_in_blocks(capsys: Capture, tmp_path: Path, n: int) -> None:
    """A scale for 16 columns and 4 k: of 18 k and n columns, at the edges for fewer."""
    weights = np.random.default_rng(SEED).normal(size=(18, n))
    np.savez(tmp_path / "w.npz", w=weights)
    argv = ["layer", str(tmp_path / "w.npz"), "--pe", "mix", "--rows", "3", *SMALL]
    _, column = run_json(capsys, *argv, "--planes", "2", "--layout", "column")
    _, block = run_json(capsys, *argv, "--planes", "2", "--layout", "block")
    assert (column["pe"], block["pe"]) == ("look-up", "look-up block")
    assert block["bit_exact"] and block["padded_k"] == 20
    groups = -(-n // 16) * 5
    assert block["bits_per_weight"] == pytest.approx(2 * (1 + 10 * groups / (18 * n)))
    assert column["cycles"] == block["cycles"] == 3 * 2 * 5 * -(-n // 32) + 4
    assert 0 < block["weight_error"] < 0.5


def test_mx(capsys: Capture, files: Path) -> None:
    """Microscaling blocks: 20 k fill one of 32."""
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--rows", "5", *SMALL]
    _, fine, coarse = run_json(capsys, *argv, "--mx", "mxint8", "--mx", "e2m1")
    assert [row["pe"] for row in (fine, coarse)] == ["mx mxint8", "mx e2m1"]
    assert fine["bits_per_weight"] == 8.25 and coarse["bits_per_weight"] == 4.25
    assert 0 < fine["output_error"] < 0.02 < coarse["output_error"] < 0.4
    assert fine["padded_k"] == 32
    assert fine["cycles"] == 5 * 9 + 2


@pytest.mark.parametrize(
    ("unit", "label", "same", "cycles"),
    [
        ("serial_pe", "serial_pe", "mix", 4 * 899 + 6),
        ("term_serial_pe", "term_serial_pe e4m3", None, None),
        ("term_serial_pe:e5m2", "term_serial_pe e5m2", None, None),
        ("term_serial_pe:pot5x2", "term_serial_pe pot5x2", None, None),
        ("term_serial_pe:pot5", "term_serial_pe pot5", "shift", None),
        ("term_serial_pe:int4", "term_serial_pe int4", "mix", None),
        ("term_serial_pe:int8", "term_serial_pe int8", "mac", None),
        ("float_w4a16_pe", "float_w4a16_pe", None, 900 + 4),
        # Nine columns are five pairs.
        ("switchable_pe", "switchable_pe", "mix", 5 * 20 * 5 + 2),
        ("switchable_pe:wide", "switchable_pe wide", "mac", 900 + 2),
    ],
)
def test_units(
    capsys: Capture, files: Path, unit: str, label: str, same: str | None, cycles: int | None
) -> None:
    """5 x 20 x 9 products on one PE; the errors are those of the same numbers in an array."""
    argv = ["layer", str(files / "weights.npz"), "--rows", "5", *SMALL]
    array, row = run_json(capsys, *argv, "--pe", same or "w4a16", "--unit", unit)
    assert row["pe"] == label and row["bit_exact"]
    if same:
        for name in ("bits_per_weight", "weight_error", "output_error"):
            assert row[name] == pytest.approx(array[name])
    else:
        assert 0 < row["weight_error"] < 0.13
        # Weights of more than 4 bits are finer, and sums of FP16 are rounded.
        assert row["output_error"] != array["output_error"]
        assert row["output_error"] < 1.01 * array["output_error"]
    if cycles:
        assert row["cycles"] == cycles
    else:
        most = {"e4m3": 3, "int8": 4}.get(label.split()[1], 2)
        assert 900 + 2 <= row["cycles"] <= most * 900 + 2


def test_cycles_of_terms(tmp_path: Path) -> None:
    """A term a cycle, one for a weight of zero; sums begin where elements of C do."""
    unit = unit_of("term_serial_pe:int4")
    weights = np.array([[7, 0], [-3, 0], [1, 4], [0, 7]])
    layer = unit_layer(unit, np.array([[127, 1, -5, 3], [-127, 2, 8, 9]]), weights)
    assert np.array_equal(layer.real_weights, weights)
    assert layer.sets == 2 * (2 + 2 + 1 + 1 + 1 + 1 + 1 + 2)
    found, cycles = run_unit(unit, unit.config(4), layer, layer.sets, tmp_path, SEED)
    assert cycles == layer.sets + 2
    assert np.array_equal(found, layer.activations @ weights)
    wrong = layer._replace(numbers=layer.numbers + 1)
    with pytest.raises(SimulationError, match="sums are not those of the dense product"):
        run_unit(unit, unit.config(4), wrong, layer.sets, tmp_path, SEED)


def test_large_sums_of_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are halved until their sums are finite, and where they are not, that is told."""
    unit = unit_of("float_w4a16_pe")
    rng = np.random.default_rng(SEED)
    activations = rng.normal(size=(5, 20)) * np.array([[0, 1, 1e3, 6e4, 1e9]]).T
    weights = rng.normal(size=(20, 9))
    layer = unit_layer(unit, activations, weights)
    output, _ = run_unit(unit, unit.config(20), layer, layer.sets, tmp_path, SEED)
    exact = activations @ layer.real_weights
    error = np.linalg.norm(output - exact, axis=1)
    assert np.all(error <= 4e-3 * np.linalg.norm(exact, axis=1))
    monkeypatch.setattr("scripts.unit_layer.LARGEST_SUM", 2.0**60)
    large = Layer("large", np.full((2, 20), 6e4), np.ones((20, 9)))
    found = [unit_layer(unit, large.activations, large.weights)]
    message = "^large: unit: a sum of float_w4a16_pe is beyond the largest FP16 number, 65504$"
    with pytest.raises(ValueError, match=message):
        run_on_unit([large], found, unit, unit.config(20), SEED)


def test_sets_of_a_unit(capsys: Capture, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.unit_layer.MOST_SETS", 899)
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--rows", "5"]
    line = refused(capsys, *argv, "--unit", "serial_pe")
    assert line == (
        "rtloom: up: unit: serial_pe takes 900 sets of operands for this product, which is not in "
        "1..899"
    )


def test_k_of_terms(capsys: Capture, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.ones((4097, 1)))
    argv = ["layer", str(tmp_path / "w.npz"), "--pe", "mix", "--rows", "1"]
    line = refused(capsys, *argv, "--unit", "term_serial_pe")
    message = "unit: term_serial_pe e4m3 does not take K = 4097; k_max: 4097 is not in 1..4096"
    assert line == f"rtloom: {message}"


def test_energy(capsys: Capture, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is that of a MAC; a weight of three bits takes three of one bit."""
    record = SimpleNamespace(energy_pj_per_op=0.5)
    monkeypatch.setattr("scripts.layer.measure", lambda *_: SimpleNamespace(records=[record]))
    monkeypatch.setattr("scripts.layer.find_library", lambda _: None)
    argv = ["layer", str(files / "weights.npz"), "--pe", "mix", "--rows", "5", *SMALL]
    rows = run_json(capsys, *argv, "--planes", "3", "--mx", "e2m1", "--energy", "1.6")
    assert [row["energy_pj_per_mac"] for row in rows] == [0.5, 1.5, 0.5]


def test_energy_of_units(capsys: Capture, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a set of operands: a product, two of which one is idle at the edge, or a term."""
    record = SimpleNamespace(energy_pj_per_op=0.5)
    monkeypatch.setattr("scripts.layer.measure", lambda *_: SimpleNamespace(records=[record]))
    monkeypatch.setattr("scripts.layer.find_library", lambda _: None)
    argv = ["layer", str(files / "weights.npz"), "--pe", "switchable", "--rows", "5", *SMALL]
    units = ["serial_pe", "switchable_pe", "switchable_pe:wide", "term_serial_pe:int8"]
    argv += [text for unit in units for text in ("--unit", unit)]
    array, *rows = run_json(capsys, *argv, "--energy", "1.6")
    assert array["energy_pj_per_mac"] == pytest.approx(0.5 * 5 / 9)
    terms = (rows[3]["cycles"] - 2) / 900
    found = [row["energy_pj_per_mac"] for row in rows]
    assert found == pytest.approx([0.5, 0.5 * 5 / 9, 0.5, 0.5 * terms])
    assert 1 < terms < 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*PLAIN[:3], "--aligned", "15"], "aligned: 15 is not in 10..14"),
        ([*PLAIN[:3], "--mx", "e4m2"], "mx: 'e4m2' is not one of e4m3, e5m2"),
        ([*PLAIN[:3], "--planes", "9"], "planes: 9 is not in 1..8"),
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
        (["weights.npz", "--design", "bit_slice", "--pe", "mac"], "pe: 'mac' is not one of opt3"),
        (
            ["weights.npz", "--design", "bit_slice", "--aligned", "12"],
            "aligned: 12 needs pe=mix, which 'bit_slice' does not have",
        ),
        (["weights.npz", "--matrix", "up", "-s", "k_max=4"], "up: k: 20 is not in 1..4"),
        (
            ["weights.npz", "--mode", "fp8", "--pe", "mac"],
            "mode: 'fp8' is not one of integer",
        ),
        (["array.npz"], "file: {}/array.npz is not readable as .npz: it is no zip archive"),
        ([*PLAIN, "signed_a=false"], "up: signed_a: false is not allowed, quantised"),
        ([*PLAIN, "signed_b=false"], "up: signed_b: false is not allowed, quantised"),
        ([*GROUPED, "pe=ternary"], "up: pe: 'ternary' does not take integers"),
        (
            ["weights.safetensors", "--matrix", "huge"],
            "matrix: the greatest magnitude in 'huge' is",
        ),
        (
            ["weights.npz", "-s", "pe=mix"],
            "pe: is chosen with --pe, which may be repeated, and not",
        ),
        (["weights.npz", "--group", "31"], "group: 31 is not in 32..256"),
        ([*PLAIN[:3], "--mode", "float"], "mode: 'float' is for weights in groups, and --group is"),
        (["weights.npz", "--group", "32", "--mode", "fp8"], "mode: 'fp8' is not one of"),
        (
            [*PLAIN[:3], "--unit", "exact_pe"],
            "unit: 'exact_pe' is not one of switchable_pe, serial_pe, term_serial_pe, float_w",
        ),
        (
            [*PLAIN[:3], "--unit", "term_serial_pe:fp9"],
            "unit: 'fp9' after term_serial_pe: is not one of e4m3, e5m2, e3m2",
        ),
        ([*PLAIN[:3], "--unit", "term_serial_pe:"], "unit: '' after term_serial_pe: is not one"),
        (
            [*PLAIN[:3], "--unit", "serial_pe:int8"],
            "unit: 'serial_pe:int8' is not serial_pe, which takes nothing after a colon",
        ),
        (
            [*PLAIN[:3], "--unit", "switchable_pe:narrow"],
            "unit: 'narrow' after switchable_pe: is not one of wide",
        ),
        ([*PLAIN[:3], "--layout", "block"], "layout: 'block' is for bit planes, and --planes is"),
        ([*PLAIN[:3], "--planes", "2", "--layout", "row"], "layout: 'row' is not one of column"),
    ],
)
def test_bad_input(capsys: Capture, files: Path, arguments: list[str], message: str) -> None:
    name, *rest = arguments
    line = refused(capsys, "layer", str(files / name), *rest)
    assert line.startswith("rtloom: " + message.replace("{}", str(files)))


@pytest.mark.parametrize("option", [["--matrix", "up"], ["--transpose"]])
def test_options_of_a_file(capsys: Capture, option: list[str]) -> None:
    line = refused(capsys, "layer", *option)
    assert line == f"rtloom: {option[0][2:]}: is for matrices of a file, and no FILE is given"


def test_pes_of_two_weights_and_of_fp8(capsys: Capture, files: Path) -> None:
    """Two columns side by side take half the time; an odd one stands alone."""
    pes = ("mix", "switchable", "fp8", "mitchell", "l_mul")
    chosen = [word for pe in pes for word in ("--pe", pe)]
    rows = run_json(capsys, "layer", str(files / "weights.npz"), "--rows", "5", *chosen, *SMALL)
    mix, switchable, fp8, *logarithms = rows
    same = ("bits_per_weight", "weight_error", "output_error", "k", "n")
    assert [switchable[key] for key in same] == [mix[key] for key in same]
    # 9 columns are three tiles of 4, 5 pairs are two.
    assert switchable["cycles"] < 0.7 * mix["cycles"]
    # Roundings of both operands, and products by addition.
    assert fp8["output_error"] < 0.05
    assert all(row["output_error"] < 0.07 for row in logarithms)


@pytest.mark.parametrize("unit", ["serial_pe", "switchable_pe:wide", "float_w4a16_pe"])
def test_one_product(capsys: Capture, tmp_path: Path, unit: str) -> None:
    np.savez(tmp_path / "w.npz", w=np.ones((1, 1)))
    argv = ["layer", str(tmp_path / "w.npz"), "--pe", "mac", "--rows", "1", "--unit", unit]
    _, row = run_json(capsys, *argv, "-s", "rows=1", "-s", "cols=1")
    assert row["bit_exact"] and row["output_error"] < 0.01
