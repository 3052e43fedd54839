# SPDX-License-Identifier: MIT
"""The wheel that applications install carries the library, under its own licence, and nothing of the collection."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; built from a copy, because setuptools leaves a build folder behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("python_lib", "LICENSES"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "galaxy.yml"):
        shutil.copy(ROOT / name, folder)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("keyfleet-*.whl"))


def test_holds_the_library_and_its_metadata_only(wheel: Path) -> None:
    """Every file is the library's or the wheel's own."""
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert {"keyfleet", info} == {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}


def test_holds_every_file_of_the_library(wheel: Path) -> None:
    """Nothing of the library is forgotten, the mark of a typed package included."""
    library = ROOT / "python_lib"
    wanted = {str(path.relative_to(library)) for path in (library / "keyfleet").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert wanted == {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("keyfleet/")}


def test_has_the_version_of_the_collection(wheel: Path) -> None:
    """One place says it."""
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == wheel.name.split("-")[1]


def test_is_under_the_mit_licence_alone(wheel: Path) -> None:
    """The metadata says MIT, and the only licence text inside is that."""
    archive = zipfile.ZipFile(wheel)
    metadata = message_from_bytes(archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))))
    texts = [name for name in archive.namelist() if "/licenses/" in name]
    assert ("MIT", ["LICENSES/MIT.txt"]) == (metadata["License-Expression"], [name.partition("/licenses/")[2] for name in texts])
    assert b"MIT License" in archive.read(texts[0])


def test_no_file_of_the_library_names_another_licence() -> None:
    """Applications may import everything below python_lib."""
    files = (ROOT / "python_lib" / "keyfleet").rglob("*.py")
    assert [] == [
        str(path.relative_to(ROOT)) for path in files if not path.read_text(encoding="utf-8").startswith("# SPDX-License-Identifier: MIT")
    ]
