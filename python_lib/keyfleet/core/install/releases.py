# SPDX-License-Identifier: MIT
"""
Releases of the server, built from source and kept beside each other; a link says which one is in use.

    FOLDER/releases/7.0.15-1f2e3d4c/bin/redis-server    version, and a digest of what it was built from and how
    FOLDER/current  -> releases/7.0.15-1f2e3d4c         replaced by rename, so that it is always one or the other
    FOLDER/previous -> releases/7.0.14-0a1b2c3d         what it was before
    FOLDER/build.log                                    of the last build

A release is built in a folder of its own and gets its name by rename when it is complete and has proven itself, so that a failed or
killed build leaves nothing that could be taken for one.

Source:
    The README of Redis and of Valkey for BUILD_TLS, USE_SYSTEMD, MALLOC and PREFIX.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..directives.throwaway import config_get, engine_version, throwaway
from ..errors import BuildError, KeyfleetError, RefusedError
from ..host.commands import run
from ..host.processes import pids, program_files

BUILD_SECONDS = 3600  # also how long a second run waits for a build that is under way
POLL_SECONDS = 0.5
LOG_LINES = 15
_HEADERS = {"openssl/ssl.h": "libssl-dev", "systemd/sd-daemon.h": "libsystemd-dev"}


@dataclass(frozen=True)
class Release:
    """
    The release that shall be in use.

    Attributes:
        engine, version: What the source says that it is.
        sha256: Of the archive with the source.
        make_flags: More for make, each ``NAME=VALUE``.
        systemd: Whether the server shall notify systemd when it is ready.
        folder: Where the releases are.
        keep: Number of releases to keep; those in use and the previous one are kept in any case.
        jobs: Compilers at a time.
    """

    engine: str
    version: str
    sha256: str
    folder: str
    make_flags: tuple[str, ...] = ()
    systemd: bool = False
    keep: int = 3
    jobs: int = 2

    @property
    def flags(self) -> tuple[str, ...]:
        """Return all flags of make that change what is built."""
        return ("BUILD_TLS=yes", f"USE_SYSTEMD={'yes' if self.systemd else 'no'}", *self.make_flags)

    @property
    def name(self) -> str:
        """Return the name of the release: another source, or other flags, make another one."""
        return f"{self.version}-{hashlib.sha256(' '.join((self.sha256, *self.flags)).encode()).hexdigest()[:8]}"

    @property
    def releases(self) -> Path:
        """Return the folder of all releases."""
        return Path(self.folder, "releases")


@dataclass(frozen=True)
class ReleasePlan:
    """
    What was found, and what is to be done.

    Attributes:
        current: Name of the release in use; empty for none.
        built: Whether the desired release is there.
        missing: What building needs and the host lacks, by Debian's names; empty if nothing is to be built.
        pruned: Names of releases to remove.
    """

    release: Release
    current: str
    built: bool
    missing: tuple[str, ...]
    pruned: tuple[str, ...]

    @property
    def actions(self) -> list[str]:
        """Return what is to be done: ``build``, ``switch``, ``prune``."""
        wanted = {"build": not self.built, "switch": self.current != self.release.name, "prune": bool(self.pruned)}
        return [action for action, is_wanted in wanted.items() if is_wanted]


def plan_release(release: Release) -> ReleasePlan:
    """
    Compare the host with the desired release.

    Raises:
        RefusedError: if something else is in the place of a link.
    """
    current, previous = (_linked(release, link) for link in ("current", "previous"))
    built = (release.releases / release.name).is_dir()
    kept = {release.name, previous if current in ("", release.name) else current, *_running(release)}
    return ReleasePlan(release, current, built, () if built else tuple(_missing(release)), tuple(_too_many(release, kept)))


def apply(findings: ReleasePlan, fetch: Callable[[str], None]) -> None:
    """Build the release where it is not there, switch to it, and remove those that are too many; see ``build`` for *fetch* and errors."""
    if not findings.built:
        build(findings.release, fetch)
    switch(findings.release)
    for name in findings.pruned:
        shutil.rmtree(findings.release.releases / name)


def build(release: Release, fetch: Callable[[str], None]) -> None:
    """
    Build the release, unless it is there.

    Args:
        fetch: Brings the archive to a path.
    Raises:
        RefusedError: if the archive is not the desired one; nothing was unpacked.
        BuildError: if it cannot be built, or is not what it should be.
    """
    _make_folders(release.releases)
    with _locked(release):
        if (release.releases / release.name).is_dir():  # by a run that was under way
            return
        for left in release.releases.glob(".build-*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        lacking = list(_missing(release))
        if lacking:
            raise RefusedError(f"building needs {', '.join(lacking)}, which this host lacks")
        with tempfile.TemporaryDirectory(prefix=".build-", dir=release.releases) as folder:
            archive = f"{folder}/archive"
            fetch(archive)
            _check_sum(release, archive)
            source = Path(folder, "source")
            source.mkdir()
            _unpack(archive, source)
            _check_source(release, source)
            target = Path(folder, "release")
            _make(release, source, "all", f"-j{release.jobs}")
            _make(release, source, "install", f"PREFIX={target}")
            _check_program(release, target)
            for path in (target, *target.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755)
            target.rename(release.releases / release.name)


def switch(release: Release) -> None:
    """Let ``current`` lead to the desired release, and ``previous`` to what it was."""
    current = _linked(release, "current")
    if current != release.name:
        if current:
            _link(release, "previous", current)
        _link(release, "current", release.name)


def _linked(release: Release, link: str) -> str:
    """Return the release that a link leads to; empty if there is none."""
    path = Path(release.folder, link)
    if not path.is_symlink():
        if path.exists():
            raise RefusedError(f"{path} is no symbolic link, so keyfleet did not make it: move it away")
        return ""
    target = path.readlink()
    return target.name if (path.parent / target).is_dir() else ""


def _link(release: Release, link: str, name: str) -> None:
    draft = Path(release.folder, f".{link}.{secrets.token_hex(6)}")
    draft.symlink_to(f"releases/{name}")
    draft.replace(Path(release.folder, link))


def _names(release: Release) -> list[str]:
    """Return the releases that are there, the newest first."""
    try:
        folders = [path for path in release.releases.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    return [path.name for path in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)]


def _running(release: Release) -> set[str]:
    """Return the releases that processes of this host run."""
    top = os.path.realpath(release.releases)
    found = set()
    for program in (Path(path) for pid in pids() for path in program_files(pid).values()):
        if top in map(str, program.parents):
            found.add(program.relative_to(top).parts[0])
    return found


def _too_many(release: Release, kept: set[str]) -> Iterator[str]:
    """Yield the releases beyond the number to keep, never one of *kept*."""
    others = [name for name in _names(release) if name not in kept]
    room = max(0, release.keep - len(kept - {""}))
    yield from others[room:]


def _missing(release: Release) -> Iterator[str]:
    """Yield what building needs and the host lacks: programs, and the packages of headers."""
    programs = [program for program in ("make", "gcc", "tar") if shutil.which(program) is None]
    yield from programs
    if "gcc" not in programs:
        for header, package in _HEADERS.items():
            wanted = release.systemd or package != "libsystemd-dev"
            if wanted and run(["gcc", "-E", "-include", header, "-x", "c", "/dev/null"]).returncode != 0:
                yield package


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, for every user to pass through."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(absent):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


@contextlib.contextmanager
def _locked(release: Release) -> Iterator[None]:
    """Hold the lock of the folder: a killed run of Ansible may have left its build under way."""
    with open(Path(release.folder, ".lock"), "w") as file:  # noqa: PTH123 - fcntl wants a file object
        deadline = time.monotonic() + BUILD_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BuildError(f"another build in {release.folder} has been under way for {BUILD_SECONDS} s") from error
            time.sleep(POLL_SECONDS)
        yield


def _check_sum(release: Release, archive: str) -> None:
    found = file_sha256(archive)
    if found != release.sha256:
        raise RefusedError(wrong_sum(release.sha256, found))


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def wrong_sum(expected: str, found: str) -> str:
    """Return what to say of an archive with another checksum."""
    return f"redis_server_archive_sha256 is {expected!r}, and the archive has {found!r}: it is another file, and nothing of it was used"


def _unpack(archive: str, source: Path) -> None:
    """Unpack without the folder that holds everything; tar refuses names that lead out of the target."""
    done = run(["tar", "-x", "--no-same-owner", "--strip-components=1", "-f", archive, "-C", str(source)], BUILD_SECONDS)
    if done.returncode != 0:
        raise BuildError(f"the archive cannot be unpacked: {' '.join(done.stderr.split())[:500]}")


def _check_source(release: Release, source: Path) -> None:
    """Compare what the source says of itself with the desired release, before minutes are spent on it."""
    try:
        text = (source / "src/version.h").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BuildError("the archive has no src/version.h: it is no source of Redis or Valkey") from error
    found = dict(re.findall(r'^#define\s+(REDIS|VALKEY)_VERSION\s+"([^"]+)"', text, re.MULTILINE))
    engine = "valkey" if "VALKEY" in found else "redis"
    _check_same(release, engine, found.get(engine.upper(), ""), "the archive holds")


def _check_same(release: Release, engine: str, version: str, what: str) -> None:
    if engine != release.engine:
        raise RefusedError(f"redis_server_engine is {release.engine!r}, and {what} {engine} {version}")
    if version != release.version:
        raise RefusedError(f"redis_server_version is {release.version!r}, and {what} {engine} {version}")


def _make(release: Release, source: Path, target: str, *words: str) -> None:
    """Run make with a clean environment, behind other work of the host, and keep what it printed."""
    done = run(["timeout", "-s", "KILL", str(BUILD_SECONDS), "nice", "make", "-C", str(source), target, *release.flags, *words])
    log = Path(release.folder, "build.log")
    with log.open("w" if target == "all" else "a", encoding="utf-8") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise BuildError("\n  ".join([f"make {target} failed ({log}):", *_last_lines(done.stdout + "\n" + done.stderr)]))


def _last_lines(text: str) -> Iterable[str]:
    return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]


def _check_program(release: Release, target: Path) -> None:
    """Ask the program what it is, and whether it speaks TLS."""
    program = str(target / "bin" / f"{release.engine}-server")
    try:
        _check_same(release, *engine_version(program), "what was built is")
        with throwaway(program, []) as ask:
            has_tls = bool(config_get(ask, "tls-port"))
    except RefusedError as error:
        raise BuildError(str(error)) from error
    except KeyfleetError as error:
        raise BuildError(f"what was built does not run: {error}") from error
    if not has_tls:
        raise BuildError("what was built has no TLS, though BUILD_TLS=yes was given")
