# SPDX-License-Identifier: MIT
"""Prove that a replication works: health of the primary, a value written and read back, and whether every replica follows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from ..connect.settings import Settings
from ..connect.values import split_address
from ..errors import KeyfleetError
from ..health.model import DEGRADED, FAILED, Check, Expect, judged
from ..health.report import HealthReport, wait_for_health
from .handover import POLL_SECONDS
from .model import LISTED, DesiredReplication, Member, ReplicationState
from .observe import connect_members, read_state

MEMBERS = "members"


def prove_replication(
    settings: Settings,
    desired: DesiredReplication,
    *,
    sentinel_settings: Settings,
    engine: Optional[str],
    write_probe: bool,
    timeout_seconds: float,
) -> HealthReport:
    """
    Return one verdict: that of the primary, as ``redis_health`` finds it, and the check ``members``.

    Where there are Sentinels, the primary is reached through them, as applications do.

    Args:
        settings, sentinel_settings: How to talk to every server and Sentinel.
        engine: The expected one; None accepts any.
        write_probe: Whether to write a key of keyfleet's, read it back and delete it.
        timeout_seconds: How long to wait until the verdict is not ``failed``.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        check, primary, is_watched = _check_members(settings, sentinel_settings, desired)
        if check.status != FAILED or time.monotonic() > end:
            break
        time.sleep(POLL_SECONDS)
    if primary is None:
        return HealthReport((check,))
    host, port = split_address(primary)
    through = replace(settings, cluster_nodes=(), host=host, port=port)
    if is_watched:
        sentinels = tuple(split_address(address) for address in desired.sentinels)
        through = replace(
            settings,
            cluster_nodes=(),
            sentinels=sentinels,
            sentinel_service=desired.service,
            sentinel_username=sentinel_settings.username,
            sentinel_password=sentinel_settings.password,
        )
    report = wait_for_health(
        through,
        expect=Expect(engine=engine, role="primary"),
        write_probe=write_probe,
        timeout_seconds=max(end - time.monotonic(), 0.0),
    )
    return HealthReport((check, *report.checks), report.refused)


def primary_of(report: HealthReport) -> str:
    """Return the address of the primary that a proof found; empty if that is not one alone."""
    return next((str(check.found["primary"]) for check in report.checks if check.name == MEMBERS and check.status != FAILED), "")


def _check_members(settings: Settings, sentinel_settings: Settings, desired: DesiredReplication) -> tuple[Check, Optional[str], bool]:
    """Ask every server whom it follows; return the check, the primary's address if there is one alone, and whether Sentinels name it."""
    try:
        observed = connect_members(settings, sentinel_settings, desired)
    except KeyfleetError as error:
        return Check(MEMBERS, FAILED, str(error), node=desired.service), None, False
    try:
        state = read_state(observed, desired.service)
    except KeyfleetError as error:
        return Check(MEMBERS, FAILED, str(error), node=desired.service), None, False
    finally:
        observed.close()
    primaries = [member.address for member in listed(state) if member.is_primary]
    primary = primaries[0] if len(primaries) == 1 else None
    return replace(judge_members(state), node=desired.service), primary, state.named is not None


def listed(state: ReplicationState) -> list[Member]:
    """Return the members that stay."""
    return [member for member in state.members.values() if member.kind == LISTED]


def judge_members(state: ReplicationState) -> Check:
    """Judge what all servers say together; pure."""
    primaries = [member.address for member in listed(state) if member.is_primary]
    replicas = [member for member in listed(state) if not member.is_primary]
    astray = [member for member in replicas if primaries and member.follows != primaries[0]]
    behind = [member for member in replicas if not member.is_linked]
    problems = [
        (FAILED, "" if len(primaries) == 1 else f"{_named(primaries) or 'no server'} takes writes, instead of one"),
        (FAILED, "; ".join(f"{member.address} follows {member.follows}" for member in astray)),
        (FAILED, f"the Sentinels name {state.named} as the primary" if state.named and [state.named] != primaries else ""),
        (DEGRADED, f"{_named([member.address for member in behind])} not in sync" if behind else ""),
    ]
    found = {"primary": _named(primaries), "replicas": len(replicas), "in_sync": len(replicas) - len(behind)}
    return judged(MEMBERS, found, [problem for problem in problems if problem[1]])


def _named(addresses: Sequence[str]) -> str:
    return ", ".join(addresses)
