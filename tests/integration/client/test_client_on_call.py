# SPDX-License-Identifier: MIT
"""Policy.on_call hears of each command once: its name, server, time, attempts and outcome, for metrics and traces."""

from __future__ import annotations

import logging

import pytest
from keyfleet import CallRecord, OutcomeUnknown, Policy, Settings, UnreachableError, WrongTypeError
from keyfleet.testing._server import free_port
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import OpenClient


def shown(records: list[CallRecord]) -> list[tuple[str, int, str]]:
    """Return name, attempts and outcome of *records* and forget them."""
    found = [(record.name, record.attempts, record.outcome) for record in records]
    records.clear()
    return found


def test_every_command_is_reported_once(redis_server: Server, open_client: OpenClient) -> None:
    """Alone, in pipelines and transactions, while it waits, and when the server answers with an error."""
    records: list[CallRecord] = []
    client = open_client(redis_server.settings(), Policy(on_call=records.append))
    assert client.set("k", "v")
    assert f"{redis_server.host}:{redis_server.port}" == records[0].node
    assert 0 < records[0].seconds < 10
    assert [("SET", 1, "ok")] == shown(records)
    assert {"k": "v"} == client.get_many(["k"])
    assert client.blpop("l", timeout_seconds=0.01) is None
    with client.pipeline() as pipe:
        assert ["v", 1] == pipe.get("k").incr("n").execute()
    with client.pipeline(transaction=True) as pipe:
        assert [2] == pipe.incr("n").execute()
    assert [(name, 1, "ok") for name in ("MGET", "BLPOP", "GET", "INCRBY", "MULTI")] == shown(records)
    with pytest.raises(WrongTypeError):
        client.llen("k")
    assert [("LLEN", 1, "WRONGTYPE"), ("TYPE", 1, "ok")] == shown(records)


def test_attempts_and_errors_are_reported(redis_server: Server, open_client: OpenClient) -> None:
    """A reply that was lost is a further attempt, or the end."""
    records: list[CallRecord] = []
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1, retry_delay_ms=10), Policy(on_call=records.append))
        client.set("k", "v")
        records.clear()
        proxy.lose_reply("GET")
        assert "v" == client.get("k")
        proxy.lose_reply("INCRBY")
        with pytest.raises(OutcomeUnknown):
            client.incr("n")
        assert [("GET", 2, "ok"), ("INCRBY", 1, "OutcomeUnknown")] == shown(records)


def test_a_server_that_is_not_there_is_reported(open_client: OpenClient) -> None:
    """With the name of the error, also where the call falls back."""
    records: list[CallRecord] = []
    policy = Policy(on_call=records.append, while_disconnected="fail", on_error="fallback")
    client = open_client(Settings(host="127.0.0.1", port=free_port("127.0.0.1")), policy)
    assert client.get("k") is None
    assert [("GET", 1, UnreachableError.__name__)] == shown(records)


def test_a_hook_that_fails_changes_no_call(redis_server: Server, open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; what is no function is refused."""

    def fail(_record: CallRecord) -> None:
        raise RuntimeError("no metrics today")

    client = open_client(redis_server.settings(), Policy(on_call=fail))
    with caplog.at_level(logging.ERROR, "keyfleet"):
        assert client.set("k", "v")
    assert "on_call of the policy failed" in caplog.text
    with pytest.raises(TypeError, match="on_call is of type str"):
        Policy(on_call="metrics")  # type: ignore[arg-type]
