# SPDX-License-Identifier: MIT
"""Making, opening and closing a client, and the way that each of its calls takes."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .._policy import Outage, Policy
from .._protocol.arguments import Seconds, budget_seconds
from .._protocol.builder import Commands
from .._protocol.command import NO_FALLBACK, Command, Operation, Repeat
from .._transport.asyncio_engines import Engines, close_raw, open_raw
from .._transport.asyncio_waits import sleep
from .._transport.counters import Counters
from .._transport.dialer import Dialer, format_address
from .._transport.failures import NO_ANSWER, NoAnswer
from .._transport.login import CredentialsProvider
from ..core.connect.settings import Settings
from ..core.connect.tls import check_files
from ..core.errors import DecodeError, OutcomeUnknown, ServerError, UnreachableError, WrongTypeError
from .call import Call
from .executor import Engine

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster
    from typing_extensions import Self

    from .._transport.stats import Stats

T = TypeVar("T")

CLOSE_SECONDS = 5.0
POLL_SECONDS = 0.05
logger = logging.getLogger("keyfleet")


class AsyncClientBase:
    """Settings, connections and the budget of a client."""

    def __init__(self, settings: Settings, policy: Policy | None = None, *, credentials: CredentialsProvider | None = None) -> None:
        check_files(settings)
        self._settings, self._policy = settings, policy or Policy()
        self._dialer = Dialer(settings, self._policy, provider=credentials)
        self._counters = self._dialer.counters
        dialer = self._dialer
        self._engines = Engines(lambda: _make_engine(dialer), repr(self), _abandon)
        self._raw_clients = Engines(lambda: open_raw(dialer.settings_now()))
        self._commands = Commands(settings.key_prefix, bool(settings.cluster_nodes), partial(_note_undecodable, self._counters))
        self._budget: float | None = None
        self._outage = Outage()
        self._capabilities: dict[str, Any] = {}  # what each keeps between calls, by its name

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, policy: Policy | None = None, credentials: CredentialsProvider | None = None
    ) -> Self:
        """
        Make a client of the server that the REDIS_ variables name (docs/client/configuration.md); nothing is connected yet.

        Args:
            environ: Variables to read instead of the process's environment.
            policy: What to do when the server does not answer.
            credentials: Returns a password, or a user name and a password, in place of those of the variables; asked for the first
                connection, and again, once, when the server refuses what it returned. See docs/client/configuration.md.
        Raises:
            SettingsError: naming each variable that is missing, wrong or contradicts another.
        """
        return cls(Settings.from_env(environ), policy, credentials=credentials)

    @classmethod
    def from_url(cls, url: str, *, policy: Policy | None = None, credentials: CredentialsProvider | None = None, **overrides: Any) -> Self:
        """
        Make a client of the server at *url*, as ``redis://user:password@host:6379/0``; nothing is connected yet.

        Args:
            url: ``redis``, ``rediss`` (TLS), ``valkey``, ``valkeys`` (TLS), each also with ``+cluster`` or ``+sentinel``; or ``unix``.
            policy: What to do when the server does not answer.
            credentials: As for `from_env`.
            overrides: Further fields of Settings.
        Raises:
            SettingsError: naming everything that is wrong with the URL and the fields.
        """
        return cls(Settings.from_url(url, **overrides), policy, credentials=credentials)

    @classmethod
    def from_settings(cls, settings: Settings, *, policy: Policy | None = None, credentials: CredentialsProvider | None = None) -> Self:
        """Make a client of the server that *settings* name; nothing is connected yet. *credentials* are as for `from_env`."""
        return cls(settings, policy, credentials=credentials)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.address}>"

    @property
    def settings(self) -> Settings:
        """Where the server is."""
        return self._settings

    @property
    def policy(self) -> Policy:
        """What the client does when the server does not answer."""
        return self._policy

    @property
    def raw(self) -> Redis | RedisCluster:
        """
        A plain redis-py client of the same server, for what is not offered here; `close` closes it.

        Replies are bytes, keys carry the prefix, errors and retries are redis-py's.
        """
        client: Redis | RedisCluster = self._raw_clients.current()
        return client

    @property
    def is_connected(self) -> bool:
        """Whether a connection to the server, or to each primary of a cluster, stands as far as is known without asking."""
        return any(engine.is_connected for engine in self._engines.all())

    def within(self, timeout_seconds: Seconds) -> Self:
        """
        Return this client with another budget for each call; connections and counters are the same.

            client.within(0.05).get("k")

        Args:
            timeout_seconds: Longest time for one call, all its attempts together, in seconds or as a timedelta.
        Raises:
            ValueError: if it is not above 0 and below 86400 seconds, as in the settings.
        """
        budget = budget_seconds(timeout_seconds)
        other = copy.copy(self)
        other._budget = budget
        return other

    async def connect(self) -> Self:
        """
        Connect now and not with the first call; open again after `close`.

        Raises:
            UnreachableError, CredentialsError, ServerError: if a primary does not answer within the budget.
        """
        self._engines.reopen()
        self._raw_clients.reopen()
        await self.ping()
        return self

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """
        Wait until every primary answers and, on a cluster, every slot has one.

        Args:
            timeout_seconds: Longest wait.
        Raises:
            CredentialsError: immediately, since waiting does not correct a password.
            UnreachableError: if the time is over; it says what was missing last.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = deadline - time.monotonic()
            engine = self._engines.current()
            try:
                await self.within(max(left, POLL_SECONDS)).ping()
                if engine.router.is_complete:
                    return
                trouble = UnreachableError(self._settings.address, "not every slot has a server")
                await engine.relearn(deadline)
            except UnreachableError as error:
                trouble = error
            if time.monotonic() + POLL_SECONDS >= deadline:
                raise trouble
            await sleep(POLL_SECONDS)

    async def close(self, grace_seconds: float = CLOSE_SECONDS) -> None:
        """
        Take no more calls, let those on their way end, and close all connections.

        Args:
            grace_seconds: How long calls on their way may take; what is left then fails.
        """
        deadline = time.monotonic() + grace_seconds
        engines = self._engines.close()
        try:
            while any(engine.is_busy for engine in engines) and time.monotonic() < deadline:
                await sleep(POLL_SECONDS / 10)
            for engine in engines:
                await engine.close()
        finally:  # no socket is left if the caller is cancelled, or interrupted, in between
            for engine in engines:
                engine.router.close()
            for raw in self._raw_clients.close():
                await close_raw(raw)

    async def ping(self) -> bool:
        """Return True when the server, or each primary of a cluster, has answered."""
        await self._run_on_primaries(self._commands.ping())
        return True

    @property
    def stats(self) -> Stats:
        """What this client has done so far, and what it holds now."""
        from .._transport.stats import Stats  # for the programs that ask

        routers = [engine.router for engine in self._engines.all()]
        nodes = [node for router in routers for node in router.nodes]
        breakers = [*(router.breaker for router in routers), *(node.breaker for node in nodes)]
        return Stats(
            **vars(self._counters),
            breaker_opens=sum(breaker.opened for breaker in breakers),
            open_breakers=sum(breaker.is_open for breaker in breakers),
            connections=sum(node.connection_count for node in nodes),
        )

    async def _run(self, operation: Operation[T]) -> T:
        """Return the result of *operation*, or what the policy says."""
        if not isinstance(operation, Command):
            return await self._run_several(operation)
        self._counters.calls += 1
        try:
            answer: T = await self._engines.current().run(operation, self._budget)
        except NO_ANSWER as error:
            return self._fall_back(operation, error)  # type: ignore[no-any-return]
        except WrongTypeError as error:
            raise WrongTypeError(error.key, error.wanted, await self._type_of(operation)) from None
        if self._outage.is_on:
            self._note_answer()
        return answer

    async def _run_several(self, operation: Operation[T]) -> T:
        """Run commands that need not go to one server, if there are any."""
        if len(operation.commands) <= 1:
            return operation.combine([await self._run(command) for command in operation.commands])
        self._counters.calls += 1
        calls = [Call(command) for command in operation.commands]
        engine = self._engines.current()
        await engine.run_all(calls, engine.deadline(self._budget))
        try:
            answers = [engine.decoded(call) for call in calls]
        except NO_ANSWER as error:
            self._fall_back(calls[0].command, error)
            lost = {call for call in calls if isinstance(call.result, NO_ANSWER)}
            return operation.combine([call.command.fallback() if call in lost else engine.decoded(call) for call in calls])
        self._note_answer()
        return operation.combine(answers)

    async def _run_on_primaries(self, command: Command[T]) -> dict[str, T]:
        """Return what each of the servers that together hold all keys answers, by its address."""
        with self._counted():
            answers = await self._engines.current().run_on_primaries(command, self._budget)
        return {format_address(node.address): answer for node, answer in answers}

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count one call that cannot fall back, and its failure if it does not reach a server."""
        self._counters.calls += 1
        try:
            yield
        except NO_ANSWER:
            self._counters.failures += 1
            raise
        self._note_answer()

    def _fall_back(self, command: Command[T], error: NoAnswer) -> Any:
        self._counters.failures += 1
        if not self._falls_back(command, error):
            raise error
        return self._fallback(command, error)

    def _falls_back(self, command: Command[Any], error: NoAnswer) -> bool:
        """Say whether *error* becomes an answer. "Not done" is none for what may have run and must not be done twice."""
        if self._policy.on_error == "raise" or command.kind.fallback is NO_FALLBACK:
            return False
        return command.kind.repeat is not Repeat.NEVER or not isinstance(error, OutcomeUnknown)

    def _fallback(self, command: Command[Any], error: NoAnswer) -> Any:
        self._counters.fallbacks += 1
        if not self._outage.is_on:
            self._outage.is_on = True
            logger.warning("%s; calls fall back until it answers", error)
        return command.fallback()

    def _note_answer(self) -> None:
        """End an outage, unless there is a server whose last call failed: what others answer says nothing about that one."""
        if not self._outage.is_on:
            return
        router = self._engines.current().router
        if router.breaker.failures or any(node.breaker.failures for node in router.serving()):
            return
        self._outage.is_on = False
        logger.warning("%s answers again; %d calls fell back so far", self._settings.address, self._counters.fallbacks)

    async def _type_of(self, command: Command[Any]) -> str:
        try:
            return await self._engines.current().run(self._commands.type(command.key), self._budget)
        except ServerError:  # only an addition to an error that is raised anyway
            return "value of another type"


def _make_engine(dialer: Dialer) -> Engine:
    if dialer.policy.on_call is None:
        return Engine(dialer)
    from .observed import ObservedEngine  # for the clients that have a hook

    return ObservedEngine(dialer)


def _note_undecodable(counters: Counters, error: DecodeError) -> None:
    """Count and log a value that is taken for missing."""
    counters.undecodable += 1
    logger.warning("%s; it is taken for missing", error)


def _abandon(engine: Engine) -> bool:
    """Close all connections without waiting; return whether there were any. What subscriptions still use is theirs to close."""
    if engine.subscriptions:
        return False
    had_some = any(node.connection_count for node in engine.router.nodes)
    engine.router.close()
    return had_some
