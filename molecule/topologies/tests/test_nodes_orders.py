# SPDX-License-Identifier: GPL-3.0-or-later
"""One primary with two replicas, in sync; asked from each server itself."""

from __future__ import annotations

from nodes import Instance


def test_replicates(instance: Instance) -> None:
    """The first host is the primary of a new replication."""
    facts = instance.info("replication")
    if str(instance.host.backend.name).endswith("orders1"):
        assert ("master", "2") == (facts["role"], facts["connected_slaves"])
        assert "1" == instance.config("min-replicas-to-write")
    else:
        assert ("slave", "172.29.250.21", "up") == (facts["role"], facts["master_host"], facts["master_link_status"])
