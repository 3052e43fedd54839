# SPDX-License-Identifier: MIT - made from _async/capabilities/locks.py by scripts/generate_sync.py; change that one
"""Locks, semaphores and read/write locks: `client.lock` and its siblings."""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..._capabilities.locks import (
    RENEWALS_IN_A_LEASE,
    WAKE_BUDGET_SECONDS,
    WAKE_PAUSE_SECONDS,
    Found,
    Lease,
    Shape,
    acquire,
    lease_seconds,
    new_token,
    release,
    renew,
    wait_seconds,
    wake,
    wake_key,
)
from ..._protocol.arguments import Seconds
from ..._protocol.command import Operation
from ..._transport.thread_background import Timers, finish
from ..._transport.thread_waits import sleep
from ...core.errors import ClosedError, KeyfleetError, LockLostError, LockTimeoutError, OutcomeUnknown, RefusedError, UnreachableError
from ..lifecycle import ClientBase

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("keyfleet")


class Lock:
    """
    A lock that all processes share; made by the client's `lock`, `read_lock`, `write_lock` and `semaphore`.

        with client.lock("report:42", ttl_seconds=30) as lock:
            store(report, fence=lock.fence)

    It is held for *ttl_seconds* and renewed in the background three times in that time. Where renewing fails, the lease ends, and
    `lost` and `assert_held` say so. Those who wait get it in the order in which they asked.

    An object is used by one caller at a time: each makes its own of the same name. It may be used again after `release`. Renewing ends
    when the object is gone: what a task or thread leaves behind when it ends without releasing is free when the lease ends.
    """

    def __init__(
        self,
        client: ClientBase,
        timers: Timers,
        shape: Shape,
        ttl_seconds: Seconds,
        timeout_seconds: Seconds | None,
        renewed: bool,
        on_lost: Callable[[Lock], object] | None,
    ) -> None:
        self._client, self._timers, self._shape = client, timers, shape
        self._lease_seconds, self._timeout = lease_seconds(ttl_seconds), wait_seconds(timeout_seconds)
        self._renewed, self._on_lost = renewed, on_lost
        self._lease: Lease | None = None
        self._is_acquiring = False
        self._timer: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shape.name!r} {'held' if self.is_held else 'lost' if self.lost else 'not held'}>"

    @property
    def name(self) -> str:
        """What is locked."""
        return self._shape.name

    @property
    def fence(self) -> int:
        """
        A number greater than that of every acquisition of this lock before; LockLostError if it is not held.

        What the lock protects can refuse whoever comes with a smaller number than the last one.
        """
        lease = self._lease
        if lease is None:
            raise LockLostError(self._shape.name)
        return lease.fence

    @property
    def is_held(self) -> bool:
        """Whether it is held now, as far as is known without asking."""
        return self._lease is not None and self._lease.is_held(time.monotonic())

    @property
    def lost(self) -> bool:
        """Whether it was acquired, not released, and is not held any more."""
        return self._lease is not None and not self._lease.is_held(time.monotonic())

    def assert_held(self) -> None:
        """Raise LockLostError unless it is held."""
        if not self.is_held:
            raise LockLostError(self._shape.name)

    def __enter__(self) -> Self:
        if not self.acquire():
            raise LockTimeoutError(self._shape.name, self._timeout or 0.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.release()
        except KeyfleetError as failure:
            if error is None:
                raise
            logger.warning("%s", failure)  # the error of the block says more

    def acquire(self, timeout_seconds: Seconds | None = None) -> bool:
        """
        Acquire it and return whether that was possible in time.

        A reply that was lost is no loss: asking again with the same token finds what was acquired. Who is cancelled, or gets an error, has
        no lock and no place in the line.

        Args:
            timeout_seconds: Longest wait; 0 to try once. By default that of the lock, which waits without limit if it has none.
        Raises:
            RefusedError: if this object holds it already, or is acquiring it.
        """
        if self._is_acquiring or self.is_held:
            raise RefusedError(f"the lock {self._shape.name!r} is in use by this object; make one for each task, it is not reentrant")
        wait = self._timeout if timeout_seconds is None else wait_seconds(timeout_seconds)
        token, self._is_acquiring = new_token(), True
        retries = self._client._counters.retries
        try:
            lease = self._acquired(token, math.inf if wait is None else time.monotonic() + wait)
        except BaseException:
            finish(lambda: self._give_up(token, may_be_pending=True))
            raise
        finally:
            self._is_acquiring = False
        if lease is None:
            may_be_pending = self._client._counters.retries != retries
            if wait or may_be_pending:
                finish(lambda: self._give_up(token, may_be_pending))
            return False
        self._lease = lease
        if self._renewed or self._on_lost is not None:
            self._renew_later(lease)
        return True

    def release(self) -> None:
        """
        Give it back; the next one in line gets it.

        Raises:
            LockLostError: if it is not held any more; nothing was released.
        """
        lease, self._lease = self._lease, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if lease is None or lease.is_lost or not lease.is_of_this_process:
            raise LockLostError(self._shape.name)
        try:
            reply = self._client._run(release(self._prefix, self._shape, lease.token, may_be_pending=False))
        except KeyfleetError:
            raise
        except BaseException:
            finish(lambda: self._give_up(lease.token, may_be_pending=True))
            raise
        self._wake(reply[1:])
        if not reply[0]:
            raise LockLostError(self._shape.name)

    def renew(self) -> None:
        """
        Begin the lease anew, as is done in the background.

        Raises:
            LockLostError: if it is not held any more.
        """
        lease = self._lease
        if lease is None or not lease.is_held(time.monotonic()):
            raise LockLostError(self._shape.name)
        self._renewed_now(lease, self._client)
        if lease.is_lost:
            raise LockLostError(self._shape.name)

    @property
    def _prefix(self) -> str:
        return self._client._commands.prefix

    def _acquired(self, token: str, deadline: float) -> Lease | None:
        waits = deadline > time.monotonic()
        while True:
            began = time.monotonic()
            found = self._ask(token, waits)
            if found.fence:
                return Lease(token, found.fence, began + self._lease_seconds)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._sleep(token, min(left, found.ask_after_seconds))

    def _ask(self, token: str, waits: bool) -> Found:
        found = self._client._run(acquire(self._prefix, self._shape, token, self._lease_seconds, waits))
        self._wake(found.granted)
        return found

    def _sleep(self, token: str, seconds: float) -> None:
        """Wait for a word, or until it is time to ask again; whatever keeps it from coming, the next question finds out."""
        listening = self._client._commands.blpop(wake_key(self._shape, token), timeout_seconds=max(seconds, 0.001), as_bytes=True)
        try:
            self._client.within(WAKE_BUDGET_SECONDS)._run(listening)
        except (UnreachableError, OutcomeUnknown):
            sleep(min(seconds, WAKE_PAUSE_SECONDS))

    def _wake(self, granted: list[bytes]) -> None:
        """Wake the callers that have the lock now; one that receives nothing asks within a second."""
        if not granted:
            return
        commands = [wake(self._prefix, self._shape, token.decode()) for token in granted]
        try:
            self._client.within(WAKE_BUDGET_SECONDS)._run(Operation(commands, list))
        except KeyfleetError as error:
            logger.debug("%s", error)

    def _give_up(self, token: str, may_be_pending: bool) -> None:
        """Leave no lock and no place in the line, whatever is still on its way; what cannot be said is over when the lease ends."""
        client = self._client.within(WAKE_BUDGET_SECONDS)
        try:
            reply = client._run(release(self._prefix, self._shape, token, may_be_pending))
        except KeyfleetError as error:
            logger.debug("%s", error)
            return
        self._wake(reply[1:])

    def _renew_later(self, lease: Lease) -> None:
        left = lease.until - time.monotonic()
        wait = min(self._lease_seconds / RENEWALS_IN_A_LEASE, left) if self._renewed else left
        self._timer = self._timers.call_later(max(wait, 0.001), partial(_keep, weakref.ref(self), lease))

    def _keep(self, lease: Lease) -> None:
        """Renew the lease, or find that it is over."""
        if lease is not self._lease or lease.is_lost:
            return
        left = lease.until - time.monotonic()
        if left > 0 and self._renewed:
            try:
                self._renewed_now(lease, self._client.within(min(left, self._lease_seconds / RENEWALS_IN_A_LEASE)))
            except ClosedError:
                lease.is_lost = True
            except KeyfleetError as error:
                logger.warning("the lock %r was not renewed: %s", self._shape.name, error)
        if lease is not self._lease:
            return
        if lease.is_held(time.monotonic()):
            self._renew_later(lease)
        else:
            lease.is_lost = True
            self._report_lost()

    def _renewed_now(self, lease: Lease, client: ClientBase) -> None:
        began = time.monotonic()
        if client._run(renew(self._prefix, self._shape, lease.token, self._lease_seconds)):
            lease.until = began + self._lease_seconds
        else:
            lease.is_lost = True

    def _report_lost(self) -> None:
        logger.warning("the lock %r was lost", self._shape.name)
        if self._on_lost is not None:
            try:
                self._on_lost(self)
            except Exception:
                logger.exception("on_lost of the lock %r failed", self._shape.name)


def _keep(lock: weakref.ref[Lock], lease: Lease) -> None:
    """Keep the lease of *lock* while there is such an object."""
    held = lock()
    if held is not None:
        held._keep(lease)
