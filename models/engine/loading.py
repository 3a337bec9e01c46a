"""Loading adapters into an engine while it runs, and taking them off, by vLLM's own requests."""

from __future__ import annotations

from typing import Any

import httpx

from models.engine.adapters import Adapter, check_base
from service.addresses import http_url
from service.errors import ConfigurationError

_WAIT_S = 120.0
"""Loading waits for the step that the engine is in."""


def load_adapter(url: str, adapter: Adapter, place: str, api_key: str | None = None) -> None:
    """Load an adapter into the engine at `url`, which finds its folder at `place`.

    Its student is served from then on. Raises `ConfigurationError`: no engine there, one that
    serves another base or takes no adapters while it runs, or the engine's own refusal.
    """
    listed = _asked("GET", url, "/v1/models", api_key)
    try:
        bases = [str(one["id"]) for one in listed.json()["data"] if one.get("parent") is None]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{url}: /v1/models is no list of models: is it vLLM?") from error
    check_base(adapter, bases)
    body = {"lora_name": adapter.manifest.key, "lora_path": place}
    _asked("POST", url, "/v1/load_lora_adapter", api_key, body)


def unload_adapter(url: str, name: str, api_key: str | None = None) -> None:
    """Take an adapter off the engine at `url`: calls that run end well, later ones are refused.

    Raises `ConfigurationError`: no engine there, or the engine's own refusal.
    """
    _asked("POST", url, "/v1/unload_lora_adapter", api_key, {"lora_name": name})


def _asked(
    method: str, url: str, path: str, api_key: str | None, body: dict[str, Any] | None = None
) -> httpx.Response:
    http_url(url, "engine URL")
    root = url.rstrip("/").removesuffix("/v1")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        answer = httpx.request(method, root + path, json=body, headers=headers, timeout=_WAIT_S)
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"{url}: cannot be asked ({str(error) or type(error).__name__}); is the engine there?"
        ) from error
    if answer.status_code == 401:
        raise ConfigurationError(f"{url}: wants the engine's key: set VLLM_API_KEY")
    if answer.is_success:
        return answer
    try:
        said = str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        if answer.status_code == 404:
            raise ConfigurationError(
                f"{url}: takes no adapters while it runs: start it with --runtime-adapters"
            ) from None
        said = answer.text[:200]
    raise ConfigurationError(f"{url}: answered {answer.status_code}: {' '.join(said.split())}")
