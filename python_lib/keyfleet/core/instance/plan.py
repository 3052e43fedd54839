# SPDX-License-Identifier: MIT
"""
What to do so that an instance is as the inventory says: ordered steps, or the reason why not; pure.

Every step leaves a state from which a crash of the server, its supervisor, this run or the machine comes back with every key that the
weaker persistence guarantee of before and after promises. Hence the order: what the next start reads is written only when the data is
there, and directives that decide which file holds the data keep their old values in the file until a start moves the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ..directives.plan import DirectivePlan, config_command, startup_only_changes
from ..directives.plan import plan as plan_directives
from ..directives.values import HIDDEN, SECRET_DIRECTIVES, format_value, to_lines
from ..errors import RefusedError
from ..topology.validation import CLUSTER, REPLICATION
from .config import config_lines, config_text, without_secrets
from .datafiles import PLACE_DIRECTIVES, Place, readable
from .keys import KeyCounts
from .model import Host, Instance
from .order import PortMove
from .record import Record
from .state import Running, State
from .tls import certificate_reasons, in_order

LONGEST_SOCKET_PATH = 107  # sun_path holds 108 bytes, the last one is 0
DATABASES = 16  # the server's default


@dataclass(frozen=True)
class Step:
    """
    One step of a plan; ``carry_out`` has a function of its name.

    Attributes:
        phrase: What it does, for people; empty for bookkeeping.
        arguments: For the function.
    """

    name: str
    phrase: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class InstancePlan:
    """
    What to do for one instance.

    Attributes:
        name: Of the instance.
        action: ``started``, ``adopted`` (its supervisor or run folder was gone, and is back), ``adjusted``, ``removed`` or ``unchanged``.
        steps: In order.
        live: Directives that change on the running server: ``{name: {active, desired}}``, secrets hidden.
        restart_needed: Why it must be restarted, a phrase each.
        before, after: The configuration file now and then, without secrets, for a diff.
        port: The port that it has now, and the one that it has after these steps.
        was: State of its service before a start.
        moves: Whether clients reach it in another way afterwards: through these steps, or the restart.
    """

    name: str
    action: str = "unchanged"
    steps: tuple[Step, ...] = ()
    live: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    restart_needed: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    port: PortMove = PortMove(0, 0)  # noqa: RUF009 - a named tuple is immutable
    was: str = ""
    moves: bool = False

    @property
    def phrases(self) -> list[str]:
        """Return what the steps do, for people."""
        return [step.phrase for step in self.steps if step.phrase]


def plan(host: Host, instance: Instance, state: State) -> InstancePlan:
    """
    Return what to do so that a present instance is as the inventory says; it is never restarted.

    Raises:
        RefusedError: if it cannot be done without losing keys, with the reason and the way to do it.
    """
    _refuse_conversion(instance, state)
    if state.running is not None:
        return _plan_running(host, instance, state, state.running)
    return plan_start(host, instance, state)


def _refuse_conversion(instance: Instance, state: State) -> None:
    """Refuse to make a node of a cluster of a server that is none, or the other way round: its keys would be in no slot's right place."""
    if state.running is not None and state.running.active:
        was = state.running.active.get("cluster-enabled", "no")
    elif state.written is not None and state.disk.names:
        was = state.written.get("cluster-enabled", "no")
    else:
        return
    if (was == "yes") != (instance.topology == CLUSTER):
        kind = "a node of a cluster" if was == "yes" else "no node of a cluster"
        raise RefusedError(
            f"it has been {kind} so far, and redis_topology is {instance.topology!r}: give the other topology instances with other names "
            "and ports, copy the keys, and remove this one afterwards"
        )


def target_place(instance: Instance, state: State, now: Place) -> Place:
    """Return where the data shall be: what is named, the default of what was named before, else as it is *now*."""
    decided = {*instance.directives, *(state.record.applied if state.record else ())}
    return Place.of({name: state.desired[name] for name in PLACE_DIRECTIVES if name in decided and name in state.desired}, now)


# -- a server that runs --


def _plan_running(host: Host, instance: Instance, state: State, running: Running) -> InstancePlan:
    record = state.record or Record.of(instance, host.engine)
    reasons = list(running.reasons)
    difference, now, target, pending = DirectivePlan(), state.place, state.place, {}
    if running.command is None:
        reasons += _reasons_without_config(host, instance, state)
    else:
        now = Place.of(running.active)
        target = target_place(instance, state, now)
        difference = _difference(host, instance, state, running, record)
        pending = pending_directives(instance, state, running)
        refuse_fewer_databases(state, running.counts)
        reasons += [
            f"{name} is {format_value(name, old or '')} and shall be {format_value(name, new)}"
            for name, (old, new) in difference.restart.items()
        ]
        desired = config_lines(instance, host.layout(instance.name), host.service_manager)
        changes = startup_only_changes(desired, state.started) if state.started else []
        reasons += [f"{name} differs from what the server was started with" for name in changes]
    outdated = certificate_reasons(instance, running.tls_leaf, record.tls_ca)
    if outdated and running.command is None:
        reasons.append(f"{' and '.join(outdated)} must be loaded again, and it answers no CONFIG")
    steps = _running_steps(host, instance, state, running, difference, now, target, pending)
    live = {name: {"active": _public(name, old or ""), "desired": _public(name, new)} for name, (old, new) in difference.live.items()}
    for name, (old, new) in (state.users.differences() if state.users else {}).items():
        live[f"user {name}"] = {"active": old or "", "desired": new or ""}
    record_steps = _record_steps(instance, host, state, record, difference, running)
    action = "adopted" if running.orphaned else "adjusted" if steps else "unchanged"
    after = config_text(instance, host.layout(instance.name), host.service_manager, pending)
    return InstancePlan(
        instance.name,
        action,
        (*steps, *record_steps),
        live,
        tuple(reasons),
        before=without_secrets(state.config_text),
        after=without_secrets(after),
        port=_port_move(instance, running, record, difference),
        moves=(state.users is not None and not state.users.is_empty) or _address_moves(instance, host, running, record, difference),
    )


def _address_moves(instance: Instance, host: Host, running: Running, record: Record, difference: DirectivePlan) -> bool:
    """Return whether a running server is reached elsewhere after this plan and the restart."""
    if running.command is None:
        return record.at(Record.of(instance, host.engine)) != record
    return bool({"port", "tls-port", "bind", "unixsocket"} & {*difference.live, *difference.restart})


def _port_move(instance: Instance, running: Running, record: Record, difference: DirectivePlan) -> PortMove:
    """Return which port a running server has now and after this plan; one that waits for the restart stays where it is."""
    desired, recorded = instance.plain_port or instance.secure_port, record.as_instance(instance)
    plain = int(running.active.get("port", recorded.plain_port))
    now = plain or int(running.active.get("tls-port", recorded.secure_port))
    after = desired if {"port", "tls-port"} & difference.live.keys() else now
    return PortMove(now, after, 0 if after == desired else desired)


def park_plan(name: str) -> InstancePlan:
    """Return how a running instance leaves its port to another one, before it gets its own; see ``order.port_order``."""
    return InstancePlan(name, "adjusted", (Step("park", "leave its port to another instance"),))


def _running_steps(
    host: Host,
    instance: Instance,
    state: State,
    running: Running,
    difference: DirectivePlan,
    now: Place,
    target: Place,
    pending: Mapping[str, object],
) -> list[Step]:
    layout, manager = host.layout(instance.name), host.service_manager
    switch_on, switch_off = target.appendonly and not now.appendonly, now.appendonly and not target.appendonly
    live = {name: new for name, (_old, new) in difference.live.items() if name != "appendonly"}
    steps = [Step("adopt", "take up the server whose supervisor or run folder is gone")] if running.orphaned else []
    steps += [Step("enable", "let it start with the host")] if state.status.enabled is False else []
    counts = state.data.counts if state.data is not None and not _is_copy(instance, state) else None
    if counts is not None and _is_private(instance, running):  # a start that a killed run began
        steps.append(Step("compare_keys", "compare its keys with those of before", {"counts": counts}))
        steps.append(Step("commit"))
    desired = Record.of(instance, host.engine)
    if difference.live or (state.users is not None and state.users.changed):  # named before they are set: a killed run forgets nothing
        named = (state.record or desired).knowing(desired.applied, desired.users or ())
        steps.append(Step("write_record", "", {"record": named}))
    if switch_on:
        steps += [_aside(aof=now.aof)] if now.aof in state.disk.aofs else []
        steps.append(_switch_on(now))
    if switch_off:
        steps.append(Step("save", "save the data to " + now.dbfilename))
    for_now = {**pending, "appendonly": "no"} if switch_off else dict(pending)
    texts = [config_text(instance, layout, manager, overrides) for overrides in (for_now, pending)]
    if texts[0] != state.config_text or (state.users is not None and state.users.file_differs) or not state.files_owned:
        steps.append(Step("write_files", "write the configuration and the users", {"overrides": for_now}))
    if switch_off:
        steps.append(Step("switch_off", "switch the append-only file off"))
    if state.users is not None and not state.users.is_empty:
        steps.append(Step("set_users", "; ".join(state.users.phrases()), {"plan": state.users}))
    if live:
        steps.append(Step("set_live", f"set {', '.join(live)}", {"values": in_order(live, running.active)}))
    outdated_files = certificate_reasons(instance, running.tls_leaf, state.record.tls_ca if state.record else "")
    if outdated_files and running.command is not None:
        steps.append(Step("reload_tls", f"load {' and '.join(outdated_files)} again"))
    if instance.tls == "off" and state.has_tls_files:
        steps.append(Step("forget_tls", "remove its certificate"))
    outdated = (set(difference.live) - set(instance.directives)) | (set(difference.live) & SECRET_DIRECTIVES)
    if outdated & state.own_names:  # else the old value is back at the next start, or an old secret stays
        steps.append(Step("rewrite", "rewrite the server's own file"))
    if texts[1] != texts[0]:
        steps.append(Step("finish_files", "", {"overrides": pending}))
    if switch_off:
        steps.append(_aside(aof=now.aof))
    return steps


def _record_steps(instance: Instance, host: Host, state: State, record: Record, difference: DirectivePlan, running: Running) -> list[Step]:
    waiting = set(difference.restart) if running.command else {"port", "tls-port", "bind", "unixsocket"}
    desired = Record.of(instance, host.engine).knowing(tuple(name for name in record.applied if name in waiting))
    if waiting & {"port", "tls-port", "bind", "unixsocket"}:
        desired = desired.at(record)
    changed = desired != state.record or any(True for _name in difference.live)
    return [Step("write_record", "", {"record": desired})] if changed else []


def _reasons_without_config(host: Host, instance: Instance, state: State) -> list[str]:
    """Return why a server that answers no CONFIG must be restarted; what moves its data is refused."""
    lines = config_lines(instance, host.layout(instance.name), host.service_manager)
    changes = startup_only_changes(lines, state.started, every=True) if state.started else {}
    for name in (name for name in PLACE_DIRECTIVES if name in changes):
        raise RefusedError(
            f"{name} decides which file holds the data, and the server answers no CONFIG, which moving the data needs: give CONFIG back "
            "(rename-command) in one run, then change it in the next"
        )
    return [f"{name} differs from what the server was started with, and it answers no CONFIG" for name in changes]


def _difference(host: Host, instance: Instance, state: State, running: Running, record: Record) -> DirectivePlan:
    if state.table is None:
        return DirectivePlan()
    # By the names that this engine itself uses: Valkey's own for masterauth is another one.
    managed = {state.table.name(name): value for name, value in instance.managed(host.layout(instance.name), host.service_manager).items()}
    values = {**state.desired, **managed}
    return _keep_reachable(plan_directives(values, running.active, [*instance.directives, *managed], record.applied, state.table))


def _keep_reachable(difference: DirectivePlan) -> DirectivePlan:
    """Let port and address wait for the restart if the socket does, so that the server is reached in one way until then."""
    if "unixsocket" not in difference.restart:
        return difference
    waits = {name: values for name, values in difference.live.items() if name in ("port", "tls-port", "bind")}
    live = {name: values for name, values in difference.live.items() if name not in waits}
    return DirectivePlan(live, {**difference.restart, **waits})


def pending_directives(instance: Instance, state: State, running: Running) -> dict[str, object]:
    """Return the directives that keep their old value in the file until the restart: with the new one a start would load less."""
    now = Place.of(running.active)
    old, new = now.directives(), target_place(instance, state, now).directives()
    pending: dict[str, object] = {name: old[name] for name in PLACE_DIRECTIVES if name != "appendonly" and old[name] != new[name]}
    if int(state.desired.get("databases", DATABASES)) < int(running.active.get("databases", DATABASES)):
        pending["databases"] = running.active["databases"]
    desired = to_lines("loadmodule", instance.directives.get("loadmodule", []), "lines")
    loaded = [line.split(" ", 1)[1] for line in state.started if line.startswith("loadmodule ")]
    removed = [line for line in loaded if to_lines("loadmodule", line, "lines")[0][0] not in {words[0] for words in desired}]
    if removed:
        pending["loadmodule"] = [*removed, *desired]
    return pending


def refuse_fewer_databases(state: State, counts: KeyCounts) -> None:
    """Refuse fewer databases than hold keys: a server does not start with them."""
    highest = max((number for number, database in counts.items() if database.keys), default=-1)
    desired = int(state.desired.get("databases", DATABASES))
    if highest >= desired:
        raise RefusedError(
            f"databases shall be {desired}, and database {highest} holds {counts[highest].keys} keys, with which the server would not "
            f"start: move or delete them (SELECT {highest}), or set databases to at least {highest + 1}"
        )


# -- a server that is stopped --


def plan_start(host: Host, instance: Instance, state: State) -> InstancePlan:
    """
    Return how to start a stopped instance with all of its data.

    What could go wrong, and what prevents it:
    - With ``appendonly yes`` and no append-only file a server starts empty, although a dump is there. So it starts with the value that fits
      the data, and switches while it runs.
    - A client might write before the keys are compared, and a start that is undone would lose that. So it starts on a private socket where
      it can, and gets its port after ``commit``.
    - A crash before ``commit`` must find the data under the names in the file of before. So files are linked or copied to their new names
      first, and the old names are set aside last.

    Raises:
        RefusedError: if it would start without data that is there, or could not read it.
    """
    source, held, target = _source(instance, state)
    counts = state.data.counts if state.data_unchanged and state.data and not _is_copy(instance, state) else None
    _refuse_stray(host, instance, state, source, target, held)
    _refuse_format(state, held)
    on, off = held == "rdb" and target.appendonly, held == "aof" and not target.appendonly
    if (on or off) and config_command(instance.directives) is None:
        raise RefusedError(
            f"appendonly shall be {'yes' if on else 'no'}, and its data is in {'a dump' if on else 'an append-only file'}; switching needs "
            "CONFIG, which rename-command removes: keep CONFIG in one run, and remove it in the next"
        )
    moved = (held == "rdb" and source.dbfilename != target.dbfilename) or (held == "aof" and source.aof != target.aof)
    pending, reasons = _pending_databases(state, held, counts)
    starting: dict[str, object] = {**pending, **({"appendonly": "yes" if off else "no"} if on or off else {})}
    private = bool(held) and (counts is not None or moved or on or off) and _can_be_private(host, instance)
    hidden = _private_directives(host, instance) if private else {}
    steps = [
        *_before_start(host, instance, state, source, target, held, moved, on),
        Step("write_files", "write the configuration and the users", {"overrides": {**starting, **hidden}}),
        Step("prepare_own"),
        Step("write_record", "", {"record": Record.of(instance, host.engine)}),
        Step("start", "start it" + (" without its port" if private else "")),
        *([Step("compare_keys", "compare its keys with those of before", {"counts": counts})] if counts is not None else []),
        *([_switch_on(target)] if on else [Step("save", f"save the data to {target.dbfilename}")] if off else []),
        *([Step("commit")] if held else []),
        *([Step("finish_files", "", {"overrides": pending})] if starting != pending or private else []),
        *([Step("switch_off", "switch the append-only file off")] if off else []),
        *([Step("open", "open its port")] if private else []),
        *_after_start(source, target, held, moved, off),
        *([Step("forget_tls")] if instance.tls == "off" and state.has_tls_files else []),
    ]
    after = config_text(instance, host.layout(instance.name), host.service_manager, pending)
    return InstancePlan(
        instance.name,
        "started",
        tuple(steps),
        restart_needed=tuple(reasons),
        before=without_secrets(state.config_text),
        after=without_secrets(after),
        port=PortMove(0, instance.plain_port or instance.secure_port),
        was=state.status.state,
        moves=True,
    )


def _source(instance: Instance, state: State) -> tuple[Place, str, Place]:
    """Return where the data is, what holds it there, and where it shall be."""
    forgotten = set(state.record.applied if state.record else ())
    base = Place.of({name: value for name, value in state.own.items() if name not in forgotten})
    target = target_place(instance, state, base)
    source = state.place if state.written is not None or state.data is not None else target
    held = state.disk.holds(source)
    if not held and state.disk.holds(target):  # put there by hand, to be read
        source, held = target, state.disk.holds(target)
    return source, held, target


def _refuse_stray(host: Host, instance: Instance, state: State, source: Place, target: Place, held: str) -> None:
    """Refuse a start that would read nothing while other data files are there, unless it would be as the last one."""
    if held or not state.disk.names or (state.written is not None and source == target):
        return
    folder = host.layout(instance.name).data_dir
    named = f"appendonly {target.directives()['appendonly']}, {'/'.join(target.aof)}, {target.dbfilename}"
    raise RefusedError(
        f"{folder} holds {', '.join(state.disk.names)}, and the server would read none of it ({named}): name the file in directives "
        "(dbfilename, or appendonly with appenddirname and appendfilename), or move it out of the folder if it is not needed"
    )


def _refuse_format(state: State, held: str) -> None:
    if held and not readable(state.data_format, state.program_format):
        raise RefusedError(
            f"the data is in the format {state.data_format}, and the installed program reads at most {state.program_format}: install the "
            "version that wrote it, or a newer one"
        )


def _pending_databases(state: State, held: str, counts: Optional[KeyCounts]) -> tuple[dict[str, object], list[str]]:
    """Return the number of databases to start with, where the desired one may be too low for the data."""
    before = int({**state.own, **(state.written or {})}.get("databases", DATABASES))
    desired = int(state.desired.get("databases", DATABASES))
    if not held or desired >= before:
        return {}, []
    if counts is not None:
        refuse_fewer_databases(state, counts)
        return {}, []
    return {"databases": str(before)}, [f"databases is {format_value('databases', str(before))} and shall be {desired}"]


def _is_copy(instance: Instance, state: State) -> bool:
    """
    Return whether the keys are those of another server, which have changed since this one was stopped.

    That is so for a replica, whose own file says what it replicates. What a node of a cluster is, the others know.
    """
    return instance.topology == CLUSTER or (instance.topology == REPLICATION and bool({"replicaof", "slaveof"} & state.own_names))


def _can_be_private(host: Host, instance: Instance) -> bool:
    """Return whether the server can be started without its port, and get it afterwards: that needs CONFIG."""
    path = host.layout(instance.name).private_socket_file
    may_be = bool(instance.ports) and instance.topology != CLUSTER  # a node of a cluster announces its port to the others
    return may_be and config_command(instance.directives) is not None and len(path.encode()) <= LONGEST_SOCKET_PATH


def _is_private(instance: Instance, running: Running) -> bool:
    """Return whether a server was started without its port, which it has not got yet: no client wrote since."""
    closed = all(running.active.get(name, "0") == "0" for name in ("port", "tls-port"))
    return bool(instance.ports) and "port" in running.active and closed


def _private_directives(host: Host, instance: Instance) -> dict[str, str]:
    ports = dict.fromkeys(instance.port_lines(), "0")
    if instance.unix_socket:
        return ports
    return {**ports, "unixsocket": host.layout(instance.name).private_socket_file, "unixsocketperm": "700"}


def _before_start(
    host: Host, instance: Instance, state: State, source: Place, target: Place, held: str, moved: bool, on: bool
) -> list[Step]:
    steps = [Step("stop_retrying", "end its failing starts")] if not state.status.stopped else []
    steps += [Step("enable", "let it start with the host")] if state.status.enabled is False else []
    if held and "" not in (state.data_format, state.program_format) and state.data_format != state.program_format:
        steps.append(Step("keep", "keep a copy of the data, which another version wrote", {"place": source}))
    if held and source.dbfilename != target.dbfilename and target.dbfilename in state.disk.rdbs:
        steps.append(_aside(rdb=target.dbfilename))
    if target.aof in state.disk.aofs and (on or (held == "aof" and source.aof != target.aof)):
        steps.append(_aside(aof=target.aof))
    if moved:
        names = (source.dbfilename, target.dbfilename) if held == "rdb" else ("/".join(source.aof), "/".join(target.aof))
        steps.append(Step("relocate", f"put the data of {names[0]} under the name {names[1]}", {"source": source, "target": target}))
    return steps


def _after_start(source: Place, target: Place, held: str, moved: bool, off: bool) -> list[Step]:
    """Return what moves away the files that hold data of before, so that nothing reads them later."""
    steps = []
    if moved and held == "aof":
        steps.append(_aside(aof=source.aof))
    if held and source.dbfilename != target.dbfilename:
        steps.append(_aside(rdb=source.dbfilename))
    if off:
        steps.append(_aside(aof=target.aof))
    return steps


def _aside(rdb: str = "", aof: Optional[Sequence[str]] = None) -> Step:
    return Step("set_aside", f"move {rdb or '/'.join(aof or ())} aside", {"rdb": rdb, "aof": aof})


def _switch_on(place: Place) -> Step:
    return Step("switch_on", f"switch the append-only file on and wait until {'/'.join(place.aof)} holds the data")


def _public(name: str, value: str) -> str:
    return HIDDEN if format_value(name, value) == HIDDEN else value
