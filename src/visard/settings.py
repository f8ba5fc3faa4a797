"""Settings are dataclasses, a file of settings is TOML: one function there and one back."""

from __future__ import annotations

import difflib
import math
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import tomli_w

from visard.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def to_toml(settings: Any) -> str:
    """A dataclass as TOML text; fields that are None are left out, which is how TOML says none."""
    return tomli_w.dumps(to_table(settings))


def to_table(settings: Any) -> dict[str, Any]:
    """A dataclass as a nested table that TOML and JSON give back as it is: without None, Path or tuple."""
    table: dict[str, Any] = _plain(asdict(settings))
    return table


def from_toml(cls: type[T], text_or_path: str | Path) -> T:
    """A dataclass from TOML text (str) or a TOML file (Path); InputError names the key that is wrong."""
    return from_table(cls, read_toml(text_or_path))


def read_toml(text_or_path: str | Path) -> dict[str, Any]:
    """TOML text (str) or a TOML file (Path) as a dictionary. Raises InputError."""
    if isinstance(text_or_path, str):
        text, source = text_or_path, "The settings"
    else:
        source = str(text_or_path)
        try:
            text = text_or_path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{source} cannot be read: {error}.", "Give a TOML file.") from error
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}.", "Correct that line.") from error
    return table


def from_table(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from a dictionary: nested and type-checked; InputError names an unknown or missing key."""
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            advice = f"Did you mean {where}{nearest[0]}?" if nearest else f"Known here: {', '.join(known)}."
            raise InputError(f"There is no setting {where}{key}.", advice)
    missing = [
        name
        for name, field in known.items()
        if name not in table and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise InputError(f"The setting {where}{missing[0]} is missing.", "Add it to the file.")
    values = {key: _convert(hints[key], value, f"{where}{key}") for key, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        section = f" [{where.rstrip('.')}]" if where else ""
        raise InputError(f"The settings{section} cannot be used: {error}.", "Change that value.") from error


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The nested table `base` with the values of `over` on top."""
    whole = dict(base)
    for key, value in over.items():
        inner = whole.get(key)
        if isinstance(inner, dict) and isinstance(value, Mapping):
            value = merged(inner, value)
        whole[key] = value
    return whole


def require(holds: bool, message: str, advice: str) -> None:
    """Raise InputError unless `holds`."""
    if not holds:
        raise InputError(f"{message}.", advice)


def at_least(name: str, value: float, least: float) -> None:
    """Raise InputError, naming the setting, unless its value is a number of at least `least`."""
    require(math.isfinite(value) and value >= least, f"{name} is {value}", f"It must be at least {least}.")


def positive(name: str, value: float) -> None:
    """Raise InputError, naming the setting, unless its value is a number above 0."""
    require(math.isfinite(value) and value > 0, f"{name} is {value}", "It must be greater than 0.")


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as TOML gives it, checked against the type `hint` and turned into it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_table(typing.cast("type[Any]", hint), value, f"{where}.")
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:  # JSON has a None, TOML has not
            return None
        return _convert_union([option for option in arguments if option is not type(None)], value, where)
    if origin is Literal and value in arguments:
        return value
    if origin in (list, tuple) and isinstance(value, list):
        one_kind = origin is list or arguments[-1] is Ellipsis
        kinds = [arguments[0]] * len(value) if one_kind else list(arguments)
        if len(kinds) == len(value):
            items = enumerate(zip(kinds, value, strict=True))
            return origin(_convert(kind, item, f"{where}[{index}]") for index, (kind, item) in items)
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool) == isinstance(value, bool):
        return value
    raise InputError(f"The setting {where} cannot be {value!r}.", f"It must be {_words(hint)}.")


def _convert_union(options: list[Any], value: Any, where: str) -> Any:
    for option in options[:-1]:
        try:
            return _convert(option, value, where)
        except InputError:
            continue
    return _convert(options[-1], value, where)


def _words(hint: Any) -> str:
    """A type as a person would say it."""
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(str(option) for option in typing.get_args(hint))
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    if hint in names:
        return names[hint]
    return "a table" if is_dataclass(hint) else str(hint).replace("typing.", "")


def _plain(value: Any) -> Any:
    """Only what TOML knows: no None, no Path, no tuple."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
