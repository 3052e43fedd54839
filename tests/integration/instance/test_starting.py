# SPDX-License-Identifier: MIT
"""What would keep a server from starting is found before anything is written: as its user, under its limits, by the real binary."""

from __future__ import annotations

import json
import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from keyfleet.core.directives.trial import Conditions, judge, limit_problems
from keyfleet.core.errors import RefusedError
from keyfleet.core.host.accounts import account_of
from keyfleet.core.host.safe_paths import Folder
from keyfleet.core.install.package import Package
from keyfleet.core.instance.model import OPEN_FILES, Host, Instance
from keyfleet.core.instance.ownership import hand_over
from keyfleet.core.instance.preflight import inspect_host
from keyfleet.core.instance.starting import account_problems, change_problems, program_problems, root_problems, server_account
from keyfleet.core.layout import runner_spec
from keyfleet.core.service import supervisor as runner
from keyfleet.testing._server import free_port, wait_until
from support.directives import ENGINES
from support.directives import binary as binary_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run servers as other users")
OLD, NEW = "nobody", "daemon"  # two users that every Linux has
GROUP = {"nobody": "nogroup", "daemon": "daemon"}
PYTHON = "/usr/bin/python3"  # one that every user can run


@pytest.fixture(params=ENGINES)
def binary(request: pytest.FixtureRequest) -> str:
    """The server of each engine that is installed."""
    return binary_of(request.param)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of root that everyone can enter; the supervisor's interpreter is one that everyone can run."""
    monkeypatch.setattr(sys, "executable", PYTHON)
    with tempfile.TemporaryDirectory(prefix="kf-root-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def host_of(root: Path, binary: str, user: str = OLD, **options: str) -> Host:
    """Return a host whose servers run as a user."""
    return Host("redis", binary, "process", str(root), 20.0, **{"user": user, "group": GROUP.get(user, user), **options})


class Deployed:
    """One instance as the role lays it out for root, run by the process manager as a user."""

    def __init__(self, host: Host) -> None:
        self.port, self.layout = free_port("127.0.0.1"), host.layout("cache")
        for folder in (self.layout.config_dir, Path(self.layout.runner_file).parent):
            Path(folder).mkdir(parents=True)
        shutil.copy(runner.__file__, self.layout.runner_file)
        Path(self.layout.config_file).write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self.layout.data_dir}\nsave 3600 1\n", encoding="utf-8"
        )
        self.belong_to(host)
        Path(self.layout.server_file).touch()
        os.chown(self.layout.server_file, *self.account.owner)

    def belong_to(self, host: Host) -> None:
        """Write what redis_files writes again for another user: owners of folders and of the configuration, and the specification."""
        self.host, self.manager, self.account = host, host.manager("cache"), account_of(host.user, host.group, all_groups=False)
        for folder in (self.layout.data_dir, self.layout.log_dir, self.layout.run_dir):
            Path(folder).mkdir(parents=True, exist_ok=True)
            os.chown(folder, *self.account.owner)
        spec = runner_spec(self.layout, host.binary, OPEN_FILES, host.user, host.group)
        Path(self.layout.spec_file).write_text(json.dumps(spec), encoding="utf-8")
        for path in (self.layout.config_dir, self.layout.config_file):
            os.chown(path, 0, self.account.gid)
            Path(path).chmod(0o750 if path == self.layout.config_dir else 0o640)

    def client(self) -> redis.Redis:
        """Return a client."""
        return redis.Redis(port=self.port, decode_responses=True)

    def owners(self) -> set[tuple[int, int]]:
        """Return the owners of all files of the instance that the server can write."""
        folders = [Path(folder) for folder in (self.layout.data_dir, self.layout.log_dir, self.layout.run_dir)]
        return {(path.stat().st_uid, path.stat().st_gid) for folder in folders for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def deployed(root: Path, binary: str) -> Iterator[Deployed]:
    """A deployment that is not started yet, and is ended after the test."""
    instance = Deployed(host_of(root, binary))
    yield instance
    instance.manager.stop(20)


@pytest.mark.parametrize(
    ("user", "group", "made", "expected"),
    [
        (OLD, GROUP[OLD], [], []),
        ("typo", GROUP[OLD], [], ["redis_server_user is 'typo'"]),
        (OLD, "typo", [], ["redis_server_group is 'typo'"]),
        ("typo", "typo", [], ["redis_server_user is 'typo'", "redis_server_group is 'typo'"]),
        ("kf-new", "kf-new", ["kf-new", "kf-new"], []),  # the package makes both
        ("typo", "typo", ["kf-new", "kf-new"], ["redis_server_user is 'typo'", "redis_server_group is 'typo'"]),
        (OLD, "kf-new", ["kf-new", "kf-new"], ["redis_server_group is 'kf-new'"]),  # nothing makes the group of a user that is there
    ],
)
def test_a_user_or_group_that_the_host_lacks_is_refused_unless_the_run_makes_it(
    root: Path, user: str, group: str, made: list[str], expected: list[str]
) -> None:
    """A misspelt name is found before the package is installed."""
    problems = account_problems(host_of(root, "/usr/bin/redis-server", user, group=group), made)
    assert expected == [problem.partition(",")[0] for problem in problems]


def test_a_root_folder_must_have_a_parent_that_the_servers_user_can_enter(root: Path, binary: str) -> None:
    """Missing, closed, and fine."""
    account = server_account(host_of(root, binary))
    (root / "closed").mkdir(mode=0o700)
    problems = {
        place: "; ".join(root_problems(host_of(root / place, binary), account))
        for place in ("new", "none/new", "closed/new", "closed/none/new")
    }
    assert "" == problems["new"]
    assert f"its folder {root}/none does not exist" in problems["none/new"]
    assert f"user 'nobody' cannot enter {root}/closed" in problems["closed/new"]
    assert f"its folder {root}/closed/none does not exist" in problems["closed/none/new"]


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o757])
def test_a_root_folder_that_the_servers_user_can_change_is_refused(root: Path, binary: str, mode: int) -> None:
    """It could put a link of its own where root writes; as owner, as member of the group, or as anyone."""
    account = server_account(host_of(root, binary))
    assert account is not None
    (root / "x").mkdir()
    os.chown(root / "x", account.uid if mode == 0o755 else 0, account.gid if mode == 0o775 else 0)
    (root / "x").chmod(mode)
    (problem,) = root_problems(host_of(root / "x" / "y", binary), account)
    assert f"can write in {root}/x" in problem


def test_programs_that_the_servers_user_cannot_run_are_refused(root: Path, binary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can run both, so only the server's user shows it."""
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    for name, target in (("redis-server", binary), ("python3", PYTHON)):
        (closed / name).symlink_to(target)
    host = host_of(root, str(closed / "redis-server"))
    assert [] == program_problems(replace(host, binary=binary), server_account(host))
    monkeypatch.setattr(sys, "executable", str(closed / "python3"))
    first, second = program_problems(host, server_account(host))
    assert (True, True) == ("redis_server_bin_dir" in first and "Permission denied" in first, f"'{closed}/python3'" in second)


def test_a_trial_runs_as_the_user_and_leaves_nothing(root: Path, binary: str) -> None:
    """What only root can read is refused, and judged as fine for root."""
    account = account_of(OLD, GROUP[OLD], all_groups=False)
    module = root / "m.so"
    module.write_bytes(b"x")
    module.chmod(0o600)
    state = Conditions((account.uid, account.gid, ()))
    (alone,) = judge(binary, {"loadmodule": str(module)}, state).problems
    assert "loadmodule" == alone.directive
    assert "5" == judge(binary, {"hz": "5"}, state).values["hz"]
    assert [] == [path for path in Path(tempfile.gettempdir()).glob("kf-*") if path.stat().st_uid == account.uid]
    running = subprocess.run(["ps", "-o", "args=", "-u", OLD], capture_output=True, text=True, check=False).stdout
    assert [] == [line for line in running.splitlines() if line.startswith(f"{binary} -")]


def test_more_clients_than_open_files_are_refused(binary: str) -> None:
    """The server starts with fewer, in silence; under this limit with 968, or not at all."""
    account = account_of(OLD, GROUP[OLD], all_groups=False)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def with_hard_limit(limit: int) -> list[str]:
        state = Conditions((account.uid, account.gid, ()), nofile=limit)
        return [str(problem) for problem in limit_problems(binary, {"maxclients": 1000}, state)]

    assert [] == with_hard_limit(1032)
    assert "allows 968" in with_hard_limit(1000)[0]
    assert "not enough for the server to start" in with_hard_limit(20)[0]
    above = [str(problem) for problem in limit_problems(binary, {"maxclients": hard}, Conditions((account.uid, account.gid, ())))]
    assert ["maxclients"] == [problem.partition(":")[0] for problem in above]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"oom-score-adj": "yes"}, []),
        ({"oom-score-adj": "no", "oom-score-adj-values": "-5 0 0"}, []),
        ({"oom-score-adj": True, "oom-score-adj-values": [0, 200, 800]}, []),
        ({"oom-score-adj": "relative", "oom-score-adj-values": "0 -1 800"}, ["oom-score-adj-values"]),
        ({"oom-score-adj": "absolute", "oom-score-adj-values": "-100 0 800"}, ["oom-score-adj-values"]),
    ],
)
def test_a_score_that_only_root_can_have_is_refused(binary: str, values: dict[str, object], expected: list[str]) -> None:
    """The server starts and only warns, and the next CONFIG SET fails."""
    account = account_of(OLD, GROUP[OLD], all_groups=False)
    state = Conditions((account.uid, account.gid, ()), oom_score=0)
    assert expected == [problem.directive for problem in limit_problems(binary, values, state)]


def test_every_instance_is_judged_in_one_go(root: Path, binary: str) -> None:
    """One that is wrong hides no other, and all are named before anything is written."""
    wrong = [
        Instance("a", port=free_port("127.0.0.1"), directives={"oom-score-adj": "absolute", "oom-score-adj-values": "-9 0 0"}),
        Instance("b", port=free_port("127.0.0.1"), bind=("192.0.2.1",)),
        Instance("c", port=free_port("127.0.0.1"), directives={"maxclients": 2_000_000}),
    ]
    package = Package("none.service", "/nonexistent", "none")
    found = inspect_host(host_of(root, binary), wrong, package, password_file="", binary_required=True)
    assert ["[a].directives: oom-score-adj-values", "[b].bind", "[c].directives: maxclients"] == [
        name
        for name in ("[a].directives: oom-score-adj-values", "[b].bind", "[c].directives: maxclients")
        if any(name in p for p in found.problems)
    ]
    assert [] == list(root.iterdir())


def test_another_user_waits_until_the_instance_is_stopped_and_takes_its_keys(deployed: Deployed, root: Path, binary: str) -> None:
    """Refused while it runs, for it could not save any more; after a stop every key is there, it can save, and it can be stopped again."""
    deployed.manager.start()
    deployed.client().mset({f"key{number}": number for number in range(500)})
    new = host_of(root, binary, NEW)
    (problem,) = change_problems(new, "cache", new.manager("cache").status(), server_account(new))
    assert "redis_server_user is 'daemon' and redis_server_group is 'daemon', and instance cache runs as nobody:nogroup" in problem
    assert [] == change_problems(deployed.host, "cache", deployed.manager.status(), deployed.account)
    assert deployed.client().save()
    deployed.manager.stop(20)
    assert [] == change_problems(new, "cache", new.manager("cache").status(), server_account(new))
    deployed.belong_to(new)
    hand_over(deployed.layout, deployed.account.owner)
    assert {deployed.account.owner} == deployed.owners()
    deployed.manager.start()
    client = deployed.client()
    assert 500 == client.dbsize()
    assert (True, True) == (client.set("more", 1), client.save())
    deployed.manager.stop(20)
    assert ("stopped", {deployed.account.owner}) == (deployed.manager.status().state, deployed.owners())


def test_a_server_that_waits_for_its_restart_is_not_given_away(deployed: Deployed, root: Path, binary: str) -> None:
    """Nothing runs for the moment, and the supervisor of the old user starts it again."""
    deployed.manager.start()
    Path(deployed.layout.server_file).write_text("no-such-directive 1\n", encoding="utf-8")
    deployed.client().shutdown(nosave=True)
    wait_until(lambda: bool(runner.status(deployed.layout.run_dir)["state"] == "backing-off"), "the supervisor waits")
    new = host_of(root, binary, NEW)
    status = new.manager("cache").status()
    assert ("backing-off", None) == (status.state, status.pid)
    assert ["redis_server_user is 'daemon' and redis_server_group is 'daemon'"] == [
        problem.partition(",")[0] for problem in change_problems(new, "cache", status, server_account(new))
    ]


def test_handing_over_gives_no_foreign_file_away(deployed: Deployed, root: Path) -> None:
    """Neither behind a link, nor with a second name elsewhere; two names in the folder are fine."""
    data, account = Path(deployed.layout.data_dir), account_of(NEW, GROUP[NEW], all_groups=False)
    elsewhere = root / "elsewhere"
    elsewhere.write_text("x", encoding="utf-8")
    (data / "link").symlink_to(elsewhere)
    for name in ("dump.rdb", "sub/x"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text("x", encoding="utf-8")
        for path in {data / name, (data / name).parent} - {data}:
            os.chown(path, *deployed.account.owner)
    (data / "sub/second").hardlink_to(data / "dump.rdb")
    (data / "of-root").touch(mode=0o600)
    hand_over(deployed.layout, account.owner)
    assert [account.owner] * 3 == [(path.stat().st_uid, path.stat().st_gid) for path in (data / "dump.rdb", data / "sub/x", data / "sub")]
    assert (0, 0) == (elsewhere.stat().st_uid, (data / "of-root").stat().st_uid)
    os.chown(elsewhere, pwd.getpwnam("bin").pw_uid, -1)
    (data / "trap").hardlink_to(elsewhere)
    with pytest.raises(RefusedError, match=r"trap .* 2 hard links, so it is not given to daemon:daemon"):
        hand_over(deployed.layout, account.owner)
    assert pwd.getpwnam("bin").pw_uid == elsewhere.stat().st_uid


def test_a_hand_over_that_is_killed_is_finished_by_the_next(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any number of files."""
    data, accounts = Path(deployed.layout.data_dir), [account_of(user, GROUP[user], all_groups=False) for user in (NEW, OLD)]
    for name in ("dump.rdb", "appendonlydir/a", "appendonlydir/b"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).touch()
        os.chown(data / name, *deployed.account.owner)
    os.chown(data / "appendonlydir", *deployed.account.owner)
    give = Folder.own
    for number in range(4):
        left = iter(range(number))

        def killed(*args: object, left: Iterator[int] = left, **options: object) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            give(*args, **options)  # type: ignore[arg-type]

        owner = accounts[number % 2].owner
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Folder, "own", killed)
            hand_over(deployed.layout, owner)
        hand_over(deployed.layout, owner)
        assert {owner} == deployed.owners()
