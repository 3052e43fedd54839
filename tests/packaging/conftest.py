# SPDX-License-Identifier: MIT
"""The collection, built from the checkout and installed into an empty folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.collection import LITTER, ansible

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from a copy of this checkout that is littered."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "checkout"
    subprocess.run(["bash", "-c", f". {ROOT}/scripts/lib.sh; copy_tree {copy}"], check=True, timeout=60)
    for name in LITTER:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("litter", encoding="utf-8")
    ansible("galaxy", "collection", "build", str(copy), "--output-path", str(folder), folder=folder)
    return next(folder.glob("keyfleet-redis-*.tar.gz"))


@pytest.fixture(scope="session")
def collections(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that holds the installed collection and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    ansible("galaxy", "collection", "install", str(tarball), "--offline", "--collections-path", str(folder), folder=folder)
    return folder
