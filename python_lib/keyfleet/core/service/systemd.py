# SPDX-License-Identifier: MIT
"""Services under systemd: one instance of a template unit each."""

from __future__ import annotations

import subprocess
import time
from typing import Optional

from ..host.commands import run
from .manager import ServiceManager, ServiceStatus

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "ExecMainStartTimestampMonotonic",
    "Result",
)
_STATES = {"active": "running", "reloading": "running", "deactivating": "stopping", "failed": "failed", "inactive": "stopped"}


def parse_properties(text: str) -> dict[str, str]:
    """Return the ``NAME=value`` lines of ``systemctl show``."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def status_from(properties: dict[str, str], now: float, uptime: float) -> ServiceStatus:
    """
    Translate properties of a unit.

    Args:
        now, uptime: The same moment in seconds since 1970 and on the monotonic clock, which systemd's time stamp is on.
    """
    active, sub = properties.get("ActiveState", "inactive"), properties.get("SubState", "")
    state = _STATES.get(active, "backing-off" if sub.startswith("auto-restart") else "starting")
    pid = int(properties.get("MainPID") or 0) or None
    started = int(properties.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return ServiceStatus(
        state=state,
        enabled=properties.get("UnitFileState", "") in ("enabled", "enabled-runtime"),
        pid=pid,
        started_at=now - uptime + started if pid else None,
        restarts=int(properties.get("NRestarts") or 0),
    )


def needs_reload(properties: dict[str, str]) -> bool:
    """
    Return whether systemd has not read the unit's file as it is.

    A unit that lost its file while it ran is ``not-found``, or ``error`` once the file is back; without a reload it never starts again, and
    ``NeedDaemonReload`` does not say so (tried with systemd 252).
    """
    return properties.get("NeedDaemonReload") == "yes" or properties.get("LoadState") in ("not-found", "error", "bad-setting")


class SystemdManager(ServiceManager):
    """
    A unit of systemd. ``start`` returns when the server reported READY=1, that is, has loaded its data, as the unit's ``Type=notify`` says.

    Source:
        systemctl(1), ``show --property``; sd_notify(3); units that failed too often need ``reset-failed`` before they start again.
    """

    def status(self) -> ServiceStatus:
        """Ask systemd, in one call."""
        return status_from(self._properties(), time.time(), time.clock_gettime(time.CLOCK_MONOTONIC))

    def start(self) -> None:
        """Start the unit and wait for READY=1."""
        if self._properties().get("ActiveState") == "failed":
            self._systemctl("start", "reset-failed", self.layout.unit)
        self._systemctl("start", "start", self.layout.unit)

    def stop(self, timeout_seconds: Optional[float] = None) -> None:
        """Stop the unit; how long it may save is the unit's TimeoutStopSec."""
        self._systemctl("stop", "stop", self.layout.unit, timeout_seconds=timeout_seconds or float("inf"))

    def start_when_stopped(self) -> None:
        """Queue a start, which systemd begins when the stop has ended."""
        self._systemctl("start", "start", "--no-block", self.layout.unit)

    @property
    def restart_command(self) -> str:
        """A call of systemctl."""
        return f"systemctl restart {self.layout.unit}"

    def enable(self) -> None:
        """Enable the unit."""
        self._systemctl("enable", "enable", self.layout.unit)

    def disable(self) -> None:
        """Disable the unit."""
        self._systemctl("disable", "disable", self.layout.unit)

    def reload_needed(self) -> bool:
        """Return whether the unit's file is not the one that systemd has read."""
        return needs_reload(self._properties())

    def reload_units(self) -> None:
        """Run ``systemctl daemon-reload`` if it is needed."""
        if self.reload_needed():
            self._systemctl("reload the units of", "daemon-reload")

    def _properties(self) -> dict[str, str]:
        return parse_properties(self._systemctl("ask for", "show", f"--property={','.join(PROPERTIES)}", "--", self.layout.unit))

    def _systemctl(self, action: str, *words: str, timeout_seconds: Optional[float] = None) -> str:
        limit = timeout_seconds or self.timeout_seconds
        try:
            done = run(["systemctl", "--no-ask-password", *words], None if limit == float("inf") else limit)
        except OSError as error:
            raise self.failure(action, f"systemctl cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise self.failure(action, f"not finished after {limit:g} s, and still under way") from error
        if done.returncode != 0:
            raise self.failure(action, *self._reasons(action, done.stderr))
        return done.stdout

    def _reasons(self, action: str, stderr: str) -> list[str]:
        """Return why a call failed: for a start, the unit's result and what the server printed before it had a log."""
        words = " ".join(stderr.split()) or "systemctl failed without a word"
        if action != "start":
            return [words]
        try:
            journal = run(["journalctl", "--no-pager", "--output=cat", "--lines=5", "--unit", self.layout.unit], 10).stdout
        except (OSError, subprocess.TimeoutExpired):
            journal = ""
        return [f"{words} (result {self._properties().get('Result', 'unknown')})", *journal.splitlines()]
