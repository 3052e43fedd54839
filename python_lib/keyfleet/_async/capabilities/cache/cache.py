# SPDX-License-Identifier: MIT
"""The cache: values that are loaded when they are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from ...._capabilities.cache.entry import new_token
from ...._capabilities.cache.naming import CallNames
from ...._capabilities.cache.options import CacheOptions, lifetime_ms
from ...._capabilities.cache.stats import CacheStats
from ...._protocol.arguments import Seconds, key_list
from ...._transport.asyncio_flights import Loaded
from .decorating import AsyncCachedFunction, cached_function
from .filling import Fill
from .filling_many import AsyncManyFilling, ManyFill
from .invalidating import AsyncInvalidating
from .local import MISS
from .reading import tags_of

P = ParamSpec("P")
T = TypeVar("T")


class AsyncCache(AsyncManyFilling, AsyncInvalidating):
    """
    Values that are loaded when they are missing, once for all callers; the client's ``cache``.

        user = await client.cache.get_or_set("user:7", load_user, ttl_seconds=TTL.USER_CACHE)

    Loaders also run while the server is down or full; then nothing is stored. Errors that are mistakes, as a wrong password, a missing
    right or a key of another type, are raised. A value that is loaded while its key or one of its tags is invalidated is never served
    afterwards, whatever client or tool deleted the key. docs/client/cache.md has the guarantees.
    """

    async def get_or_set(self, key: str, loader: Callable[[], Loaded[T]], ttl_seconds: Seconds, *, tags: Iterable[str] = ()) -> T:
        """
        Return the value of *key*; if it is missing, what *loader* returns, which is stored.

        Callers that miss together share one call of a loader: in this process, and with other processes, which wait until the value
        is there or the lease of the caller that loads is over. If that caller is cancelled, the others still get the value; when all
        of them are, the loader is, too. Callers that share a value get the same object.

        Args:
            key: Name without prefix.
            loader: Called without arguments; what it raises is raised by all who wait for it, and not stored. None is a value.
            ttl_seconds: How long the value is served, shortened at random by the jitter of the options.
            tags: The value is also missing once one of them is invalidated.
        Raises:
            ValueError: if *ttl_seconds* is out of range, or a tag is empty.
            TypeError: if the serializer cannot write the value.
        """
        if self._limits is not None:
            value: T = self._local_value(key, tags)
            if value is not MISS:
                return value
        return await self._get_or_load(Fill(key, loader, ttl_seconds, tags_of(tags)))  # type: ignore[no-any-return]

    async def get_many_or_set(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Loaded[Mapping[str, T]]],
        ttl_seconds: Seconds,
        *,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        """
        Return the value of each of *keys*; those that are missing are loaded by one call of *loader*, and stored in one round trip.

        Callers share the load of each key as with `get_or_set`, by leases. There is no refresh ahead, and while the server is down each
        caller loads on its own.

        Args:
            keys: Names without prefix.
            loader: Called with a list of the missing keys; returns a mapping of keys to values. Keys that it leaves out are None, and not
                stored.
            ttl_seconds, tags: As for `get_or_set`, of every value.
        Raises:
            ValueError, TypeError: as `get_or_set`, and if the loader does not return a mapping.
        """
        wanted = list(dict.fromkeys(key_list(keys)))
        return await self._get_or_load_many(wanted, ManyFill(loader, ttl_seconds, tags_of(tags)))

    def cached(
        self,
        ttl_seconds: Seconds,
        key: str | Callable[..., str] | None = None,
        *,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        namespace: str | None = None,
    ) -> Callable[[Callable[P, Awaitable[T]]], AsyncCachedFunction[P, T]]:
        """
        Return a decorator for functions whose results are cached, as by `get_or_set`.

            @client.cache.cached(ttl_seconds=300, key="user:{user_id}", tags=["team:{team_id}"])
            async def load_user(user_id, team_id): ...

            await load_user.invalidate(7, 3)

        Args:
            ttl_seconds: How long a result is served.
            key: Template of the key, with the names of the arguments in braces, or a function of the same arguments; by default made of all
                arguments, which need a JSON form.
            tags: Templates of the tags, or a function of the same arguments that returns them.
            namespace: Begins the keys, which are ``cache:NAMESPACE:…`` then, so that ``invalidate_prefix("cache:NAMESPACE:")`` deletes all
                results; without *key*, by default the function's module and name.
        Raises:
            TypeError: for a method without *key*: nothing is known of its object. A call raises it if its arguments have no JSON form.
        """

        def decorate(function: Callable[P, Awaitable[T]]) -> AsyncCachedFunction[P, T]:
            return cached_function(function, ttl_seconds, CallNames(function, key, tags, namespace), self.get_or_set, self.invalidate)

        return decorate

    async def get(self, key: str, default: Any = None, *, strict: bool = False) -> Any:
        """
        Return the value of *key*, *default* if it is missing, expired or invalidated.

        Args:
            strict: Raise DecodeError for a value that cannot be read, instead of counting it as missing.
        Raises:
            UnreachableError: if the server does not answer.
        """
        value = self._local_value(key, ())
        if value is not MISS:
            return value
        found = (await self._read_all([key], ()))[0]
        if strict and found.trouble is not None:
            raise found.trouble
        self._kept.stats.hits += found.is_served
        self._kept.stats.misses += not found.is_served
        return found.value if found.is_served else default

    async def set(self, key: str, value: Any, ttl_seconds: Seconds, *, tags: Iterable[str] = ()) -> None:
        """
        Store *value*, whatever is there; a value that is being loaded meanwhile is not stored over it.

        Args:
            key, ttl_seconds, tags: As for `get_or_set`; with *tags* it takes two round trips.
        Raises:
            UnreachableError, OutcomeUnknown: if the server does not answer.
            ServerError: if its memory is used up.
        """
        ttl_ms, wanted = lifetime_ms(self._options, ttl_seconds), tags_of(tags)
        versions = await self._start_tags(wanted, ttl_ms)
        entry = self._entry(new_token(), value, versions)
        name = self._name(key)
        try:
            await self._client._run(self._commands.put(name, key, entry, ttl_ms))
        finally:
            self._forget_local([name])

    def with_options(self, **changes: Any) -> AsyncCache:
        """
        Return this cache with other options; what is stored, counted and being loaded is shared.

            reports = client.cache.with_options(compress_above_bytes=4096, stale_on_error_seconds=3600)

        Args:
            changes: Fields of CacheOptions.
        Raises:
            ValueError, TypeError: if one is unknown or out of range.
        """
        return AsyncCache(self._client, self._kept, replace(self._options, **changes), self._limits)

    def local(self, max_entries: int = 10_000, max_bytes: int = 64 * 1024 * 1024, *, prefix: str = "") -> AsyncCache:
        """
        Return this cache with a tier in the memory of this process, which the servers keep fresh by CLIENT TRACKING.

            cache = client.cache.local(prefix="user:")

        What another client changes is not served any more once its server's report has arrived. It has one connection more to each primary,
        over which servers report every change of a key that begins with *prefix*, whoever has read it; so give one where many other keys
        change. If a connection is lost, everything is dropped, and nothing is served from memory until it is there again; a server that
        becomes unreachable without notice is noticed within 1.5 seconds. Where tracking is denied the tier is off: `local_stats` and the
        log say so, and everything else works.

        Args:
            max_entries, max_bytes: Bounds of what is kept; the least recently used entries go first.
            prefix: Only keys that begin with it are kept.
        """
        if max_entries < 1 or max_bytes < 1:
            raise ValueError(f"max_entries is {max_entries}, max_bytes is {max_bytes}; allowed are 1 and above")
        return AsyncCache(self._client, self._kept, self._options, (prefix, max_entries, max_bytes))

    @property
    def options(self) -> CacheOptions:
        """How this cache works."""
        return self._options

    @property
    def stats(self) -> CacheStats:
        """What the caches of this client have done so far."""
        return replace(self._kept.stats)
