# SPDX-License-Identifier: MIT
"""The collection, built from the checkout as it is and installed into an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collection import ansible

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built collection."""
    folder = tmp_path_factory.mktemp("build")
    ansible("galaxy", "collection", "build", str(ROOT), "--output-path", str(folder), folder=folder)
    return next(folder.glob("keyfleet-redis-*.tar.gz"))


@pytest.fixture(scope="session")
def collections(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that holds the installed collection and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    ansible("galaxy", "collection", "install", str(tarball), "--offline", "--collections-path", str(folder), folder=folder)
    return folder
