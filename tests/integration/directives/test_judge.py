# SPDX-License-Identifier: MIT
"""The throw-away server: what it reports, and that it leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from keyfleet.core.directives.throwaway import StartFailedError, throwaway
from keyfleet.core.directives.trial import engine_version, judge
from keyfleet.core.errors import RefusedError
from keyfleet.testing._server import wait_until
from support.directives import ENGINES, binary

ROOT = Path(__file__).resolve().parents[3]
SECRET = "hush-hush-hush"
HASH = "#" + "0123456789abcdef" * 4


@pytest.fixture(params=ENGINES)
def server_binary(request: pytest.FixtureRequest) -> str:
    """The server of each engine that is installed."""
    return binary(request.param)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the judge keeps what it needs; must be empty afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def processes_in(folder: Path) -> list[int]:
    """Return the processes that work in *folder* or below."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def is_clean(folder: Path) -> bool:
    """Return whether neither file nor process is left."""
    return list(folder.iterdir()) == [] and processes_in(folder) == []


def test_values_come_in_the_form_of_the_server(server_binary: str, folder: Path) -> None:
    """Comparing them with CONFIG GET of a running server needs no rule of keyfleet."""
    values = judge(server_binary, {"maxmemory": "1gb", "notify-keyspace-events": "KEA", "save": "", "slave-priority": 3}).values
    assert ("1073741824", "AKE", "", "3", "3") == tuple(
        values[name] for name in ("maxmemory", "notify-keyspace-events", "save", "replica-priority", "slave-priority")
    )
    assert ("6379", "", "") == tuple(values[name] for name in ("port", "unixsocket", "dir"))
    assert is_clean(folder)


def test_hidden_directives_are_asked_by_name(server_binary: str) -> None:
    """CONFIG GET * does not list them."""
    assert "5" == judge(server_binary, {"key-load-delay": 5}).values["key-load-delay"]


def test_what_reaches_outside_is_kept_from_it(server_binary: str, folder: Path) -> None:
    """Addresses, files and the primary that a server follows are returned as given and not tried."""
    outside = folder / "outside.log"
    directives = {"port": 6379, "logfile": str(outside), "dir": "/nowhere", "requirepass": SECRET, "maxclients": 1_000_000}
    others = {"cluster-enabled": True, "replicaof": "192.0.2.1 6379", "tls-port": 6380, "syslog-enabled": True, "aclfile": "/nowhere"}
    verdict = judge(server_binary, {**directives, **others})
    assert () == verdict.problems
    assert ("6379", str(outside), "/nowhere", SECRET, "1000000") == tuple(verdict.values[name] for name in directives)
    assert ("yes", "192.0.2.1 6379", "6380") == tuple(verdict.values[name] for name in ("cluster-enabled", "replicaof", "tls-port"))
    assert is_clean(folder)


def test_every_problem_is_found_in_one_go(server_binary: str, folder: Path) -> None:
    """Each refused directive is named with the server's words, and the others are judged."""
    directives = {"hz": "x", "dbfilename": "a/b", "zork": 1, "proc-title-template": "{q}", "loadmodule": "/nowhere.so", "maxmemory": "1gb"}
    verdict = judge(server_binary, directives)
    assert {"hz", "dbfilename", "zork", "proc-title-template", "loadmodule"} == {problem.directive for problem in verdict.problems}
    assert "dbfilename: the server refused it: dbfilename can't be a path, just a filename; found 'a/b'" in [
        str(problem) for problem in verdict.problems
    ]
    assert "1073741824" == verdict.values["maxmemory"]
    assert is_clean(folder)


def test_users_are_judged(server_binary: str) -> None:
    """The rules of users are tried before the ACL file is written; their password hashes are not repeated."""
    assert () == judge(server_binary, {"user": [f"app on {HASH} ~app:* +@read"]}).problems
    (problem,) = judge(server_binary, {"user": [f"app on {HASH} +nosuch"]}).problems
    assert "user" == problem.directive
    assert "+nosuch" in str(problem)
    assert HASH not in str(problem)


@pytest.mark.parametrize("rename", ["CONFIG zorro", 'CONFIG ""'])
def test_config_may_be_renamed_or_taken_away(server_binary: str, rename: str) -> None:
    """The judge asks by the new name, or keeps the old one to itself."""
    verdict = judge(server_binary, {"rename-command": [rename, 'DEBUG ""'], "hz": 33})
    assert ((), "33") == (verdict.problems, verdict.values["hz"])
    (problem,) = judge(server_binary, {"rename-command": [rename, "NOSUCH x"]}).problems
    assert "rename-command: the server refused it: No such command in rename-command; found (hidden)" == str(problem)


def test_a_value_that_stops_the_start_without_being_named_is_found(server_binary: str) -> None:
    """A log line about users names none of the directives; each is tried alone then."""
    (problem,) = judge(server_binary, {"hz": 5, "user": "app on ~x +nosuch", "maxmemory": 1}).problems
    assert "user" == problem.directive


def test_no_secret_stands_in_argv_files_or_representations(server_binary: str, folder: Path) -> None:
    """The lines go through standard input, and nothing that is printed holds them."""
    with throwaway(server_binary, [f"masterauth {SECRET}"]) as ask:
        (pid,) = processes_in(folder)
        assert SECRET == ask("CONFIG", "GET", "masterauth")[1]
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert [] == [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert {0o700} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    verdict = judge(server_binary, {"masterauth": SECRET, "hz": "x"})
    assert SECRET == verdict.values["masterauth"]
    assert SECRET not in repr(verdict) + str(verdict.problems)
    with pytest.raises(StartFailedError) as failed, throwaway(server_binary, [f"masterauth {SECRET} x"]):
        pass
    assert SECRET not in str(failed.value)


def test_it_is_gone_after_an_error(server_binary: str, folder: Path) -> None:
    """Whatever ends the work, an interrupt from the keyboard included, ends the server and its folder."""
    with pytest.raises(KeyboardInterrupt), throwaway(server_binary, []):
        assert 1 == len(processes_in(folder))
        raise KeyboardInterrupt
    assert is_clean(folder)


def test_it_dies_with_the_process_that_started_it(server_binary: str, folder: Path) -> None:
    """A run that is killed leaves no server."""
    code = f"""
import tempfile
from keyfleet.core.directives.throwaway import throwaway
tempfile.tempdir = {str(folder)!r}
with throwaway({server_binary!r}, []):
    print("ready", flush=True)
    input()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python_lib")}
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env=environment) as child:
        assert child.stdout
        assert b"ready\n" == child.stdout.readline()
        assert 1 == len(processes_in(folder))
        child.kill()
    wait_until(lambda: processes_in(folder) == [], "the throw-away server to end")


def test_a_long_temporary_folder_does_not_matter(server_binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a socket has at most 107 bytes."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert "10" == judge(server_binary, {}).values["hz"]


def test_a_server_that_never_answers_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded, and the problem says so."""
    monkeypatch.setattr("keyfleet.core.directives.throwaway.START_SECONDS", 0.3)
    sleeper = folder / "sleeper"
    sleeper.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.0.15 sha=0" && exit\nexec sleep 60\n')
    sleeper.chmod(0o755)
    verdict = judge(str(sleeper), {})
    assert ({}, ["the directives together"]) == (verdict.values, [problem.directive for problem in verdict.problems])
    sleeper.unlink()
    assert is_clean(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_and_version_are_read_from_the_binary(engine: str) -> None:
    """The name of the file says nothing: valkey-server may stand behind redis-server."""
    found, version = engine_version(binary(engine))
    assert engine == found
    assert version.count(".") == 2


@pytest.mark.parametrize("path", ["/bin/true", "/nowhere/redis-server", "/etc/passwd"])
def test_what_is_no_server_is_refused(path: str) -> None:
    """The path is named."""
    with pytest.raises(RefusedError, match=path):
        engine_version(path)
