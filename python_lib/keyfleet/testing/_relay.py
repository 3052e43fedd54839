# SPDX-License-Identifier: MIT
"""One connection through a FaultProxy: a pump for commands and one for replies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter, deque
from typing import Optional, Union

from ._faults import Fault, Kind, Shape
from ._resp import Scanner, words

_CHUNK_BYTES = 65536
_TLS_HANDSHAKE = 0x16
_PUSH = ord(">")
_STREAM = "stream"  # stands for the reply of a command after which the server sends without being asked
_STREAM_COMMANDS = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC"}


class Conditions:
    """
    What holds for all connections of a proxy.

    Attributes:
        faults: Faults that wait for their command.
        shape: How replies travel.
        black_hole: Whether connections are accepted and nothing is passed on.
        commands: Commands seen, by name in upper case.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.shape = Shape()
        self.black_hole = False
        self.commands: Counter[str] = Counter()

    def count(self, command: bytes) -> str:
        """Count *command* and return its name."""
        name = b"".join(words(command, 1)).decode(errors="replace")
        self.commands[name] += 1
        return name

    def meet(self, command: bytes) -> Optional[Fault]:
        """Return the first fault that *command* meets; all that match count it."""
        met = [fault for fault in self.faults if fault.meets(command)]
        return met[0] if met else None


class Relay:
    """
    A client's connection, and the server's that belongs to it.

    When it is closed, by a fault or by the client, the server still gets all that was passed on before, and its replies are read
    to the end: which commands ran does not depend on who is faster.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._to_client: Optional[asyncio.StreamWriter] = None
        self._to_server: Optional[asyncio.StreamWriter] = None
        self._commands, self._replies = Scanner(), Scanner()
        self._due: deque[Union[Fault, str, None]] = deque()  # an entry for each command whose reply has not come
        self._bytes_left = conditions.shape.cut_after_bytes
        self._opaque: Optional[bool] = None  # TLS, or nothing that we can read; not known before the first byte
        self._streaming = False
        self._requests_lost = self._replies_lost = conditions.black_hole
        self._close_when_answered = False
        self.is_open = True

    async def run(self, connection: socket.socket, host: str, port: int) -> None:
        """Connect to the server and pass on what comes over the client's *connection*, until both ends are closed."""
        try:
            from_client, self._to_client = await asyncio.open_connection(sock=connection)
            with contextlib.suppress(OSError, ValueError):  # the server is not there, or does not speak RESP
                await self._relay(from_client, host, port)
            self.close()
            with contextlib.suppress(OSError):
                await self._to_client.wait_closed()
        finally:
            self.close()
            for writer in (self._to_client, self._to_server):
                if writer is not None:
                    writer.transport.abort()

    async def _relay(self, from_client: asyncio.StreamReader, host: str, port: int) -> None:
        if self._requests_lost:
            await self._pump_requests(from_client)
            return
        from_server, self._to_server = await asyncio.open_connection(host, port)
        await asyncio.gather(self._pump_requests(from_client), self._pump_replies(from_server))

    def silence(self) -> None:
        """Pass nothing on any more, in either direction, and stay open."""
        self._requests_lost = self._replies_lost = True

    def close(self) -> None:
        """Close the client's end, after what was written to it, and the server's for writing only."""
        self.silence()
        self.is_open = False
        if self._to_client is not None:
            self._to_client.close()
        if self._to_server is not None and not self._to_server.is_closing():
            with contextlib.suppress(OSError):
                self._to_server.write_eof()

    async def _pump_requests(self, from_client: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await from_client.read(_CHUNK_BYTES):
                if self._opaque is None:
                    self._opaque = data[0] == _TLS_HANDSHAKE
                passed = self._take(data)
                if passed and self._to_server is not None:
                    self._to_server.write(passed)
                    await self._to_server.drain()
                if self._close_when_answered and not self._due:
                    break
        self.close()

    def _take(self, data: bytes) -> bytes:
        """Return the commands that *data* completes, without those that get lost; note how each reply shall fail."""
        if self._opaque:
            return b"" if self._requests_lost else data
        try:
            commands = self._commands.feed(data)
        except ValueError:  # the server shall say what is wrong with it
            self._opaque = True
            return self._commands.rest()
        passed = []
        for command in commands:
            name = self._conditions.count(command)
            fault = None if self._requests_lost else self._conditions.meet(command)
            if fault and fault.kind is Kind.REQUEST:
                fault.hits += 1
                self._requests_lost = True
                self._close_when_answered = not fault.silent
            if not self._requests_lost:
                passed.append(command)
                self._due.append(_STREAM if name in _STREAM_COMMANDS else fault)
        return b"".join(passed)

    async def _pump_replies(self, from_server: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await from_server.read(_CHUNK_BYTES):
                await self._deliver([data] if self._opaque or self._streaming else self._replies.feed(data))
                if self._close_when_answered and not self._due:
                    self.close()
        self.close()

    async def _deliver(self, replies: list[bytes]) -> None:
        """Pass *replies* on, but for those that shall fail."""
        arrived = asyncio.get_running_loop().time()
        passed: list[bytes] = []
        for reply in replies:
            fault = self._fault_of(reply)
            if fault is None:
                passed.append(reply)
                continue
            if fault.kind is Kind.HALF_REPLY:
                passed.append(reply[: fault.keep_bytes])
            await self._send(passed, arrived)
            passed = []
            fault.hits += 1
            self._replies_lost = True
            if not fault.silent:
                self.close()
        if self._streaming or self._opaque:
            passed.append(self._replies.rest())
        await self._send(passed, arrived)

    def _fault_of(self, reply: bytes) -> Optional[Fault]:
        if self._opaque or self._streaming or reply[0] == _PUSH or not self._due:
            return None
        due = self._due.popleft()
        if isinstance(due, str):
            self._streaming = True
            return None
        return due

    async def _send(self, replies: list[bytes], arrived: float) -> None:
        """Send *replies* to the client in the present shape."""
        shape = self._conditions.shape
        if shape.is_plain:
            await self._write(b"".join(replies))
            return
        for reply in replies:
            await asyncio.sleep(arrived + shape.next_delay() - asyncio.get_running_loop().time())
            if shape.dribble_seconds is None:
                await self._write(reply)
                continue
            for position in range(len(reply)):
                await self._write(reply[position : position + 1])
                await asyncio.sleep(shape.dribble_seconds)

    async def _write(self, data: bytes) -> None:
        if self._replies_lost or self._to_client is None or not data:
            return
        if self._bytes_left is not None:
            data = data[: self._bytes_left]
            self._bytes_left -= len(data)
        try:
            self._to_client.write(data)
            await self._to_client.drain()
        except OSError:  # the client is gone; the rest is read nevertheless
            self._replies_lost = True
        if self._bytes_left == 0:
            self.close()
