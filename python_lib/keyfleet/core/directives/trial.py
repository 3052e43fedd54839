# SPDX-License-Identifier: MIT
"""What the real binary thinks of directives: a throw-away server is started with them and asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from .plan import acl_lines, config_command, render
from .throwaway import StartFailedError, config_get, engine_version, throwaway
from .values import HIDDEN, SECRET_DIRECTIVES, Problem, Table, canonical, format_value, is_file_only, table_for, to_lines

__all__ = ["Verdict", "engine_version", "judge"]

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


def judge(binary: str, directives: Mapping[str, object]) -> Verdict:
    """
    Start *binary* with directives on a private socket and return the values it then has; ``{}`` gives the defaults.

    A refused directive is left out and the rest tried again, so that every problem is found. Modules are loaded into
    the throw-away server alone; paths outside are not written to. Takes about 0.02 s, and leaves neither process nor file.

    Args:
        binary: Path of the server.
        directives: Such that ``directives.check`` finds nothing wrong.
    Raises:
        RefusedError: if the binary cannot be run.
    """
    engine, version = engine_version(binary)
    table = table_for(engine, version)
    values, refused = _values_and_problems(binary, directives, table)
    if values:
        kept_away = {name: canonical(name, value, table) for name, value in directives.items() if name in _KEPT_AWAY}
        defaults = {name: directive.default for name, directive in table.directives.items() if name in _KEPT_AWAY}
        values.update({name: value for name, value in {**defaults, **kept_away}.items() if name in values})
    return Verdict(values, tuple(refused))


def _values_and_problems(binary: str, directives: Mapping[str, object], table: Table) -> tuple[dict[str, str], list[Problem]]:
    """Start the server without what it refuses, until it starts."""
    problems: list[Problem] = []
    left = dict(directives)
    while True:
        lines = _lines(left)
        try:
            return _ask_for_values(binary, lines, config_command(left), [*left, *table.directives]), problems
        except StartFailedError as failure:
            refused = _problems(failure.output, lines, left) or _problems_alone(binary, left) or [_nameless(failure.output, left)]
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


def _ask_for_values(binary: str, lines: Sequence[tuple[str, str]], command: Optional[str], names: Iterable[str]) -> dict[str, str]:
    """Return what CONFIG GET returns, asking for *names* too, since it lists some only then."""
    with throwaway(binary, [line for _unused, line in lines]) as ask:
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


def _problems_alone(binary: str, directives: Mapping[str, object]) -> list[Problem]:
    """Find the directives with which alone the server does not start, for words that name none."""
    problems = []
    for name in directives:
        alone = {name: directives[name]}
        lines = _lines(alone)
        try:
            _ask_for_values(binary, lines, config_command(alone), [])
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
