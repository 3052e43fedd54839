# SPDX-License-Identifier: MIT
"""One test body for Client and AsyncClient: the latter behind the face of the former, its loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Protocol, cast

import pytest
from keyfleet import AsyncClient, Client, Policy, Settings

TIMEOUT_SECONDS = 60.0  # a call that takes longer hangs


class Loop:
    """An event loop in a thread; work is given to it from any other thread, so that calls from several threads are several tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="AsyncClient", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what *work* returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_SECONDS)

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_SECONDS)
        self._loop.close()


class Blocking:
    """An object of keyfleet's asyncio side whose methods, iterators and context managers are used without await."""

    def __init__(self, loop: Loop, subject: Any) -> None:
        self._loop, self._subject = loop, subject

    def __getattr__(self, name: str) -> Any:
        async def read() -> Any:  # some properties want the running loop
            return getattr(self._subject, name)

        value = self._loop.run(read())
        if not callable(value):
            return self._shown(value)
        return lambda *args, **kwargs: self._call(value, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._subject, args, kwargs)

    def __enter__(self) -> Blocking:
        self._call(self._subject.__aenter__, (), {})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._call(self._subject.__aexit__, (kind, error, trace), {})

    def __iter__(self) -> Iterator[Any]:
        iterator = self._subject.__aiter__()
        while True:
            try:
                yield self._call(iterator.__anext__, (), {})
            except StopAsyncIteration:
                return

    def __len__(self) -> int:
        return len(self._subject)

    def __repr__(self) -> str:
        return repr(self._subject)

    def _call(self, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = [item._subject if isinstance(item, Blocking) else item for item in args]

        async def call() -> Any:
            result = method(*given, **kwargs)
            return await result if hasattr(result, "__await__") else result

        return self._shown(self._loop.run(call()))

    def _shown(self, value: Any) -> Any:
        is_ours = type(value).__module__.startswith("keyfleet._async")
        return Blocking(self._loop, value) if is_ours or hasattr(value, "__anext__") else value


class OpenClient(Protocol):
    """Opens a client; the test's end closes it."""

    def __call__(self, settings: Settings, policy: Policy | None = None) -> Client: ...


class OpenBoth(Protocol):
    """Opens a client of each kind; the test's end closes them."""

    def __call__(self, settings: Settings, policy: Policy | None = None) -> list[Client]: ...


@contextmanager
def opener(kind: str) -> Iterator[OpenClient]:
    """Give a function that opens clients of the *kind* ``sync`` or ``async``; the end closes them."""
    with ExitStack() as ended:
        if kind == "sync":
            yield lambda settings, policy=None: ended.enter_context(Client.from_settings(settings, policy=policy))
            return
        loop = Loop()
        ended.callback(loop.stop)

        def open_async(settings: Settings, policy: Policy | None = None) -> Client:
            return cast("Client", ended.enter_context(Blocking(loop, AsyncClient.from_settings(settings, policy=policy))))

        yield open_async


@pytest.fixture(params=["sync", "async"])
def open_client(request: pytest.FixtureRequest) -> Iterator[OpenClient]:
    """
    Open clients of both kinds in turn, with the face of Client.

    Calls may come from several threads. Of AsyncClient they are tasks of one loop, and its ``raw`` is left as it is.
    """
    with opener(request.param) as opened:
        yield opened


@pytest.fixture
def open_both() -> Iterator[OpenBoth]:
    """Open a client of each kind, for states that take seconds to bring about; arguments as for `open_client`."""
    with opener("sync") as open_sync, opener("async") as open_async:
        yield lambda settings, policy=None: [open_sync(settings, policy), open_async(settings, policy)]
