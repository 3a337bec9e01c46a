"""What callers are told of a fault: what happened, but not where this service's parts are."""

from __future__ import annotations

import re

_SAID = 300
"""Characters of a fault that are told."""
_HOST = re.compile(
    r"""
    \b[a-z][a-z0-9+-]{0,20}://[^\s'",;)\]]+      # a URL
    | \[[0-9a-f:.]+(?:%[\w.-]+)?\](?::\d{1,5})?  # IPv6 in brackets
    | \b\d{1,3}(?:\.\d{1,3}){3}\b(?:[:/]\d{1,5})?  # IPv4
    | (?<![\w.-])[a-z][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}:\d{2,5}\b  # name:port
    """,
    re.IGNORECASE | re.VERBOSE,
)


def without_hosts(fault: str) -> str:
    """The text with each URL, address and `host:port` in it replaced by "a host"; at most 300
    characters of it. The log has the whole.
    """
    return _HOST.sub("a host", fault[:_SAID])
