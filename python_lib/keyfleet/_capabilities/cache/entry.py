# SPDX-License-Identifier: MIT
"""
The bytes of a cache entry.

    kfc1  kind  lease token  lease deadline  fill id  |  flags  ms of staleness  length of tags  |  tags  |  payload
    4     1     16           13              16       |  1      8                4               |

A key holds either a placeholder (kind ``P``), which is the first 50 bytes and says that a caller loads the value, or an entry (kind ``V``).
The lease is in the key itself, so that deleting the key, by whatever client or tool, also ends the right to store what was loaded before.
The scripts in lua/cache read and change the first 50 bytes alone.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
import zlib

HEADER_BYTES = 50
MAGIC = b"kfc1"
NONE = b"0" * 16
COMPRESSED = 1
_BODY = struct.Struct(">BQI")
_BODY_END = HEADER_BYTES + _BODY.size
_NO_LEASE = NONE + b"0" * 13


class Entry:
    """
    What a key of the cache holds.

    Attributes:
        fill: Differs from that of every entry before it; NONE of a placeholder.
        token: Of the lease that is or was held on it; NONE if there is none.
        is_filled: Whether it has a value.
        is_broken: Whether what follows its header cannot be read.
        flags: How the payload is written.
        stale_ms: The last part of its TTL, in which it is served only if loading fails.
        tags: The version of each of its tags when loading began.
        payload: The value, as the serializer has written it, maybe compressed.
    """

    __slots__ = ("fill", "flags", "is_broken", "is_filled", "payload", "stale_ms", "tags", "token")

    def __init__(self, fill: bytes, token: bytes, is_filled: bool = False) -> None:
        self.fill, self.token, self.is_filled = fill, token, is_filled
        self.is_broken = False
        self.flags = self.stale_ms = 0
        self.tags: dict[str, int] = {}
        self.payload = b""

    @property
    def data(self) -> bytes:
        """
        The value as the serializer has written it.

        Raises:
            ValueError: if it cannot be decompressed.
        """
        if not self.flags & COMPRESSED:
            return self.payload
        try:
            return zlib.decompress(self.payload)
        except zlib.error as error:
            raise ValueError(str(error)) from error


def new_token() -> bytes:
    """Return a new token of a lease, or fill id."""
    return secrets.token_hex(8).encode()


def read_entry(raw: bytes) -> Entry | None:
    """Return what *raw* is, None if it is no entry of this format."""
    if raw[:4] != MAGIC or len(raw) < HEADER_BYTES:
        return None
    entry = Entry(raw[34:50], raw[5:21], raw[4:5] == b"V")
    if entry.is_filled:
        try:
            _read_body(entry, raw)
        except (ValueError, struct.error):
            entry.is_filled, entry.is_broken = False, True
    return entry


def _read_body(entry: Entry, raw: bytes) -> None:
    entry.flags, entry.stale_ms, length = _BODY.unpack_from(raw, HEADER_BYTES)
    end = _BODY_END + length
    if length:
        entry.tags = json.loads(raw[_BODY_END:end])
    entry.payload = raw[end:]


def write_entry(fill: bytes, data: bytes, *, stale_ms: int, tags: dict[str, int], compress_above_bytes: int | None) -> bytes:
    """Return the bytes of an entry without a lease; *data* is compressed if it is longer than *compress_above_bytes* and gets shorter."""
    flags, payload = 0, data
    if compress_above_bytes is not None and len(data) > compress_above_bytes:
        shorter = zlib.compress(data, 1)
        if len(shorter) < len(data):
            flags, payload = COMPRESSED, shorter
    names = json.dumps(tags).encode() if tags else b""
    return b"".join((MAGIC, b"V", _NO_LEASE, fill, _BODY.pack(flags, stale_ms, len(names)), names, payload))


def identity_of(raw: bytes | None, entry: Entry | None) -> bytes:
    """Return what shows whether a key still holds *raw*, which is *entry*: its fill id, or the SHA-1 of what is no entry."""
    if entry is not None:
        return entry.fill
    return NONE if raw is None else hashlib.sha1(raw, usedforsecurity=False).hexdigest().encode()
