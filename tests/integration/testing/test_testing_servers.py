# SPDX-License-Identifier: MIT
"""The throw-away servers that users' tests stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import ServerStartError, start_server

pytestmark = pytest.mark.slow


def test_a_missing_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerStartError, match=r"^valkey-server is not installed or not on PATH; install the package valkey-server$"):
        start_server(tmp_path, engine="valkey")


def test_a_bad_directive_is_quoted_from_the_log(tmp_path: Path) -> None:
    """The server's own complaint, without a wait."""
    with pytest.raises(ServerStartError, match=r"(?s)ended immediately; its log ends with:.*maxmemory-policy"):
        start_server(tmp_path, directives={"maxmemory-policy": "nonsense"})


def test_directives_go_over_ours(tmp_path: Path) -> None:
    """A list gives several lines, a value replaces our line."""
    with start_server(tmp_path, directives={"save": ["100 1", "200 2"], "maxmemory": "5mb"}) as server:
        client = server.client()
        found = {**client.config_get("save"), **client.config_get("maxmemory")}
        close(client)
    assert {"save": "100 1 200 2", "maxmemory": "5242880"} == found


def test_the_password_is_not_in_the_arguments_and_the_file_is_private(tmp_path: Path) -> None:
    """Tests run on shared machines."""
    with start_server(tmp_path, password="s3cret") as server:
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"s3cret" not in arguments
        assert 0o600 == server.config_file.stat().st_mode & 0o777
        assert "s3cret" not in repr(server)


def test_restart_keeps_address_and_saved_data(tmp_path: Path) -> None:
    """A new process in the same place."""
    with start_server(tmp_path, directives={"save": "3600 1"}) as server:
        before = (server.port, server.pid)
        client = server.client()
        client.set("k", "v")
        server.restart()
        assert b"v" == client.get("k")
        close(client)
        assert (before[0], True) == (server.port, before[1] != server.pid)


def test_kill_does_not_save(tmp_path: Path) -> None:
    """What was not written is lost, as after a crash."""
    with start_server(tmp_path, directives={"save": "3600 1"}) as server:
        client = server.client()
        client.set("k", "v")
        server.kill()
        assert not server.is_running()
        server.start()
        assert None is client.get("k")
        close(client)


def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    """A test that froze the server leaves none behind."""
    with start_server(tmp_path) as server:
        os.kill(server.pid, signal.SIGSTOP)
    assert not server.is_running()


def test_a_long_socket_path_is_refused(tmp_path: Path) -> None:
    """Linux takes 107 bytes; the server's own message is no help."""
    with pytest.raises(ServerStartError, match="longer than 107 bytes"):
        start_server(tmp_path / ("x" * 120), unix_socket=True)


def test_no_server_outlives_its_process(tmp_path: Path) -> None:
    """Even if the test forgot to stop it."""
    program = f"from keyfleet.testing.servers import start_server; print(start_server({str(tmp_path)!r}).pid)"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "python_lib")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ, timeout=60, check=True)
    assert not Path(f"/proc/{int(done.stdout)}").exists()
