"""Hosts and ports, as URLs and sockets take them."""

from __future__ import annotations

import socket

import httpx
import pytest

from service.addresses import authority, family_of


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
