# SPDX-License-Identifier: GPL-3.0-or-later
"""After a primary died (kill.yml), another one serves, and site.yml brought the dead one back as a replica."""

from __future__ import annotations

from keyfleet import Client
from nodes import Instance


def test_every_acknowledged_write_is_there(client: Client) -> None:
    """What was written to the new primary wins over what it had before."""
    names = [f"molecule:{number}" for number in range(100)]
    assert dict.fromkeys(names, "after") == client.get_many(names)
    report = client.health(write_probe=True)
    assert ("ok", []) == (report.verdict, report.reasons)


def test_no_other_server_was_started_again(instance: Instance) -> None:
    """All but the one that was killed are the processes that they were; that one is a replica now."""
    before = instance.host.file("/root/molecule.pid").content_string.strip()
    assert instance.pid() == int(instance.property("MainPID"))
    if str(instance.pid()) != before:
        if "orders" in str(instance.host.backend.name):  # a cluster knows by its epochs
            journal = instance.host.check_output("journalctl --no-pager --output=cat --unit keyfleet@default.service")
            assert "another member of orders is a primary: replicaof 172.29.250." in journal
        assert ("slave", "up") == tuple(instance.info("replication")[name] for name in ("role", "master_link_status"))
