# SPDX-License-Identifier: MIT
"""The module redis_files as Ansible runs it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from support.modules import DEBIAN_PYTHON, ROOT, assert_check_predicts, run_module

SECRET = "requirepass c0rrect-horse\nport 6379\n"


def entries(folder: Path, content: str = "port 6379\n") -> list[dict[str, Any]]:
    """Return one entry of each state."""
    return [
        {"path": f"{folder}/etc", "state": "directory", "mode": "0750"},
        {"path": f"{folder}/etc/open.conf", "content": content, "mode": "0644"},
        {"path": f"{folder}/etc/secret.conf", "secret_content": SECRET, "mode": "0640"},
        {"path": f"{folder}/etc/server.conf", "state": "seed", "content": "", "mode": "0600"},
        {"path": f"{folder}/etc/current", "state": "link", "target": "open.conf"},
        {"path": f"{folder}/old", "state": "absent", "recurse": True},
    ]


@pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON])
def test_create_repeat_change_absent_absent_again(tmp_path: Path, python: str) -> None:
    """Check mode predicts each step, and each step is done once."""
    (tmp_path / "old/deep").mkdir(parents=True)
    desired = {"files": entries(tmp_path)}
    made = assert_check_predicts("redis_files", desired, python=python)
    again = assert_check_predicts("redis_files", desired, python=python)
    changed = assert_check_predicts("redis_files", {"files": entries(tmp_path, "port 6380\n")}, python=python)
    gone = {"files": [{"path": f"{tmp_path}/etc", "state": "absent", "recurse": True}]}
    removed = assert_check_predicts("redis_files", gone, python=python)
    removed_again = assert_check_predicts("redis_files", gone, python=python)

    assert [entry["path"] for entry in entries(tmp_path)] == made["changed_paths"]
    assert (False, []) == (again.changed, again["changed_paths"])
    assert [f"{tmp_path}/etc/open.conf"] == changed["changed_paths"]
    assert (True, False, []) == (removed.changed, removed_again.changed, list(tmp_path.iterdir()))


def test_check_mode_touches_nothing(tmp_path: Path) -> None:
    """It only reads."""
    result = run_module("redis_files", {"files": entries(tmp_path)}, check=True)

    assert (True, []) == (result.changed, list(tmp_path.iterdir()))


def test_missing_argument_and_wrong_values_are_named() -> None:
    """The message has the path and the value found."""
    missing = run_module("redis_files", {})
    wrong = run_module("redis_files", {"files": [{"path": "etc/x", "content": "x", "mode": 640}]})

    assert "missing required arguments: files" in missing["msg"]
    assert "etc/x: the path must be absolute" in wrong["msg"]
    assert "found '640'" in wrong["msg"]


def test_unknown_owner_is_open_in_a_check_and_refused_in_a_run(tmp_path: Path) -> None:
    """Before a package is installed, its user does not exist."""
    desired = {
        "files": [
            {"path": f"{tmp_path}/a", "content": "a", "mode": "0600"},
            {"path": f"{tmp_path}/b", "content": "b", "mode": "0600", "owner": "no-such"},
        ]
    }
    check = run_module("redis_files", desired, check=True)
    real = run_module("redis_files", desired)

    assert (True, [f"{tmp_path}/b"], 2) == (check.changed, check["unknown"], len(check["changed_paths"]))
    assert f"{tmp_path}/b: this host knows no user 'no-such'" == real["msg"]
    assert (False, []) == (real.changed, list(tmp_path.iterdir()))


def test_diff_shows_what_differs_and_hides_what_is_hidden(tmp_path: Path) -> None:
    """Content of `secret_content`, of `hide_diff` files and under the global switch is not shown; attributes are."""
    desired = entries(tmp_path)
    desired[1]["hide_diff"] = True
    partly = run_module("redis_files", {"files": desired}, check=True, diff=True)
    shown = run_module("redis_files", {"files": entries(tmp_path)}, check=True, diff=True)
    hidden = run_module("redis_files", {"files": entries(tmp_path), "hide_diff": True}, check=True, diff=True)

    after = {diff["after_header"]: diff["after"] for diff in shown["diff"]}
    assert "port 6379\n" == after[f"{tmp_path}/etc/open.conf"]
    assert "(content hidden, new)\n" == after[f"{tmp_path}/etc/secret.conf"]
    assert "mode 0640" in after[f"{tmp_path}/etc/secret.conf (attributes)"]
    assert "port 6379" not in partly.stdout
    assert "port 6379" not in hidden.stdout


def test_no_content_in_any_output_of_ansible(tmp_path: Path) -> None:
    """At -vvv with --diff, when the task succeeds, when it is refused and when an option is misspelt."""
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {"keyfleet.redis.redis_files": {"files": entries(tmp_path)}},
                {
                    "keyfleet.redis.redis_files": {"files": [*entries(tmp_path), {"path": "/", "state": "absent", "recurse": True}]},
                    "ignore_errors": True,
                },
                {"keyfleet.redis.redis_files": {"files": [*entries(tmp_path), {"path": "/x", "contents": "x"}]}, "ignore_errors": True},
            ],
        }
    ]
    playbook = tmp_path / "play.json"
    playbook.write_text(json.dumps(play))
    command = [
        "ansible-playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "-vvv",
        "--diff",
        str(playbook),
    ]
    program = str(Path(sys.executable).parent / command[0])
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "ok=3    changed=1" in done.stdout
    assert "ignored=2" in done.stdout
    assert "c0rrect-horse" not in done.stdout + done.stderr
    assert "(content hidden, new)" in done.stdout


def test_no_content_in_the_log_of_the_managed_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ansible logs what a module was invoked with; it would mask a value of several lines only where it stands as it is."""
    logged: list[str] = []
    arguments = {"ANSIBLE_MODULE_ARGS": {"files": entries(tmp_path)}}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy")
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, message, log_args=None: logged.append(f"{message} {log_args}"))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("ansible_collections.keyfleet.redis.plugins.modules.redis_files").main()

    assert (0, True) == (ended.value.code, '"changed": true' in capsys.readouterr().out)
    assert "c0rrect-horse" not in str(logged)


def test_hidden_lines_show_no_secret_old_or_new(tmp_path: Path) -> None:
    """A diff of a file with secret lines shows the other lines, and of the secret ones the name alone."""
    place = tmp_path / "server.conf"
    place.write_text("port 1\nmasterauth old-secret\n", encoding="utf-8")
    desired = {"path": str(place), "content": "port 2\nmasterauth new-secret\n", "mode": "0600", "hide_lines": "masterauth "}
    result = run_module("redis_files", {"files": [desired]}, diff=True)
    assert {"before": "port 1\nmasterauth (hidden)\n", "after": "port 2\nmasterauth (hidden)\n"} == {
        side: result["diff"][0][side] for side in ("before", "after")
    }
