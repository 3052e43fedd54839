# SPDX-License-Identifier: MIT
"""Source archives to build from: the distribution's own, the same one as another version, and a quick one around the installed program."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUICK_FLAGS = ["MALLOC=libc", "OPTIMIZATION=-O0"]
"""Flags that make a build a matter of seconds."""


@dataclass(frozen=True)
class Archive:
    """A tar archive with the source of *version*."""

    path: Path
    version: str

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def distribution_archive() -> Archive:
    """Return the source of Redis that the distribution ships; it is fetched if it is not there."""
    subprocess.run([str(ROOT / "scripts/sources")], check=True, stdout=subprocess.DEVNULL)
    (path,) = (ROOT / ".cache/sources").glob("redis_*.orig.tar.*")
    return Archive(path, re.findall(r"redis_(\d+\.\d+\.\d+)", path.name)[0])


def another_version(archive: Archive, folder: Path) -> Archive:
    """Return the same source, which says of itself that it is the next version."""
    parts = archive.version.split(".")
    version = ".".join([*parts[:2], str(int(parts[2]) + 1)])
    changed = folder / f"redis-{version}.tar.gz"
    with tarfile.open(archive.path) as old, tarfile.open(changed, "w:gz", compresslevel=1) as new:
        for member in old:
            content = old.extractfile(member) if member.isfile() else None
            if content and member.name.endswith("src/version.h"):
                text = content.read().replace(f'"{archive.version}"'.encode(), f'"{version}"'.encode())
                member.size, content = len(text), io.BytesIO(text)
            new.addfile(member, content)
    return Archive(changed, version)


def quick_archive(folder: Path, name: str = "quick", **files: str) -> Archive:
    """
    Return an archive whose make installs the program of this machine: what is built is a real server, and the build is none.

    Args:
        files: Content of ``version_h`` or ``makefile`` instead of what works.
    """
    program = str(shutil.which("redis-server"))
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.findall(r"v=(\d+\.\d+\.\d+)", printed)[0]
    content = {
        "src/version.h": files.get("version_h", f'#define REDIS_VERSION "{version}"\n'),
        "Makefile": files.get("makefile", f"all:\n\ninstall:\n\tmkdir -p $(PREFIX)/bin && cp {program} $(PREFIX)/bin/\n"),
    }
    path = folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for place, text in content.items():
            member = tarfile.TarInfo(f"redis-{version}/{place}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return Archive(path, version)
