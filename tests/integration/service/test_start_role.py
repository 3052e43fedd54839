# SPDX-License-Identifier: MIT
"""A server that was the primary and returns: whatever runs before its start keeps it from taking writes, and no other server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet.core.service import start_role
from keyfleet.testing._replication import clients_of
from keyfleet.testing._sentinel import SentinelGroup, start_sentinel
from keyfleet.testing._server import Server, start_server, wait_until
from support.hammer import Hammer
from support.replications import PASSWORD, Replication, address

ON_EVERY_SERVER = True
pytestmark = pytest.mark.slow
SERVICE = "main"
# Of it, three seconds are for the program itself on a busy machine.
LONGEST_SECONDS = start_role.LISTEN_SECONDS + 3


@pytest.fixture
def group(tmp_path: Path, redis_engine: str) -> Iterator[SentinelGroup]:
    """A primary with one replica, which may take writes alone, and three Sentinels."""
    directives = {"masterauth": PASSWORD}
    with start_sentinel(tmp_path, replicas=1, password=PASSWORD, engine=redis_engine, directives=directives) as started:
        with clients_of(started.servers) as clients:
            for client in clients:
                client.config_rewrite()
        yield started


@pytest.fixture
def pair(tmp_path: Path, redis_engine: str) -> Iterator[Replication]:
    """A primary with one replica, and no Sentinel."""
    with Replication(tmp_path, redis_engine, 2) as started:
        started.form()
        yield started


def before_start(server: Server, servers: list[Server], sentinels: int) -> str:
    """Run the program as a service manager does; return what it says, and assert that it ends in time."""
    others = [address(other) for other in servers if other is not server]
    peers, login = server.directory / "peers.json", server.directory / "login.conf"
    peers.write_text(
        start_role.peers_text({"service": SERVICE, "own": address(server), "others": others, "sentinels": sentinels}), encoding="utf-8"
    )
    login.write_text(f'masterauth "{PASSWORD}"\n', encoding="utf-8")
    words = [sys.executable, "-I", start_role.__file__, str(peers), str(server.config_file), str(login)]
    begun = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert time.monotonic() - begun < LONGEST_SECONDS
    assert PASSWORD not in done.stdout + done.stderr + " ".join(words)
    return done.stdout


def role_of(server: Server) -> str:
    """Return ``master`` or ``slave``."""
    with clients_of([server]) as (client,):
        return str(client.info("replication")["role"])


def returned(server: Server, servers: list[Server], sentinels: int, seconds: float = 3.0) -> tuple[str, Hammer]:
    """Start a server as its service manager does, while clients write to its port; return what was said, and what was answered."""
    with Hammer(server.host, server.port, PASSWORD) as hammer:
        said = before_start(server, servers, sentinels)
        server.start()
        time.sleep(seconds)
    return said, hammer


def test_after_a_failover_it_starts_as_a_replica(group: SentinelGroup) -> None:
    """It acknowledges no write from its first moment on, and keeps every write that the other one took."""
    old = group.kill_primary()
    group.wait_until_in_sync()
    new = group.primary()
    with clients_of([new]) as (client,):
        for number in range(100):
            client.set(f"after:{number}", number)
    said, hammer = returned(old, group.servers, 3)
    assert (f"replicaof {new.host} {new.port}" in said, 0, {"-READONLY"}) == (True, hammer.acknowledged, set(hammer.answers) - {"-LOADING"})
    group.wait_until_in_sync()
    with clients_of([old, new]) as clients:
        assert [100, 100] == [client.dbsize() for client in clients]
    assert "" == before_start(old, group.servers, 3)


def test_before_a_failover_it_stays_the_primary(group: SentinelGroup) -> None:
    """No other server is a primary, so it takes writes as before; the same without an answer of any other."""
    primary, replica = group.primary(), next(server for server in group.servers if server is not group.primary())
    primary.kill()
    said, hammer = returned(primary, group.servers, 3, 1.0)
    assert ("", "master") == (said, role_of(primary))
    assert hammer.acknowledged > 0
    replica.kill()
    primary.stop()
    assert "" == before_start(primary, group.servers, 3)


def test_all_were_off(group: SentinelGroup) -> None:
    """
    The old primary starts first and no other server answers: it is one until the Sentinels correct it.

    The promoted one then starts with the data that only it has, although another server is a primary. Both are back before the Sentinels
    take it for dead.
    """
    old = group.kill_primary()
    group.wait_until_in_sync()
    new = group.primary()
    with clients_of([new]) as (client,):
        client.set("after", 1)
        client.save()
    with clients_of(group.sentinels) as sentinels:
        for sentinel in sentinels:
            sentinel.execute_command("SENTINEL", "SET", SERVICE, "down-after-milliseconds", 30_000)
    new.kill()
    assert "" == before_start(old, group.servers, 3)
    old.start()
    assert "" == before_start(new, group.servers, 3)
    new.start()
    group.wait_until_in_sync()
    assert new is group.primary()
    with clients_of(group.servers) as clients:
        assert [b"1", b"1"] == [client.get("after") for client in clients]


def test_without_sentinels_it_waits_for_the_others(group: SentinelGroup) -> None:
    """It takes no write while another server is a primary, and its data stays; once that one follows it, it takes writes."""
    old = group.kill_primary()
    group.wait_until_in_sync()
    new = group.primary()
    for sentinel in group.sentinels:
        sentinel.kill()
    _refuses_until_followed(old, new, group.servers, 3)


def test_a_replication_without_sentinels(pair: Replication) -> None:
    """The same where there never was one."""
    old, new = pair.servers
    pair.run_on(old, "SET", "before", "1")
    wait_until(lambda: pair.run_on(old, "INFO", "persistence")["rdb_bgsave_in_progress"] == 0, "the replica to be given its data")
    pair.run_on(old, "SAVE")
    old.kill()
    pair.run_on(new, "REPLICAOF", "NO", "ONE")
    pair.run_on(new, "CONFIG", "REWRITE")
    _refuses_until_followed(old, new, pair.servers, 0)
    assert {b"before"} <= pair.keys_on(old)


def test_with_tls(tmp_path: Path, redis_engine: str) -> None:
    """Others are asked as replicas connect: with the server's certificate, and to a CA that it trusts."""
    common: dict[str, Any] = {"tls-replication": "yes", "repl-diskless-sync-delay": 0}
    with start_server(tmp_path / "old", engine=redis_engine, password=PASSWORD, tls=True, directives=common) as old:
        files = {name: _directive(old, name) for name in ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}
        with start_server(tmp_path / "new", engine=redis_engine, password=PASSWORD, tls=True, directives={**common, **files}) as new:
            trusting = {"ssl": True, "ssl_ca_certs": files["tls-ca-cert-file"], "password": PASSWORD}
            with redis.Redis(host=new.host, port=new.port, **trusting) as client:
                client.config_set("tls-auth-clients", "yes")
            assert "min-replicas-to-write 1" in before_start(old, [old, new], 0)


def _directive(server: Server, name: str) -> str:
    with clients_of([server]) as (client,):
        return str(client.config_get(name)[name])


def _refuses_until_followed(old: Server, new: Server, servers: list[Server], sentinels: int) -> None:
    said, hammer = returned(old, servers, sentinels)
    assert ("min-replicas-to-write 1" in said, 0, {"-NOREPLICAS"}) == (True, hammer.acknowledged, set(hammer.answers) - {"-LOADING"})
    with clients_of([new, old]) as (follower, client):
        follower.execute_command("REPLICAOF", old.host, old.port)
        wait_until(lambda: client.info("replication").get("connected_slaves") == 1, "the other one to follow")
        wait_until(lambda: _takes_writes(old), "writes to be taken")


def _takes_writes(server: Server) -> bool:
    with clients_of([server]) as (client,):
        return b"OK" == client.execute_command("EVAL", "return redis.pcall('SET', 'x', 1)['ok'] or 'no'", 0)


def test_a_server_that_is_frozen_is_not_waited_for(pair: Replication) -> None:
    """The start is late by two seconds at most."""
    old, other = pair.servers
    old.stop()
    other.pause()
    begun = time.monotonic()
    assert "" == before_start(old, pair.servers, 0)
    assert time.monotonic() - begun < start_role.ASK_SECONDS + 2
    other.resume()


def test_a_server_that_never_was_a_member_starts_as_it_is(pair: Replication) -> None:
    """So does one that replicates, and one without the file of the others."""
    new, replica = pair.servers
    text = new.config_file.read_text(encoding="utf-8")
    new.config_file.write_text("", encoding="utf-8")
    assert "" == before_start(new, pair.servers, 0)
    assert "" == new.config_file.read_text(encoding="utf-8")
    new.config_file.write_text(text, encoding="utf-8")
    pair.run_on(new, "CONFIG", "REWRITE")
    assert "" == before_start(replica, pair.servers, 0)
    start_role.main(str(new.directory / "none"), str(new.config_file), str(new.config_file))
