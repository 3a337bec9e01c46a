"""What callers are told of faults names no host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.discreet import without_hosts


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "Redis failed: Error 111 connecting to redis.internal:6379. Connection refused.",
            "Redis failed: Error 111 connecting to a host. Connection refused.",
        ),
        ("connecting to 10.0.3.7:6379 failed", "connecting to a host failed"),
        ("Connect call failed ('10.0.3.7', 6379)", "Connect call failed ('a host', 6379)"),
        ("engine http://vllm-0.vllm:8000/v1 is ejected", "engine a host is ejected"),
        ("no route to [fe80::1%eth0]:9200", "no route to a host"),
        ("MOVED 1234 redis-2:7001", "MOVED 1234 a host"),
    ],
)
def test_hosts_are_left_out(fault: str, told: str) -> None:
    assert without_hosts(fault) == told


@pytest.mark.parametrize(
    "fault",
    [
        "no answer within 1 s",
        "OpenSearch has no index 'articles': load one with `interests index load FILE…`",
        "the article index was written by version 0.22.1",
        "until 18:05",
        "warming: not asked yet",
    ],
)
def test_what_names_no_host_stays_as_it_is(fault: str) -> None:
    assert without_hosts(fault) == fault


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,8}){1,3}", fullmatch=True),
    st.integers(100, 65535),
)
def test_no_name_with_a_port_is_told(host: str, port: int) -> None:
    assert host not in without_hosts(f"connecting to {host}:{port} failed")
    assert host not in without_hosts(f"http://{host}:{port}/ answered 500")


def test_a_long_fault_is_cut() -> None:
    assert len(without_hosts("x " * 100_000)) <= 300
