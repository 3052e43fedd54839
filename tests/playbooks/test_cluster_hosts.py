"""A cluster of another name and engine, whose nodes announce names and translated addresses, and whose hosts are lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyfleet import Client
from keyfleet.core.connect.settings import Settings
from keyfleet.core.connect.values import split_address
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import free_port, wait_until
from support.clusters import MOST_HOSTS, addresses, describe_cluster, port_of, run_on, shape, wait_until_whole
from support.forwarding import Forwarder, other_name
from support.playbooks import Deployment, deployments

NAME = "shop"
KEYS = {f"key:{number}": str(number) for number in range(500)}


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """Yield the inventory of a cluster of six Valkey hosts, each behind an address of its own, not deployed yet."""
    outside = [f"127.0.1.{number}" for number in range(1, MOST_HOSTS + 1)]
    port = free_port(*outside, bus=True)
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        binaries = str(Path(find_binary("valkey-8.1")).parent)
        describe_cluster(found, redis_deployment=NAME, redis_server_engine="valkey", redis_server_bin_dir=binaries)
        inside = port_of(found)
        places = {}
        for number, (variables, host) in enumerate(zip(found.host_variables.values(), outside), 1):
            announced = {"ip": host, "port": port, "bus-port": port + 10_000, "hostname": other_name(host)}
            directives = variables["redis_server_instances"][0]["directives"]
            directives.update({f"cluster-announce-{option}": value for option, value in announced.items()})
            directives["cluster-preferred-endpoint-type"] = "hostname"
            variables["redis_cluster_zone"] = f"zone{number % 3}"
            places.update({(host, port + more): (f"127.0.0.{number}", inside + more) for more in (0, 10_000)})
        with Forwarder(places):
            yield found


def profile_settings(deployment: Deployment, host: str) -> Settings:
    """Return the settings of an application that reads the profile of a host."""
    (path,) = deployment.inventory.glob(f"{NAME}*@{host}.env")
    lines = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    nodes = tuple(map(split_address, lines["REDIS_CLUSTER_NODES"].split(",")))
    return Settings(cluster_nodes=nodes, password=deployment.password(NAME), timeout_seconds=10.0)


def holds(deployment: Deployment, host: str) -> bool:
    """Whether an application finds KEYS."""
    with Client.from_settings(profile_settings(deployment, host)) as client:
        return {key: client.get(key) for key in KEYS} == KEYS


def lose(deployment: Deployment, *lost: str) -> None:
    """Lose the hosts of these addresses, and wait until the others call them failed."""
    hosts = [host for host in deployment.hosts if addresses(deployment)[deployment.hosts.index(host)] in lost]
    for host in hosts:
        deployment.lose(host)
    asked = next(address for address in addresses(deployment) if address not in lost)

    def are_failed() -> bool:
        table = run_on(deployment, asked, "CLUSTER", "NODES").decode().splitlines()
        return len(hosts) == sum("fail" in line.split()[2].split(",") for line in table)

    wait_until(are_failed, "the lost nodes to be called failed", 60)
    deployment.retired = hosts


def members_of(deployment: Deployment, shard: str) -> set[str]:
    """Return the addresses of the members of the shard of the primary *shard*."""
    name = run_on(deployment, shard, "CLUSTER", "MYID").decode()
    rows = run_on(deployment, shard, "CLUSTER", "NODES").decode().splitlines()
    hosts = {line.split()[1].partition(":")[0].replace("127.0.1.", "127.0.0.") for line in rows if name in line.split()[0:4:3]}
    return {address for address in addresses(deployment) if split_address(address)[0] in hosts}


def test_announced_by_name_and_hosts_that_are_lost(deployment: Deployment) -> None:
    """
    Clients are sent to names. Two lost machines are replaced in one run, a primary's by its replica, and every key is there.

    A lost shard is refused before anything is changed.
    """
    created = deployment.run().ok()
    assert "ok" == created.result("redis_cluster")["health"]["verdict"]
    settings = profile_settings(deployment, "node2")
    assert {other_name(f"127.0.1.{number}") for number in range(1, 7)} == {host for host, _port in settings.cluster_nodes}
    assert other_name("127.0.1.2") == settings.cluster_nodes[0][0]
    with Client.from_settings(settings) as client:
        for key, value in KEYS.items():
            client.set(key, value)
    again = deployment.run().ok()
    assert ([], 7) == (again.changed, len(again.execs))

    first, second, *_rest = shape(deployment)
    (replica,) = members_of(deployment, second) - {second}
    lose(deployment, first, replica)
    lost, deployment.hosts = list(deployment.retired), [*deployment.hosts, "node7", "node8"]
    replaced = deployment.run().ok()
    assert 2 == sum(step.startswith("forget ") for step in replaced.result("redis_cluster")["steps"])
    assert [f"{host} could not be reached, and has left the deployment" in "".join(replaced.messages) for host in lost] == [True, True]
    deployment.hosts = [host for host in deployment.hosts if host not in lost]
    assert ([1, 1, 1], True) == ([replicas for _slots, replicas in shape(deployment).values()], holds(deployment, "node7"))
    assert [] == [path for host in lost for path in deployment.inventory.glob(f"*@{host}*")]
    deployment.hosts = [*deployment.hosts, *lost]
    assert [] == deployment.run().ok().changed

    deployment.hosts, deployment.retired = [host for host in deployment.hosts if host not in lost], ()
    wait_until_whole(deployment)
    shard = next(iter(shape(deployment)))
    lose(deployment, *members_of(deployment, shard))
    deployment.variables["redis_cluster_replicas"] = 0
    before = run_on(deployment, next(iter(shape_of_rest(deployment))), "CLUSTER", "NODES").decode().count("\n")
    refused = deployment.run()
    assert 2 == refused.rc
    assert "is gone, it owned slots" in refused.failures
    assert "no replica of it is left" in refused.failures
    assert before == run_on(deployment, next(iter(shape_of_rest(deployment))), "CLUSTER", "NODES").decode().count("\n")


def shape_of_rest(deployment: Deployment) -> list[str]:
    """Return the addresses of the hosts that are not lost."""
    pairs = zip(deployment.hosts, addresses(deployment))
    return [address for host, address in pairs if host not in deployment.retired]
