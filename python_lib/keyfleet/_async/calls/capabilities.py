# SPDX-License-Identifier: MIT
"""The capabilities as attributes of the client; each is loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..lifecycle import AsyncClientBase

if TYPE_CHECKING:
    from ..._capabilities.locks import Shape
    from ..._protocol.arguments import Seconds
    from ..capabilities.cache.cache import AsyncCache
    from ..capabilities.locks import AsyncLock
    from ..capabilities.rate_limits import AsyncRateLimits
    from ..capabilities.sessions import AsyncSessions
    from ..capabilities.tokens import AsyncTokens

T = TypeVar("T")


class AsyncCapabilities(AsyncClientBase):
    """Capabilities built on the calls."""

    @property
    def cache(self) -> AsyncCache:
        """Values that are loaded when they are missing, once for all callers."""
        from ..._capabilities.cache.options import CacheOptions  # for the programs that cache
        from ..capabilities.cache.cache import AsyncCache
        from ..capabilities.cache.reading import Kept

        return AsyncCache(self, self._kept("cache", Kept), self._kept("cache_options", CacheOptions))

    @property
    def rate_limits(self) -> AsyncRateLimits:
        """Rate limits that all processes share."""
        from ..._capabilities.rate_limit_outages import Kept  # for the programs that have limits
        from ..capabilities.rate_limits import AsyncRateLimits

        return AsyncRateLimits(self, self._kept("rate_limits", Kept))

    @property
    def sessions(self) -> AsyncSessions:
        """Login sessions, listed and revoked by user."""
        from ..capabilities.sessions import AsyncSessions

        return AsyncSessions(self)

    @property
    def tokens(self) -> AsyncTokens:
        """Refresh tokens that are replaced with each use."""
        from ..capabilities.tokens import AsyncTokens

        return AsyncTokens(self)

    def lock(
        self,
        name: str,
        ttl_seconds: Seconds = 30.0,
        *,
        timeout_seconds: Seconds | None = None,
        renewed: bool = True,
        on_lost: Callable[[AsyncLock], object] | None = None,
    ) -> AsyncLock:
        """
        Return a lock that one holder at a time has, of all processes; nothing is sent yet.

            async with client.lock("report:42") as lock:
                ...

        Args:
            name: What is locked.
            ttl_seconds: How long it stays locked when its holder dies.
            timeout_seconds: Longest wait of a block, which then raises LockTimeoutError; None for no limit.
            renewed: Whether it is renewed in the background as long as its holder exists.
            on_lost: Called with the lock, in the background, when it turns out that its lease ended.
        Raises:
            ValueError: if *name* is empty, or a time out of range.
        """
        from ..._capabilities.locks import lock_shape

        return self._lock(lock_shape(name), ttl_seconds, timeout_seconds, renewed, on_lost)

    def read_lock(
        self,
        name: str,
        ttl_seconds: Seconds = 30.0,
        *,
        timeout_seconds: Seconds | None = None,
        renewed: bool = True,
        on_lost: Callable[[AsyncLock], object] | None = None,
    ) -> AsyncLock:
        """Return the side of a read/write lock that many hold while no writer does; arguments as for `lock`, whose names are apart."""
        from ..._capabilities.locks import read_write_shape

        return self._lock(read_write_shape(name, is_writer=False), ttl_seconds, timeout_seconds, renewed, on_lost)

    def write_lock(
        self,
        name: str,
        ttl_seconds: Seconds = 30.0,
        *,
        timeout_seconds: Seconds | None = None,
        renewed: bool = True,
        on_lost: Callable[[AsyncLock], object] | None = None,
    ) -> AsyncLock:
        """Return the side of a read/write lock that one holds alone. Readers that come after a writer who waits, wait behind it."""
        from ..._capabilities.locks import read_write_shape

        return self._lock(read_write_shape(name, is_writer=True), ttl_seconds, timeout_seconds, renewed, on_lost)

    def semaphore(
        self,
        name: str,
        limit: int,
        ttl_seconds: Seconds = 30.0,
        *,
        timeout_seconds: Seconds | None = None,
        renewed: bool = True,
        on_lost: Callable[[AsyncLock], object] | None = None,
    ) -> AsyncLock:
        """Return a lock that *limit* holders have at the same time; other arguments as for `lock`, whose names are apart."""
        from ..._capabilities.locks import semaphore_shape

        return self._lock(semaphore_shape(name, limit), ttl_seconds, timeout_seconds, renewed, on_lost)

    def _lock(
        self,
        shape: Shape,
        ttl_seconds: Seconds,
        timeout_seconds: Seconds | None,
        renewed: bool,
        on_lost: Callable[[AsyncLock], object] | None,
    ) -> AsyncLock:
        from ..._transport.asyncio_background import Timers
        from ..capabilities.locks import AsyncLock

        return AsyncLock(self, self._kept("timers", Timers), shape, ttl_seconds, timeout_seconds, renewed, on_lost)

    def _kept(self, name: str, make: Callable[[], T]) -> T:
        """
        Return what the capability *name* keeps between calls; *make* makes it when it is first used.

        It is shared with the clients that `within` makes. Threads may get here at the same time: all get the same one.
        """
        found: Any = self._capabilities.get(name)
        return self._capabilities.setdefault(name, make()) if found is None else found  # type: ignore[no-any-return]
