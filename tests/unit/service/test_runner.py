# SPDX-License-Identifier: MIT
"""The parts of the runner that need no server."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from keyfleet.core.host import commands
from keyfleet.core.service import supervisor as runner

SPEC = {"name": "cache", "argv": ["/usr/bin/redis-server"], "run_dir": "/run/x", "log_file": "/var/log/x/runner.log"}


def spec(**options: object) -> runner.Spec:
    """Return a specification with these fields."""
    return runner.Spec(**{**SPEC, **options})  # type: ignore[arg-type]


def test_delays_double_up_to_the_maximum_and_start_over_after_a_stable_time() -> None:
    """A server that fails immediately is tried less and less often."""
    desired, delays, delay = spec(restart_delay_seconds=1, restart_delay_max_seconds=5, stable_seconds=10), [], 0.0
    for uptime in (0, 0, 0, 0, 0, 9.9, 10):
        delay = runner.next_delay(desired, delay, uptime)
        delays.append(delay)

    assert [1, 2, 4, 5, 5, 5, 1] == delays


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (">>> 'requirepass s3cret extra'", ">>> 'requirepass ..."),
        ('>>> "user default on >s3cret"', '>>> "user ...'),
        ("2026-01-01 server: >>> 'masterauth s3cret'", "2026-01-01 server: >>> 'masterauth ..."),
        ("wrong number of arguments", "wrong number of arguments"),
    ],
)
def test_a_line_that_the_server_complains_about_loses_its_value(line: str, shown: str) -> None:
    """Redis prints the whole directive, which may be a password."""
    assert shown == runner.masked(line)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot use the specification"),
        ('{"name": "x"}', "missing 3 required positional arguments"),
        (json.dumps({**SPEC, "color": "red"}), "unexpected keyword argument 'color'"),
        (json.dumps({**SPEC, "argv": "redis-server --port 1"}), "argv must be a list of words"),
        (json.dumps({**SPEC, "argv": []}), "argv must be a list of words, found []"),
        (json.dumps({**SPEC, "run_dir": "run"}), "'run' must be an absolute path"),
    ],
)
def test_a_wrong_specification_is_refused_with_file_and_reason(tmp_path: Path, text: str, problem: str) -> None:
    """Before anything runs."""
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(runner.RunnerError) as raised:
        runner.load_spec(str(path))

    assert (True, True) == (str(path) in str(raised.value), problem in str(raised.value))


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A process is known by its pid and its start time."""
    mine = runner.start_ticks(os.getpid())
    assert mine is not None
    record = {"state": "running", "runner_pid": os.getpid(), "runner_ticks": mine, "server_pid": os.getpid(), "server_ticks": mine - 1}
    (tmp_path / "status.json").write_text(json.dumps(record))
    found = runner.status(str(tmp_path))
    (tmp_path / "status.json").write_text(json.dumps({**record, "runner_ticks": mine - 1}))

    assert (os.getpid(), None) == (found["runner_pid"], found["server_pid"])
    assert "stopped" == runner.status(str(tmp_path))["state"]
    assert not runner.stop(spec(run_dir=str(tmp_path)))


def test_a_dead_process_has_no_start_time() -> None:
    """Not even while it is a zombie."""
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert runner.start_ticks(child.pid) is None


def test_nothing_is_found_and_nothing_is_stopped_where_nothing_ever_ran(tmp_path: Path) -> None:
    """A missing folder is no failure."""
    assert "stopped" == runner.status(str(tmp_path / "none"))["state"]
    assert not runner.stop(spec(run_dir=str(tmp_path / "none")))


def test_a_lock_is_held_by_one_and_inherited_by_a_child(tmp_path: Path) -> None:
    """The child keeps it when the parent gives it up, and is found."""
    path = str(tmp_path / "lock")
    with runner.Lock(path) as mine, runner.Lock(path) as other:
        assert (True, False) == (mine.try_hold(), other.try_hold())
        child = subprocess.Popen(["/bin/sleep", "60"], pass_fds=(mine.descriptor,))
    with child, runner.Lock(path) as other:
        held, holders = not other.try_hold(), other.holders()
        child.kill()
        child.wait()
        assert (True, {child.pid}, True) == (held, holders, other.try_hold())


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """It never needs more than twice its limit."""
    log = runner.Log(str(tmp_path / "runner.log"), 1000)
    for number in range(200):
        log.write(f"line {number}")
    os.close(log.descriptor)
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]

    assert (2, True) == (len(sizes), all(size <= 1000 for size in sizes))
    assert (tmp_path / "runner.log").read_text().endswith("line 199\n")


def test_a_listening_process_differs_from_one_that_only_has_sockets() -> None:
    """Listening on TCP counts, an unconnected socket does not."""
    program = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
sys.stdin.readline()
server.listen()
print(flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        before = runner.listens(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        after = runner.listens(child.pid)
        child.communicate(b"\n")

    assert (False, True) == (before, after)


def test_listening_on_a_unix_socket_counts(tmp_path: Path) -> None:
    """An instance without TCP is up as well."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert runner.listens(os.getpid())


def test_the_runner_is_one_file_that_needs_the_standard_library_alone() -> None:
    """It is copied to hosts as it is."""
    tree = ast.parse(Path(runner.__file__).read_text())
    imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]

    assert ([], set()) == (relative, imported - set(sys.stdlib_module_names))


def test_help_says_what_each_command_does() -> None:
    """It is the documentation on a managed host."""
    done = subprocess.run([sys.executable, runner.__file__, "--help"], capture_output=True, text=True, check=True)

    assert [] == [word for word in ("start ", "stop ", "status ", "Exit status", "argv:") if word not in done.stdout]


def test_environment_of_the_runner_is_that_of_other_programs() -> None:
    """The runner is copied to hosts as one file, so it has the environment once more."""
    assert commands.CLEAN_ENVIRONMENT == runner.CLEAN_ENVIRONMENT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led where others may not go")
@pytest.mark.parametrize("trap", ["folder", "link", "link of root in the folder", "writable"])
def test_root_makes_no_folder_where_another_user_can_lead_it_elsewhere(tmp_path: Path, trap: str) -> None:
    """Below a folder that another user owns or may write, or behind its link, nothing is made."""
    target, way = tmp_path / "target", tmp_path / "way"
    target.mkdir()
    if trap == "link":
        way.symlink_to(target)
        os.chown(way, 65534, 65534, follow_symlinks=False)
    else:
        way.mkdir()
        (way / "run").symlink_to(target) if trap != "folder" else None
        os.chown(way, *((65534, 65534) if trap != "writable" else (0, 0)))
        way.chmod(0o777 if trap == "writable" else 0o755)
    with pytest.raises(runner.RunnerError, match="can be changed by another user"):
        runner.prepare(spec(run_dir=str(way / "run" / "x"), log_file=str(tmp_path / "log" / "runner.log")))
    assert ([], False) == (list(target.iterdir()), (way / "run" / "x").exists())
