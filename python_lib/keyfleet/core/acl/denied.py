# SPDX-License-Identifier: MIT
"""Commands that Amazon ElastiCache denies to all users, so that servers with its shape deny them, too; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .model import DEFAULT

RULES = ("server", "elasticache", "serverless")
# Source: Amazon ElastiCache User Guide, "Supported commands", with the servers' spelling of subcommands.
_ON_NODES = (
    *(f"acl|{name}" for name in ("deluser", "load", "save", "setuser")),
    *(f"cluster|{name}" for name in ("addslots", "addslotsrange", "bumpepoch", "delslots", "delslotsrange", "failover", "flushslots")),
    *(f"cluster|{name}" for name in ("forget", "links", "meet", "setslot")),
    *("bgrewriteaof", "bgsave", "config", "debug", "migrate", "psync", "replicaof", "save", "shutdown", "slaveof", "sync"),
)
# Neither allowed nor denied there. A client could take the topology apart with them.
_OF_TOPOLOGY = (*(f"cluster|{name}" for name in ("replicate", "reset", "saveconfig", "set-config-epoch")), "failover", "module")
_ON_SERVERLESS = (
    *("acl|log", "cluster|count-failure-reports", "pubsub|numpat", "script|kill"),
    *(f"client|{name}" for name in ("caching", "getredir", "id", "info", "kill", "list", "no-evict", "pause", "tracking")),
    *(f"client|{name}" for name in ("trackinginfo", "unblock", "unpause")),
    *("fcall", "fcall_ro", "function", "keys", "lastsave", "latency", "memory", "monitor", "move", "object"),
    *("pfdebug", "pfselftest", "psubscribe", "punsubscribe", "slowlog", "swapdb", "wait"),
)
_OF_ENGINE = {"valkey": ("commandlog",)}  # since 8.1


def denied_commands(rules: str, engine: str) -> tuple[str, ...]:
    """Return the commands that the rules deny, a subcommand as ``config|get``; none for ``server``."""
    on_nodes = (*_ON_NODES, *_OF_TOPOLOGY)
    return {
        "server": (),
        "elasticache": on_nodes,
        "serverless": (*on_nodes, *_ON_SERVERLESS, *_OF_ENGINE.get(engine, ())),
    }[rules]


def restricted(listed: Sequence[Mapping[str, Any]], denied: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return declared users without the right to run *denied*; ``default`` is one of them then, also where it is not listed."""
    if not denied:
        return list(listed)
    everything = {"name": DEFAULT, "categories": ["all"], "keys": ["*"], "channels": ["*"]}
    users = listed if any(options["name"] == DEFAULT for options in listed) else [everything, *listed]
    found: list[Mapping[str, Any]] = []
    for options in users:
        selectors = [_without(selector, denied) for selector in options.get("selectors") or ()]
        found.append({**_without(options, denied), **({"selectors": selectors} if selectors else {})})
    return found


def _without(options: Mapping[str, Any], denied: Sequence[str]) -> dict[str, Any]:
    return {**options, "commands": [*(options.get("commands") or ()), *(f"-{command}" for command in denied)]}


def contradictions(listed: Sequence[Mapping[str, Any]], rules: str, engine: str) -> Iterator[str]:
    """Yield which declared users shall run what the rules deny, for users without other problems; each begins with ``[NAME]``."""
    denied = denied_commands(rules, engine)
    for options in listed:
        places = {"": options, **{f".selectors[{index}]": one for index, one in enumerate(options.get("selectors") or ())}}
        for where, permissions in places.items():
            for given in permissions.get("commands") or ():
                if given[0] != "-" and _is_among(given.lstrip("+").lower(), denied):
                    yield f"[{options['name']}]{where}.commands has {given!r}, which {rules} denies to every user: leave it out"


def _is_among(command: str, denied: Sequence[str]) -> bool:
    return command in denied or command.partition("|")[0] in denied
