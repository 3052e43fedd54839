# SPDX-License-Identifier: MIT
"""The user as whom replicas follow their primary: it has just the rights for that, on every server."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from keyfleet.core.acl.model import REPLICATION, administrator, replication_password, replicator
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import start_server

ON_EVERY_SERVER = True
ADMIN_PASSWORD = "of the administrator"


def test_a_replica_follows_as_the_replication_user(tmp_path: Path, redis_engine: str) -> None:
    """It gets the data and what is written later, the primary denies it nothing, and it may do nothing else."""
    users = [administrator([ADMIN_PASSWORD]), replicator([ADMIN_PASSWORD, "of the next administrator"])]
    with start_server(tmp_path / "primary", engine=redis_engine) as primary, primary.client() as admin:
        for user in users:
            admin.execute_command("ACL", "SETUSER", user.name, *user.words())
        admin.execute_command("ACL", "SETUSER", "default", "-psync", "-replconf")
        admin.config_set("repl-diskless-sync-delay", 0)
        admin.set("before", "1")
        login = {"masteruser": REPLICATION, "masterauth": replication_password("of the next administrator")}
        following = {**login, "replicaof": f"{primary.host} {primary.port}"}
        with start_server(tmp_path / "replica", engine=redis_engine, directives=following) as replica, replica.client() as copy:
            wait_until(lambda: copy.info("replication")["master_link_status"] == "up", "the replica to be in sync")
            admin.set("after", "2")
            wait_until(lambda: copy.get("after") == b"2", "the write to arrive")
            assert b"1" == copy.get("before")
            assert [] == [entry for entry in admin.acl_log() if entry["username"] == REPLICATION]
        with primary.client(username=REPLICATION, password=login["masterauth"]) as tried:
            assert tried.ping()
            for command in (("GET", "before"), ("KEYS", "*"), ("ACL", "LIST"), ("CONFIG", "GET", "masterauth")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    tried.execute_command(*command)
