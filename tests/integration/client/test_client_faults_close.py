# SPDX-License-Identifier: MIT
"""The end of a client: calls on their way end, others are refused, and no connection is left on the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from keyfleet import ClosedError, KeyfleetError
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import wait_until
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenClient
from support.load import Load
from support.targets import Target

pytestmark = pytest.mark.slow

SLACK_SECONDS = 1.0


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


def connections_of(server: AnyClient) -> set[str]:
    """Return the ids of connections of clients, without this one and those of other servers."""
    own = str(server.client_id())
    return {entry["id"] for entry in server.client_list() if entry["id"] != own and "S" not in entry["flags"] and "M" not in entry["flags"]}


def test_a_closed_client_leaves_no_connection(target: Target, open_client: OpenClient) -> None:
    """On any topology, after calls from several threads; closing twice is closing once."""
    servers = target.nodes if isinstance(target, Cluster) else target.servers if isinstance(target, SentinelGroup) else [target]
    sentinels = target.sentinels if isinstance(target, SentinelGroup) else []
    with clients_of([*servers, *sentinels]) as raw:
        before = [connections_of(server) for server in raw]
        client = open_client(target.settings())
        with Load([lambda number: client.set(f"k{number}", "v")] * 5) as load:
            load.go_on()
        assert before != [connections_of(server) for server in raw]
        client.close()
        client.close()
        wait_until(lambda: all(connections_of(server) <= old for server, old in zip(raw, before, strict=True)), "connections to end")
    with pytest.raises(ClosedError):
        client.get("k")
    assert not client.is_connected


def test_calls_on_their_way_end_well(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Ten calls wait for late replies when the client is closed: all of them get theirs, and what comes later is refused."""
    client = open_client(proxy.settings(timeout_seconds=10.0))
    client.ping()
    proxy.delay_replies(0.5)
    proxy.reset_counts()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(client.incr, "n") for _unused in range(10)]
        wait_until(lambda: proxy.commands["INCRBY"] == 10, "the calls to be sent")
        client.close()
        with pytest.raises(ClosedError):
            client.incr("n")
        assert set(range(1, 11)) == {call.result(10) for call in calls}
    wait_until(lambda: proxy.open_connections == 0, "the connections to end")


def test_closing_during_an_outage_takes_no_longer_than_the_grace(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Calls that will never be answered end with an error of keyfleet."""
    client = open_client(proxy.settings(timeout_seconds=3.0))
    client.ping()
    proxy.black_hole()
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(client.get, "k") for _unused in range(5)]
        wait_until(lambda: client.stats.calls >= 6, "the calls to begin")
        begun = time.monotonic()
        client.close(0.2)
        assert time.monotonic() - begun < 0.2 + SLACK_SECONDS
        assert all(isinstance(call.exception(10), KeyfleetError) for call in calls)


def test_a_closed_client_can_be_opened_again(open_client: OpenClient, proxy: FaultProxy) -> None:
    """By connect(), not by a call."""
    client = open_client(proxy.settings())
    client.set("k", "v")
    client.close()
    with pytest.raises(ClosedError):
        client.get("k")
    client.connect()
    assert "v" == client.get("k")
