# SPDX-License-Identifier: MIT
"""Wrong variables of a profile are named with the value found and what is allowed, and never with a password."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from keyfleet.core.profile.validation import address_problem, profile_problems
from keyfleet.core.profile.values import at_address, profile_values

SECRET = "s3cret-of-the-reader"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()
ARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/redis/reader"
ENDPOINT = {"name": "default", "host": "192.0.2.1", "port": 6379, "password": None, "users": {"reader": [HASH]}}
MANAGED = {name: value for name, value in ENDPOINT.items() if name != "users"}
READER = {"name": "reader", "password": SECRET}


def problems(**given: Any) -> list[str]:
    """Return the problems of one endpoint and one user, changed as given."""
    desired = {"endpoints": [ENDPOINT], "forms": ["dotenv"], "users": [READER], "secret_arns": {}}
    return profile_problems(**{**desired, **given})


def test_good_variables_pass() -> None:
    """Also where the server's users are not known, as with a managed server, and where the password is not made yet."""
    assert [] == problems()
    assert [] == problems(endpoints=[{**ENDPOINT, "users": {"reader": ["0" * 64, HASH]}}])
    assert [] == problems(endpoints=[MANAGED], users=[{**READER, "instances": ["default"]}])
    assert [] == problems(forms=["ecs"], users=[{**READER, "ecs_secret_arn": ARN}], secret_arns={"default": ARN})
    assert [] == problems(forms=["ecs"], endpoints=[{**ENDPOINT, "password": ""}], users=[])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"endpoints": [{**MANAGED, "name": "../x"}], "users": []}, ["redis_endpoint_instances[../x].name", "64"]),
        ({"endpoints": [MANAGED, MANAGED], "users": []}, ["redis_endpoint_instances", "'default' twice"]),
        ({"endpoints": [MANAGED], "users": [{**READER, "name": "a b"}]}, ["redis_endpoint_users[a b].name", "64"]),
        ({"endpoints": [MANAGED], "users": [{**READER, "name": "../x"}]}, ["redis_endpoint_users[../x].name"]),
        ({"endpoints": [MANAGED], "users": [{**READER, "name": "default"}]}, ["redis_endpoint_users[default].name", "not 'default'"]),
        ({"users": [READER, READER]}, ["redis_endpoint_users", "'reader' twice"]),
        ({"users": [{**READER, "password": ""}]}, ["redis_endpoint_users[reader].password is not given"]),
        ({"users": [{**READER, "instances": ["cache"]}]}, ["redis_endpoint_users[reader].instances has 'cache'", "default"]),
        ({"users": [{**READER, "name": "writer"}]}, ["redis_endpoint_users[writer]", "no such user", "reader"]),
        ({"users": [{**READER, "password": "another-s3cret"}]}, ["redis_endpoint_users[reader].password", "hash", "default"]),
        ({"forms": ["ecs"], "users": []}, ["redis_endpoint_ecs_secret_arns[default] is ''", "arn:aws:secretsmanager"]),
        ({"forms": ["ecs"], "users": [], "secret_arns": {"default": "redis"}}, ["redis_endpoint_ecs_secret_arns[default] is 'redis'"]),
        ({"forms": ["ecs"], "secret_arns": {"default": ARN}}, ["redis_endpoint_users[reader].ecs_secret_arn is ''"]),
        (
            {"forms": ["systemd", "kubernetes"], "endpoints": [{**ENDPOINT, "unix_socket": "/run/x"}]},
            ["redis_endpoint_forms has kubernetes,", "instance default", "socket"],
        ),
        ({"endpoints": [{**ENDPOINT, "password": "s3cret\nline"}]}, ["password of instance default", "control character"]),
        ({"endpoints": [{**ENDPOINT, "password": "s3cret${HOME}"}]}, ["password of instance default", "'${'", "dotenv"]),
        ({"endpoints": [{**ENDPOINT, "password": "s3cret\\"}]}, ["password of instance default", "backslash", "dotenv"]),
    ],
)
def test_wrong_variables_are_named(given: dict[str, Any], words: list[str]) -> None:
    """One problem each, whole."""
    (problem,) = problems(**given)
    assert [] == [word for word in words if word not in problem], problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("address", ["redis://cache", "cache.example.org:6379", "a b", "-x", "::1", "x" * 300])
def test_an_address_is_a_name(address: str) -> None:
    """Ports are those of the servers."""
    assert address_problem(address).startswith(f"redis_endpoint_address is {address!r}: give a host name")
    assert ["", "", ""] == [address_problem(one) for one in ("", "clustercfg.orders.example.org", "cache_1")]


def test_an_address_replaces_those_of_servers_and_sentinels() -> None:
    """Of a single node, a cluster and a replication; a socket stays one."""
    tls = {**MANAGED, "tls": "only", "ca_file": "/x/ca.pem"}
    name = "cache.example.org"
    single, cluster, watched, local, same = (
        profile_values(at_address(endpoint, to))
        for endpoint, to in (
            (tls, name),
            ({**tls, "cluster_nodes": ["192.0.2.1:6379", "192.0.2.2:6379"]}, name),
            ({**tls, "sentinels": ["192.0.2.1:26379"], "service": "orders", "sentinel_password": "x"}, name),
            ({**tls, "unix_socket": "/run/x.sock"}, name),
            (tls, ""),
        )
    )
    assert ("cache.example.org", "6379", "true") == (single["REDIS_HOST"], single["REDIS_PORT"], single["REDIS_TLS_ENABLED"])
    assert "cache.example.org:6379" == cluster["REDIS_CLUSTER_NODES"]
    assert single == watched
    assert ("unix:///run/x.sock", "192.0.2.1") == (local["REDIS_URL"], same["REDIS_HOST"])
