# SPDX-License-Identifier: MIT
"""Servers that Sentinels watch: what they decided is kept, and they lead a handover in which no write is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.acl.model import sentinel_password, watcher
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import RefusedError, ServerError
from keyfleet.core.replication.converge import ReplicationOutcome, converge
from keyfleet.core.replication.validation import parse_desired
from keyfleet.testing._replication import clients_of
from keyfleet.testing._sentinel import SentinelGroup, start_sentinel
from support.replications import PASSWORD, Writer, address

ON_EVERY_SERVER = True
pytestmark = pytest.mark.slow


@pytest.fixture
def group(tmp_path: Path, redis_engine: str) -> Iterator[SentinelGroup]:
    """A primary with two replicas, and three Sentinels that log in as the user that keyfleet makes for them."""
    user = watcher([PASSWORD])
    users = {"user": [f"{user.name} {' '.join(user.words())}"]}
    with start_sentinel(tmp_path, replicas=2, password=PASSWORD, engine=redis_engine, directives=users) as started:
        with clients_of(started.sentinels) as sentinels:
            for name, value in (("auth-user", user.name), ("auth-pass", sentinel_password(PASSWORD))):
                for sentinel in sentinels:
                    sentinel.execute_command("SENTINEL", "SET", started.service, name, value)
        started.wait_until_in_sync()
        yield started
        with clients_of([server for server in started.servers if server.is_running()]) as servers:
            denied = [entry for server in servers for entry in server.acl_log() if entry["username"] == user.name]
            assert [] == [entry for entry in denied if entry["reason"] != "auth"]  # while it had no password yet


def form(group: SentinelGroup, *, check: bool = False, wait_seconds: float = 30, **options: Any) -> ReplicationOutcome:
    """Do what the module does."""
    members = options.pop("members", [address(server) for server in group.servers])
    sentinels = [address(sentinel) for sentinel in group.sentinels]
    desired = parse_desired(members, options.pop("retired", []), sentinels, **{"service": group.service, **options})
    return converge(
        Settings(password=PASSWORD, timeout_seconds=5.0), desired, sentinel_settings=Settings(), wait_seconds=wait_seconds, check=check
    )


def test_handover_loses_no_write(group: SentinelGroup) -> None:
    """Twice, while a client writes: no call fails, and every acknowledged write is there. By COORDINATED, where the Sentinels know it."""
    assert [] == form(group).steps
    with Writer(group.settings(timeout_seconds=10.0)) as writer:
        former = group.primary()
        first = form(group, hands_over=True)
        assert address(former) != first.primary
        assert first.primary != form(group, hands_over=True).primary
    assert [] == writer.failures
    with clients_of([former, group.sentinels[0]]) as (led, sentinel):
        knows = any(b"COORDINATED" in line.upper() for line in sentinel.execute_command("SENTINEL", "HELP"))
        assert knows == ("cmdstat_failover" in led.info("commandstats"))
    with clients_of([group.primary()]) as (client,):
        present = {name.decode() for name in client.scan_iter(count=1000)}
    assert set() == set(writer.acknowledged) - present
    assert [] == form(group).steps


def test_a_failover_is_kept(group: SentinelGroup) -> None:
    """The dead primary refuses a run while it is listed and down; returned, it is a replica, and nothing is to do."""
    dead = group.kill_primary()
    with pytest.raises(ServerError, match=address(dead)):
        form(group)
    group.wait_until_in_sync()
    promoted = address(group.primary())
    dead.start()
    group.wait_until_in_sync()
    assert (promoted, []) == (form(group).primary, form(group).steps)


def test_sentinels_are_asked(group: SentinelGroup) -> None:
    """A majority must answer; what they name must be listed; those that watch others only are passed over."""
    assert [] == form(group, service="of others").steps
    listed = [address(server) for server in group.servers[1:]]
    with pytest.raises(RefusedError, match=r"the Sentinels name .* as the primary, which is neither listed nor retired"):
        form(group, members=listed)
    for sentinel in group.sentinels[:2]:
        sentinel.kill()
    with pytest.raises(ServerError, match="of 3 Sentinels 2 do not answer"):
        form(group)


def test_a_primary_that_sentinels_watch_retires(group: SentinelGroup) -> None:
    """A listed replica takes over, whichever they choose at first."""
    first, *others = [address(server) for server in group.servers]
    assert first == address(group.primary())
    outcome = form(group, members=others[:1], retired=[first, others[1]])
    assert others[:1] == [outcome.primary]
    assert [] == form(group, members=others[:1], retired=[first, others[1]]).steps
