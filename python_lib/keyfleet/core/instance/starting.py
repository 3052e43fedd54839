# SPDX-License-Identifier: MIT
"""What would keep a server from starting as its user, found before anything is written; reads only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Optional

from ..directives.throwaway import START_SECONDS, Conditions, engine_version
from ..errors import KeyfleetError
from ..host.accounts import Account, account_of, format_owner, has_group, has_user, outermost_first, owner_of_process
from ..host.commands import CLEAN_ENVIRONMENT
from ..host.folders import folder_problem
from ..host.safe_paths import status_of
from ..service.manager import ServiceStatus
from .model import OPEN_FILES, Host

LONGEST_INSTANCE_NAME = 32
LONGEST_BELOW = 400  # NAME/appendonlydir with a file in it, each of which may have a name of its own

SAY_WHICH_NOT = 'for path; do test -x "$path" || { printf "%s" "$path"; exit 0; }; done'  # prints the first that cannot be entered


def account_problems(host: Host, made: Collection[str]) -> list[str]:
    """
    Return whether the host lacks the user or the group of the servers.

    Args:
        made: Users and groups that this run makes where they are missing.
    """
    if os.geteuid() != 0:
        return []
    problems = []
    comes = not has_user(host.user) and host.user in made
    if not has_user(host.user) and not comes:
        problems.append(f"redis_server_user is {host.user!r}, which this host does not know: make the user, or name another")
    if not has_group(host.group) and not (comes and host.group in made):
        problems.append(f"redis_server_group is {host.group!r}, which this host does not know: make the group, or name another")
    return problems


def server_account(host: Host) -> Optional[Account]:
    """Return the account that runs the servers; None where that is the caller, or it does not exist yet."""
    if os.geteuid() != 0 or not (has_user(host.user) and has_group(host.group)):
        return None
    return account_of(host.user, host.group, all_groups=host.service_manager == "systemd")


def conditions(host: Host, account: Optional[Account]) -> Conditions:
    """Return the state in which the host's servers begin, as the unit or the supervisor makes it."""
    ids = (account.uid, account.gid, account.groups) if account else None
    return Conditions(ids, nofile=OPEN_FILES, oom_score=0 if host.service_manager == "systemd" else None)


def root_problems(host: Host, account: Optional[Account]) -> list[str]:
    """Return why the servers' files cannot be below the root folder."""
    root = PurePosixPath(host.root)
    where = f"redis_server_root is {host.root!r}"
    problem = _place_problem(host)
    if problem:
        return [f"{where}, and {problem}"]
    if root == root.parent or account is None:
        return []
    done = subprocess.run(  # noqa: S603 - an argument list
        ["/bin/sh", "-c", SAY_WHICH_NOT, "sh", *outermost_first(str(root.parent))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=CLEAN_ENVIRONMENT,
        preexec_fn=conditions(host, account).take_on,
        check=False,
    )
    if done.stdout:
        return [
            f"{where}, and user {account.user!r} cannot enter {done.stdout}: let it (chmod o+x {done.stdout}), or name a root elsewhere, "
            "such as below /srv or /opt"
        ]
    for folder in outermost_first(host.root):
        if Path(folder).exists() and account.can_write(Path(folder).stat()):
            return [
                f"{where}, and user {account.user!r}, who runs the servers, can write in {folder}: it could lead root elsewhere, which "
                f"writes and starts programs below; give {folder} to root (chown root {folder}; chmod go-w {folder}), or run without root"
            ]
    return []


def _place_problem(host: Host) -> str:
    """Return why the folders of instances could not be made or written."""
    layout = host.layout("x" * LONGEST_INSTANCE_NAME)
    folders = [PurePosixPath(path).parent for path in (layout.config_dir, layout.data_dir, layout.log_dir, layout.run_dir)]
    found = (folder_problem(str(folder), LONGEST_BELOW, str(PurePosixPath(host.root).parent)) for folder in folders)
    return next((problem for problem in found if problem), "")


def program_problems(host: Host, account: Optional[Account]) -> list[str]:
    """Return which program the servers' user cannot run."""
    if account is None:
        return []
    state, problems = conditions(host, account), []
    try:
        engine_version(host.binary, state)
    except KeyfleetError as error:
        problems.append(
            f"redis_server_bin_dir is {str(Path(host.binary).parent)!r}, and user {account.user!r} cannot use the program: {error}"
        )
    reason = _interpreter_failure(state) if host.service_manager == "process" else ""
    if reason:
        problems.append(
            f"ansible_python_interpreter is {sys.executable!r}, which the supervisor of the servers runs with as user {account.user!r}, "
            f"who cannot run it ({reason}): name one that every user can run, such as /usr/bin/python3"
        )
    return problems


def _interpreter_failure(state: Conditions) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            timeout=START_SECONDS,
            preexec_fn=state.take_on,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(getattr(error, "strerror", None) or error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def change_problems(host: Host, name: str, status: ServiceStatus, account: Optional[Account]) -> list[str]:
    """
    Return whether an instance runs as another user or group than the inventory says now.

    Its files cannot change hands while it runs: it could not save any more, nor read its configuration when it restarts.
    """
    owner = _runs_as(host, name, status) if account is not None else None
    if account is None or owner is None or owner == account.owner:
        return []
    variables = [
        f"{variable} is {value!r}"
        for variable, value, found, desired in (
            ("redis_server_user", account.user, owner[0], account.uid),
            ("redis_server_group", account.group, owner[1], account.gid),
        )
        if found != desired
    ]
    return [
        f"{' and '.join(variables)}, and instance {name} runs as {format_owner(owner)}: the files of a running server are not given to "
        "another. Stop it first, with state 'absent' for it or with destroy.yml: its files stay, and hold what its directives save when it "
        "stops (save, appendonly). The next run gives them to the new one"
    ]


def _runs_as(host: Host, name: str, status: ServiceStatus) -> Optional[tuple[int, int]]:
    """Return user and group of what runs, of a server that its supervisor is about to restart those of the run folder."""
    if status.pid is not None:
        return owner_of_process(status.pid)
    folder = None if status.stopped else status_of(host.layout(name).run_dir)
    return (folder.st_uid, folder.st_gid) if folder else None
