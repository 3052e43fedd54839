# SPDX-License-Identifier: MIT
"""Directives of running servers: judged, compared, set live, and still there after CONFIG REWRITE and a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from keyfleet.core.connect.client import close
from keyfleet.core.directives.live import apply_live, read_active
from keyfleet.core.directives.plan import DirectivePlan, config_command_in, plan, render, table_for
from keyfleet.core.directives.throwaway import config_get, throwaway
from keyfleet.core.directives.trial import engine_version, judge
from keyfleet.core.errors import DeniedError, RefusedError
from keyfleet.testing.servers import Server, start_server
from support.directives import ENGINES, binary, other_values

SECRET = "hush-hush-hush"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is installed."""
    return str(request.param)


@pytest.fixture
def own_server(engine: str, tmp_path: Path) -> Iterator[Server]:
    """A server whose configuration a test may change."""
    with start_server(tmp_path, engine=engine) as server:
        yield server


def compare(server: Server, engine: str, directives: dict[str, object], previously: tuple[str, ...] = ()) -> DirectivePlan:
    """Judge directives and compare them with a running server."""
    client = server.client()
    verdict = judge(binary(engine), directives)
    assert () == verdict.problems
    active = read_active(client, [*directives, *previously])
    close(client)
    return plan(verdict.values, active, directives, previously, table_for(*engine_version(binary(engine))))


def apply(server: Server, found: DirectivePlan) -> None:
    """Set what the plan changes live."""
    client = server.client()
    apply_live(client, {name: desired for name, (_unused, desired) in found.live.items()})
    close(client)


def test_every_live_directive_is_set_live_and_compared(own_server: Server, engine: str) -> None:
    """Each directive that the table calls live is changed on a running server, the second plan is empty, and the way back works."""
    desired = other_values(table_for(*engine_version(binary(engine))), "live")
    first = compare(own_server, engine, desired)
    assert set(desired) == set(first.live)
    assert {} == first.restart
    apply(own_server, first)
    assert DirectivePlan() == compare(own_server, engine, desired)
    back = compare(own_server, engine, {}, tuple(desired))
    apply(own_server, back)
    assert set(desired) == set(back.live)
    assert DirectivePlan() == compare(own_server, engine, {}, tuple(desired))


def test_every_directive_survives_a_real_start(engine: str, tmp_path: Path) -> None:
    """A server started with the rendered lines has exactly the values of the judge, those that only a start can set included."""
    table = table_for(*engine_version(binary(engine)))
    desired = {**other_values(table, "live"), **other_values(table, "start"), **other_values(table, "protected")}
    lines = [line.split(" ", 1) for line in render(desired)]
    grouped = {name: [text for other, text in lines if other == name] for name, _unused in lines}
    with start_server(tmp_path / "same", engine=engine, directives=grouped) as server:
        assert DirectivePlan() == compare(server, engine, desired)
    with start_server(tmp_path / "default", engine=engine) as server:
        found = compare(server, engine, desired)
        assert {*other_values(table, "start"), *other_values(table, "protected")} == set(found.restart)


def test_an_operators_setting_survives(own_server: Server, engine: str) -> None:
    """A directive that no inventory named is the operator's."""
    client = own_server.client()
    client.config_set("slowlog-max-len", 77)
    assert DirectivePlan() == compare(own_server, engine, {"maxmemory": 0})
    close(client)


def test_a_refused_value_changes_nothing(own_server: Server, engine: str) -> None:
    """All pairs go in one command: the error names the directive, with the server's words, and the others are as they were."""
    client = own_server.client()
    with pytest.raises(RefusedError, match=r"the server refused proc-title-template '\{bad\}': .*template format is invalid"):
        apply_live(client, {"maxmemory": "1000000", "proc-title-template": "{bad}"})
    assert "0" == read_active(client)["maxmemory"]
    close(client)


def test_secrets_stay_out_of_errors(own_server: Server) -> None:
    """The password set together with a refused value is not repeated."""
    client = own_server.client()
    with pytest.raises(RefusedError) as refused:
        apply_live(client, {"masterauth": SECRET, "hz": "x"})
    assert SECRET not in str(refused.value)
    close(client)


def test_config_that_is_not_offered_is_named(engine: str, tmp_path: Path) -> None:
    """Renamed, or not allowed to this user: an error of its own, so that the caller can fall back to the text of the started file."""
    started = ['rename-command CONFIG "zorro"']
    users = ["app on nopass ~* +@all -config", "default on nopass ~* +@all"]
    with start_server(tmp_path, engine=engine, directives={"rename-command": "CONFIG zorro", "user": users}) as server:
        client = server.client()
        with pytest.raises(DeniedError):
            read_active(client)
        with pytest.raises(DeniedError):
            apply_live(client, {"hz": "20"})
        command = config_command_in(started)
        assert command == "zorro"
        apply_live(client, {"hz": "20"}, command=command)
        assert "20" == read_active(client, command=command)["hz"]
        client.execute_command("AUTH", "app", "x")
        with pytest.raises(DeniedError):
            read_active(client, command=command)
        close(client)


def test_ours_holds_over_what_config_rewrite_wrote(engine: str, tmp_path: Path) -> None:
    """The server's own file, rewritten with old values, is read first and ours last: ours wins, and save lines do not double."""
    own_file = tmp_path / "server.conf"
    own_file.touch()
    limit = "client-output-buffer-limit"
    before = render({"save": ["900 1", "300 10"], "maxmemory": "64mb", limit: "pubsub 1mb 1mb 5"})
    with throwaway(binary(engine), before, config_file=str(own_file)) as ask:
        ask("CONFIG", "REWRITE")
    rewritten = [line for line in own_file.read_text().splitlines() if not line.startswith("dir ")]  # the folder is gone with the server
    assert "maxmemory 64mb" in rewritten
    own_file.write_text("\n".join([*rewritten, ""]))
    desired = {"save": ["60 5"], "maxmemory": "32mb"}
    with throwaway(binary(engine), render(desired), config_file=str(own_file)) as ask:
        active = config_get(ask)
    assert ("60 5", str(32 * 1024**2)) == (active["save"], active["maxmemory"])
    found = plan(judge(binary(engine), desired).values, active, desired, [limit], table_for(*engine_version(binary(engine))))
    assert [limit] == list(found.live)  # taken out of the inventory, still in the server's file: the plan sees it
