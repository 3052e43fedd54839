# SPDX-License-Identifier: MIT
"""What an AsyncClient keeps for each event loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..core.connect.settings import Settings
from ..core.errors import ClosedError
from .failures import CLOSED

T = TypeVar("T")


def open_raw(settings: Settings) -> Any:
    """Return a redis-py client for asyncio; replies are bytes, and it connects when it is first used."""
    from .asyncio_raw import connect_asyncio

    return connect_asyncio(settings)


async def close_raw(client: Any) -> None:
    """Close a redis-py client for asyncio, and the connections over which it asks Sentinels, which redis-py leaves open."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()


class Engines(Generic[T]):
    """
    Keeps the engines of a client: one for each event loop and process, since connections belong to a loop.

    Args:
        make: Makes an engine.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._is_open = make, True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: T | None = None
        self._engines: dict[asyncio.AbstractEventLoop, T] = {}
        _holders.add(self)

    def current(self) -> T:
        """Return the engine of the running loop; ClosedError after `close`."""
        loop = asyncio.get_running_loop()
        engine = self._engine
        return engine if engine is not None and loop is self._loop else self._of(loop)

    def _of(self, loop: asyncio.AbstractEventLoop) -> T:
        if not self._is_open:
            raise ClosedError(CLOSED)
        for old in [old for old in self._engines if old.is_closed()]:
            del self._engines[old]
        engine = self._engines.get(loop)
        if engine is None:
            engine = self._engines[loop] = self._make()
        self._loop, self._engine = loop, engine
        return engine

    @property
    def is_open(self) -> bool:
        """Whether it serves, as it does until `close`."""
        return self._is_open

    def reopen(self) -> None:
        """Serve again after `close`."""
        self._is_open = True

    def close(self) -> list[T]:
        """Serve no longer; return the engine of the running loop, which the caller closes. Connections end with their loop."""
        self._is_open = False
        engine = self._engines.get(asyncio.get_running_loop())
        self.forget()
        return [] if engine is None else [engine]

    def all(self) -> list[T]:
        """Return the engines that exist."""
        return list(self._engines.values())

    def forget(self) -> None:
        """Start without engines, as a forked process must."""
        self._loop = self._engine = None
        self._engines = {}


_holders: weakref.WeakSet[Engines[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for holder in _holders:
        holder.forget()


os.register_at_fork(after_in_child=_forget_in_child)
