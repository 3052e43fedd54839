# SPDX-License-Identifier: MIT
"""Variables that say where the program comes from are refused from the inventory alone, in one clear sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.install.validation import KEY_BEGIN, install_problems

REPO = {"uri": "https://mirror.example.org/redis", "suite": "bookworm", "components": ["main"], "key": f"\n{KEY_BEGIN}\n\nAAAA\n"}

ARCHIVE = {"source": "/srv/redis-7.0.15.tar.gz", "sha256": "0a" * 32, "make_flags": [], "keep": 3, "jobs": 2}


def found(method: str, version: str = "", **more: Any) -> list[str]:
    """Return the problems of an install method."""
    return list(install_problems({"install_method": method, "version": version, **more}))


def repo(**options: Any) -> list[str]:
    """Return the problems of a repository."""
    return found("repo", repo={**REPO, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"uri": "file:/srv/mirror"},
        {"uri": "file:///srv/mirror"},
        {"uri": "http://192.0.2.7:8081/redis/", "suite": "./", "components": []},
        {"suite": "bookworm/updates", "components": ["main", "extra"]},
    ],
)
def test_repositories_that_apt_can_use_pass(options: dict[str, Any]) -> None:
    """With components or flat, on the network or on a disk."""
    assert [] == repo(**options)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("uri", "", ["is ''", "https://mirror.example.org/redis"]),
        ("uri", "mirror.example.org", ["'mirror.example.org'", "http:, https:, file:"]),
        ("uri", "ftp://mirror.example.org", ["'ftp://mirror.example.org'"]),
        ("uri", "https://mirror.example.org/a b", ["a b"]),
        ("uri", "http://[", ["'http://['"]),
        ("uri", "file:relative", ["'file:relative'"]),
        ("suite", "", ["is ''", "bookworm"]),
        ("suite", "a\nTrusted: yes", ["Trusted"]),
        ("components", ["main x"], ["'main x'", "[main]"]),
        ("components", "main", ["'main'", "a list"]),
        ("components", [], ["is []", "at least one"]),
        ("suite", "./", ["components", "'./'"]),
        ("key", "", ["is not given", KEY_BEGIN]),
        ("key", "/etc/key.asc", ["'/etc/key.asc'", "no file on the controller"]),
        ("key", "AAAA", ["holds something else", "public key"]),
    ],
)
def test_other_repositories_are_refused(option: str, value: object, words: list[str]) -> None:
    """One message that names the variable."""
    (problem,) = repo(**{option: value})
    assert problem.startswith("redis_server_repo_")
    assert [] == [word for word in words if word not in problem], problem


def test_a_login_is_not_repeated() -> None:
    """A password in the address would be in a file that everybody reads, and in the message."""
    (problem,) = repo(uri="https://me:hush-hush@mirror.example.org/")
    assert "redis_server_repo_uri holds a login" in problem
    assert "hush-hush" not in problem


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"source": "https://mirror.example.org/redis-7.0.15.tar.gz"},
        {"make_flags": ["MALLOC=libc", "OPTIMIZATION=-O2 -g", "CFLAGS="]},
        {"keep": "2", "jobs": 8},
    ],
)
def test_archives_that_can_be_built_pass(options: dict[str, Any]) -> None:
    """From an address or a file; a template may give numbers as text."""
    assert [] == found("archive", "7.0.15", archive={**ARCHIVE, **options})


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("source", "", ["is ''", "path of a file on the controller"]),
        ("source", "redis.tar.gz", ["'redis.tar.gz'"]),
        ("source", "file:///srv/redis.tar.gz", ["'file:///srv/redis.tar.gz'"]),
        ("sha256", "", ["is ''", "64 of 0-9 and a-f"]),
        ("sha256", "A" * 64, ["AAAA"]),
        ("make_flags", ["MALLOC"], ["'MALLOC'", "NAME=VALUE"]),
        ("make_flags", ["A=b\nc"], ["NAME=VALUE"]),
        ("make_flags", [1], ["has 1", "NAME=VALUE"]),
        ("make_flags", ["PREFIX=/usr"], ["'PREFIX=/usr'", "decided by the role"]),
        ("make_flags", ["USE_SYSTEMD=yes"], ["decided by the role"]),
        ("keep", 1, ["is 1", "2 or more"]),
        ("jobs", 0, ["is 0", "1 or more"]),
    ],
)
def test_other_archives_are_refused(option: str, value: object, words: list[str]) -> None:
    """One message that names the variable."""
    (problem,) = found("archive", "7.0.15", archive={**ARCHIVE, option: value})
    assert problem.startswith(f"redis_server_archive_{option}")
    assert [] == [word for word in words if word not in problem], problem


@pytest.mark.parametrize("version", ["", "7.0", "5:7.0.15-1", "7.0.15/..", "latest"])
def test_an_archive_needs_the_version_that_it_holds(version: str) -> None:
    """It is the name of a folder, and is compared with the source."""
    (problem,) = found("archive", version, archive=ARCHIVE)
    assert f"redis_server_version is {version!r}" in problem


def test_options_of_a_method_that_is_not_used_are_ignored() -> None:
    """A host may take the distribution's package while the group's variables name a repository."""
    assert [] == found("distro", repo={**REPO, "key": ""})
