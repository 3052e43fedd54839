# SPDX-License-Identifier: MIT
"""Service managers without a service: choice, translation of states, messages."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from keyfleet.core.errors import RefusedError, ServiceError
from keyfleet.core.layout import Layout
from keyfleet.core.service.choose import ServiceStatus, manager_for
from keyfleet.core.service.manager import tail
from keyfleet.core.service.systemd import needs_reload, parse_properties, status_from

RUNNING = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
MainPID=812
NRestarts=2
ExecMainStartTimestampMonotonic=5000000
Result=success
"""


def test_an_unknown_manager_is_refused_with_those_that_exist() -> None:
    """The message names what is allowed."""
    with pytest.raises(RefusedError) as raised:
        manager_for("openrc", Layout("/", "cache"))

    assert "service manager 'openrc' is unknown; allowed: systemd, process" == str(raised.value)


@pytest.mark.parametrize(
    ("load", "outdated", "needed"),
    [("loaded", "no", False), ("loaded", "yes", True), ("not-found", "no", True), ("error", "no", True), ("masked", "no", False)],
)
def test_units_are_read_again_where_systemd_has_another_file(load: str, outdated: str, needed: bool) -> None:
    """Also one that lost its file while it ran, of which systemd does not say it."""
    assert needed == needs_reload({"LoadState": load, "NeedDaemonReload": outdated})


def test_a_running_unit_is_translated() -> None:
    """The monotonic time stamp becomes a date."""
    found = status_from(parse_properties(RUNNING), now=1000.0, uptime=105.0)

    assert ServiceStatus("running", True, 812, 900.0, 2) == found
    assert (True, False) == (found.active, found.stopped)


@pytest.mark.parametrize(
    ("active", "sub", "state"),
    [
        ("inactive", "dead", "stopped"),
        ("failed", "failed", "failed"),
        ("activating", "start", "starting"),
        ("activating", "auto-restart", "backing-off"),
        ("deactivating", "stop-sigterm", "stopping"),
        ("reloading", "reload", "running"),
    ],
)
def test_states_of_systemd_are_translated(active: str, sub: str, state: str) -> None:
    """One set of words for every manager."""
    found = status_from({"ActiveState": active, "SubState": sub, "MainPID": "0", "UnitFileState": ""}, 0, 0)

    assert ServiceStatus(state, False) == found


def test_a_unit_that_does_not_exist_is_stopped() -> None:
    """systemd answers for it all the same."""
    found = status_from({"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead", "UnitFileState": ""}, 0, 0)

    assert (True, False, False) == (found.stopped, found.active, found.enabled)


def test_without_systemd_every_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is named, no traceback."""
    monkeypatch.setattr("keyfleet.core.host.commands.CLEAN_ENVIRONMENT", {"PATH": "/nonexistent"})
    with pytest.raises(ServiceError) as raised:
        manager_for("systemd", Layout("/", "cache")).start()

    assert "cannot ask for cache: systemctl cannot be run: No such file or directory" == str(raised.value)


def test_the_end_of_a_log_is_shown_without_values_of_directives(tmp_path: Path) -> None:
    """Only the last lines, however large the file."""
    path = tmp_path / "server.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)) + ">>> 'requirepass s3cret x'\n")

    assert ["line 99998", "line 99999", ">>> 'requirepass ..."] == tail(str(path), 3)
    assert [] == tail(str(tmp_path / "none"))


def test_the_error_pickles_with_its_fields() -> None:
    """It crosses process borders."""
    error = pickle.loads(pickle.dumps(ServiceError("cache", "start", "why")))  # noqa: S301 - our own bytes

    assert ("cache", "start", "why", "cannot start cache: why") == (error.name, error.action, error.reason, str(error))
