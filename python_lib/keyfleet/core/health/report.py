# SPDX-License-Identifier: MIT
"""
Is this deployment well: one verdict, with the reasons.

Nothing is changed, and CONFIG is not needed. A command that the server denies makes its check ``skipped``. A server that cannot be
reached or refuses the password is a verdict too, not an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

from ..connect.client import close, connect
from ..connect.members import read_nodes
from ..connect.primaries import Primary, primaries
from ..connect.redis_py import translated
from ..connect.values import format_nodes
from ..errors import CertificateError, CredentialsError, ServerError, UnreachableError
from .checks import INFO_CHECKS, deciding_directives, judge_info
from .members import NO_MEMBERS, NO_SENTINELS, SentinelView, judge_members, judge_sentinels, sentinel_view
from .model import DEGRADED, FAILED, SKIPPED, Check, Expect, Info, Thresholds, placed, reason_of, unknown, worst
from .probes import check_certificate, check_cluster, check_ping, check_round_trip

if TYPE_CHECKING:
    from ..connect.members import ListedNode
    from ..connect.redis_py import AnyClient
    from ..connect.settings import Settings

CHECKS = ("ping", *INFO_CHECKS, "cluster", "certificate", "round_trip")
# Of the deployment as a whole.
DEPLOYMENT_CHECKS = ("members", "sentinels")
POLL_SECONDS = 0.2
DEFAULT_THRESHOLDS, NO_EXPECTATIONS = Thresholds(), Expect()


@dataclass(frozen=True)
class HealthReport:
    """
    What the checks found.

    Attributes:
        checks: Each of ``CHECKS`` once for each node asked: every primary of a cluster, else the one server; then each of
            ``DEPLOYMENT_CHECKS`` once.
        refused: The server refused the credentials, which waiting does not heal.
    """

    checks: tuple[Check, ...]
    refused: bool = False

    @property
    def verdict(self) -> str:
        """``failed``, ``degraded`` or ``ok``: the gravest status of the checks."""
        return worst([check.status for check in self.checks])

    @property
    def reasons(self) -> list[str]:
        """A sentence for each check that degrades the verdict, the gravest first."""
        bad = sorted((check for check in self.checks if check.status in (DEGRADED, FAILED)), key=lambda check: check.status != FAILED)
        return [f"{check.node}: {check.reason}" for check in bad]

    def fails(self, fail_on: str) -> bool:
        """Return whether the verdict is as bad as *fail_on* (``degraded`` or ``failed``) or worse; with ``never`` it is not."""
        return self.verdict in {"never": (), DEGRADED: (DEGRADED, FAILED)}.get(fail_on, (FAILED,))

    def as_dict(self) -> dict[str, Any]:
        """Return verdict, reasons and checks as plain values."""
        return {"verdict": self.verdict, "reasons": self.reasons, "checks": [check.as_dict() for check in self.checks]}


def check_health(
    client: AnyClient,
    settings: Settings,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    expect: Expect = NO_EXPECTATIONS,
    write_probe: bool = False,
) -> HealthReport:
    """
    Ask every primary behind *client* how it is.

    Args:
        client: From `connect` with the same *settings*.
        thresholds: Where a value stops being good.
        expect: What each server should be.
        write_probe: Whether to write a key of our own, read it back and delete it.
    Returns:
        The report; a node that does not answer, or refuses the password, has its reason in the check ``ping``.
    """
    try:
        with translated(settings):
            nodes = primaries(client)
    except ServerError as error:
        return silent_deployment(error, settings.address)
    reports = [_examine(client, node, settings, thresholds, expect, write_probe) for node in nodes]
    checks = [check for report in reports for check in report.checks]
    whole = placed((_check_members(nodes, settings, checks, expect), _check_sentinels(client, settings)), settings.address)
    return HealthReport((*checks, *whole), any(report.refused for report in reports))


def wait_for_health(
    settings: Settings,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    expect: Expect = NO_EXPECTATIONS,
    write_probe: bool = False,
    timeout_seconds: float = 0.0,
    fail_on: str = FAILED,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthReport:
    """
    Connect and `check_health`, again and again until the report does not fail or the time is over.

    Refused credentials end the wait, because time does not heal them. Each attempt is a new connection, tried once.

    Args:
        thresholds, expect, write_probe: As for `check_health`.
        timeout_seconds: Time for all attempts together; 0 makes one. The last one may end up to a second later.
        fail_on: As for `HealthReport.fails`; ``never`` waits like ``failed``.
        clock, sleep: Stand-ins for tests.
    Returns:
        The last report.
    """
    end, target = clock() + timeout_seconds, FAILED if fail_on == "never" else fail_on
    attempt = settings
    while True:
        if timeout_seconds:
            shorter = min(settings.timeout_seconds, max(end - clock(), 1.0))
            attempt = replace(settings, retry_attempts=0, timeout_seconds=shorter)
        report = _connect_and_check(attempt, thresholds, expect, write_probe)
        if not report.fails(target) or report.refused or clock() >= end:
            return report
        sleep(min(POLL_SECONDS, max(end - clock(), 0.0)))


def _connect_and_check(settings: Settings, thresholds: Thresholds, expect: Expect, write_probe: bool) -> HealthReport:
    """Report a cluster or Sentinel that cannot be reached like a single server."""
    try:
        client = connect(settings)
    except ServerError as error:
        return silent_deployment(error, settings.address)
    try:
        return check_health(client, settings, thresholds=thresholds, expect=expect, write_probe=write_probe)
    finally:
        close(client)


def _examine(
    client: AnyClient, node: Primary, settings: Settings, thresholds: Thresholds, expect: Expect, write_probe: bool
) -> HealthReport:
    """Run every check on one node."""
    try:
        checks = [check_ping(node, settings, thresholds)]
        info, from_info = _ask_info(node, settings, thresholds, expect)
        checks += [*from_info, check_cluster(node, settings, info), check_certificate(node, settings, thresholds)]
    except ServerError as error:
        return silent(error, node.address)
    checks.append(check_round_trip(client, node, settings) if write_probe else Check("round_trip", SKIPPED, "no write probe was made"))
    return HealthReport(placed(checks, node.address))


def _check_members(nodes: Sequence[Primary], settings: Settings, checks: Sequence[Check], expect: Expect) -> Check:
    """Ask every node of a cluster for its table, but those that give no answers."""
    if not settings.cluster_nodes:
        return NO_MEMBERS
    tables: dict[str, Union[list[ListedNode], ServerError]] = {}
    for node in nodes:
        try:
            with translated(settings):
                # Two words, so that redis-py leaves the reply as it is.
                tables[node.address] = read_nodes(node.client.execute_command("CLUSTER", "NODES"))
        except UnreachableError:  # its check ``ping`` says so
            continue
        except ServerError as error:
            tables[node.address] = error
    return judge_members(tables, online_replicas(checks), expect.shard_replicas)


def online_replicas(checks: Iterable[Check]) -> dict[str, int]:
    """Return how many replicas are in sync, by address of the primary, as the checks ``replication`` found it."""
    return {check.node: check.found["online_replicas"] for check in checks if "online_replicas" in check.found}


def _check_sentinels(client: AnyClient, settings: Settings) -> Check:
    """Ask every Sentinel what it says about the service."""
    if not settings.sentinels:
        return NO_SENTINELS
    service = settings.sentinel_service
    views: dict[str, Union[SentinelView, ServerError]] = {}
    for address, sentinel in zip(settings.sentinels, client.connection_pool.sentinel_manager.sentinels):
        try:
            with translated(settings):
                fields = sentinel.sentinel_master(service)
        except ServerError as error:
            views[format_nodes([address])] = error
            continue
        quorum: Union[str, ServerError] = ""
        try:
            with translated(settings):
                sentinel.execute_command("SENTINEL", "CKQUORUM", service)
        except ServerError as error:
            quorum = error
        views[format_nodes([address])] = sentinel_view(fields, quorum)
    return judge_sentinels(views)


def _ask_info(node: Primary, settings: Settings, thresholds: Thresholds, expect: Expect) -> tuple[Info, list[Check]]:
    """Return the fields of INFO and what they say; without fields if the server does not give them."""
    try:
        with translated(settings):
            info: Info = node.client.info()
    except (UnreachableError, CertificateError, CredentialsError):
        raise
    except ServerError as error:
        return {}, [unknown(name, reason_of(error), expect) for name in INFO_CHECKS]
    return info, judge_info({**info, **_directives(node, settings, deciding_directives(info))}, thresholds, expect)


def _directives(node: Primary, settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Return the values of directives, without those that CONFIG does not know; none where it is denied."""
    values: dict[str, str] = {}
    try:
        with translated(settings):
            for name in names:
                values.update(node.client.config_get(name))
    except (UnreachableError, CertificateError, CredentialsError):
        raise
    except ServerError:
        return {}
    return values


def silent_deployment(error: ServerError, address: str) -> HealthReport:
    """Return the report of a deployment none of whose servers gives an answer."""
    report = silent(error, address)
    others = [Check(name, SKIPPED, "no server answers") for name in DEPLOYMENT_CHECKS]
    return replace(report, checks=(*report.checks, *placed(others, address)))


def silent(error: ServerError, node: str) -> HealthReport:
    """Return the report of a node that gives no answers."""
    reason = reason_of(error)
    if isinstance(error, (UnreachableError, CertificateError)):
        reason = f"the server cannot be reached: {reason}"
    others = [Check(name, SKIPPED, "the server does not answer") for name in CHECKS if name != "ping"]
    return HealthReport(placed([Check("ping", FAILED, reason), *others], node), refused=isinstance(error, CredentialsError))
