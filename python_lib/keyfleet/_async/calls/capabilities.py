# SPDX-License-Identifier: MIT
"""The capabilities as attributes of the client; each is loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..lifecycle import AsyncClientBase

if TYPE_CHECKING:
    from ..capabilities.rate_limits import AsyncRateLimits

T = TypeVar("T")


class AsyncCapabilities(AsyncClientBase):
    """Capabilities built on the calls."""

    @property
    def rate_limits(self) -> AsyncRateLimits:
        """Rate limits that all processes share."""
        from ..._capabilities.rate_limits import Refusals  # for the programs that have limits
        from ..capabilities.rate_limits import AsyncRateLimits

        return AsyncRateLimits(self, self._kept("rate_limits", Refusals))

    def _kept(self, name: str, make: Callable[[], T]) -> T:
        """
        Return what the capability *name* keeps between calls; *make* makes it when it is first used.

        It is shared with the clients that `within` makes. Threads may get here at the same time: all get the same one.
        """
        found: Any = self._capabilities.get(name)
        return self._capabilities.setdefault(name, make()) if found is None else found  # type: ignore[no-any-return]
