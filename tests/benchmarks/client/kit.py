# SPDX-License-Identifier: MIT
"""redis-py-kit beside keyfleet where both have a feature: what breaks, counted."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import redis
import redis_kit
from keyfleet import Client, Policy
from keyfleet.core.errors import KeyfleetError
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import start_cluster, start_server

from .rows import Report, Row
from .workload import new_folder

KIT = "redis-py-kit"
FAILURES = (redis_kit.RedisKitError, redis.RedisError, KeyfleetError, AssertionError)


def criteria(engine: str, report: Report) -> None:
    """Count for each what a caller would not expect."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(new_folder(), engine=engine))
        proxy = stack.enter_context(FaultProxy(server))
        ours = stack.enter_context(
            Client.from_settings(proxy.settings(timeout_seconds=1, retry_delay_ms=10), policy=Policy(breaker_failures=0))
        )
        theirs = stack.enter_context(redis.Redis(proxy.settings().host, proxy.settings().port, socket_timeout=1))
        raw = stack.enter_context(redis.Redis(server.host, server.port))
        _compare(
            report,
            "a reply to acquire is lost: lock left without a holder",
            lambda: _orphans(proxy, raw, _our_lock(ours), _kit_lock(theirs)),
        )
        _compare(report, "lock lost while it is held: holder not notified before the end", lambda: _unnotified(raw, ours, theirs))
        _compare(report, "ids of sessions that a dump shows", lambda: _shown_ids(raw, ours, theirs))
        _compare(
            report,
            "sessions of a user that cannot be listed and revoked",
            lambda: (_unlisted(ours), int(not any("user" in it or "list" in it for it in dir(redis_kit.SessionManager)))),
        )
        _compare(
            report, "a reader that died: a writer who waits for a read lock that others renew", lambda: _stuck_writer(raw, ours, theirs)
        )
    with start_cluster(new_folder(), engine=engine) as cluster, Client.from_settings(cluster.settings()) as client:
        nodes = redis.RedisCluster(host=cluster.nodes[0].host, port=cluster.nodes[0].port)
        mine = _failures(lambda: client.rate_limits.check("a", 5, 60))
        its = _failures(lambda: redis_kit.TokenBucketLimiter(nodes, rate=1, capacity=5).acquire("a"))
        report(Row("kit", "a rate limit (token bucket) on a cluster: errors", mine, "errors", at_most=0, peers={KIT: its}))
        nodes.close()


def _compare(report: Report, what: str, measure: Callable[[], tuple[int, int]]) -> None:
    mine, its = measure()
    report(Row("kit", what, mine, "errors", at_most=0, peers={KIT: its}))


def _failures(call: Callable[[], object]) -> int:
    try:
        call()
    except FAILURES:
        return 1
    return 0


def _our_lock(client: Client) -> tuple[str, Callable[[], object], str]:
    lock = client.lock("o", 30)

    def use() -> None:
        assert lock.acquire(timeout_seconds=0)
        lock.release()

    return "EVALSHA", use, "lock:{o}"


def _kit_lock(client: redis.Redis) -> tuple[str, Callable[[], object], str]:
    kit = redis_kit.Lock(client)

    def use() -> None:
        with kit("o", timeout=30, blocking_timeout=0.5):
            pass

    return "SET", use, "*o*"


def _orphans(proxy: FaultProxy, raw: redis.Redis, *contestants: tuple[str, Callable[[], object], str]) -> tuple[int, int]:
    found = []
    for command, use, pattern in contestants:
        raw.flushall()
        use()
        proxy.lose_reply(command)
        with contextlib.suppress(*FAILURES):
            use()
        keys = raw.keys(pattern)
        found.append(sum(_is_held(raw, key) for key in keys))
        proxy.heal()
    return found[0], found[1]


def _is_held(raw: redis.Redis, key: bytes) -> bool:
    return raw.type(key) == b"string" or (raw.type(key) == b"hash" and any(name.startswith(b"h:") for name in raw.hkeys(key)))


class _Records(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record*."""
        self.found.append(record)


def _unnotified(raw: redis.Redis, ours: Client, theirs: redis.Redis) -> tuple[int, int]:
    raw.flushall()
    reported: list[object] = []
    lock = ours.lock("a", 1, on_lost=reported.append)
    lock.acquire()
    kit, kit_records = redis_kit.Lock(theirs), _Records()
    logging.getLogger("redis_kit").addHandler(kit_records)
    kit_seen = 0
    with contextlib.suppress(*FAILURES), kit("a", timeout=1, auto_renew=True):
        raw.flushall()
        time.sleep(1.5)  # the watchdog runs every third of a second, and reports with an exception here or in its log
        kit_seen = len(kit_records.found)
    return int(not reported or not lock.lost), int(kit_seen == 0)


def _shown_ids(raw: redis.Redis, ours: Client, theirs: redis.Redis) -> tuple[int, int]:
    found = []
    for make in (lambda: ours.sessions.create(1).id, lambda: redis_kit.SessionManager(theirs).create({"user": 1})):
        raw.flushall()
        secret = make()
        names = raw.keys("*")
        found.append(int(any(secret.encode() in name or secret.encode() in (raw.dump(name) or b"") for name in names)))
    return found[0], found[1]


def _unlisted(ours: Client) -> int:
    made = [ours.sessions.create("ada") for _unused in range(3)]
    return len(made) - len(ours.sessions.list("ada")) + (ours.sessions.revoke_user("ada") != len(made))


def _stuck_writer(raw: redis.Redis, ours: Client, theirs: redis.Redis) -> tuple[int, int]:
    """A reader dies without releasing; another one comes and goes every 0.2 s for three times its TTL. Then a writer has to get in."""
    raw.flushall()
    kit = redis_kit.Lock(theirs)
    dead = ours.read_lock("a", 1, renewed=False)
    dead.acquire()
    died: Any = kit.read("a", timeout=1)
    died.__enter__()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        with ours.read_lock("a", 1), kit.read("a", timeout=1):
            time.sleep(0.2)
    mine = int(not ours.write_lock("a").acquire(timeout_seconds=0.1))

    def write() -> None:
        with kit.write("a", blocking_timeout=0.1):
            pass

    return mine, _failures(write)
