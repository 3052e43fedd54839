# SPDX-License-Identifier: MIT
"""One load for many callers: of this process by a shared flight, of all processes by a lease in the key."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ...._capabilities.cache.commands import CHANGED, HELD, WON
from ...._capabilities.cache.entry import new_token, write_entry
from ...._capabilities.cache.flights import AGAIN
from ...._capabilities.cache.options import State, lifetime_ms
from ...._protocol.arguments import Seconds
from ...._protocol.command import Command, Operation
from ...._transport.asyncio_flights import Background, Flight, loaded
from ...._transport.asyncio_waits import sleep
from ....core.errors import ServerError
from .local import AsyncLocalReading
from .reading import Found, logger

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.005, 0.025
REFRESH_PAUSE_SECONDS = 1.0  # after a load in the background that failed


class Fill:
    """
    What a caller wants to be loaded.

    Attributes:
        key: Without the prefix.
        loader: Returns the value.
        ttl_seconds: How long it is kept.
        tags: Each once.
    """

    __slots__ = ("key", "loader", "tags", "ttl_seconds")

    def __init__(self, key: str, loader: Callable[[], Any], ttl_seconds: Seconds, tags: tuple[str, ...]) -> None:
        self.key, self.loader, self.ttl_seconds, self.tags = key, loader, ttl_seconds, tags


class AsyncFilling(AsyncLocalReading):
    """Loads what is missing, once for all callers, and stores it unless it was invalidated meanwhile."""

    async def _get_or_load(self, fill: Fill) -> Any:
        """Return the value of the key, from the server or its loader."""
        stats, flights = self._kept.stats, self._kept.flights.current()
        name = self._name(fill.key)
        lifetime_ms(self._options, fill.ttl_seconds)  # refuses what is out of range before anything is loaded
        is_counted = False
        while True:
            before = flights.loading(name)
            found = await self._find(fill.key, fill.tags)
            if found.is_served:
                stats.hits += 1
                if found.state is State.AGING:
                    self._refresh(fill, found)
                return found.value
            stats.misses += not is_counted
            is_counted = True
            entered = flights.enter(name, found.token, found.versions, before)
            if entered is None:
                continue
            flight, leads = entered
            try:
                if leads:
                    outcome = await flight.lead(partial(self._fill, flight, fill, found), partial(flights.leave, name, flight))
                else:
                    outcome = await flight.join()
                    stats.shared += outcome is not AGAIN
            except Exception as error:
                if found.state is not State.STALE:
                    raise
                stats.stale += 1
                logger.warning("loading %r failed with %s; its stale value is served", fill.key, type(error).__name__)
                return found.value
            if outcome is not AGAIN:
                return outcome

    async def _fill(self, flight: Flight, fill: Fill, found: Found) -> Any:
        """Load and store the value; AGAIN if another caller has, or is to be read again."""
        flights, stats, token = self._kept.flights.current(), self._kept.stats, new_token()
        versions = None if found.is_outage else await self._lease(fill, found, token, waits=not flight.is_background)
        if versions is AGAIN:
            return AGAIN
        flights.begin(flight, None if versions is None else token, versions or {})
        stats.loads += 1
        stats.refreshes += flight.is_background
        try:
            value: Any = await loaded(fill.loader())
            if versions is not None:
                await self._store(fill, found, token, value, versions)
            elif not found.is_outage:  # the reply to the lease may have been lost
                await self._release(found, token)
        except BaseException as error:
            stats.load_errors += isinstance(error, Exception)
            if not found.is_outage:
                await self._release(found, token)
            raise
        return value

    async def _lease(self, fill: Fill, found: Found, token: bytes, *, waits: bool) -> Any:
        """
        Take the lease on the key.

        Returns:
            The versions of the tags, which are what the entry will be valid for; AGAIN if the key holds something else now, or the caller
            does not wait for the owner of the lease; None if there is no lease to be had, as the server is down or full.
        """
        options, pause = self._options, FIRST_POLL_SECONDS
        keep_ms = 2 * lifetime_ms(options, fill.ttl_seconds, lambda: 0.0)  # loading takes a while, and the entry is kept after that
        commands: list[Command[Any]] = [
            self._commands.acquire(found.name, fill.key, token, options.lease_ms, found.identity),
            *(self._commands.start_tag(tag, keep_ms) for tag in fill.tags),
        ]
        deadline = time.monotonic() + 2 * options.lease_ms / 1000  # one that takes the lease over is waited for as well
        while True:
            try:
                (state, left_ms), *versions = await self._client._run(Operation(commands, list))
            except ServerError as error:
                self._note_outage(error)
                return None
            if state == WON:
                return dict(zip(fill.tags, versions, strict=True))
            if state == CHANGED:
                return AGAIN
            if not waits:
                self._kept.flights.current().pause(found.name, left_ms / 1000)
                return AGAIN
            self._kept.stats.waits += pause == FIRST_POLL_SECONDS
            if state == HELD and time.monotonic() >= deadline:
                return None
            await sleep(min(pause, max(left_ms, 1) / 1000))
            pause = min(1.5 * pause, LONGEST_POLL_SECONDS)

    async def _start_tags(self, tags: tuple[str, ...], kept_ms: int) -> dict[str, int]:
        """Return the versions for an entry that is stored now."""
        commands = [self._commands.start_tag(tag, 2 * kept_ms) for tag in tags]
        return dict(zip(tags, await self._client._run(Operation(commands, list)), strict=True)) if tags else {}

    async def _store(self, fill: Fill, found: Found, token: bytes, value: Any, versions: dict[str, int]) -> None:
        """Store the value unless the lease was lost meanwhile."""
        name, key, ttl_ms = found.name, fill.key, lifetime_ms(self._options, fill.ttl_seconds)
        identity = new_token()
        entry = self._entry(identity, value, versions)
        try:
            is_stored = await self._client._run(self._commands.store(name, key, token, identity, entry, ttl_ms))
        except ServerError as error:
            self._note_outage(error)
            return
        self._kept.stats.discarded += not is_stored

    def _entry(self, identity: bytes, value: Any, versions: dict[str, int]) -> bytes:
        options = self._options
        data = options.codec.dumps(value)
        return write_entry(identity, data, stale_ms=options.stale_ms, tags=versions, compress_above_bytes=options.compress_above_bytes)

    async def _release(self, found: Found, token: bytes) -> None:
        """Give the lease back; an outage leaves it to its end."""
        try:
            await self._client._run(self._commands.release(found.name, found.key, token))
        except ServerError as error:
            self._note_outage(error)

    def _refresh(self, fill: Fill, found: Found) -> None:
        """Load the value anew in the background, unless that happens already."""
        flights = self._kept.flights.current()
        flight = flights.enter_background(found.name)
        if flight is None:
            return

        async def refresh() -> None:
            try:
                await flight.lead(partial(self._fill, flight, fill, found), partial(flights.leave, found.name, flight))
            except Exception as error:  # noqa: BLE001 - whatever the application's loader raises, no caller waits for it
                flights.pause(found.name, REFRESH_PAUSE_SECONDS)
                logger.warning("loading %r in the background failed: %s", fill.key, error)

        try:
            Background(refresh)
        except RuntimeError as error:  # the process may start no more threads
            flights.leave(found.name, flight)
            logger.warning("%r is not loaded in the background: %s", fill.key, error)
