"""Root deploys servers of another user: what the user cannot do is refused, and a change of user loses no key."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.playbooks import Deployment, Run, free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run servers as other users")
OLD = {"redis_server_user": "nobody", "redis_server_group": "nogroup"}
NEW = {"redis_server_user": "daemon", "redis_server_group": "daemon"}


class OfRoot(Deployment):
    """A deployment whose runs are root's, with an interpreter that every user can run; the kernel of this machine is left as it is."""

    def command(self, *arguments: str, playbook: str = "site.yml") -> list[str]:
        """Return the command of a run, without the step into a user namespace."""
        command = super().command(*arguments, "--skip-tags", "redis_host", playbook=playbook)
        return command[command.index("-m") - 1 :]

    def environ(self) -> dict[str, str]:
        """Return the environment of a run."""
        return {**super().environ(), "USER": "root", "LOGNAME": "root"}

    def owners(self) -> set[str]:
        """Return who owns the files that the server can write."""
        folders = (self.root() / top / "keyfleet/default" for top in ("var/lib", "var/log", "run"))
        return {path.owner() for folder in folders if folder.exists() for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def port() -> int:
    """The port of the instance."""
    return free_port()


@pytest.fixture
def deployment(port: int) -> Iterator[OfRoot]:
    """A deployment of one instance below a folder that everyone can enter."""
    folder = Path(tempfile.mkdtemp(prefix="kf-"))
    folder.chmod(0o755)
    one = {"name": "default", "port": port, "directives": {"save": "3600 1"}}
    found = OfRoot(folder, {"ansible_python_interpreter": "/usr/bin/python3", "redis_server_instances": [one], **OLD})
    yield found
    found.stop_everything()


def refused(run: Run, *words: str) -> None:
    """Check that a run was refused with these words, and changed nothing."""
    assert (2, [], []) == (run.rc, run.changed, [word for word in words if word not in run.failures]), run.output[-3000:]


def test_another_user_waits_for_a_stop_and_finds_every_key(deployment: OfRoot, port: int) -> None:
    """Refused while the server runs, which saves and can be written as before; after destroy.yml the new user has every key."""
    deployment.run().ok()
    deployment.client(port).mset({f"key{number}": number for number in range(300)})
    before = deployment.tree()
    refused(deployment.run(**NEW), "redis_server_user is 'daemon'", "runs as nobody:nogroup", "state 'absent'", "destroy.yml")
    assert before == deployment.tree()
    with deployment.client(port) as client:
        assert (True, True, 301) == (client.set("one", 1), client.save(), client.dbsize())
    deployment.variables.update(NEW)
    deployment.run(playbook="playbooks/destroy.yml").ok()
    assert {"nobody"} == deployment.owners()
    deployment.run().ok()
    with deployment.client(port) as client:
        assert (301, True, True) == (client.dbsize(), client.set("two", 2), client.save())
    assert {"daemon"} == deployment.owners()
    assert [] == deployment.run().ok().changed
    absent = {"redis_server_instances": [{"name": "default", "state": "absent"}]}
    assert "removed" == deployment.run(**absent).ok().result("redis_instances")["instances"][0]["action"]


def test_what_the_user_cannot_do_is_refused_before_anything_is_written(deployment: OfRoot) -> None:
    """An interpreter, a folder, a user, a group, and a score, all as root can have them."""
    closed = deployment.folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python3").symlink_to("/usr/bin/python3")
    deployment.write()
    before = deployment.tree()
    refused(deployment.run(redis_server_user="typo"), "redis_server_user is 'typo'")
    refused(deployment.run(redis_server_group="typo"), "redis_server_group is 'typo'")
    refused(deployment.run(redis_server_root=str(closed / "root")), f"user 'nobody' cannot enter {closed}")
    refused(deployment.run(ansible_python_interpreter=str(closed / "python3")), "ansible_python_interpreter", "cannot run it")
    score = {"redis_server_directives": {"oom-score-adj": "absolute", "oom-score-adj-values": "-10 0 0"}}
    refused(deployment.run(**score), "oom-score-adj-values", "-10")
    assert before == deployment.tree()
