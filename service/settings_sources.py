"""Where settings come from, beside what pydantic-settings reads: files, lists by comma, names.

Everything wrong is a `ConfigurationError` of one line, or a `ValueError` that becomes one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from service.errors import ConfigurationError

PREFIX = "INTERESTS_"
NO_JSON = "is not valid JSON; say each part by a variable of its own (…__NAME), a list by commas"
SECRET_CHARS = 8
"""Least characters of a secret that we choose by: an empty one would let everybody in."""
_OTHERS = frozenset({"CONFIG", "API_KEY", "ENGINE_PYTHON", "TRAIN_PYTHON"})
"""Names with the prefix that are no settings of the gateway: of commands and of the environment."""
_KUBERNETES = re.compile(
    r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
"""What Kubernetes sets in every container of a namespace that has a service of such a name."""


def refuse_unknown(
    fields: Collection[str], dotenv: Iterable[str], config: Mapping[str, Any]
) -> None:
    """Refuse a name in the environment, in `.env` or in the file that is no setting.

    `fields` are the settings' names, `dotenv` the names in `.env`, `config` what the file holds.
    """
    variables = [PREFIX + field.upper() for field in fields]
    for name in (name.upper() for name in (*os.environ, *dotenv)):
        if name.startswith(PREFIX):
            rest = name.removeprefix(PREFIX)
            known = rest in _OTHERS or rest.startswith("TEST_") or _KUBERNETES.fullmatch(rest)
            if not known and rest.partition("__")[0].lower() not in fields:
                raise ConfigurationError(_unknown(name, variables))
    for name in config:
        if name not in fields:
            path = os.environ[f"{PREFIX}CONFIG"]
            raise ConfigurationError(f"{path}: {_unknown(name, fields)}")


def _unknown(name: object, known: Iterable[str]) -> str:
    alike = get_close_matches(str(name), list(known), n=1)
    return f"{name}: no such setting" + (f"; did you mean {alike[0]}?" if alike else "")


def _listed(value: object) -> object:
    """A list from `a,b` or from JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value)
    items = [item.strip() for item in value.split(",")] if value.strip() else []
    if not all(items):
        raise ValueError("has an empty entry between its commas")
    return items


def _mapped(value: object) -> object:
    """A group of settings from JSON."""
    return _json(value) if isinstance(value, str) else value


def _json(value: str) -> object:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(NO_JSON) from None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _secret(value: SecretStr) -> SecretStr:
    """A secret that we choose by. Blanks around it would be lost in a header."""
    secret = SecretStr(value.get_secret_value().strip())
    if len(secret) < SECRET_CHARS:
        raise ValueError(f"must have at least {SECRET_CHARS} characters")
    return secret


LISTED = BeforeValidator(_listed)
MAPPED = BeforeValidator(_mapped)
LOWER = BeforeValidator(_lower)
SECRET = AfterValidator(_secret)


def with_secrets_read(values: object, fields: Mapping[str, Any]) -> object:
    """The values of a group, with `x` read from the file in `x_file`.

    For each of `fields` that has a twin with `_file` behind its name. The last line end of a file
    is not part of the secret. Raises `ValueError` for both at once, or a file that is not readable.
    """
    if not isinstance(values, dict):
        return values
    values = dict(values)
    for name in fields:
        file = values.get(f"{name}_file")
        if name.endswith("_file") or f"{name}_file" not in fields or not file:
            continue
        if values.get(name):
            raise ValueError(f"{name} and {name}_file are both given: give one")
        try:
            secret = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not text"
            raise ValueError(f"{name}_file: {file}: {reason}") from None
        if not secret.strip():
            raise ValueError(f"{name}_file: {file}: is empty")
        values[name] = SecretStr(secret)
    return values
