# SPDX-License-Identifier: MIT
"""Middleware for WSGI, as Flask and Django have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._capabilities.rate_limit_outages import OnOutage
from .._capabilities.rate_limits import Limit
from ._rate_limits import checked, headers_of, refusal

if TYPE_CHECKING:
    from .._sync.client import Client

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def remote_address(environ: Environ) -> str | None:
    """Return the address of whoever connected; behind a proxy that is the proxy's, unless the server puts the client's in its place."""
    return environ.get("REMOTE_ADDR") or None


class RateLimitMiddleware:
    """
    Answers 429 to requests that are over their limits, and says in the headers of all others what is left.

        app.wsgi_app = RateLimitMiddleware(app.wsgi_app, client, Limit(100, 60), on_outage="allow")

    Args:
        app: The application behind it.
        client: Not closed by this.
        limits: One or several; a request consumes from all of them or from none.
        on_outage: Where the limit cannot be checked: ``allow`` the request, ``refuse`` it with 503, ``raise`` the error, or admit a
            `LocalShare` of the limit and answer 429 to the rest.
        id: Returns who is limited, of the WSGI environment; None for a request that is not limited. By default the address.
        prefix: Begins the subject, so that several of these do not share what was used.
    Raises:
        ValueError: if a limit, or *on_outage*, is wrong.
    """

    def __init__(
        self,
        app: Application,
        client: Client,
        limits: Limit | Sequence[Limit],
        *,
        on_outage: OnOutage,
        id: Callable[[Environ], str | None] = remote_address,
        prefix: str = "http:",
    ) -> None:
        self._app, self._client, self._limits = app, client, checked(limits, on_outage)
        self._on_outage, self._id, self._prefix = on_outage, id, prefix

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        subject = self._id(environ)
        if subject is None:
            return self._app(environ, start_response)
        result = self._client.rate_limits.check_all(self._prefix + subject, self._limits, on_outage=self._on_outage)
        if not result.allowed:
            status, phrase, body, headers = refusal(result)
            start_response(f"{status} {phrase}", headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
        said = headers_of(result)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *said], *rest)

        return self._app(environ, start)
