# SPDX-License-Identifier: MIT
"""Stop a server so that what it held is known: writes paused, keys counted, saved, ended, and the count recorded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Callable, Optional

from ..directives.live import read_active
from ..directives.plan import config_command_in
from ..errors import KeyfleetError
from ..host.text_files import read_lines
from .access import opened
from .carry_out import reach
from .datafiles import DataFolder, Place
from .keys import DatabaseKeys, KeyCounts, count_keys, pause_writes, resume_writes
from .model import Host, Instance
from .record import DataRecord, write_data_record

if TYPE_CHECKING:
    import redis


def stop_counted(
    host: Host, instance: Instance, client: redis.Redis, place: Place, judge: Callable[[KeyCounts], None]
) -> Optional[dict[int, DatabaseKeys]]:
    """
    Pause writes, count the keys, stop the server and record what its data files hold.

    Args:
        place: Names of its data files; the stop must save into them.
        judge: Raises RefusedError if the server must not be stopped with these keys. Writes continue then.
    Returns:
        The keys; None if the server cannot pause writes, so that a count says nothing about what it ended with.
    Raises:
        ServiceError: if it does not stop in time.
    """
    layout, manager = host.layout(instance.name), host.manager(instance.name)
    paused = pause_writes(client)
    try:
        counts = count_keys(client)
        judge(counts)
        reach("stop")
        if paused:
            pause_writes(client)
        manager.stop(host.start_timeout_seconds)
    except BaseException:
        with contextlib.suppress(Exception):  # whatever was wrong with the server is in the first error
            resume_writes(client)
        raise
    write_data_record(layout, DataRecord(place, counts if paused else None, DataFolder(layout.data_dir).fingerprint(place)))
    return counts if paused else None


def stop_for_good(host: Host, instance: Instance) -> None:
    """Stop an instance that leaves, with its keys counted if its directives say that the stop saves them."""
    layout, manager = host.layout(instance.name), host.manager(instance.name)
    status = manager.status()
    if status.pid is not None:
        with contextlib.suppress(KeyfleetError):  # a server that cannot be asked is stopped all the same
            command = config_command_in(read_lines(layout.started_file))
            with opened(host, instance, status.pid) as client:
                active = read_active(client, command=command) if command else {}
                place = Place.of(active)
                if active and (place.appendonly or active.get("save")):
                    stop_counted(host, instance, client, place, lambda _counts: None)
                elif active:
                    write_data_record(layout, DataRecord(place))
    manager.stop()
