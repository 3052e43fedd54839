# SPDX-License-Identifier: MIT
"""An instance as a node of a cluster: deployed, unchanged by the next run, restarted as the same node, and never made of another server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from keyfleet.core.acl.model import ADMIN, REPLICATION, replication_password
from keyfleet.core.errors import RefusedError, ServiceError
from keyfleet.testing._server import free_port, wait_until
from support.instances import LiveInstance

ON_EVERY_SERVER = True
ADMIN_PASSWORD, NEXT_PASSWORD = "of-the-administrator", "of-the-next-one"


@pytest.fixture
def node(live: LiveInstance) -> LiveInstance:
    """An instance that is to be a node, not deployed yet."""
    live.topology = "cluster"
    live.options["port"] = free_port("127.0.0.1", bus=True)
    live.host = replace(live.host, admin_passwords=(ADMIN_PASSWORD,))
    return live


def whoami(live: LiveInstance) -> str:
    """Return the id of the node."""
    with live.client() as client:
        return str(client.execute_command("CLUSTER", "MYID"))


def test_a_node_is_deployed_and_kept(node: LiveInstance) -> None:
    """With bus port, nodes.conf beside its data, and the user of replicas; the second run changes nothing."""
    assert "started" == node.settle().action
    wanted = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-port": str(node.options["port"] + 10_000)}
    assert wanted == {name: node.active(name) for name in wanted}
    assert (REPLICATION, replication_password(ADMIN_PASSWORD)) == (node.active("masteruser"), node.active("masterauth"))
    with node.client(username=ADMIN, password=ADMIN_PASSWORD) as client:
        assert {ADMIN, REPLICATION, "default"} == set(client.acl_users())
    again = node.settle()
    assert ("unchanged", [], []) == (again.action, again.restart_needed, again.steps)


def test_the_password_of_replicas_changes_live(node: LiveInstance) -> None:
    """With that of the administrator; both are accepted until the change ends, and neither is shown."""
    node.settle()
    node.host = replace(node.host, admin_passwords=(NEXT_PASSWORD, ADMIN_PASSWORD))
    found = node.settle()
    assert ("adjusted", []) == (found.action, found.restart_needed)
    assert replication_password(NEXT_PASSWORD) == node.active("masterauth")
    for password in (ADMIN_PASSWORD, NEXT_PASSWORD):
        with node.client(username=REPLICATION, password=replication_password(password)) as client:
            assert client.ping()
    shown = f"{found.as_dict()} {found.diffs()}"
    assert [] == [word for word in map(replication_password, (ADMIN_PASSWORD, NEXT_PASSWORD)) if word in shown]


def test_a_node_restarts_as_itself(node: LiveInstance) -> None:
    """With its id, its slots and its keys; a primary that has a replica is not stopped."""
    node.settle()
    with node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    name = whoami(node)
    node.settle(**{"repl-diskless-sync-delay": 0})
    with node.client() as client:
        wait_until(lambda: client.cluster("info")["cluster_state"] == "ok", "the node to serve its slots")
        for number in range(100):
            client.set(f"key:{number}", number)
    restarted = node.apply(**{"io-threads": 2})
    assert restarted is not None
    assert (100, 100, name) == (restarted.keys_before, restarted.keys, whoami(node))
    with node.client() as client:
        replica = client.connection_pool.make_connection()
        replica.connect()
        replica.send_command("REPLCONF", "listening-port", "1")
        replica.read_response()
        replica.send_command("PSYNC", "?", "-1")
        try:
            node.settle(**{"io-threads": 3})
            with pytest.raises(ServiceError, match="a primary with replicas"):
                node.restart()
        finally:
            replica.disconnect()


def test_a_server_with_data_becomes_no_node(node: LiveInstance) -> None:
    """Running or stopped; nothing is touched."""
    node.topology = "single"
    node.settle()
    node.fill(3)
    node.topology = "cluster"
    with pytest.raises(RefusedError, match="no node of a cluster"):
        node.settle()
    node.stop()
    with pytest.raises(RefusedError, match="no node of a cluster"):
        node.settle()
    node.topology = "single"
    assert "started" == node.settle().action
    assert 3 == node.keys()
