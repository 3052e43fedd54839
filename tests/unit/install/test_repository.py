# SPDX-License-Identifier: MIT
"""The files that make apt take the engine, and nothing else, from a repository."""

from __future__ import annotations

from keyfleet.core.install.repository import HEADER, Repository, preferences_text, repository_files, source_text

REPOSITORY = Repository("redis", ("redis-server", "redis-tools"), "https://mirror.example.org/redis/", "bookworm", ("main",), "KEY")


def test_source_trusts_one_key_for_itself_alone() -> None:
    """In apt's deb822 style; a flat repository has no components."""
    key_file = repository_files("redis")[0]
    fields = ["Types: deb", "URIs: https://mirror.example.org/redis/", "Suites: bookworm", "Components: main", f"Signed-By: {key_file}"]
    assert HEADER + "\n".join([*fields, ""]) == source_text(REPOSITORY, key_file)
    flat = Repository("redis", ("redis-server",), "file:/srv/mirror", "./", (), "KEY")
    assert "Components" not in source_text(flat, key_file)


def test_pins_take_the_packages_and_shut_out_the_rest() -> None:
    """990 is above other sources and below a downgrade; a version that is given is the only one."""
    newest = preferences_text(REPOSITORY.packages, "o=example,l=example")
    assert ["redis-server redis-tools", "*"] == [line[9:] for line in newest.splitlines() if line.startswith("Package: ")]
    assert ["990", "-1"] == [line[14:] for line in newest.splitlines() if line.startswith("Pin-Priority: ")]
    assert ["release o=example,l=example"] * 2 == [line[5:] for line in newest.splitlines() if line.startswith("Pin: ")]
    exact = preferences_text(REPOSITORY.packages, "o=example,l=example", "6:7.4.2-1")
    assert ["version 6:7.4.2-1", "release o=example,l=example"] == [line[5:] for line in exact.splitlines() if line.startswith("Pin: ")]
