# SPDX-License-Identifier: MIT
"""Restart one instance: save first, wait until it has loaded, and measure how long it did not answer."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from .errors import RefusedError, ServerError
from .host import POLL_SECONDS, Host, Record, forget_written, opened, read_record, wait_until_ready, write_record
from .instances import Instance

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
    before = manager.status()
    with opened(host, instance, before.pid) as client:
        saved, carrier = _save(client)
        keys_before = _keys(client)
    stopped = time.monotonic()
    manager.stop()
    record = read_record(host.layout(instance.name))
    gone = set(record.applied if record else ()) - set(instance.directives)
    forget_written(host.layout(instance.name), gone)
    manager.start()
    wait_until_ready(host, instance)
    gap_seconds = time.monotonic() - stopped
    if carrier is not None:
        carrier.unlink(missing_ok=True)
    if gone:
        write_record(host.layout(instance.name), Record.of(instance, host.engine))
    after = manager.status()
    with opened(host, instance, after.pid) as client:
        return Restarted(saved, round(gap_seconds, 3), before.pid, after.pid, keys_before, _keys(client))


def _keys(client: redis.Redis) -> int:
    return sum(int(database["keys"]) for database in client.info("keyspace").values())


def _save(client: redis.Redis) -> tuple[str, Optional[Path]]:
    """Make sure that the data survives a stop; return how, and a file to remove after loading."""
    persistence = client.info("persistence")
    if persistence.get("aof_enabled"):
        if persistence.get("aof_last_write_status", "ok") != "ok":
            raise RefusedError("the append-only file cannot be written: the server was not restarted; see its log")
        return "aof", None
    _background_save(client)
    config = {name: str(client.config_get(name)[name]) for name in ("save", "dir", "dbfilename")}
    if config["save"]:
        return "rdb", None
    carrier = Path(config["dir"]) / config["dbfilename"]
    # The stop itself must save what was written since; the setting lives in the process only and ends with it.
    with contextlib.suppress(ServerError):
        client.config_set("shutdown-on-sigterm", "save")
    return "rdb for the restart only", carrier


def _background_save(client: redis.Redis) -> None:
    """Run BGSAVE and wait for it; it takes as long as the data is large, while the server goes on serving."""
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    client.bgsave()
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    if client.info("persistence").get("rdb_last_bgsave_status") != "ok":
        raise RefusedError("saving failed, so the server was not restarted: see its log, and the free space of its disk")
