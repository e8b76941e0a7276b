"""Settings as JSON and back: nested frozen dataclasses of plain values, told apart by their type hints alone."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["settings_from_json", "settings_to_json"]

Config = TypeVar("Config")


def settings_to_json(config: Any) -> Any:
    """Plain values of a settings dataclass; where a field may hold several dataclasses, ``kind`` says which it does."""
    if is_dataclass(config) and not isinstance(config, type):
        hints = get_type_hints(type(config))
        value = {field.name: settings_to_json(getattr(config, field.name)) for field in fields(config)}
        for name in value:
            if len(_choices(hints[name])) > 1 and isinstance(value[name], dict):
                value[name]["kind"] = type(getattr(config, name)).__name__
        return value
    if isinstance(config, Path):
        return str(config)
    if isinstance(config, tuple):
        return [settings_to_json(entry) for entry in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise ValueError(f"a setting of type {type(config).__name__} cannot be written as JSON")


def settings_from_json(cls: type[Config], value: Mapping[str, Any], where: str = "settings") -> Config:
    """The inverse of :func:`settings_to_json`; never runs code that the file names.

    Args:
        cls: the dataclass.
        value: what was read.
        where: the file, for messages.

    Raises:
        ValueError: a setting is unknown, or is not what its type says.
    """
    hints = get_type_hints(cls)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type] # callers pass dataclasses
    unknown = set(value) - known - {"kind"}
    if unknown:
        raise ValueError(
            f"{where}: {cls.__name__} has no setting {sorted(unknown)[0]!r}; it has {', '.join(sorted(known))}"
        )
    read = {name: _read(hints[name], entry, f"{where}: {name}") for name, entry in value.items() if name in known}
    try:
        return cls(**read)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _choices(hint: Any) -> list[type]:
    """The dataclasses that a field may hold."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [option for option in options if is_dataclass(option) and isinstance(option, type)]


def _read(hint: Any, value: Any, where: str) -> Any:
    made = next(
        (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and issubclass(kind, Path | Enum)), None
    )
    if made is not None and isinstance(value, str):
        try:
            return made(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    choices = _choices(hint)
    if choices and isinstance(value, Mapping):
        by_name = {choice.__name__: choice for choice in choices}
        name = value.get("kind", choices[0].__name__)
        if name not in by_name:
            raise ValueError(f"{where}: found the kind {name!r}, expected one of {', '.join(by_name)}")
        return settings_from_json(by_name[name], value, where)
    if isinstance(value, list):
        inner = [part for part in get_args(hint) if part is not Ellipsis]
        return tuple(_read(inner[0] if inner else Any, entry, where) for entry in value)
    return value
