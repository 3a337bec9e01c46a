"""`interests ask USER`: one request from the shell."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from service.commands.answer import print_answer
from service.defaults import MAX_QUERIES
from service.errors import ConfigurationError, InvalidInput
from service.settings import load_settings


def ask(
    user: Annotated[str, typer.Argument(help="User id.")],
    url: Annotated[
        str | None, typer.Option(help="The gateway's base URL; from the settings when absent.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="INTERESTS_API_KEY", help="Key for the X-API-Key header.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many candidates.")] = 10,
    max_queries: Annotated[int, typer.Option(help="How many queries.")] = MAX_QUERIES,
    timeout_ms: Annotated[int | None, typer.Option(help="Deadline in milliseconds.")] = None,
    variant: Annotated[str | None, typer.Option(help="name@version of a student.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask a running gateway for a user's candidates."""
    if url is None:
        settings = load_settings()
        url = f"http://{settings.host}:{settings.port}"
    body: dict[str, Any] = {
        "user_id": user,
        "limit": limit,
        "max_queries": max_queries,
        "explain": True,
    }
    if timeout_ms is not None:
        body["timeout_ms"] = timeout_ms
    if variant is not None:
        body["variant"] = variant
    answer = post_interests(url, body, key=key)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print_answer(Console(), answer)


def post_interests(url: str, body: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
    """Send one request. Raises `InvalidInput` with the problem's own words, if it is refused."""
    headers = {"X-API-Key": key} if key else {}
    try:
        response = httpx.post(f"{url}/v1/interests", json=body, headers=headers, timeout=35)
        said = response.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"no gateway answers at {url} ({error}); start one: make run, or interests serve"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{url} answers, but it is not an interests gateway") from error
    if response.status_code != 200:
        raise InvalidInput(f"{response.status_code} {said.get('title')}: {said.get('detail')}")
    answer: dict[str, Any] = said
    return answer
