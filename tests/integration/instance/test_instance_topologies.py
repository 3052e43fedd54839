# SPDX-License-Identifier: MIT
"""An instance of each topology: what keyfleet manages is there from the start, and stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from keyfleet.core.acl.model import ADMIN, REPLICATION, replication_password
from keyfleet.core.topology.validation import CLUSTER
from keyfleet.core.topology.validation import REPLICATION as REPLICATED
from keyfleet.testing._server import free_port
from support.instances import LiveInstance

ON_EVERY_SERVER = True
ADMIN_PASSWORD = "of-the-administrator"


@pytest.mark.parametrize("topology", [REPLICATED, CLUSTER])
def test_the_login_of_replicas_stays(live: LiveInstance, topology: str) -> None:
    """Some servers call the directives by newer names than the file does; a second run, and one after a restart, change nothing."""
    live.topology = topology
    live.options["port"] = free_port("127.0.0.1", bus=True)
    live.host = replace(live.host, admin_passwords=(ADMIN_PASSWORD,))
    live.settle()
    for _run in range(2):
        again = live.settle()
        assert ({}, [], False) == (again.live, again.restart_needed, again.changed)
        with live.client(username=ADMIN, password=ADMIN_PASSWORD) as client:
            login = {name: client.config_get(name)[name] for name in ("masteruser", "masterauth")}
        assert {"masteruser": REPLICATION, "masterauth": replication_password(ADMIN_PASSWORD)} == login
        live.restart()
