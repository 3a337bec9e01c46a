"""Every setting of the gateway, frozen. Only what composes parts, and the commands, read it.

Each field is read from `INTERESTS_<NAME>` (nested: `INTERESTS_STUDENTS__<KEY>__<NAME>`), from a
`.env` file in the working directory, or from the file in `INTERESTS_CONFIG` (YAML), in this order.
`docs/settings.md` is generated from this module and `settings_groups`:
`interests settings --markdown`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.defaults import HITS_PER_QUERY, OWN_SIGNALS, OWN_WEIGHT, POPULAR_SIZE
from service.errors import ConfigurationError
from service.languages import ENGLISH, Language
from service.settings_given import Given, read_given
from service.settings_groups import (
    EncoderSettings,
    KeySettings,
    StudentSettings,
    TlsSettings,
    TracingSettings,
)
from service.settings_names import PREFIX
from service.settings_values import (
    LOWER,
    MAPPED,
    OPERATIONS_PORT,
    PORT,
    SECRET,
    OptionalPath,
    generations,
    with_secrets_read,
    wrong,
)


class Settings(BaseSettings):
    """The gateway's settings. See each field's description."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        frozen=True,
        extra="ignore",
    )

    # -- the server
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, PORT] = Field(
        8080, ge=0, le=65_535, description="Port to listen on; 0 picks a free one."
    )
    operations_port: Annotated[int, OPERATIONS_PORT] | None = Field(
        None,
        ge=1,
        le=65_535,
        description="Another port, for `/metrics`, `/docs` and `/openapi.json`, which are then gone"
        " from the main one; `/healthz` and `/readyz` are on both.",
    )
    keys: Annotated[dict[str, Annotated[KeySettings, MAPPED]], MAPPED] = Field(
        default_factory=dict, description="Callers' keys by name. Empty: no key is asked for."
    )
    open_metrics: bool = Field(
        False,
        description="Answer `/metrics` without a key, for Prometheus, although there are keys.",
    )
    secret: Annotated[SecretStr, SECRET] | None = Field(
        None,
        description="Signs request ids and hashes the user ids in them, at least 8 characters."
        " Several, one a line: the first signs, the ids of all are valid. Unset: a new one every"
        " start.",
    )
    secret_file: OptionalPath = Field(
        None, description="File that holds it instead; read again when it changes."
    )
    max_in_flight: int = Field(
        256, ge=1, le=65_536, description="Requests in work at once; more are refused."
    )
    admission: Annotated[Literal["adaptive", "constant"], LOWER] = Field(
        "adaptive",
        description="`adaptive`: this process works on fewer than `max_in_flight` where requests"
        " wait for it to compute; `constant`: always as many.",
    )
    admission_wait_ms: FiniteFloat = Field(
        100.0,
        ge=1,
        le=10_000,
        description="Milliseconds that requests may wait to compute before fewer are let in; a"
        " tenth of the time that they have, where that is more. Higher: fewer refusals in bursts,"
        " slower answers under load.",
    )
    save_samples_from: FiniteFloat = Field(
        0.7,
        ge=0,
        le=2,
        description="Share of the places taken from which a list is written from one sample; above"
        " 1: never.",
    )
    save_queries_from: FiniteFloat = Field(
        0.85,
        ge=0,
        le=2,
        description="Share of the places taken from which fewer of the user's own signals are"
        " searched, and samples are saved in any case; above 1: never.",
    )
    max_body_bytes: int = Field(
        1_048_576, ge=1_024, le=104_857_600, description="Largest request body."
    )
    body_timeout_s: FiniteFloat = Field(
        5.0, ge=0.1, le=600, description="Time a body may take to arrive."
    )
    head_timeout_s: FiniteFloat = Field(
        10.0, ge=0.1, le=600, description="Time a request's head may take."
    )
    max_connections: int | None = Field(
        None,
        ge=16,
        le=1_048_576,
        description="Connections at once; the longest idle gives way. Unset: as files allow.",
    )
    drain_delay_s: FiniteFloat = Field(
        5.0,
        ge=0,
        le=3_600,
        description="Seconds between `/readyz` turning 503 and the end of accepting.",
    )
    access_log: bool = Field(
        False, description="Log a line for each request: its id, route, status and milliseconds."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], LOWER] = Field(
        "info", description="Log level."
    )
    tracing: Annotated[TracingSettings, MAPPED] = TracingSettings()

    # -- signals
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="`redis://`, `rediss://` (TLS), `redis-cluster://` or `rediss-cluster://`.",
    )
    redis_username: str | None = Field(None, description="User name, if not in the URL.")
    redis_password: SecretStr | None = Field(None, description="Password, if not in the URL.")
    redis_password_file: OptionalPath = Field(None, description="File that holds it instead.")
    redis_tls: Annotated[TlsSettings, MAPPED] = TlsSettings()
    redis_pool: int = Field(64, ge=1, le=4_096, description="Connections to Redis, per node.")
    signals_kept: int = Field(200, ge=1, le=2_000, description="Signals kept for each user.")
    signals_ttl_days: int = Field(
        90, ge=1, le=3_650, description="Days a user's signals outlive the newest."
    )

    # -- generation
    students: Annotated[dict[str, Annotated[StudentSettings, MAPPED]], MAPPED] = Field(
        default_factory=dict, description="Students by a key of your choice."
    )
    default_student: str | None = Field(
        None, description="Key of the student that serves; may be unset when there is only one."
    )
    students_file: OptionalPath = Field(
        None,
        description="File of students, instead of the two above; read again when it changes.",
    )
    late_ms: int = Field(
        20_000,
        ge=0,
        le=600_000,
        description="How long a generation may outlive its answered request.",
    )
    reuse_max_age_s: int = Field(
        3_600,
        ge=0,
        le=3_650 * 86_400,
        description="Age up to which a kept list whose fingerprint fits is reused.",
    )
    stale_max_age_s: int = Field(
        7 * 86_400,
        ge=0,
        le=3_650 * 86_400,
        description="Age up to which a kept list may stand in for a failed one.",
    )

    # -- experiments
    experiments_file: OptionalPath = Field(
        None,
        description="File of experiments; read again when it changes. Unset: there are none.",
    )

    # -- events
    events_kept: int = Field(
        20_000,
        ge=0,
        le=100_000_000,
        description="Exposures and feedback kept in each of four streams in Redis, an exposure"
        " about 5 KB; 0: none are written, and feedback is refused.",
    )
    events_days: int = Field(7, ge=1, le=7, description="Days that they are kept at the most.")

    # -- retrieval
    opensearch_url: str | None = Field(
        None, description="Comma-separated OpenSearch URLs. Unset: the embedded index."
    )
    opensearch_username: str | None = Field(None, description="User name for basic authentication.")
    opensearch_password: SecretStr | None = Field(None, description="Password.")
    opensearch_password_file: OptionalPath = Field(None, description="File that holds it instead.")
    opensearch_tls: Annotated[TlsSettings, MAPPED] = TlsSettings()
    opensearch_pool: int = Field(32, ge=1, le=4_096, description="Connections to OpenSearch.")
    index_name: str = Field(
        "news", pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="Alias of the article index."
    )
    index_language: Annotated[Language, LOWER] = Field(
        ENGLISH,
        description="Language of the articles and of the signals, in English and small letters.",
    )
    encoder: Annotated[EncoderSettings, MAPPED] = EncoderSettings()
    data_dir: Path = Field(
        Path(".local"), description="Embedded index, built students, the popular snapshot."
    )
    hits_per_query: int = Field(
        HITS_PER_QUERY, ge=1, le=500, description="Hits taken from each query."
    )
    own_signals: int = Field(
        OWN_SIGNALS,
        ge=0,
        le=64,
        description="Newest signals, of those the list does not name, that are searched beside it.",
    )
    own_weight: FiniteFloat = Field(
        OWN_WEIGHT, ge=0, le=100, description="Weight of such a query; a student's is 1."
    )
    freshness_half_life_h: FiniteFloat = Field(
        72.0, ge=0.01, le=87_600, description="Hours after which the freshness prior has halved."
    )
    freshness_weight: FiniteFloat = Field(
        0.2, ge=0, le=1, description="Strength of the freshness prior."
    )
    popularity_weight: FiniteFloat = Field(
        3.0,
        ge=0,
        le=10,
        description="What the most popular article counts; the best of the user's own counts 1.",
    )
    own_places: int = Field(
        10, ge=0, le=500, description="First places of a list, in which popularity does not count."
    )
    meaning_weight: FiniteFloat = Field(
        0.6, ge=0, le=1, description="What nearness counts; words count the rest."
    )
    diversity: FiniteFloat = Field(
        0.25, ge=0, le=1, description="Share of the places that queries are given in turn."
    )
    cache_entries: int = Field(
        2_000,
        ge=0,
        le=1_000_000,
        description="Query results kept in memory, about 18 KB each; 0: none.",
    )
    cache_ttl_s: FiniteFloat = Field(
        30.0, ge=0.001, le=86_400, description="Seconds a query's result is fresh."
    )
    popular_size: int = Field(
        POPULAR_SIZE, ge=1, le=10_000, description="Articles in the popular snapshot."
    )
    popular_refresh_s: FiniteFloat = Field(
        60.0, ge=1, le=86_400, description="Seconds between its refreshes."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then `.env`, then the file in `INTERESTS_CONFIG`."""
        given, fields = _given(init_settings, dotenv_settings)
        given.refuse_unknown(settings_cls)
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                # A group's JSON first, then the variables within it: the other way round it would
                # take their place.
                source.env_vars = dict(sorted(source.env_vars.items()))
        file = InitSettingsSource(settings_cls, init_kwargs=dict(fields))
        return init_settings, env_settings, dotenv_settings, file

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: object) -> object:
        return with_secrets_read(values, cls.model_fields)

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        if self.operations_port == self.port:
            raise wrong(["operations_port"], "is INTERESTS_PORT, too: choose another one")
        return self

    @model_validator(mode="after")
    def _each_key_is_one_callers(self) -> Settings:
        names: dict[str, str] = {}
        for name, key in self.keys.items():
            for secret in generations(key.secret):
                other = names.setdefault(secret, name)
                if other != name:
                    raise wrong(["keys", name], f"has the secret of {other!r}: give each its own")
        return self

    @model_validator(mode="after")
    def _default_student_exists(self) -> Settings:
        if self.students_file is not None:
            for name in ("students", "default_student"):
                if getattr(self, name):
                    told = f"{name} is given too: the file says it, so give one of the two"
                    raise wrong(["students_file"], told)
        known = ", ".join(sorted(self.students)) or "none"
        if self.default_student is not None and self.default_student not in self.students:
            told = f"no student is called {self.default_student!r}; the students are: {known}"
            raise wrong(["default_student"], told)
        if self.default_student is None and len(self.students) > 1:
            raise wrong(["default_student"], f"say which student serves, one of: {known}")
        return self


_TOLD = {"missing": "is missing; add it", "path_type": "must be the path of a file or folder"}
"""What we say instead of pydantic, by its type of error."""


def load_settings(**options: object) -> Settings:
    """Read the settings; what a command's `options` say goes before all else.

    Raises `ConfigurationError` in one line that names what is wrong as it was given: the variable,
    the option, or file, line and key.
    """
    try:
        return Settings(**options)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        keys = [part for part in first["loc"] if part != "[key]"]  # pydantic's mark of a wrong key
        sources = InitSettingsSource(Settings, options), DotEnvSettingsSource(Settings)
        told = _TOLD.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ConfigurationError(f"{_given(*sources)[0].name(keys)}: {told}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f".env cannot be read: {error}") from None


def _given(
    options: PydanticBaseSettingsSource, dotenv: PydanticBaseSettingsSource
) -> tuple[Given, Mapping[str, Any]]:
    """See `read_given`."""
    said = options.init_kwargs if isinstance(options, InitSettingsSource) else {}
    lines = dotenv.env_vars if isinstance(dotenv, DotEnvSettingsSource) else {}
    return read_given(said, os.environ, lines)
