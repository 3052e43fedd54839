# SPDX-License-Identifier: MIT - made from _async/calls/health.py by scripts/generate_sync.py; change that one
"""Asking servers how they are, each once, over a connection of its own, all before one deadline."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from ..._protocol.health import judge_breaker, judge_discovery, judge_eviction, judge_pool, judge_round_trip, show_counters
from ..._protocol.info import ServerInfo, printable, read_fields, read_info
from ..._transport.dialer import Address, Dialer, format_address
from ..._transport.failures import LostError
from ..._transport.stats import Stats
from ..._transport.thread_pool import Node
from ...core.connect.members import ListedNode, read_nodes
from ...core.errors import ServerError
from ...core.health.checks import INFO_CHECKS, NO_CLUSTER, deciding_directives, judge_cluster, judge_info, judge_ping
from ...core.health.members import NO_MEMBERS, NO_SENTINELS, SentinelView, judge_members, judge_sentinels, sentinel_view
from ...core.health.model import SKIPPED, Check, placed, reason_of, unknown
from ...core.health.probes import PROBE_ATTEMPTS, PROBE_SECONDS, judge_certificate, no_round_trip, probe_name
from ...core.health.report import DEFAULT_THRESHOLDS, NO_EXPECTATIONS, HealthReport, online_replicas, silent, silent_deployment
from ..executor import Engine
from .visit import Visit

PINGS = 3
NO_PROBE = Check("round_trip", SKIPPED, "no write probe was made")


class Examined(NamedTuple):
    """
    What one server says.

    Attributes:
        report: Its checks.
        table: The nodes of its cluster, or the error that answered; None without a cluster, or without an answer.
    """

    report: HealthReport
    table: list[ListedNode] | ServerError | None = None


def check_servers(
    engine: Engine, dialer: Dialer, deadline: float, write_probe: bool, keeps: Sequence[str], stats: Callable[[], Stats]
) -> HealthReport:
    """
    Examine every primary, and the client itself.

    Args:
        engine: Knows the primaries. It discovers them again, in at most half of the time.
        dialer, deadline, keeps: As for `examine`; each primary gets an equal share of what is left.
        write_probe: Whether a key is written on each.
        stats: Returns the counters of the client.
    """
    trouble: ServerError | None = None
    try:
        engine.relearn(time.monotonic() + _left(deadline) / 2)
    except ServerError as error:
        trouble = error
    nodes, settings = engine.router.primaries(), dialer.settings
    others = (judge_discovery(trouble), show_counters(asdict(stats())))
    if not nodes and trouble is not None:
        report = silent_deployment(trouble, settings.address)
        return HealthReport((*report.checks, *placed(others, settings.address)), report.refused)
    reports, tables = [], {}
    for asked, node in enumerate(nodes):
        until = time.monotonic() + _left(deadline) / (len(nodes) - asked + len(settings.sentinels))
        probe = _probe(engine, node, settings.key_prefix) if write_probe else NO_PROBE
        examined = examine(dialer, node.address, until, probe, keeps)
        if examined.table is not None:
            tables[format_address(node.address)] = examined.table
        reports += [examined.report, _check_ways(node, dialer)]
    checks = [check for report in reports for check in report.checks]
    members = judge_members(tables, online_replicas(checks)) if settings.cluster_nodes else NO_MEMBERS
    whole = (members, _check_sentinels(dialer.for_sentinels(), deadline) if settings.sentinels else NO_SENTINELS, *others)
    return HealthReport((*checks, *placed(whole, settings.address)), any(report.refused for report in reports))


def _check_sentinels(dialer: Dialer, deadline: float) -> Check:
    """Ask every Sentinel what it says about the service; each gets an equal share of the time that is left."""
    addresses = dialer.settings.sentinels
    views: dict[str, SentinelView | ServerError] = {}
    for asked, address in enumerate(addresses):
        until = time.monotonic() + _left(deadline) / (len(addresses) - asked)
        try:
            views[format_address(address)] = _ask_sentinel(dialer, address, until)
        except ServerError as error:
            views[format_address(address)] = error
    return judge_sentinels(views)


def _ask_sentinel(dialer: Dialer, address: Address, deadline: float) -> SentinelView:
    service = str(dialer.settings.sentinel_service)
    visit = Visit.begin(dialer, address, deadline)
    try:
        facts = [printable(fact) for fact in visit.ask("SENTINEL", "MASTER", service)]
        quorum = visit.answer("SENTINEL", "CKQUORUM", service)
    finally:
        visit.end()
    fields = dict(zip(facts[::2], facts[1::2], strict=True))
    return sentinel_view(fields, quorum if isinstance(quorum, ServerError) else printable(quorum))


def _probe(engine: Engine, node: Node, prefix: str) -> Check | str:
    """Return the name of a key that *node* serves, or why there is none."""
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


def examine(dialer: Dialer, address: Address, deadline: float, probe: Check | str, keeps: Sequence[str]) -> Examined:
    """
    Run the checks of the core on one server, and the one about eviction.

    Args:
        dialer, address, deadline: As for `Visit.begin`.
        probe: Name of a key that this server serves, for a write that is read back; or the check that says why there is none.
        keeps: Prefixes of keys that must not be evicted.
    """
    node = format_address(address)
    try:
        visit = Visit.begin(dialer, address, deadline)
    except ServerError as error:
        return Examined(silent(error, node))
    try:
        checks = [judge_ping(_best_ping(visit), DEFAULT_THRESHOLDS), *_info_checks(visit, keeps)]
        certificate = visit.certificate()
        tls_off = Check("certificate", SKIPPED, "TLS is off")
        checks.append(tls_off if certificate is None else judge_certificate(certificate, DEFAULT_THRESHOLDS))
        checks.append(probe if isinstance(probe, Check) else _round_trip(visit, probe))
        table = visit.answer("CLUSTER", "NODES") if dialer.settings.cluster_nodes else None
    except ServerError as error:
        return Examined(silent(error, node))
    finally:
        visit.end()
    return Examined(HealthReport(placed(checks, node)), read_nodes(table) if isinstance(table, bytes) else table)


def _best_ping(visit: Visit) -> float | ServerError:
    """Return the milliseconds of the fastest PING, or the error that answered one."""
    times = []
    for _unused in range(PINGS):
        started = time.monotonic()
        reply = visit.answer("PING")
        if isinstance(reply, ServerError):
            return reply
        times.append(_milliseconds_since(started))
    return min(times)


def _info_checks(visit: Visit, keeps: Sequence[str]) -> list[Check]:
    reply = visit.answer("INFO")
    if isinstance(reply, ServerError):
        info = ServerInfo()
        checks = [unknown(name, reason_of(reply), NO_EXPECTATIONS) for name in INFO_CHECKS]
    else:
        info = read_info(reply)
        directives = _directives(visit, deciding_directives(info.values))
        checks = judge_info({**info.values, **directives}, DEFAULT_THRESHOLDS, NO_EXPECTATIONS)
    if info.fields.get("cluster_enabled") == "0":
        cluster = NO_CLUSTER
    else:
        reply = visit.answer("CLUSTER", "INFO")
        cluster = judge_cluster(reply if isinstance(reply, ServerError) else read_fields(reply))
    return [*checks, cluster, judge_eviction(info, keeps)]


def _directives(visit: Visit, names: Sequence[str]) -> dict[str, str]:
    """Return the values of directives, without those that CONFIG does not know; none where it is denied."""
    replies = visit.ask_all(*(("CONFIG", "GET", name) for name in names)) if names else []
    return {name: printable(reply[1]) for name, reply in zip(names, replies, strict=True) if isinstance(reply, list) and len(reply) == 2}


def _round_trip(visit: Visit, key: str) -> Check:
    """Write a key, read it back, delete it; should deleting fail, it expires."""
    value, started = secrets.token_hex(16).encode(), time.monotonic()
    try:
        replies = visit.ask_all(("SET", key, value, "EX", PROBE_SECONDS), ("GET", key), ("DEL", key))
    except ServerError as error:
        return no_round_trip(reason_of(error), timed_out=isinstance(error.__cause__, LostError) and error.__cause__.timed_out)
    return judge_round_trip(value, replies, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return round(1000 * (time.monotonic() - started), 3)


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
