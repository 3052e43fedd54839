# SPDX-License-Identifier: MIT
"""
What differs on a host between what is and what shall be, by area; reads only.

An area is what one step of the role carries out. The steps use the same functions, so that what is equal here would not be changed there.
What cannot be judged before another area is carried out counts as different.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ..errors import KeyfleetError, RefusedError
from ..host.accounts import has_group, has_user
from ..host.kernel import KernelPlan, KernelSettings, plan_kernel
from ..install.package import PackageRequest, missing_packages
from ..install.releases import Release, ReleasePlan, plan_release
from ..install.repository import Repository, RepositoryPlan, plan_repository
from ..install.systems import SystemValues
from .converge import Converged, carry_out, prepare
from .host_files import plan_files
from .model import Host, Instance
from .preflight import HostReport

# In the order of the steps; tests/playbooks/test_rerun.py disturbs each of them.
AREAS = ("package_unit", "repository", "packages", "accounts", "release", "kernel", "files", "instances")


@dataclass(frozen=True)
class DesiredHost:
    """
    What a host shall be.

    Attributes:
        instances: With what the host adds to them (``host_files.complete``).
        values: What the system calls things.
        method: How the program comes: ``distro``, ``repo``, ``archive`` or ``none``.
        version: Of the packages; empty for whatever is there.
        repository, release: Of the methods ``repo`` and ``archive``.
        kernel: None if the kernel is not asked for.
        keep_days: How many old logs logrotate keeps.
    """

    host: Host
    instances: Sequence[Instance]
    values: SystemValues
    method: str = "none"
    version: str = ""
    repository: Optional[Repository] = None
    release: Optional[Release] = None
    kernel: Optional[KernelSettings] = None
    keep_days: int = 0

    @property
    def rotates_logs(self) -> bool:
        """Whether logrotate is needed; under the process manager nothing would call it."""
        logs = any(instance.present and instance.log == "file" for instance in self.instances)
        return logs and self.host.service_manager == "systemd" and self.keep_days > 0


@dataclass
class Comparison:
    """
    What differs.

    Attributes:
        areas: Why each area must be carried out, a phrase each; empty for one that is as it shall be.
        problems: Why the run must end.
        packages: What the package manager is to install, if the area differs.
        repository, release, kernel: The plans, of what is asked for.
        outcomes: What is done for each instance; empty if that is not known yet.
    """

    areas: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in AREAS})
    problems: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    repository: Optional[RepositoryPlan] = None
    release: Optional[ReleasePlan] = None
    kernel: Optional[KernelPlan] = None
    outcomes: list[Converged] = field(default_factory=list)

    @property
    def differing(self) -> list[str]:
        """Names of the areas that differ."""
        return [name for name, reasons in self.areas.items() if reasons]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do, restarts included."""
        return not self.differing and not any(outcome.restart_needed for outcome in self.outcomes)


def compare(desired: DesiredHost, report: HostReport) -> Comparison:
    """
    Compare every area of a host.

    Args:
        report: What preflight found, without problems.
    """
    found = Comparison()
    areas = found.areas
    if report.package_unit.in_the_way:
        areas["package_unit"] = ["the package's own unit must not run"]
    _compare_repository(desired, report, found)
    _compare_release(desired, found)
    areas["packages"] = list(_package_reasons(desired, report, found))
    if desired.method == "archive" and os.geteuid() == 0 and desired.host.user:
        areas["accounts"] = [] if has_user(desired.host.user) else [f"there is no user {desired.host.user}"]
        areas["accounts"] += [] if has_group(desired.host.group) else [f"there is no group {desired.host.group}"]
    _compare_kernel(desired, found)
    _compare_files(desired, found)
    _compare_instances(desired, report, found)
    return found


def _compare_repository(desired: DesiredHost, report: HostReport, found: Comparison) -> None:
    if desired.repository is None:
        found.areas["repository"] = ["it is not asked for any more"] if report.repository else []
        return
    try:
        found.repository = plan_repository(desired.repository)
    except RefusedError as error:
        found.problems.append(str(error))
    except (OSError, subprocess.TimeoutExpired) as error:
        found.problems.append(f"apt cannot be asked: {error}")
    else:
        found.areas["repository"] = found.repository.files.changed_paths


def _compare_release(desired: DesiredHost, found: Comparison) -> None:
    if desired.release is None:
        return
    try:
        found.release = plan_release(desired.release)
    except (OSError, KeyfleetError) as error:
        found.problems.append(f"{desired.release.folder}: {error}" if isinstance(error, OSError) else str(error))
        return
    found.areas["release"] = found.release.actions
    if found.release.missing and os.geteuid() != 0:
        found.problems.append(
            f"redis_server_install_method is 'archive', building needs {', '.join(found.release.missing)}, and the user on the host is not "
            "root: have them installed, or become root (ansible_become: true)"
        )


def _package_reasons(desired: DesiredHost, report: HostReport, found: Comparison) -> Iterator[str]:
    """Yield which packages are missing; those around a release that is built are chosen by the role."""
    if desired.method in ("distro", "repo"):
        version = desired.version if found.repository is None else found.repository.install
        requests: list[PackageRequest] = desired.values.packages(desired.host.engine, version, log_rotation=desired.rotates_logs)
        found.packages = [request.argument for request in requests]
        yield from missing_packages(requests, desired.values.package_manager)
    elif desired.method == "archive" and os.geteuid() == 0 and found.release is not None:
        yield from found.release.missing
        if not report.redis_py:
            yield desired.values.python_redis
        if found.release.actions and desired.rotates_logs:
            yield "logrotate"


def _compare_kernel(desired: DesiredHost, found: Comparison) -> None:
    if desired.kernel is None:
        return
    try:
        found.kernel = plan_kernel(desired.kernel)
    except RefusedError as error:
        found.problems.append(str(error))
        return
    found.areas["kernel"] = [setting.name for setting in found.kernel.settings] + found.kernel.files.changed_paths


def _compare_files(desired: DesiredHost, found: Comparison) -> None:
    try:
        files = plan_files(desired.host, desired.instances, desired.keep_days, check=True)
        unread = [one.name for one in desired.instances if one.present and desired.host.manager(one.name).reload_needed()]
    except KeyfleetError as error:
        found.problems.append(str(error))
        return
    found.areas["files"] = files.changed_paths + [f"systemd has not read the unit of {name} again" for name in unread]


def _compare_instances(desired: DesiredHost, report: HostReport, found: Comparison) -> None:
    """Plan every instance, as the step itself does it; where it needs what another area brings, the step decides alone."""
    reasons = [f"{one.name}: it has no password yet" for one in desired.instances if one.present and one.password is None]
    reasons += [] if report.binary_present else ["the program is not there yet"]
    reasons += [] if report.redis_py else ["redis-py is not there yet"]
    if reasons:
        found.areas["instances"] = reasons
        return
    try:
        prepared = {one.instance.name: one for one in prepare(desired.host, desired.instances)}
        found.outcomes = [carry_out(desired.host, prepared[instance.name], check=True) for instance in desired.instances]
    except KeyfleetError as error:
        if found.differing:
            found.areas["instances"] = [f"cannot be planned yet: {error}"]
        else:
            found.problems.append(f"instance {error.instance}: {error}" if error.instance else str(error))
        return
    found.areas["instances"] = [f"{outcome.name}: {outcome.action}" for outcome in found.outcomes if outcome.changed or outcome.upkeep]
