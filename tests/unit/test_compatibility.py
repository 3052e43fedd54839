# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of versions in README says what the packages demand and what the tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tomllib
import yaml

ROOT = Path(__file__).resolve().parents[2]


def text(name: str) -> str:
    """Return the content of a file of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def matched(pattern: str, name: str) -> str:
    """Return the first group of *pattern* in a file; what it finds is what a tool reads."""
    found = re.search(pattern, text(name), re.MULTILINE)
    assert found, f"{name} has no {pattern}"
    return found[1]


ROWS = dict(
    re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text("README.md").partition("## Compatibility")[2].partition("\n## ")[0], re.MULTILINE)
)
PROJECT: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]


def test_servers_are_those_that_tests_run_on() -> None:
    """The argument --servers of `make test`."""
    run = re.findall(r"(redis|valkey)-([\d.]+)", matched(r'^SERVERS = "--servers (.*)"', "scripts/parts.toml"))
    named = ROWS["servers"].replace(" and ", ", Redis ")
    assert run == [(engine.lower(), version) for engine, version in re.findall(r"(Redis|Valkey) ([\d.]+)", named)]


def test_systems_are_the_proven_ones() -> None:
    """The page of systems has the same, and molecule has an image of each."""
    systems = re.findall(r"Debian (\d+)", ROWS["systems of the hosts"])
    assert systems == re.findall(r"Debian (\d+)", matched(r"^\*\*Proven\*\* are (.*?):", "docs/operations/systems.md"))
    assert systems == re.findall(r"(\d+):", matched(r"^for release in (.*:[a-z]+.*);", "scripts/images"))


def test_ansible_core_is_what_the_collection_claims() -> None:
    """The oldest is run by a playbook test, in the environment of constraints-ansible-floor.txt."""
    oldest, installed = re.findall(r"\d+\.\d+", ROWS["ansible-core"])
    assert yaml.safe_load(text("meta/runtime.yml"))["requires_ansible"] == f">={oldest}.0"
    assert matched(r"^ansible-core==(\d+\.\d+)", "constraints-ansible-floor.txt") == oldest
    assert f"ansible-core>={installed}," in PROJECT["optional-dependencies"]["deploy"][0]


def test_python_and_redis_py_of_hosts_are_what_is_checked() -> None:
    """vermin reads the code for that Python, scripts/floor runs the tests with that redis-py."""
    python, redis_py = re.findall(r"\d+\.\d+", ROWS["Python of the hosts"])
    assert matched(r"vermin .*--target=([\d.]+)-", "scripts/lint") == python
    assert matched(r"^redis==(\d+\.\d+)", "constraints-floor.txt") == redis_py


def test_python_of_the_controller_is_what_the_scripts_accept() -> None:
    """scripts/venv refuses an older one."""
    (python,) = re.findall(r"\d+\.\d+", ROWS["Python of the controller"])
    assert matched(r"sys\.version_info < \(([\d, ]+)\)", "scripts/venv").replace(", ", ".") == python


def test_python_and_redis_py_of_applications_are_what_the_wheel_demands() -> None:
    """Its metadata, and the environment of the oldest redis-py."""
    python, redis_py = re.findall(r"\d+\.\d+", ROWS["Python of applications"])
    newest = int(ROWS["Python of applications"].rpartition(" to ")[2])
    assert PROJECT["requires-python"] == f">={python}"
    assert PROJECT["dependencies"] == [f"redis>={redis_py},<{newest + 1}"]
    assert matched(r"^redis==(\d+\.\d+)", "constraints-client-floor.txt") == redis_py
