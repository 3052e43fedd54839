# SPDX-License-Identifier: MIT
"""Restart one instance: save first, wait until it has loaded, and measure how long it did not answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from ..directives.live import apply_live, read_active
from ..directives.plan import config_command_in
from ..errors import RefusedError
from ..host.safe_paths import open_folder
from ..host.text_files import read_lines
from .access import POLL_SECONDS, opened, prepare_start, wait_until_ready
from .model import Host, Instance

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
    """

    saved: str
    gap_seconds: float
    pid_before: Optional[int]
    pid: Optional[int]
    keys_before: int
    keys: int


def restart(host: Host, instance: Instance) -> Restarted:
    """
    Save, restart and wait.

    A server that persists nothing keeps its data over the restart too: the file that carries it is removed after loading, so that
    a later crash does not bring old data back.

    Raises:
        RefusedError: if the data cannot be saved; the server was not stopped then.
        ServiceError, UnreachableError: if it does not come back.
    """
    manager = host.manager(instance.name)
    started = read_lines(host.layout(instance.name).started_file)
    before = manager.status()
    with opened(host, instance, before.pid) as client:
        saved, carrier = _save(client, started, host.layout(instance.name).data_dir)
        keys_before = _keys(client)
    stopped = time.monotonic()
    manager.stop(host.start_timeout_seconds)
    prepare_start(host, instance)
    manager.start()
    after = manager.status()
    wait_until_ready(host, instance, after.pid)
    gap_seconds = time.monotonic() - stopped
    if carrier is not None:
        with open_folder(host.layout(instance.name).data_dir) as folder:
            folder.remove(carrier)
    with opened(host, instance, after.pid) as client:
        return Restarted(saved, round(gap_seconds, 3), before.pid, after.pid, keys_before, _keys(client))


def _keys(client: redis.Redis) -> int:
    return sum(int(database["keys"]) for database in client.info("keyspace").values())


def _save(client: redis.Redis, started: list[str], data_dir: str) -> tuple[str, Optional[str]]:
    """Make sure that the data survives a stop; return how, and the name of a file in the data folder to remove after loading."""
    if client.info("persistence").get("aof_enabled"):
        _finish_append_only_file(client)
        return "aof", None
    command = config_command_in(started)
    if command is None:  # nobody can ask; a save line of ours, or the server's default, says whether the stop saves
        _background_save(client)
        return "rdb", None
    config = read_active(client, command=command)
    carrier = config["dbfilename"]
    with open_folder(data_dir) as folder:  # whatever the server answers, nothing outside of its folder is removed
        existed = folder.status(carrier) is not None
    _background_save(client)
    if config["save"]:
        return "rdb", None
    if "shutdown-on-sigterm" in config:
        # The stop itself must save what was written since; the setting lives in the process only and ends with it.
        apply_live(client, {"shutdown-on-sigterm": "save"}, command=command)
    return "rdb for the restart only", None if existed else carrier


def _finish_append_only_file(client: redis.Redis) -> None:
    """Wait until a rewrite of the append-only file has ended: the server refuses to stop during the first one."""
    while True:
        state = client.info("persistence")
        if not (state.get("aof_rewrite_in_progress") or state.get("aof_rewrite_scheduled")):
            break
        time.sleep(POLL_SECONDS)
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if state.get(name, "ok") != "ok":
            raise RefusedError(f"the append-only file is not whole ({name}: {state[name]}), so the server was not restarted: see its log")


def _background_save(client: redis.Redis) -> None:
    """Run BGSAVE and wait for it; it takes as long as the data is large, while the server goes on serving."""
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    client.bgsave()
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    if client.info("persistence").get("rdb_last_bgsave_status") != "ok":
        raise RefusedError("saving failed, so the server was not restarted: see its log, and the free space of its disk")
