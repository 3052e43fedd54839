# SPDX-License-Identifier: GPL-3.0-or-later
"""The server is what the inventory says, and keeps its data; asked from the server itself."""

from __future__ import annotations

import uuid

from nodes import Instance

DISTRIBUTION_VERSIONS = {("debian", "12", "redis"): "7.0.", ("debian", "13", "redis"): "8.0.", ("debian", "13", "valkey"): "8.1."}


def test_runs_the_engine_of_the_distribution(instance: Instance) -> None:
    """The process that answers is the unit's, of the engine and version that the distribution ships."""
    info, system = instance.info("server"), instance.host.system_info
    version = info["valkey_version"] if instance.engine == "valkey" else info["redis_version"]
    wanted = DISTRIBUTION_VERSIONS[system.distribution, system.release.partition(".")[0], instance.engine]
    assert ("active", "enabled", instance.pid()) == (
        instance.property("ActiveState"),
        instance.property("UnitFileState"),
        int(instance.property("MainPID")),
    )
    assert version.startswith(wanted)


def test_written_data_survives_a_restart(instance: Instance) -> None:
    """Write, restart, read back: another process, the same data."""
    value, before = uuid.uuid4().hex, instance.pid()
    assert "OK" == instance.cli("SET", "molecule:restart", value)
    instance.restart()
    assert value == instance.cli("GET", "molecule:restart")
    assert before != instance.pid()


def test_directives_of_the_inventory_are_active(instance: Instance) -> None:
    """What all instances share and what one has alone, in the server's own form."""
    policy = {"default": "noeviction", "sessions": "allkeys-lru"}[instance.name]
    assert ("67108864", "900 1 300 10", "yes", policy) == tuple(
        instance.config(name) for name in ("maxmemory", "save", "appendonly", "maxmemory-policy")
    )


def test_is_secure_by_default(instance: Instance) -> None:
    """Loopback only, protected, and no login without the password."""
    assert ("yes", "127.0.0.1 -::1") == (instance.config("protected-mode"), instance.config("bind"))
    assert instance.cli("PING", password="").startswith("NOAUTH")
    assert "WRONGPASS" in instance.cli("PING", password="wrong")
    listening = instance.host.check_output("ss --no-header --listening --tcp --numeric 'sport = :%s'", str(instance.port))
    assert {"127.0.0.1", "[::1]"} >= {line.split()[3].rpartition(":")[0] for line in listening.splitlines()} != set()


def test_package_instance_does_not_run(instance: Instance) -> None:
    """The unit that the package brings is not in the way, now and after a reboot."""
    shown = instance.host.check_output("systemctl show --property=ActiveState,LoadState --value %s", f"{instance.engine}-server.service")
    assert {"inactive", "masked"} == set(shown.split())


def test_a_user_of_the_inventory_may_what_it_says(instance: Instance) -> None:
    """Read, and nothing else."""
    assert "" == instance.cli("--user", "app", "GET", "molecule:none", password="kf-molecule-of-app")
    assert "NOPERM" in instance.cli("--user", "app", "SET", "molecule:none", "1", password="kf-molecule-of-app")
