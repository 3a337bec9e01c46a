"""`interests ask USER`: one request from the shell."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.parse import unquote
from urllib.request import HTTPRedirectHandler, Request, build_opener

import typer

from service.addresses import authority, http_url
from service.defaults import MAX_QUERIES
from service.errors import ConfigurationError, InvalidInput
from service.records import DOMAINS

_TIMEOUT_S = 35
_MAX_AGE_HOURS = 1_000_000
"""The API's own bound."""


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
    signal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOMAIN:TEXT",
            help="A signal of this moment, merged with the stored ones, not stored; repeatable.",
        ),
    ] = None,
    max_age_hours: Annotated[
        float | None, typer.Option(help="Only articles younger than this.")
    ] = None,
    explain: Annotated[
        bool | None,
        typer.Option(help="Add how articles were found, and the signals shown; off with --json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask a running gateway for a user's candidates."""
    if url is None:
        from service.settings import load_settings

        settings = load_settings()
        url = f"http://{authority(settings.host, settings.port)}"
    body: dict[str, Any] = {
        "user_id": user,
        "limit": limit,
        "max_queries": max_queries,
    }
    if signal:
        at = datetime.now(UTC).isoformat()
        body["signals"] = [_signal(given, at) for given in signal]
    if max_age_hours is not None:
        if not 0 < max_age_hours <= _MAX_AGE_HOURS:
            raise InvalidInput(f"--max-age-hours: give more than 0, at most {_MAX_AGE_HOURS:,}")
        body["max_age_hours"] = max_age_hours
    if not as_json if explain is None else explain:
        body["explain"] = True
    if timeout_ms is not None:
        body["timeout_ms"] = timeout_ms
    if variant is not None:
        body["variant"] = variant
    answer = post_interests(url, body, key=key)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        from service.commands.answer import print_answer

        print_answer(Console(), answer)


def _signal(given: str, at: str) -> dict[str, str]:
    """`domain:text` as the API takes it. Raises `InvalidInput` that says the form."""
    domain, _, text = given.partition(":")
    if domain not in DOMAINS or not text.strip():
        raise InvalidInput(
            f"--signal {given!r}: give DOMAIN:TEXT with a domain of {', '.join(DOMAINS)}"
        )
    return {"at": at, "domain": domain, "text": text.strip()}


def post_interests(url: str, body: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
    """Send one request. Raises `InvalidInput` with the problem's own words, if it is refused."""
    status, said = _post(url, json.dumps(body).encode(), {"X-API-Key": key} if key else {})
    try:
        answer: dict[str, Any] = json.loads(said)
        refused = "" if status == 200 else f"{answer.get('title')}: {answer.get('detail')}"
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{url} answers, but it is not an interests gateway") from error
    if refused:
        raise InvalidInput(f"{status} {refused}")
    return answer


class _Direct(HTTPRedirectHandler):
    """Redirects are answers: a gateway sends none."""

    def redirect_request(self, *_: Any) -> None:
        """Go nowhere."""


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of the answer. Raises `ConfigurationError` where there is none.

    By the standard library, which is loaded in a fifth of the time that an HTTP client takes.
    """
    parts = http_url(url, "--url", password=True)
    user, at, host = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=host).geturl()
    if at:
        given = b64encode(unquote(user).encode()).decode()
        headers = {**headers, "Authorization": f"Basic {given}"}
    request = Request(f"{bare}/v1/interests", body, {**headers, "Content-Type": "application/json"})
    try:
        with build_opener(_Direct).open(request, timeout=_TIMEOUT_S) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ConfigurationError(
            f"no gateway answers at {url} ({reason}); start one: `make run`, or `interests serve`"
        ) from error
    except ValueError as error:  # of a key that no header can hold
        raise ConfigurationError(f"{url} cannot be asked: {error}") from error
