"""From what a command line says to a design of the catalogue and its config."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw.catalog import DESIGNS, Design
from hw.presets import PRESETS
from pe.config import Config, nearest


@dataclass(frozen=True)
class Selection:
    """A design and the config to build it with."""

    design: Design
    config: Config


@dataclass(frozen=True)
class _Layer:
    """Settings from one place, and the design which that place names, if it does."""

    place: str
    design: str | None
    settings: Mapping[str, Any]


def select(
    name: str | None,
    settings: Sequence[str] = (),
    preset: str | None = None,
    file: Path | None = None,
) -> Selection:
    """Resolve a design and its config.

    Parameters
    ----------
    name
        A design, or a preset; may be absent when `preset` or `file` gives the design.
    settings
        Texts ``key=value``; they override the preset and the file, a later one an earlier one.
    preset
        Name of a preset.
    file
        TOML file of parameters, with tables for nested configs and the key ``design``.

    Raises
    ------
    ValueError
        One line: an unknown name or key (the nearest is suggested), places that disagree about
        the design, a file that cannot be read, a value outside its declaration.
    """
    layers = []
    if name is not None:
        layers.append(_named("design", name, [*DESIGNS, *PRESETS]))
    if preset is not None:
        layers.append(_named("preset", preset, list(PRESETS)))
    if file is not None:
        layers.append(_read(file))
    layers.append(_Layer("-s", None, parse_settings(settings)))

    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.settings.items():
            merged.pop(key, None)  # so that the order of keys is that of precedence
            merged[key] = value
    design = DESIGNS[_agreed_design(layers)]
    return Selection(design, design.config.from_settings(merged))


def _named(parameter: str, name: str, allowed: list[str]) -> _Layer:
    if name not in allowed:
        hint = nearest(name, allowed)
        raise ValueError(f"{parameter}: {name!r} is not one that `rtloom list` shows{hint}")
    if name in PRESETS:
        chosen = PRESETS[name]
        return _Layer(f"preset {name}", chosen.design, chosen.settings)
    return _Layer("command line", name, {})


def _read(file: Path) -> _Layer:
    try:
        table = tomllib.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"config: {file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise ValueError(f"config: {file} is not a TOML file: {error}") from error
    design = table.pop("design", None)
    if design is None:
        return _Layer(f"config {file}", None, table)
    if not isinstance(design, str) or design not in DESIGNS:
        hint = nearest(str(design), DESIGNS)
        raise ValueError(f"design: {design!r} in {file} is not one that `rtloom list` shows{hint}")
    return _Layer(f"config {file}", design, table)


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Read ``key=value`` texts; of one key the last counts.

    Raises
    ------
    ValueError
        When a text is not of that form.
    """
    parsed: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise ValueError(f"-s: {text!r} is not key=value")
        parsed.pop(key.strip(), None)
        parsed[key.strip()] = value.strip()
    return parsed


def _agreed_design(layers: Sequence[_Layer]) -> str:
    named = [(layer.place, layer.design) for layer in layers if layer.design is not None]
    if not named:
        raise ValueError(
            f"design: none given; name one of {', '.join(DESIGNS)}, a preset, or a file with the "
            "key design"
        )
    first_place, design = named[0]
    for place, other in named[1:]:
        if other != design:
            raise ValueError(
                f"design: {design!r} ({first_place}) is not {other!r}, the design of {place}"
            )
    return design
