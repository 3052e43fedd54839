# SPDX-License-Identifier: MIT
"""Random pipelines and transactions on real servers that lose replies and move slots: the rule of test_attempts_model.py holds there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from keyfleet import Client, Policy
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing.proxy import ClusterProxies, FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient
from support.groups import NAMES, Step, Store, check, groups, stores

FEW = hypothesis.settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck))
FAULTS = st.sampled_from(["none", "reply", "reply", "request", "half"])
BUDGET_SECONDS = 20.0


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


def lose(proxy: FaultProxy, fault: str, nth: int) -> None:
    """Let the *nth* of the commands to come fail."""
    if fault == "reply":
        proxy.lose_reply(nth=nth)
    elif fault == "request":
        proxy.lose_request(nth=nth)
    elif fault == "half":
        proxy.cut_reply(nth=nth)


def fill(server: AnyClient, before: Store) -> None:
    """Let the servers hold *before* and nothing else of the tests."""
    for name in NAMES:
        server.delete(name)
    for name, value in before.items():
        server.set(name, value)


def run(client: Client, group: Sequence[Step], *, transaction: bool = False) -> list[Any]:
    """Return what the calls got, errors in their places."""
    pipe = client.pipeline(transaction=transaction)
    for step in group:
        step.queue(pipe)
    return pipe.execute(raise_on_error=False)


@pytest.mark.parametrize("transaction", [False, True], ids=["pipeline", "transaction"])
def test_a_server_that_loses_replies(proxy: FaultProxy, redis_server: Server, open_client: OpenClient, transaction: bool) -> None:
    """No wrong answer, and none behind a call without one."""
    client = open_client(proxy.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=1), Policy(breaker_failures=0))
    with redis_server.client() as raw:

        @FEW
        @hypothesis.given(group=groups(), before=stores(), fault=FAULTS, nth=st.integers(1, 8))
        def holds(group: list[Step], before: Store, fault: str, nth: int) -> None:
            fill(raw, before)
            lose(proxy, fault, nth)
            results = run(client, group, transaction=transaction)
            proxy.heal()
            check(group, before, results)

        holds()


def test_a_cluster_that_loses_replies_and_moves_slots(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """Slots are moved, half moved, or have been moved unseen by the client, and a reply of one node is lost."""
    with ClusterProxies(redis_cluster) as proxies:
        client = open_client(proxies.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=1), Policy(breaker_failures=0))
        raw = redis_cluster.client()

        @FEW
        @hypothesis.given(
            group=groups(), before=stores(), fault=FAULTS, nth=st.integers(1, 4), moving=st.sampled_from(NAMES), steps=st.integers(0, 4)
        )
        def holds(group: list[Step], before: Store, fault: str, nth: int, moving: str, steps: int) -> None:
            fill(raw, before)
            source = redis_cluster.primary_of(moving)
            target = next(node for node in redis_cluster.primaries() if node is not source)
            move = redis_cluster.move_slots([redis_cluster.slot_of(moving)], target)
            for _unused in range(steps):
                next(move, None)
            lose(proxies.of(source), fault, nth)
            results = run(client, group)
            proxies.of(source).heal()
            for _step in move if steps else ():
                pass
            check(group, before, results)

        try:
            holds()
        finally:
            raw.close()
