# SPDX-License-Identifier: MIT
"""Generated users on real servers: what rules mean, and how a server is changed to have exactly the declared users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyfleet.core.acl.judge import ask_for_users, judge_users, read_commands
from keyfleet.core.acl.live import apply_users, read_users
from keyfleet.core.acl.meaning import allowed, same_user
from keyfleet.core.acl.model import ADMIN, DEFAULT, User, administrator, default_user, users_in
from keyfleet.core.acl.plan import plan_users
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.core.directives.throwaway import AnswerError, Ask, throwaway
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import Server, start_server
from support.users import rule_lists, users

ON_EVERY_SERVER = True
PASSWORD = "of the administrator"
NAMES = st.sampled_from(["app", "ops", DEFAULT])
EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Oracle:
    """A server of its own, with its commands and how many words each takes at least; those that every user may run are left out."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.commands = ask, read_commands(ask)
        found = {name: ask("COMMAND", "INFO", name)[0] for name in sorted(self.commands.names)}
        always = {name for name, info in found.items() if info and "no_auth" in info[2]}
        containers = {name.partition("|")[0] for name in self.commands.names if "|" in name} - {"command"}
        self.arities = {name: abs(int(info[1])) for name, info in found.items() if info and name not in containers | always}

    def may_run(self, name: str) -> bool:
        """Return what the server says about a command of the user ``tried``, with arguments that allow nothing."""
        words = name.split("|")
        try:
            reply = str(self.ask("ACL", "DRYRUN", "tried", *words, *["7"] * (self.arities[name] - len(words))))
        except AnswerError as error:
            reply = str(error)
        return "permissions to run" not in reply


@pytest.fixture(scope="module")
def oracle(redis_engine: str) -> Iterator[Oracle]:
    """The server that judges."""
    with throwaway(str(find_binary(redis_engine)), []) as ask:
        yield Oracle(ask)


@EXAMPLES
@given(rules=rule_lists)
def test_rules_mean_what_the_server_does(oracle: Oracle, rules: tuple[str, ...]) -> None:
    """Each command is allowed by the rules as given, by the server's text for them, and by the server itself, or by none of them."""
    oracle.ask("ACL", "SETUSER", "tried", "reset", "~*", "&*", *rules)
    written = users_in(oracle.ask("ACL", "LIST"))["tried"]
    expected = allowed(rules, oracle.commands)
    assert expected == allowed(written.own.commands, oracle.commands)
    sure = {name for name in oracle.arities if not any(pair.startswith(f"{name}|") for pair in expected.first_arguments)}
    assert expected.names & sure == {name for name in sure if oracle.may_run(name)}


@EXAMPLES
@given(user=users(NAMES))
def test_a_user_is_read_as_it_was_written(oracle: Oracle, user: User) -> None:
    """Words of a user, the server's words for them, and the line of an ACL file say the same."""
    judged = ask_for_users(oracle.ask, {user.name: user.words()})
    assert {} == dict(judged.problems)
    written = judged.users[user.name]
    assert same_user(user, written, judged.commands)
    assert written == users_in([written.line()])[user.name]


@EXAMPLES
@given(one=users(st.just("app")), other=users(st.just("app")))
def test_two_users_are_the_same_as_the_server_has_them(oracle: Oracle, one: User, other: User) -> None:
    """Comparing what was declared says what comparing the server's own forms says."""
    judged = ask_for_users(oracle.ask, {"one": one.words(), "other": other.words()})
    assert same_user(one, other, judged.commands) == same_user(judged.users["one"], judged.users["other"], judged.commands)


class Administered:
    """A server with the administrative user, and how its users are changed."""

    def __init__(self, server: Server, engine: str) -> None:
        self.server, self.binary = server, str(find_binary(engine))
        self.file = server.directory / "users.acl"

    def client(self, **options: str) -> AnyClient:
        """Return a client of the administrative user."""
        return self.server.client(**{"username": ADMIN, "password": PASSWORD, **options})

    def declare(self, declared: list[User], *, steps: int | None = None) -> bool:
        """Bring the server to the declared users, ending as a killed run would after so many steps; return whether it got to the end."""
        wanted = [administrator([PASSWORD]), *({DEFAULT: default_user("")} | {user.name: user for user in declared}).values()]
        judged = judge_users(self.binary, {user.name: user.words() for user in wanted})
        client = self.client()
        try:
            plan = plan_users(judged.users.values(), read_users(client), judged.commands, removes_undeclared=True)
            reached = apply_users(client, plan)
            if steps == 0:
                return False
            self.file.write_text(plan.file_text)
            return sum(1 for _step in zip(range(steps), reached)) < steps if steps else sum(1 for _step in reached) >= 0
        finally:
            close(client)

    def has(self, declared: list[User]) -> bool:
        """Return whether the server has exactly these, and nothing is left to do."""
        wanted = {DEFAULT: default_user(""), **{user.name: user for user in declared}, ADMIN: administrator([PASSWORD])}
        client = self.client()
        try:
            judged = judge_users(self.binary, {})
            found = read_users(client)
        finally:
            close(client)
        return wanted.keys() == found.keys() and all(same_user(user, found[name], judged.commands) for name, user in wanted.items())


@pytest.fixture(scope="module")
def administered(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    """A server whose users are in a file, the administrative one among them."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "users.acl").write_text(f"{administrator([PASSWORD]).line()}\n{default_user('').line()}\n")
    with start_server(folder, engine=redis_engine, directives={"aclfile": str(folder / "users.acl")}) as server:
        yield Administered(server, redis_engine)


declarations = st.lists(users(NAMES), max_size=3, unique_by=lambda user: user.name)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=declarations, after=declarations, steps=st.integers(min_value=0, max_value=6))
def test_users_are_as_declared_wherever_a_run_and_the_server_die(
    administered: Administered, before: list[User], after: list[User], steps: int
) -> None:
    """The administrative user can enter after each step and after a crash, and the next run ends with exactly the declared users."""
    administered.declare(before)
    assert administered.has(before)
    administered.declare(after, steps=steps)
    administered.server.kill()
    administered.server.start()
    assert administered.has(after) or steps == 0
    administered.declare(after)
    assert administered.has(after)


def test_open_connections_and_subscriptions_outlive_a_change(administered: Administered) -> None:
    """Another password and other keys for a user close none of its connections, and its subscription still gets messages."""
    app = User("app", enabled=True, hashes=frozenset(["0" * 64]), own=default_user("").own)
    administered.declare([app])
    administered.client().execute_command("ACL SETUSER", "app", ">first")
    clients = [administered.client(username="app", password="first") for _number in range(2)]
    subscription = clients[0].pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("news")
    assert clients[1].ping()
    administered.declare([User(**{**vars(app), "hashes": frozenset(["1" * 64])})])
    clients[1].publish("news", "still here")
    wait_until(lambda: (subscription.get_message() or {}).get("data") == b"still here", "the message")
    subscription.close()
    for client in clients:
        close(client)
