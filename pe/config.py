"""Validated, frozen parameters of a generator.

A config is a frozen dataclass of plain integers, booleans, names and other configs. Each field is
declared with `integer`, `one_of`, `flag`, `choice` or `nested`, which also carry what
`rtloom describe` prints; `Config.__post_init__` holds every value to its declaration.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

C = TypeVar("C", bound="Config")


def nearest(value: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the allowed name nearest to `value`, else ``""``."""
    match = difflib.get_close_matches(value, list(allowed), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def integer(doc: str, minimum: int, maximum: int, default: int | None = None) -> Any:
    """Declare an integer field in ``minimum..maximum``."""
    metadata = {"doc": doc, "type": int, "minimum": minimum, "maximum": maximum}
    if default is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def one_of(doc: str, values: tuple[int, ...], default: int) -> Any:
    """Declare an integer field that holds one of a few values, in increasing order."""
    metadata = {"doc": doc, "type": int, "minimum": values[0], "maximum": values[-1]}
    return dataclasses.field(default=default, metadata=metadata | {"values": values})


def flag(doc: str, default: bool) -> Any:
    """Declare a boolean field."""
    return dataclasses.field(default=default, metadata={"doc": doc, "type": bool})


def choice(doc: str, allowed: Callable[[], Iterable[str]], default: str) -> Any:
    """Declare a field that names one of `allowed()`, looked up at validation."""
    metadata = {"doc": doc, "type": str, "allowed": allowed}
    return dataclasses.field(default=default, metadata=metadata)


def nested(doc: str, factory: "type[Config]") -> Any:
    """Declare a field that is itself a config, by default with its own defaults."""
    return dataclasses.field(default_factory=factory, metadata={"doc": doc, "type": factory})


def same_as(config: "type[Config]", name: str, default: Any) -> Any:
    """Declare a field as another config declares it."""
    metadata = config.__dataclass_fields__[name].metadata
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(integer, one_of, flag, choice, nested, same_as),
)
class Config:
    """Base of all configs: subclasses become frozen, keyword-only dataclasses.

    Raises
    ------
    ValueError
        On construction, when a field is outside its declaration: one line that names the
        parameter, its value and what is allowed.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))

    @property
    def name(self) -> str:
        """Deterministic slug, used as the Verilog module name."""
        raise NotImplementedError

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a config from a mapping of dotted keys to strings or plain values.

        A key is a field name, or the dotted path of a field of a nested config
        (``array.rows``); a bare name that only one nested config has reaches it too (``rows``).
        Nested mappings, as TOML tables give, are taken as paths.

        Raises
        ------
        ValueError
            Unknown key (the nearest is suggested) or a value outside its declaration.
        """
        paths = dict(_field_paths(cls))
        values: dict[str, Any] = {}
        typed: dict[str, str] = {}
        for key, value in _flatten(settings):
            matches = [p for p in paths if p == key] or [
                p for p in paths if p.rsplit(".", 1)[-1] == key
            ]
            if len(matches) != 1:
                known = ", ".join(paths)
                problem = f"is ambiguous: {', '.join(matches)}" if matches else "is not a parameter"
                raise ValueError(f"{key}: {problem}; allowed: {known}{nearest(key, paths)}")
            values[matches[0]] = _parse(matches[0], paths[matches[0]], value)
            last = key.rsplit(".", 1)[-1]
            typed[last] = last if last in typed else key
        try:
            return _build(cls, values)
        except ValueError as error:
            name, colon, problem = str(error).partition(":")
            raise ValueError(typed.get(name, name) + colon + problem) from None


def parameters(config: Config) -> list[tuple[str, dataclasses.Field[Any], Any]]:
    """List (dotted path, field, value) of every plain parameter of `config`, in order."""
    rows: list[tuple[str, dataclasses.Field[Any], Any]] = []
    for path, field in _field_paths(type(config)):
        value: Any = config
        for part in path.split("."):
            value = getattr(value, part)
        rows.append((path, field, value))
    return rows


def allowed_text(field: dataclasses.Field[Any]) -> str:
    """Say in words what a field may hold."""
    metadata = field.metadata
    if "values" in metadata:
        return ", ".join(map(str, metadata["values"]))
    if metadata["type"] is int:
        return f"{metadata['minimum']}..{metadata['maximum']}"
    if metadata["type"] is bool:
        return "true or false"
    return ", ".join(metadata["allowed"]())


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    expected = field.metadata["type"]
    if expected is str:
        allowed = list(field.metadata["allowed"]())
        if value not in allowed:
            hint = nearest(value, allowed) if isinstance(value, str) else ""
            raise ValueError(f"{field.name}: {value!r} is not one of {', '.join(allowed)}{hint}")
    elif expected is int:
        if type(value) is not int:
            raise ValueError(f"{field.name}: {value!r} is not an integer in {allowed_text(field)}")
        if value not in field.metadata.get("values", (value,)):
            raise ValueError(f"{field.name}: {value} is not one of {allowed_text(field)}")
        if not field.metadata["minimum"] <= value <= field.metadata["maximum"]:
            raise ValueError(f"{field.name}: {value} is not in {allowed_text(field)}")
    elif type(value) is not expected:
        kind = "true or false" if expected is bool else f"a {expected.__name__}"
        raise ValueError(f"{field.name}: {value!r} is not {kind}")


def _field_paths(cls: type[Config]) -> Iterable[tuple[str, dataclasses.Field[Any]]]:
    for field in dataclasses.fields(cls):
        inner = field.metadata["type"]
        if issubclass(inner, Config):
            for path, leaf in _field_paths(inner):
                yield f"{field.name}.{path}", leaf
        else:
            yield field.name, field


def _flatten(settings: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            for path, inner in _flatten(value):
                yield f"{key}.{path}", inner
        else:
            yield key, value


def _parse(key: str, field: dataclasses.Field[Any], value: Any) -> Any:
    """Turn the text of a command line into the field's type; leave other values to `_check`."""
    if not isinstance(value, str) or field.metadata["type"] is str:
        return value
    try:
        if field.metadata["type"] is bool:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return int(value, 0)
    except (KeyError, ValueError):
        kind = "" if field.metadata["type"] is bool else "an integer in "
        raise ValueError(f"{key}: {value!r} is not {kind}{allowed_text(field)}") from None


def _build(cls: type[C], values: Mapping[str, Any]) -> C:
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        inner = field.metadata["type"]
        if issubclass(inner, Config):
            prefix = f"{field.name}."
            arguments[field.name] = _build(
                inner,
                {k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)},
            )
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return cls(**arguments)
