"""Hosts and ports as sockets and URLs take them: an IPv6 address is of another family, and stands
in brackets (RFC 3986, 3.2.2)."""

from __future__ import annotations

import socket


def family_of(host: str) -> socket.AddressFamily:
    """The family of the sockets that bind to this host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def authority(host: str, port: int) -> str:
    """`host:port` as a URL holds it. A zone's `%` is left alone (`fe80::1%eth0`)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
