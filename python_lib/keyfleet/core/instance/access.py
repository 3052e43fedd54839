# SPDX-License-Identifier: MIT
"""How keyfleet talks to an instance: address, password, and the wait until it is ready."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from ..connect.client import close, connect
from ..connect.redis_py import translated
from ..connect.settings import Settings
from ..errors import CertificateError, CredentialsError, RefusedError, ServerError, UnreachableError
from ..layout import Layout
from ..profile.values import client_address
from .config import forget_written
from .model import Host, Instance
from .ownership import hand_over
from .record import Record, read_record, write_record
from .starting import server_account

if TYPE_CHECKING:
    import redis

POLL_SECONDS = 0.05
ASK_TIMEOUT_SECONDS = 5.0


def prepare_start(host: Host, instance: Instance) -> None:
    """
    Give the files to the server's user, record what is applied, and take out of the stopped server's own file what has left the inventory.
    """
    layout, account = host.layout(instance.name), server_account(host)
    if account is not None:
        hand_over(layout, account.owner)
    record, wished = read_record(layout), Record.of(instance, host.engine)
    forget_written(layout, set(record.applied if record else ()) - set(wished.applied))
    write_record(layout, wished)


def settings_of(instance: Instance, layout: Layout) -> Settings:
    """Return how this host itself connects to an instance."""
    common: dict[str, Any] = {"password": instance.password or None, "timeout_seconds": ASK_TIMEOUT_SECONDS, "retry_attempts": 0}
    if instance.port == 0:
        return Settings(unix_socket=layout.socket_file, **common)
    return Settings(host=client_address(instance.bind), port=instance.port, **common)


@contextlib.contextmanager
def opened(host: Host, wished: Instance, pid: Optional[int] = None) -> Iterator[redis.Redis]:
    """
    Connect to a running instance, at the address on record or the wished one, with the wished password or the previous one.

    Args:
        pid: The process that must answer, so that a foreign server on the port is never taken for ours.
    Raises:
        UnreachableError, CredentialsError: if no address answers, or one refuses both passwords.
        RefusedError: if another process answers.
    """
    layout = host.layout(wished.name)
    record = read_record(layout)
    places = [record.as_instance(wished)] if record else []
    if not places or settings_of(places[0], layout) != settings_of(wished, layout):
        places.append(wished)
    passwords = [wished.password] + ([] if host.previous_password is None else [host.previous_password])
    failures: list[ServerError] = []
    for place in places:
        for password in passwords:
            settings = settings_of(replace(place, password=password), layout)
            client = connect(settings)
            try:
                _check_pid(client, settings, pid)
            except (UnreachableError, CertificateError, CredentialsError) as error:
                close(client)
                failures.append(error)
                continue
            try:
                with translated(settings):
                    yield client
            finally:
                close(client)
            return
    raise next((error for error in failures if isinstance(error, CredentialsError)), failures[0])


def _check_pid(client: redis.Redis, settings: Settings, pid: Optional[int]) -> None:
    with translated(settings):
        found = client.info("server").get("process_id")
    if pid is not None and found is not None and int(found) != pid:
        raise RefusedError(f"{settings.address} is answered by process {found}, not by the instance's process {pid}")


def wait_until_ready(host: Host, wished: Instance, pid: Optional[int] = None) -> None:
    """
    Wait until an instance answers and has loaded its data.

    Raises:
        UnreachableError: if that takes longer than the host's start timeout.
    """
    deadline = time.monotonic() + host.start_timeout_seconds
    while True:
        try:
            with opened(host, wished, pid) as client:
                if not client.info("persistence").get("loading"):
                    return
            reason = "it still loads its data"
        except UnreachableError as error:
            reason = error.reason
        if time.monotonic() > deadline:
            address = settings_of(wished, host.layout(wished.name)).address
            raise UnreachableError(address, f"not ready after {host.start_timeout_seconds:g} s: {reason}")
        time.sleep(POLL_SECONDS)
