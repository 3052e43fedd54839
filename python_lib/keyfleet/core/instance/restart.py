# SPDX-License-Identifier: MIT
"""Restart one instance: save, count, stop, start, compare; and the way of before if keys are missing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from ..directives.live import apply_live
from ..errors import KeyfleetError, RefusedError, ServiceError
from ..host.safe_paths import open_folder
from ..topology.validation import CLUSTER
from .access import opened, wait_until_ready
from .carry_out import Work, reach
from .config import config_text
from .datafiles import DataFolder, Place, readable
from .keys import KeyCounts, count_keys, total
from .links import keeping_links
from .model import Host, Instance
from .plan import pending_directives, plan, plan_start, refuse_fewer_databases
from .record import read_record
from .saving import background_save, finish_append_only_file
from .state import Running, State, observe, program_format
from .stop import stop_counted

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True)
class Restarted:
    """
    What a restart did.

    Attributes:
        saved: How the data was kept: ``aof``, ``rdb`` or ``rdb for the restart only``.
        gap_seconds: From the stop until the server answered with its data loaded.
        pid_before, pid: The server's processes.
        keys_before, keys: Keys in all databases before the stop and after loading; keys may expire in between.
        steps: What was done between stop and end, a phrase each.
        kept: Folders with data files that were moved aside.
    """

    saved: str
    gap_seconds: float
    pid_before: Optional[int]
    pid: Optional[int]
    keys_before: int
    keys: int
    steps: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def restart(host: Host, instance: Instance) -> Restarted:
    """
    Save, restart and wait.

    Writes are paused from the count of the keys until the stop, and the port opens when as many keys are there again. A server that
    persists nothing keeps its data over the restart too: the file that carries it is removed after loading, so that a later crash does
    not bring old data back.

    Raises:
        RefusedError: if the data cannot be saved, moved or read by the program, before the server was stopped; or if keys were missing
            afterwards, when it runs again as before.
        ServiceError, UnreachableError: if it does not stop or come back.
    """
    state = observe(host, instance)
    instance = keeping_links(instance, state)
    work = Work(host, instance, state.users)
    running = state.running
    if running is None:
        raise ServiceError(instance.name, "restart", "it does not run: run site.yml, which starts it")
    plan(host, instance, state)  # refuses what cannot be done, while nothing is touched
    _refuse_primary(host, instance, running)
    place = Place.of(running.active) if running.command else state.place
    for_now = _write_for_now(work, state, running, place)
    with opened(host, instance, running.pid) as client:
        reach("save")
        saved, carrier = _save(client, running, work.layout.data_dir)
        keys_before = total(count_keys(client))
        stopped = time.monotonic()
        try:
            counts = stop_counted(host, instance, client, place, lambda found: _judge(work, state, found, place))
        except ServiceError as error:
            work.manager.start_when_stopped()
            raise ServiceError(
                instance.name, "restart", f"{error}; as soon as it has stopped it starts again as it was: run again then"
            ) from error
    plan_steps = _start(work, for_now)
    if instance.topology == CLUSTER and saved.startswith("rdb") and counts is not None:
        _refuse_fewer_loaded(work, counts)
    gap_seconds = time.monotonic() - stopped
    if carrier is not None:
        with open_folder(work.layout.data_dir) as folder:
            folder.remove(carrier)
    pid = work.manager.status().pid
    with opened(host, instance, pid) as client:
        keys = total(count_keys(client))
    before = keys_before if counts is None else total(counts)
    return Restarted(saved, round(gap_seconds, 3), running.pid, pid, before, keys, tuple(plan_steps), tuple(work.kept))


def _refuse_primary(host: Host, instance: Instance, running: Running) -> None:
    """Refuse to stop a primary of a cluster that a replica can take over from without loss: its clients would wait for a failover."""
    if instance.topology != CLUSTER:
        return
    with opened(host, instance, running.pid) as client:
        found = client.info("replication")
    if found["role"] == "master" and int(found["connected_slaves"]):
        raise ServiceError(instance.name, "restart", "it is a primary with replicas: let one take over first, as site.yml does")


def _refuse_fewer_loaded(work: Work, counts: KeyCounts) -> None:
    """Compare what a node loaded with what it held: its port is open from the start, so that a count would include what clients changed."""
    with work.client() as client:
        found = client.info("persistence")
    names = ("rdb_last_load_keys_loaded", "rdb_last_load_keys_expired")
    if all(name in found for name in names) and sum(int(found[name]) for name in names) < total(counts):
        raise RefusedError(f"it held {total(counts)} keys before the restart and has loaded {found[names[0]]}")


def foresee_restart(host: Host, instance: Instance) -> None:
    """
    Raise what `restart` would, as far as a running server shows it; changes nothing.

    Raises:
        RefusedError: if the data cannot be moved, or read by the program.
    """
    state = observe(host, instance)
    instance = keeping_links(instance, state)
    work = Work(host, instance, state.users)
    if state.running is not None:  # one that is to be started has nothing to lose yet
        plan(host, instance, state)
        place = Place.of(state.running.active) if state.running.command else state.place
        _judge(work, state, state.running.counts, place)


def _write_for_now(work: Work, state: State, running: Running, place: Place) -> str:
    """Let a start meanwhile, by a crash or by hand, load what the running server has; return the file that says so."""
    pending = pending_directives(work.instance, state, running) if running.command else {}
    overrides = {**pending, **(place.directives() if running.command else {})}
    text = config_text(work.instance, work.layout, work.host.service_manager, overrides)
    reach("write_for_now")
    if state.place != place:
        work.write_files(text)
    return text


def _judge(work: Work, state: State, counts: KeyCounts, place: Place) -> None:
    """Refuse to stop a server whose data the next start could not read."""
    refuse_fewer_databases(state, counts)
    data, program = DataFolder(work.layout.data_dir).data_format(place), program_format(work.host.binary)
    if not readable(data, program):
        raise RefusedError(
            f"the data is in the format {data}, and the installed program reads at most {program}, so the server was not stopped: install "
            "the version that runs, or a newer one"
        )


def _start(work: Work, for_now: str) -> list[str]:
    """Start the stopped server with the new files; if that fails before its keys are proven, with those of before."""
    record = read_record(work.layout)
    try:
        planned = plan_start(work.host, work.instance, observe(work.host, work.instance))
        work.run_start(planned, for_now, record)
    except KeyfleetError as error:
        if work.committed:
            raise
        if not work.manager.status().stopped:
            work.undo(for_now, record)
        work.manager.start()
        wait_until_ready(work.host, work.instance, work.manager.status().pid)
        raise RefusedError(f"{error}. It runs again as before") from error
    return planned.phrases


def _save(client: redis.Redis, running: Running, data_dir: str) -> tuple[str, Optional[str]]:
    """Make sure that the data survives a stop; return how, and the name of a file in the data folder to remove after loading."""
    if client.info("persistence").get("aof_enabled"):
        finish_append_only_file(client)
        return "aof", None
    if running.command is None:  # it cannot be asked; a save line of keyfleet's, or the server's default, says whether the stop saves
        background_save(client)
        return "rdb", None
    config = running.active
    carrier = config["dbfilename"]
    with open_folder(data_dir) as folder:  # whatever the server answers, nothing outside of its folder is removed
        existed = folder.status(carrier) is not None
    background_save(client)
    if config["save"]:
        return "rdb", None
    if "shutdown-on-sigterm" in config:
        # The stop itself must save what was written since; the setting is in the process only and ends with it.
        apply_live(client, {"shutdown-on-sigterm": "save"}, command=running.command)
    return "rdb for the restart only", None if existed else carrier
