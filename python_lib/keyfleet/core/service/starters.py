# SPDX-License-Identifier: MIT
"""What starts the servers: the systemd unit that all instances share, the program of the ``process`` manager, and what both run before."""

from __future__ import annotations

import os
import pkgutil
import sys
from types import ModuleType

from ..layout import Layout
from . import start_role, supervisor

# The unit hides /root and /home, where a virtual environment may be.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python")

UNIT = """\
#
# Ansible managed
#
[Unit]
Description={title} instance %i
Documentation=man:{engine}-server(1)
After=network-online.target
Wants=network-online.target
# Tried again forever: what a server waits for, such as a free disk, may come back.
StartLimitIntervalSec=0

[Service]
Type=notify
# What the process was started with: compared with the desired state on later runs.
ExecStartPre=/bin/cp --no-preserve=all /etc/keyfleet/%i/keyfleet.conf /run/keyfleet/%i/started.conf
# CONFIG REWRITE copies loadmodule lines, and a module loaded twice ends the server.
ExecStartPre=/bin/sed -i "/^loadmodule /d" /var/lib/keyfleet/%i/server.conf
# A primary whose replication has another one by now must not take writes. Whatever becomes of this, the server starts.
ExecStartPre=-{python} -I {role_program} /etc/keyfleet/%i/peers.json /var/lib/keyfleet/%i/server.conf /etc/keyfleet/%i/keyfleet.conf
ExecStart={binary} /var/lib/keyfleet/%i/server.conf --include /etc/keyfleet/%i/keyfleet.conf
Restart=always
RestartSec=1
# Loading and saving take as long as the data is large.
TimeoutStartSec=infinity
TimeoutStopSec=infinity
User={user}
Group={group}
UMask=0077
LimitNOFILE=1048576

RuntimeDirectory=keyfleet/%i
RuntimeDirectoryMode=0755
StateDirectory=keyfleet/%i
StateDirectoryMode=0750
LogsDirectory=keyfleet/%i
LogsDirectoryMode=0750

CapabilityBoundingSet=
DevicePolicy=closed
LockPersonality=true
MemoryDenyWriteExecute=true
NoNewPrivileges=true
PrivateDevices=true
PrivateTmp=true
PrivateUsers=true
# ProcSubset stays at all: the server reads vm.overcommit_memory and warns when it is wrong.
ProtectClock=true
ProtectControlGroups=true
ProtectHome=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
NoExecPaths=/
ExecPaths={binary} {python} /bin/cp /bin/sed /usr/lib /lib -/lib64 -/usr/local/lib

[Install]
WantedBy=multi-user.target
"""


def unit_text(engine: str, binary: str, user: str, group: str) -> str:
    """Return the systemd unit of the instances, a template unit."""
    python = next((path for path in INTERPRETERS if os.access(path, os.X_OK)), os.path.realpath(sys.executable))
    return UNIT.format(
        engine=engine,
        title=engine.capitalize(),
        binary=binary,
        user=user,
        group=group,
        python=python,
        role_program=Layout("/", "any").role_program,
    )


def runner_text() -> str:
    """Return the program that supervises servers where there is no init system."""
    return _text_of(supervisor)


def start_role_text() -> str:
    """Return the program that is run before each start."""
    return _text_of(start_role)


def _text_of(program: ModuleType) -> str:
    """Return a file of the library; a module reads it from the archive that Ansible sends, which has it since it is imported here."""
    name = program.__name__.rpartition(".")[2]
    data = pkgutil.get_data(__package__, f"{name}.py")
    if data is None:
        raise FileNotFoundError(f"{name}.py of {__package__} cannot be read")
    return data.decode()
