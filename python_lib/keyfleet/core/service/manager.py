# SPDX-License-Identifier: MIT
"""What every service manager offers: one status, and steps that may be repeated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Optional

from ..errors import KeyfleetError, ServiceError
from ..host.safe_paths import read_bytes
from ..layout import Layout
from .supervisor import masked

LOG_LINES = 10
LOG_BYTES = 16_384


@dataclass(frozen=True)
class ServiceStatus:
    """
    What a service manager knows about one service.

    Attributes:
        state: ``running``, ``starting``, ``backing-off`` (waits for its next restart), ``stopping``, ``orphaned`` (the process manager's
            supervisor was killed, the server was not: start adopts it), ``failed`` or ``stopped``.
        enabled: Whether it starts with the host; None if the manager cannot promise that.
        pid: The server's process, None if there is none.
        started_at: When that process started, in seconds since 1970, None if there is none.
        restarts: How often the manager restarted it since it was started.
        recorded: Whether the manager's own notes say so; without them it was found by its processes, and ``start`` writes them again.
    """

    state: str
    enabled: Optional[bool] = None
    pid: Optional[int] = None
    started_at: Optional[float] = None
    restarts: int = 0
    recorded: bool = True

    @property
    def active(self) -> bool:
        """True if the server runs and its manager supervises it."""
        return self.state == "running"

    @property
    def stopped(self) -> bool:
        """True if nothing runs and nothing is about to."""
        return self.state in ("stopped", "failed")


class ServiceManager(ABC):
    """
    One service and who runs it.

    Every step does nothing if it is already done. Every failure is a ServiceError.

    Attributes:
        timeout_seconds: How long a step may take; ``stop`` waits without limit for a server that saves, unless it is given.
    """

    def __init__(self, layout: Layout, *, timeout_seconds: float = 600.0) -> None:
        self.layout = layout
        self.timeout_seconds = timeout_seconds

    @abstractmethod
    def status(self) -> ServiceStatus:
        """Return what runs now."""

    @abstractmethod
    def start(self) -> None:
        """Start the server; return when it is up, see the manager's own words for what that means."""

    @abstractmethod
    def stop(self, timeout_seconds: Optional[float] = None) -> None:
        """Stop the server with SIGTERM and return when it has saved and ended; it is never killed by us."""

    @abstractmethod
    def start_when_stopped(self) -> None:
        """Have the server started as soon as a stop that is under way has ended; return immediately."""

    @property
    @abstractmethod
    def restart_command(self) -> str:
        """What an operator types on the host to restart the service."""

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start()

    @abstractmethod
    def enable(self) -> None:
        """Let the service start with the host, where the manager can."""

    @abstractmethod
    def disable(self) -> None:
        """Do not start the service with the host."""

    @abstractmethod
    def reload_needed(self) -> bool:
        """Return whether the manager has not read a unit file again that changed since."""

    @abstractmethod
    def reload_units(self) -> None:
        """Make the manager read its unit files again, if one changed since."""

    def failure(self, action: str, reason: str, *more: str) -> ServiceError:
        """Return an error with a reason, *more* lines, and the end of the server's log under its path."""
        log = tail(self.layout.log_file)
        lines = [*(masked(line) for line in more), *([f"the end of {self.layout.log_file}:", *log] if log else [])]
        return ServiceError(self.layout.name, action, "\n  ".join([reason, *lines]))


def tail(path: str, lines: int = LOG_LINES) -> list[str]:
    """Return the last lines of a log, without values of directives; none if it cannot be read."""
    try:
        text = read_bytes(path, last_bytes=LOG_BYTES).decode(errors="replace")
    except (OSError, KeyfleetError):
        return []
    return [masked(line) for line in text.splitlines()[-lines:]]
