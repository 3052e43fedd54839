"""Start a service under a systemd of our own: the user manager, in namespaces of its own, where nothing else of the machine is seen."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

MANAGER = "/lib/systemd/systemd"
# /run holds only the folder that marks a machine booted by systemd; the manager ends with the service.
START = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
XDG_RUNTIME_DIR=/run/user/0 exec timeout 60 "$0" --user --unit=probe.service --log-target=console
"""
UNIT = """
[Unit]
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
EnvironmentFile={file}
ExecStart=/bin/sh -c 'env -0 >{printed}'
"""


def environment_of_a_service(folder: Path, file: Path) -> bytes:
    """
    Return what ``env -0`` prints in a service that has *file* as its ``EnvironmentFile=``.

    Args:
        folder: For what the manager needs, and writes.
    """
    units = folder / "config/systemd/user"
    units.mkdir(parents=True)
    printed = folder / "printed"
    (units / "probe.service").write_text(UNIT.format(file=file, printed=printed), encoding="utf-8")
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *rights, "--mount", "--pid", "--fork", "--mount-proc", "--cgroup", "--kill-child", "sh", "-c", START, MANAGER]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=90)
    assert printed.exists(), done.stderr
    return printed.read_bytes()
