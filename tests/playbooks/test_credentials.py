"""Users of the inventory, the administrative one, and passwords that change while clients write: generated, given, interrupted."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from keyfleet import Client, Settings
from keyfleet.core.acl.model import ADMIN, digest
from keyfleet.core.directives.throwaway import engine_version
from keyfleet.testing._binaries import find_binary
from support.load import Load
from support.playbooks import Deployment, Run, deployments, free_port

PACE_SECONDS = 0.02  # between the calls of a writer, which share the machine with the run
APP = {"name": "app", "passwords": ["kf-battery-of-app"], "commands": ["get", "set"], "keys": ["app:*"]}
OPS = {"name": "ops", "passwords": ["kf-battery-of-ops"], "categories": ["all"], "keys": ["*"], "channels": ["*"]}


ROTATE = "playbooks/rotate_credentials.yml"
WAYS_ON = (ROTATE, "site.yml")  # what may be run after a run that was killed


class Rotated:
    """A deployment with clients that read its profile whenever they log in."""

    def __init__(self, deployment: Deployment, port: int) -> None:
        self.deployment, self.port, self.state = deployment, port, deployment.inventory / ".keyfleet/redis"

    def executed(self) -> set[str]:
        """Return the commands that the server has executed since it started, as ``INFO commandstats`` names them."""
        with redis.Redis(port=self.port, username="keyfleet", password=self.secrets()["redis_server_admin_password"]) as client:
            return set(client.info("commandstats"))

    def password(self) -> str:
        """Return the password in the profile."""
        text = (self.deployment.inventory / "redis@node1.env").read_text(encoding="utf-8")
        return dict(word.partition("=")[::2] for word in shlex.split(text, comments=True))["REDIS_PASSWORD"]

    def enters(self, password: str, username: str | None = None) -> bool:
        """Return whether a client can log in."""
        with redis.Redis(port=self.port, username=username, password=password) as client:
            try:
                client.ping()
            except redis.AuthenticationError:
                return False
            except redis.exceptions.NoPermissionError:
                return True
            return True

    def _plain(self, number: int) -> None:
        with redis.Redis(port=self.port, password=self.password()) as client:
            client.set(f"plain:{number}", number)
        time.sleep(PACE_SECONDS)

    @contextlib.contextmanager
    def writers(self) -> Iterator[Load]:
        """Let a client of the library and plain ones of redis-py write, each plain call on a connection of its own."""
        with Client.from_settings(Settings(port=self.port), credentials=self.password) as client:

            def ours(number: int) -> None:
                client.set(f"ours:{number}", str(number))
                time.sleep(PACE_SECONDS)

            works: list[Callable[[int], object]] = [ours, self._plain]
            with Load(works) as load:
                yield load

    def secrets(self) -> dict[str, str]:
        """Return the secrets on the controller by the name of their file."""
        return {path.name: path.read_text(encoding="utf-8").strip() for path in self.state.glob("*password*")}

    def hashes(self) -> dict[str, set[str]]:
        """Return the hashes of the passwords that the server accepts, by user."""
        secret = self.secrets()["redis_server_admin_password"]
        with redis.Redis(port=self.port, username="keyfleet", password=secret, decode_responses=True) as client:
            return {name: set(client.acl_getuser(name)["passwords"]) for name in client.acl_users()}

    def denied(self, *, reset: bool = False) -> list[tuple[str, str, str]]:
        """Return what the server denied since the last reset: to whom, why and what."""
        secret = self.secrets()["redis_server_admin_password"]
        with redis.Redis(port=self.port, username=ADMIN, password=secret, decode_responses=True) as client:
            if reset:
                client.acl_log_reset()
            return [(entry["username"], entry["reason"], entry["object"]) for entry in client.acl_log()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on the first server of ``--servers``, and what is marked, or everything with ``--full``, on the others too."""
    servers = metafunc.config.getoption("servers").split(",")
    every = metafunc.config.getoption("full") or metafunc.definition.get_closest_marker("every_server")
    metafunc.parametrize("rotated", servers if every else servers[:1], indirect=True, scope="module")


@pytest.fixture(scope="module")
def rotated(request: pytest.FixtureRequest) -> Iterator[Rotated]:
    """One deployment for the module and server, with one user beside ``default``."""
    port, binary = free_port(), Path(find_binary(request.param))
    engine = {"redis_server_engine": engine_version(str(binary))[0], "redis_server_bin_dir": str(binary.parent)}
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found.variables = {"redis_server_instances": [{"name": "default", "port": port}], "redis_server_users": [APP], **engine}
        found.run().ok()
        yield Rotated(found, port)


def check_written(load: Load) -> None:
    """Check that every call of every writer succeeded."""
    assert [[], []] == [worker.errors[:3] for worker in load.workers]
    assert all(len(worker.done) > 10 for worker in load.workers)


def test_users_are_as_declared_and_a_second_run_changes_nothing(rotated: Rotated) -> None:
    """What a user may do, and who administers; nothing on the host holds a password as text."""
    with redis.Redis(port=rotated.port, username="app", password="kf-battery-of-app", decode_responses=True) as client:
        assert (True, "1") == (client.set("app:1", "1"), client.get("app:1"))
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("other", "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.delete("app:1")
    secrets = rotated.secrets()
    assert {"redis_server_password", "redis_server_admin_password"} == secrets.keys()
    assert rotated.enters(secrets["redis_server_admin_password"], "keyfleet")
    held = [path.name for path in rotated.deployment.root().rglob("*") if path.is_file() and b"kf-battery" in path.read_bytes()]
    assert [] == held
    assert [] == rotated.deployment.run().ok().changed


def test_users_made_by_hand_are_named_before_they_are_removed(rotated: Rotated) -> None:
    """They stay, and every run names them; where they are to go, the run names them before it touches anything."""
    secret = rotated.secrets()["redis_server_admin_password"]
    with redis.Redis(port=rotated.port, username="keyfleet", password=secret) as client:
        client.acl_setuser("visitor", enabled=True, nopass=True)
    rotated.deployment.run().ok()  # keeps the user in the file, so that a restart does
    kept = rotated.deployment.run().ok()
    assert ([], True) == (kept.changed, "does not list: visitor; they stay" in kept.output)
    removed = rotated.deployment.run(redis_server_undeclared_users="remove").ok()
    named, began = (removed.output.index(text) for text in ("visitor; this run removes them", "Service | Write the files"))
    assert named < began
    with redis.Redis(port=rotated.port, username="keyfleet", password=secret) as client:
        assert client.acl_getuser("visitor") is None
    assert "visitor" not in rotated.deployment.run().ok().output


def test_kept_passwords_that_break_the_rules_are_refused_until_they_rotate(rotated: Rotated) -> None:
    """One that an earlier version made may have a sign that the rules forbid; the refusal names the way out, which works."""
    file = rotated.state / "redis_server_password"
    file.write_text("of_an_earlier_version_\n", encoding="utf-8")
    rotated.deployment.run().ok()
    rotated.deployment.variables["redis_server_credential_rules"] = "elasticache"
    before = rotated.deployment.tree()
    run = rotated.deployment.run()
    assert (2, True) == (run.rc, f"{file} has a character that elasticache takes in no AUTH token" in run.failures), run.output[-2000:]
    assert ("playbooks/rotate_credentials.yml" in run.failures, before) == (True, rotated.deployment.tree())
    assert rotated.deployment.run("--check", playbook=ROTATE).ok().changed
    rotated.deployment.run(playbook=ROTATE).ok()
    assert [] == rotated.deployment.run().ok().changed
    del rotated.deployment.variables["redis_server_credential_rules"]


@pytest.mark.every_server
def test_generated_passwords_rotate_without_an_error(rotated: Rotated) -> None:
    """Both are others afterwards, the old ones are refused, and every call of every client succeeded."""
    before = rotated.secrets()
    with rotated.writers() as load:
        rotated.deployment.run(playbook="playbooks/rotate_credentials.yml").ok()
    check_written(load)
    after = rotated.secrets()
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    assert rotated.password() == after["redis_server_password"]
    assert set() == {"cmdstat_acl|load", "cmdstat_acl|save"} & rotated.executed()
    for secrets, valid in ((before, False), (after, True)):
        assert valid == rotated.enters(secrets["redis_server_password"])
        assert valid == rotated.enters(secrets["redis_server_admin_password"], "keyfleet")
    assert [] == rotated.deployment.run().ok().changed


def kill_points(whole: Run, config: pytest.Config) -> list[tuple[str, str]]:
    """Return after which results a run is killed, with ``--full`` after each, else after every second change, and what is run then."""
    if config.getoption("full"):
        return [(f"any:{number}", way) for number in range(1, len(whole.records)) for way in WAYS_ON]
    return [(f"changed:{number}", WAYS_ON[number // 2 % 2]) for number in range(1, len(whole.changed) + 1, 2)]


@pytest.mark.slow
def test_a_rotation_killed_between_any_two_steps_is_ended(rotated: Rotated, request: pytest.FixtureRequest) -> None:
    """By the next run of either playbook, which makes no other passwords than the killed one did; no call fails meanwhile."""
    whole = rotated.deployment.run(playbook=ROTATE).ok()
    with rotated.writers() as load:
        for point, way in kill_points(whole, request.config):
            before = rotated.secrets()
            assert rotated.deployment.killed_after(point, playbook=ROTATE)
            left = rotated.secrets()
            made = {name: left.get(f"{name}.next", left[name]) for name in before}
            rotated.deployment.run(playbook=way).ok()
            after = rotated.secrets()
            assert before.keys() == after.keys(), point
            assert {"default": {digest(after["redis_server_password"])}, ADMIN: {digest(after["redis_server_admin_password"])}} == {
                name: hashes for name, hashes in rotated.hashes().items() if name != "app"
            }
            assert rotated.password() == after["redis_server_password"]
            if left.keys() != before.keys():  # under way
                assert made == after, point
            assert way != ROTATE or all(before[name] != after[name] for name in before), point
    check_written(load)
    assert [] == rotated.deployment.run().ok().changed


def test_a_password_that_changes_in_the_inventory_takes_both_phases(rotated: Rotated) -> None:
    """The generated one becomes a given one, and a user gets another: no run needs the old one, no call fails, the old ones end."""
    before = rotated.password()
    changed = {"redis_server_password": "kf-given-password", "redis_server_users": [{**APP, "passwords": ["kf-another-of-app"]}, OPS]}
    rotated.deployment.variables.update(changed)
    with rotated.writers() as load:
        run = rotated.deployment.run().ok()
    check_written(load)
    assert "Drop all | Drop the passwords of before" in " ".join(run.changed)
    valid = [rotated.enters(*login) for login in [("kf-given-password",), ("kf-another-of-app", "app"), ("kf-battery-of-ops", "ops")]]
    refused = [rotated.enters(*login) for login in [(before,), ("kf-battery-of-app", "app")]]
    assert ([True] * 3, [False] * 2, []) == (valid, refused, rotated.deployment.run().ok().changed)


@pytest.mark.slow
def test_a_change_of_the_inventory_killed_between_any_two_steps_is_ended(rotated: Rotated, request: pytest.FixtureRequest) -> None:
    """By the next run of either playbook; no call fails meanwhile, and each user has its password of the inventory and no other."""

    def change(number: int) -> dict[str, set[str]]:
        given = {name: f"kf-given-to-{name}-{number}" for name in ("default", "app")}
        rotated.deployment.variables.update(
            redis_server_password=given["default"], redis_server_users=[{**APP, "passwords": [given["app"]]}]
        )
        return {name: {digest(password)} for name, password in given.items()}

    change(0)
    whole = rotated.deployment.run().ok()
    with rotated.writers() as load:
        for number, (point, way) in enumerate(kill_points(whole, request.config), 1):
            declared = change(number)
            assert rotated.deployment.killed_after(point)
            rotated.deployment.run(playbook=way).ok()
            declared[ADMIN] = {digest(rotated.secrets()["redis_server_admin_password"])}
            assert (declared, f"kf-given-to-default-{number}") == (rotated.hashes(), rotated.password()), point
    check_written(load)
    assert [] == rotated.deployment.run().ok().changed


def test_check_mode_foresees_the_end_of_passwords(rotated: Rotated) -> None:
    """Of those that the inventory changes, and of generated ones; nothing is made."""
    before, foreseen = rotated.secrets(), "Drop all | Say whose passwords a run would drop"
    assert foreseen not in rotated.deployment.run("--check").ok().changed
    run = rotated.deployment.run("--check", redis_server_password="kf-password-of-later").ok()
    assert (True, True) == (foreseen in " ".join(run.changed), "the passwords of before of default" in run.output.replace("\n", " "))
    run = rotated.deployment.run("--check", playbook=ROTATE).ok()
    assert ["Change secrets | Make the next passwords", foreseen] == [name.partition(" : ")[2] or name for name in run.changed]
    assert before == rotated.secrets()


def test_every_procedure_works_with_default_off(rotated: Rotated) -> None:
    """The profile of ``default`` goes; no run tries to enter as another user than the administrative one, and no right is denied to it."""
    rotated.deployment.variables["redis_server_users"] = [APP, OPS, {"name": "default", "enabled": False}]
    rotated.deployment.run().ok()
    assert not rotated.enters(rotated.deployment.variables["redis_server_password"])
    rotated.denied(reset=True)
    for playbook in ("playbooks/verify.yml", ROTATE):
        rotated.deployment.run(playbook=playbook).ok()
    assert ([], []) == (rotated.deployment.run().ok().changed, rotated.denied())


def test_what_cannot_be_is_refused_before_anything_is_touched(rotated: Rotated) -> None:
    """By the inventory alone, and by the server's own judgement."""
    before = rotated.deployment.tree()
    run = rotated.deployment.run(redis_server_users=[{"name": "app"}, {**OPS, "name": "keyfleet"}])
    assert (2, True, True) == (run.rc, "redis_server_users[app] is enabled" in run.failures, "users[keyfleet] is the user" in run.failures)
    run = rotated.deployment.run(redis_server_users=[{**APP, "categories": ["typo"]}])
    assert (2, True) == (run.rc, "Unknown command or category name" in run.failures), run.output[-2000:]
    run = rotated.deployment.run(redis_server_users=[APP], redis_server_credential_rules="elasticache", redis_server_password="short-one")
    assert (2, True) == (run.rc, "elasticache takes 16 to 128" in run.failures), run.output[-2000:]
    assert before == rotated.deployment.tree()
