# SPDX-License-Identifier: MIT
"""A task that is cancelled while it waits for an element leaves nothing behind: no connection, no element that it still takes."""

from __future__ import annotations

import asyncio

import pytest
from keyfleet import AsyncClient, Policy
from keyfleet.testing.servers import Server


async def until_blocked(client: AsyncClient, count: int) -> None:
    """Wait until the server says that *count* connections wait."""
    for _unused in range(500):
        if f"blocked_clients:{count}\r\n" in (await client.execute("INFO", "clients")).decode():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{count} connections never waited")


def test_a_cancelled_wait_frees_its_connection(redis_server: Server) -> None:
    """More often than there are connections; what comes afterwards is still there."""

    async def main() -> tuple[int, int, int, int]:
        async with AsyncClient.from_settings(redis_server.settings(), policy=Policy(max_connections=3)) as client:
            await client.ping()
            for _unused in range(10):
                waiting = [asyncio.create_task(client.blpop("q", timeout_seconds=0)) for _also in range(2)]
                await until_blocked(client, 2)
                for task in waiting:
                    task.cancel()
                for task in waiting:
                    with pytest.raises(asyncio.CancelledError):
                        await task
                await until_blocked(client, 0)
            await client.rpush("q", "a", "b")
            left = await client.llen("q")
            clients = len((await client.execute("CLIENT", "LIST", "TYPE", "normal")).decode().splitlines())
            return left, clients, client.stats.connections, client.stats.connections_opened

    assert (2, 1, 1, 21) == asyncio.run(main())
