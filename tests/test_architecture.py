"""The rules of the house: which folder may import which, and who may enumerate designs."""

import ast
import importlib
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from hw.catalog import DESIGNS
from hw.presets import PRESETS

REPOSITORY = Path(__file__).resolve().parent.parent
ARROWS: dict[str, set[str]] = {
    "golden": set(),
    "pe": set(),
    "hw": {"pe"},
    "sim": {"pe", "hw", "golden"},
    "scripts": {"golden", "pe", "hw", "sim"},
}
DISTRIBUTIONS = packages_distributions()
ONLY_LIBRARY = {"golden": "numpy", "pe": "amaranth", "hw": "amaranth"}
MODULES = [
    module.name
    for folder in ARROWS
    for module in pkgutil.walk_packages([str(REPOSITORY / folder)], f"{folder}.")
    if not module.ispkg
]


def source(module: str) -> ast.Module:
    return ast.parse((REPOSITORY / f"{module.replace('.', '/')}.py").read_text())


def imported(module: str) -> set[str]:
    """Top-level packages that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(source(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


@pytest.mark.parametrize("module", MODULES)
def test_arrows(module: str) -> None:
    folder = module.partition(".")[0]
    ours = imported(module) & set(ARROWS)
    assert ours <= ARROWS[folder] | {folder}


@pytest.mark.parametrize("module", MODULES)
def test_libraries(module: str) -> None:
    folder = module.partition(".")[0]
    libraries = imported(module) - set(ARROWS)
    if folder in ONLY_LIBRARY:
        assert libraries <= {ONLY_LIBRARY[folder]}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=]", entry)[0] for entry in project["dependencies"]}
    for library in libraries:
        names = {name.replace("_", "-").lower() for name in DISTRIBUTIONS[library]}
        assert names & declared, library


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_and_says_what_it_is(module: str) -> None:
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("name", DESIGNS)
def test_golden_models_exist(name: str) -> None:
    module, _, function = DESIGNS[name].golden.partition(":")
    assert module.partition(".")[0] == "golden"
    assert callable(getattr(importlib.import_module(module), function))


def test_names_are_keys_and_presets_are_no_designs() -> None:
    assert [design.name for design in DESIGNS.values()] == list(DESIGNS)
    assert not set(DESIGNS) & set(PRESETS)


def collections_of_designs(tree: ast.Module) -> Iterator[str]:
    """Displays of two or more design names and nothing else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            elements: list[ast.expr | None] = [*node.elts]
        elif isinstance(node, ast.Dict):
            elements = [*node.keys]
        else:
            continue
        names = [e.value for e in elements if isinstance(e, ast.Constant)]
        if len(elements) > 1 and len(names) == len(elements) and set(names) <= set(DESIGNS):
            yield f"line {node.lineno}: {names}"


def test_only_the_catalogue_enumerates_designs() -> None:
    tests = [f"tests.{path.stem}" for path in (REPOSITORY / "tests").glob("*.py")]
    found = {m: list(collections_of_designs(source(m))) for m in (*MODULES, *tests)}
    assert not {module: lines for module, lines in found.items() if lines}


def test_a_collection_of_designs_is_found() -> None:
    first, second, *_ = DESIGNS
    assert list(collections_of_designs(ast.parse(f"x = [{first!r}, {second!r}]")))
    assert not list(collections_of_designs(ast.parse(f"x = ['emit', {first!r}]")))
