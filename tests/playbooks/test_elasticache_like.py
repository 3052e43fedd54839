# SPDX-License-Identifier: GPL-3.0-or-later
"""inventories/elasticache-like by site.yml on loopback: each shape deployed, then used with what an application is given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ansible_collections.keyfleet.redis.plugins.plugin_utils.x509 import certificates_in, inspect, issue, make_ca
from keyfleet import CertificateError, Client
from support.like_elasticache import GROUPS, LikeElastiCache
from support.load import Load
from support.managed import assert_denied, resolved

DIRECTIVES = ("port", "extended-redis-compatibility", "tls-replication")


@pytest.fixture(params=[pytest.param(shape, marks=[pytest.mark.full] if shape == "serverless" else []) for shape in GROUPS])
def service(request: pytest.FixtureRequest) -> Iterator[LikeElastiCache]:
    """A shape of the inventory, not deployed yet."""
    found = LikeElastiCache(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp")), shape=request.param)
    try:
        found.describe()
        yield found
    finally:
        found.stop_everything()


def hand_over_replication(service: LikeElastiCache, client: Client) -> None:
    """The reader's name leads to a replica. After failover.yml and a change of the names, no acknowledged write is missing."""
    with Client.from_settings(service.settings(host=service.reader)) as reading:
        assert b"slave" == reading.execute("ROLE")[0]
    client.set("before", "1")
    service.run(playbook="playbooks/failover.yml").ok()
    service.names[service.endpoint], service.names[service.reader] = service.names[service.reader], service.names[service.endpoint]
    client.set("after", "1")
    assert {"before": "1", "after": "1"} == client.get_many(["before", "after"])


def hand_over_cluster(service: LikeElastiCache, client: Client) -> None:
    """Announced names lead to the next primaries, with the configuration endpoint alone in the profile: no call fails."""
    with Load([lambda number: client.set(f"moved:{number}", str(number))]) as load:
        load.go_on()
        service.run(playbook="playbooks/failover.yml").ok()
        load.go_on()
    assert [] == load.errors
    (worker,) = load.workers
    assert all(client.get(f"moved:{number}") == str(number) for number in worker.done)


@pytest.mark.slow
def test_a_shape_is_deployed_and_used(service: LikeElastiCache) -> None:
    """A second run changes nothing. Applications find what ElastiCache has, and keyfleet keeps its rights."""
    service.run().ok()
    assert [] == service.run().ok().changed
    settings = service.settings()
    place = [settings.host] if service.shape == "disabled" else [host for host, _port in settings.cluster_nodes]
    assert ([service.endpoint], True, service.user or None) == (place, settings.tls, settings.username)

    address = service.names[service.endpoint][0]
    with pytest.raises(redis.ConnectionError):
        service.client(service.port, host=address, password=settings.password).ping()
    assert ["0", "yes", "yes"] == [service.directive(name) for name in DIRECTIVES]

    with resolved(service.names), Client.from_settings(settings) as client:
        entries = {f"like:{number}": str(number) for number in range(50)}
        client.set_many(entries)
        assert entries == client.get_many(entries)
        report = client.health(write_probe=True)
        assert ("ok", []) == (report.verdict, report.reasons)
        assert_denied(settings, service.administrator(), service.shape)
        for wrong in ({"tls_server_name": "master.other.example.test"}, {"tls_ca_file": None}):
            with pytest.raises(CertificateError), Client.from_settings(service.settings(**wrong)) as refused:
                refused.get("like:0")
        if service.shape == "disabled":
            hand_over_replication(service, client)
        if service.shape == "enabled":
            hand_over_cluster(service, client)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "rules": ({"redis_server_command_rules": "aws"}, "redis_server_command_rules"),
    "denied": (
        {"redis_server_users": [{"name": "ops", "passwords": ["This-is-a-password"], "commands": ["config|get"]}]},
        "[ops].commands has 'config|get', which elasticache denies to every user",
    ),
    "token": ({"redis_server_password": "This/is@a'token!!"}, "has a character that elasticache takes in no AUTH token"),
    "short": ({"redis_server_password": "too-short"}, "has 9 characters: elasticache takes 16 to 128"),
    "port": ({"redis_endpoint_address": "clustercfg.orders.example.org:6379"}, "give a host name, such as cache.example.org"),
}


@pytest.mark.parametrize("service", ["enabled"], indirect=True)
def test_bad_input_is_refused_before_anything_is_touched(service: LikeElastiCache, tmp_path: Path) -> None:
    """Each with the variable and the reason; the certificate must hold the name in the profile."""
    ca = make_ca("a CA", 30)
    leaf = issue(ca, "cache", ["*.other.example.org", *(values["ansible_host"] for values in service.host_variables.values())], 10)
    for name, text in (("ca.crt", certificates_in(ca)[0]), ("leaf.pem", leaf)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    files = {"redis_tls_ca_file": "ca.crt", "redis_tls_certificate_file": "leaf.pem", "redis_tls_key_file": "leaf.pem"}
    given = {"redis_tls_source": "files", **{name: str(tmp_path / file) for name, file in files.items()}}
    for changes, words in [*BAD.values(), (given, "clustercfg.orders.example.org")]:
        run = service.run(playbook="playbooks/validate.yml", **changes)
        assert 0 != run.rc
        assert words in run.failures, run.failures or run.output[-3000:]
    assert {} == {path: state for path, state in service.tree().items() if path.count("/") > 4}
    shutil.rmtree(service.inventory)
    service.run(playbook="playbooks/validate.yml").ok()
    (own,) = (service.inventory / ".keyfleet/orders/tls/hosts").glob("orders-001.*.pem")
    names = inspect(own.read_text(encoding="utf-8")).names
    assert {"*.orders.example.org", service.endpoint, service.hosts[0]} <= names
