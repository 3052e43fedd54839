# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host of the scenario: TLS alone, at the address of the inventory, and units that come back."""

from __future__ import annotations

from typing import Any

PORTS = {"orders": {6379, 6380, 16379, 16380}, "sessions": {6379}, "carts": {*range(6379, 6385), *range(16379, 16385)}}


def test_listens_on_nothing_else(host: Any) -> None:
    """The ports of servers and of the bus, none on loopback; what speaks no TLS gets no answer."""
    group = str(host.backend.name).rpartition("-")[2].rstrip("0123456789")
    lines = host.check_output("ss --no-header --listening --tcp --numeric --processes").splitlines()
    places = [line.split()[3].rpartition(":") for line in lines if "valkey-server" in line]
    assert PORTS[group] == {int(port) for _host, _colon, port in places}
    assert all(address.startswith("172.29.251.") for address, _colon, _port in places)
    address = places[0][0]
    plain = host.run("valkey-cli -h %s -p 6379 PING", address)
    assert "PONG" not in plain.stdout + plain.stderr


def test_key_is_for_the_service_alone(host: Any) -> None:
    """Root owns it, and the group reads it; the unit starts again after a reboot."""
    file = host.file("/etc/keyfleet/default/tls.pem")
    assert ("root", "valkey", 0o640) == (file.user, file.group, file.mode)
    shown = host.check_output("systemctl show --property=ActiveState,UnitFileState --value keyfleet@default.service")
    assert ["active", "enabled"] == shown.split()
