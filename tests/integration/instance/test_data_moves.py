# SPDX-License-Identifier: MIT
"""Directives that decide which file holds the data: changed on running and on stopped servers, with every key counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from keyfleet.core.errors import KeyfleetError, RefusedError, ServiceError
from keyfleet.core.instance.converge import carry_out, prepare
from keyfleet.core.instance.datafiles import DataFolder, Place
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import wait_until
from support.instances import LiveInstance

ON_EVERY_SERVER = "full"
pytestmark = pytest.mark.slow
NAMES = [
    ({"appendonly": True}, {"appenddirname": "other"}),
    ({"appendonly": True}, {"appendfilename": "other.aof"}),
    ({"appendonly": True}, {"appendfilename": "other.aof", "appenddirname": "other"}),
    ({}, {"dbfilename": "other.rdb"}),
    ({"appendonly": True}, {"dbfilename": "other.rdb", "appenddirname": "other"}),
]


@pytest.mark.parametrize(("before", "change"), NAMES)
def test_renamed_data_files_of_a_running_server(live: LiveInstance, before: dict[str, object], change: dict[str, object]) -> None:
    """The restart puts the data under the new name; a crash before and after it, and the old value put back, keep every key."""
    live.settle(**before)
    live.fill(100)
    reported = live.settle(**change)
    live.fill(50, db=3)
    kept = 50
    if before:
        live.crash()
    assert ([], True) == ([name for name in change if name in reported.live], bool(reported.restart_needed))
    restarted = live.restart()
    assert (100 + kept, 100 + kept) == (restarted.keys_before, restarted.keys)
    assert list(change.values()) == [live.active(name) for name in change]
    assert (100, kept) == (live.keys(), live.keys(3))
    assert "unchanged" == live.settle().action
    if before:
        live.fill(10, prefix="more")
        live.crash()
        assert 110 == live.keys()
    live.apply(**dict.fromkeys(change))
    assert (110 if before else 100, kept) == (live.keys(), live.keys(3))
    live.crash()
    assert (110 if before else 100, kept) == (live.keys(), live.keys(3))


@pytest.mark.parametrize(("before", "change"), NAMES)
def test_renamed_data_files_of_a_stopped_server(live: LiveInstance, before: dict[str, object], change: dict[str, object]) -> None:
    """Nothing is read under a name under which there is nothing."""
    live.settle(**before)
    live.fill(100)
    live.stop()
    found = live.settle(**change)
    assert ("started", []) == (found.action, found.restart_needed)
    assert 100 == live.keys()
    live.stop()
    live.settle(**dict.fromkeys(change))
    assert 100 == live.keys()


def test_append_only_file_on_and_off_while_it_runs(live: LiveInstance) -> None:
    """Both ways live; a crash right after each keeps every key, and the file that is not used any more is moved aside."""
    live.settle()
    live.fill(100)
    on = live.settle(appendonly=True)
    assert any("switch the append-only file on" in step for step in on.steps)
    live.crash()
    assert (100, "yes") == (live.keys(), live.active("appendonly"))
    live.fill(50, prefix="more")
    off = live.settle(appendonly=None)
    assert (1, False) == (len(off.kept), Path(live.layout.data_dir, "appendonlydir").exists())
    live.crash()
    assert (150, "no") == (live.keys(), live.active("appendonly"))
    again = live.settle()  # some servers of other versions run under a loader, which has another program's name
    assert ("unchanged", bool(again.restart_needed)) == (again.action, Path(off.kept[0]).exists())


@pytest.mark.parametrize("crashed", [False, True], ids=["stopped", "powered off"])
def test_append_only_file_on_and_off_while_it_is_stopped(live: LiveInstance, crashed: bool) -> None:
    """A dump is loaded before there is an append-only file, and an append-only file before there is a dump."""
    live.settle()
    live.fill(100)
    live.stop()
    live.settle(appendonly=True)
    assert (100, "yes") == (live.keys(), live.active("appendonly"))
    live.fill(50, prefix="more")
    with live.client() as client:
        client.wait(0, 100)
    live.power_off() if crashed else live.stop()
    live.settle(appendonly=None)
    assert ("no", True) == (live.active("appendonly"), live.keys() == 150 or crashed)
    live.stop()
    live.settle(appendonly=True)
    live.settle(appendonly=False)
    assert live.keys() >= 100


def test_fewer_databases_than_hold_keys_are_refused(live: LiveInstance) -> None:
    """The database that holds keys is named, running and stopped; nothing is changed."""
    live.settle()
    live.fill(10, db=3)
    with pytest.raises(RefusedError, match="database 3 holds 10 keys"):
        live.settle(databases=2)
    live.apply(databases=4)
    assert 10 == live.keys(3)
    live.remove()
    with pytest.raises(RefusedError, match="database 3 holds 10 keys"):
        live.settle(databases=2)
    live.settle(databases=4)
    assert 10 == live.keys(3)


def test_deployed_again_under_other_names(live: LiveInstance) -> None:
    """After destroy the data is found by what keyfleet recorded, whatever the inventory calls it now."""
    live.settle(appendonly=True)
    live.fill(100)
    live.remove()
    live.settle(appendonly=None, dbfilename="other.rdb")
    assert 100 == live.keys()
    live.remove()
    live.settle(dbfilename=None, appendonly=True, appenddirname="elsewhere")
    assert 100 == live.keys()


def test_data_that_nothing_would_read_is_refused(live: LiveInstance) -> None:
    """A dump of an unknown past is named, and the way to have it read."""
    live.settle(dbfilename="mine.rdb")
    live.fill(100)
    live.remove()
    Path(live.layout.data_record_file).unlink()
    with pytest.raises(RefusedError, match=r"holds mine\.rdb"):
        live.settle(dbfilename=None)
    live.settle(dbfilename="mine.rdb")
    assert 100 == live.keys()


def test_keys_that_are_missing_after_a_start_fail_it(live: LiveInstance) -> None:
    """What keyfleet counted at its own stop is compared; a file of another size was not written by it and is not."""
    live.settle()
    live.fill(100)
    live.remove()
    record = Path(live.layout.data_record_file)
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace("[100, 0]", "[120, 0]"), encoding="utf-8")
    for _unused in range(2):
        with pytest.raises(RefusedError, match=r"20 of database 0.* The start was undone, with the data in"):
            live.settle()
        assert (True, False) == (live.manager.status().stopped, Path(live.layout.config_file).exists())
    assert live.killed_before("compare_keys", live.settle)
    with pytest.raises(RefusedError, match="20 of database 0"):
        live.settle()
    record.write_text(text, encoding="utf-8")
    live.settle()
    assert 100 == live.keys()


def test_a_server_without_config_refuses_to_move_its_data(live: LiveInstance) -> None:
    """It cannot be asked, so it is refused with the way to do it."""
    live.settle(**{"rename-command": ['CONFIG ""']})
    live.fill(10)
    with pytest.raises(RefusedError, match="give CONFIG back"):
        live.settle(appendonly=True)
    assert 10 == live.keys()
    live.stop()
    with pytest.raises(RefusedError, match="switching needs CONFIG"):
        live.settle()
    live.settle(appendonly=None)
    assert 10 == live.keys()


def test_a_stop_that_exceeds_the_timeout_is_reported_and_ends_running(live: LiveInstance) -> None:
    """The run fails with the reason, the server starts again as soon as it has stopped, and the next run restarts it."""
    live.settle()
    live.fill(100)
    live.settle(dbfilename="other.rdb")
    with live.client() as client:
        client.config_set("rdb-key-save-delay", 20_000)
    pid = live.manager.status().pid
    live.host = replace(live.host, start_timeout_seconds=1)
    with pytest.raises(ServiceError, match="as soon as it has stopped it starts again"):
        live.restart()
    live.host = replace(live.host, start_timeout_seconds=30)
    wait_until(lambda: live.manager.status().active and live.manager.status().pid != pid, "the server to be started again")
    live.apply()
    assert (100, "other.rdb") == (live.keys(), live.active("dbfilename"))


def test_no_instance_is_touched_if_one_is_refused(live: LiveInstance) -> None:
    """Every plan is judged before the first is carried out."""
    neighbour = LiveInstance(Path(live.host.root), live.engine, name="second")
    try:
        for one in (live, neighbour):
            one.settle()
            one.fill(10, db=3)
        before = [Path(one.layout.config_file).read_text(encoding="utf-8") for one in (live, neighbour)]
        live.directives, neighbour.directives = {"appendonly": True}, {"databases": 2}
        with pytest.raises(RefusedError, match="database 3 holds 10 keys"):
            prepare(live.host, [live.instance, neighbour.instance])
        assert before == [Path(one.layout.config_file).read_text(encoding="utf-8") for one in (live, neighbour)]
        assert ("no", 10, 10) == (live.active("appendonly"), live.keys(3), neighbour.keys(3))
    finally:
        neighbour.end()


def test_an_instance_that_fails_halfway_leaves_its_neighbours_whole(live: LiveInstance) -> None:
    """Those before it are changed, those after it are not, and itself is as before; a crash of each brings every key back."""
    others = [LiveInstance(Path(live.host.root), live.engine, name=name) for name in ("second", "third")]
    deployed = [live, *others]
    try:
        for one in deployed:
            one.settle()
            one.fill(50)
            with one.client() as client:
                client.save()
            one.directives = {"appendonly": True}
        in_the_way = Path(others[0].layout.data_dir, "appendonlydir")
        in_the_way.write_text("no folder", encoding="utf-8")
        before = [Path(one.layout.config_file).read_text(encoding="utf-8") for one in deployed]
        first, second, _third = prepare(live.host, [one.instance for one in deployed])
        carry_out(live.host, first)
        with pytest.raises(KeyfleetError):
            carry_out(live.host, second)
        after = [Path(one.layout.config_file).read_text(encoding="utf-8") for one in deployed]
        assert [False, True, True] == [old == new for old, new in zip(before, after, strict=True)]
        assert ["yes", "no", "no"] == [one.active("appendonly") for one in deployed]
        for one in deployed:
            one.crash()
        assert [50, 50, 50] == [one.keys() for one in deployed]
        in_the_way.unlink()
        for one in deployed:
            one.settle()
            one.crash()
        assert [("yes", 50)] * 3 == [(one.active("appendonly"), one.keys()) for one in deployed]
    finally:
        for one in others:
            one.end()


def test_a_server_that_does_not_start_with_the_new_files_runs_as_before(live: LiveInstance) -> None:
    """The failed start is undone: configuration, record and data are those of before, and the run fails with both reasons."""
    live.settle(appendonly=True)
    live.fill(100)
    live.settle(appenddirname="other")
    place = Path(live.layout.data_dir, "other")
    place.write_text("in the way", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"with the data in .* It runs again as before"):
        live.restart()
    assert (100, "appendonlydir") == (live.keys(), live.active("appenddirname"))
    live.crash()
    assert 100 == live.keys()
    place.unlink()
    live.apply()
    assert (100, "other") == (live.keys(), live.active("appenddirname"))


def test_check_mode_names_the_steps_and_touches_nothing(live: LiveInstance) -> None:
    """The steps are in the result and in the diff; the file keeps its content."""
    live.settle()
    live.fill(10)
    before = Path(live.layout.config_file).read_text(encoding="utf-8")
    found = live.settle(check=True, appendonly=True)
    assert (True, before) == (found.changed, Path(live.layout.config_file).read_text(encoding="utf-8"))
    assert "step 1: switch the append-only file on" in found.diffs()[-1]["after"]
    assert "+appendonly yes" in "".join(f"+{line}\n" for line in found.diffs()[0]["after"].splitlines())
    assert "no" == live.active("appendonly")


@pytest.mark.parametrize("directives", [{}, {"appendonly": True}], ids=["dump", "append-only file"])
def test_another_version_of_the_program(live: LiveInstance, directives: dict[str, object]) -> None:
    """An upgrade keeps a copy that the former version reads; a downgrade is refused while the server runs, and while it is stopped."""
    if live.engine != "redis-7.0":
        pytest.skip("goes from Redis 7.0 to 8.0 and back")
    older, newer = live.host, replace(live.host, binary=str(find_binary("redis-8.0")))
    live.settle(**directives)
    live.fill(100)
    live.host = newer
    restarted = live.apply()
    assert restarted is not None
    assert (100, 1) == (restarted.keys, len(restarted.kept))
    assert "REDIS0010" == DataFolder(restarted.kept[0]).data_format(Place(appendonly=bool(directives)))
    with live.client() as client:
        client.bgrewriteaof() if directives else client.save()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the end of the rewrite")
    live.host = older
    live.settle()
    with pytest.raises(RefusedError, match="REDIS0012, and the installed program reads at most REDIS0010, so the server was not stopped"):
        live.restart()
    assert 100 == live.keys()
    live.stop()
    with pytest.raises(RefusedError, match="REDIS0012, and the installed program reads at most REDIS0010"):
        live.settle()
    live.host = newer
    live.settle()
    assert 100 == live.keys()
