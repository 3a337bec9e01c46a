"""Callers' keys: who calls, and what the key may do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = b"x-api-key"
_AUTHORIZATION = b"authorization"
_BEARER = b"bearer"


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller and its rights."""

    name: str
    rights: frozenset[str]


class KeyRing:
    """Finds the caller of a key. Without keys everybody may do everything.

    Keys are held and compared as SHA-256 digests: a dictionary look-up on a digest tells an
    attacker nothing about how much of a guess was right.
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[tuple[str, ...], frozenset[str]]],
        everything: frozenset[str],
    ):
        """`keys`: name → (secrets, each of them valid, and rights).

        `everything`: the rights when there are no keys.
        """
        self._open = Caller("anonymous", everything) if not keys else None
        self._named = {name: Caller(name, rights) for name, (_, rights) in keys.items()}
        self._callers = {
            _digest(secret.encode()): self._named[name]
            for name, (secrets, _) in keys.items()
            for secret in secrets
        }

    @property
    def is_open(self) -> bool:
        """True when no key is asked for."""
        return self._open is not None

    def find(self, key: bytes | None) -> Caller | None:
        """The caller of this key; None when it is missing or unknown."""
        if self._open is not None:
            return self._open
        if key is None:
            return None
        return self._callers.get(_digest(key))

    def replace(self, name: str, secrets: tuple[str, ...]) -> None:
        """From now on these are the secrets of this caller, and no others.

        Raises `ValueError` where one of them is another caller's; then nothing changes.
        """
        caller = self._named[name]
        left = {digest: other for digest, other in self._callers.items() if other is not caller}
        for digest in (_digest(secret.encode()) for secret in secrets):
            if digest in left:
                raise ValueError(f"has a secret of {left[digest].name!r}: give each its own")
        self._callers = left | {_digest(secret.encode()): caller for secret in secrets}


def key_in(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request sends: as `X-API-Key`, else as `Authorization: Bearer` (RFC 6750)."""
    return headers[_HEADER] if _HEADER in headers else _bearer(headers)


def challenge(headers: Mapping[bytes, bytes], error: str) -> tuple[bytes, bytes]:
    """The header of a refusal that says how to send a key (RFC 6750, section 3).

    `error` is RFC 6750's word for what is wrong, told only where a bearer token was what counted.
    """
    is_bearer = _HEADER not in headers and _bearer(headers) is not None
    told = f', error="{error}"' if is_bearer else ""
    return b"www-authenticate", f'Bearer realm="interests"{told}'.encode()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _bearer(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, token = headers.get(_AUTHORIZATION, b"").partition(b" ")
    return token.strip(b" ") if scheme.lower() == _BEARER else None
