"""The client of OpenSearch: how it connects, and what its errors mean to us."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
from opensearchpy import AsyncOpenSearch, JSONSerializer
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionTimeout,
    NotFoundError,
    OpenSearchException,
    SSLError,
    TransportError,
)

from service.addresses import http_url
from service.errors import (
    RetrievalError,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from service.retrieval.indexes.opensearch_nodes import NodeListener, NodesTransport
from service.tls import Tls


def connect(
    urls: str,
    *,
    username: str | None = None,
    password: str | None = None,
    pool: int = 32,
    tls: Tls | None = None,
    on_node: NodeListener | None = None,
) -> AsyncOpenSearch:
    """A client for comma-separated URLs, with at most `pool` connections to each. Sends nothing.

    `on_node` is told which of several nodes are used. Raises `ConfigurationError` for a URL or a
    certificate file that cannot be used.
    """
    hosts = [url.strip().rstrip("/") for url in urls.split(",") if url.strip()]
    for host in hosts or [urls]:
        http_url(host, "INTERESTS_OPENSEARCH_URL", password=True)
    options: dict[str, Any] = {}
    if any(urlsplit(host).scheme == "https" for host in hosts):
        options["ssl_context"] = (tls or Tls()).context()
    if username is not None:
        # The client's own `http_auth` knows Latin-1 only.
        login = b64encode(f"{username}:{password or ''}".encode()).decode()
        options["headers"] = {"authorization": f"Basic {login}"}
    return AsyncOpenSearch(
        hosts=hosts,
        transport_class=NodesTransport,
        on_node=on_node,
        pool_maxsize=pool,
        serializer=_Serializer(),
        # One more try, so that an idle connection closed by the server does not cost an answer.
        max_retries=1,
        retry_on_status=(),
        retry_on_timeout=False,
        **options,
    )


@contextmanager
def translated(index: str) -> Iterator[None]:
    """Raise our errors instead of the client's, one line each, with the remedy where we know it."""
    try:
        yield
    except RetrievalError:
        raise
    except (TimeoutError, ConnectionTimeout) as error:
        raise RetrievalTimeout("OpenSearch did not answer in time") from error
    except NotFoundError as error:
        raise missing(index) from error
    except AuthenticationException as error:
        raise RetrievalUnavailable(
            "OpenSearch refused our credentials: check INTERESTS_OPENSEARCH_USERNAME and "
            "INTERESTS_OPENSEARCH_PASSWORD"
        ) from error
    except SSLError as error:
        raise RetrievalUnavailable(f"OpenSearch's certificate was refused: {error.info}") from error
    except AuthorizationException as error:
        said = explained(*_kind_and_reason(error)) or (
            f"OpenSearch's address refuses the call: {_reason(error)}; is a proxy in between?"
        )
        raise RetrievalUnavailable(said) from error
    except TransportError as error:
        said = explained(*_kind_and_reason(error)) or f"OpenSearch failed: {_reason(error)}"
        raise RetrievalUnavailable(said) from error
    except OpenSearchException as error:
        raise RetrievalUnavailable(f"OpenSearch failed: {error}") from error


def missing(index: str) -> RetrievalUnavailable:
    """The error for an index that is not there."""
    return RetrievalUnavailable(
        f"OpenSearch has no index {index!r}: load one with `interests index load FILE…`"
    )


def explained(kind: object, reason: object) -> str | None:
    """What OpenSearch's refusal means and what to do; None for what is no refusal.

    `kind` and `reason` are those of its error: a block and a missing permission are both 403.
    """
    said = " ".join(str(reason).split())
    if kind == "security_exception":
        # Its own words name the user and the roles, which is more than an answer should show.
        missing_one = re.search(r"no permissions for \[([^\]]+)\]", said)
        what = f"the permission {missing_one[1]}" if missing_one else "what this call needs"
        return f"OpenSearch's user lacks {what}: grant it to the role"
    if kind == "cluster_block_exception":
        full = re.search(r"flood|/12/", said)
        remedy = (
            "free room on its disks" if full else "lift the block (index.blocks or cluster.blocks)"
        )
        return f"OpenSearch has blocked it: {said}; {remedy}"
    if "unknown setting [index.knn]" in said or "No handler for type [knn_vector]" in said:
        return (
            "OpenSearch lacks the k-NN plugin, which keeps an encoder's vectors: install "
            "`opensearch-knn` on every node, or load without an encoder"
        )
    return None


def _kind_and_reason(error: TransportError) -> tuple[object, object]:
    about = error.info.get("error") if isinstance(error.info, dict) else None
    return (about.get("type"), about.get("reason")) if isinstance(about, dict) else (None, None)


def _reason(error: TransportError) -> str:
    info = error.info
    if isinstance(info, dict) and isinstance(info.get("error"), dict):
        return f"{error.status_code}, {info['error'].get('reason') or error.error}"
    text = str(info if error.status_code == "N/A" else f"{error.status_code}, {error.error}")
    return text.splitlines()[0] if text else type(error).__name__


class _Serializer(JSONSerializer):
    """orjson for the answers: eight lists of fifty hits are the gateway's largest JSON."""

    def loads(self, s: str) -> Any:
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise RetrievalUnavailable("OpenSearch's address answers something else") from error
