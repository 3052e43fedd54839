# SPDX-License-Identifier: MIT
"""Middleware in Starlette and Flask, behind real HTTP servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from flask import Flask
from keyfleet import AsyncClient, Client, Limit, LocalShare, Settings
from keyfleet.contrib import asgi, wsgi
from keyfleet.contrib.cookies import Cookie
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from support.capabilities import full, modest_user
from support.targets import Target
from support.web import Browser, asgi_server, wsgi_server

ON_EVERY_SERVER = True
DAY = 86400


async def hello(request: Request) -> Response:
    """Answer with a header of its own."""
    return PlainTextResponse("hello", headers={"X-Own": "yes"})


@contextmanager
def starlette(settings: Settings, *middleware: tuple[Any, dict[str, Any]], routes: list[Route] | None = None) -> Iterator[int]:
    """Serve a Starlette application with *middleware* on a client of *settings*."""
    client = AsyncClient.from_settings(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        async with client:
            yield

    stack = [Middleware(kind, client=client, **options) for kind, options in middleware]
    app = Starlette(routes=[Route("/", hello, methods=["GET", "HEAD"]), *(routes or [])], middleware=stack, lifespan=lifespan)
    with asgi_server(app) as port:
        yield port


@contextmanager
def flask(settings: Settings, limits: Any, **options: Any) -> Iterator[int]:
    """Serve a Flask application with a rate limit."""
    app = Flask("tried")
    app.add_url_rule("/", view_func=lambda: ("hello", 200, {"X-Own": "yes"}))
    with Client.from_settings(settings) as client:
        app.wsgi_app = wsgi.RateLimitMiddleware(app.wsgi_app, client, limits, **options)  # type: ignore[method-assign]
        with wsgi_server(app) as port:
            yield port


@contextmanager
def limited(kind: str, settings: Settings, limits: Any, **options: Any) -> Iterator[Browser]:
    """Serve an application with a rate limit."""
    if kind == "flask":
        with flask(settings, limits, **options) as port:
            yield Browser(port)
    else:
        with starlette(settings, (asgi.RateLimitMiddleware, {"limits": limits, **options})) as port:
            yield Browser(port)


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_requests_are_limited_and_learn_what_is_left(redis_server: Server, kind: str) -> None:
    """429 with Retry-After when it is used up; HEAD has no body."""
    with limited(kind, redis_server.settings(), Limit(3, DAY, "fixed"), on_outage="raise") as browser:
        replies = [browser.get("/") for _unused in range(4)]
        head = browser.request("HEAD", "/")
    assert [(200, "hello", "yes")] * 3 == [(it.status, it.body, it.headers.get("X-Own", it.headers.get("x-own"))) for it in replies[:3]]
    lowered = [{name.lower(): value for name, value in it.headers.items()} for it in replies]
    assert ["2", "1", "0", "0"] == [it["ratelimit-remaining"] for it in lowered]
    assert {"3"} == {it["ratelimit-limit"] for it in lowered}
    assert all(0 < int(it["ratelimit-reset"]) <= DAY for it in lowered)
    assert "retry-after" not in lowered[0]
    assert (429, "Too many requests\n") == (replies[3].status, replies[3].body)
    assert 0 < int(lowered[3]["retry-after"]) <= DAY
    assert (429, "") == (head.status, head.body)


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_requests_at_the_same_time_are_admitted_exactly(redis_server: Server, kind: str) -> None:
    """60 requests of 12 threads, limit 25, and a second limit that is not used up."""
    several = [Limit(25, DAY), Limit(100, 60, "fixed")]
    settings = redis_server.settings(timeout_seconds=30)
    with limited(kind, settings, several, on_outage="raise") as browser, ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _number: browser.get("/").status, range(60)))
    assert {200: 25, 429: 35} == {status: replies.count(status) for status in set(replies)}


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_an_outage_is_what_was_chosen(redis_server: Server, kind: str) -> None:
    """allow says nothing of what is left, refuse answers 503, raise is an error of the application."""
    with FaultProxy(redis_server) as proxy:
        proxy.refuse()
        settings = proxy.settings(timeout_seconds=0.2)
        found = {}
        for chosen in ("allow", "refuse", "raise"):
            with limited(kind, settings, Limit(3, DAY), on_outage=chosen) as browser:
                reply = browser.get("/")
                names = {name.lower() for name in reply.headers}
                found[chosen] = (reply.status, "ratelimit-remaining" in names, "retry-after" in names)
    assert {"allow": (200, False, False), "refuse": (503, False, True), "raise": (500, False, False)} == found


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_a_share_is_admitted_in_an_outage(redis_server: Server, kind: str) -> None:
    """Half of four requests, and 429 for the rest: no response says what is left, a refusal says when to come back."""
    with FaultProxy(redis_server) as proxy:
        proxy.refuse()
        with limited(kind, proxy.settings(timeout_seconds=0.2), Limit(4, DAY), on_outage=LocalShare(0.5)) as browser:
            replies = [browser.get("/") for _unused in range(3)]
    lowered = [{name.lower(): value for name, value in it.headers.items()} for it in replies]
    assert [200, 200, 429] == [it.status for it in replies]
    assert [False] * 3 == ["ratelimit-remaining" in it for it in lowered]
    assert DAY / 2 - 600 < int(lowered[2]["retry-after"]) <= DAY / 2


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_a_full_server_and_a_lost_reply(redis_server: Server, kind: str) -> None:
    """The first is an outage; after the second, the check is sent again and the request is answered."""
    with FaultProxy(redis_server) as proxy:
        settings = proxy.settings(timeout_seconds=5.0, retry_delay_ms=10)
        with limited(kind, settings, Limit(5, DAY), on_outage="refuse") as browser:
            assert 200 == browser.get("/").status
            fault = proxy.lose_reply("EVALSHA")
            assert (200, 1) == (browser.get("/").status, fault.hits)
            with full(redis_server):
                assert 503 == browser.get("/").status
            assert [200, 200, 429] == [browser.get("/").status for _unused in range(3)], "the lost one counts twice"


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_who_is_limited_is_chosen(redis_server: Server, kind: str) -> None:
    """By any part of the request; None is not limited."""

    def of_scope(scope: Any) -> str | None:
        return dict(scope["headers"]).get(b"x-key", b"").decode() or None

    def of_environ(environ: Any) -> str | None:
        return environ.get("HTTP_X_KEY")

    chosen = of_environ if kind == "flask" else of_scope
    with limited(kind, redis_server.settings(), Limit(1, DAY), on_outage="raise", id=chosen) as browser:
        asked = ["a", "a", "b", "{b}:*", None, None]
        replies = [browser.request("GET", "/", headers={"X-Key": key} if key else {}).status for key in asked]
    assert [200, 429, 200, 200, 200, 200] == replies


def test_requests_are_limited_on_every_topology(target: Target) -> None:
    """Two limits of one address; a user with few rights is enough."""
    several = [Limit(3, DAY), Limit(100, 60, "sliding")]
    with modest_user(target) as rights:
        for kind in ("starlette", "flask"):
            with limited(kind, target.settings(timeout_seconds=10.0, **rights), several, on_outage="raise", prefix=kind) as browser:
                assert [200, 200, 200, 429] == [browser.get("/").status for _unused in range(4)]


async def login(request: Request) -> Response:
    """Log in the user of the path."""
    made = await request.session.login(request.path_params["user"], {"ip": request.client.host, "cart": []})  # type: ignore[attr-defined]
    return PlainTextResponse(made.handle)


async def logout(request: Request) -> Response:
    """Log out."""
    await request.session.logout(everywhere="everywhere" in request.query_params)  # type: ignore[attr-defined]
    return PlainTextResponse("bye")


async def put(request: Request) -> Response:
    """Store a value, and change one in place."""
    request.session[request.path_params["name"]] = request.path_params["value"]
    request.session["cart"].append(request.path_params["name"])
    return PlainTextResponse("stored")


async def remove(request: Request) -> Response:
    """Remove a value."""
    del request.session[request.path_params["name"]]
    return PlainTextResponse("removed")


async def show(request: Request) -> Response:
    """Show the session."""
    return JSONResponse({"user": request.session.user_id, "extra": dict(request.session)})  # type: ignore[attr-defined]


async def end_while_running(request: Request) -> Response:
    """Change the session after another request has ended it."""
    request.session["late"] = 1
    async with AsyncClient.from_settings(request.app.state.settings) as other:
        await other.sessions.revoke_user(request.session.user_id)  # type: ignore[attr-defined]
    return PlainTextResponse("done")


ROUTES = [
    Route("/login/{user}", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/put/{name}/{value}", put, methods=["POST"]),
    Route("/remove/{name}", remove, methods=["POST"]),
    Route("/show", show),
]
OPEN = Cookie(secure=False)


@pytest.fixture
def port(redis_server: Server) -> Iterator[int]:
    """An application with sessions."""
    with starlette(redis_server.settings(), (asgi.SessionMiddleware, {"cookie": OPEN}), routes=ROUTES) as port:
        yield port


def shown(browser: Browser) -> tuple[Any, Any]:
    """Return the user and the values that the application sees."""
    found = browser.get("/show")
    made = json.loads(found.body)
    return made["user"], made["extra"]


def test_a_login_lasts_over_requests(port: int) -> None:
    """Values are kept, nested changes too; a logout ends it, and the browser forgets the cookie."""
    browser = Browser(port)
    assert (None, {}) == shown(browser)
    assert {} == browser.cookies, "a cookie is set before the login"
    browser.post("/login/ada")
    assert ("ada", {"cart": []}) == shown(browser)
    browser.post("/put/color/blue")
    browser.post("/put/size/9")
    assert ("ada", {"cart": ["color", "size"], "color": "blue", "size": "9"}) == shown(browser)
    browser.post("/remove/color")
    assert ("ada", {"cart": ["color", "size"], "size": "9"}) == shown(browser)
    browser.post("/logout")
    assert {} == browser.cookies
    assert (None, {}) == shown(browser)


def test_a_login_gives_a_new_id_and_ends_the_one_before(port: int) -> None:
    """An id that another person planted, or knew before, is of no use."""
    browser, planted = Browser(port), Browser(port)
    browser.cookies["session"] = planted.cookies["session"] = "planted"
    browser.post("/login/ada")
    assert browser.cookies["session"] != "planted"
    assert (None, {}) == shown(planted)
    thief = Browser(port)
    thief.cookies = dict(browser.cookies)
    browser.post("/login/ada")
    assert (None, "ada") == (shown(thief)[0], shown(browser)[0])


def test_a_logout_everywhere_ends_all(port: int) -> None:
    """Those of other users stay."""
    mine, other = [Browser(port), Browser(port)], Browser(port)
    for browser in mine:
        browser.post("/login/ada")
    other.post("/login/bob")
    mine[0].post("/logout?everywhere")
    assert [None, None, "bob"] == [shown(browser)[0] for browser in (*mine, other)]


def test_nothing_is_stored_without_a_login(port: int) -> None:
    """It would be lost: an error of the application says so."""
    assert 500 == Browser(port).post("/put/color/blue").status


def test_the_cookie_is_one_that_scripts_and_other_sites_do_not_get(redis_server: Server) -> None:
    """By default only over TLS, too; the name and the rest may be chosen."""
    with starlette(redis_server.settings(), (asgi.SessionMiddleware, {"ttl_seconds": 600}), routes=ROUTES) as port:
        header = Browser(port).post("/login/ada").headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"} == set(header.split("; ")[1:])
    with pytest.raises(ValueError, match="same_site is 'all'"):
        Cookie(same_site="all")  # type: ignore[arg-type]


def test_a_server_that_is_down_logs_no_user_out(redis_server: Server) -> None:
    """503, and the browser keeps its cookie; without a cookie there is nothing to ask."""
    with FaultProxy(redis_server) as proxy:
        settings = proxy.settings(timeout_seconds=0.3)
        with starlette(settings, (asgi.SessionMiddleware, {"cookie": OPEN}), routes=ROUTES) as port:
            browser = Browser(port)
            browser.post("/login/ada")
            proxy.refuse()
            proxy.close_connections()
            reply = browser.get("/show")
            assert (503, "1") == (reply.status, reply.headers["retry-after"])
            assert 200 == Browser(port).get("/").status
            assert browser.cookies
            proxy.heal()
            for _unused in range(100):
                if browser.get("/show").status == 200:
                    break
            assert "ada" == shown(browser)[0]


def test_a_full_server_and_a_lost_reply_log_no_user_out(redis_server: Server) -> None:
    """What cannot be stored is an error of that request; the session stays, and works afterwards."""
    with FaultProxy(redis_server) as proxy:
        settings = proxy.settings(timeout_seconds=5.0, retry_delay_ms=10)
        with starlette(settings, (asgi.SessionMiddleware, {"cookie": OPEN}), routes=ROUTES) as port:
            browser = Browser(port)
            browser.post("/login/ada")
            fault = proxy.lose_reply("EVALSHA")
            assert (("ada", {"cart": []}), 1) == (shown(browser), fault.hits)
            with full(redis_server):
                assert 500 == browser.post("/put/color/blue").status
                assert ("ada", {"cart": []}) == shown(browser)
            browser.post("/put/color/blue")
            assert ("ada", {"cart": ["color"], "color": "blue"}) == shown(browser)


def test_sessions_on_every_topology(target: Target) -> None:
    """A login, a change and a logout everywhere; a user with few rights is enough."""
    with modest_user(target) as rights:
        settings = target.settings(timeout_seconds=10.0, **rights)
        with starlette(settings, (asgi.SessionMiddleware, {"cookie": OPEN}), routes=ROUTES) as port:
            browser, phone = Browser(port), Browser(port)
            for each in (browser, phone):
                each.post("/login/ada")
            browser.post("/put/color/blue")
            assert ("ada", {"cart": ["color"], "color": "blue"}) == shown(browser)
            browser.post("/logout?everywhere")
            assert [None, None] == [shown(each)[0] for each in (browser, phone)]


def test_a_request_that_is_still_running_does_not_bring_an_ended_session_back(redis_server: Server) -> None:
    """What it stores is lost, and the browser forgets the cookie."""
    settings = redis_server.settings()
    late = Route("/late", end_while_running, methods=["POST"])
    client = AsyncClient.from_settings(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        async with client:
            yield

    app = Starlette(routes=[*ROUTES, late], middleware=[Middleware(asgi.SessionMiddleware, client=client, cookie=OPEN)], lifespan=lifespan)
    app.state.settings = settings
    with asgi_server(app) as port:
        browser = Browser(port)
        browser.post("/login/ada")
        assert 200 == browser.post("/late").status
        assert {} == browser.cookies
        assert (None, {}) == shown(browser)
    with redis_server.client() as raw:
        assert [] == raw.keys("session:*")
