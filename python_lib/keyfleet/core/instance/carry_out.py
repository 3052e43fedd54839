# SPDX-License-Identifier: MIT
"""Carry out the steps of a plan, one after the other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Optional

from ..acl.live import apply_users
from ..acl.plan import UserPlan
from ..directives.live import apply_live
from ..directives.plan import config_command_in
from ..errors import FilesError, KeyfleetError, RefusedError
from ..host import files
from ..host.file_entries import FileEntry
from ..host.safe_paths import open_folder, remove_file
from ..host.text_files import read_lines
from ..profile.values import own_address
from ..tls.certificates import leaf_fingerprint, shown_fingerprint
from .access import opened, wait_until_ready
from .config import config_text, forget_written
from .datafiles import DataFolder
from .keys import count_keys, describe_missing, missing_keys
from .model import Host, Instance
from .ownership import hand_over
from .plan import InstancePlan, Step
from .record import Record, forget_data_record, read_record, write_record
from .saving import background_save, switch_off, switch_on
from .starting import server_account

if TYPE_CHECKING:
    import redis

# For tests: the process kills itself before the step of this name, as a lost machine would.
KILL_VARIABLE = "KEYFLEET_TEST_KILL_BEFORE_STEP"


def reach(step: str) -> None:
    """Note that a step is next; tests end the process here."""
    if os.environ.get(KILL_VARIABLE) == step:
        os.kill(os.getpid(), signal.SIGKILL)


class Work:
    """
    One instance while its plan is carried out.

    Attributes:
        committed: Whether the server has proven to hold its data, so that there is no way back.
        kept: Folders with what was moved aside.
    """

    def __init__(self, host: Host, instance: Instance, users: Optional[UserPlan]) -> None:
        self.host, self.instance, self._users = host, instance, users
        self.layout, self.manager = host.layout(instance.name), host.manager(instance.name)
        self.committed = False
        self.kept: list[str] = []

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Yield a connection to the running server."""
        with opened(self.host, self.instance, self.manager.status().pid) as client:
            yield client

    @property
    def command(self) -> str:
        """What CONFIG is called on the running server."""
        return config_command_in(read_lines(self.layout.started_file)) or "CONFIG"

    def run(self, plan: InstancePlan) -> None:
        """
        Carry out all steps.

        Raises:
            KeyfleetError: of the step that failed; those before it are done, and nothing is lost.
        """
        for step in plan.steps:
            reach(step.name)
            try:
                STEPS[step.name](self, step)
            except OSError as error:
                reason = f"cannot {step.phrase or step.name}: {error.strerror or error}"
                raise FilesError(str(error.filename or self.layout.data_dir), reason) from error

    def run_start(self, plan: InstancePlan, former: str, record: Optional[Record]) -> None:
        """
        Carry out the plan of a start; if it fails before the keys are proven, stop the server and restore the files of before.

        Args:
            former: Configuration file of before; empty if there was none.
            record: What had been applied.
        Raises:
            RefusedError: with the reason, and where the data is.
        """
        try:
            self.run(plan)
        except KeyfleetError as error:
            if self.committed or "commit" not in [step.name for step in plan.steps]:
                raise
            self.undo(former, record)
            kept = f"; what was moved aside is in {', '.join(self.kept)}" if self.kept else ""
            raise RefusedError(f"{error}. The start was undone, with the data in {self.layout.data_dir}{kept}") from error

    def undo(self, former: str, record: Optional[Record]) -> None:
        """Stop a server that has not all of its keys, without letting it save, and restore the files of before."""
        reach("undo")
        with contextlib.suppress(KeyfleetError), self.client() as client:
            apply_live(client, {"save": ""}, command=self.command)
        self.manager.stop(self.host.start_timeout_seconds)
        if former:
            self.write_files(former)
        else:
            remove_file(self.layout.config_file)
        if record is not None:
            write_record(self.layout, record)

    def write_files(self, text: str) -> None:
        """Write configuration and users; both belong to whom their folder belongs to, and are whole or as before."""
        with open_folder(self.layout.config_dir) as folder:
            owner, group = (str(number) for number in folder.owner())
        contents = {self.layout.config_file: text}
        if self._users is not None:
            contents[self.layout.acl_file] = self._users.file_text
        entries = [
            FileEntry(path, content=content.encode("utf-8", "surrogateescape"), owner=owner, group=group, mode=0o640)
            for path, content in contents.items()
        ]
        files.plan(entries).apply()


def _adopt(work: Work, _step: Step) -> None:
    work.manager.start()


def _enable(work: Work, _step: Step) -> None:
    work.manager.enable()


def _stop_retrying(work: Work, _step: Step) -> None:
    work.manager.stop(work.host.start_timeout_seconds)


def _start(work: Work, _step: Step) -> None:
    work.manager.reload_units()
    work.manager.start()
    wait_until_ready(work.host, work.instance, work.manager.status().pid)


def _write_record(work: Work, step: Step) -> None:
    write_record(work.layout, step.arguments["record"])


def _write_files(work: Work, step: Step) -> None:
    work.write_files(config_text(work.instance, work.layout, work.host.service_manager, step.arguments["overrides"]))


def _prepare_own(work: Work, _step: Step) -> None:
    """Give the files to the server's user, and take out of its own file what has left the inventory since it was last applied."""
    account = server_account(work.host)
    if account is not None:
        hand_over(work.layout, account.owner)
    record = read_record(work.layout)
    forget_written(work.layout, set(record.applied if record else ()) - set(Record.of(work.instance, work.host.engine).applied))


def _relocate(work: Work, step: Step) -> None:
    DataFolder(work.layout.data_dir).relocate(step.arguments["source"], step.arguments["target"])


def _keep(work: Work, step: Step) -> None:
    kept = DataFolder(work.layout.data_dir).keep(step.arguments["place"])
    if kept is not None:
        work.kept.append(kept)


def _set_aside(work: Work, step: Step) -> None:
    kept = DataFolder(work.layout.data_dir).set_aside(rdb=step.arguments["rdb"], aof=step.arguments["aof"])
    if kept is not None:
        work.kept.append(kept)


def _switch_on(work: Work, _step: Step) -> None:
    with work.client() as client:
        switch_on(client, work.command)


def _switch_off(work: Work, _step: Step) -> None:
    with work.client() as client:
        switch_off(client, work.command)


def _save(work: Work, _step: Step) -> None:
    with work.client() as client:
        background_save(client)


def _set_users(work: Work, step: Step) -> None:
    with work.client() as client:
        for part in apply_users(client, step.arguments["plan"]):
            reach(part)


def _set_live(work: Work, step: Step) -> None:
    with work.client() as client:
        apply_live(client, step.arguments["values"], command=work.command)


def _rewrite(work: Work, _step: Step) -> None:
    with work.client() as client:
        client.execute_command(work.command, "REWRITE")  # type: ignore[no-untyped-call]


def _compare_keys(work: Work, step: Step) -> None:
    with work.client() as client:
        lost = missing_keys(step.arguments["counts"], count_keys(client))
    if lost:
        raise RefusedError(f"keys are missing after the start: {describe_missing(lost)}")


def _commit(work: Work, _step: Step) -> None:
    """From here on the data is where the server has it now, and what was recorded of its last stop is past."""
    forget_data_record(work.layout)
    work.committed = True


def _park(work: Work, _step: Step) -> None:
    """Move to a free port, recorded first, so that a run that is killed in between leaves a server that the next one finds."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = str(probe.getsockname()[1])
    record = read_record(work.layout) or Record.of(work.instance, work.host.engine)
    secure = record.tls == "only"
    with work.client() as client:
        write_record(work.layout, replace(record, tls_port=int(port)) if secure else replace(record, port=int(port)))
        apply_live(client, {"tls-port" if secure else "port": port}, command=work.command)


def _open(work: Work, _step: Step) -> None:
    with work.client() as client:
        apply_live(client, work.instance.port_lines(), command=work.command)


def _reload_tls(work: Work, _step: Step) -> None:
    """Let the server read its files again, and see in a handshake of its own that it shows the new certificate."""
    layout = work.layout
    with work.client() as client:
        files = {"tls-cert-file": layout.tls_file, "tls-key-file": layout.tls_file, "tls-ca-cert-file": layout.tls_ca_file}
        apply_live(client, files, command=work.command)
    shown = shown_fingerprint(own_address(work.instance.bind), work.instance.secure_port, layout.tls_file)
    if shown != leaf_fingerprint(work.instance.tls_pem):
        raise RefusedError(f"the server was asked to load {layout.tls_file} and shows another certificate ({shown[:16] or 'none'})")


def _forget_tls(work: Work, _step: Step) -> None:
    for path in (work.layout.tls_file, work.layout.tls_ca_file):
        remove_file(path)


STEPS: dict[str, Callable[[Work, Step], None]] = {
    "adopt": _adopt,
    "commit": _commit,
    "compare_keys": _compare_keys,
    "enable": _enable,
    "finish_files": _write_files,
    "forget_tls": _forget_tls,
    "keep": _keep,
    "open": _open,
    "park": _park,
    "prepare_own": _prepare_own,
    "relocate": _relocate,
    "reload_tls": _reload_tls,
    "rewrite": _rewrite,
    "save": _save,
    "set_aside": _set_aside,
    "set_live": _set_live,
    "set_users": _set_users,
    "start": _start,
    "stop_retrying": _stop_retrying,
    "switch_off": _switch_off,
    "switch_on": _switch_on,
    "write_files": _write_files,
    "write_record": _write_record,
}
