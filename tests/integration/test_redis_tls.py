"""TLS to Redis, one-sided and mutual. Real handshakes end in a relay before a real server."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from service.errors import SignalsUnavailable
from service.records import Signal
from service.redis.client import connect
from service.signals.store import RedisSignalStore
from service.tls import Tls
from tests.parts.redis import RedisServer, soon
from tests.parts.wire import Wire

pytestmark = pytest.mark.redis


class Certificates:
    """An authority, a server's context, and a client's files."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.cert_file = folder / "client.pem"
        self.key_file = folder / "client.key"
        self._authority.cert_pem.write_to_path(self.ca_file)
        client = self._authority.issue_cert("client.example")
        client.cert_chain_pems[0].write_to_path(self.cert_file)
        client.private_key_pem.write_to_path(self.key_file)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(host).configure_cert(self.context)

    @property
    def trusted(self) -> Tls:
        """Trust in this authority, without a certificate of our own."""
        return Tls(ca_file=self.ca_file)

    @property
    def with_certificate(self) -> Tls:
        """The same, with one."""
        return Tls(ca_file=self.ca_file, cert_file=self.cert_file, key_file=self.key_file)

    def ask_for_clients(self) -> None:
        """Refuse clients without a certificate of the same authority."""
        self.context.verify_mode = ssl.CERT_REQUIRED
        self._authority.configure_trust(self.context)


async def works(store: RedisSignalStore) -> None:
    try:
        one = Signal(1, "search", "eclipse", "e1")
        assert (await store.append("u", [one], soon())).dropped == 0
        assert (await store.get("u", soon())).signals == (one,)
    finally:
        await store.close()


async def refused(store: RedisSignalStore, why: str) -> None:
    try:
        with pytest.raises(SignalsUnavailable, match=why):
            await store.get("u", soon())
    finally:
        await store.close()


async def test_a_server_whose_authority_is_trusted_is_served(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    tls = Certificates(tmp_path)
    async with Wire(redis_server.port, tls=tls.context) as wire:
        await works(RedisSignalStore(connect(f"rediss://127.0.0.1:{wire.port}", tls=tls.trusted)))


async def test_an_unknown_authority_or_another_name_is_refused(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    tls = Certificates(tmp_path, host="redis.example")
    async with Wire(redis_server.port, tls=tls.context) as wire:
        url = f"rediss://127.0.0.1:{wire.port}"
        await refused(RedisSignalStore(connect(url)), "(?i)certificate verify failed")
        await refused(RedisSignalStore(connect(url, tls=tls.trusted)), "(?i)mismatch|not valid")
        await works(RedisSignalStore(connect(url, tls=Tls(verify=False))))


async def test_mutual_tls_shows_our_certificate_and_is_refused_without(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    tls = Certificates(tmp_path)
    tls.ask_for_clients()
    async with Wire(redis_server.port, tls=tls.context) as wire:
        url = f"rediss://127.0.0.1:{wire.port}"
        await refused(RedisSignalStore(connect(url, tls=tls.trusted)), "Redis")
        ours = connect(url, tls=tls.with_certificate)
        await works(RedisSignalStore(ours))


async def test_tls_and_a_password_go_together(tmp_path: Path) -> None:
    server = RedisServer(password="sesame").start()
    tls = Certificates(tmp_path)
    try:
        async with Wire(server.port, tls=tls.context) as wire:
            url = f"rediss://:sesame@127.0.0.1:{wire.port}"
            await works(RedisSignalStore(connect(url, tls=tls.trusted)))
    finally:
        server.close()


async def test_plain_text_to_a_tls_port_fails_within_the_deadline(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    tls = Certificates(tmp_path)
    async with Wire(redis_server.port, tls=tls.context) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}"))
        until = soon(1)
        with pytest.raises(SignalsUnavailable):
            await store.get("u", until)
        assert soon(0) < until + 2
        await store.close()
