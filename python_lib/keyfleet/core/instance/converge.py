# SPDX-License-Identifier: MIT
"""Bring instances to the desired state: start, stop, change live; say what only a restart can apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

from ..acl.plan import UserPlan
from ..errors import KeyfleetError, RefusedError
from ..host.safe_paths import remove_file, remove_tree, status_of
from ..layout import UNIT_FILE
from .carry_out import Work, reach
from .config import forget_written
from .datafiles import DataFolder
from .links import keeping_links
from .model import Host, Instance
from .order import port_order
from .plan import InstancePlan, park_plan, plan
from .record import forget_data_record, read_record
from .state import observe
from .stop import stop_for_good


@dataclass
class Converged:
    """
    What was done to an instance, or would be.

    Attributes:
        name: Of the instance.
        action: ``started``, ``adopted`` (its supervisor or run folder was gone, and is back), ``adjusted``, ``removed`` or ``unchanged``.
        live: Directives changed on the running server: ``{name: {active, desired}}``, secrets hidden.
        restart_needed: Why it must be restarted, a phrase each.
        steps: What was done, in order, a phrase each.
        kept: Folders with data files that were moved aside.
        moves: Whether clients reach it in another way afterwards, or for the first time: address, users, or passwords.
        undeclared_users: Users that keyfleet did not make and the inventory does not list.
        old_passwords: Users that keep passwords of before beside the declared ones.
        waits_for_links: Whether a port stays open that the inventory closes, until the servers of its topology no longer use it.
        pid: The server's process; None if it does not run.
        before, after: The configuration file, for a diff.
        upkeep: Whether nothing changes, and the record is to be written or what an earlier run moved aside to be removed.
    """

    name: str
    action: str = "unchanged"
    live: dict[str, dict[str, str]] = field(default_factory=dict)
    restart_needed: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    moves: bool = False
    undeclared_users: list[str] = field(default_factory=list)
    old_passwords: list[str] = field(default_factory=list)
    waits_for_links: bool = False
    pid: Optional[int] = None
    before: str = ""
    after: str = ""
    was: str = ""
    upkeep: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return self.action != "unchanged"

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data, without the files."""
        return {name: value for name, value in asdict(self).items() if name not in ("before", "after", "was", "upkeep")}

    def diffs(self) -> list[dict[str, str]]:
        """Return the change in the form of Ansible's diff: the configuration file, then active directives and steps."""
        before = "".join(f"{name} {values['active']}\n" for name, values in self.live.items())
        after = "".join(f"{name} {values['desired']}\n" for name, values in self.live.items())
        if self.action in ("started", "removed"):
            before, after = {"started": (f"{self.was}\n", "running\n"), "removed": ("present\n", "absent\n")}[self.action]
        after += "".join(f"step {number}: {phrase}\n" for number, phrase in enumerate(self.steps, 1))
        shown = [(f"{self.name}: keyfleet.conf", self.before, self.after)] if self.before != self.after else []
        shown.append((self.name, before, after))
        return [{"before_header": header, "after_header": header, "before": old, "after": new} for header, old, new in shown]


@dataclass(frozen=True)
class Prepared:
    """
    An instance whose plan is made and judged, and not carried out yet.

    Attributes:
        plan: None for one that shall be absent.
        users: What to do for the users; None if that is not known.
        former: Configuration file of before; empty if there was none.
        waits_for_links: As in `Converged`; then *instance* listens with TLS and without it.
        alone: Whether no instance of the same run shall be present, which would need what starts it.
    """

    instance: Instance
    plan: Optional[InstancePlan]
    users: Optional[UserPlan]
    former: str
    alone: bool
    waits_for_links: bool = False


def prepare(host: Host, instances: Sequence[Instance]) -> list[Prepared]:
    """
    Observe and plan every instance, before any is touched; those that leave come first, since another may take their port.

    Instances that swap ports are in the list twice: one of each ring leaves its port first.

    Raises:
        KeyfleetError: of the first instance that cannot be planned, with its name as ``instance``.
        RefusedError: if one would take a port that another has until its restart.
    """
    leaving, staying = [], {}
    alone = not any(instance.present for instance in instances)
    for instance in sorted(instances, key=lambda one: one.present):
        try:
            if instance.present:
                if instance.password is None:
                    raise RefusedError("it has no password: none is given, and none was made")
                state = observe(host, instance)
                kept = keeping_links(instance, state)
                waits = kept != instance
                staying[instance.name] = Prepared(kept, plan(host, kept, state), state.users, state.config_text, alone, waits)
            else:
                leaving.append(Prepared(instance, None, None, "", alone))
        except KeyfleetError as error:
            error.instance = instance.name
            raise
    moves = {name: one.plan.port for name, one in staying.items() if one.plan is not None}
    order, parked = port_order(moves)
    aside = [replace(staying[name], plan=park_plan(name)) for name in parked]
    return [*leaving, *aside, *(staying[name] for name in order)]


def carry_out(host: Host, prepared: Prepared, *, check: bool = False) -> Converged:
    """
    Start, stop or adjust one instance; never restart it.

    Args:
        check: Change nothing, and say what would be.
    Raises:
        ServiceError: if it does not start or stop.
        RefusedError: if the server refuses a value, or keys are missing after a start.
        UnreachableError, CredentialsError: if it cannot be asked.
    """
    instance, planned = prepared.instance, prepared.plan
    if planned is None:
        return _remove(host, instance, prepared.alone, check)
    found = Converged(
        instance.name,
        planned.action,
        {name: dict(values) for name, values in planned.live.items()},
        list(planned.restart_needed),
        planned.phrases if planned.action != "unchanged" else [],
        moves=planned.moves,
        waits_for_links=prepared.waits_for_links,
        before=planned.before,
        after=planned.after,
        was=planned.was,
    )
    if prepared.users is not None:
        found.undeclared_users, found.old_passwords = list(prepared.users.undeclared), list(prepared.users.old_passwords)
    work = Work(host, instance, prepared.users)
    data = DataFolder(work.layout.data_dir)
    forgets = planned.action == "unchanged" and not planned.restart_needed and data.has_kept()
    found.upkeep = planned.action == "unchanged" and (forgets or bool(planned.steps))
    if not check:
        if forgets:
            data.forget_kept()
        if planned.action == "started":
            work.run_start(planned, prepared.former, read_record(work.layout))
        else:
            work.manager.reload_units()
            work.run(planned)
    if not check or planned.action != "started":
        found.pid = work.manager.status().pid
    found.kept = work.kept
    return found


def _remove(host: Host, instance: Instance, alone: bool, check: bool) -> Converged:
    """Stop the instance and remove what starts it; keep its data unless it is to be purged."""
    layout, manager = host.layout(instance.name), host.manager(instance.name)
    status = manager.status()
    doomed = [layout.config_dir, *([layout.data_dir, layout.log_dir] if instance.purge else [])]
    doomed = [folder for folder in doomed if status_of(folder)]
    if not (doomed or status.pid or status.enabled):
        return Converged(instance.name)
    if not check:
        reach("stop")
        stop_for_good(host, instance)
        manager.disable()
        record = read_record(layout)
        forget_written(layout, set(record.applied if record else ()))  # the record goes; what it knows must not come back
        remove_file(layout.rotation_file)
        if instance.purge:
            forget_data_record(layout)
        for folder in [*doomed, layout.run_dir]:
            remove_tree(folder)
        if alone and not host.deployed_names():
            for path in (UNIT_FILE if host.service_manager == "systemd" else layout.runner_file, layout.role_program):
                remove_file(path)
            manager.reload_units()
    return Converged(instance.name, "removed")
