# SPDX-License-Identifier: MIT
"""What an AsyncClient keeps for each event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import warnings
import weakref
from collections.abc import Callable
from functools import partial
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


NO_LOOP = (
    "AsyncClient needs a running event loop of asyncio: await its calls within asyncio.run(). Elsewhere use Client, which needs none; "
    "under trio in threads, as trio.to_thread.run_sync(client.get, 'k')"
)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(NO_LOOP) from None


class Engines(Generic[T]):
    """
    Keeps the engines of a client: one for each event loop and process, since connections belong to a loop.

    Loops may run in several threads. What is left when nothing refers to this any more is closed, with a ResourceWarning.

    Args:
        make: Makes an engine.
        owner: How the warning calls the client.
        abandon: Closes an engine's connections without waiting, and says whether there were any; None where that cannot be done.
    """

    def __init__(self, make: Callable[[], T], owner: str = "", abandon: Callable[[T], bool] | None = None) -> None:
        self._make, self._owner, self._abandon = make, owner, abandon
        self._is_open, self._making = True, threading.Lock()
        # Of the loop that asked last, which mostly asks next; one value, so that threads see a pair that belongs together.
        self._latest: tuple[asyncio.AbstractEventLoop, T] | None = None
        self._engines: dict[asyncio.AbstractEventLoop, T] = {}
        _holders.add(self)

    def __del__(self) -> None:
        for loop, engine in self._engines.items():
            if self._abandon is not None and not loop.is_closed():
                _close_soon(loop, partial(_abandon_with_warning, self._abandon, engine, self._owner))

    def current(self) -> T:
        """Return the engine of the running loop; ClosedError after `close`, RuntimeError if no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(NO_LOOP) from None
        latest = self._latest
        return latest[1] if latest is not None and latest[0] is loop else self._of(loop)

    def _of(self, loop: asyncio.AbstractEventLoop) -> T:
        with self._making:
            if not self._is_open:
                raise ClosedError(CLOSED)
            for old in [old for old in self._engines if old.is_closed()]:
                del self._engines[old]
            engine = self._engines.get(loop)
            if engine is None:
                engine = self._engines[loop] = self._make()
            self._latest = loop, engine
            return engine

    @property
    def is_open(self) -> bool:
        """Whether it serves, as it does until `close`."""
        return self._is_open

    def reopen(self) -> None:
        """Serve again after `close`."""
        self._is_open = True

    def close(self) -> list[T]:
        """Serve no longer; return the engine of the running loop, which the caller closes. Those of other loops are closed there."""
        running = _running_loop()
        with self._making:
            self._is_open = False
            engines, self._engines, self._latest = self._engines, {}, None
        for loop, engine in engines.items():
            if self._abandon is not None and loop is not running and not loop.is_closed():
                _close_soon(loop, partial(self._abandon, engine))
        return [engines[running]] if running in engines else []

    def all(self) -> list[T]:
        """Return the engines that exist."""
        with self._making:
            return list(self._engines.values())

    def forget(self) -> None:
        """Start without engines, as a forked process must: connections and locks are the parent's."""
        self._engines, self._latest, self._making = {}, None, threading.Lock()


def _close_soon(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """Do *work* in the next turn of *loop*, which may run in another thread."""
    with contextlib.suppress(RuntimeError):  # it was closed meanwhile
        loop.call_soon_threadsafe(work)


def _abandon_with_warning(abandon: Callable[[T], bool], engine: T, owner: str) -> None:
    if abandon(engine):
        warnings.warn(f"{owner} was not closed; use 'async with', or await its close()", ResourceWarning, stacklevel=2)


_holders: weakref.WeakSet[Engines[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for holder in _holders:
        holder.forget()


os.register_at_fork(after_in_child=_forget_in_child)
