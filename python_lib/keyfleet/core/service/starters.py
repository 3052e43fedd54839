# SPDX-License-Identifier: MIT
"""What starts the servers: the systemd unit that all instances share, and the program of the ``process`` manager; pure."""

from __future__ import annotations

import pkgutil

PROGRAM = "supervisor.py"

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
ExecPaths={binary} /bin/cp /bin/sed /usr/lib /lib -/lib64 -/usr/local/lib

[Install]
WantedBy=multi-user.target
"""


def unit_text(engine: str, binary: str, user: str, group: str) -> str:
    """Return the systemd unit of the instances, a template unit."""
    return UNIT.format(engine=engine, title=engine.capitalize(), binary=binary, user=user, group=group)


def runner_text() -> str:
    """Return the program that supervises servers where there is no init system; a module reads it from the archive that Ansible sends."""
    data = pkgutil.get_data(__package__, PROGRAM)
    if data is None:
        raise FileNotFoundError(f"{PROGRAM} of {__package__} cannot be read")
    return data.decode()
