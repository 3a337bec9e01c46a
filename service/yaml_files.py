"""A YAML file read into a pydantic model: what is wrong is named by file, line or field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from service.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model], what: str) -> Model:
    """Read `path` as `model`; `what` is what the file is called in an error, say "template".

    Raises `ConfigurationError`: it cannot be read, is not YAML (with the line), or a field is
    wrong, missing or unknown.
    """
    raw = read_mapping(path, what)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or what
        told = _remedy(first["type"], first["msg"], what)
        raise ConfigurationError(f"{path}: {field}: {told}") from error


def read_mapping(path: Path, what: str) -> dict[Any, Any]:
    """The fields of a YAML file. Raises `ConfigurationError` where it holds none, with the line."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f"{path}:{place.line + 1}" if place is not None else str(path)
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigurationError(f"{where}: not valid YAML: {problem}") from error
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path}: must hold the fields of a {what}")
    return raw


def _remedy(kind: str, message: str, what: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return f"is not a field of a {what}; remove it or correct its spelling"
    return message.removeprefix("Value error, ")
