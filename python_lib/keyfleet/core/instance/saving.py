# SPDX-License-Identifier: MIT
"""Make a running server's data safe on disk, and switch its append-only file on and off."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from ..directives.live import apply_live
from ..errors import KeyfleetError, RefusedError
from .access import POLL_SECONDS

if TYPE_CHECKING:
    import redis


def background_save(client: redis.Redis) -> None:
    """
    Run BGSAVE and wait for it; it takes as long as the data is large, while the server continues to serve.

    Raises:
        RefusedError: if it fails.
    """
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    while client.info("persistence").get("aof_rewrite_in_progress"):  # the server refuses BGSAVE meanwhile
        time.sleep(POLL_SECONDS)
    client.bgsave()
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        time.sleep(POLL_SECONDS)
    if client.info("persistence").get("rdb_last_bgsave_status") != "ok":
        raise RefusedError("saving failed, so nothing was changed: see the server's log, and the free space of its disk")


def finish_append_only_file(client: redis.Redis) -> None:
    """
    Wait until a rewrite of the append-only file has ended: the server refuses to stop during the first one.

    Raises:
        RefusedError: if the file is not whole.
    """
    while True:
        state = client.info("persistence")
        if not (state.get("aof_rewrite_in_progress") or state.get("aof_rewrite_scheduled")):
            break
        time.sleep(POLL_SECONDS)
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if state.get(name, "ok") != "ok":
            raise RefusedError(f"the append-only file is not whole ({name}: {state[name]}), so the server keeps it: see its log")


def switch_on(client: redis.Redis, command: str) -> None:
    """
    Switch the append-only file on, and wait until it holds all data.

    Raises:
        RefusedError: if it cannot be written; it is off again then.
    """
    apply_live(client, {"appendonly": "yes"}, command=command)
    try:
        finish_append_only_file(client)
    except KeyfleetError:
        with contextlib.suppress(KeyfleetError):
            apply_live(client, {"appendonly": "no"}, command=command)
        raise


def switch_off(client: redis.Redis, command: str) -> None:
    """Switch the append-only file off; the data must be in a dump by now, and the configuration file must say so."""
    apply_live(client, {"appendonly": "no"}, command=command)
