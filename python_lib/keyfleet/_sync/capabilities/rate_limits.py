# SPDX-License-Identifier: MIT - made from _async/capabilities/rate_limits.py by scripts/generate_sync.py; change that one
"""Rate limits: `client.rate_limits`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from ..._capabilities.failures import is_outage
from ..._capabilities.rate_limit_outages import Kept, OnOutage, RateLimitStats, checked_on_outage
from ..._capabilities.rate_limits import Algorithm, Limit, RateLimitResult, command, limit_of, names, result_of
from ..._protocol.arguments import Seconds
from ...core.errors import ServerError
from ..lifecycle import ClientBase

P = ParamSpec("P")
T = TypeVar("T")


class RateLimits:
    """
    Rate limits that all processes share; the server's clock counts, and each check is one atomic step.

        result = client.rate_limits.check("login:203.0.113.7", 5, 60)
        if not result.allowed:
            print(f"try again in {result.retry_after_seconds:.0f} s")

    A subject may be anything that is limited: an address, a user, a path. What one subject has used does not depend on the limit:
    with another *limit* for the same window, it stays. docs/client/rate_limits.md compares the algorithms.
    """

    def __init__(self, client: ClientBase, kept: Kept) -> None:
        self._client, self._kept = client, kept

    @property
    def stats(self) -> RateLimitStats:
        """What *on_outage* decided so far."""
        return self._kept.outages.stats

    def check(
        self,
        id: str | int,
        limit: int,
        window_seconds: Seconds,
        cost: int = 1,
        *,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        on_outage: OnOutage = "raise",
        local_refusals: bool = True,
    ) -> RateLimitResult:
        """
        Consume *cost* if the limit admits it, and say whether it did; a refusal consumes nothing.

        A check whose reply was lost is sent again: it may count twice, and never admits more than the limit.

        Args:
            id: Who or what is limited, as ``login:203.0.113.7``.
            limit, window_seconds, algorithm, burst: As of `Limit`.
            cost: What this call uses up.
            on_outage: Where the server does not answer, or has no memory left: ``raise`` the error, ``allow``, ``refuse``, or a
                `LocalShare` of the limit. The result says so in its ``source``.
            local_refusals: Whether a refusal is repeated without asking until its ``retry_after_seconds`` have passed. `reset` by
                another process is not noticed until then.
        Raises:
            ValueError: if a number is out of range, or *cost* is more than the limit ever admits.
        """
        subject = (id, limit, window_seconds, algorithm, burst)
        now = time.monotonic()
        if local_refusals and (known := self._kept.refusals.find(subject, cost, now)) is not None:
            return known
        result = self._checked(id, (limit_of(limit, window_seconds, algorithm, burst),), cost, on_outage)
        if local_refusals and not result.allowed and result.source == "server":
            self._kept.refusals.note(subject, cost, now, result)
        return result

    def check_all(self, id: str | int, limits: Sequence[Limit], cost: int = 1, *, on_outage: OnOutage = "raise") -> RateLimitResult:
        """
        Consume *cost* from each of *limits*, or from none if one of them refuses; one round trip.

            client.rate_limits.check_all("user:42", [Limit(10, 1), Limit(1000, 3600)])

        Args:
            id: Who or what is limited; on a cluster its limits share a slot.
            limits: At least one; those with the same algorithm and window need names.
            cost, on_outage: As for `check`.
        Returns:
            The result of the limit that refuses longest, or else of the one with the least left; all of them in ``each``.
        """
        return self._checked(id, tuple(limits), cost, on_outage)

    def peek(
        self,
        id: str | int,
        limit: int,
        window_seconds: Seconds,
        cost: int = 1,
        *,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
    ) -> RateLimitResult:
        """Say what `check` would say, and consume nothing; the server is always asked."""
        limits = (limit_of(limit, window_seconds, algorithm, burst),)
        asked = command(self._client._commands.prefix, id, limits, cost, consumes=False)
        reply = self._client._run(asked)
        return result_of(reply, limits)

    def reset(self, id: str | int, limit: int, window_seconds: Seconds, *, algorithm: Algorithm = "gcra", burst: int | None = None) -> bool:
        """Give the full limit back, and return whether some of it was used. Other processes may refuse locally for a while."""
        self._kept.refusals.forget((id, limit, window_seconds, algorithm, burst))
        return self.reset_all(id, [limit_of(limit, window_seconds, algorithm, burst)]) > 0

    def reset_all(self, id: str | int, limits: Sequence[Limit]) -> int:
        """Give all of *limits* back, and return how many of them were used."""
        return self._client._run(self._client._commands.delete(*names(id, limits)))

    def limited(
        self,
        limit: int,
        window_seconds: Seconds,
        *,
        id: Callable[P, str | int] | str,
        cost: int = 1,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        on_outage: OnOutage = "raise",
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """
        Return a decorator: each call of the function is checked first, and raises RateLimitedError where it is refused.

            @client.rate_limits.limited(5, 60, id=lambda user: f"report:{user}")
            def report(user): ...

        Args:
            limit, window_seconds, cost, algorithm, burst, on_outage: As for `check`.
            id: Who or what is limited: a text, or a function of the call's arguments.
        """
        limit_of(limit, window_seconds, algorithm, burst)  # wrong numbers are errors here, not with the first call
        checked_on_outage(on_outage)

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                subject = id(*args, **kwargs) if callable(id) else id
                result = self.check(subject, limit, window_seconds, cost, algorithm=algorithm, burst=burst, on_outage=on_outage)
                result.raise_if_refused()
                return function(*args, **kwargs)

            return call

        return decorate

    def _checked(self, id: str | int, limits: tuple[Limit, ...], cost: int, on_outage: OnOutage) -> RateLimitResult:
        if on_outage != "raise":
            checked_on_outage(on_outage)
        asked = command(self._client._commands.prefix, id, limits, cost, consumes=True)
        try:
            reply = self._client._run(asked)
        except ServerError as error:
            if on_outage == "raise" or not is_outage(error):
                raise
            return self._kept.outages.decide(on_outage, id, limits, cost, time.monotonic(), time.time())
        return result_of(reply, limits)
