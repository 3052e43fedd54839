# SPDX-License-Identifier: MIT
"""Asking one server how it is, once, over a connection of its own, so that pool and breaker do not matter; all before one deadline."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .._health import judge_eviction, judge_round_trip, no_round_trip
from .._info import ServerInfo, read_fields, read_info
from .._replies import Argument, ErrorReply, pack
from .._transport.common import Address, Dialer, LostError, NotSentError, shown
from .._transport.tasks import Link
from ..core.errors import CredentialsError, ServerError, UnreachableError
from ..core.health import DEFAULT_THRESHOLDS, NO_WISHES, Report, silent
from ..core.health_checks import INFO_CHECKS, NO_CLUSTER, SKIPPED, Check, judge_cluster, judge_info, judge_ping, unknown
from ..core.health_probes import PROBE_SECONDS, judge_certificate

PINGS = 3


class Visit:
    """A connection to one server, for a few questions before a deadline."""

    def __init__(self, link: Link, dialer: Dialer, deadline: float) -> None:
        self._link, self._dialer, self._deadline = link, dialer, deadline

    @classmethod
    async def begin(cls, dialer: Dialer, address: Address, deadline: float) -> Visit:
        """
        Connect; `end` must follow.

        Args:
            dialer: Knows how to connect.
            address: Where to.
            deadline: For everything together, by the monotonic clock.
        Raises:
            KeyfleetError: why there is no connection.
        """
        try:
            return cls(await Link.open(dialer, address, deadline), dialer, deadline)
        except NotSentError as failure:
            raise failure.cause from failure

    def end(self) -> None:
        """Close the connection."""
        self._link.close()

    def certificate(self) -> bytes | None:
        """Return the server's certificate, None without TLS."""
        return self._link.certificate()

    async def ask_all(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Return the replies to commands that are sent at once; UnreachableError if they do not come."""
        try:
            return await self._link.exchange(b"".join(map(pack, commands)), len(commands), self._deadline)
        except NotSentError as failure:
            raise failure.cause from failure
        except LostError as failure:
            raise UnreachableError(shown(self._link.address), str(failure)) from failure

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to one command; the error for the caller if it is an error."""
        (reply,) = await self.ask_all(arguments)
        if isinstance(reply, ErrorReply):
            raise self._dialer.translate(reply)
        return reply

    async def answer(self, *arguments: Argument) -> Any:
        """Return the reply to one command, or the error that it is; UnreachableError and CredentialsError are raised."""
        try:
            return await self.ask(*arguments)
        except (UnreachableError, CredentialsError):
            raise
        except ServerError as error:
            return error


async def examine(dialer: Dialer, address: Address, deadline: float, probe: Check | str, keeps: Sequence[str]) -> Report:
    """
    Run the checks of the core on one server, and the one about eviction.

    Args:
        dialer, address, deadline: As for `Visit.begin`.
        probe: Name of a key that lives on this server, for a write that is read back; or the check that says why there is none.
        keeps: Prefixes of keys that must not be evicted.
    """
    node = shown(address)
    try:
        visit = await Visit.begin(dialer, address, deadline)
    except ServerError as error:
        return silent(error, node)
    try:
        checks = [judge_ping(await _best_ping(visit), DEFAULT_THRESHOLDS), *await _info_checks(visit, keeps)]
        certificate = visit.certificate()
        tls_off = Check("certificate", SKIPPED, "TLS is off")
        checks.append(tls_off if certificate is None else judge_certificate(certificate, DEFAULT_THRESHOLDS))
        checks.append(probe if isinstance(probe, Check) else await _round_trip(visit, probe))
    except ServerError as error:
        return silent(error, node)
    finally:
        visit.end()
    return Report(tuple(replace(check, node=node) for check in checks))


async def _best_ping(visit: Visit) -> float | ServerError:
    """Return the milliseconds of the fastest PING, or the error that answered one."""
    times = []
    for _unused in range(PINGS):
        started = time.monotonic()
        reply = await visit.answer("PING")
        if isinstance(reply, ServerError):
            return reply
        times.append(_milliseconds_since(started))
    return min(times)


async def _info_checks(visit: Visit, keeps: Sequence[str]) -> list[Check]:
    reply = await visit.answer("INFO")
    if isinstance(reply, ServerError):
        info = ServerInfo()
        checks = [unknown(name, str(reply), NO_WISHES) for name in INFO_CHECKS]
    else:
        info = read_info(reply)
        checks = judge_info(info.values, DEFAULT_THRESHOLDS, NO_WISHES)
    if info.fields.get("cluster_enabled") == "0":
        cluster = NO_CLUSTER
    else:
        reply = await visit.answer("CLUSTER", "INFO")
        cluster = judge_cluster(reply if isinstance(reply, ServerError) else read_fields(reply))
    return [*checks, cluster, judge_eviction(info, keeps)]


async def _round_trip(visit: Visit, key: str) -> Check:
    """Write a key, read it back, delete it; should deleting fail, it expires."""
    value, started = secrets.token_hex(16).encode(), time.monotonic()
    try:
        replies = await visit.ask_all(("SET", key, value, "EX", PROBE_SECONDS), ("GET", key), ("DEL", key))
    except ServerError as error:
        return no_round_trip(error)
    return judge_round_trip(value, replies, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return round(1000 * (time.monotonic() - started), 3)
