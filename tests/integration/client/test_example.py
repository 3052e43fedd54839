# SPDX-License-Identifier: MIT
"""The example application runs with one command and does what it shows, over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from keyfleet import Client, Settings
from keyfleet.testing._server import free_port, wait_until
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.web import Browser

ON_EVERY_SERVER = True
ROOT = Path(__file__).parents[3]
APP = ROOT / "docs" / "examples" / "app.py"


@contextmanager
def running(environ: Mapping[str, str], program: Path = APP) -> Iterator[int]:
    """Run the example, and give its port."""
    port = free_port("127.0.0.1")
    passed = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    passed |= {"PYTHONPATH": str(ROOT / "python_lib"), **environ}
    command = [sys.executable, str(program), "--port", str(port)]
    with subprocess.Popen(command, env=passed, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(port), "the example")
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            yield port
        finally:
            process.terminate()
            process.wait(30)


def answers(port: int) -> bool:
    """Say whether the application is there."""
    try:
        return Browser(port).get("/live").status == 200
    except OSError:
        return False


def asked(browser: Browser, path: str, **sent: Any) -> tuple[int, Any]:
    """Return status and content; with *sent* of a POST."""
    reply = browser.post(path, json.dumps(sent)) if sent or path in ("/logout", "/logout?everywhere") else browser.get(path)
    return reply.status, json.loads(reply.body)


def walk(port: int) -> None:
    """Use everything that the example shows."""
    browser, phone = Browser(port), Browser(port)
    assert (401, 401) == (asked(browser, "/me")[0], asked(browser, "/articles", title="x")[0])
    assert 401 == asked(browser, "/login", user="ada", password="wrong")[0]
    status, first = asked(browser, "/login", user="ada", password="lovelace")
    assert (200, "ada") == (status, first["user"])
    asked(phone, "/login", user="ada", password="lovelace")
    found = [asked(browser, "/me")[1] for _unused in range(2)]
    assert [("ada", "editor", 1, 2), ("ada", "editor", 2, 2)] == [
        (it["user"], it["role"], it["visits"], len(it["sessions"])) for it in found
    ]

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _number: asked(Browser(port), "/articles"), range(16)))
    assert {(200, 1)} == {(status, content["queries"]) for status, content in replies}
    assert 201 == asked(browser, "/articles", title="Second")[0]
    assert (["Notes on the engine", "Second"], 2) == tuple(asked(phone, "/articles")[1].values())

    before = dict(browser.cookies)
    status, second = asked(browser, "/refresh", refresh_token=first["refresh_token"])
    assert (200, "ada") == (status, second["user"])
    assert before != browser.cookies
    assert second["refresh_token"] == asked(browser, "/refresh", refresh_token=first["refresh_token"])[1]["refresh_token"]
    assert 401 == asked(browser, "/refresh", refresh_token="x")[0]

    assert 200 == asked(browser, "/logout?everywhere")[0]
    assert [401, 401] == [asked(it, "/me")[0] for it in (browser, phone)]
    assert 401 == asked(browser, "/refresh", refresh_token=second["refresh_token"])[0]

    guesses = [asked(browser, "/login", user="grace", password=str(number))[0] for number in range(6)]
    assert 429 in guesses
    assert {401, 429} == set(guesses)
    status, content = asked(browser, "/health")
    assert (200, True) == (status, content["verdict"] in ("ok", "degraded"))


def variables(settings: Settings) -> dict[str, str]:
    """Return the REDIS_ variables that lead to the deployment."""
    if settings.cluster_nodes:
        return {"REDIS_CLUSTER_NODES": ",".join(f"{host}:{port}" for host, port in settings.cluster_nodes)}
    if settings.sentinels:
        sentinels = ",".join(f"{host}:{port}" for host, port in settings.sentinels)
        return {"REDIS_SENTINELS": sentinels, "REDIS_SENTINEL_SERVICE": settings.sentinel_service or ""}
    return {"REDIS_HOST": settings.host, "REDIS_PORT": str(settings.port)}


@pytest.mark.parametrize("topology", ["redis_server", "redis_sentinel", "redis_cluster"])
def test_the_example_does_what_it_shows(request: pytest.FixtureRequest, topology: str) -> None:
    """On one server, with Sentinels and on a cluster, from the REDIS_ variables alone."""
    target: Server | SentinelGroup | Cluster = request.getfixturevalue(topology)
    settings = target.settings()
    environ = variables(settings)
    with running(environ) as port:
        walk(port)
    with Client.from_settings(settings) as client:
        for name in list(client.scan("*")):
            assert "ada" not in name or name.startswith("ratelimit:"), name


def test_the_example_reads_the_profile_of_the_local_deployment(redis_server: Server, tmp_path: Path) -> None:
    """Without REDIS_ variables; the password in it is quoted as a shell needs it."""
    program = tmp_path / "docs" / "examples" / "app.py"
    profile = tmp_path / "inventories" / "local" / "redis@localhost.env"
    for path in (program, profile):
        path.parent.mkdir(parents=True)
    program.write_text(APP.read_text(encoding="utf-8"), encoding="utf-8")
    profile.write_text(f"# made by a run\nREDIS_HOST={redis_server.host}\nREDIS_PORT='{redis_server.port}'\n", encoding="utf-8")
    with running({}, program) as port:
        assert 200 == Browser(port).get("/health").status


def test_a_server_that_is_down_stops_logins_and_not_the_application(redis_server: Server) -> None:
    """The health page answers and names the fault; articles are loaded without the cache."""
    port = free_port("127.0.0.1")
    with running({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), "REDIS_TIMEOUT_SECONDS": "0.5"}) as app:
        browser = Browser(app)
        assert [200, 503] == [browser.get(path).status for path in ("/live", "/health")]
        assert (200, ["Notes on the engine"]) == (lambda found: (found[0], found[1]["articles"]))(asked(browser, "/articles"))
        browser.cookies["session"] = "some"
        assert 503 == browser.get("/me").status
