# SPDX-License-Identifier: MIT
"""Refresh tokens: one successor whoever asks how often, none for a thief, and nothing on the server that opens anything."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keyfleet import (
    AsyncClient,
    Client,
    OutcomeUnknown,
    Policy,
    RefusedError,
    ServerError,
    TokenInvalidError,
    TokenReusedError,
    UnreachableError,
)
from keyfleet.core.connect.client import close
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.capabilities import full, modest_user, replicated
from support.clients import OpenBoth, OpenClient
from support.targets import Target

ON_MANAGED_SERVICES = True

ON_EVERY_SERVER = True
GIVEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.0123456789abcdef"


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


def test_a_token_is_replaced_with_each_use(either: Client) -> None:
    """The user, the family and the data stay; the time begins anew."""
    tokens = either.tokens
    first = tokens.store(42, data={"device": "phone"})
    assert abs(first.expires_at - time.time() - 604_800) < 60
    assert first == tokens.find(first.token)
    second = tokens.rotate(first.token)
    third = tokens.rotate(second.token, ttl_seconds=60)
    assert [("42", first.family, {"device": "phone"})] * 3 == [(it.user_id, it.family, it.data) for it in (first, second, third)]
    assert 3 == len({first.token, second.token, third.token})
    assert [False, False, True] == [tokens.is_valid(it.token) for it in (first, second, third)]
    assert third.expires_at < second.expires_at - 600_000
    assert tokens.revoke(third.token) is True
    assert tokens.revoke(third.token) is False
    assert [False] * 3 == [tokens.is_valid(it.token) for it in (first, second, third)]


def test_within_the_grace_the_same_token_gives_the_same_new_one(either: Client) -> None:
    """Also when the new one was used already."""
    tokens = either.tokens
    first = tokens.store(42)
    second = tokens.rotate(first.token)
    assert [second] * 3 == [tokens.rotate(first.token) for _unused in range(3)]
    third = tokens.rotate(second.token)
    assert (second, third) == (tokens.rotate(first.token), tokens.rotate(second.token))
    assert tokens.is_valid(third.token)


def test_a_token_that_is_used_again_ends_its_family(either: Client) -> None:
    """Others of the user stay."""
    tokens = either.tokens
    first, other = tokens.store(42), tokens.store(42)
    second = tokens.rotate(first.token, grace_seconds=0)
    time.sleep(0.01)
    with pytest.raises(TokenReusedError, match="used before"):
        tokens.rotate(first.token, grace_seconds=0)
    with pytest.raises(TokenInvalidError):
        tokens.rotate(second.token)
    assert [False, False, True] == [tokens.is_valid(it.token) for it in (first, second, other)]
    with pytest.raises(TokenInvalidError, match="unknown, expired or revoked"):
        tokens.rotate(first.token)


def test_all_tokens_of_a_user_are_revoked(either: Client) -> None:
    """Those that were rotated do not count; other users keep theirs."""
    tokens = either.tokens
    mine = [tokens.store("ada"), tokens.store("ada"), tokens.store("ada", GIVEN)]
    theirs, successor = tokens.store("bob"), tokens.rotate(mine[0].token)
    assert 3 == tokens.revoke_all("ada")
    assert [False] * 4 == [tokens.is_valid(it.token, user_id="ada") for it in [*mine, successor]]
    assert tokens.is_valid(theirs.token)
    assert 0 == tokens.revoke_all("ada")


def test_a_token_of_the_application_needs_its_user(either: Client) -> None:
    """Its successors do not."""
    tokens = either.tokens
    tokens.store("42", GIVEN)
    assert (True, False) == (tokens.is_valid(GIVEN, user_id=42), tokens.is_valid(GIVEN, user_id=43))
    assert not tokens.is_valid(GIVEN)
    assert not tokens.revoke(GIVEN)
    with pytest.raises(TokenInvalidError):
        tokens.rotate(GIVEN)
    with pytest.raises(RefusedError, match="stored already"):
        tokens.store(42, GIVEN)
    second = tokens.rotate(GIVEN, user_id=42)
    assert tokens.is_valid(second.token)
    assert tokens.is_valid(tokens.rotate(second.token).token)


def test_tokens_are_stored_nowhere(client: Client, raw: Any) -> None:
    """A dump has neither, and what it has does not make the next one."""
    first = client.tokens.store("ada@example.org")
    second = client.tokens.rotate(first.token)
    names = raw.keys("*")
    dump = b"".join(
        [*names, *(value for name in names if raw.type(name) == b"hash" for pair in raw.hgetall(name).items() for value in pair)]
    )
    assert re.fullmatch(r"[\w-]{16}\.[\w-]{43}", first.token)
    assert [] == [it for it in (first, second) if it.token.encode() in dump or it.token[17:].encode() in dump or it.token in repr(it)]
    assert b"ada@" not in b"".join(names)
    assert all(0 < raw.pttl(name) <= 604_800_000 for name in names)


def test_fifty_parallel_refreshes_give_one_new_token(redis_server: Server, raw: Any) -> None:
    """25 tasks and 25 threads come with the same one: all get the same, and the server has one that may be used."""
    settings = redis_server.settings(timeout_seconds=30)
    found: list[str] = []
    with Client.from_settings(settings) as client:
        first = client.tokens.store(42)
        threads = [threading.Thread(target=lambda: found.append(client.tokens.rotate(first.token).token)) for _unused in range(25)]

        async def tasks() -> None:
            async with AsyncClient.from_settings(settings) as other:
                found.extend(it.token for it in await asyncio.gather(*(other.tokens.rotate(first.token) for _unused in range(25))))

        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
        assert (50, 1) == (len(found), len(set(found)))
        assert client.tokens.is_valid(found[0])
        assert 1 == client.tokens.revoke_all(42)
    assert [] == raw.keys("*")


def test_revoking_wins_over_rotating(redis_server: Server, count: Callable[[int, int], int]) -> None:
    """100 families (100 times 100), rotated and revoked at the same time: no token is left, whatever came first."""

    async def main() -> int:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=30)) as client:
            tokens = client.tokens
            made = [await tokens.store(number % 5) for number in range(100)]

            async def rotate(token: str) -> str:
                try:
                    return (await tokens.rotate(token)).token
                except TokenInvalidError:
                    return token

            calls = [call for it in made for call in (rotate(it.token), tokens.revoke(it.token))]
            results = await asyncio.gather(*calls)
            return sum([await tokens.is_valid(token) for token in results[::2]])

    assert [0] * count(1, 100) == [asyncio.run(main()) for _unused in range(count(1, 100))]


def test_what_expired_is_invalid_and_leaves(client: Client, raw: Any) -> None:
    """A rotated token is kept until it expires, to find a thief, and no longer."""
    tokens = client.tokens
    brief = [tokens.store(1, ttl_seconds=0.05) for _unused in range(20)]
    time.sleep(0.1)
    assert not tokens.is_valid(brief[0].token)
    with pytest.raises(TokenInvalidError):
        tokens.rotate(brief[0].token)
    tokens.store(1, ttl_seconds=10)
    assert [1, 1] == [raw.hlen(name) if raw.type(name) == b"hash" else raw.zcard(name) for name in raw.keys("*")]
    wait_until(lambda: all(0 < raw.pttl(name) <= 10_000 for name in raw.keys("*")), "the TTL")


@pytest.mark.parametrize("odd", ["", "x", "{a}.b", "\ud800", "a" * 16 + "." + "b" * 43])
def test_what_is_no_token_is_invalid(client: Client, odd: str) -> None:
    """Strangers send them."""
    assert (False, False) == (client.tokens.is_valid(odd), client.tokens.revoke(odd))
    with pytest.raises(TokenInvalidError):
        client.tokens.rotate(odd)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda it: it.store(""), ValueError, "user_id is empty"),
        (lambda it: it.store(1, ttl_seconds=-1), ValueError, "ttl_seconds is -1"),
        (lambda it: it.store(1, data={"a": object()}), TypeError, "object"),
        (lambda it: it.rotate(b"x"), TypeError, "a token is of type bytes"),
        (lambda it: it.rotate("a" * 16 + "." + "b" * 43, grace_seconds=-1), ValueError, "grace_seconds is -1"),
    ],
)
def test_what_is_wrong_is_refused(call: Callable[[Any], object], error: type[Exception], message: str) -> None:
    """Before anything is sent."""
    with Client.from_url("redis://127.0.0.1:1", policy=Policy()) as client, pytest.raises(error, match=message):
        call(client.tokens)


# What happens when servers fail.


@pytest.mark.parametrize("grace", [0, 10])
@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
def test_a_rotation_whose_reply_was_lost_has_one_outcome(redis_server: Server, open_client: OpenClient, silent: bool, grace: int) -> None:
    """It is sent again and returns what the first attempt made; so does a caller that asks again, within the grace."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1.5, retry_delay_ms=10), Policy(breaker_failures=0))
        tokens = client.tokens
        tokens.rotate(tokens.store(1).token)
        first = tokens.store(42)
        fault = proxy.lose_reply("EVALSHA", silent=silent)
        second = tokens.rotate(first.token, grace_seconds=grace)
        assert 1 == fault.hits
        assert tokens.is_valid(second.token)
        assert 1 == tokens.revoke_all(42)


def test_a_caller_that_gave_up_asks_again(redis_server: Server, open_client: OpenClient) -> None:
    """After OutcomeUnknown, and in another process: the same new token, and never none or two."""
    with FaultProxy(redis_server) as proxy:
        client, other = open_client(proxy.settings(timeout_seconds=0.4, retry_delay_ms=10)), open_client(redis_server.settings())
        first = client.tokens.store(42)
        proxy.lose_reply("EVALSHA", times=1_000_000)
        with pytest.raises(OutcomeUnknown):
            client.tokens.rotate(first.token)
        second = other.tokens.rotate(first.token)
        proxy.heal()
        assert second == client.tokens.rotate(first.token)
        assert 1 == other.tokens.revoke_all(42)


def test_a_store_whose_reply_was_lost_gives_another_token(redis_server: Server, open_client: OpenClient) -> None:
    """No client knows the first one; revoke_all ends it with the others."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(retry_delay_ms=10))
        client.tokens.store(1)
        proxy.lose_reply("EVALSHA")
        assert client.tokens.is_valid(client.tokens.store(42).token)
        assert 2 == client.tokens.revoke_all(42)
        proxy.lose_reply("EVALSHA")
        with pytest.raises(OutcomeUnknown):
            client.tokens.store(42, GIVEN)


def test_a_full_server_revokes(redis_server: Server, client: Client) -> None:
    """Tokens are checked and revoked; storing and rotating are an error that changes nothing."""
    tokens = client.tokens
    first, second = tokens.store(42), tokens.store(42)
    with full(redis_server):
        assert tokens.is_valid(first.token)
        for call in (lambda: tokens.store(42), lambda: tokens.rotate(first.token)):
            with pytest.raises(ServerError, match="OOM"):
                call()
        assert tokens.revoke(second.token)
        assert tokens.is_valid(first.token)
    assert tokens.is_valid(tokens.rotate(first.token).token)


def test_a_server_that_is_down_is_an_error(redis_server: Server, open_client: OpenClient) -> None:
    """Never a token that is valid, nor one that is not."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=0.3), Policy(on_error="fallback"))
        first = client.tokens.store(42)
        proxy.refuse()
        proxy.close_connections()
        for call in (client.tokens.is_valid, client.tokens.rotate, client.tokens.revoke):
            with pytest.raises(UnreachableError):
                call(first.token)
        proxy.heal()
        client.wait_until_ready(10)
        assert client.tokens.is_valid(first.token)


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        second = client.tokens.rotate(client.tokens.store(42).token)
        assert client.tokens.is_valid(second.token)
        assert 1 == client.tokens.revoke_all(42)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_keeps_what_was_replicated(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """The old token gives the same new one at the new primary; callers with time see no error."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    first = clients[0].tokens.store("ada")
    second = clients[0].tokens.rotate(first.token, grace_seconds=60)
    target.wait_until_in_sync()
    target.kill_primary(*([f"session:{{{first.token[:16]}}}"] if topology == "cluster" else []))
    assert [second, second] == [client.tokens.rotate(first.token, grace_seconds=60) for client in clients]
    assert clients[0].tokens.is_valid(clients[1].tokens.rotate(second.token).token)
    assert 1 == clients[1].tokens.revoke_all("ada")
