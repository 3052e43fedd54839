# SPDX-License-Identifier: MIT
"""Fixtures for all tests; those of the servers are the library's own plugin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from keyfleet.testing._binaries import FOLDER_VARIABLE, find_binary
from keyfleet.testing._kept import Kept
from keyfleet.testing.servers import Server, ServerStartError, start_server

# Machines are shared, so no example has a deadline. Each run tries the same examples: what fails once fails again.
settings.register_profile("keyfleet", deadline=None, derandomize=True)
settings.load_profile("keyfleet")

pytest_plugins = ["keyfleet.testing.plugin"]

# Read by pytest-timeout: a test that takes longer hangs. The slowest takes a tenth of it on an idle machine.
os.environ.setdefault("PYTEST_TIMEOUT", "600")

PASSWORD = "correct-horse-battery"
os.environ.setdefault(FOLDER_VARIABLE, str(Path(__file__).parents[1] / ".cache/servers"))  # made by scripts/servers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the servers that `target` runs on."""
    meaning = (
        "servers for tests of each topology, as in redis-7.0,valkey-8.1,valkey-9.1?; the first runs all topologies, and one with a "
        "question mark is left out where it is not installed (default: %(default)s)"
    )
    parser.addoption("--servers", default="redis-7.0", help=meaning)
    parser.addoption("--full", action="store_true", help="also run what takes minutes, and on every server")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to begin when a server that was asked for is not here; drop those that are optional."""
    found = []
    for engine in config.getoption("servers").split(","):
        try:
            find_binary(engine.rstrip("?"))
        except ServerStartError as error:
            if not engine.endswith("?"):
                raise pytest.UsageError(f"--servers: {error}; scripts/servers makes those of other versions") from error
        else:
            found.append(engine.rstrip("?"))
    config.option.servers = ",".join(found)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``full``, unless with ``--full``."""
    left_out = [] if config.getoption("full") else [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def no_redis_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the caller's own REDIS_ variables."""
    for name in [name for name in os.environ if name.startswith("REDIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def kept_password_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Server]]:
    """The session's server with a password; tests use `password_server`."""
    kept = Kept(lambda folder: start_server(folder, password=PASSWORD), lambda: tmp_path_factory.mktemp("password_server"))
    yield kept
    kept.stop()


@pytest.fixture
def password_server(kept_password_server: Kept[Server]) -> Server:
    """A server whose default user has the password PASSWORD (``password_server.password``), empty."""
    return kept_password_server.fresh()
