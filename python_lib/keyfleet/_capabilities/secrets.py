# SPDX-License-Identifier: MIT
"""
Secrets that callers hold and the server does not: ids of sessions and tokens.

A secret is ``TAG.RANDOM``: the tag says which user's keys it belongs to, and so its slot, without naming the user; 256 random bits make it
a secret. The server has the SHA-256 of the whole. A dump of it logs no user in.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

TAG_LENGTH = 16  # 96 bits: no two users share one
_SECRET = re.compile(r"[\w-]{16}\.[\w-]{43}", re.ASCII)


def user_tag(called: str, user: str | int) -> str:
    """
    Return the tag of *user*; a number is the same as its decimal text.

    Raises:
        TypeError, ValueError: if it is no such thing, or empty; errors call it *called*.
    """
    return digest_of(user_text(called, user))[:TAG_LENGTH]


def user_text(called: str, user: str | int) -> str:
    """Return *user* as it is stored; errors as for `user_tag`."""
    if isinstance(user, int) and not isinstance(user, bool):
        return str(int(user))
    if not isinstance(user, str):
        raise TypeError(f"{called} is of type {type(user).__name__}; it must be a text or a whole number")
    if not user:
        raise ValueError(f"{called} is empty; it must have at least one character")
    return user


def new_secret(tag: str) -> str:
    """Return a new secret that belongs to *tag*."""
    return f"{tag}.{_text(os.urandom(32))}"


def tag_in(secret: str) -> str | None:
    """Return the tag of a secret that `new_secret` made; None for any other text."""
    return secret[:TAG_LENGTH] if _SECRET.fullmatch(secret) else None


def digest_of(secret: str) -> str:
    """Return what is stored of *secret*; no text, however odd, has none."""
    return _text(sha256(secret.encode("utf-8", "surrogatepass")).digest())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
