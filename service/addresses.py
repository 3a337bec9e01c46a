"""Hosts and ports as sockets and URLs take them: an IPv6 address is of another family, and stands
in brackets (RFC 3986, 3.2.2)."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult, urlsplit

from service.errors import ConfigurationError


def family_of(host: str) -> socket.AddressFamily:
    """The family of the sockets that bind to this host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def authority(host: str, port: int) -> str:
    """`host:port` as a URL holds it. A zone's `%` is left alone (`fe80::1%eth0`)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def authority_of(url: SplitResult) -> str:
    """What the header `Host` says of a URL's server: its port only where the URL names one."""
    host = url.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()
    if url.port is not None:
        return authority(host, url.port)
    return f"[{host}]" if ":" in host else host


def http_url(url: str, what: str, *, password: bool = False) -> SplitResult:
    """The parts of the URL of an HTTP server; `what` names it in an error.

    Raises `ConfigurationError` where it has no host, another scheme, a port that cannot be, or a
    password although `password` is False: keys have settings of their own.
    """
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise ConfigurationError(f"{what} {url!r}: say http://HOST:PORT or https://…")
    if not password and (parts.username or parts.password):
        raise ConfigurationError(f"{what} holds a password: give the key as api_key instead")
    return parts
