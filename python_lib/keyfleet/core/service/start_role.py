# SPDX-License-Identifier: MIT
"""
Before each start of a server: keep it from taking writes as a primary if its replication has another one by now.

The unit and the supervisor run the file as a program, so it needs Python >= 3.9 and nothing else. Its arguments are three files:
    PEERS   the other members of the replication (`peers_text`); without this file nothing is done
    OWN     the server's own configuration, in which CONFIG REWRITE keeps its role
    CONFIG  the configuration that keyfleet writes, with the login of replicas
It changes OWN, as a Sentinel's REPLICAOF and CONFIG REWRITE would, or leaves it as it is:
    OWN is empty (the server never was a member), or has ``replicaof``          as it is
    no other member answers as a primary                                        as it is
    one does, and most Sentinels name this server                               as it is
    one does, and most Sentinels name that one                                  ``replicaof``
    one does, and most Sentinels name neither, or there are none                ``min-replicas-to-write`` is the number of other members
With the last one the server takes writes as soon as all others follow it, which none does that is a primary or follows another one.
It ends after ASK_SECONDS, or after LISTEN_SECONDS where another primary answers, and never keeps the server from starting.

Source:
    HELLO has the role, and needs no permission (https://redis.io/docs/latest/commands/hello/). Sentinels publish what they know on every
    server each two seconds (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/), the channel HELLO_CHANNEL.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Optional, Union

ASK_SECONDS = 2.0
LISTEN_SECONDS = 6.0
POLL_SECONDS = 0.02
HELLO_CHANNEL = "__sentinel__:hello"
ROLE_NAMES = ("replicaof", "slaveof")
GUARD_NAMES = ("min-replicas-to-write", "min-slaves-to-write")

Place = tuple[str, int]
Reply = Union[bytes, list["Reply"]]


@dataclass(frozen=True)
class Peers:
    """
    The members of a replication, as one of them sees it.

    Attributes:
        service: Name of the replication for Sentinels.
        own: ``host:port`` at which others reach this server.
        others: The same of each other member.
        sentinels: Number of Sentinels.
    """

    service: str
    own: str
    others: tuple[str, ...]
    sentinels: int = 0


@dataclass(frozen=True)
class Access:
    """
    How the server reaches its primary, in its own configuration.

    Attributes:
        login: Arguments of AUTH; none without a password.
        tls: None without TLS.
    """

    login: tuple[str, ...] = ()
    tls: Optional[ssl.SSLContext] = None


@dataclass(frozen=True)
class Vote:
    """The primary that one Sentinel names, and since which configuration epoch."""

    epoch: int
    primary: Place


@dataclass
class Found:
    """
    What was answered so far; each thread adds its own entries.

    Attributes:
        own: Places that stand for this server.
        primaries: Places that stand for each other member that is a primary, by its address.
        votes: By the id of the Sentinel.
        asking, listening: Addresses that have not answered yet, and that Sentinels may still publish on.
    """

    own: set[Place] = field(default_factory=set)
    primaries: dict[str, set[Place]] = field(default_factory=dict)
    votes: dict[str, Vote] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    listening: set[str] = field(default_factory=set)


def peers_text(peers: Mapping[str, object]) -> str:
    """Return the file PEERS; *peers* has the fields of `Peers`."""
    return json.dumps(dict(peers), indent=2, sort_keys=True) + "\n"


def named_by_most(votes: Iterable[Vote], sentinels: int) -> Optional[Place]:
    """Return the primary of the newest configuration, if more than half of all Sentinels name it; None otherwise."""
    counts = Counter(votes)
    newest = max(counts, key=lambda vote: (vote.epoch, counts[vote]), default=None)
    return newest.primary if newest and 2 * counts[newest] > sentinels else None


def decide(peers: Peers, found: Found, *, is_final: bool) -> Optional[list[str]]:
    """Return the lines that OWN needs, none to leave it as it is; None while that is not known yet."""
    if not found.primaries:
        return [] if is_final or not found.asking else None
    named = named_by_most(found.votes.values(), peers.sentinels)
    if named is not None and any(named in places for places in found.primaries.values()):
        return [f"replicaof {named[0]} {named[1]}"]
    if named is not None and named in found.own:
        return []
    return [f"min-replicas-to-write {len(peers.others)}"] if is_final or not (found.asking or found.listening) else None


def rewritten(text: str, lines: Sequence[str]) -> str:
    """Return a configuration in which *lines* stand for all of their directives."""
    names = {name for line in lines for group in (ROLE_NAMES, GUARD_NAMES) if line.split(" ")[0] in group for name in group}
    kept = [line for line in text.splitlines() if line.split(" ")[0].lower() not in names]
    return "\n".join([*kept, *lines, ""])


def value_of(text: str, name: str) -> str:
    """Return the value of a directive that has one, without quotes; empty if it is not there."""
    found = re.findall(rf'(?mi)^{name} +(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*$', text)
    quoted, plain = found[-1] if found else ("", "")
    return plain or re.sub(r"\\(.)", r"\1", quoted)


def access_in(text: str) -> Access:
    """Return how a server with this configuration reaches its primary; it checks the other's certificate, and not its name."""
    user, password = value_of(text, "masteruser"), value_of(text, "masterauth")
    login = tuple(word for word in (user, password) if word) if password else ()
    if value_of(text, "tls-replication") != "yes":
        return Access(login)
    context = ssl.create_default_context(
        cafile=value_of(text, "tls-ca-cert-file") or None, capath=value_of(text, "tls-ca-cert-dir") or None
    )
    context.check_hostname = False
    if certificate := value_of(text, "tls-client-cert-file") or value_of(text, "tls-cert-file"):
        key = value_of(text, "tls-client-key-file") or value_of(text, "tls-key-file")
        context.load_cert_chain(certificate, key, value_of(text, "tls-client-key-file-pass") or value_of(text, "tls-key-file-pass"))
    return Access(login, context)


def split_address(address: str) -> Place:
    """Return host and port of ``host:port``, an IPv6 address in brackets."""
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def read_reply(stream: BinaryIO) -> Reply:
    """Read one reply; an error of the server, and a connection that ends, are an OSError."""
    line = stream.readline()
    kind, rest = line[:1], line[1:-2]
    if not line.endswith(b"\r\n") or kind == b"-":
        raise ConnectionError(line.decode(errors="replace"))
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2]
    return [read_reply(stream) for _unused in range(int(rest))] if kind == b"*" else rest


class Member:
    """A connection to another member."""

    def __init__(self, address: str, access: Access) -> None:
        host, port = split_address(address)
        self._socket = socket.create_connection((host, port), timeout=ASK_SECONDS)
        if access.tls:
            self._socket = access.tls.wrap_socket(self._socket)
        self._stream = self._socket.makefile("rb")
        self.places = {(host, port), (str(self._socket.getpeername()[0]), port)}
        if access.login:
            self.ask("AUTH", *access.login)

    def ask(self, *words: str) -> Reply:
        """Send a command and return its reply."""
        parts = [word.encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return read_reply(self._stream)

    def is_primary(self) -> bool:
        """Return whether it takes writes, in its own words."""
        reply = self.ask("HELLO")
        return isinstance(reply, list) and (b"role", b"master") in list(zip(reply[::2], reply[1::2]))

    def listen(self, service: str, votes: dict[str, Vote]) -> None:
        """Note what each Sentinel publishes about *service*, until the connection ends or is silent."""
        self._socket.settimeout(LISTEN_SECONDS)
        self.ask("SUBSCRIBE", HELLO_CHANNEL)
        while True:
            message = read_reply(self._stream)
            words = message[2].decode(errors="replace").split(",") if isinstance(message, list) and isinstance(message[2], bytes) else []
            if len(words) == 8 and words[4] == service:
                votes[words[2]] = Vote(int(words[7]), (words[5], int(words[6])))


def _ask(address: str, peers: Peers, access: Access, found: Found) -> None:
    with suppress(OSError, ValueError, IndexError):
        try:
            member = Member(address, access)
            if member.is_primary():
                # In this order, because `decide` reads in another thread: a primary whose Sentinels are still to be heard is never missing
                # from both sets, in which case it would count as one about which nothing more will come.
                found.listening |= {address} if peers.sentinels else set()
                found.primaries[address] = member.places
                found.asking.discard(address)
                if peers.sentinels:
                    member.listen(peers.service, found.votes)
        finally:
            found.asking.discard(address)
            found.listening.discard(address)


def _resolve(peers: Peers, found: Found) -> None:
    host, port = split_address(peers.own)
    found.own.add((host, port))
    with suppress(OSError):
        found.own |= {(str(one[4][0]), port) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}


def lines_needed(peers: Peers, access: Access) -> list[str]:
    """Ask all other members, and listen to Sentinels where one of them is a primary; return what `decide` says."""
    found = Found(asking=set(peers.others))
    threading.Thread(target=_resolve, args=(peers, found), daemon=True).start()
    for address in peers.others:
        threading.Thread(target=_ask, args=(address, peers, access, found), daemon=True).start()
    begun = time.monotonic()
    while True:
        waited = time.monotonic() - begun
        lines = decide(peers, found, is_final=waited > (LISTEN_SECONDS if found.primaries else ASK_SECONDS))
        if lines is not None:
            return lines
        time.sleep(POLL_SECONDS)


def _read(path: str) -> str:
    with suppress(FileNotFoundError):
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return ""


def _replace(path: str, text: str) -> None:
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        os.fsync(file.fileno())
    temporary.replace(path)


def main(peers_file: str, own_file: str, config_file: str) -> None:
    """Carry out what the module's text says, and print what was done."""
    given, own, config = _read(peers_file), _read(own_file), _read(config_file)
    if not given or not own or re.search(rf"(?mi)^({'|'.join(ROLE_NAMES)}) +(?!no one)", own):
        return
    peers = Peers(**json.loads(given))
    lines = lines_needed(peers, access_in(f"{own}\n{config}"))
    if lines:
        _replace(own_file, rewritten(own, lines))
        sys.stdout.write(f"another member of {peers.service} is a primary: {', '.join(lines)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
