# SPDX-License-Identifier: MIT
"""Servers for local development as Docker Compose runs them, with the directives of a deployment; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..acl.model import DEFAULT
from ..directives.plan import render
from ..directives.values import quote, size
from .model import Instance, rules_of

# Directives that mean something of the deployment's hosts: files, processors and rights that a container has not.
OF_THE_HOST = re.compile("loadmodule|oom-score-adj.*|.*[_-]cpulist|syslog-.*|tls-.*|bind-source-addr|locale-collate|include")
ENGINES = {"redis": ("redis", "7"), "valkey": ("valkey/valkey", "8")}  # image, and its tag if the inventory pins no version
SMALLEST_LIMIT, SPARE = 256 << 20, 64 << 20
CONFIG_FILE, SECRET_FILE = "/etc/keyfleet/server.conf", "/run/secrets/redis_password"
USERS_FILE = "/etc/keyfleet/users"
HEALTH_USER = "keyfleet-health"  # who asks for the health where users are declared: `default` may be one that cannot
# The password reaches the server through its standard input: neither arguments nor environment show it. The images' own entry point
# gives the data to the server's user and becomes that user.
START = f"""\
password=$(sed 's/[\\\\"]/\\\\&/g' {SECRET_FILE})
exec $(command -v docker-entrypoint.sh) {{server}} {CONFIG_FILE} - <<EOF
requirepass "$password"
EOF
"""
# A line of the file that ends with an opened text takes the password: printf is part of the shell, so no argument shows it.
START_WITH_USERS = f"""\
password=$(sed 's/[\\\\"]/\\\\&/g' {SECRET_FILE})
users() {{{{
  while IFS= read -r line; do
    case $line in
      *'">') printf '%s%s"\\n' "$line" "$password" ;;
      *) printf '%s\\n' "$line" ;;
    esac
  done <{USERS_FILE}
}}}}
exec $(command -v docker-entrypoint.sh) {{server}} {CONFIG_FILE} - <<EOF
requirepass "$password"
$(users)
EOF
"""


@dataclass(frozen=True)
class ComposeFile:
    """
    One file of the folder that Compose reads.

    Attributes:
        name: In the folder.
        content: Whole text; no file but the password's holds a secret.
    """

    name: str
    content: str


def compose_files(
    deployment: str, engine: str, image: str, version: str, instances: Sequence[Mapping[str, Any]], header: str
) -> list[ComposeFile]:
    """
    Return ``compose.yml`` and the configuration of each server.

    Args:
        deployment: Name of the deployment, which is the service of the instance ``default``.
        engine: ``redis`` or ``valkey``.
        image: Image of the servers; empty for the engine's own.
        version: Pinned version of the server, as packages and releases have it; empty for none.
        instances: ``name``, ``port`` and public ``directives`` of those that are present, and ``users``: ``name`` and ``rules`` of each,
            without passwords, and whether it ``needs_password``.
        header: Comment line for the top of each file.
    """
    files = [ComposeFile("compose.yml", compose_text(deployment, engine, image or default_image(engine, version), instances, header))]
    for instance in instances:
        service = service_of(deployment, instance["name"])
        files.append(ComposeFile(f"{service}.conf", config_text(instance, header)))
        if instance.get("users"):
            files.append(ComposeFile(f"{service}.users", users_text(instance["users"], header)))
    return files


def service_of(deployment: str, name: str) -> str:
    """Return the service of an instance: the deployment's name, with its own behind if that is not ``default``."""
    return deployment if name == "default" else f"{deployment}-{name}"


def default_image(engine: str, version: str) -> str:
    """Return the engine's image; of a pinned version, such as ``5:7.0.15-1~deb12u1``, the first two numbers."""
    image, tag = ENGINES[engine]
    found = re.match(r"(?:\d+:)?(\d+\.\d+)", version)
    return f"{image}:{found[1] if found else tag}"


def config_text(instance: Mapping[str, Any], header: str) -> str:
    """Return the configuration file of a server: the deployment's directives, but for those that mean something of its hosts."""
    directives = instance["directives"]
    left_out = sorted(name for name in directives if OF_THE_HOST.fullmatch(name))
    kept = {name: value for name, value in directives.items() if name not in left_out}
    notes = [f"# Of the deployment's hosts, and left out: {', '.join(left_out)}"] if left_out else []
    return "\n".join([header, *notes, "bind * -::*", "port 6379", "dir /data", *render(kept), ""])


def users_text(users: Sequence[Mapping[str, Any]], header: str) -> str:
    """Return the users as the start script reads them: each will have the developer's password in the place of the deployment's."""
    health = {"name": HEALTH_USER, "rules": ["on", "-@all", "+ping"], "needs_password": True}
    lines = [" ".join(["user", *(quote(word) for word in (user["name"], *user["rules"]))]) for user in (*users, health)]
    ends = [' ">' if user["needs_password"] else "" for user in (*users, health)]
    return "\n".join([header, *(line + end for line, end in zip(lines, ends)), ""])


def public_users(instance: Instance) -> list[dict[str, Any]]:
    """Return ``name`` and ``rules`` of each user of the inventory without passwords, and whether it ``needs_password``."""
    found = []
    for line in rules_of(instance):
        name, *words = line.split(" ")
        rules = [word for word in words if word[0] not in "#>"]
        found.append({"name": name, "rules": rules, "needs_password": name == DEFAULT or len(rules) < len(words)})
    return found


def memory_limit(directives: Mapping[str, Any]) -> int:
    """Return the limit of a container in bytes: twice ``maxmemory``, since what is written while the server saves is there twice."""
    return max(SMALLEST_LIMIT, 2 * (size(str(directives.get("maxmemory", 0))) or 0) + SPARE)


def compose_text(deployment: str, engine: str, image: str, instances: Sequence[Mapping[str, Any]], header: str) -> str:
    """
    Return the Compose file, in the form that Docker Compose 1.27 and later read.

    Source:
        https://github.com/compose-spec/compose-spec/blob/main/spec.md; interpolation: a dollar sign is written twice.
    """
    lines = [header, "services:"]
    volumes = []
    for instance in instances:
        service = service_of(deployment, instance["name"])
        volumes.append(f"{service}-data")
        lines += _service(service, engine, image, instance)
    lines += ["volumes:", *(f"  {volume}: {{}}" for volume in volumes)]
    lines += ["secrets:", "  redis_password:", "    file: ${REDIS_PASSWORD_FILE:-./password}", ""]
    return "\n".join(lines)


def _service(service: str, engine: str, image: str, instance: Mapping[str, Any]) -> Iterator[str]:
    variable = re.sub("[^A-Z0-9]", "_", service.upper())
    has_users = bool(instance.get("users"))
    start = (START_WITH_USERS if has_users else START).format(server=f"{engine}-server").replace("$", "$$").splitlines()
    port = instance["port"] or 6379  # one with a socket alone is reached by port here
    yield f"  {service}:"
    yield f"    image: {json.dumps(f'${{{variable}_IMAGE:-{image}}}')}"
    yield "    command:"
    yield "      - /bin/sh"
    yield "      - -ec"
    yield "      - |"
    yield from (f"        {line}" for line in start)
    yield f'    ports: ["127.0.0.1:${{{variable}_EXPOSED_PORT:-{port}}}:6379"]'
    yield "    volumes:"
    yield f"      - ./{service}.conf:{CONFIG_FILE}:ro"
    if has_users:
        yield f"      - ./{service}.users:{USERS_FILE}:ro"
    yield f"      - {service}-data:/data"
    yield "    secrets: [redis_password]"
    yield "    healthcheck:"
    who = f"--user {HEALTH_USER} " if has_users else ""
    ping = f"REDISCLI_AUTH=$$(cat {SECRET_FILE}) {engine}-cli {who}ping | grep -qx PONG"
    yield f'      test: [CMD-SHELL, "{ping}"]'
    yield "      interval: 2s"
    yield "      timeout: 3s"
    yield "      retries: 10"
    yield "      start_period: 30s # loading its data"
    yield f'    mem_limit: "${{{variable}_MEMORY_LIMIT:-{memory_limit(instance["directives"])}}}"'
    yield f"    cpus: ${{{variable}_CPUS:-2}}"
    yield "    cap_drop: [ALL]"
    yield "    cap_add: [CHOWN, DAC_OVERRIDE, SETGID, SETUID] # to read the password, and to become the server's user"
    yield "    security_opt: [no-new-privileges:true]"
    yield "    stop_grace_period: 1m # it saves"
    yield "    restart: unless-stopped"
