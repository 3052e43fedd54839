# SPDX-License-Identifier: MIT
"""Servers that run without TLS and get ports with it while they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.keyfleet.redis.plugins.plugin_utils.x509 import certificates_in, issue, make_ca
from keyfleet.core.connect.settings import Settings
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import Server, free_port


@dataclass(frozen=True)
class Ports:
    """Ports with TLS of running servers, by server, and the file of the CA that their clients trust."""

    ca_file: Path
    pem_file: Path
    numbers: Mapping[Server, int]

    def addresses(self) -> list[str]:
        """Return the addresses of the servers with TLS."""
        return [f"{server.host}:{number}" for server, number in self.numbers.items()]

    def settings(self, password: str, **changes: Any) -> Settings:
        """Return settings with TLS that name no server."""
        return Settings(**{"password": password, "timeout_seconds": 5.0, "tls": True, "tls_ca_file": str(self.ca_file), **changes})


def open_ports(folder: Path, servers: Sequence[Server]) -> Ports:
    """Let running servers listen with TLS as well."""
    ca = make_ca("a CA", 30)
    ports = Ports(folder / "ca.pem", folder / "tls.pem", {server: free_port(server.host) for server in servers})
    ports.ca_file.write_text(certificates_in(ca)[0], encoding="utf-8")
    ports.pem_file.write_text(issue(ca, "cache", ["localhost", *{server.host for server in servers}], 10), encoding="utf-8")
    files = {"tls-cert-file": ports.pem_file, "tls-key-file": ports.pem_file, "tls-ca-cert-file": ports.ca_file}
    with clients_of(servers) as clients:
        for server, client in zip(servers, clients, strict=True):
            values = {**files, "tls-auth-clients": "optional", "tls-port": ports.numbers[server]}
            client.execute_command("CONFIG", "SET", *(str(word) for pair in values.items() for word in pair))
    return ports
