"""Hosts and ports, as URLs and sockets take them."""

from __future__ import annotations

import socket

import httpx
import pytest

from service.addresses import authority, authority_of, family_of, http_url
from service.errors import ConfigurationError


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "gateway.internal", "::1", "::", "0.0.0.0"]
)
def test_a_url_of_any_host_names_that_host_and_that_port(host: str) -> None:
    url = httpx.URL(f"http://{authority(host, 8080)}/readyz")
    assert (url.host, url.port, url.path) == (host, 8080, "/readyz")


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("localhost", socket.AF_INET), ("::1", socket.AF_INET6)],
)
def test_a_host_is_bound_by_a_socket_of_its_family(host: str, family: int) -> None:
    assert family_of(host) == family


@pytest.mark.parametrize(
    "url",
    ["", "engine:80", "ftp://host", "http://", "http://host:99999", "http://host:x", "http://h:0",
     "http://[::1", "//host:80"],
)  # fmt: skip
def test_a_url_that_no_http_server_can_have_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"engine URL .*: say http://HOST:PORT"):
        http_url(url, "engine URL")


def test_a_password_in_a_url_is_refused_unless_there_is_no_other_place_for_it() -> None:
    with pytest.raises(ConfigurationError, match="give the key as api_key"):
        http_url("https://me:secret@host", "engine URL")
    assert http_url("https://me:secret@host:9200", "index", password=True).port == 9200


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://engine", "engine"),
        ("http://engine:8000/v1", "engine:8000"),
        ("https://[::1]:8000", "[::1]:8000"),
        ("https://[::1]", "[::1]"),
        ("http://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_server_is_named_in_a_request_as_in_its_url(url: str, host: str) -> None:
    assert authority_of(http_url(url, "engine URL")) == host
