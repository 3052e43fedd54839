"""Package managers that no test runs: they are asked in their own words."""

from __future__ import annotations

import json
import stat

import pytest
from support.playbooks import Deployment

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
