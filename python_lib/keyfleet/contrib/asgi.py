# SPDX-License-Identifier: MIT
"""Middleware for ASGI, as Starlette and FastAPI have it."""

from __future__ import annotations

import copy
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from .._capabilities.rate_limit_outages import OnOutage
from .._capabilities.rate_limits import Limit
from .._capabilities.sessions import Session, SessionData
from .._protocol.arguments import Seconds, seconds
from .._protocol.ttl import TTL
from ..core.errors import OutcomeUnknown, UnreachableError
from ._rate_limits import Headers, checked, headers_of, refusal
from .cookies import Cookie

if TYPE_CHECKING:
    from .._async.client import AsyncClient

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

UNAVAILABLE = b"Sessions cannot be read at present\n"


def client_address(scope: Scope) -> str | None:
    """Return the address of whoever connected; behind a proxy that is the proxy's, unless the server puts the client's in its place."""
    client = scope.get("client")
    return client[0] if client else None


class RateLimitMiddleware:
    """
    Answers 429 to requests that are over their limits, and says in the headers of all others what is left.

        app.add_middleware(RateLimitMiddleware, client=client, limits=Limit(100, 60), on_outage="allow")

    Args:
        app: The application behind it.
        client: Not closed by this.
        limits: One or several; a request consumes from all of them or from none.
        on_outage: Where the limit cannot be checked: ``allow`` the request, ``refuse`` it with 503, ``raise`` the error, or admit a
            `LocalShare` of the limit and answer 429 to the rest.
        id: Returns who is limited, of the ASGI scope; None for a request that is not limited. By default the address.
        prefix: Begins the subject, so that several of these do not share what was used.
    Raises:
        ValueError: if a limit, or *on_outage*, is wrong.
    """

    def __init__(
        self,
        app: Application,
        client: AsyncClient,
        limits: Limit | Sequence[Limit],
        *,
        on_outage: OnOutage,
        id: Callable[[Scope], str | None] = client_address,
        prefix: str = "http:",
    ) -> None:
        self._app, self._client, self._limits = app, client, checked(limits, on_outage)
        self._on_outage, self._id, self._prefix = on_outage, id, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        subject = self._id(scope) if scope["type"] == "http" else None
        if subject is None:
            await self._app(scope, receive, send)
            return
        result = await self._client.rate_limits.check_all(self._prefix + subject, self._limits, on_outage=self._on_outage)
        if not result.allowed:
            status, _phrase, body, headers = refusal(result)
            await _respond(scope, send, status, body, headers)
            return
        said = _encoded(headers_of(result))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *said]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestSession(MutableMapping[str, Any]):
    """
    The session of a request: `scope["session"]`, which is `request.session` in Starlette.

    As a mapping it is the ``extra`` of the session. What was changed, in nested values too, is stored before the response begins, field by
    field; requests that change other fields at the same time do not disturb it.

    Attributes:
        session: None if no user is logged in.
    """

    def __init__(self, middleware: SessionMiddleware, session: Session | None, had_cookie: bool) -> None:
        self.session = session
        self._middleware, self._had_cookie = middleware, had_cookie
        self._extra: dict[str, Any] = {}
        self._is_new = False
        self._take(session)

    def _take(self, session: Session | None) -> None:
        self.session = session
        self._extra = {} if session is None else copy.deepcopy(dict(session.data.extra))

    @property
    def user_id(self) -> str | None:
        """Who is logged in."""
        return None if self.session is None else self.session.user_id

    @property
    def data(self) -> SessionData | None:
        """What is known of the session, as it was at the beginning of the request."""
        return None if self.session is None else self.session.data

    async def login(self, user_id: str | int, data: SessionData | Mapping[str, Any] | None = None) -> Session:
        """Begin a session under a new id, and end the one before: what knew its id, knows nothing now."""
        sessions = self._middleware.client.sessions
        before = self.session
        made = await sessions.create(user_id, data, self._middleware.ttl_seconds, sliding=self._middleware.sliding)
        if before is not None:
            await sessions.destroy(before.id)
        self._take(made)
        self._is_new = True
        return made

    async def logout(self, *, everywhere: bool = False) -> None:
        """End the session, or all sessions of its user."""
        if self.session is not None:
            sessions, session = self._middleware.client.sessions, self.session
            self._take(None)
            if everywhere:
                await sessions.revoke_user(session.user_id)
            await sessions.destroy(session.id)

    async def finish(self) -> str | None:
        """Store what was changed, and return the Set-Cookie header, None if the browser has the right cookie."""
        session, cookie = self.session, self._middleware.cookie
        if session is not None:
            before = session.data.extra
            changes = {name: value for name, value in self._extra.items() if name not in before or before[name] != value}
            changes |= {name: None for name in before if name not in self._extra}
            if changes:
                session = self.session = await self._middleware.client.sessions.update(session.id, changes)
        if session is None:  # no user is logged in, or it was ended meanwhile
            return cookie.header("", 0) if self._had_cookie else None
        if self._is_new or self._middleware.sliding:
            return cookie.header(session.id, math.ceil(self._middleware.ttl_seconds))
        return None

    def __getitem__(self, name: str) -> Any:
        return self._extra[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if self.session is None:
            raise RuntimeError("no user is logged in, so there is no session to store this in; await request.session.login(user_id) first")
        self._extra[name] = value

    def __delitem__(self, name: str) -> None:
        del self._extra[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._extra)

    def __len__(self) -> int:
        return len(self._extra)


class SessionMiddleware:
    """
    Gives each request its session: ``scope["session"]``, a RequestSession.

        app.add_middleware(SessionMiddleware, client=client)

    The cookie has the id; everything else is at the server. A server that cannot be reached is answered with 503, and never taken for a
    user who is not logged in. Websockets get their session and cannot change it.

    Args:
        app: The application behind it.
        client: Not closed by this.
        ttl_seconds: How long a session lasts; a day by default.
        sliding: Whether each request begins that time anew.
        cookie: Name and rules of the cookie.
    """

    def __init__(
        self,
        app: Application,
        client: AsyncClient,
        *,
        ttl_seconds: Seconds = TTL.SESSION,
        sliding: bool = True,
        cookie: Cookie = Cookie(),  # noqa: B008 - it cannot change
    ) -> None:
        self._app, self.client, self.cookie = app, client, cookie
        self.ttl_seconds, self.sliding = seconds("ttl_seconds", ttl_seconds), sliding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        shown = self._shown_in(scope)
        try:
            session = None if shown is None else await self.client.sessions.get(shown)
        except (UnreachableError, OutcomeUnknown):
            if scope["type"] != "http":
                raise
            await _respond(scope, send, 503, UNAVAILABLE, [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "1")])
            return
        mine = scope["session"] = RequestSession(self, session, shown is not None)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and (cookie := await mine.finish()) is not None:
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode("latin-1"))]
            await send(message)

        await self._app(scope, receive, send_with_cookie if scope["type"] == "http" else send)

    def _shown_in(self, scope: Scope) -> str | None:
        header = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        return self.cookie.value_in(header.decode("latin-1")) or None


async def _respond(scope: Scope, send: Send, status: int, body: bytes, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
