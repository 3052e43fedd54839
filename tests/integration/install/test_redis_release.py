# SPDX-License-Identifier: MIT
"""The module redis_release: what is in use is complete, is the requested release, and is never removed; the programs are real servers."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.archives import Archive, quick_archive
from support.modules import Result, assert_check_predicts, run_module

pytestmark = pytest.mark.slow


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an archive that is built in a moment."""
    return quick_archive(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the releases, which is not there yet."""
    return tmp_path / "opt/keyfleet/redis"


def arguments(archive: Archive, folder: Path, *, mark: str = "", **more: Any) -> dict[str, Any]:
    """Return the arguments for an archive on this host; another *mark* makes another release."""
    given = {"engine": "redis", "version": archive.version, "sha256": archive.sha256, "folder": str(folder), "make_flags": [f"MARK={mark}"]}
    return {**given, "archive": str(archive.path), "copied_archive": str(archive.path), **more}


def online(archive: Archive, folder: Path, address: str, **more: Any) -> dict[str, Any]:
    """Return the arguments for an archive that the host downloads."""
    return {**arguments(archive, folder, **more), "archive": address, "copied_archive": None}


def names(folder: Path) -> list[str]:
    """Return everything in the folder of releases, hidden leftovers included."""
    return sorted(path.name for path in (folder / "releases").iterdir())


def installed(archive: Archive, folder: Path, **options: Any) -> Result:
    """Run the module, which must go well."""
    result = run_module("redis_release", arguments(archive, folder, **options))
    assert not result.failed, result.data
    return result


def test_builds_once_and_switches(archive: Archive, folder: Path) -> None:
    """Check mode says what a run does; a second run does nothing; other users can run the program."""
    first = assert_check_predicts("redis_release", arguments(archive, folder))
    assert ["build", "switch"] == first["actions"]
    again = assert_check_predicts("redis_release", arguments(archive, folder))
    assert (False, []) == (again.changed, again["actions"])
    assert [first["release"]] == names(folder)
    modes = {path.stat().st_mode & 0o777 for path in (folder, *(folder / "releases").rglob("*"))}
    assert {0o755} == modes
    printed = subprocess.run([folder / "current/bin/redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    assert f"v={archive.version}" in printed


def test_check_mode_makes_nothing(archive: Archive, folder: Path) -> None:
    """Not even the folder."""
    result = run_module("redis_release", arguments(archive, folder), check=True, diff=True)
    assert (True, f"{result['release']}\n") == (result.changed, result["diff"]["after"])
    assert not folder.exists()


def test_going_back_builds_nothing(archive: Archive, folder: Path) -> None:
    """The archive is not even read."""
    first, second = (installed(archive, folder, mark=mark)["release"] for mark in "ab")
    back = assert_check_predicts("redis_release", arguments(archive, folder, mark="a", copied_archive="/nonexistent"))
    assert ["switch"] == back["actions"]
    assert [f"releases/{first}", f"releases/{second}"] == [str((folder / link).readlink()) for link in ("current", "previous")]


VALKEY = '#define VALKEY_VERSION "8.1.1"\n#define REDIS_VERSION "7.2.4"\n'
OTHER_PROGRAM = """\
all:

install:
\tmkdir -p $(PREFIX)/bin
\tprintf '#!/bin/sh\\necho Redis server v=1.2.3' >$(PREFIX)/bin/redis-server
\tchmod 755 $(PREFIX)/bin/redis-server
"""
BROKEN: dict[str, tuple[dict[str, str], dict[str, Any], list[str]]] = {
    "checksum": ({}, {"sha256": "0" * 64}, ["redis_server_archive_sha256", "0" * 64, "nothing of it was used"]),
    "version": ({}, {"version": "6.9.9"}, ["redis_server_version is '6.9.9'", "the archive holds redis"]),
    "engine": (
        {"version_h": '#define VALKEY_VERSION "8.1.1"\n#define REDIS_VERSION "7.2.4"\n'},
        {},
        ["valkey 8.1.1", "redis_server_engine"],
    ),
    "no_source_of_redis": ({"version_h": "int x;\n"}, {}, ["redis_server_version", "the archive holds"]),
    "make": ({"makefile": "all:\n\t@echo the compiler is out of luck && false\n"}, {}, ["make all failed", "out of luck", "build.log"]),
    "install": ({"makefile": "all:\n\ninstall:\n\tfalse\n"}, {}, ["make install failed"]),
    "program_missing": ({"makefile": "all install:\n"}, {}, ["cannot run"]),
    "program_of_another_version": ({"makefile": OTHER_PROGRAM}, {}, ["what was built is redis 1.2.3"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_fails_leaves_what_is_in_use(archive: Archive, folder: Path, tmp_path: Path, name: str) -> None:
    """A message with the reason; the link and the releases are as they were, and no half of a build is left."""
    first = installed(archive, folder)["release"]
    files, options, words = BROKEN[name]
    broken = quick_archive(tmp_path, "broken", **files)
    result = run_module("redis_release", arguments(broken, folder, mark="b", **options))
    assert result.failed
    assert [] == [word for word in words if word not in result["msg"]], result["msg"]
    assert [first] == names(folder)
    assert f"releases/{first}" == str((folder / "current").readlink())


def test_wrong_checksum_unpacks_nothing(folder: Path, tmp_path: Path) -> None:
    """An archive that would fail to unpack is not opened: the checksum is the reason."""
    (tmp_path / "evil.tar.gz").write_text("no archive at all")
    result = run_module("redis_release", arguments(Archive(tmp_path / "evil.tar.gz", "7.0.15"), folder, sha256="0" * 64))
    assert "redis_server_archive_sha256" in result["msg"]
    assert not (folder / "build.log").exists()


def test_old_releases_go_and_those_that_count_stay(archive: Archive, folder: Path) -> None:
    """Three are kept; what a process runs, what is in use and the one before it stay whatever the number."""
    first = installed(archive, folder, mark="a")["release"]
    program = folder / "releases" / first / "bin/redis-server"
    running = subprocess.Popen([str(program), "--port", "0", "--unixsocket", "socket", "--save", ""], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        others = [installed(archive, folder, mark=mark)["release"] for mark in "bcde"]
        assert sorted([first, *others[-2:]]) == names(folder)
        assert (2, False) == (len(names(folder)) - 1, installed(archive, folder, mark="e").changed)
    finally:
        running.terminate()
        running.wait(10)
    last = assert_check_predicts("redis_release", arguments(archive, folder, mark="e", keep=2))
    assert (["prune"], [first]) == (last["actions"], last["pruned"])
    assert sorted(others[-2:]) == names(folder)


def test_left_halves_of_a_killed_build_are_removed(archive: Archive, folder: Path) -> None:
    """The next build clears them away."""
    (folder / "releases/.build-killed/source").mkdir(parents=True)
    assert [installed(archive, folder)["release"]] == names(folder)


def test_what_keyfleet_did_not_make_is_not_replaced(archive: Archive, folder: Path) -> None:
    """A folder in the place of a link is named."""
    (folder / "current").mkdir(parents=True)
    result = run_module("redis_release", arguments(archive, folder))
    assert result.failed
    assert f"{folder}/current is no symbolic link" in result["msg"]


def test_missing_headers_are_named(archive: Archive, folder: Path, tmp_path: Path) -> None:
    """By the package that has them; here the compiler is one that finds none."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gcc").symlink_to("/bin/false")
    for program in ("make", "tar"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    code = (
        "import sys; from keyfleet.core.install import releases; from keyfleet.core.host import commands;"
        "commands.CLEAN_ENVIRONMENT['PATH'] = sys.argv[1];"
        "print(releases.plan_release(releases.Release('redis', '7.0.15', '0' * 64, sys.argv[2], systemd=True)).missing)"
    )
    environ = {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "python_lib")}
    done = subprocess.run(
        [sys.executable, "-c", code, environ["PATH"], str(folder)], env=environ, capture_output=True, text=True, check=True
    )
    assert "('libssl-dev', 'libsystemd-dev')\n" == done.stdout


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Yield the address at which the folder of the archive is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_archive_is_downloaded(archive: Archive, folder: Path, served: str) -> None:
    """By the host itself; another file at the address is refused, and so is none."""
    assert not run_module("redis_release", online(archive, folder, f"{served}/{archive.path.name}")).failed
    missing = run_module("redis_release", online(archive, folder, f"{served}/none.tar.gz", mark="b"))
    assert (True, True) == (missing.failed, f"{served}/none.tar.gz: HTTP Error 404" in missing["msg"])
    another = run_module("redis_release", online(archive, folder, f"{served}/{archive.path.name}", mark="c", sha256="1" * 64))
    assert "nothing of it was used" in another["msg"]
    assert 1 == len(names(folder))


def test_archive_of_the_controller_is_asked_for(archive: Archive, folder: Path) -> None:
    """Without the action plugin's copy the module does nothing, and says what it needs."""
    result = run_module("redis_release", arguments(archive, folder, copied_archive=None))
    assert (True, False) == (result["archive_needed"], folder.exists())
