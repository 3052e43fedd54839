# SPDX-License-Identifier: MIT
"""How keyfleet talks to an instance: address, password, and the wait until it is ready."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from ..acl.model import ADMIN
from ..connect.client import close, connect
from ..connect.redis_py import translated
from ..connect.settings import Settings
from ..errors import CertificateError, CredentialsError, DeniedError, KeyfleetError, RefusedError, UnreachableError
from ..host.ports import ports_of
from ..host.safe_paths import status_of
from ..layout import Layout
from ..profile.values import client_address, own_address
from ..tls.certificates import leaf_fingerprint, leaf_of_file, shown_fingerprint
from .model import Host, Instance
from .record import Record, read_record
from .tls import own_settings

if TYPE_CHECKING:
    import redis

POLL_SECONDS = 0.05
ASK_TIMEOUT_SECONDS = 5.0


def settings_of(instance: Instance, layout: Layout, *, as_clients: bool = False) -> Settings:
    """
    Return how this host itself connects to an instance.

    Args:
        as_clients: Use TLS where there is a choice, as applications do.
    """
    common = _common(instance)
    if not instance.ports:
        return Settings(unix_socket=layout.socket_file, **common)
    if instance.secure_port and (as_clients or not instance.plain_port):
        return Settings(host=own_address(instance.bind), port=instance.secure_port, **common, **own_settings(instance, layout))
    return Settings(host=client_address(instance.bind), port=instance.plain_port, **common)


def _common(instance: Instance) -> dict[str, Any]:
    return {"password": instance.password or None, "timeout_seconds": ASK_TIMEOUT_SECONDS, "retry_attempts": 0}


def _logins(host: Host, desired: Instance) -> list[tuple[Optional[str], Optional[str]]]:
    """Return user and password as whom keyfleet may enter: its own user, and for servers that lack it yet, ``default``."""
    # Without a password at last: a server that was opened by hand (nopass) refuses any.
    defaults = dict.fromkeys((desired.password or "", *([] if host.previous_password is None else [host.previous_password]), ""))
    # The present one of the administrative user comes first: a server that has not got the next one would note a failed login.
    return [*((ADMIN, password) for password in reversed(host.admin_passwords)), *((None, password or None) for password in defaults)]


@contextlib.contextmanager
def opened(host: Host, desired: Instance, pid: Optional[int] = None) -> Iterator[redis.Redis]:
    """
    Connect to a running instance: at the address on record, the desired one, the private socket of its start, or wherever its process
    listens; as the administrative user, or as ``default`` with the desired password, the previous one, or none.

    Args:
        pid: The process that must answer, so that a foreign server on the port is never taken for ours.
    Raises:
        UnreachableError, CredentialsError: if no address answers, or one refuses every password.
        RefusedError: if another process answers.
    """
    failures: list[KeyfleetError] = []
    for place in _places(host, desired, pid):
        for username, password in _logins(host, desired):
            settings = replace(place, username=username, password=password)
            client = connect(settings)
            try:
                _check_pid(client, settings, pid)
            except (UnreachableError, CertificateError, CredentialsError, DeniedError, RefusedError) as error:
                close(client)
                failures.append(error)
                continue
            try:
                with translated(settings):
                    yield client
            finally:
                close(client)
            return
    raise next((error for kind in _CLEAREST for error in failures if isinstance(error, kind)), failures[0])


# What explains most why no address let us in, first.
_CLEAREST = (DeniedError, CredentialsError, RefusedError)


def administration_problem(host: Host, instance: Instance, pid: int) -> str:
    """Return why a running server cannot be administered with the passwords at hand, and what to do; empty if it can."""
    try:
        with opened(host, instance, pid) as client:
            client.acl_list()
    except CredentialsError as error:
        return (
            f"runs and refuses its password ({error.reason}): set redis_server_previous_password to the one it accepts. If it accepts "
            f"none that is known, since its password or its user 'default' was changed by hand, {_users_back(host, instance.name)}"
        )
    except DeniedError as error:
        return f"runs, and {error}: its user 'default' was changed by hand; {_users_back(host, instance.name)}"
    except KeyfleetError as error:
        return f"runs and cannot be asked: {error}"
    return ""


def _users_back(host: Host, name: str) -> str:
    """Return how the users that keyfleet wrote come back into a server that it cannot ask."""
    layout = host.layout(name)
    restart = host.manager(name).restart_command
    return (
        f"have a user who may run ACL LOAD there, or restart it on the host ({restart}; it saves what its directives say): both take the "
        f"users of {layout.acl_file}. Then run again"
    )


def _places(host: Host, desired: Instance, pid: Optional[int]) -> Iterator[Settings]:
    """Yield where the server may be reached, each place once: as recorded, as desired, as its file says, and as the kernel shows."""
    layout, seen = host.layout(desired.name), set()
    record = read_record(layout)
    listed = [settings_of(record.as_instance(desired), layout)] if record else []
    listed.append(settings_of(desired, layout))
    if status_of(layout.private_socket_file):  # a start whose port is not open yet
        listed.append(Settings(unix_socket=layout.private_socket_file, **_common(desired)))
    for place in (*listed, *_found_places(desired, layout, pid)):
        if (place.host, place.port, place.unix_socket, place.tls) not in seen:
            seen.add((place.host, place.port, place.unix_socket, place.tls))
            yield place
    yield from _known_places(desired, layout, record)


def _found_places(desired: Instance, layout: Layout, pid: Optional[int]) -> Iterator[Settings]:
    """Yield what is asked for only when all else failed: where the process listens, and where its socket would be."""
    for address, port in ports_of(pid) if pid is not None else ():
        yield Settings(host=client_address([address]), port=port, **_common(desired))
        if status_of(layout.tls_ca_file):
            yield Settings(host=client_address([address]), port=port, **_common(desired), **own_settings(desired, layout))
    if status_of(layout.socket_file):
        yield Settings(unix_socket=layout.socket_file, **_common(desired))


def _known_places(desired: Instance, layout: Layout, record: Optional[Record]) -> Iterator[Settings]:
    """
    Yield where a server shows the very certificate that it was given, though that does not pass: it expired, or the CA file changed.

    Asked for only when all else failed, so that such a server can be given another one.
    """
    known = {leaf_fingerprint(desired.tls_pem), leaf_of_file(layout), record.tls_leaf if record else ""} - {""}
    instances = [desired, *([record.as_instance(desired)] if record else [])]
    for place in [settings_of(instance, layout, as_clients=True) for instance in instances]:
        if place.tls and shown_fingerprint(place.host, place.port, layout.tls_file) in known:
            yield replace(place, tls_verify=False)


def _check_pid(client: redis.Redis, settings: Settings, pid: Optional[int]) -> None:
    with translated(settings):
        found = client.info("server").get("process_id")
    if pid is not None and found is not None and int(found) != pid:
        raise RefusedError(f"{settings.address} is answered by process {found}, not by the instance's process {pid}")


def wait_until_ready(host: Host, desired: Instance, pid: Optional[int] = None) -> None:
    """
    Wait until an instance answers and has loaded its data.

    Raises:
        UnreachableError: if that takes longer than the host's start timeout.
    """
    deadline = time.monotonic() + host.start_timeout_seconds
    while True:
        try:
            with opened(host, desired, pid) as client:
                if not client.info("persistence").get("loading"):
                    return
            reason = "it still loads its data"
        except UnreachableError as error:
            reason = error.reason
        if time.monotonic() > deadline:
            address = settings_of(desired, host.layout(desired.name)).address
            raise UnreachableError(address, f"not ready after {host.start_timeout_seconds:g} s: {reason}")
        time.sleep(POLL_SECONDS)
