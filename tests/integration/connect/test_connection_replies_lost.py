# SPDX-License-Identifier: MIT
"""A command whose reply does not come may have run: it is never sent a second time."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.errors import UnreachableError
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.targets import Target

# INCR, then let the client wait longer than its timeout: 0.3 s, or so many calls where a script's TIME stands still (Redis 7.2 and newer).
SLOW_INCR = """
local value = redis.call('INCR', KEYS[1])
local start, calls = redis.call('TIME'), 0
repeat
    local now = redis.call('TIME')
    calls = calls + 1
until (now[1] - start[1]) * 1000000 + now[2] - start[2] > 300000 or calls == 500000
return value
"""
IMPATIENT: dict[str, Any] = {"timeout_seconds": 0.1, "retry_attempts": 5, "retry_delay_ms": 1}


def value_when_quiet(target: Target, key: str) -> int:
    """Return the counter's value once the server has read whatever was sent to it before; a busy machine takes its time for the script."""
    client = target.client(timeout_seconds=30.0)
    try:
        return [int(client.get(key)) for _unused in range(3)][-1]
    finally:
        close(client)


def test_a_command_with_a_lost_reply_runs_once(target: Target) -> None:
    """redis-py with its defaults counts two here, and says nothing."""
    client = target.client(**IMPATIENT)
    client.ping()
    with pytest.raises(UnreachableError, match="Timeout reading"), translated(target.settings()):
        client.eval(SLOW_INCR, 1, "n")
    close(client)
    assert 1 == value_when_quiet(target, "n")


def test_a_pipeline_with_a_lost_reply_runs_once(target: Target) -> None:
    """All its commands may have run; none is sent again."""
    client = target.client(**IMPATIENT)
    client.ping()
    with pytest.raises(UnreachableError), translated(target.settings()):
        client.pipeline(transaction=False).incr("{n}a").execute_command("EVAL", SLOW_INCR, 1, "n").incr("{n}b").execute()
    close(client)
    assert [1, 1, 1] == [value_when_quiet(target, key) for key in ("n", "{n}a", "{n}b")]


def test_the_client_works_after_a_lost_reply(target: Target) -> None:
    """The late reply is not taken for the answer to the next command."""
    client = target.client(**IMPATIENT)
    client.set("k", "right")
    with pytest.raises(UnreachableError), translated(target.settings()):
        client.eval(SLOW_INCR, 1, "{k}n")
    assert 1 == value_when_quiet(target, "{k}n")
    assert b"right" == client.get("k")
    close(client)


def test_a_connection_cut_before_the_reply_is_not_a_reason_to_repeat(redis_server: Server) -> None:
    """The same uncertainty as a timeout: the server runs the command and the connection ends instead of its reply."""
    with FaultProxy(redis_server) as proxy:
        settings = proxy.settings(retry_attempts=5, retry_delay_ms=1)
        client = connect(settings)
        fault = proxy.lose_reply("INCRBY", times=5)
        with pytest.raises(UnreachableError), translated(settings):
            client.incr("n")
        close(client)
    assert (1, 1) == (fault.hits, value_when_quiet(redis_server, "n"))
