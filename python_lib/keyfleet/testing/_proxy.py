# SPDX-License-Identifier: MIT
"""A proxy between a client and one server that fails on request."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import TracebackType
from typing import Any, Optional, TypeVar, Union

from ..core.connect.client import connect
from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ._faults import Fault, Kind, Shape
from ._relay import Conditions, Relay
from ._server import Server

_T = TypeVar("_T")
_BACKLOG = 512
_TIMEOUT_SECONDS = 10.0


class FaultProxy:
    """
    A proxy on loopback, run by a thread of its own; a context manager that stops it.

    The methods set the faults; each holds when the method returns, for all connections unless it says otherwise, until `heal`.
    After SUBSCRIBE, MONITOR or SYNC a connection's replies cannot be matched to commands: faults that name a command no longer
    meet its replies. ``CLIENT REPLY`` is not understood.

    Attributes:
        host, port: Where it listens; the port is known once it runs.
    """

    def __init__(self, upstream: Union[Server, Settings], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self._upstream = _settings_of(upstream)
        self._conditions = Conditions()
        self._relays: dict[Relay, asyncio.Task[None]] = {}
        self._peak = self._total = 0
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread: Optional[threading.Thread] = None
        self._holder = socket.socket()  # keeps the port while connections are refused
        self._listener: Optional[socket.socket] = None

    def __repr__(self) -> str:
        return f"<FaultProxy {self.host}:{self.port} to {self._upstream.address}>"

    def __enter__(self) -> FaultProxy:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def settings(self, **changes: Any) -> Settings:
        """Return the server's settings with the proxy's address, and with *changes* to single fields."""
        return replace(self._upstream, **{"host": self.host, "port": self.port, **changes})

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py client that talks through the proxy, with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    # Counts

    @property
    def open_connections(self) -> int:
        """Connections that clients hold open now; a client's close counts when it has arrived here."""
        return self._call(self._count_open)

    @property
    def peak_connections(self) -> int:
        """The most connections that were open at the same time."""
        return self._call(lambda: self._peak)

    @property
    def total_connections(self) -> int:
        """Connections accepted so far."""
        return self._call(lambda: self._total)

    @property
    def commands(self) -> Counter[str]:
        """Commands that came in so far, by name in upper case, lost ones included; none with TLS."""
        return self._call(lambda: Counter(self._conditions.commands))

    def reset_counts(self) -> None:
        """Count from zero; connections that are open stay counted."""

        def reset() -> None:
            self._conditions.commands.clear()
            self._total = self._peak = self._count_open()

        self._call(reset)

    # Faults of one command

    def lose_request(self, command: str = "", *, nth: int = 1, times: int = 1, silent: bool = False) -> Fault:
        """
        Keep a command from the server.

        Args:
            command: Words that it begins with, in any case: ``INCR``, ``CLUSTER SLOTS``, ``GET mine``; empty meets every command,
                those that a client sends on its own included.
            nth: Which of the matching commands to come is the first to fail, 1 for the next.
            times: How many fail, on whatever connections.
            silent: Keep the connection open and pass nothing on it any more. By default it is closed once the commands
                before this one are answered.
        Returns:
            The fault; its ``hits`` counts how many commands have failed.
        """
        return self._arm(command, Kind.REQUEST, silent, nth, times)

    def lose_reply(self, command: str = "", *, nth: int = 1, times: int = 1, silent: bool = False) -> Fault:
        """
        Let the server run a command and keep its reply from the client.

        Args:
            command, nth, times: As for `lose_request`.
            silent: Keep the connection open; later commands on it still reach the server, their replies are lost as well.
                By default it is closed instead of the reply.
        """
        return self._arm(command, Kind.REPLY, silent, nth, times)

    def cut_reply(self, command: str = "", *, keep_bytes: int = 1, nth: int = 1, times: int = 1, silent: bool = False) -> Fault:
        """
        Send only the first *keep_bytes* of a reply, then close the connection.

        Args:
            command, nth, times, silent: As for `lose_reply`.
        """
        return self._arm(command, Kind.HALF_REPLY, silent, nth, times, keep_bytes)

    # Faults of everything

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        self._call(self._stop_listening)

    def black_hole(self) -> None:
        """Accept connections and pass nothing on, in either direction; connections open now stay unresponsive after `heal`, too."""

        def open_hole() -> None:
            self._conditions.black_hole = True
            for relay in self._relays:
                relay.silence()

        self._call(open_hole)

    def delay_replies(self, seconds: float, longest: float | None = None, *, seed: int = 0) -> None:
        """
        Hold each reply back, in order; replies that arrive together are held back together.

        Args:
            seconds: For how long.
            longest: If given, the time is drawn between *seconds* and this, for each reply.
            seed: Start of the draws; the same seed gives the same delays.
        """
        draws = random.Random(seed)  # noqa: S311
        self._reshape(delay_seconds=(seconds, seconds if longest is None else longest), random=draws)

    def dribble_replies(self, pause_seconds: float) -> None:
        """Send replies byte by byte, with a pause after each."""
        self._reshape(dribble_seconds=pause_seconds)

    def cut_connections(self, after_bytes: int) -> None:
        """Close each connection made from now on once *after_bytes* bytes of replies have passed, at least 1."""
        if after_bytes < 1:
            raise ValueError(f"after_bytes is {after_bytes}; allowed are 1 and above")
        self._reshape(cut_after_bytes=after_bytes)

    def heal(self) -> None:
        """End all faults; connections that are unresponsive stay so."""

        def restore() -> None:
            self._conditions.faults.clear()
            self._conditions.shape, self._conditions.black_hole = Shape(), False
            self._listen()

        self._call(restore)

    def close_connections(self) -> None:
        """Close all connections that are open; what was already sent to the server is run."""

        def close_all() -> None:
            for relay in self._relays:
                relay.close()

        self._call(close_all)

    def switch_to(self, upstream: Union[Server, Settings]) -> None:
        """Lead connections made from now on to another server; `close_connections` moves the others."""
        there = _settings_of(upstream)
        self._call(lambda: setattr(self, "_upstream", there))

    # Machinery

    def start(self) -> None:
        """Listen; return when clients can connect."""
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind((self.host, self.port))
        self.port = self._holder.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="FaultProxy", daemon=True)
        self._thread.start()
        self._call(self._listen)

    def stop(self) -> None:
        """Close everything and end the thread."""
        if self._loop is not None and self._thread is not None:
            self._wait_for(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_TIMEOUT_SECONDS)
            self._loop.close()
            self._loop = None
        self._holder.close()

    def _wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the proxy's thread and return its result."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the proxy does not run; use it as a context manager, or call start()")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_SECONDS)

    def _call(self, work: Callable[[], _T]) -> _T:
        """Run a function in the proxy's thread and return its result; connections that clients have made before it are taken in."""

        async def called() -> _T:
            self._accept_waiting()
            return work()

        return self._wait_for(called())

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((self.host, self.port))
            self._listener.listen(_BACKLOG)
            self._listener.setblocking(False)
            asyncio.get_running_loop().add_reader(self._listener, self._accept_waiting)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept_waiting(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._listener is not None:
                self._take_in(self._listener.accept()[0])

    def _take_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        relay = Relay(self._conditions)
        task = asyncio.get_running_loop().create_task(relay.run(connection, self._upstream.host, self._upstream.port))
        self._relays[relay] = task

        def ended(_task: asyncio.Task[None]) -> None:
            self._relays.pop(relay)
            connection.close()  # not in the task, of which nothing runs if it is cancelled before its first step

        task.add_done_callback(ended)
        self._total += 1
        self._peak = max(self._peak, self._count_open())

    async def _end(self) -> None:
        self._stop_listening()
        tasks = list(self._relays.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next round of the loop

    def _count_open(self) -> int:
        return sum(relay.is_open for relay in self._relays)

    def _arm(self, command: str, kind: Kind, silent: bool, nth: int, times: int, keep_bytes: int = 0) -> Fault:
        for name, value, least in (("nth", nth, 1), ("times", times, 1), ("keep_bytes", keep_bytes, 0)):
            if value < least:
                raise ValueError(f"{name} is {value}; allowed are {least} and above")
        fault = Fault(command.upper().encode().split(), kind, silent, nth, times, keep_bytes)
        self._call(lambda: self._conditions.faults.append(fault))
        return fault

    def _reshape(self, **changes: Any) -> None:
        self._call(lambda: setattr(self._conditions, "shape", replace(self._conditions.shape, **changes)))


def _settings_of(upstream: Union[Server, Settings]) -> Settings:
    settings = upstream.settings() if isinstance(upstream, Server) else upstream
    if settings.unix_socket or settings.cluster_nodes or settings.sentinels:
        raise ValueError(f"{settings.address} is not one server on TCP, which a FaultProxy needs")
    return settings
