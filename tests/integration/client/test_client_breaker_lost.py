# SPDX-License-Identifier: MIT
"""A connection that breaks under many calls is not a server that fails."""

from __future__ import annotations

import asyncio

from keyfleet import AsyncClient, OutcomeUnknown
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server


def test_calls_lost_with_one_connection_give_the_server_no_pause(redis_server: Server) -> None:
    """Each of fifty counters may have run; the call after them runs immediately."""

    async def scenario(proxy: FaultProxy) -> None:
        async with AsyncClient.from_settings(proxy.settings()) as client:
            await client.connect()
            proxy.lose_reply("INCRBY")
            outcomes = await asyncio.gather(*(client.incr(f"n{number}") for number in range(50)), return_exceptions=True)
            assert {OutcomeUnknown} == {type(outcome) for outcome in outcomes}
            assert await client.set("k", "v")
            assert (50, 0) == (client.stats.failures, client.stats.breaker_opens)

    with FaultProxy(redis_server) as proxy:
        asyncio.run(scenario(proxy))
