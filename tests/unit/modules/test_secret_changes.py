# SPDX-License-Identifier: MIT
"""A generated secret changes in steps, each of which may be repeated, or the last that a run takes."""

from __future__ import annotations

import itertools
import os
import stat
import sys
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
    """The next secret is made once, waits beside the present one, and takes its place in one step; until the end no other is made."""
    begun = steps()._begin_change(path)
    assert ("present", True, False) == (begun["secret"], begun["changed"], begun["pending"])
    assert {**begun, "changed": False, "pending": True} == steps()._begin_change(path)
    following = path.with_name("secret.next")
    assert (begun["next"], 0o600) == (following.read_text().strip(), stat.S_IMODE(following.stat().st_mode))
    ended = {"changed": True, "secret": begun["next"], "next": None}
    assert [ended, {**ended, "changed": False}] == [steps()._end_change(path), steps()._end_change(path)]
    assert (begun["next"], False, 0o600) == (path.read_text().strip(), following.exists(), stat.S_IMODE(path.stat().st_mode))
    assert "present" == (previous := path.with_name("secret.previous")).read_text().strip()
    waiting = {"changed": False, "secret": begun["next"], "next": None, "pending": True}
    other = path.with_name("other")
    assert [waiting, {**waiting, "secret": None}] == [steps()._begin_change(path), steps()._begin_change(other, [path])]
    assert [True, False] == [steps()._drop(path), steps()._drop(path)]
    assert (False, True) == (previous.exists(), steps()._begin_change(path)["changed"])


def rotate(paths: list[Path]) -> None:
    """Take all steps of a run for secrets that change together."""
    for path in paths:
        steps()._begin_change(path, paths)
    for path in paths:
        steps()._end_change(path)
    for path in paths:
        steps()._drop(path)


def killed_before_call(number: int, paths: list[Path]) -> bool:
    """Rotate in a process that dies right before a call that changes the file system; return whether it got there."""
    pid = os.fork()
    if pid == 0:
        calls = itertools.count()

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            changes = event in ("os.link", "os.rename", "os.remove") or (event == "open" and arguments[2] & os.O_CREAT)
            if changes and next(calls) == number:
                os._exit(1)

        sys.addaudithook(hook)
        rotate(paths)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_killed_between_any_two_calls_a_change_ends_and_no_other_begins(tmp_path: Path) -> None:
    """Each secret is replaced once, by the one that was made for it; another one is made only if the change had ended."""
    for number in itertools.count():
        paths = [tmp_path / str(number) / name for name in ("first", "second")]
        paths[0].parent.mkdir()
        for path in paths:
            path.touch(mode=0o600)
            path.write_text(f"{path.name} of before\n")
        reached = killed_before_call(number, paths)
        left = {path.name: path.read_text().strip() for path in paths[0].parent.iterdir() if not path.name.startswith(".")}
        pending = [name for name in left if name.endswith((".next", ".previous"))]
        made = {path.name: left.get(f"{path.name}.next", left[path.name]) for path in paths}
        rotate(paths)
        after = {path.name: path.read_text().strip() for path in paths[0].parent.iterdir() if not path.name.startswith(".")}
        assert {"first", "second"} == after.keys()
        for name, secret in made.items():
            kept = secret != f"{name} of before"  # made by the run that died
            assert (bool(pending) and kept) == (secret == after[name])
            assert f"{name} of before" != after[name]
        if not reached:
            break
    assert number > 8


def test_nothing_is_changed_where_nothing_is_or_in_check_mode(path: Path, tmp_path: Path) -> None:
    """A password that the inventory gives has no file; check mode makes none."""
    nothing = {"secret": None, "next": None, "pending": False}
    assert {**nothing, "changed": False} == steps()._begin_change(tmp_path / "none")
    assert {**nothing, "changed": True, "secret": "present"} == steps(check=True)._begin_change(path)
    assert not steps(check=True)._drop(path)
    assert [path] == list(tmp_path.iterdir())


def test_generated_secrets_are_of_characters_that_every_service_takes(path: Path) -> None:
    """Letters, digits and the minus, 43 of them."""
    text = steps()._begin_change(path)["next"]
    assert (43, True) == (len(text), text.replace("-", "x").isalnum())
