# SPDX-License-Identifier: GPL-3.0-or-later
"""Every node is a member of one whole cluster; asked from the node itself."""

from __future__ import annotations

from nodes import Instance


def test_is_a_node_of_the_whole_cluster(instance: Instance) -> None:
    """All slots, all nodes, and a replica for each primary."""
    facts = dict(line.split(":") for line in instance.cli("CLUSTER", "INFO").splitlines())
    found = [facts[f"cluster_{name}"] for name in ("state", "slots_ok", "known_nodes", "size")]
    assert ["ok", "16384", "6", "3"] == found
    if instance.info("replication")["role"] == "master":
        assert "1" == instance.info("replication")["connected_slaves"]
    else:
        assert "up" == instance.info("replication")["master_link_status"]


def test_is_a_unit_that_starts_again_after_a_reboot(instance: Instance) -> None:
    """The process that answers is the unit's."""
    assert ("active", "enabled") == (instance.property("ActiveState"), instance.property("UnitFileState"))
    assert instance.pid() == int(instance.property("MainPID"))
