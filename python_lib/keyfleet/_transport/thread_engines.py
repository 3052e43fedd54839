# SPDX-License-Identifier: MIT
"""What a Client keeps, shared by its threads."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ..core.errors import ClosedError
from .failures import CLOSED

T = TypeVar("T")


def open_raw(settings: Settings) -> AnyClient:
    """Return a redis-py client."""
    from ..core.connect.client import connect  # for the programs that use one

    return connect(settings)


def close_raw(client: AnyClient) -> None:
    """Close a redis-py client."""
    from ..core.connect.client import close

    close(client)


class Engines(Generic[T]):
    """
    Keeps the engine of a client: threads share it, a forked process gets its own.

    What is left when nothing refers to this any more is closed.

    Args:
        make: Makes an engine.
        owner: For the twin of asyncio, which warns.
        abandon: Closes an engine's connections without waiting, and says whether there were any; None where that cannot be done.
    """

    def __init__(self, make: Callable[[], T], owner: str = "", abandon: Callable[[T], bool] | None = None) -> None:
        del owner
        self._make, self._abandon, self._is_open = make, abandon, True
        self._engine: T | None = None
        self._making = threading.Lock()
        _holders.add(self)

    def __del__(self) -> None:
        if self._engine is not None and self._abandon is not None:
            self._abandon(self._engine)

    def current(self) -> T:
        """Return the engine for the caller; ClosedError after `close`."""
        return self._engine or self._first()

    def _first(self) -> T:
        with self._making:
            if not self._is_open:
                raise ClosedError(CLOSED)
            if self._engine is None:
                self._engine = self._make()
            return self._engine

    @property
    def is_open(self) -> bool:
        """Whether it serves, as it does until `close`."""
        return self._is_open

    def reopen(self) -> None:
        """Serve again after `close`."""
        self._is_open = True

    def close(self) -> list[T]:
        """Serve no longer; return the engines, which the caller closes."""
        with self._making:
            self._is_open = False
            engine, self._engine = self._engine, None
            return [] if engine is None else [engine]

    def all(self) -> list[T]:
        """Return the engines that exist."""
        return [] if self._engine is None else [self._engine]

    def forget(self) -> None:
        """Start without an engine in a forked process: connections and locks are the parent's."""
        self._engine, self._making = None, threading.Lock()


_holders: weakref.WeakSet[Engines[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for holder in _holders:
        holder.forget()


os.register_at_fork(after_in_child=_forget_in_child)
