# SPDX-License-Identifier: MIT
"""Values for tests of server directives, and the engines that this machine has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from keyfleet.core.directives.plan import RESERVED, Table
from keyfleet.core.directives.values import Directive, is_file_only
from keyfleet.testing._binaries import find_binary

ENGINES = [engine for engine in ("redis", "valkey") if shutil.which(f"{engine}-server")] or ["redis"]  # without any, tests fail and say so

HASH = "#" + "0123456789abcdef" * 4

SAMPLES: dict[str, object] = {
    "client-output-buffer-limit": ["replica 512mb 64mb 60", "pubsub 16mb 8mb 30"],
    "cluster-announce-client-ipv4": "192.0.2.1",
    "cluster-announce-client-ipv6": "2001:db8::1",
    "cluster-announce-hostname": "node.example.com",
    "cluster-announce-human-nodename": "node",
    "dbfilename": "other.rdb",
    "latency-tracking-info-percentiles": [50, 99.90],
    "locale-collate": "C",
    "notify-keyspace-events": "KEA",
    "oom-score-adj-values": [0, 100, 200],
    "proc-title-template": '{title} "quoted" \\ {server-mode}',
    "save": ["900 1", "300 10"],
    "watchdog-period": 1000,  # the server raises shorter ones
}
GOOD: dict[str, list[object]] = {
    "maxmemory": ["0", 0, "100mb", "1GB", "1g", 1073741824],
    "maxmemory-clients": ["5%", "100%", "1mb"],
    "hz": [1, "500"],
    "list-max-listpack-size": [-2],
    "appendonly": [True, False, "yes", "No"],
    "appendfsync": ["always", False, "EVERYSEC"],
    "shutdown-on-sigint": ["save now", ["nosave", "force"], "default"],
    "save": ["", [], "3600 1", "3600 1 300 100", ["3600 1", "300 100"], [[3600, 1], "300 100"]],
    "client-output-buffer-limit": ["pubsub 32mb 8mb 60", ["replica 1gb 512mb 60", ["normal", 0, 0, 0]], "normal 0 0 0 slave 1 1 1"],
    "oom-score-adj-values": ["0 200 800", [-10, 0, 2000]],
    "latency-tracking-info-percentiles": ["", "50 99.9", [50, 99.9, 100.0]],
    "notify-keyspace-events": ["", "KEA", "Kx$"],
    "rename-command": [['CONFIG ""', ["DEBUG", "hidden"]], [], "FLUSHALL ''"],
    "loadmodule": ["/opt/m.so", ["/opt/m.so ARG 1", ["/opt/n.so"]]],
    "user": [f"app on {HASH} ~app:* &* +@read", [f"app on {HASH}", "web on nopass (+get ~x)"]],
    "slave-priority": [0],
    "masterauth": ["with space"],
    "proc-title-template": ["{title} {port}"],
    "watchdog-period": [0],
}
BAD: dict[str, list[object]] = {
    "maxmemory": ["12 apples", "1.5gb", -1, "lots", True, None, "", [1], {"a": 1}, "1e9", "99999999999gb"],
    "maxmemory-clients": ["101%", "-5%"],
    "hz": ["ten", 1.5, True, "", " 5", "05", 2**31, -1],
    "databases": [0, "x"],
    "appendonly": ["true", "on", 1, None],
    "appendfsync": ["sometimes", ["always"]],
    "maxmemory-policy": ["lru"],
    "shutdown-on-sigint": ["later", ["save", "later"], []],
    "save": ["3600", ["3600 1", "300"], "0 1", "a b", [["3600"]], "3600 -1", [[[1]]]],
    "client-output-buffer-limit": ["master 1 1 1", "pubsub 1 1", "pubsub x 1 1", [], ""],
    "oom-score-adj-values": ["1 2", [1, 2, 3000], "a b c"],
    "latency-tracking-info-percentiles": ["101", "x"],
    "notify-keyspace-events": ["KQ", "K E"],
    "rename-command": ["CONFIG", ["CONFIG a b"], 'CONFIG "'],
    "loadmodule": ["m.so"],
    "syslog-ident": [True, ["a"], None, "two\nlines"],
    "list-max-ziplist-entries": [1],
}
# Not every machine and build can use them: affinity, the score of the OOM killer, a modified jemalloc, RDMA, TLS files that must exist.
UNUSABLE = ("activedefrag", "oom-score-adj", "cpulist", "rdma-", "tls-", "syslog-enabled", "io-threads", "debug", "maxmemory-clients")


def binary(engine: str) -> str:
    """Return the path of the engine's server; fail with a clear message if there is none."""
    return find_binary(engine)


def other_values(table: Table, changes: str) -> dict[str, object]:
    """Return a legal value other than the default, as a person may write it, for each directive that changes this way (live, start …)."""
    return dict(_other_values(table, changes))


def _other_values(table: Table, changes: str) -> Iterator[tuple[str, object]]:
    for name, directive in table.directives.items():
        usable = not any(part in name for part in UNUSABLE) or name == "oom-score-adj-values"
        ours = name in RESERVED or is_file_only(name) or directive.kind == "retired"
        if name == directive.name and directive.change == changes and usable and not ours:
            yield name, SAMPLES.get(name, _other_value(directive))


def _other_value(directive: Directive) -> object:
    if directive.kind == "bool":
        return directive.default == "no"
    if directive.kind == "enum":
        return next(choice.upper() for choice in directive.choices if choice != directive.default)
    if directive.kind in ("int", "size"):
        value = int(directive.default)
        higher = value + (1024 if directive.kind == "size" else 1)
        value = higher if directive.high is None or higher <= directive.high else value - 1
        return f"{value // 1024}kb" if directive.kind == "size" and value % 1024 == 0 else value
    return "other"
