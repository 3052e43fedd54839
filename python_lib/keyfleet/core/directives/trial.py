# SPDX-License-Identifier: MIT
"""What the real binary thinks of directives: a throw-away server is started with them and asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, Optional

from .plan import acl_lines, config_command, render
from .throwaway import AS_THIS_PROCESS, AnswerError, Ask, Conditions, StartFailedError, config_get, engine_version, throwaway
from .values import HIDDEN, SECRET_DIRECTIVES, Problem, Table, canonical, format_value, is_file_only, table_for, to_lines

__all__ = ["Conditions", "Verdict", "engine_version", "judge", "limit_problems"]

Start = Callable[[Sequence[str]], AbstractContextManager[Ask]]  # starts a throw-away server with these lines

# Kept from the throw-away server, because they reach outside of it, need the real environment, or cut off the question:
# where it listens and writes, TLS and topology, limits on clients. Their values are taken from the tables.
_KEPT_AWAY = frozenset(
    [
        "aclfile",
        "cluster-config-file",
        "cluster-enabled",
        "daemonize",
        "dir",
        "logfile",
        "maxclients",
        "maxmemory-clients",
        "pidfile",
        "port",
        "rdma-port",
        "replicaof",
        "requirepass",
        "slaveof",
        "supervised",
        "syslog-enabled",
        "tls-cluster",
        "tls-port",
        "tls-replication",
        "unixsocket",
        "unixsocketgroup",
        "unixsocketperm",
    ]
)


@dataclass(frozen=True)
class Verdict:
    """
    The answer of the throw-away server.

    Attributes:
        values: ``{name: value}`` of every directive in the server's own form, defaults included; empty if it did not start at all.
        problems: Directives that it refused, with its own words.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: Sequence[Problem] = ()


def judge(binary: str, directives: Mapping[str, object], conditions: Conditions = AS_THIS_PROCESS) -> Verdict:
    """
    Start *binary* with directives on a private socket and return the values it then has; ``{}`` gives the defaults.

    A refused directive is left out and the rest tried again, so that every problem is found. Modules are loaded into
    the throw-away server alone; paths outside are not written to. Takes about 0.02 s, and leaves neither process nor file.

    Args:
        binary: Path of the server.
        directives: Such that ``directives.check`` finds nothing wrong.
        conditions: State of the process that is asked; what it may read depends on it. See ``limit_problems`` for its limits.
    Raises:
        RefusedError: if the binary cannot be run.
    """
    engine, version = engine_version(binary, conditions)
    table = table_for(engine, version)
    values, refused = _values_and_problems(partial(throwaway, binary, conditions=conditions), directives, table)
    if values:
        kept_away = {name: canonical(name, value, table) for name, value in directives.items() if name in _KEPT_AWAY}
        defaults = {name: directive.default for name, directive in table.directives.items() if name in _KEPT_AWAY}
        values.update({name: value for name, value in {**defaults, **kept_away}.items() if name in values})
    return Verdict(values, tuple(refused))


def limit_problems(binary: str, directives: Mapping[str, object], conditions: Conditions) -> list[Problem]:
    """
    Return which directives a process in this state cannot have: more clients than its limit of open files, a lower OOM score than its own.

    The server does not refuse either at its start: it lowers the first, and writes a warning about the second. Later CONFIG SET fails.

    Source:
        ``adjustOpenFilesLimit`` and ``setOOMScoreAdj`` in server.c; proc(5) about ``oom_score_adj``.
    """
    clients = int(str(directives["maxclients"])) if "maxclients" in directives else None
    mode = str(directives.get("oom-score-adj", "no"))
    scored = mode not in ("no", "False")
    if clients is None and not scored:
        return []
    problems = []
    try:
        with throwaway(binary, [f"maxclients {clients}"] if clients else [], conditions=conditions) as ask:
            allowed = int(config_get(ask, "maxclients")["maxclients"])
            if clients and allowed < clients:
                problems.append(_too_many(directives, f"its limit of open files allows {allowed}"))
            if scored:
                problems += _score_problems(ask, directives, "yes" if mode == "True" else mode)
    except StartFailedError as failure:
        if "ulimit" in failure.output:  # else it is for ``judge`` to say
            problems.append(_too_many(directives, _last_words(failure.output, directives)))
    return problems


def _too_many(directives: Mapping[str, object], words: str) -> Problem:
    cure = "raise the hard limit of open files (ulimit -n) of what starts the servers, or lower maxclients"
    return Problem(
        "maxclients",
        format_value("maxclients", directives.get("maxclients", "the default")),
        f"a server that this host starts cannot have as many: {words}; {cure}",
    )


def _score_problems(ask: Ask, directives: Mapping[str, object], mode: str) -> list[Problem]:
    """Ask for the lowest of the scores: what the process may lower is the same for each, and only that of its role is applied."""
    named = directives.get("oom-score-adj-values")
    lines = to_lines("oom-score-adj-values", named, "words") if named else [["0", "200", "800"]]
    lowest = str(min(int(word) for line in lines for word in line))
    try:
        ask("CONFIG", "SET", "oom-score-adj-values", " ".join([lowest] * 3))
        ask("CONFIG", "SET", "oom-score-adj", mode)
    except AnswerError:
        name = "oom-score-adj-values" if named else "oom-score-adj"
        reason = (
            f"a server that does not run as root can raise its score and not lower it below the one that it begins with, and the lowest "
            f"here is {lowest} ({mode}): use values from 0 on with oom-score-adj relative"
        )
        return [Problem(name, format_value(name, directives[name]), reason)]
    return []


def _values_and_problems(start: Start, directives: Mapping[str, object], table: Table) -> tuple[dict[str, str], list[Problem]]:
    """Start the server without what it refuses, until it starts."""
    problems: list[Problem] = []
    left = dict(directives)
    while True:
        lines = _lines(left)
        try:
            return _ask_for_values(start, lines, config_command(left), [*left, *table.directives]), problems
        except StartFailedError as failure:
            refused = _problems(failure.output, lines, left) or _problems_alone(start, left) or [_nameless(failure.output, left)]
        problems += refused
        culprits = {problem.directive for problem in refused} & left.keys()
        if not culprits:
            return {}, problems
        left = {name: value for name, value in left.items() if name not in culprits}


def _lines(directives: Mapping[str, object]) -> list[tuple[str, str]]:
    lines = []
    for name, value in sorted(directives.items()):
        if name == "user":
            lines += [(name, line) for line in acl_lines(directives)]
        elif name not in _KEPT_AWAY and name != "include":
            lines += [(name, line) for line in render({name: value})]
    if config_command(directives) is None:  # without CONFIG there is nothing to ask
        lines = [(name, line) for name, line in lines if not re.match("rename-command config ", line, re.IGNORECASE)]
    return lines


def _ask_for_values(start: Start, lines: Sequence[tuple[str, str]], command: Optional[str], names: Iterable[str]) -> dict[str, str]:
    """Return what CONFIG GET returns, asking for *names* too, since it lists some only then."""
    with start([line for _unused, line in lines]) as ask:
        values = config_get(ask, "*", command or "CONFIG")
        for name in names:
            if name not in values and not is_file_only(name):
                values.update(config_get(ask, name, command or "CONFIG"))
    return values


def _problems(output: str, lines: Sequence[tuple[str, str]], directives: Mapping[str, object]) -> list[Problem]:
    found = re.search(r"at line (\d+)\n>>> .*\n(.*)", output)
    if found and int(found.group(1)) <= len(lines):
        return [_problem(lines[int(found.group(1)) - 1][0], directives, found.group(2))]
    unresolved = output.partition("Unresolved Configuration(s) Detected")[2]  # Redis 8.0 takes unknown names for those of a module
    names = set(re.findall(r">>> '([^ ']+)", unresolved)) & directives.keys()
    if names:
        return [_problem(name, directives, "Bad directive or wrong number of arguments") for name in sorted(names)]
    return []


def _problems_alone(start: Start, directives: Mapping[str, object]) -> list[Problem]:
    """Find the directives with which alone the server does not start, for words that name none."""
    problems = []
    for name in directives:
        alone = {name: directives[name]}
        lines = _lines(alone)
        try:
            _ask_for_values(start, lines, config_command(alone), [])
        except StartFailedError as failure:
            words = _last_words(failure.output, directives)
            problems += _problems(failure.output, lines, alone) or [_problem(name, directives, words)]
    return problems


def _nameless(output: str, directives: Mapping[str, object]) -> Problem:
    return Problem("the directives together", "no server that starts", f"the server said: {_last_words(output, directives)}")


def _problem(name: str, directives: Mapping[str, object], words: str) -> Problem:
    return Problem(name, format_value(name, directives[name]), f"the server refused it: {_without_secrets(words, directives)}")


def _last_words(output: str, directives: Mapping[str, object]) -> str:
    lines = [line for line in output.splitlines() if line.strip() and "WARNING" not in line]
    warnings = [re.sub(r"^\d+:\w .*? # ", "", line) for line in lines if " # " in line]
    return _without_secrets("; ".join((warnings or lines)[-2:]), directives) or "nothing"


def _without_secrets(text: str, directives: Mapping[str, object]) -> str:
    words = {word for name in SECRET_DIRECTIVES & directives.keys() for line in to_lines(name, directives[name], "lines") for word in line}
    hashes = {word for line in acl_lines(directives) for word in line.split() if word.startswith("#")}
    for word in words | hashes:
        text = text.replace(word, HIDDEN) if len(word) > 3 else text
    return text
