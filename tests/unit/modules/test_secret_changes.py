# SPDX-License-Identifier: MIT
"""A generated secret changes in two steps, each of which may be repeated, or the last that a run takes."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.keyfleet.redis.plugins.action.redis_secret import ActionModule


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A secret that is in use."""
    path = tmp_path / "secret"
    path.write_text("present\n")
    path.chmod(0o600)
    return path


def steps(*, check: bool = False) -> Any:
    """Return the plugin without a task to run in."""
    plugin = ActionModule.__new__(ActionModule)
    plugin._task = SimpleNamespace(check_mode=check)
    return plugin


def test_a_change_is_continued_and_ends_once(path: Path) -> None:
    """The next secret is made once, waits beside the present one, and takes its place in one step."""
    begun = steps()._begin_change(path)
    assert ("present", True) == (begun["secret"], begun["changed"])
    assert {**begun, "changed": False} == steps()._begin_change(path)
    following = path.with_name("secret.next")
    assert (begun["next"], 0o600) == (following.read_text().strip(), stat.S_IMODE(following.stat().st_mode))
    ended = {"changed": True, "secret": begun["next"], "next": None}
    assert [ended, {**ended, "changed": False}] == [steps()._end_change(path), steps()._end_change(path)]
    assert (begun["next"], False, 0o600) == (path.read_text().strip(), following.exists(), stat.S_IMODE(path.stat().st_mode))


def test_nothing_is_changed_where_nothing_is_or_in_check_mode(path: Path, tmp_path: Path) -> None:
    """A password that the inventory gives has no file; check mode makes none."""
    assert {"changed": False, "secret": None, "next": None} == steps()._begin_change(tmp_path / "none")
    assert {"changed": True, "secret": "present", "next": None} == steps(check=True)._begin_change(path)
    assert [path] == list(tmp_path.iterdir())


def test_generated_secrets_are_of_characters_that_every_service_takes(path: Path) -> None:
    """Letters, digits and the minus, 43 of them."""
    text = steps()._begin_change(path)["next"]
    assert (43, True) == (len(text), text.replace("-", "x").isalnum())
