# SPDX-License-Identifier: MIT
"""
A small web application on keyfleet: login, session, refresh, rate limits, a cached query and its invalidation, health.

Usage: .venv/bin/python docs/examples/app.py [--port PORT]

Where the server is, the REDIS_ variables say; without them, the profile that `make deploy` left next to the inventory `local`.
"""

from __future__ import annotations

import argparse
import hmac
import math
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from keyfleet import TTL, AsyncClient, Limit, TokenInvalidError, TokenReusedError
from keyfleet.contrib.asgi import RateLimitMiddleware, SessionMiddleware
from keyfleet.contrib.cookies import Cookie
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROFILE = Path(__file__).parents[2] / "inventories/local/redis@localhost.env"

# Stands for the database: a real one has slow hashes of passwords, as argon2.
USERS = {"ada": "lovelace", "grace": "hopper"}
ARTICLES = ["Notes on the engine"]
queries = 0


def environment() -> Mapping[str, str]:
    """Return the process's variables, or those of the local deployment's profile if none is about a server."""
    if any(name.startswith("REDIS_") for name in os.environ):
        return os.environ
    lines = shlex.split(PROFILE.read_text(encoding="utf-8"), comments=True)
    return dict(line.split("=", 1) for line in lines)


async def login(request: Request) -> Response:
    """Check the password; give a session as a cookie, and a refresh token."""
    client: AsyncClient = request.app.state.client
    sent = await request.json()
    user = str(sent.get("user", ""))
    # Guesses are few, for each account and for each address.
    for subject in (f"login:user:{user}", f"login:address:{request.client.host if request.client else ''}"):
        result = await client.rate_limits.check(subject, 5, 60, on_outage="allow")
        if not result:
            return JSONResponse({"error": "too many attempts"}, 429, {"Retry-After": str(math.ceil(result.retry_after_seconds))})
    if not hmac.compare_digest(USERS.get(user, "").encode(), str(sent.get("password", "")).encode()) or user not in USERS:
        return JSONResponse({"error": "wrong user or password"}, 401)
    token = await client.tokens.store(user, data={"role": "editor"})
    return await welcome(request, user, token.token)


async def refresh(request: Request) -> Response:
    """Replace the refresh token, and give a new session."""
    client: AsyncClient = request.app.state.client
    sent = await request.json()
    try:
        token = await client.tokens.rotate(str(sent.get("refresh_token", "")))
    except TokenReusedError:
        return JSONResponse({"error": "this token was used before; log in again, and change your password"}, 401)
    except TokenInvalidError:
        return JSONResponse({"error": "log in again"}, 401)
    return await welcome(request, token.user_id, token.token)


async def welcome(request: Request, user: str, token: str) -> Response:
    """Begin a session under a new id."""
    address = request.client.host if request.client else ""
    details = {"role": "editor", "ip": address, "user_agent": request.headers.get("user-agent", "")}
    await request.session.login(user, details)
    return JSONResponse({"user": user, "refresh_token": token})


async def logout(request: Request) -> Response:
    """End this session, or with ?everywhere all sessions and tokens of the user."""
    client: AsyncClient = request.app.state.client
    user, everywhere = request.session.user_id, "everywhere" in request.query_params
    await request.session.logout(everywhere=everywhere)
    if everywhere and user is not None:
        await client.tokens.revoke_all(user)
    return JSONResponse({})


async def me(request: Request) -> Response:
    """Show who is logged in and where else, and count visits in the session."""
    client: AsyncClient = request.app.state.client
    if request.session.user_id is None:
        return JSONResponse({"error": "log in first"}, 401)
    request.session["visits"] = request.session.get("visits", 0) + 1
    entries = await client.sessions.list(request.session.user_id)
    return JSONResponse(
        {
            "user": request.session.user_id,
            "role": request.session.data.role,
            "visits": request.session["visits"],
            "sessions": [{"handle": entry.handle, "ip": entry.data.ip, "since": entry.data.created_at} for entry in entries],
        }
    )


async def query_articles() -> list[str]:
    """Ask the database, slowly."""
    global queries
    queries += 1
    return list(ARTICLES)


async def articles(request: Request) -> Response:
    """List the articles; many requests at the same time are one query."""
    client: AsyncClient = request.app.state.client
    found = await client.cache.get_or_set("articles", query_articles, ttl_seconds=TTL.LIST_CACHE, tags=["articles"])
    return JSONResponse({"articles": found, "queries": queries})


async def publish(request: Request) -> Response:
    """Add an article: change the data first, then invalidate."""
    client: AsyncClient = request.app.state.client
    if request.session.user_id is None:
        return JSONResponse({"error": "log in first"}, 401)
    ARTICLES.append(str((await request.json())["title"]))
    await client.cache.invalidate_tags("articles")
    return JSONResponse({}, 201)


async def health(request: Request) -> Response:
    """Say how the server is: for people and dashboards. What restarts the application should ask /live."""
    client: AsyncClient = request.app.state.client
    report = await client.health()
    return JSONResponse({"verdict": report.verdict, "reasons": list(report.reasons)}, 503 if report.verdict == "failed" else 200)


async def live(_request: Request) -> Response:
    """Say that the application runs; a server that is down is no reason to restart it."""
    return JSONResponse({})


def make_app(client: AsyncClient) -> Starlette:
    """Return the application on *client*, which it closes."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/refresh", refresh, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/me", me),
            Route("/articles", articles),
            Route("/articles", publish, methods=["POST"]),
            Route("/health", health),
            Route("/live", live),
        ],
        middleware=[
            Middleware(RateLimitMiddleware, client=client.within(0.5), limits=[Limit(50, 1), Limit(1000, 60)], on_outage="allow"),
            Middleware(SessionMiddleware, client=client, cookie=Cookie(secure=False)),  # behind TLS: leave the cookie out
        ],
        lifespan=lifespan,
    )
    app.state.client = client
    return app


def main() -> None:
    """Serve the application on loopback."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(make_app(AsyncClient.from_env(environment())), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
