# SPDX-License-Identifier: MIT
"""Prove that the instances of a host work: health, and a value written and read back, as this host reaches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..acl.model import ADMIN
from ..health.model import FAILED, Expect
from ..health.report import wait_for_health
from .access import settings_of
from .model import Host, Instance


def missing_deployments(host: Host, instances: Sequence[Instance]) -> list[str]:
    """Return the names of the instances that shall be present and were never deployed."""
    deployed = host.deployed_names()
    return [instance.name for instance in instances if instance.present and instance.name not in deployed]


def prove(host: Host, instances: Sequence[Instance], *, write_probe: bool, timeout_seconds: float = 0.0) -> list[dict[str, Any]]:
    """
    Return name, verdict, reasons and checks of each instance that shall be present, in their order.

    Args:
        write_probe: Whether to write a key of our own, read it back and delete it.
        timeout_seconds: How long to wait for each of them; 0 asks once.
    """
    expect = Expect(engine=host.engine, role="primary")
    found = []
    for instance in (instance for instance in instances if instance.present):
        settings = settings_of(instance, host.layout(instance.name), as_clients=True)
        if host.admin_passwords:  # the last one is the present one, which holds also while it changes
            settings = replace(settings, username=ADMIN, password=host.admin_passwords[-1])
        report = wait_for_health(settings, expect=expect, write_probe=write_probe, timeout_seconds=timeout_seconds)
        found.append({"name": instance.name, **report.as_dict()})
    return found


def failures(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why the deployment is not proven, a sentence for each instance whose verdict is ``failed``."""
    return [
        f"instance {one['name']}: the verdict is {one['verdict']}: {'; '.join(one['reasons'])}"
        for one in reports
        if one["verdict"] == FAILED
    ]
