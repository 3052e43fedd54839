# SPDX-License-Identifier: MIT
"""The file for logrotate, as logrotate itself reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from keyfleet.core.instance.log_rotation import UNWRITABLE, rotation_text
from keyfleet.core.instance.validation import problems
from keyfleet.core.layout import Layout

ODD = " \"'#$~;()&|<>é,=@`!"


@pytest.mark.parametrize("letter", ODD)
def test_logrotate_rotates_below_any_root_that_is_allowed(tmp_path: Path, letter: str) -> None:
    """What validation lets pass, logrotate finds."""
    root = tmp_path / f"a{letter}b"
    layout = Layout(str(root), "cache")
    log = Path(layout.log_file)
    log.parent.mkdir(parents=True)
    log.write_text("a line\n", encoding="utf-8")
    file = tmp_path / "rotation"
    file.write_text(rotation_text(layout, 2, "# test"), encoding="utf-8")
    file.chmod(0o600)
    command = ["/usr/sbin/logrotate", "--force", "--state", str(tmp_path / "state"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "", True) == (done.returncode, done.stderr, log.with_name("server.log.1").exists())
    assert [] == refused(str(root))


@pytest.mark.parametrize("letter", UNWRITABLE)
def test_root_that_logrotate_cannot_be_given_is_refused(letter: str) -> None:
    """Only where logrotate has a file to rotate."""
    (problem,) = refused(f"/srv/a{letter}b")
    assert "redis_server_root" in problem
    assert f"a path with {letter}: " in problem
    assert [] == refused(f"/srv/a{letter}b", log_keep_days=0)
    assert [] == refused(f"/srv/a{letter}b", log="manager")


@pytest.mark.parametrize("letter", ["\n", "\t", "\x00", "\x7f"])
def test_root_with_a_control_character_is_refused(letter: str) -> None:
    """No configuration file could hold it."""
    assert any("control characters" in problem for problem in refused(f"/srv/a{letter}b", log_keep_days=0))


def refused(root: str, **more: object) -> list[str]:
    """Return why a root is refused."""
    variables = {"engine": "redis", "service_manager": "process", "instances": [{"name": "cache"}], "log_keep_days": 7}
    return problems({**variables, "root": root, **more})
