# SPDX-License-Identifier: MIT
"""The inventory ``inventories/elasticache-like`` on loopback: its hosts have addresses 127.0.4.x, its names are answered by the tests."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from keyfleet import Settings
from keyfleet.core.connect.client import close, connect
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import free_port

from support.clusters import admin_settings
from support.managed import resolved_in_processes
from support.playbooks import ROOT, Deployment

EXAMPLE = ROOT / "inventories/elasticache-like/hosts.yml"
GROUPS = {"enabled": "orders", "disabled": "sessions", "serverless": "carts"}  # of the inventory, by shape
ENGINE = "valkey-8.1"
PASSWORD = "This-is-a-sample-password"
# What the inventory says of real hosts.
_OF_HOSTS = ("ansible_user", "ansible_become", "ansible_python_interpreter")


@dataclass
class LikeElastiCache(Deployment):
    """
    One shape of the inventory.

    Attributes:
        shape: Of GROUPS.
        names: What a user's DNS says: addresses of each name; a test may change it.
        user: As whom applications log in; empty for ``default``.
    """

    shape: str = "enabled"
    names: dict[str, list[str]] = field(default_factory=dict)
    user: str = ""

    def describe(self) -> None:
        """Take hosts and variables from the example; ports, addresses and the program are of this machine."""
        tree = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["redis"]
        group = tree["children"][GROUPS[self.shape]]
        self.variables = {name: value for name, value in {**tree["vars"], **group["vars"]}.items() if name not in _OF_HOSTS}
        self.variables["redis_server_bin_dir"] = str(Path(find_binary(ENGINE)).parent)
        local: dict[str, Any] = {"bind-source-addr": "{{ ansible_host }}", "repl-diskless-sync-delay": 0}
        if self.shape != "disabled":
            local["cluster-node-timeout"] = 5000
        self.variables["redis_server_directives"] = {**self.variables["redis_server_directives"], **local}
        self.hosts = list(group["hosts"])
        self.host_variables = {host: {"ansible_host": f"127.0.4.{number}"} for number, host in enumerate(self.hosts, 1)}
        self.names = {host: [values["ansible_host"]] for host, values in self.host_variables.items()}
        addresses = [values["ansible_host"] for values in self.host_variables.values()]
        if self.shape == "serverless":
            for instance in self.variables["redis_server_instances"]:
                instance["port"] = free_port(*addresses, bus=True)
            self.variables["carts_password"], self.user = PASSWORD, "app"
        else:
            self.variables["redis_server_port"] = free_port(*addresses, bus=True)
        self.names[self.endpoint] = addresses[:1] if self.shape == "disabled" else addresses
        if self.shape == "disabled":
            self.names[self.reader] = addresses[1:]

    def environ(self) -> dict[str, str]:
        """Return the environment of a run, in which the names are known, as the hosts know them."""
        return {**super().environ(), **resolved_in_processes(self.names, self.folder)}

    @property
    def endpoint(self) -> str:
        """Name that profiles have."""
        return str(self.variables["redis_endpoint_address"])

    @property
    def reader(self) -> str:
        """Name of the reader endpoint, which the inventory does not need to know."""
        return self.endpoint.replace("master.", "replica.")

    @property
    def port(self) -> int:
        """Port of the first server."""
        instances = self.variables.get("redis_server_instances", [{}])
        return int(instances[0].get("port") or self.variables["redis_server_port"])

    def settings(self, **changes: Any) -> Settings:
        """Return what an application reads in the profile."""
        user = f"+{self.user}" if self.user else ""
        text = (self.inventory / f"{self.variables['redis_deployment']}{user}@{self.hosts[0]}.env").read_text(encoding="utf-8")
        found = Settings.from_env(dict(word.partition("=")[::2] for word in shlex.split(text, comments=True)))
        return replace(found, timeout_seconds=10.0, **changes)

    def administrator(self, host: str = "", port: int = 0) -> Settings:
        """Return how keyfleet itself logs in to one server, of a host that is its address here."""
        place = {"host": host or next(iter(self.host_variables.values()))["ansible_host"], "port": port or self.port}
        ca_file = str(next(self.inventory.glob("*.ca.pem")))
        return replace(admin_settings(self), **place, tls=True, tls_ca_file=ca_file)

    def directive(self, name: str) -> str:
        """Return the active value of a directive of the first server."""
        found = self.ask("CONFIG", "GET", name)
        value = next(iter(found.values())) if isinstance(found, dict) else found[1]
        return value.decode() if isinstance(value, bytes) else str(value)

    def ask(self, *command: Any, host: str = "") -> Any:
        """Run a command on a server, as the administrator."""
        client = connect(self.administrator(host))
        try:
            return client.execute_command(*command)
        finally:
            close(client)
