# SPDX-License-Identifier: MIT
"""Refresh tokens: where they are, how a successor is made of a token and a nonce, and what replies mean; pure."""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._protocol import json as _json
from .._protocol.arguments import Seconds, milliseconds, seconds
from .._protocol.command import NO_FALLBACK, Command, Kind, Repeat
from .._protocol.key_names import Prefix
from .._protocol.replies import same
from .._protocol.resp import Argument
from .._protocol.scripts import load
from ..core.errors import DecodeError, TokenInvalidError, TokenReusedError
from .secrets import digest_of, tag_in, user_tag, user_text

T = TypeVar("T")

READ = Kind("EVALSHA", Repeat.READ, "hash", NO_FALLBACK)
SAME = Kind("EVALSHA", Repeat.SAME, "hash", NO_FALLBACK)  # of a rotation: the same nonce finds what the first run left
ONCE = Kind("EVALSHA", Repeat.NEVER, "hash", NO_FALLBACK)  # repeated, it could come late and bring back what was revoked meanwhile

GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class RefreshToken:
    """
    A token.

    Attributes:
        token: The secret that its user shows; the server has its digest.
        user_id: Whose it is.
        family: The same for all tokens that were rotated from one another; names them in logs.
        expires_at: In seconds since the epoch, by the server's clock.
        data: What was stored with the first token of the family.
    """

    token: str = field(repr=False)
    user_id: str
    family: str
    expires_at: float
    data: Mapping[str, Any] = field(default_factory=dict)


def tag_of_token(token: str, user_id: str | int | None) -> str:
    """
    Return the tag of the keys that hold *token*.

    Raises:
        TokenInvalidError: if it is none of keyfleet's, and *user_id* is missing.
    """
    if not isinstance(token, str):
        raise TypeError(f"a token is of type {type(token).__name__}; it must be a text")
    if user_id is not None:
        return user_tag("user_id", user_id)
    tag = tag_in(token)
    if tag is None:
        raise TokenInvalidError
    return tag


def new_nonce() -> str:
    """Return what, with the old token, makes its successor."""
    return os.urandom(16).hex()


def successor_of(token: str, tag: str, nonce: str) -> str:
    """Return the successor of *token*: only who has both the token and the nonce can make it."""
    made = hmac.digest(token.encode("utf-8", "surrogatepass"), f"keyfleet refresh token {nonce}".encode(), "sha256")
    return f"{tag}.{urlsafe_b64encode(made).rstrip(b'=').decode()}"


def grace_ms(grace_seconds: Seconds) -> int:
    """Return the grace in milliseconds."""
    grace = seconds("grace_seconds", grace_seconds)
    if not 0 <= grace <= 3600:
        raise ValueError(f"grace_seconds is {grace}; allowed are 0 to 3600")
    return round(grace * 1000)


def _command(prefix: str, name: str, kind: Kind, tag: str, arguments: Sequence[Argument], decode: Callable[[Any, str], T]) -> Command[T]:
    key = f"{Prefix.REFRESH_TOKEN.value}{{{tag}}}"
    return load(f"tokens/{name}").command(kind, (prefix + key, f"{prefix}{key}:expiry"), tuple(arguments), key, decode)


def store(
    prefix: str, tag: str, token: str, user_id: str | int, ttl_seconds: Seconds, data: Mapping[str, Any] | None
) -> Command[RefreshToken | None]:
    """Return the command that stores a token, None if it is there already."""
    user, digest = user_text("user_id", user_id), digest_of(token)
    stored = {} if data is None else dict(data)

    def decode(reply: int | None, _key: str) -> RefreshToken | None:
        return None if reply is None else RefreshToken(token, user, digest, reply / 1000, stored)

    arguments: list[Argument] = [digest, milliseconds(ttl_seconds), "user", user, "data", _json.dumps(stored)]
    return _command(prefix, "store", ONCE, tag, arguments, decode)


def find(prefix: str, tag: str, token: str) -> Command[RefreshToken | None]:
    """Return the command that reads a token that may be used."""

    def decode(reply: list[Any] | None, _key: str) -> RefreshToken | None:
        return None if reply is None else _token(token, reply[0], reply[1:])

    return _command(prefix, "find", READ, tag, (digest_of(token),), decode)


def rotate(prefix: str, tag: str, token: str, nonce: str, ttl_seconds: Seconds | None, grace: int) -> Command[RefreshToken]:
    """Return the command that replaces a token; its reply may raise TokenInvalidError and TokenReusedError."""

    def decode(reply: list[Any], _key: str) -> RefreshToken:
        if reply[0] == b"rotated":
            return _token(successor_of(token, tag, reply[1].decode()), reply[2], reply[3:])
        raise TokenReusedError if reply[0] == b"reused" else TokenInvalidError

    ttl = 0 if ttl_seconds is None else milliseconds(ttl_seconds)
    arguments = (digest_of(token), digest_of(successor_of(token, tag, nonce)), nonce, ttl, grace)
    return _command(prefix, "rotate", SAME, tag, arguments, decode)


def revoke(prefix: str, tag: str, token: str | None) -> Command[int]:
    """Return the command that ends the family of *token*, or all tokens of the user."""
    return _command(prefix, "revoke", SAME, tag, ("" if token is None else digest_of(token),), same)


def _token(token: str, expires: int, record: Sequence[bytes]) -> RefreshToken:
    found = dict(zip(record[::2], record[1::2], strict=True))
    try:
        data = _json.loads(found[b"data"])
    except ValueError as error:
        raise DecodeError("data", "JSON", "field", found[b"data"]) from error
    return RefreshToken(token, found[b"user"].decode(), found[b"family"].decode(), expires / 1000, data)
