# SPDX-License-Identifier: MIT
"""Addresses that are translated: TCP ports on loopback that stand for other ones, as behind NAT and in containers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from types import TracebackType

Place = tuple[str, int]
CHUNK_BYTES = 65536


class Forwarder:
    """
    Passes on what comes to some places; a context manager, in whose thread all connections live.

    Args:
        places: Where each place leads, both as host and port.
    """

    def __init__(self, places: Mapping[Place, Place]) -> None:
        self._places = places
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Forwarder:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        for (host, port), target in self._places.items():

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Place = target) -> None:
                task = asyncio.ensure_future(self._join(reader, writer, target))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

            self._servers.append(await asyncio.start_server(accept, host, port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _turn in range(3):  # of the loop, in which cancelled pumps end and aborted connections close
            await asyncio.sleep(0)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Place) -> None:
        try:
            with contextlib.suppress(OSError):
                answers, commands = await asyncio.open_connection(*target)
                try:
                    ways = [asyncio.ensure_future(_pump(reader, commands)), asyncio.ensure_future(_pump(answers, writer))]
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    for way in ways:
                        way.cancel()
                finally:
                    commands.transport.abort()
        finally:
            writer.transport.abort()


def other_name(host: str) -> str:
    """Return another spelling of an IPv4 address, which servers take for a name and which every resolver knows."""
    third, fourth = host.split(".")[2:]
    return f"{host.split('.')[0]}.0.{256 * int(third) + int(fourth)}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
