"""The variables that Kubernetes sets in every container, for each Service of its namespace.

A Service called `interests-redis` brings `INTERESTS_REDIS_SERVICE_HOST`, `INTERESTS_REDIS_PORT` and
more ("service links"), whose names look like settings of ours:
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

_HOST = "SERVICE_HOST"
_URL = re.compile(r"(tcp|udp|sctp)://[0-9a-fA-F.:\[\]]+:\d+")
_FAMILY = (
    (re.compile(r"SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)_PORT"), re.compile(r"\d+")),
    (re.compile(r"PORT(_\d+_(TCP|UDP|SCTP))?"), _URL),
    (re.compile(r"PORT_\d+_(TCP|UDP|SCTP)_PROTO"), re.compile(r"tcp|udp|sctp")),
    (re.compile(r"SERVICE_HOST|PORT_\d+_(TCP|UDP|SCTP)_ADDR"), re.compile(r"[0-9a-fA-F.:]+")),
)
"""What follows the Service's own name, and what such a variable holds."""


def is_service_url(value: str) -> bool:
    """Whether this is what `…_PORT` holds: `tcp://10.0.0.1:8080`."""
    return _URL.fullmatch(value) is not None


def service_links(environment: Mapping[str, str]) -> frozenset[str]:
    """The names in `environment` that are service links, by name and by value.

    Each Service has its `…_SERVICE_HOST`: without that, a name that looks like one is none.
    """
    services = [
        name.removesuffix(_HOST)
        for name, value in environment.items()
        if name.endswith(_HOST) and _is_address(value)
    ]
    return frozenset(
        name
        for service in services
        for name, value in environment.items()
        if name.startswith(service) and _belongs(name.removeprefix(service), value)
    )


def _belongs(rest: str, value: str) -> bool:
    return any(name.fullmatch(rest) and held.fullmatch(value) for name, held in _FAMILY)


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
