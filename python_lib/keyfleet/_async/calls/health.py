# SPDX-License-Identifier: MIT
"""Asking servers how they are, each once, over a connection of its own, so that pool and breaker do not matter; all before one deadline."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ..._protocol.health import judge_breaker, judge_discovery, judge_eviction, judge_pool, judge_round_trip, show_counters
from ..._protocol.info import ServerInfo, printable, read_fields, read_info
from ..._protocol.resp import Argument, ErrorReply, pack
from ..._transport.asyncio_link import Link
from ..._transport.asyncio_pool import Node
from ..._transport.dialer import Address, Dialer, format_address
from ..._transport.failures import LostError, NotSentError
from ..._transport.stats import Stats
from ...core.errors import CertificateError, CredentialsError, ServerError, UnreachableError
from ...core.health.checks import INFO_CHECKS, NO_CLUSTER, deciding_directives, judge_cluster, judge_info, judge_ping
from ...core.health.model import SKIPPED, Check, placed, reason_of, unknown
from ...core.health.probes import PROBE_ATTEMPTS, PROBE_SECONDS, judge_certificate, no_round_trip, probe_name
from ...core.health.report import DEFAULT_THRESHOLDS, NO_EXPECTATIONS, HealthReport, silent
from ..executor import Engine

PINGS = 3
NO_PROBE = Check("round_trip", SKIPPED, "no write probe was made")


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
            raise UnreachableError(format_address(self._link.address), str(failure)) from failure

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
        except (UnreachableError, CertificateError, CredentialsError):
            raise
        except ServerError as error:
            return error


async def check_servers(
    engine: Engine, dialer: Dialer, deadline: float, write_probe: bool, keeps: Sequence[str], stats: Callable[[], Stats]
) -> HealthReport:
    """
    Examine every primary, and the client itself.

    Args:
        engine: Knows the primaries; it looks for them again, for at most half of the time.
        dialer, deadline, keeps: As for `examine`; each primary gets an equal share of what is left.
        write_probe: Whether a key is written on each.
        stats: Tells the counters of the client.
    """
    trouble: ServerError | None = None
    try:
        await engine.relearn(time.monotonic() + _left(deadline) / 2)
    except ServerError as error:
        trouble = error
    nodes = engine.router.primaries()
    reports = [] if nodes or trouble is None else [silent(trouble, dialer.settings.address)]
    for left_to_ask, node in zip(range(len(nodes), 0, -1), nodes, strict=True):
        until = time.monotonic() + _left(deadline) / left_to_ask
        probe = _probe(engine, node, dialer.settings.key_prefix) if write_probe else NO_PROBE
        reports += [await examine(dialer, node.address, until, probe, keeps), _check_ways(node, dialer)]
    whole = (judge_discovery(trouble), show_counters(asdict(stats())))
    reports.append(HealthReport(placed(whole, dialer.settings.address)))
    return HealthReport(tuple(check for report in reports for check in report.checks), any(report.refused for report in reports))


def _probe(engine: Engine, node: Node, prefix: str) -> Check | str:
    """Return the name of a key that lives on *node*, or why there is none."""
    for _attempt in range(PROBE_ATTEMPTS):
        name = probe_name(prefix)
        # Behind Sentinel `find` names no node while the topology may have changed, and one primary has every key.
        if engine.router.primaries() == [node] or engine.router.find(name, False) is node:
            return name
    return Check("round_trip", SKIPPED, "no key with the prefix belongs to this node")


def _check_ways(node: Node, dialer: Dialer) -> HealthReport:
    """Judge how the client's calls reach *node*."""
    pool = judge_pool(node.connection_count, dialer.policy.max_connections, node.is_exhausted)
    breaker = judge_breaker(node.breaker.failures, node.breaker.opened, node.breaker.is_open)
    return HealthReport(placed((pool, breaker), format_address(node.address)))


async def examine(dialer: Dialer, address: Address, deadline: float, probe: Check | str, keeps: Sequence[str]) -> HealthReport:
    """
    Run the checks of the core on one server, and the one about eviction.

    Args:
        dialer, address, deadline: As for `Visit.begin`.
        probe: Name of a key that lives on this server, for a write that is read back; or the check that says why there is none.
        keeps: Prefixes of keys that must not be evicted.
    """
    node = format_address(address)
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
    return HealthReport(placed(checks, node))


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
        checks = [unknown(name, reason_of(reply), NO_EXPECTATIONS) for name in INFO_CHECKS]
    else:
        info = read_info(reply)
        directives = await _directives(visit, deciding_directives(info.values))
        checks = judge_info({**info.values, **directives}, DEFAULT_THRESHOLDS, NO_EXPECTATIONS)
    if info.fields.get("cluster_enabled") == "0":
        cluster = NO_CLUSTER
    else:
        reply = await visit.answer("CLUSTER", "INFO")
        cluster = judge_cluster(reply if isinstance(reply, ServerError) else read_fields(reply))
    return [*checks, cluster, judge_eviction(info, keeps)]


async def _directives(visit: Visit, names: Sequence[str]) -> dict[str, str]:
    """Return the values of directives, without those that CONFIG does not know; none where it is denied."""
    replies = await visit.ask_all(*(("CONFIG", "GET", name) for name in names)) if names else []
    return {name: printable(reply[1]) for name, reply in zip(names, replies, strict=True) if isinstance(reply, list) and len(reply) == 2}


async def _round_trip(visit: Visit, key: str) -> Check:
    """Write a key, read it back, delete it; should deleting fail, it expires."""
    value, started = secrets.token_hex(16).encode(), time.monotonic()
    try:
        replies = await visit.ask_all(("SET", key, value, "EX", PROBE_SECONDS), ("GET", key), ("DEL", key))
    except ServerError as error:
        return no_round_trip(reason_of(error), timed_out=isinstance(error.__cause__, LostError) and error.__cause__.timed_out)
    return judge_round_trip(value, replies, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return round(1000 * (time.monotonic() - started), 3)


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
