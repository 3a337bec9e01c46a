"""Groups of settings: a student, a caller's key, TLS to a part. `service.settings` has the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator
from pydantic_settings import NoDecode

from service.settings_values import LISTED, MAPPED, SECRET, OptionalPath, with_secrets_read

Right = Literal["interests", "signals", "feedback", "delete", "variant", "read", "metrics"]
ALL_RIGHTS: tuple[Right, ...] = get_args(Right)


class TlsSettings(BaseModel):
    """How a part's certificate is checked, and which one we show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: OptionalPath = Field(None, description="PEM file of the authority to trust.")
    cert_file: OptionalPath = Field(None, description="PEM certificate to present (mutual TLS).")
    key_file: OptionalPath = Field(None, description="PEM key, where `cert_file` does not hold it.")
    verify: bool = Field(True, description="Check the server's certificate and name.")


class StudentSettings(BaseModel):
    """One student and the engines that serve it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: Path = Field(description="`student.yaml` of the built student.")
    engines: Annotated[tuple[str, ...], NoDecode, LISTED] = Field(
        (),
        description="Base URLs of vLLM servers, replicas of each other, by comma. None: heuristic"
        " only.",
    )
    api_key: SecretStr | None = Field(None, description="Bearer token of the engines.")
    api_key_file: OptionalPath = Field(None, description="File that holds it instead.")
    tls: Annotated[TlsSettings, MAPPED] = TlsSettings()
    timeout_ms: int | None = Field(
        None, ge=20, le=30_000, description="Default deadline; from the manifest when unset."
    )
    window: int = Field(32, ge=1, le=4_096, description="Calls in flight to each engine.")
    queue: int = Field(128, ge=0, le=65_536, description="Calls that may wait before each engine.")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: object) -> object:
        return with_secrets_read(values, cls.model_fields)


class EncoderSettings(BaseModel):
    """What turns texts into vectors, so that articles are found by meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: OptionalPath = Field(
        None, description="`encoder.yaml` of the built encoder. None: searches go by words alone."
    )
    url: str | None = Field(
        None,
        description="Base URL of an embeddings server (`/v1/embeddings`) that serves it; in the"
        " gateway's own process when unset.",
    )
    model: str | None = Field(
        None, description="What that server calls it; the manifest's name when unset."
    )
    api_key: SecretStr | None = Field(None, description="Bearer token of that server.")
    api_key_file: OptionalPath = Field(None, description="File that holds it instead.")
    tls: Annotated[TlsSettings, MAPPED] = TlsSettings()
    cache: int = Field(20_000, ge=0, le=1_000_000, description="Texts whose vectors are kept.")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: object) -> object:
        return with_secrets_read(values, cls.model_fields)


class TracingSettings(BaseModel):
    """Where traces go, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = Field(
        None,
        description="URL of an OTLP collector by HTTP, such as http://127.0.0.1:4318. Unset: there"
        " are no traces. Needs the extra `tracing`.",
    )
    sample_ratio: FiniteFloat = Field(
        0.01, ge=0, le=1, description="Share of requests that are traced."
    )
    service_name: str = Field(
        "interests", min_length=1, max_length=128, description="What the traces call this service."
    )


class KeySettings(BaseModel):
    """A caller's key and what it may do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: Annotated[SecretStr, SECRET] = Field(
        description="Sent as `X-API-Key` or `Authorization: Bearer`, 8 characters or more; each"
        " caller's own. Several, one a line, are valid at once.",
    )
    secret_file: OptionalPath = Field(
        None, description="File that holds it instead; read again when it changes."
    )
    rights: Annotated[tuple[Right, ...], NoDecode, LISTED] = Field(
        ("interests", "signals", "feedback"),
        description="`interests`, `signals`, `feedback`, `delete`, `variant` (choose the student),"
        " `read` (see a user's signals), `metrics`; by comma.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: object) -> object:
        return with_secrets_read(values, cls.model_fields)
