# SPDX-License-Identifier: MIT
"""
Names of keys: what a key is for, then the parts that identify it; pure.

    Prefix.SESSION.key("42")                    session:42
    Prefix.CACHE.key("GET", "http://a/b")       cache:GET:http%3A//a/b
    KeyGroup("user:42").key(Prefix.LOCK, "a")   lock:{user:42}:a

Different parts never make the same name, and a name gives its parts back. So ``:`` in a part is written ``%3A``, and ``%`` is
written ``%25``; URLs and IPv6 addresses have them. Everything else stands as it is: e-mail addresses, UUIDs and all of Unicode.
Braces are refused: on a cluster they choose the slot of a key, and who writes them most likely means a KeyGroup. No error quotes
a part, since the parts of sessions and tokens are secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Prefix(str, Enum):
    """What a key is for: the beginning of its name, so that ``f"{Prefix.CACHE}*"`` is the pattern of all of a kind."""

    SESSION = "session:"
    CACHE = "cache:"
    RATELIMIT = "ratelimit:"
    LOCK = "lock:"
    REFRESH_TOKEN = "refresh_token:"  # noqa: S105 - a name, not a token

    def __str__(self) -> str:
        """Return the text; without this, f-strings of Python 3.11 and later show the member's name."""
        return self.value

    def key(self, *parts: str | int) -> str:
        """
        Return the name of the key with these parts.

        Args:
            parts: At least one; a number is the same as its decimal text.
        Raises:
            ValueError: if there is none, or one is empty or has a brace.
            TypeError: if one is neither a text nor a whole number.
        """
        if not parts:
            raise ValueError(f"a name that begins with {self.value} needs at least one part")
        return self.value + _joined(parts)

    def parts(self, name: str) -> tuple[str, ...]:
        """
        Return the parts that `key` made *name* of, as texts.

        Raises:
            ValueError: if `key` makes no such name.
        """
        return _split(self.value, name)


@dataclass(frozen=True)
class KeyGroup:
    """
    Keys that belong together: on a cluster all of them live in one slot, so that one transaction or script can use them.

    A group cannot be spread over nodes: make one of what a single user owns, not of all that is alike.

    Attributes:
        tag: What the keys have in common. Each name contains it in braces, unchanged.
    Raises:
        ValueError: if *tag* is empty or has a brace.
        TypeError: if it is no text.
    Source:
        "Hash tags" in the Redis Cluster specification: the slot comes from what the first pair of braces holds, if that is not empty.
    """

    tag: str

    def __post_init__(self) -> None:
        _text("tag", self.tag)

    def key(self, prefix: Prefix, *parts: str | int) -> str:
        """
        Return the name of this group's key with these parts; without any, of the one key of a kind that the group has.

        Raises:
            ValueError: if a part is empty or has a brace.
            TypeError: if a part is neither a text nor a whole number.
        """
        return self._head(prefix) + (":" + _joined(parts) if parts else "")

    def parts(self, prefix: Prefix, name: str) -> tuple[str, ...]:
        """
        Return the parts that `key` made *name* of, as texts.

        Raises:
            ValueError: if `key` makes no such name.
        """
        head = self._head(prefix)
        return () if name == head else _split(head + ":", name)

    def _head(self, prefix: Prefix) -> str:
        return prefix.value + "{" + self.tag + "}"


def _joined(parts: tuple[str | int, ...]) -> str:
    return ":".join(_encoded(f"part {number}", part) for number, part in enumerate(parts, 1))


def _encoded(called: str, part: str | int) -> str:
    if isinstance(part, int) and not isinstance(part, bool):
        return str(int(part))
    return _text(called, part).replace("%", "%25").replace(":", "%3A")


def _text(called: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{called} is of type {type(text).__name__}; it must be a text{'' if called == 'tag' else ' or a whole number'}")
    if not text:
        raise ValueError(f"{called} is empty; it must have at least one character")
    if "{" in text or "}" in text:
        raise ValueError(f"{called} has a brace; braces choose the slot of a key on a cluster: use KeyGroup for that, or encode them")
    return text


def _split(head: str, name: str) -> tuple[str, ...]:
    """Return the parts that follow *head*; what gives another name when joined again was not made here."""
    parts = tuple(text.replace("%3A", ":").replace("%25", "%") for text in name[len(head) :].split(":"))
    if head + _joined(parts) != name:
        raise ValueError(f"the name was not made by key: it must begin with {head} and have : and % encoded")
    return parts
