# SPDX-License-Identifier: MIT
"""
Who listens on an address or a unix socket, from ``/proc``.

Source:
    proc(5): the tables ``/proc/net/tcp``, ``tcp6`` and ``unix`` name the inode of each listening socket, ``/proc/PID/fd`` who holds it.
    Root without CAP_SYS_PTRACE (a container), and an ordinary user, see only part of the latter: the process is unknown then.
"""

from __future__ import annotations

import errno
import ipaddress
import pwd
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from .processes import open_files, pids
from .safe_paths import status_of

IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_LISTENING_TCP, _LISTENING_UNIX = "0A", "00010000"
_PROC = Path("/proc")


@dataclass(frozen=True)
class Listener:
    """
    A listening socket and who holds it.

    Attributes:
        address: Where it listens, ``0.0.0.0:6379`` or a path.
        pid, process: The process and its short name; None if this user may not see it.
        unit: The systemd unit of the process, None if there is none or it is unknown.
        user: Owner of the socket, for a unix socket that of its file; None if that is gone.
    """

    address: str
    pid: Optional[int] = None
    process: Optional[str] = None
    unit: Optional[str] = None
    user: Optional[str] = None

    def held_by(self, pid: Optional[int]) -> bool:
        """Return whether a process holds it; where that may not be seen, whether the process is one of the owner of the socket."""
        if pid is None or self.pid is not None:
            return pid is not None and pid == self.pid
        with suppress(OSError, KeyError):
            return pwd.getpwuid((_PROC / str(pid)).stat().st_uid).pw_name == self.user
        return False

    def __str__(self) -> str:
        who = (
            f"{self.process} (pid {self.pid}{f', {self.unit}' if self.unit else ''})"
            if self.pid
            else "a process that this user may not see"
        )
        return f"{who}{f' of user {self.user}' if self.user else ''} on {self.address}"


@dataclass(frozen=True)
class _Socket:
    """One line of a table."""

    address: IPAddress
    port: int
    uid: int
    inode: str


def listener(host: str, port: int) -> Optional[Listener]:
    """
    Return who listens where a server bound to *host* and *port* would, None if no process does.

    Args:
        host: An IPv4 or IPv6 address; ``*`` and ``0.0.0.0`` mean every IPv4 address, ``::`` and ``::*`` every IPv6 address.
    """
    wanted = _address(host)
    found = [entry for entry in _listening() if entry.port == port and _overlaps(wanted, entry.address)]
    certain = [entry for entry in found if entry.address.version == wanted.version]
    if not found or (not certain and _can_bind(wanted, port)):
        return None
    first = (certain or found)[0]
    host_text = f"[{first.address}]" if first.address.version == 6 else str(first.address)
    with suppress(KeyError):
        return _holder(f"{host_text}:{port}", first.inode, pwd.getpwuid(first.uid).pw_name)
    return _holder(f"{host_text}:{port}", first.inode, str(first.uid))


def unix_listener(path: str) -> Optional[Listener]:
    """Return who listens on a unix socket, None if no process does."""
    for words in _rows("unix"):
        if len(words) > 7 and words[3] == _LISTENING_UNIX and words[7] == path:
            status = status_of(path)
            with suppress(KeyError):
                return _holder(path, words[6], pwd.getpwuid(status.st_uid).pw_name if status else None)
            return _holder(path, words[6], None)
    return None


def ports_of(pid: int) -> list[tuple[str, int]]:
    """Return addresses and TCP ports that a process listens on; none if this user may not see which sockets it holds."""
    held = set(open_files(pid))
    return [(str(entry.address), entry.port) for entry in _listening() if f"socket:[{entry.inode}]" in held]


def _address(host: str) -> IPAddress:
    return ipaddress.ip_address({"*": "0.0.0.0", "::*": "::"}.get(host, host))  # noqa: S104 - compared, not bound


def _rows(table: str) -> Iterator[list[str]]:
    with suppress(OSError):
        for line in (_PROC / "net" / table).read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
            yield line.split()


def _listening() -> Iterator[_Socket]:
    for table in ("tcp", "tcp6"):
        for words in _rows(table):
            if words[3] == _LISTENING_TCP:
                digits, port = words[1].split(":")
                yield _Socket(decode(digits), int(port, 16), int(words[7]), words[9])


def decode(digits: str) -> IPAddress:
    """Return the address that a table of the kernel shows: 32-bit words in the byte order of the machine; mapped IPv4 as IPv4."""
    raw = b"".join(int(digits[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(digits), 8))
    address = ipaddress.ip_address(raw)
    return getattr(address, "ipv4_mapped", None) or address


def _overlaps(wanted: IPAddress, taken: IPAddress) -> bool:
    """Return whether two listeners on one port may be in each other's way; ``::`` takes IPv4 too, unless its socket is for IPv6 only."""
    if wanted.version == taken.version:
        return wanted == taken or wanted.is_unspecified or taken.is_unspecified
    return taken.version == 6 and taken.is_unspecified


def _can_bind(address: IPAddress, port: int) -> bool:
    """Return whether the address is free after all; the tables do not show which sockets are for IPv6 only."""
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(address), port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _holder(address: str, inode: str, user: Optional[str]) -> Listener:
    pid = _process_with(f"socket:[{inode}]")
    if pid is None:
        return Listener(address, user=user)
    process = None
    with suppress(OSError):
        process = (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return Listener(address, pid, process, unit_of(pid), user)


def _process_with(target: str) -> Optional[int]:
    return next((pid for pid in pids() if target in open_files(pid)), None)


def unit_of(pid: int) -> Optional[str]:
    """Return the systemd service of a process, from its control group; None if it is in none."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines():
            name = line.rpartition("/")[2]
            if name.endswith(".service"):
                return name
    return None
