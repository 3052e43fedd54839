# SPDX-License-Identifier: MIT
"""
Server directives from the inventory: checked, written, and compared with what a running server uses. Pure; no server is asked here.

The controller calls :func:`check` before anything is touched. The managed host lets a throw-away server judge the same directives
(``trial.py``), compares its values with the active ones (:func:`plan`) and applies what can be applied live (``live.py``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from .values import (
    HIDDEN,
    SECRET_DIRECTIVES,
    Problem,
    Table,
    canonical,
    describe,
    format_value,
    is_file_only,
    quote,
    refusal,
    split,
    table_for,
    tables,
    tables_for,
    to_lines,
)

__all__ = [
    "RESERVED",
    "SECRET_DIRECTIVES",
    "DirectivePlan",
    "Problem",
    "Table",
    "acl_lines",
    "canonical",
    "check",
    "config_command",
    "config_command_in",
    "plan",
    "render",
    "startup_only_changes",
    "table_for",
]

_OURS = "set by keyfleet"
_LATER = "not supported by this role yet"
# Not for the dictionary of directives: what to use instead.
RESERVED: Mapping[str, str] = {
    "port": "use the instance option port",
    "bind": "use the instance option bind",
    "unixsocket": "use the instance option unix_socket",
    "unixsocketperm": "use the instance option unix_socket_perm",
    "requirepass": "use the instance option password",
    **dict.fromkeys(
        [
            "aclfile",
            "cluster-config-file",
            "daemonize",
            "dir",
            "include",
            "logfile",
            "pidfile",
            "supervised",
            "unixsocketgroup",
        ],
        _OURS,
    ),
    "cluster-enabled": "set redis_topology to cluster",
    "tls-port": "use the instance options tls and tls_port",
    **dict.fromkeys(["tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-ca-cert-dir"], "the role redis_tls gives certificates"),
    **dict.fromkeys(["tls-auth-clients", "tls-protocols", "tls-ciphers", "tls-ciphersuites"], "use the variables of the role redis_tls"),
    **dict.fromkeys(["tls-cluster", "tls-replication"], "it follows from the instance option tls"),
    **dict.fromkeys(["replicaof", "slaveof", "sentinel"], _LATER),
}
# What the role sends, or redis-py to open a connection. CONFIG is not among them: it is asked for by its new name.
_NEEDED_COMMANDS: Mapping[str, str] = {
    **dict.fromkeys(["AUTH", "HELLO"], "to log in"),
    **dict.fromkeys(["INFO", "PING"], "to see what runs"),
    "ACL": "to apply users",
    "BGSAVE": "to save before a restart",
    "CLIENT": "to pause writes while keys are counted",
    **dict.fromkeys(["DEL", "GET", "SET"], "to write a value and read it back"),
}
_HASH_ADVICE = "#HASH with the output of: printf %s 'PASSWORD' | sha256sum | cut -d' ' -f1"


@dataclass(frozen=True)
class DirectivePlan:
    """
    What to do so that a running server uses the desired values.

    Attributes:
        live: ``{name: (active, desired)}`` for directives that CONFIG SET changes.
        restart: The same for directives that the server reads only when it starts; *active* is None for one that the running server does
            not know.
    """

    live: Mapping[str, tuple[Optional[str], str]] = field(default_factory=dict, repr=False)
    restart: Mapping[str, tuple[Optional[str], str]] = field(default_factory=dict, repr=False)


def check(directives: Mapping[str, object], engine: str, version: Optional[str]) -> list[Problem]:
    """
    Return what is wrong with directives from the inventory, by the tables alone.

    Args:
        directives: ``{name: value}`` as YAML gives it; see ``to_lines`` for lists.
        engine: ``redis`` or ``valkey``.
        version: Such as ``7.0.15``; None accepts what any known version of the engine accepts.
    Raises:
        RefusedError: if the engine is unknown or the version is no version.
    """
    candidates, open_ended = tables_for(engine, version)
    problems = []
    for name, value in directives.items():
        problems += _check_one(str(name), value, candidates, open_ended, "loadmodule" in directives)
    names = [str(name) for name in directives]
    first_names = [candidates[0].name(name) for name in names]
    for name, first in zip(names, first_names):
        if name != first and first in names:
            problems.append(
                Problem(name, format_value(name, directives[name]), f"is another name of {first}, which is given too", "one of them")
            )
    return problems


def render(directives: Mapping[str, object]) -> list[str]:
    """
    Return the lines of a configuration file, sorted by name; users are left out, they belong to the ACL file.

    ``save`` lines add to those the server has read before, so ``save ""`` goes first.
    """
    lines = []
    for name in sorted(directives):
        words = [" ".join([name, *(quote(word) for word in line)]) for line in to_lines(name, directives[name], _takes(name))]
        if name == "save" and words != ['save ""']:
            lines.append('save ""')
        if name != "user":
            lines += words
    return lines


def acl_lines(directives: Mapping[str, object]) -> list[str]:
    """Return the lines of the ACL file for the directive ``user``."""
    return [" ".join(["user", *line]) for line in to_lines("user", directives.get("user", []), "lines")]


def config_command(directives: Mapping[str, object]) -> Optional[str]:
    """Return the name under which ``rename-command`` leaves CONFIG, None if it removes it."""
    return config_command_in(render({name: value for name, value in directives.items() if name == "rename-command"}))


def config_command_in(lines: Iterable[str]) -> Optional[str]:
    """Return the same for the lines of a configuration file, such as the one a process was started with."""
    for line in lines:
        words = split(line) if line.startswith("rename-command ") else []
        if len(words) == 3 and words[1].upper() == "CONFIG":
            return words[2] or None
    return "CONFIG"


def plan(
    desired: Mapping[str, str], active: Mapping[str, str], named: Iterable[str], previously_named: Iterable[str], table: Table
) -> DirectivePlan:
    """
    Compare three ways: enforce what the inventory names, return what it named before to the default, leave the rest to the server.

    Args:
        desired: Every value that a server started with these directives has (``Verdict.values``): also gives the defaults.
        active: Every value that the running server has, in the same form (``live.read_active``).
        named, previously_named: Directives in the inventory now, and those applied by the run before.
        table: Which directives change live; what it does not know waits for a restart.
    Source:
        https://redis.io/docs/latest/commands/config-set/
    """
    live: dict[str, tuple[Optional[str], str]] = {}
    restart: dict[str, tuple[Optional[str], str]] = {}
    for name in sorted({table.name(name) for name in [*named, *previously_named]}):
        if name not in desired or active.get(name) == desired[name] or is_file_only(name):
            continue
        directive = table.directives.get(name)
        changes = live if directive and directive.change == "live" and name in active else restart
        changes[name] = (active.get(name), desired[name])
    return DirectivePlan(live, restart)


def startup_only_changes(desired_lines: Sequence[str], started_lines: Sequence[str], *, every: bool = False) -> dict[str, tuple[str, str]]:
    """
    Compare directives that CONFIG GET does not return by the text the process was started with: ``{name: (started, desired)}``.

    Args:
        desired_lines, started_lines: Lines of a configuration file; comments are ignored, the order within one directive counts.
        every: Compare all directives, for a server whose CONFIG was removed.
    """
    before, after = _by_name(started_lines, every), _by_name(desired_lines, every)
    return {name: (before.get(name, ""), after.get(name, "")) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}


def _check_one(name: str, value: object, candidates: Sequence[Table], open_ended: bool, has_modules: bool) -> list[Problem]:
    found = format_value(name, value)
    if name in RESERVED:
        return [Problem(name, found, "is not for this dictionary", RESERVED[name])]
    if name == "user":
        return _check_users(value)
    knowing = [table.directives[name] for table in candidates if name in table.directives]
    if not knowing:
        may_be_known = re.fullmatch(r"[a-z][a-z0-9_.-]*", name) and (has_modules if "." in name else open_ended)
        return _check_shape(name, value) if may_be_known else [_unknown(name, found, candidates)]
    refusals = [refusal(directive, value) for directive in knowing]
    if name == "rename-command" and "" in refusals:
        return _check_renames(value)
    if "" in refusals or (open_ended and knowing[0].kind == "enum" and refusals[0] == "wrong value"):  # newer servers learn new words
        return []
    return [Problem(name, found, refusals[0], "nothing: remove it" if knowing[0].kind == "retired" else describe(knowing[0]))]


def _check_shape(name: str, value: object) -> list[Problem]:
    try:
        to_lines(name, value, _takes(name) if not isinstance(value, (list, tuple)) else "words")
    except ValueError as error:
        return [Problem(name, format_value(name, value), str(error), "text, a number, or a list of words")]
    return []


def _unknown(name: str, found: str, candidates: Sequence[Table]) -> Problem:
    names = {known for table in candidates for known in table.directives}
    near = difflib.get_close_matches(name.lower().replace("_", "-"), names, n=1, cutoff=0.7)
    elsewhere = [str(table) for table in tables() if name in table.directives]
    reason = f"is no directive of {' or '.join(str(table) for table in candidates)}"
    allowed = f"did you mean {near[0]}?" if near else "a name that this server has"
    if "." in name:
        allowed = "a directive of a module together with loadmodule"
    elif elsewhere:
        reason += f", but of {' and '.join(elsewhere)}"
    return Problem(name, found, reason, allowed)


def _check_renames(value: object) -> list[Problem]:
    commands = [words[0].upper() for words in to_lines("rename-command", value, "lines")]
    return [
        Problem("rename-command", HIDDEN, f"removes {command}, which this role needs {_NEEDED_COMMANDS[command]}", "other commands")
        for command in commands
        if command in _NEEDED_COMMANDS
    ]


def _check_users(value: object) -> list[Problem]:
    try:
        lines = to_lines("user", value, "lines")
    except ValueError as error:
        return [Problem("user", format_value("user", value), str(error), 'for each line "NAME RULES"')]
    problems = []
    seen = set()
    for number, words in enumerate(lines, 1):
        where = f"line {number}"
        if not words or len(words) < 2:
            problems.append(
                Problem(
                    "user", format_value("user", value), f"{where} names no rules", '"NAME RULES", such as "app on #HASH ~app:* +@read"'
                )
            )
        elif words[0] == "default" or words[0] in seen:
            reason = f"{where} is the user {words[0]!r}" + (" a second time" if words[0] in seen else "")
            problems.append(
                Problem("user", format_value("user", value), reason, "other names, each once; for default use the instance option password")
            )
        elif any(re.match(r"\(?[<>]", word) for word in words[1:]):
            problems.append(Problem("user", format_value("user", value), f"{where} holds a password in plain text", _HASH_ADVICE))
        elif any(word.startswith("#") and not re.fullmatch("#[0-9a-f]{64}", word) for word in words[1:]):
            problems.append(Problem("user", format_value("user", value), f"{where} holds something that is no SHA-256 hash", _HASH_ADVICE))
        seen.update(words[:1])
    return problems


def _takes(name: str) -> str:
    known = [table.directives[name].takes for table in tables() if name in table.directives]
    return known[-1] if known else "words"


def _by_name(lines: Iterable[str], every: bool) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name = line.strip().split(" ", 1)[0].lower()
        if name and not name.startswith("#") and (every or is_file_only(name)):
            found.setdefault(name, []).append(line.strip())
    return {name: "\n".join(texts) for name, texts in found.items()}
