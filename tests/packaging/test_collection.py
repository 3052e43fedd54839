# SPDX-License-Identifier: MIT
"""The same tree runs as an installed collection."""

from __future__ import annotations

import json
import socket
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from keyfleet.testing.servers import Server
from support.collection import LITTER, ansible
from support.playbooks import free_port, unprivileged

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path("ansible_collections/keyfleet/redis")


def names(tarball: Path) -> set[str]:
    """Return the paths that *tarball* holds."""
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive.getmembers()}


def test_tarball_has_no_litter_and_no_secrets(tarball: Path) -> None:
    """What lies around in a checkout that is worked in does not travel; what git keeps does."""
    assert set() == {
        name for name in names(tarball) if name in LITTER or {".venv", ".cache", ".git", ".keyfleet", "__pycache__"} & set(Path(name).parts)
    }


def test_tarball_has_the_core_and_the_licences(tarball: Path) -> None:
    """Modules find the library, and readers what they may do with it."""
    wanted = {"python_lib/keyfleet/core/connect/client.py", "LICENSES/MIT.txt", "LICENSES/GPL-3.0-or-later.txt", "meta/runtime.yml"}
    assert set() == wanted - names(tarball)


def test_installed_module_utils_are_the_core(collections: Path) -> None:
    """The link from module_utils to the library survives building and installing."""
    utils = collections / INSTALLED / "plugins/module_utils/keyfleet"
    wanted = {path.name for path in (ROOT / "python_lib/keyfleet/core").rglob("*.py")}
    assert wanted == {path.name for path in utils.rglob("*.py")}


def test_every_module_has_its_documentation(collections: Path, tmp_path: Path) -> None:
    """ansible-doc reads each module of the installed collection."""
    modules = sorted(f"keyfleet.redis.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py"))
    shown = ansible("doc", "--json", "--type", "module", *modules, folder=tmp_path, collections=collections)
    assert modules == sorted(json.loads(shown))


def test_redis_key_works_from_the_installed_collection(collections: Path, tmp_path: Path, redis_server: Server) -> None:
    """A user's play runs a module of the collection on a real server."""
    task = {
        "keyfleet.redis.redis_key": {"key": "greeting", "value": "hello", "login_host": redis_server.host, "login_port": redis_server.port}
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    command = ("playbook", "-i", "here,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", "play.yml")
    assert "changed=1 " in ansible(*command, folder=tmp_path, collections=collections)
    assert "changed=0 " in ansible(*command, folder=tmp_path, collections=collections)
    assert b"hello" == redis_server.client().get("greeting")


def test_site_deploys_from_the_installed_collection(collections: Path, tmp_path: Path) -> None:
    """Unprivileged: keyfleet.redis.site deploys and proves a node, a second run changes nothing, keyfleet.redis.destroy stops it."""
    port = free_port()
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "redis_server_root": str(tmp_path / "root"),
        "redis_server_install_method": "none",
        "redis_server_service_manager": "process",
        "redis_server_instances": [{"name": "default", "port": port}],
    }
    (tmp_path / "root").mkdir()
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"redis": {"hosts": {"here": host}}}), encoding="utf-8")

    def run(playbook: str) -> str:
        return ansible("playbook", "-i", "hosts.yml", playbook, folder=tmp_path, collections=collections, prefix=unprivileged())

    try:
        assert "failed=0 " in run("keyfleet.redis.site")
        assert "changed=0 " in run("keyfleet.redis.site")
        # Not next to the inventory: without our ansible.cfg Ansible would read it as one.
        assert (tmp_path / ".keyfleet/redis@here.env").exists()
    finally:
        run("keyfleet.redis.destroy")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
