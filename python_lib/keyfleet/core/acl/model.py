# SPDX-License-Identifier: MIT
"""A user of a server: what it may do, as words of the server's ACL language; pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT = "default"  # who a client is that names no user
ADMIN = "keyfleet"  # who roles, modules and procedures are
REPLICATION = "keyfleet-replication"  # who a replica is to its primary (masteruser)
SENTINEL = "keyfleet-sentinel"  # who a Sentinel is to the servers that it watches
OWN_USERS = (ADMIN, REPLICATION, SENTINEL)  # the inventory must not declare them
READ, WRITE = "R", "W"


@dataclass(frozen=True)
class Permissions:
    """
    One set of permissions: the user's own, or one of its selectors.

    Attributes:
        commands: Rules in order, such as ``+@read``, ``-get`` and ``+select|0``; the last one that names a command counts.
        keys: By pattern, ``R``, ``W`` or ``RW``.
        channels: Patterns.
        others: Words that this version does not know, such as those for databases of Valkey 9.1; kept as they are.
    """

    commands: tuple[str, ...] = ("-@all",)
    keys: Mapping[str, str] = field(default_factory=dict)
    channels: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return the words of the ACL language, starting from no permission at all."""
        keys = [(f"~{pattern}" if access == READ + WRITE else f"%{access}~{pattern}") for pattern, access in sorted(self.keys.items())]
        return [*keys, "resetchannels", *(f"&{pattern}" for pattern in sorted(self.channels)), *self.others, *self.commands]


@dataclass(frozen=True)
class User:
    """
    A user.

    Attributes:
        enabled: Whether it can log in; connections that are open stay.
        nopass: Whether any password is accepted.
        hashes: SHA-256 of each password, in hexadecimal digits.
        skips_sanitizing: Whether RESTORE trusts what it sends (``skip-sanitize-payload``).
        own: Permissions.
        selectors: Further permissions; a command runs if one set alone allows it.
    """

    name: str
    enabled: bool = False
    nopass: bool = False
    hashes: frozenset[str] = field(default=frozenset(), repr=False)
    skips_sanitizing: bool = False
    own: Permissions = Permissions()
    selectors: tuple[Permissions, ...] = ()

    @property
    def can_enter(self) -> bool:
        """Whether a client can log in as this user."""
        return self.enabled and (self.nopass or bool(self.hashes))

    def _access(self) -> list[str]:
        found = ["on" if self.enabled else "off"]
        return [*found, "skip-sanitize-payload"] if self.skips_sanitizing else found

    def _permissions(self) -> list[str]:
        return [*self.own.words(), *(f"({' '.join(selector.words())})" for selector in self.selectors)]

    def words(self) -> list[str]:
        """Return the words that make a new user this one."""
        secrets = ["nopass"] if self.nopass else [f"#{digest}" for digest in sorted(self.hashes)]
        return [*self._access(), *secrets, *self._permissions()]

    def line(self) -> str:
        """Return the line of an ACL file."""
        return " ".join(["user", self.name, *self.words()])

    def describe(self) -> str:
        """Return the user without its hashes, for people."""
        count = len(self.hashes)
        secrets = "nopass" if self.nopass else f"({count} password{'' if count == 1 else 's'})"
        return " ".join([*self._access(), secrets, *self._permissions()])


def administrator(passwords: Iterable[str]) -> User:
    """Return the user that keyfleet itself is."""
    return _with_every_right(ADMIN, frozenset(digest(password) for password in passwords))


def replicator(passwords: Iterable[str]) -> User:
    """
    Return the user as whom replicas follow their primary, with the rights for that, and for reading what Sentinels publish.

    Args:
        passwords: Of the administrative user, from which those of this one follow (`replication_password`).
    Source:
        https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/ for the commands that a replica sends;
        `service.start_role` for SUBSCRIBE.
    """
    hashes = frozenset(digest(replication_password(password)) for password in passwords)
    permissions = Permissions(("-@all", "+ping", "+psync", "+replconf", "+subscribe"), channels=frozenset({"__sentinel__:hello"}))
    return User(REPLICATION, enabled=True, hashes=hashes, own=permissions)


def replication_password(admin_password: str) -> str:
    """
    Return the password of the replication user that belongs to one of the administrative user.

    It needs no secret of its own and changes together with the other one, which cannot be computed from it.
    """
    return _derived(admin_password, REPLICATION)


def watcher(passwords: Iterable[str]) -> User:
    """
    Return the user as whom Sentinels watch and fail over, with the rights for that and no other.

    Args:
        passwords: Of the administrative user, from which those of this one follow (`sentinel_password`).
    Source:
        https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Redis Access Control List authentication"; FAILOVER and
        CLIENT PAUSE are what SENTINEL FAILOVER … COORDINATED sends.
    """
    hashes = frozenset(digest(sentinel_password(password)) for password in passwords)
    return User(SENTINEL, enabled=True, hashes=hashes, own=Permissions(_OF_SENTINELS, channels=frozenset("*")))


_OF_SENTINELS = (
    *("-@all", "+multi", "+exec", "+slaveof", "+replicaof", "+failover", "+ping", "+subscribe", "+publish", "+role", "+info"),
    *("+config|rewrite", "+client|setname", "+client|kill", "+client|pause", "+client|unpause", "+script|kill"),
)


def sentinel_password(admin_password: str) -> str:
    """Return the password of the user of Sentinels that belongs to one of the administrative user, as `replication_password` does."""
    return _derived(admin_password, SENTINEL)


def _derived(admin_password: str, name: str) -> str:
    return hmac.new(admin_password.encode(), name.encode(), hashlib.sha256).hexdigest()


def default_user(password: str) -> User:
    """Return the user ``default`` with every right; an empty password is none."""
    return _with_every_right(DEFAULT, frozenset([digest(password)] if password else []))


def _with_every_right(name: str, hashes: frozenset[str]) -> User:
    everything = Permissions(("+@all",), {"*": READ + WRITE}, frozenset("*"))
    return User(name, enabled=True, nopass=not hashes, hashes=hashes, own=everything)


def digest(password: str) -> str:
    """Return the SHA-256 of a password as the server keeps it."""
    return hashlib.sha256(password.encode()).hexdigest()


def users_in(lines: Iterable[str]) -> dict[str, User]:
    """Return the users in lines of ACL LIST or of an ACL file, by name; other lines are passed over."""
    split = (line.split(" ") for line in lines)
    return {words[1]: parse_user(words[1], words[2:]) for words in split if len(words) > 1 and words[0] == "user"}


def parse_user(name: str, words: Sequence[str]) -> User:
    """Return the user that *words* say, as the server itself writes them: nothing is taken back by a later word."""
    own: list[str] = []
    selectors: list[list[str]] = []
    inside = False
    for word in words:
        if word.startswith("(") and not inside:
            selectors.append([])
            inside, word = True, word[1:]
        target = selectors[-1] if inside else own
        if inside and word.endswith(")"):
            inside, word = False, word[:-1]
        target += [word] if word else []
    return User(
        name,
        enabled="on" in own,
        nopass="nopass" in own,
        hashes=frozenset(word[1:] for word in own if word.startswith("#")),
        skips_sanitizing="skip-sanitize-payload" in own,
        own=_permissions(word for word in own if word not in _FLAGS and not word.startswith("#")),
        selectors=tuple(_permissions(selector) for selector in selectors),
    )


_FLAGS = ("on", "off", "nopass", "sanitize-payload", "skip-sanitize-payload")
_LONG = {"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all", "nocommands": "-@all"}


def _permissions(words: Iterable[str]) -> Permissions:
    commands: list[str] = []
    keys: dict[str, str] = {}
    channels: set[str] = set()
    others: list[str] = []
    for word in (_LONG.get(word, word) for word in words):
        if word[0] in "+-":
            commands.append(word)
        elif word.startswith(("~", "%")):
            access, _unused, pattern = word.partition("~")
            keys[pattern] = "".join(_union(keys.get(pattern, ""), access[1:] or READ + WRITE))
        elif word.startswith("&"):
            channels.add(word[1:])
        elif word not in ("resetchannels", "resetkeys"):
            others.append(word)
    return Permissions(tuple(commands) or ("-@all",), keys, frozenset(channels), tuple(others))


def _union(one: str, other: str) -> Iterator[str]:
    return (access for access in (READ, WRITE) if access in one.upper() or access in other.upper())
