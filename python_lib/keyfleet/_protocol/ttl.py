# SPDX-License-Identifier: MIT
"""Usual times to live, in seconds."""

from __future__ import annotations

from enum import IntEnum


class TTL(IntEnum):
    """
    How long what an application stores is usually kept, in seconds; goes wherever ``ttl_seconds`` does.

    Attributes:
        SESSION: A login session, one day.
        REFRESH_TOKEN: A refresh token, seven days.
        USER_CACHE: A cached record, as of a user, one hour.
        LIST_CACHE: A cached list or query result, which changes with each of its members, five minutes.
    """

    SESSION = 86400
    REFRESH_TOKEN = 604800
    USER_CACHE = 3600
    LIST_CACHE = 300
