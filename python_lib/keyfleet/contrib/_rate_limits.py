# SPDX-License-Identifier: MIT
"""What a rate limit says over HTTP; pure, the same for ASGI and WSGI."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._capabilities.rate_limit_outages import OnOutage, checked_on_outage
from .._capabilities.rate_limits import Limit, RateLimitResult, names

Headers = list[tuple[str, str]]

REFUSED = b"Too many requests\n"
UNAVAILABLE = b"The rate limit cannot be checked at present\n"


def checked(limits: Limit | Sequence[Limit], on_outage: OnOutage) -> tuple[Limit, ...]:
    """Return the limits; ValueError if one of them, or *on_outage*, is wrong."""
    found = (limits,) if isinstance(limits, Limit) else tuple(limits)
    names("checked", found)
    checked_on_outage(on_outage)
    return found


def headers_of(result: RateLimitResult) -> Headers:
    """
    Return the headers for every response: none if the server could not be asked, since what is left is not known then.

    Source:
        The fields of draft-ietf-httpapi-ratelimit-headers, versions 00 to 06, with seconds until the reset; Retry-After of RFC 9110.
    """
    made = []
    if result.source not in ("policy", "share"):
        made = [
            ("RateLimit-Limit", str(result.limit)),
            ("RateLimit-Remaining", str(result.remaining)),
            ("RateLimit-Reset", str(math.ceil(result.reset_after_seconds))),
        ]
    if not result.allowed:
        made.append(("Retry-After", str(max(1, math.ceil(result.retry_after_seconds)))))
    return made


def refusal(result: RateLimitResult) -> tuple[int, str, bytes, Headers]:
    """Return status, its phrase, body and headers of the response to a call that is refused: 429, or 503 where no server could be asked."""
    status, phrase, body = (503, "Service Unavailable", UNAVAILABLE) if result.source == "policy" else (429, "Too Many Requests", REFUSED)
    return status, phrase, body, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers_of(result)]
