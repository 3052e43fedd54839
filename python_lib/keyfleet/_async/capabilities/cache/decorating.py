# SPDX-License-Identifier: MIT
"""Functions whose results are cached."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from ...._capabilities.cache.naming import CallNames
from ...._protocol.arguments import Seconds

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class AsyncCachedFunction(Protocol[P, T_co]):
    """A function whose results are cached."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the result for these arguments, from the cache or the function."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Delete the result for these arguments, of a method with its object first; return whether there was one, as 1 or 0."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of the result for these arguments."""


def cached_function(
    function: Callable[P, Awaitable[T]],
    ttl_seconds: Seconds,
    names: CallNames,
    get_or_set: Callable[..., Awaitable[T]],
    delete: Callable[[str], Awaitable[int]],
) -> AsyncCachedFunction[P, T]:
    """Return *function* with its results in the cache whose calls *get_or_set* and *delete* are."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        key, tags = names.key(args, kwargs), names.tags(args, kwargs)
        return await get_or_set(key, functools.partial(function, *args, **kwargs), ttl_seconds, tags=tags)

    async def invalidate(*args: Any, **kwargs: Any) -> int:
        return await delete(names.key(args, kwargs))

    def key_of(*args: Any, **kwargs: Any) -> str:
        return names.key(args, kwargs)

    vars(call).update(invalidate=invalidate, key=key_of)
    return cast("AsyncCachedFunction[P, T]", call)
