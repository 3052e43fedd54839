"""Users of a server, generated."""

from __future__ import annotations

from hypothesis import strategies as st
from keyfleet.core.acl.model import Permissions, User

CATEGORIES = ["all", "read", "write", "admin", "dangerous", "connection", "slow", "string", "scripting", "keyspace"]
COMMANDS = ["get", "set", "config", "config|get", "client|kill", "client", "acl|list", "flushall", "command", "object|freq", "ping"]
FIRST_ARGUMENTS = ["select|0", "select|1", "get|x"]
PATTERNS = ["app:*", "a[b-d]?", "x", "{tag}:*", "~", "%R~a"]
ODD = [*PATTERNS, '"q"', "(", "a)", "\\"]  # a selector, which the server splits like a line of its configuration, cannot have these

signs = st.sampled_from("+-")
rules = st.one_of(
    st.builds("{}@{}".format, signs, st.sampled_from(CATEGORIES)),
    st.builds("{}{}".format, signs, st.sampled_from(COMMANDS)),
    st.builds("+{}".format, st.sampled_from(FIRST_ARGUMENTS)),
)
rule_lists = st.lists(rules, min_size=1, max_size=6).map(tuple)


def _patterns(patterns: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Patterns by what they allow; the server takes ``*`` for all and none beside it."""
    mixed = st.dictionaries(st.sampled_from(patterns), values, max_size=3)
    return st.one_of(st.just({"*": "RW"}), mixed)


def _permissions(patterns: list[str]) -> st.SearchStrategy[Permissions]:
    return st.builds(
        Permissions,
        commands=rule_lists,
        keys=_patterns(patterns, st.sampled_from(["R", "W", "RW"])),
        channels=_patterns(patterns, st.just("")).map(frozenset),
    )


hashes = st.integers(min_value=0, max_value=5).map(lambda number: f"{number:064x}")


@st.composite
def users(draw: st.DrawFn, names: st.SearchStrategy[str]) -> User:
    """Return a user of one of the names."""
    nopass = draw(st.booleans())
    return User(
        draw(names),
        enabled=draw(st.booleans()),
        nopass=nopass,
        hashes=frozenset() if nopass else draw(st.frozensets(hashes, max_size=3)),
        skips_sanitizing=draw(st.booleans()),
        own=draw(_permissions(ODD)),
        selectors=tuple(draw(st.lists(_permissions(PATTERNS), max_size=2))),
    )
