# SPDX-License-Identifier: MIT
"""Sessions: what ends stays ended, what is stored opens nothing, and a user's sessions are one step."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, ConflictError, OutcomeUnknown, Policy, RefusedError, ServerError, SessionData, UnreachableError
from keyfleet._capabilities.secrets import user_tag
from keyfleet.core.connect.client import close
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.capabilities import full, modest_user, replicated
from support.clients import OpenBoth, OpenClient
from support.targets import Target

ON_MANAGED_SERVICES = True

ON_EVERY_SERVER = True
DATA = {"email": "ada@example.org", "role": "admin", "ip": "203.0.113.7", "user_agent": "Firefox", "theme": {"dark": True}, "n": 2**60}
GIVEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def raw(redis_server: Server) -> Iterator[Any]:
    """redis-py."""
    client = redis_server.client()
    yield client
    close(client)


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """A client of the session's server."""
    return open_client(redis_server.settings())


@pytest.mark.parametrize("given", [None, GIVEN], ids=["ours", "given"])
def test_a_session_is_what_was_stored(either: Client, given: str | None) -> None:
    """Typed where SessionData has a field, as JSON in extra where it has none."""
    sessions = either.sessions
    made = sessions.create(42, DATA, id=given)
    found = sessions.get(made.id)
    assert made == found
    assert found.data == SessionData(
        "42",
        found.data.created_at,
        found.data.last_activity_at,
        "ada@example.org",
        "admin",
        "203.0.113.7",
        "Firefox",
        {"theme": {"dark": True}, "n": 2**60},
    )
    assert abs(found.data.created_at - time.time()) < 60
    assert abs(found.expires_at - found.data.created_at - 86400) < 1
    assert sessions.exists(made.id)
    assert sessions.destroy(made.id) is True
    assert (None, False, False) == (sessions.get(made.id), sessions.exists(made.id), sessions.destroy(made.id))
    assert [] == sessions.list(42)


def test_what_was_read_can_be_stored(client: Client) -> None:
    """SessionData is taken, too; what the server sets is set anew."""
    first = client.sessions.create("ada", DATA)
    second = client.sessions.create("ada", first.data)
    assert (first.data.extra, first.data.role) == (second.data.extra, second.data.role)
    assert first.id != second.id


def test_ids_are_secrets_that_are_stored_nowhere(client: Client, raw: Any) -> None:
    """256 random bits; neither an id nor the user's name is in a dump, and a handle opens nothing."""
    made = [client.sessions.create("ada@example.org"), client.sessions.create("ada@example.org", id=GIVEN)]
    assert all(re.fullmatch(r"[\w-]{16}\.[\w-]{43}", it.id) or it.id == GIVEN for it in made)
    names = raw.keys("*")
    dump = b"".join([*names, *(raw.dump(name) for name in names)])
    assert [] == [it.id for it in made if it.id.encode() in dump or it.id[-30:].encode() in dump]
    assert made[0].id not in repr(made[0])
    assert b"ada@" not in b"".join(names)
    for it in made:
        assert client.sessions.get(it.handle) is None


def test_a_users_sessions_are_listed_and_ended_by_handle(either: Client) -> None:
    """The list has what the user may see, given ids included."""
    sessions = either.sessions
    made = [
        sessions.create(7, {"ip": "203.0.113.1"}),
        sessions.create(7, {"ip": "203.0.113.2"}, id=GIVEN),
        sessions.create(7, ttl_seconds=200000),
    ]
    sessions.create(8)
    listed = sessions.list(7)
    assert [made[2].handle, *sorted([made[0].handle, made[1].handle])] == [listed[0].handle, *sorted(it.handle for it in listed[1:])]
    assert {"203.0.113.1", "203.0.113.2", None} == {it.data.ip for it in listed}
    for it in listed[:2]:
        assert sessions.destroy(it.handle) is True
    assert [listed[2].handle] == [it.handle for it in sessions.list(7)]
    assert 1 == len(sessions.list(8))


@pytest.mark.parametrize("kept", [None, "ours", "given", "handle"])
def test_all_sessions_of_a_user_are_revoked_but_one(either: Client, kept: str | None) -> None:
    """Those of others stay."""
    sessions = either.sessions
    made = [sessions.create(7) for _unused in range(5)]
    given = [sessions.create(7, id=GIVEN + str(number)) for number in range(2)]
    other = sessions.create(77)
    stays = {None: None, "ours": made[1].id, "given": given[0].id, "handle": made[1].handle}[kept]
    assert (7 if kept is None else 6) == sessions.revoke_user(7, except_=stays)
    alive = [it for it in [*made, *given] if sessions.exists(it.id)]
    expected = {None: [], "ours": [made[1]], "given": [given[0]], "handle": [made[1]]}[kept]
    assert expected == alive
    assert [it.handle for it in expected] == [it.handle for it in sessions.list(7)]
    assert sessions.exists(other.id)
    assert (1 if kept else 0) == sessions.revoke_user(7)


@pytest.mark.parametrize("given", [None, GIVEN], ids=["ours", "given"])
def test_fields_change_one_by_one(either: Client, given: str | None) -> None:
    """Fields that are not named stay; None removes; the version reveals a change in between."""
    sessions = either.sessions
    made = sessions.create(1, DATA, id=given)
    changed = sessions.update(made.id, {"role": "user", "theme": None, "cart": [1, None]})
    assert changed is not None
    assert ("user", "ada@example.org", {"n": 2**60, "cart": [1, None]}) == (changed.data.role, changed.data.email, changed.data.extra)
    assert changed == sessions.get(made.id)
    assert made.version + 1 == changed.version
    with pytest.raises(ConflictError, match="not of version 1 any more"):
        sessions.update(made.id, {"role": "root"}, expected_version=made.version)
    assert "root" == sessions.update(made.id, {"role": "root"}, expected_version=changed.version).data.role
    sessions.destroy(made.id)
    assert sessions.update(made.id, {"role": "admin"}) is None
    assert not sessions.exists(made.id)


@pytest.mark.parametrize("given", [None, GIVEN], ids=["ours", "given"])
def test_a_sliding_session_lasts_while_it_is_used(client: Client, given: str | None) -> None:
    """Others end when they said; exists and list do not count as use."""
    sessions = client.sessions
    fixed, sliding = sessions.create(1, ttl_seconds=1.5), sessions.create(1, ttl_seconds=100, sliding=True, id=given)
    time.sleep(0.005)  # times are in milliseconds
    found, read = sessions.get(fixed.id), sessions.get(sliding.id)
    assert found.expires_at == fixed.expires_at
    assert read.expires_at > sliding.expires_at
    assert read.data.last_activity_at >= sliding.data.last_activity_at
    sessions.exists(sliding.id)
    assert read.expires_at == {it.handle: it.expires_at for it in sessions.list(1)}[sliding.handle]
    wait_until(lambda: sessions.get(fixed.id) is None, "the end of the session")
    assert [sliding.handle] == [it.handle for it in sessions.list(1)]
    assert sessions.touch(fixed.id) is False, "what has ended stays so"
    assert sessions.touch(sliding.id, ttl_seconds=5000) is True
    assert sessions.get(sliding.id).expires_at > read.expires_at + 4000
    assert 1 == sessions.revoke_user(1)
    assert not sessions.exists(sliding.id)


def test_the_index_does_not_grow(client: Client, raw: Any) -> None:
    """What has expired leaves with the next step that writes, and the rest when the last session expires."""
    for _unused in range(50):
        client.sessions.create(1, ttl_seconds=0.05)
    time.sleep(0.1)
    client.sessions.create(1, ttl_seconds=10)
    counted = {name: raw.hlen(name) if raw.type(name) == b"hash" else raw.zcard(name) for name in raw.keys("*")}
    assert [1, 1] == list(counted.values())
    assert all(0 < raw.pttl(name) <= 10_000 for name in counted)
    client.sessions.revoke_user(1)
    assert [] == raw.keys("*")


def test_logout_wins(redis_server: Server, count: Callable[[int, int], int]) -> None:
    """500 sessions (20 times 500), each used, changed and touched by others while it is ended: none comes back."""

    async def main(seed: int) -> int:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=30)) as client:
            sessions, dice = client.sessions, random.Random(seed)  # noqa: S311 - only shuffles
            made = [await sessions.create(number % 7, sliding=True) for number in range(500)]
            calls: list[Callable[[], Any]] = []
            for it in made:
                calls += [
                    lambda it=it: sessions.get(it.id),
                    lambda it=it: sessions.touch(it.id),
                    lambda it=it: sessions.update(it.id, {"cart": [1]}),
                    lambda it=it: sessions.destroy(it.id),
                ]
            dice.shuffle(calls)
            for user in range(3):
                calls.insert(dice.randrange(len(calls)), lambda user=user: sessions.revoke_user(user))
            await asyncio.gather(*(call() for call in calls))
            return sum([await sessions.exists(it.id) for it in made]) + sum([len(await sessions.list(user)) for user in range(7)])

    assert [0] * count(1, 20) == [asyncio.run(main(seed)) for seed in range(count(1, 20))]


def test_two_writers_of_different_fields_both_survive(redis_server: Server) -> None:
    """100 fields, written at the same time."""

    async def main() -> None:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=30)) as client:
            made = await client.sessions.create(1)
            await asyncio.gather(*(client.sessions.update(made.id, {f"f{number}": number}) for number in range(100)))
            found = await client.sessions.get(made.id)
            assert found is not None
            assert {f"f{number}": number for number in range(100)} == found.data.extra
            assert 101 == found.version

    asyncio.run(main())


def test_a_session_under_a_given_id_that_was_revoked_meanwhile_is_not_there(
    redis_server: Server, open_client: OpenClient, raw: Any
) -> None:
    """The user's entry is first, so that revoking finds it; when it is gone at the end, the session is taken back."""
    with FaultProxy(redis_server) as proxy:
        client, other = open_client(proxy.settings(timeout_seconds=10)), open_client(redis_server.settings())
        errors: list[str] = []

        def create() -> None:
            try:
                client.sessions.create(1, id=GIVEN)
            except RefusedError as error:
                errors.append(str(error))

        client.sessions.exists(GIVEN)
        proxy.delay_replies(0.3)
        thread = threading.Thread(target=create)
        thread.start()
        wait_until(lambda: raw.zcard(f"session:{{{user_tag('user_id', 1)}}}:expiry") == 1, "the entry of the user")
        assert 1 == other.sessions.revoke_user(1)
        thread.join(30)
        assert ["all sessions of the user were revoked while this one was created"] == errors
        assert not other.sessions.exists(GIVEN)
        assert [] == other.sessions.list(1)
        assert [] == raw.keys("*")


def test_an_id_is_given_once(client: Client) -> None:
    """No caller takes over a session by creating it again; an id with keyfleet's form is refused."""
    client.sessions.create(1, id=GIVEN)
    with pytest.raises(RefusedError, match="there is a session with this id"):
        client.sessions.create(2, id=GIVEN)
    assert "1" == client.sessions.get(GIVEN).user_id
    with pytest.raises(ValueError, match="has the form of one that create makes"):
        client.sessions.create(1, id=client.sessions.create(1).id)


@pytest.mark.parametrize("odd", ["", "x", "a.b", "{a}", "\ud800", "handle:a:b", "handle:" + "}" * 16 + ":" + "a" * 43, "ü" * 60])
def test_what_is_no_id_is_no_session(client: Client, odd: str) -> None:
    """Cookies are what strangers send."""
    assert (None, False, False) == (client.sessions.get(odd), client.sessions.touch(odd), client.sessions.destroy(odd))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda it: it.create(""), ValueError, "user_id is empty"),
        (lambda it: it.create(None), TypeError, "user_id is of type NoneType"),
        (lambda it: it.create(1, {"email": 5}), TypeError, "email is of type int"),
        (lambda it: it.create(1, {"created_at": 5}), ValueError, "created_at is set by"),
        (lambda it: it.create(1, {"x": object()}), TypeError, "object"),
        (lambda it: it.create(1, ttl_seconds=0), ValueError, "ttl_seconds is 0"),
        (lambda it: it.get(b"x"), TypeError, "a session's id is of type bytes"),
    ],
)
def test_what_is_wrong_is_refused(call: Callable[[Any], object], error: type[Exception], message: str) -> None:
    """Before anything is sent."""
    with Client.from_url("redis://127.0.0.1:1", policy=Policy()) as client, pytest.raises(error, match=message):
        call(client.sessions)


@pytest.mark.slow
def test_many_sessions_leave_nothing_behind(redis_server: Server, raw: Any, count: Callable[[int, int], int]) -> None:
    """5,000 (200,000) with a TTL, of 1,000 users: when the last one has expired, there is no key, and the memory is free again."""
    total = count(5_000, 200_000)
    before = raw.info("memory")["used_memory"]

    async def main() -> None:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=60)) as client:

            async def work(worker: int) -> None:
                for number in range(worker, total, 50):
                    await client.sessions.create(number % 1000, {"ip": "203.0.113.7"}, ttl_seconds=2)

            await asyncio.gather(*(work(worker) for worker in range(50)))

    asyncio.run(main())
    wait_until(lambda: raw.dbsize() == 0, "every key expires", 30)
    wait_until(lambda: raw.info("memory")["used_memory"] - before < 2**21, "the memory is free", 30)


@pytest.mark.slow
def test_ten_thousand_sessions_are_revoked_in_one_step(redis_cluster: Cluster) -> None:
    """On a cluster, but for the one that asks; one command for all of them."""

    async def main() -> None:
        async with AsyncClient.from_settings(redis_cluster.settings(timeout_seconds=60)) as client:
            made = await asyncio.gather(*(client.sessions.create("ada", {"ip": "203.0.113.7"}) for _unused in range(10_000)))
            before = client.stats.calls
            assert 9_999 == await client.sessions.revoke_user("ada", except_=made[5].id)
            assert 1 == client.stats.calls - before
            assert [made[5].handle] == [it.handle for it in await client.sessions.list("ada")]

    asyncio.run(main())


# What happens when servers fail.


@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["closed", "unresponsive"])
def test_lost_replies(redis_server: Server, open_client: OpenClient, silent: bool) -> None:
    """Everything that may be repeated is; a session whose creation was not confirmed has an id that no client knows."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1.5, retry_delay_ms=10), Policy(breaker_failures=0))
        sessions = client.sessions
        made = sessions.create(1, sliding=True)
        sessions.get(made.id), sessions.update(made.id, {"a": 1}), sessions.revoke_user(99), sessions.list(1)
        sessions.destroy("none"), sessions.exists(made.id)

        def lost(call: Callable[[], Any]) -> Any:
            fault = proxy.lose_reply("EVALSHA", silent=silent)
            answer = call()
            assert 1 == fault.hits
            return answer

        assert "1" == lost(lambda: sessions.get(made.id)).user_id
        assert {"a": 2} == lost(lambda: sessions.update(made.id, {"a": 2})).data.extra
        assert 1 == len(lost(lambda: sessions.list(1)))
        assert lost(lambda: sessions.exists(made.id)) is True
        version = sessions.get(made.id).version
        proxy.lose_reply("EVALSHA", silent=silent)
        with pytest.raises(OutcomeUnknown):
            sessions.update(made.id, {"a": 3}, expected_version=version)
        assert lost(lambda: sessions.destroy(made.id)) is False, "the first attempt ended it"
        assert not sessions.exists(made.id)
        assert lost(lambda: sessions.revoke_user(1)) == 0
        second = lost(lambda: sessions.create(1))
        assert sessions.exists(second.id)
        assert 2 == len(sessions.list(1)), "the one without an answer is listed, and may be ended"
        assert 2 == sessions.revoke_user(1)


def test_a_full_server_logs_no_user_out(redis_server: Server, client: Client) -> None:
    """Sessions are read, begun anew, ended and revoked; new ones, and changes, are an error."""
    sessions = client.sessions
    made = [sessions.create(1, sliding=True) for _unused in range(4)]
    with full(redis_server):
        assert sessions.get(made[0].id).expires_at >= made[0].expires_at
        assert sessions.touch(made[0].id)
        for call in (lambda: sessions.create(1), lambda: sessions.update(made[0].id, {"a": 1})):
            with pytest.raises(ServerError, match="OOM"):
                call()
        assert sessions.destroy(made[1].id)
        assert 2 == sessions.revoke_user(1, except_=made[0].id)
        assert sessions.get(made[0].id).data.extra == {}


def test_a_server_that_is_down_is_an_error(redis_server: Server, open_client: OpenClient) -> None:
    """Not a session that is missing: no user is logged out, whatever the policy for errors is."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=0.3), Policy(on_error="fallback"))
        made = client.sessions.create(1)
        proxy.refuse()
        proxy.close_connections()
        for call in (client.sessions.get, client.sessions.exists, client.sessions.destroy, client.sessions.touch):
            with pytest.raises(UnreachableError):
                call(made.id)
        proxy.heal()
        client.wait_until_ready(10)
        assert client.sessions.exists(made.id)


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        made = client.sessions.create(1, sliding=True)
        assert client.sessions.update(made.id, {"a": 1}) == client.sessions.get(made.id) or client.sessions.exists(made.id)
        assert 1 == len(client.sessions.list(1))
        assert 1 == client.sessions.revoke_user(1)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_logs_no_user_out(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """What was replicated is there, what was ended stays ended; callers with time see no error."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    made = [clients[0].sessions.create("ada", sliding=True) for _unused in range(3)]
    clients[0].sessions.destroy(made[0].id)
    target.wait_until_in_sync()
    target.kill_primary(*([f"session:{{{made[0].id[:16]}}}"] if topology == "cluster" else []))
    for client in clients:
        assert [False, True, True] == [client.sessions.get(it.id) is not None for it in made]
        assert 2 == len(client.sessions.list("ada"))
    assert 1 == clients[1].sessions.revoke_user("ada", except_=made[1].id)
