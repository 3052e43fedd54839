# SPDX-License-Identifier: MIT - made from _async/capabilities/cache/decorating.py by scripts/generate_sync.py; change that one
"""Functions whose results are cached."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from ...._capabilities.cache.naming import CallNames
from ...._protocol.arguments import Seconds

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class CachedFunction(Protocol[P, T_co]):
    """A function whose results are cached."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the result for these arguments, from the cache or the function."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Delete the result for these arguments, of a method with its object first; return whether there was one, as 1 or 0."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of the result for these arguments."""


def cached_function(
    function: Callable[P, T],
    ttl_seconds: Seconds,
    names: CallNames,
    get_or_set: Callable[..., T],
    delete: Callable[[str], int],
) -> CachedFunction[P, T]:
    """Return *function* with its results in the cache whose calls *get_or_set* and *delete* are."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        key, tags = names.key(args, kwargs), names.tags(args, kwargs)
        return get_or_set(key, functools.partial(function, *args, **kwargs), ttl_seconds, tags=tags)

    def invalidate(*args: Any, **kwargs: Any) -> int:
        return delete(names.key(args, kwargs))

    def key_of(*args: Any, **kwargs: Any) -> str:
        return names.key(args, kwargs)

    vars(call).update(invalidate=invalidate, key=key_of)
    return cast("CachedFunction[P, T]", call)
