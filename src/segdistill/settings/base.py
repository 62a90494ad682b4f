"""What all settings share: frozen, strict about names, every mistake told at once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from segdistill.errors import ConfigError, nearest

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings. A field's docstring becomes its help on the command line."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), populate_by_name=True
    )

    def resolved(self) -> dict[str, Any]:
        """Return every field as plain JSON values, as they are saved beside a model."""
        return self.model_dump(mode="json")

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the default of every field that has one, as plain JSON values.

        Of a field that must be given and is a model itself, the defaults of that model.

        >>> class Crop(Settings):
        ...     side: int = 256
        >>> class Job(Settings):
        ...     out: Path
        ...     crop: Crop
        >>> Job.defaults()
        {'crop': {'side': 256}}
        """
        given = {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in cls.model_fields.items()
            if not field.is_required()
        }
        values = cls.model_construct(**given).model_dump(mode="json", include=set(given))
        for name, field in cls.model_fields.items():
            if field.is_required() and isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
                values[name] = field.annotation.defaults()
        return values


def validated(kind: type[S], values: Mapping[str, Any]) -> S:
    """Return settings made from plain values, or say everything that is wrong with them.

    Args:
        kind: The model.
        values: As read from a file or the command line. Missing fields take their defaults.

    Raises:
        ConfigError: One line per mistake; unknown names come with the nearest known one.

    >>> class Crop(Settings):
    ...     side: int = 256
    >>> validated(Crop, {"side": 128}).side
    128
    >>> validated(Crop, {"sid": 128})
    Traceback (most recent call last):
    ...
    segdistill.errors.ConfigError: 1 setting is wrong:
      sid: there is no such setting. Did you mean 'side'?
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(explain(kind, error)) from error


def explain(kind: type[BaseModel], error: ValidationError) -> str:
    """Return the mistakes of a settings model as lines for a person."""
    mistakes = [_mistake(kind, dict(e)) for e in error.errors(include_url=False)]
    head = f"{len(mistakes)} setting{'s are' if len(mistakes) > 1 else ' is'} wrong:"
    return "\n  ".join([head, *mistakes])


def _mistake(kind: type[BaseModel], error: Mapping[str, Any]) -> str:
    place = [str(part) for part in error["loc"] if not str(part).startswith("function-")]
    name = ".".join(place) or kind.__name__.lower()
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such setting.{nearest(place[-1], _names_at(kind, place[:-1]))}"
    if error["type"] == "missing":
        return f"{name}: must be given."
    found, words = error.get("input"), _WANTED.get(error["type"])
    if words is not None:
        shown = "a table" if isinstance(found, Mapping) else repr(found)
        limits = {key: f"{it:g}" if isinstance(it, float) else it for key, it in error.get("ctx", {}).items()}
        return f"{name}: {words.format(**limits)} (found {shown})"
    shown = "" if isinstance(found, Mapping) else f" (found {found!r})"
    return f"{name}: {str(error['msg']).removeprefix('Value error, ')}{shown}"


_WANTED = {
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    "finite_number": "must be a number, neither infinite nor NaN",
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be text",
    "path_type": "must be a path",
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a table"),
}
"""Kinds of pydantic's mistakes to our words; any other is told in its own."""


def _names_at(kind: type[BaseModel], place: list[str]) -> list[str]:
    for part in place:
        field = kind.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        kind = field.annotation
    return list(kind.model_fields)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file as plain values.

    Raises:
        ConfigError: The file is missing or is not TOML; the line is named.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no settings file {path}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
