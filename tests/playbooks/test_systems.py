"""Systems that no test runs on: their values load, every template renders with them, and their package managers are asked as they want."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.collection import ansible
from support.playbooks import ROOT, Deployment

VARS = ROOT / "roles/redis_server/vars"
APT = {"manager": "apt", "python": "python3-redis", "unit": "redis-server.service", "config": "/etc/redis/redis.conf"}
DNF = {"manager": "dnf", "python": "python3-redis", "unit": "valkey.service", "config": "/etc/valkey/valkey.conf"}
# For each system: its facts, the engine of its archive, and what follows.
SYSTEMS: dict[str, tuple[tuple[str, str, str], str, dict[str, Any]]] = {
    "debian12": (("Debian", "Debian", "12"), "redis", {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}),
    "debian13": (("Debian", "Debian", "13"), "redis", {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}),
    "ubuntu22": (("Debian", "Ubuntu", "22"), "", {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}),
    "ubuntu24": (("Debian", "Ubuntu", "24"), "redis", {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}),
    "ubuntu26": (("Debian", "Ubuntu", "26"), "redis", {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}),
    "rocky9": (
        ("RedHat", "Rocky", "9"),
        "redis",
        {**DNF, "unit": "redis.service", "config": "/etc/redis/redis.conf", "packages": ["@redis:7", "redis-1-2"]},
    ),
    "alma10": (("RedHat", "AlmaLinux", "10"), "valkey", {**DNF, "packages": ["valkey-1-2"]}),
    "fedora": (("RedHat", "Fedora", "43"), "valkey", {**DNF, "packages": ["valkey-1-2"]}),
    "alpine": (
        ("Alpine", "Alpine", "3"),
        "redis",
        {"manager": "apk", "python": "py3-redis", "unit": "redis.service", "config": "/etc/redis.conf", "packages": ["redis=1-2"]},
    ),
}
MANAGERS = ("systemd", "process")


def test_every_file_of_a_system_is_loaded_by_one_of_the_test() -> None:
    """A new file needs an entry in SYSTEMS."""
    names = {
        name
        for (family, distribution, release), _engine, _wanted in SYSTEMS.values()
        for name in (family, f"{family}_{release}", distribution, f"{distribution}_{release}")
    }
    assert {path.stem for path in VARS.glob("*.yml")} - {"main"} <= names


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what the role makes of each system and service manager: values, and files by path; in check mode, so nothing is touched."""
    folder = tmp_path_factory.mktemp("systems")
    hosts = {
        f"{host}-{manager}": {
            "family": facts[0],
            "distribution": facts[1],
            "release": facts[2],
            "redis_server_engine": engine or "redis",
            "redis_server_service_manager": manager,
        }
        for host, (facts, engine, _wanted) in SYSTEMS.items()
        for manager in MANAGERS
    }
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "redis_server_version": "1-2",
        "redis_server_password": "correct-horse-battery",
        "redis_server_state_dir": str(folder),
        "__redis_server_preflight": {"binary_present": True, "package_version": ""},
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"redis": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
    facts = {"os_family": "{{ family }}", "distribution": "{{ distribution }}", "distribution_major_version": "{{ release }}"}
    values = {
        "manager": "{{ __redis_server_package_manager }}",
        "python": "{{ __redis_server_python_redis }}",
        "unit": "{{ __redis_server_packaging.unit }}",
        "config": "{{ __redis_server_packaging.config }}",
        "packages": "{{ __redis_server_packages }}",
        "lacks": "{{ __redis_server_lacks }}",
        "files": "{{ __redis_server_written.diff | items2dict(key_name='after_header', value_name='after') }}",
    }
    roles = [
        {"ansible.builtin.import_role": {"name": "keyfleet.redis.redis_server", "tasks_from": step}}
        for step in ("validate", "system", "configure")
    ]
    tasks = [
        {"ansible.builtin.set_fact": {**facts, "effective_user_id": "0", "cacheable": True}},
        *roles,
        {
            "ansible.builtin.copy": {
                "dest": f"{folder}/{{{{ inventory_hostname }}}}.json",
                "content": "{{ told | to_json }}",
                "mode": "0600",
            },
            "vars": {"told": values},
            "check_mode": False,
        },
    ]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "redis", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    arguments = ("--check", "--diff", "-i", str(folder / "hosts.yml"), "play.yml")
    output = ansible("playbook", *arguments, folder=folder, collections=ROOT / ".collections")
    assert len(MANAGERS) * (len(SYSTEMS) - 2) == output.count("which is unproven")
    return {host: json.loads((folder / f"{host}.json").read_text(encoding="utf-8")) for host in hosts}


@pytest.mark.parametrize("host", SYSTEMS)
def test_values_are_those_of_the_system(told: dict[str, dict[str, Any]], host: str) -> None:
    """Packages, unit and paths are the system's own, a pinned version is written as its package manager wants, what it lacks is said."""
    _facts, engine, wanted = SYSTEMS[host]
    for manager in MANAGERS:
        found = told[f"{host}-{manager}"]
        helpers = [wanted["python"], *(["logrotate"] if manager == "systemd" else [])]
        assert {**wanted, "packages": [*wanted["packages"], *helpers]} == {name: found[name] for name in wanted}
        assert engine not in found["lacks"]
        assert (engine == "") == ({"redis", "valkey"} == set(found["lacks"]))


@pytest.mark.parametrize("host", SYSTEMS)
def test_every_file_renders(told: dict[str, dict[str, Any]], tmp_path: Path, host: str) -> None:
    """Under each service manager; the unit is read by systemd itself without a complaint about a line of it."""
    name = SYSTEMS[host][1] or "redis"
    files = told[f"{host}-systemd"]["files"]
    unit = tmp_path / "keyfleet@one.service"
    unit.write_text(next(text for path, text in files.items() if "keyfleet@.service" in path), encoding="utf-8")
    assert f"ExecStart=/usr/bin/{name}-server " in unit.read_text(encoding="utf-8")
    assert f"User={name}\nGroup={name}\n" in unit.read_text(encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert [] == [line for line in done.stderr.splitlines() if line.startswith(f"{unit}:")]
    files = told[f"{host}-process"]["files"]
    spec = json.loads(next(text for path, text in files.items() if "runner.json" in path))
    assert [f"/usr/bin/{name}-server", name, name] == [spec["argv"][0], spec["user"], spec["group"]]


APK = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
echo "(1/1) Installing redis (8.0.4-r0)"
echo "OK: 12 MiB in 20 packages"
"""


@pytest.mark.parametrize("present", [True, False])
def test_apk_is_asked_in_its_own_words(deployment: Deployment, present: bool) -> None:
    """A program in the place of apk records how it is called: a simulation in check mode, lists where something is to be fetched."""
    folder = deployment.folder / "bin"
    folder.mkdir()
    program = folder / "apk"
    program.write_text(APK, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    tasks = {"ansible.builtin.import_role": {"name": "redis_server", "tasks_from": "packages_apk"}}
    values = {"__redis_server_preflight": {"binary_present": present, "package_version": ""}}
    packages = {"__redis_server_packages": ["redis", "py3-redis"]}
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    one = {"hosts": "redis", "gather_facts": False, "environment": environment, "tasks": [{**tasks, "vars": {**values, **packages}}]}
    playbook = deployment.folder / "play.yml"
    playbook.write_text(json.dumps([one]), encoding="utf-8")
    for arguments in (("--check",), ()):
        assert ["redis_server : Packages | Install with apk"] == deployment.run(*arguments, playbook=str(playbook)).ok().changed
    lists = "" if present else "--update-cache "
    calls = (folder / "calls").read_text(encoding="utf-8").splitlines()
    assert [f"add --simulate {lists}redis py3-redis", f"add {lists}redis py3-redis"] == calls
