from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.redis.client import SingleServer, connect
from service.redis.cluster import Cluster
from service.tls import Tls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://:6379",
        "redis://host:port",
        "redis://host:99999",
        "redis://[::1",
        "redis://a,b",
        "redis://host/zero",
        "redis://host/0?db=1",
        "redis-cluster://a:1,b:2/1",
        "redis-cluster://a:1,,b:2",
    ],
)
def test_an_unusable_url_is_refused_naming_the_variable_and_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="INTERESTS_REDIS_URL"):
        connect(url)
    if "://h" in url:
        with pytest.raises(ConfigurationError) as refused:
            connect(url.replace("://h", "://:sesame@h"))
        assert "sesame" not in str(refused.value)


def test_a_server_url_says_host_port_database_and_login() -> None:
    client = connect("redis://ann:s%40y@redis.example:7000/3", username="no", password="no")
    assert isinstance(client, SingleServer)
    arguments = client.redis.connection_pool.connection_kwargs
    assert (arguments["host"], arguments["port"], arguments["db"]) == ("redis.example", 7000, 3)
    assert (arguments["username"], arguments["password"]) == ("ann", "s@y")


def test_settings_log_in_where_the_url_does_not() -> None:
    client = connect("redis://[::1]", username="ann", password="word")
    assert isinstance(client, SingleServer)
    arguments = client.redis.connection_pool.connection_kwargs
    assert (arguments["host"], arguments["port"]) == ("::1", 6379)
    assert (arguments["username"], arguments["password"]) == ("ann", "word")


def test_a_cluster_url_names_its_nodes() -> None:
    client = connect("redis-cluster://10.0.0.1:7000,10.0.0.2")
    assert isinstance(client, Cluster)
    names = {node.name for node in client.redis.nodes_manager.startup_nodes.values()}
    assert names == {"10.0.0.1:7000", "10.0.0.2:6379"}


def test_certificates_are_checked_before_they_are_needed(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with pytest.raises(ConfigurationError, match=r"CA_FILE: .*ca\.pem is not a file"):
        connect("rediss://host", tls=Tls(ca_file=ca_file))
    ca_file.touch()
    with pytest.raises(ConfigurationError, match="CA_FILE needs a rediss:// URL"):
        connect("redis://host", tls=Tls(ca_file=ca_file))
    with pytest.raises(ConfigurationError, match="KEY_FILE needs TLS__CERT_FILE"):
        connect("rediss://host", tls=Tls(key_file=ca_file))
