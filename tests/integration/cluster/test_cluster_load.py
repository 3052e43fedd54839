# SPDX-License-Identifier: MIT
"""A cluster grows and shrinks while applications write and read: no call fails, and every write that was acknowledged is there."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import pytest
from keyfleet import Client
from keyfleet.testing._server import Server
from support.formations import PASSWORD, Start, address, is_whole
from support.load import Load
from support.modules import Result, run_module

pytestmark = [pytest.mark.client, pytest.mark.slow]
PACE_SECONDS = 0.005


def paced(work: Callable[[int], object]) -> Callable[[int], object]:
    """Return *work* at a steady rate, so that it leaves the processor to the servers."""

    def run(number: int) -> object:
        time.sleep(PACE_SECONDS)
        return work(number)

    return run


def change(nodes: Sequence[Server], retired: Sequence[Server] = ()) -> Result:
    """Run the module in a process of its own."""
    options = {"nodes": [{"address": address(node)} for node in nodes], "retired": [address(node) for node in retired]}
    return run_module("redis_cluster", {**options, "login_password": PASSWORD}, timeout_seconds=180)


def test_growing_and_shrinking_under_load(start_nodes: Start) -> None:
    """From three shards to four and back, then a primary is retired and its replica takes over."""
    formation = start_nodes(8)
    six, spare = formation.nodes[:6], formation.nodes[6:]
    formation.form(six)
    with Client.from_settings(formation.cluster.settings(timeout_seconds=10.0)) as client:
        last = [0]

        def write(number: int) -> None:
            client.set(f"a:{number}", str(number))
            last[0] = number

        def count(_number: int) -> int:
            return client.incr("counter")

        def read(_number: int) -> None:
            wanted = random.randint(0, last[0])  # noqa: S311 - any key will do
            assert client.get(f"a:{wanted}") == str(wanted)

        write(0)  # for the reader
        with Load([paced(write), paced(count), paced(read)]) as load:
            load.go_on(50)
            assert 4096 == change(formation.nodes)["moved_slots"]
            load.go_on(50)
            assert 4096 == change(six, spare)["moved_slots"]
            load.go_on(50)
            formation.cluster.nodes = six
            leaving = formation.cluster.primaries()[0]
            stay = [*(node for node in six if node is not leaving), spare[0]]
            handed = change(stay, [leaving])
            assert 0 == handed["moved_slots"]
            assert any(step.startswith("hand over") for step in handed["steps"])
            load.go_on(50)
        assert [] == load.errors
        writer, counter, reader = load.workers
        print(f"\n{len(writer.done)} writes, {len(counter.done)} increments, {len(reader.done)} reads, and none failed")
        assert [] == [number for number in writer.done if client.get(f"a:{number}") != str(number)]
        assert len(counter.done) == int(client.get("counter") or 0)
    formation.cluster.nodes = stay
    formation.cluster.remember(spare[0])  # it was reset when it left
    is_whole(formation, stay, 3, 1)
