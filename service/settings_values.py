"""How the values of settings are read: lists by comma, groups as JSON, secrets from files.

Everything wrong is a `ValueError`, which pydantic puts together with the place of the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from service.kubernetes import is_service_url
from service.settings_names import decoded

SECRET_CHARS = 8
"""Least characters of a secret that we choose by: an empty one would let everybody in."""


def wrong(keys: Sequence[str], told: str) -> ValidationError:
    """An error to raise in a group's validator, about the setting at these keys within it."""
    error = PydanticCustomError("setting", "{told}", {"told": told})
    details = InitErrorDetails(type=error, loc=tuple(keys), input=None)
    return ValidationError.from_exception_data("settings", [details])


def _listed(value: object) -> object:
    """A list from `a,b` or from JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            raise ValueError("is no valid JSON; separate the entries by commas alone") from None
    items = [item.strip() for item in value.split(",")] if value.strip() else []
    if not all(items):
        raise ValueError("has an empty entry between its commas")
    return items


def _mapped(value: object) -> object:
    """A group of settings, also from JSON; nothing behind a file's key is a group without any."""
    return {} if value is None else decoded(value)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _port_of(service: str) -> BeforeValidator:
    """A port. A Service that is called so has Kubernetes set a URL by the same name."""

    def port(value: object) -> object:
        if isinstance(value, str) and is_service_url(value):
            raise ValueError(
                f"{value} was set by Kubernetes for a Service called `{service}`: set"
                " `enableServiceLinks: false` in the pod's spec, or give the Service another name"
            )
        return value

    return BeforeValidator(port)


def generations(secret: SecretStr | None) -> tuple[str, ...]:
    """The secrets that are valid at once, one a line, the newest first; none where none is set.

    Blanks around each would be lost in a header, and are taken off; empty lines are passed over.
    """
    lines = secret.get_secret_value().splitlines() if secret is not None else ()
    return tuple(line.strip() for line in lines if line.strip())


def _secret(value: SecretStr) -> SecretStr:
    """A secret that we choose by, or several, one a line."""
    found = generations(value)
    if not found or min(map(len, found)) < SECRET_CHARS:
        raise ValueError(f"must have at least {SECRET_CHARS} characters, in each line")
    return SecretStr("\n".join(found))


def read_secrets(file: Path) -> tuple[str, ...]:
    """What `generations` has of a file. Raises `ValueError` that says what is wrong with it."""
    text = SecretStr(_text_of(file))
    try:
        return generations(_secret(text))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _text_of(file: Path) -> str:
    """The text of a secret's file, without its last line end."""
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: {getattr(error, 'strerror', None) or 'is not text'}") from None
    if not text.strip():
        raise ValueError(f"{file}: is empty")
    return text


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


LISTED = BeforeValidator(_listed)
MAPPED = BeforeValidator(_mapped)
LOWER = BeforeValidator(_lower)
PORT = _port_of("interests")
OPERATIONS_PORT = _port_of("interests-operations")
SECRET = AfterValidator(_secret)
OptionalPath = Annotated[Path | None, BeforeValidator(lambda path: None if path == "" else path)]
"""A path that is unset where it is empty: `INTERESTS_X=` names no folder, and not this one."""


def with_secrets_read(values: object, fields: Mapping[str, FieldInfo]) -> object:
    """The values of a group, with the secret `x` read from the file in `x_file`.

    For each secret of `fields` that has a twin with `_file` behind its name. The last line end of a
    file is not part of the secret. Raises `ValidationError` at `x_file` for both at once, or for a
    file that is not readable or empty.
    """
    if not isinstance(values, dict):
        return values
    values = dict(values)
    for name, field in fields.items():
        twin = f"{name}_file"
        file = values.get(twin)
        if not _is_secret(field.annotation) or not isinstance(file, str | Path):
            continue
        if not str(file):
            continue
        if values.get(name):
            raise wrong([twin], f"{name} is given too: give one of the two")
        try:
            values[name] = SecretStr(_text_of(Path(file)))
        except ValueError as error:
            raise wrong([twin], str(error)) from None
    return values
